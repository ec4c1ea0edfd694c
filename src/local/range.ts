import { jobsOf } from '../jobs.ts';
import { trainedOtherwise } from '../run.ts';
import type { Settings } from '../settings/settings.ts';
import { filesOf, withTheirs } from '../tip.ts';
import type { Changes, InTime, Missed } from '../world.ts';
import { filesAt, gitChanges, pathsBetween, type Range, readAt, unchangedFiles } from './git.ts';

/**
 * What differs between the two states of a repository, as a pull request would have it: the files that changed, the configs that
 * are only trained otherwise, the jobs that use a file that changed, and what the base branch has by now.
 */
export function changesOf(range: Range, settings: Settings, inTime: InTime): Changes {
  const retrained = withRunChanges(range, gitChanges(range, settings.matches), settings);
  return withTip(range, withJobs(range, retrained, settings, inTime));
}

/** Unchanged configs that are read because their run changed. */
const mostUnchanged = 1_000;

/** The changes with every config whose text is as it was and whose run is not. */
function withRunChanges(range: Range, changes: Changes, settings: Settings): Changes {
  const otherwise = trainedOtherwise(settings);
  if (otherwise === undefined) return changes;
  const listed = new Set(changes.pairs.flatMap(({ path, previousPath }) => [path, previousPath ?? path]));
  const wants = (path: string) => !listed.has(path) && settings.matches(path) && otherwise(path);
  const { pairs, rest } = unchangedFiles(range, wants, mostUnchanged);
  const missed: readonly Missed[] = rest.length === 0 ? [] : [{ kind: 'count', most: mostUnchanged, paths: rest }];
  return { ...changes, pairs: [...changes.pairs, ...pairs], missed: [...changes.missed, ...missed] };
}

/** The changes with the files that their jobs refer to, and with every other job that uses a file that changed. */
function withJobs(range: Range, changes: Changes, settings: Settings, inTime: InTime): Changes {
  const commits = { base: range.base.commit, head: range.head.commit };
  const asking = jobsOf(changes, settings, inTime);
  let step = asking.next();
  while (step.done !== true) {
    const ask = step.value;
    step = asking.next(
      ask.kind === 'list'
        ? { kind: 'list', paths: filesAt(range), missed: [] }
        : { kind: 'files', sides: ask.wanted.map(({ side, path }) => readAt(range.top, commits[side], path)) },
    );
  }
  return step.value;
}

/** The changes with what the revision that they are compared with has of each file, where it has moved on since the merge base. */
function withTip({ top, base, tip }: Range, changes: Changes): Changes {
  if (tip === undefined) return changes;
  const moved = pathsBetween(top, base.commit, tip.commit);
  const paths = new Set(changes.pairs.flatMap(filesOf));
  const theirs = new Map(
    [...paths].filter((path) => moved.has(path)).map((path) => [path, readAt(top, tip.commit, path)]),
  );
  return withTheirs({ ...changes, tip: { sha: tip.commit, label: tip.label } }, theirs);
}
