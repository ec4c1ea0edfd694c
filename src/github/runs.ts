import { trainedOtherwise } from '../run.ts';
import type { Inputs } from '../settings/inputs.ts';
import { type Documents, describedBy, type Settings } from '../settings/settings.ts';
import { filesOf, withTheirs } from '../tip.ts';
import type { Changes, ConfigPair, Missed } from '../world.ts';
import { compareCommits, mostCompared } from './compare.ts';
import type { Remote } from './remote.ts';
import { readRules } from './rules.ts';
import { treeChanges } from './trees.ts';

/** Configs that are read because only their run changed. */
const mostRead = 1_000;

/** How the two sides of a change say that their configs are trained; files that are at hand are not read again. */
export async function runsOf(
  remote: Remote,
  inputs: Inputs,
  { base, head, tip }: Changes,
  known: ReadonlyMap<string, Documents>,
): Promise<Settings['runs']> {
  if (base === undefined || head === undefined) return undefined;
  const missing = [base.sha, head.sha].filter((commit) => !known.has(commit));
  const read = missing.length === 0 ? [] : await readRules(remote, inputs, missing);
  const at = (commit: string) => known.get(commit) ?? read[missing.indexOf(commit)] ?? {};
  return {
    base: describedBy(at(base.sha)),
    head: describedBy(at(head.sha), true),
    ...(tip === undefined ? {} : { tip: describedBy(at(tip.sha)) }),
  };
}

/** The changes with every config of the head whose text is as it was and whose run is not. */
export async function withRunChanges(remote: Remote, changes: Changes, settings: Settings): Promise<Changes> {
  const otherwise = trainedOtherwise(settings);
  if (changes.head === undefined || otherwise === undefined) return changes;
  const commit = changes.head.sha;
  const { files, missed } = await treeChanges(remote.trees, undefined, commit, settings.reach);
  const listed = new Set(changes.pairs.map(({ path }) => path));
  const paths = files
    .filter(({ filename, symlink }) => symlink !== true && !listed.has(filename))
    .map(({ filename }) => filename)
    .filter((path) => settings.matches(path) && otherwise(path))
    .sort((a, b) => Number(settings.named(b)) - Number(settings.named(a)));
  const read = paths.slice(0, mostRead);
  const sides = await remote.contents.read(read.map((path) => ({ commit, path })));
  const pairs = read.flatMap((path, index): readonly ConfigPair[] => {
    const side = sides[index];
    return side === undefined ? [] : [{ path, base: side, head: side }];
  });
  const rest: readonly Missed[] =
    paths.length > mostRead ? [{ kind: 'count', most: mostRead, paths: paths.slice(mostRead) }] : [];
  return { ...changes, pairs: [...changes.pairs, ...pairs], missed: [...changes.missed, ...missed, ...rest] };
}

/** The changes with what the tip of the base branch has of each file, where that is not what the change began from. */
export async function withTip(remote: Remote, changes: Changes): Promise<Changes> {
  const { tip, base } = changes;
  if (tip === undefined || base === undefined) return changes;
  const paths = [...new Set(changes.pairs.flatMap(filesOf))];
  const moved = await movedSince(remote, base.sha, tip.sha, paths);
  const sides = await remote.contents.read(moved.map((path) => ({ commit: tip.sha, path })));
  return withTheirs(changes, new Map(moved.map((path, index) => [path, sides[index]])));
}

/** Those that the base branch may have changed since; all, where what it has of them is known already. */
async function movedSince(
  remote: Remote,
  base: string,
  tip: string,
  paths: readonly string[],
): Promise<readonly string[]> {
  if (paths.every((path) => remote.contents.isKnown({ commit: tip, path }))) return paths;
  const { files } = await compareCommits(remote, base, tip);
  const moved = new Set(files.flatMap(({ filename, previous_filename: old }) => [filename, old ?? filename]));
  return paths.filter((path) => files.length >= mostCompared || moved.has(path));
}
