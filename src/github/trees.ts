import { z } from 'zod';
import type { Api, Repository } from './api.ts';

/** A file that differs between two commits, as GitHub's own lists have it. */
export type ChangedFile = {
  readonly filename: string;
  readonly status: string;
  readonly previous_filename?: string | undefined;
};

const tree = z.object({
  truncated: z.boolean(),
  tree: z.array(z.object({ path: z.string(), type: z.string(), mode: z.string(), sha: z.string() })),
});
type Entry = z.infer<typeof tree>['tree'][number];

/** Folders that are looked into, where a repository is too large to be listed at once. */
const mostFolders = 150;

export type Listing = { readonly entries: readonly Entry[]; readonly truncated: boolean };

/** All files of a commit, as far as GitHub lists them in one answer. */
export async function listTree(api: Api, repository: Repository, sha: string, recursive = true): Promise<Listing> {
  const { data } = await api.rest.git.getTree({
    ...repository,
    tree_sha: sha,
    ...(recursive ? { recursive: '1' } : {}),
  });
  const { tree: entries, truncated } = tree.parse(data);
  return { entries, truncated };
}

/**
 * What differs between two commits, from their trees, since GitHub's own lists end at 300 (comparisons) and 3,000 files (pull
 * requests). Two requests; where a repository is too large for that, one for each folder that differs.
 *
 * @returns complete: false where some folders were not looked into
 */
export async function treeChanges(
  api: Api,
  repository: Repository,
  base: string,
  head: string,
): Promise<{ readonly files: readonly ChangedFile[]; readonly complete: boolean }> {
  const [before, after] = [await listTree(api, repository, base), await listTree(api, repository, head)];
  if (!before.truncated && !after.truncated)
    return { files: paired(files(before.entries), files(after.entries)), complete: true };
  return byFolder(api, repository, base, head);
}

type Files = Map<string, Entry>;
const files = (entries: readonly Entry[], prefix = ''): Files =>
  new Map(entries.filter(({ type }) => type !== 'tree').map((entry) => [prefix + entry.path, entry]));

async function byFolder(api: Api, repository: Repository, base: string, head: string) {
  const [before, after]: readonly [Files, Files] = [new Map(), new Map()];
  const folders: { prefix: string; old: string | undefined; now: string | undefined }[] = [
    { prefix: '', old: base, now: head },
  ];
  let complete = true;
  for (const [index, { prefix, old, now }] of folders.entries()) {
    if (index >= mostFolders) return { files: paired(before, after), complete: false };
    const empty: Listing = { entries: [], truncated: false };
    const [was, is] = [
      old === undefined ? empty : await listTree(api, repository, old, false),
      now === undefined ? empty : await listTree(api, repository, now, false),
    ];
    complete &&= !was.truncated && !is.truncated;
    const inside = (entries: readonly Entry[]) =>
      new Map(entries.filter(({ type }) => type === 'tree').map(({ path, sha }) => [path, sha]));
    const [wasInside, isInside] = [inside(was.entries), inside(is.entries)];
    for (const name of new Set([...wasInside.keys(), ...isInside.keys()])) {
      const [one, other] = [wasInside.get(name), isInside.get(name)];
      if (one !== other) folders.push({ prefix: `${prefix}${name}/`, old: one, now: other });
    }
    for (const [path, entry] of files(was.entries, prefix)) before.set(path, entry);
    for (const [path, entry] of files(is.entries, prefix)) after.set(path, entry);
  }
  return { files: paired(before, after), complete };
}

/** Added, removed and modified; a file that went and one that came with the same content is a rename. */
function paired(before: Files, after: Files): readonly ChangedFile[] {
  const gone = new Map<string, string[]>();
  for (const [path, { sha }] of before) if (!after.has(path)) gone.set(sha, [...(gone.get(sha) ?? []), path]);
  const renamed = new Set<string>();
  const changed: ChangedFile[] = [];
  for (const [filename, { sha, mode }] of after) {
    const old = before.get(filename);
    const previous_filename = old === undefined ? gone.get(sha)?.pop() : undefined;
    if (previous_filename !== undefined) {
      renamed.add(previous_filename);
      changed.push({ filename, status: 'renamed', previous_filename });
    } else if (old === undefined) changed.push({ filename, status: 'added' });
    else if (old.sha !== sha || old.mode !== mode) changed.push({ filename, status: 'modified' });
  }
  for (const paths of gone.values())
    for (const filename of paths) if (!renamed.has(filename)) changed.push({ filename, status: 'removed' });
  return changed.sort((a, b) => (a.filename < b.filename ? -1 : 1));
}
