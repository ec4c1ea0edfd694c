import { type Answer, type Ask, jobsOf } from '../jobs.ts';
import type { Settings } from '../settings/settings.ts';
import type { Changes, InTime } from '../world.ts';
import type { Remote } from './remote.ts';
import { symlinkMode, type Trees, treeChanges } from './trees.ts';

/** The changes with the files that their jobs refer to, and with every other job that uses a file that changed. */
export async function withJobs(remote: Remote, changes: Changes, settings: Settings, inTime: InTime): Promise<Changes> {
  const asking = jobsOf(changes, settings, inTime);
  let step = asking.next();
  while (step.done !== true) step = asking.next(await answer(remote, changes, settings, step.value));
  return step.value;
}

async function answer(remote: Remote, { base, head }: Changes, settings: Settings, ask: Ask): Promise<Answer> {
  const commits = { base: base?.sha, head: head?.sha };
  if (ask.kind === 'files') {
    const wanted = ask.wanted.map(({ side, path }) => ({ commit: commits[side] ?? '', path }));
    const there = wanted.filter(({ commit }) => commit !== '');
    const sides = await remote.contents.read(there);
    return { kind: 'files', sides: wanted.map((one) => sides[there.indexOf(one)]) };
  }
  if (!ask.everywhere) return listedAtOnce(remote.trees, head?.sha ?? '');
  const { files, missed } = await treeChanges(remote.trees, undefined, head?.sha ?? '', settings.reach);
  const paths = files.filter(({ symlink }) => symlink !== true).map(({ filename }) => filename);
  return { kind: 'list', paths, missed };
}

async function listedAtOnce(trees: Trees, commit: string): Promise<Answer> {
  const { entries, truncated } = await trees.list(commit);
  const paths = entries.filter(({ type, mode }) => type === 'blob' && mode !== symlinkMode).map(({ path }) => path);
  return { kind: 'list', paths, missed: truncated ? [{ kind: 'folders', most: 0, paths: ['.'] }] : [] };
}
