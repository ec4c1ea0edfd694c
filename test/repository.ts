import { createHash } from 'node:crypto';

/** The files of one commit: path to content. */
export type Tree = Readonly<Record<string, Content>>;
export type Content =
  | string
  | { readonly symlink: string }
  | { readonly submodule: string }
  | { readonly bytes: Uint8Array }
  /** Content that is not held, only its size and identity: for very large trees. */
  | { readonly size: number; readonly id: string };

export type Entry = {
  readonly path: string;
  readonly type: 'blob' | 'tree' | 'commit';
  readonly mode: string;
  readonly sha: string;
};

export const bytesOf = (content: Content): Buffer => {
  if (typeof content === 'string') return Buffer.from(content, 'utf8');
  if ('bytes' in content) return Buffer.from(content.bytes);
  if ('size' in content) return Buffer.alloc(content.size, ' ');
  return Buffer.from('symlink' in content ? content.symlink : '', 'utf8');
};

const modeOf = (content: Content): string =>
  typeof content === 'object' && 'symlink' in content
    ? '120000'
    : typeof content === 'object' && 'submodule' in content
      ? '160000'
      : '100644';

const hash = (kind: string, bytes: Buffer): string =>
  createHash('sha1').update(`${kind} ${bytes.length}\0`).update(bytes).digest('hex');

/** The identity that git gives to a content. */
export const idOf = (content: Content): string => {
  if (typeof content === 'object' && 'submodule' in content) return content.submodule;
  if (typeof content === 'object' && 'id' in content) return content.id;
  return hash('blob', bytesOf(content));
};

/** Every file and folder of a commit as git stores it; `ids` finds a folder's entries by its identity. */
export type Stored = {
  readonly files: readonly Entry[];
  readonly root: string;
  readonly ids: ReadonlyMap<string, readonly Entry[]>;
};

export function store(tree: Tree): Stored {
  type Folder = { readonly folders: Map<string, Folder>; readonly files: Map<string, Content> };
  const empty = (): Folder => ({ folders: new Map(), files: new Map() });
  const root = empty();
  for (const [path, content] of Object.entries(tree)) {
    const names = path.split('/');
    const name = names.pop() ?? '';
    let folder = root;
    for (const one of names) {
      const inside = folder.folders.get(one) ?? empty();
      folder.folders.set(one, inside);
      folder = inside;
    }
    folder.files.set(name, content);
  }
  const ids = new Map<string, readonly Entry[]>();
  const files: Entry[] = [];
  const write = (folder: Folder, prefix: string): string => {
    const entries: Entry[] = [];
    for (const [name, inside] of folder.folders)
      entries.push({ path: name, type: 'tree', mode: '040000', sha: write(inside, `${prefix}${name}/`) });
    for (const [name, content] of folder.files) {
      const mode = modeOf(content);
      const entry: Entry = { path: name, type: mode === '160000' ? 'commit' : 'blob', mode, sha: idOf(content) };
      entries.push(entry);
      files.push({ ...entry, path: prefix + name });
    }
    const sha = hash('tree', Buffer.from(JSON.stringify(entries)));
    ids.set(sha, entries);
    return sha;
  };
  return { root: write(root, ''), files, ids };
}

/** The commits that a commit stands on, itself included, nearest first. */
function ancestors(parents: Readonly<Record<string, readonly string[]>>, commit: string): readonly string[] {
  const seen = new Set<string>([commit]);
  for (const one of seen) for (const parent of parents[one] ?? []) seen.add(parent);
  return [...seen];
}

export function mergeBase(
  parents: Readonly<Record<string, readonly string[]>>,
  one: string,
  other: string,
): string | undefined {
  const before = new Set(ancestors(parents, one));
  const common = ancestors(parents, other).filter((commit) => before.has(commit));
  // The best one is no ancestor of another.
  return common.find((commit) =>
    common.every((rival) => rival === commit || !ancestors(parents, rival).includes(commit)),
  );
}
