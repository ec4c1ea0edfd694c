import { type Answer, type Ask, jobsOf } from '../jobs.ts';
import type { Settings } from '../settings/settings.ts';
import type { Changes, InTime } from '../world.ts';
import type { Api, Repository } from './api.ts';
import { readContents } from './contents.ts';
import { listTree, symlinkMode, treeChanges } from './trees.ts';

/** The changes with the files that their jobs refer to, and with every other job that uses a file that changed. */
export async function withJobs(
  api: Api,
  repository: Repository,
  changes: Changes,
  settings: Settings,
  inTime: InTime,
): Promise<Changes> {
  const asking = jobsOf(changes, settings, inTime);
  let step = asking.next();
  while (step.done !== true) step = asking.next(await answer(api, repository, changes, settings, step.value));
  return step.value;
}

async function answer(
  api: Api,
  repository: Repository,
  { base, head }: Changes,
  settings: Settings,
  ask: Ask,
): Promise<Answer> {
  const commits = { base: base?.sha, head: head?.sha };
  if (ask.kind === 'files') {
    const wanted = ask.wanted.map(({ side, path }) => ({ commit: commits[side] ?? '', path }));
    const there = wanted.filter(({ commit }) => commit !== '');
    const sides = await readContents(api, repository, there);
    return { kind: 'files', sides: wanted.map((one) => sides[there.indexOf(one)]) };
  }
  if (!ask.everywhere) return listedAtOnce(api, repository, head?.sha ?? '');
  const { files, missed } = await treeChanges(api, repository, undefined, head?.sha ?? '', settings.reach);
  const paths = files.filter(({ symlink }) => symlink !== true).map(({ filename }) => filename);
  return { kind: 'list', paths, missed };
}

async function listedAtOnce(api: Api, repository: Repository, commit: string): Promise<Answer> {
  const { entries, truncated } = await listTree(api, repository, commit);
  const paths = entries.filter(({ type, mode }) => type === 'blob' && mode !== symlinkMode).map(({ path }) => path);
  return { kind: 'list', paths, missed: truncated ? [{ kind: 'folders', most: 0, paths: ['.'] }] : [] };
}
