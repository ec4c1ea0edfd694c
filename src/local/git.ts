import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Changes, ConfigPair, ConfigSide } from '../world.ts';
import { Usage } from './arguments.ts';
import { largest, readTracked, symbolicLink, tooLarge } from './files.ts';

/** A git command that failed, in a sentence for the user. */
export class GitProblem extends Usage {}

/** So much text is asked of git at once. */
const batch = 64 * 2 ** 20;

/**
 * What git prints.
 *
 * @throws GitProblem with git's own sentence
 */
export function git(folder: string, words: readonly string[], input?: string): Buffer {
  try {
    // No shell; no lock, and no program that the repository's settings name for watching files.
    return execFileSync('git', ['-C', folder, '-c', 'core.fsmonitor=false', ...words], {
      maxBuffer: batch + 4 * largest,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, GIT_OPTIONAL_LOCKS: '0', GIT_LITERAL_PATHSPECS: '1' },
      ...(input === undefined ? {} : { input }),
    });
  } catch (error) {
    const said =
      typeof error === 'object' && error !== null && 'stderr' in error && error.stderr !== null
        ? String(error.stderr).trim().split('\n')[0]
        : undefined;
    if (said === undefined) throw new GitProblem('git could not be started; is it installed?');
    throw new GitProblem(said.replace(/^fatal: /, '') || `git ${words[0]} failed.`);
  }
}

/** A revision's commit. A name that begins with a dash is refused, so it cannot become an option of git. */
export function commitOf(folder: string, revision: string): string {
  if (revision.startsWith('-')) throw new GitProblem(`"${revision}" is not a git revision.`);
  const [, from, to] = /^(.*?)\.{2,3}(.*)$/.exec(revision) ?? [];
  if (from !== undefined)
    throw new GitProblem(`"${revision}" is a range; write --base ${from || 'REV'}${to ? ` --head ${to}` : ''}.`);
  try {
    return git(folder, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`])
      .toString()
      .trim();
  } catch {
    throw new GitProblem(`There is not a git revision "${revision}" here; fetch it, or name another.`);
  }
}

/** The root folder of the repository that a folder is in. */
export const topOf = (folder: string): string =>
  git(folder, ['rev-parse', '--show-toplevel']).toString().replace(/\n$/, '');

/** @throws GitProblem where the two have no commit in common here */
export function mergeBaseOf(folder: string, base: string, head: string, names: string): string {
  try {
    return git(folder, ['merge-base', base, head]).toString().trim();
  } catch {
    throw new GitProblem(`${names} have no commit in common here; fetch more history (git fetch --unshallow).`);
  }
}

/** One side of a changed file: its blob (or the file in the working tree) and the mode that git keeps for it. */
type Half = { readonly mode: string; readonly object: string; readonly path: Buffer };
type Pair = { readonly path: string; readonly previousPath?: string; readonly base?: Half; readonly head?: Half };

/** Two states of a repository to compare: the merge base, and a commit or the working tree. */
export type Range = {
  /** The repository's root folder. */
  readonly top: string;
  readonly base: { readonly commit: string; readonly label: string };
  /** Without a commit: the working tree. */
  readonly head: { readonly commit?: string; readonly label: string };
  /** The revision that the head would go into, where it has moved on since the merge base. */
  readonly tip?: { readonly commit: string; readonly label: string };
};

/**
 * The merge base of two revisions, or of a revision and the working tree, as on a pull request.
 *
 * @throws GitProblem with one sentence
 */
export function gitRange(folder: string, base: string, head: string | undefined): Range {
  const top = topOf(folder);
  const baseTip = commitOf(top, base);
  const headCommit = commitOf(top, head ?? 'HEAD');
  const mergeBase = mergeBaseOf(top, baseTip, headCommit, `${base} and ${head ?? 'HEAD'}`);
  return {
    top,
    base: { commit: mergeBase, label: base },
    head: head === undefined ? { label: 'working tree' } : { commit: headCommit, label: head },
    ...(baseTip === mergeBase ? {} : { tip: { commit: baseTip, label: base } }),
  };
}

/** One file of a commit, or of the working tree where no commit is named; undefined where it does not exist. */
export function readAt(top: string, commit: string | undefined, path: string): ConfigSide | undefined {
  if (commit === undefined)
    return existsSync(join(top, path)) ? readTracked(top, Buffer.from(path, 'utf8')) : undefined;
  return readMany(top, [{ commit, path }])[0];
}

/** Files of many commits, in the order in which they are asked for. */
export function readMany(
  top: string,
  wanted: readonly { readonly commit: string; readonly path: string }[],
): readonly (ConfigSide | undefined)[] {
  const halves = new Map<string, Half>();
  for (const commit of new Set(wanted.map((one) => one.commit))) {
    const paths = wanted.flatMap((one) => (one.commit === commit ? [one.path] : []));
    for (const half of halvesOf(git(top, ['ls-tree', '-z', '--full-tree', commit, '--', ...paths])))
      halves.set(`${commit} ${half.path}`, half);
  }
  const blobs = readBlobs(top, [...halves.values()]);
  return wanted.map(({ commit, path }) => {
    const half = halves.get(`${commit} ${path}`);
    return half === undefined ? undefined : sideOf(half, top, blobs);
  });
}

/** The rows of `git ls-tree -z`. */
const halvesOf = (rows: Buffer): readonly Half[] =>
  split(rows).map((row) => {
    const tab = row.indexOf(9);
    const [mode = '', , object = ''] = row.subarray(0, tab).toString().split(' ');
    return { mode, object, path: row.subarray(tab + 1) };
  });

/** The path of a file from the repository's root; undefined for one that lies outside. */
export function inRepository(top: string, name: string): string | undefined {
  const inside = relative(realpathOf(top), join(realpathOf(dirname(resolve(name))), basename(name)));
  return inside.startsWith('..') || isAbsolute(inside) ? undefined : inside.replaceAll('\\', '/');
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Every file of a commit, or of the base where the head is the working tree. */
export const filesAt = ({ top, base, head }: Range): readonly string[] =>
  split(git(top, ['ls-tree', '-r', '-z', '--full-tree', '--name-only', head.commit ?? base.commit])).map((path) =>
    path.toString('utf8'),
  );

/** Every path that differs between two commits, a moved file under both of its names. */
export const pathsBetween = (top: string, from: string, to: string): ReadonlySet<string> =>
  new Set(
    split(git(top, ['diff', '--name-only', '-z', '--no-renames', '--no-ext-diff', from, to, '--'])).map((path) =>
      path.toString('utf8'),
    ),
  );

/** Files that are the same in both states, for what is to be compared though it did not change, at most so many. */
export function unchangedFiles(
  { top, base }: Range,
  wants: (path: string) => boolean,
  most: number,
): { readonly pairs: readonly ConfigPair[]; readonly rest: readonly string[] } {
  const all = halvesOf(git(top, ['ls-tree', '-r', '-z', '--full-tree', base.commit]));
  const halves = all.filter(({ mode, path }) => mode !== submodule && wants(path.toString('utf8')));
  const read = halves.slice(0, most);
  const blobs = readBlobs(top, read);
  const pairs = read.map((half): ConfigPair => {
    const side = sideOf(half, top, blobs);
    return { path: half.path.toString('utf8'), base: side, head: side };
  });
  return { pairs, rest: halves.slice(most).map(({ path }) => path.toString('utf8')) };
}

/**
 * The files that differ between the two states, with their text on both sides.
 *
 * @throws GitProblem with one sentence
 */
export function gitChanges({ top, base, head }: Range, matches: (path: string) => boolean): Changes {
  const words = ['diff', '--raw', '-z', '-M', '--no-abbrev', '--no-ext-diff', '--no-textconv', base.commit];
  const raw = pairsOf(git(top, [...words, ...(head.commit === undefined ? [] : [head.commit]), '--']));
  const wanted = raw.filter(
    ({ path, previousPath }) => matches(path) || (previousPath !== undefined && matches(previousPath)),
  );
  if (head.commit === undefined) {
    for (const [index, pair] of wanted.entries()) wanted[index] = inWorkingTree(pair, top);
    addUntracked(wanted, top, matches);
  }
  const blobs = readBlobs(
    top,
    wanted.flatMap((pair) => [pair.base, pair.head].flatMap((half) => (half === undefined ? [] : [half]))),
  );
  return {
    pairs: wanted.map((pair) => filled(pair, (half) => sideOf(half, top, blobs))),
    touched: raw.flatMap(({ path, previousPath }) => (previousPath === undefined ? [path] : [previousPath, path])),
    base: { sha: base.commit, label: base.label },
    head: { sha: head.commit ?? 'working tree', label: head.label },
    missed: [],
    notes: [],
  };
}

/** For a rename git names the object that the file would become, which no store has: what stands in the folder is read. */
function inWorkingTree(pair: Pair, top: string): Pair {
  const { head } = pair;
  const exists = head !== undefined && existsSync(Buffer.concat([Buffer.from(`${top}/`), head.path]));
  return exists ? { ...pair, head: { ...head, object: unwritten } } : pair;
}

/** Files that git does not know yet are new; one that left the index and stands in the folder is changed, not removed. */
function addUntracked(pairs: Pair[], top: string, matches: (path: string) => boolean): void {
  for (const bytes of split(git(top, ['ls-files', '--others', '--exclude-standard', '-z']))) {
    const path = bytes.toString('utf8');
    if (!matches(path)) continue;
    const head: Half = { mode: '', object: unwritten, path: bytes };
    const at = pairs.findIndex((pair) => pair.path === path && pair.head === undefined);
    const known = pairs[at];
    if (known === undefined) pairs.push({ path, head });
    else pairs[at] = { ...known, head };
  }
}

function filled({ path, previousPath, base, head }: Pair, side: (half: Half) => ConfigSide): ConfigPair {
  return {
    path,
    ...(previousPath === undefined ? {} : { previousPath }),
    ...(base === undefined ? {} : { base: side(base) }),
    ...(head === undefined ? {} : { head: side(head) }),
  };
}

/** What git writes for a file of the working tree that it has not stored. */
const unwritten = '0'.repeat(40);
const isUnwritten = (object: string): boolean => /^0+$/.test(object);

/** `git diff --raw -z`: names are bytes between NULs, so no name can pass for something else. */
function pairsOf(raw: Buffer): Pair[] {
  const pieces = split(raw);
  const pairs: Pair[] = [];
  for (let index = 0; index < pieces.length; ) {
    const [oldMode = '', newMode = '', oldObject = '', newObject = '', status = ''] = (
      pieces[index++]?.toString() ?? ''
    )
      .slice(1)
      .split(' ');
    const first = pieces[index++] ?? Buffer.alloc(0);
    const moved = status.startsWith('R') || status.startsWith('C');
    const path = moved ? (pieces[index++] ?? first) : first;
    const base =
      status.startsWith('A') || status.startsWith('C') ? undefined : { mode: oldMode, object: oldObject, path: first };
    const head = status.startsWith('D') ? undefined : { mode: newMode, object: newObject, path };
    pairs.push({
      path: path.toString('utf8'),
      ...(status.startsWith('R') ? { previousPath: first.toString('utf8') } : {}),
      ...(base === undefined ? {} : { base }),
      ...(head === undefined ? {} : { head }),
    });
  }
  return pairs;
}

/** What stands between NULs. */
export function split(text: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf(0, from);
    const until = end === -1 ? text.length : end;
    pieces.push(text.subarray(from, until));
    from = until + 1;
  }
  return pieces;
}

function sideOf({ mode, object, path }: Half, top: string, blobs: ReadonlyMap<string, ConfigSide>): ConfigSide {
  if (mode === '120000') return symbolicLink;
  if (mode === submodule) return { kind: 'refused', why: 'submodule', reason: 'The path is a submodule.' };
  const side = isUnwritten(object) ? readTracked(top, path) : blobs.get(object);
  if (side === undefined)
    return {
      kind: 'refused',
      why: 'unopened',
      reason: `${path.toString('utf8')} is not in this clone; fetch it (git fetch).`,
    };
  if (side.kind === 'bytes' && Buffer.from(side.bytes.subarray(0, 40)).toString().startsWith(largeFile))
    return {
      kind: 'refused',
      why: 'lfs-pointer',
      reason: `${path.toString('utf8')} is a Git LFS pointer; run git lfs pull.`,
    };
  return side;
}

const submodule = '160000';
const largeFile = 'version https://git-lfs.github.com/spec/';

/** The text of many blobs in two calls of git, however many there are; those that are too large are not read. */
function readBlobs(top: string, halves: readonly Half[]): ReadonlyMap<string, ConfigSide> {
  const blobs = new Map<string, ConfigSide>();
  const objects = [...new Set(halves.map(({ object }) => object))].filter((object) => !isUnwritten(object));
  if (objects.length === 0) return blobs;
  const groups: string[][] = [[]];
  let size = 0;
  for (const line of git(top, ['cat-file', '--batch-check'], `${objects.join('\n')}\n`)
    .toString()
    .split('\n')) {
    const [object = '', kind = '', length = '0'] = line.split(' ');
    if (kind !== 'blob') continue;
    if (Number(length) > largest) {
      blobs.set(object, tooLarge('The file'));
      continue;
    }
    if (size + Number(length) > batch) {
      groups.push([]);
      size = 0;
    }
    size += Number(length);
    groups.at(-1)?.push(object);
  }
  for (const group of groups) if (group.length > 0) readGroup(top, group, blobs);
  return blobs;
}

function readGroup(top: string, objects: readonly string[], blobs: Map<string, ConfigSide>): void {
  const answer = git(top, ['cat-file', '--batch'], `${objects.join('\n')}\n`);
  for (let at = 0; at < answer.length; ) {
    const end = answer.indexOf(10, at);
    if (end === -1) return;
    const [object = '', kind = '', length = '0'] = answer.subarray(at, end).toString().split(' ');
    const until = end + 1 + (kind === 'blob' ? Number(length) : 0);
    if (kind === 'blob') blobs.set(object, { kind: 'bytes', bytes: answer.subarray(end + 1, until) });
    at = kind === 'blob' ? until + 1 : until;
  }
}
