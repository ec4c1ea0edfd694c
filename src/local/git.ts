import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Changes, ConfigPair, ConfigSide } from '../world.ts';
import { readSide } from './files.ts';

/** A git command that failed, in a sentence for the user. */
export class GitProblem extends Error {}

const most = 256 * 2 ** 20;

function git(folder: string, words: readonly string[], input?: string): Buffer {
  try {
    return execFileSync('git', ['-C', folder, ...words], {
      maxBuffer: most,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(input === undefined ? {} : { input }),
    });
  } catch (error) {
    const stderr =
      typeof error === 'object' && error !== null && 'stderr' in error
        ? String(error.stderr).trim().split('\n')[0]
        : '';
    throw new GitProblem(stderr || 'git could not be run.');
  }
}

/** A revision's commit. A name that begins with a dash is no revision, so it cannot become an option. */
function commitOf(folder: string, revision: string): string {
  if (revision.startsWith('-')) throw new GitProblem(`"${revision}" is no git revision.`);
  try {
    return git(folder, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`])
      .toString()
      .trim();
  } catch {
    throw new GitProblem(`There is no git revision "${revision}" here; fetch it, or name another with --base.`);
  }
}

/**
 * The files that differ between two revisions of the repository, or a revision and the working tree, with their text on both
 * sides. The base is the merge base of the two, as on a pull request.
 */
export function gitChanges(
  folder: string,
  base: string,
  head: string | undefined,
  matches: (path: string) => boolean,
): Changes {
  const top = git(folder, ['rev-parse', '--show-toplevel']).toString().trim();
  const baseTip = commitOf(top, base);
  const headCommit = head === undefined ? undefined : commitOf(top, head);
  const mergeBase = git(top, ['merge-base', baseTip, headCommit ?? 'HEAD'])
    .toString()
    .trim();
  const list = git(top, [
    'diff',
    '--name-status',
    '-z',
    '-M',
    '--no-ext-diff',
    mergeBase,
    ...(headCommit === undefined ? [] : [headCommit]),
    '--',
  ]);
  const words = list
    .toString('utf8')
    .split('\0')
    .filter((word) => word !== '');
  const wanted: { path: string; previousPath?: string; status: string }[] = [];
  while (words.length > 0) {
    const status = words.shift() ?? '';
    const first = words.shift() ?? '';
    const renamed = status.startsWith('R') || status.startsWith('C');
    const path = renamed ? (words.shift() ?? '') : first;
    if (matches(path) || matches(first))
      wanted.push({ path, status, ...(status.startsWith('R') ? { previousPath: first } : {}) });
  }
  if (headCommit === undefined) {
    const untracked = git(top, ['ls-files', '--others', '--exclude-standard', '-z']).toString('utf8').split('\0');
    for (const path of untracked) if (path !== '' && matches(path)) wanted.push({ path, status: 'A' });
  }
  const pairs = wanted.map(({ path, previousPath, status }): ConfigPair => {
    const old =
      status.startsWith('A') || status.startsWith('C') ? undefined : blob(top, mergeBase, previousPath ?? path);
    const now = status.startsWith('D')
      ? undefined
      : headCommit === undefined
        ? readSide(join(top, path))
        : blob(top, headCommit, path);
    return {
      path,
      ...(previousPath === undefined ? {} : { previousPath }),
      ...(old === undefined ? {} : { base: old }),
      ...(now === undefined ? {} : { head: now }),
    };
  });
  return {
    pairs,
    base: { sha: mergeBase, label: base },
    head: { sha: headCommit ?? 'working tree', label: head ?? 'working tree' },
    notes: [],
  };
}

function blob(top: string, commit: string, path: string): ConfigSide {
  const [mode = ''] = git(top, ['ls-tree', commit, '--', `:(literal)${path}`])
    .toString()
    .split(' ');
  if (mode === '120000') return { kind: 'refused', reason: 'The file is a symbolic link; it is not followed.' };
  if (mode === '160000') return { kind: 'refused', reason: 'The path is a submodule.' };
  return { kind: 'bytes', bytes: git(top, ['cat-file', 'blob', `${commit}:${path}`]) };
}
