import { z } from 'zod';
import type { Reach } from '../settings/settings.ts';
import type { Missed } from '../world.ts';
import type { Api, Repository } from './api.ts';

/** A file that differs between two commits, as GitHub's own lists have it. */
export type ChangedFile = {
  readonly filename: string;
  readonly status: string;
  readonly previous_filename?: string | undefined;
  readonly symlink?: boolean;
};

const tree = z.object({
  truncated: z.boolean(),
  tree: z.array(z.object({ path: z.string(), type: z.string(), mode: z.string(), sha: z.string() })),
});
type Entry = z.infer<typeof tree>['tree'][number];

export const symlinkMode = '120000';

/** Folders that are looked into, where a repository is too large to be listed at once. */
const mostFolders = 150;

export type Listing = { readonly entries: readonly Entry[]; readonly truncated: boolean };

/** Lists of the files of commits, which never change. */
export class Trees {
  private readonly api: Api;
  private readonly repository: Repository;
  private readonly known = new Map<string, Promise<Listing>>();

  constructor(api: Api, repository: Repository) {
    this.api = api;
    this.repository = repository;
  }

  /** Begins with a list that is likely to be wanted; a failure is that of whoever asks for it. */
  askAhead(commit: string): void {
    const listing = this.ask(commit, true);
    listing.catch(() => {});
    this.known.set(commit, listing);
  }

  /** All files of a commit, as far as GitHub lists them in one answer. */
  list(commit: string): Promise<Listing> {
    return this.known.get(commit) ?? this.ask(commit, true);
  }

  /** What stands in one folder. */
  folder(tree: string): Promise<Listing> {
    return this.ask(tree, false);
  }

  private async ask(sha: string, recursive: boolean): Promise<Listing> {
    const { data } = await this.api.rest.git.getTree({
      ...this.repository,
      tree_sha: sha,
      ...(recursive ? { recursive: '1' } : {}),
    });
    const { tree: entries, truncated } = tree.parse(data);
    return { entries, truncated };
  }
}

/** What the trees of two commits say: the files that differ, and the folders that nobody looked into. */
export type TreeChanges = { readonly files: readonly ChangedFile[]; readonly missed: readonly Missed[] };

/**
 * What differs between two commits, from their trees, since GitHub's own lists end at 300 (comparisons) and 3,000 files (pull
 * requests). Two requests; where a repository is too large for that, one for each folder that differs.
 *
 * @param base undefined where every file of the head counts
 * @param reach whether a folder may hold configs: where not all are looked into, those that are named come first
 */
export async function treeChanges(
  trees: Trees,
  base: string | undefined,
  head: string,
  reach: (folder: string) => Reach,
): Promise<TreeChanges> {
  const [before, after] = await Promise.all([base === undefined ? empty : trees.list(base), trees.list(head)]);
  if (!before.truncated && !after.truncated)
    return { files: paired(files(before.entries), files(after.entries)), missed: [] };
  // Without a base, what was listed counts, however much was cut off.
  const known = base === undefined ? files(after.entries) : new Map();
  return byFolder(trees, { base, head, known }, reach);
}

const empty: Listing = { entries: [], truncated: false };

type Files = Map<string, Entry>;
const files = (entries: readonly Entry[], prefix = ''): Files =>
  new Map(entries.filter(({ type }) => type !== 'tree').map((entry) => [prefix + entry.path, entry]));
const foldersOf = (entries: readonly Entry[]) =>
  new Map(entries.filter(({ type }) => type === 'tree').map(({ path, sha }) => [path, sha]));

/** A folder that differs, by what its tree was and is. */
type Folder = { readonly prefix: string; readonly old: string | undefined; readonly now: string | undefined };

async function byFolder(
  trees: Trees,
  { base, head, known }: { readonly base: string | undefined; readonly head: string; readonly known: Files },
  reach: (folder: string) => Reach,
): Promise<TreeChanges> {
  const [before, after]: readonly [Files, Files] = [new Map(), new Map(known)];
  const waiting = new Waiting(reach);
  const missed: string[] = [];
  const list = (tree: string | undefined) => (tree === undefined ? empty : trees.folder(tree));
  let folder: Folder | undefined = { prefix: '', old: base, now: head };
  for (let looked = 0; folder !== undefined && looked < mostFolders; looked++) {
    const { prefix } = folder;
    const [was, is] = await Promise.all([list(folder.old), list(folder.now)]);
    if (was.truncated || is.truncated) missed.push(prefix === '' ? '.' : prefix);
    const [wasInside, isInside] = [foldersOf(was.entries), foldersOf(is.entries)];
    for (const name of new Set([...wasInside.keys(), ...isInside.keys()])) {
      const [old, now] = [wasInside.get(name), isInside.get(name)];
      if (old !== now) waiting.add({ prefix: `${prefix}${name}/`, old, now });
    }
    for (const [path, entry] of files(was.entries, prefix)) before.set(path, entry);
    for (const [path, entry] of files(is.entries, prefix)) after.set(path, entry);
    folder = waiting.next();
  }
  // A removed file cannot break a budget.
  const left = [...(folder === undefined ? [] : [folder]), ...waiting.rest()].filter(({ now }) => now !== undefined);
  const paths = [...missed, ...left.map(({ prefix }) => prefix)];
  return {
    files: paired(before, after),
    missed: paths.length === 0 ? [] : [{ kind: 'folders', most: mostFolders, paths }],
  };
}

/** Folders to look into: first those that hold what is named, then those that were there, new ones, and those that are gone. */
class Waiting {
  private readonly queues: readonly Folder[][] = Array.from({ length: 6 }, () => []);
  private readonly reach: (folder: string) => Reach;

  constructor(reach: (folder: string) => Reach) {
    this.reach = reach;
  }

  add(folder: Folder): void {
    const reach = this.reach(folder.prefix);
    if (reach === 'none') return;
    const age = folder.now === undefined ? 2 : folder.old === undefined ? 1 : 0;
    this.queues[(reach === 'named' ? 0 : 3) + age]?.push(folder);
  }

  next(): Folder | undefined {
    return this.queues.find((queue) => queue.length > 0)?.shift();
  }

  rest(): readonly Folder[] {
    return this.queues.flat();
  }
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
    } else if (old === undefined) changed.push({ filename, status: 'added', symlink: mode === symlinkMode });
    else if (old.sha !== sha || old.mode !== mode) changed.push({ filename, status: 'modified' });
  }
  for (const paths of gone.values())
    for (const filename of paths) if (!renamed.has(filename)) changed.push({ filename, status: 'removed' });
  return changed.sort((a, b) => (a.filename < b.filename ? -1 : 1));
}
