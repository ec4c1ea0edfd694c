import { z } from 'zod';
import { isCode, namedConfig } from '../read/config.ts';
import type { Settings } from '../settings/settings.ts';
import type { Changes, ConfigPair, ConfigSide, Missed } from '../world.ts';
import { type Baseline, compareCommits, file, mostCompared } from './compare.ts';
import { mostBlobs, mostBytes, type Wanted } from './contents.ts';
import { inParallel } from './parallel.ts';
import { type Pull, readPull } from './pulls.ts';
import type { Remote } from './remote.ts';
import { type ChangedFile, type TreeChanges, treeChanges } from './trees.ts';

const pageSize = 100;
/** What GitHub lists of a pull request at most. */
const mostListed = 3_000;
/** Files that one run reads on each side. */
const mostRead = 1_000;

/** Files that are asked for together with the rules, which may turn out not to be wanted. */
const mostAhead = 10;

/** The files that a pull request of a few configs reads, as far as they are known before its rules are. */
export function likelyWanted({ commit, files = [] }: Baseline, pull: Pull, settings: Settings): readonly Wanted[] {
  return inOrder(files, settings)
    .slice(0, mostAhead)
    .flatMap(({ filename, status, previous_filename: old }) => [
      { commit, path: old ?? filename },
      ...(status === 'removed' ? [] : [{ commit: pull.head, path: filename }]),
      ...(commit === pull.base ? [] : [{ commit: pull.base, path: old ?? filename }]),
    ]);
}

/** The changed model configs of a pull request. */
export async function pullChanges(remote: Remote, pull: Pull, base: Baseline, settings: Settings): Promise<Changes> {
  const { commit } = base;
  const found =
    settings.baseline === 'merge-base'
      ? await sinceMergeBase(remote, pull, base, settings)
      : await treeChanges(remote.trees, commit, pull.head, settings.reach);
  const label =
    settings.baseline === 'merge-base'
      ? `merge base with ${pull.baseLabel}`
      : settings.baseline === 'base-tip'
        ? pull.baseLabel
        : 'baseline';
  return {
    ...(await pairsOf(remote, found, commit, pull.head, settings)),
    base: { sha: commit, label },
    head: { sha: pull.head, label: pull.headLabel },
  };
}

/** GitHub's list of a pull request's files is that of its newest commit, so it counts only where that is the judged one. */
async function sinceMergeBase(
  remote: Remote,
  pull: Pull,
  { commit, files }: Baseline,
  settings: Settings,
): Promise<TreeChanges> {
  if (files !== undefined) return { files, missed: [] };
  if (pull.newest && pull.changedFiles <= mostListed) {
    const listed = await listFiles(remote, pull);
    const now = await readPull(remote, pull.number);
    if (now.head === pull.head) return { files: listed, missed: [] };
  }
  return treeChanges(remote.trees, commit, pull.head, settings.reach);
}

async function listFiles({ api, repository }: Remote, pull: Pull): Promise<readonly ChangedFile[]> {
  const pages = Array.from({ length: Math.ceil(pull.changedFiles / pageSize) }, (_, index) => index + 1);
  const lists = await inParallel(pages, async (page) => {
    const { data } = await api.rest.pulls.listFiles({
      ...repository,
      pull_number: pull.number,
      per_page: pageSize,
      page,
    });
    return z.array(file).parse(data);
  });
  return lists.flat();
}

/** A range of commits (push, merge queue). */
export type Range = {
  readonly base: string;
  readonly head: string;
  readonly label: string;
  /** What the base is, in words. */
  readonly from: string;
  /** Compared with the base itself, though it may not lie on the head's history (a forced push). */
  readonly direct: boolean;
};

/** The model configs that changed between two commits (push, merge queue). */
export async function rangeChanges(remote: Remote, range: Range, settings: Settings): Promise<Changes> {
  const { head } = range;
  const named = !['merge-base', 'base-tip'].includes(settings.baseline);
  const from = named ? settings.baseline : range.base;
  const compared = await compareCommits(remote, from, head);
  const base = named || range.direct || settings.baseline === 'base-tip' ? compared.base : compared.mergeBase;
  const listed = base === compared.mergeBase && compared.files.length < mostCompared;
  const found = listed
    ? { files: compared.files, missed: [] }
    : await treeChanges(remote.trees, base, head, settings.reach);
  return {
    ...(await pairsOf(remote, found, base, head, settings)),
    base: { sha: base, label: named ? 'baseline' : range.from },
    head: { sha: head, label: range.label },
  };
}

async function pairsOf(
  remote: Remote,
  { files, missed }: TreeChanges,
  base: string | undefined,
  head: string,
  settings: Settings,
): Promise<Pick<Changes, 'pairs' | 'missed' | 'notes' | 'touched'>> {
  const all = inOrder(files, settings);
  const wanted = all.slice(0, mostRead);
  const asked: Wanted[] = [];
  const ask = (one: Wanted) => asked.push(one) - 1;
  const places = wanted.map(({ filename, status, previous_filename }) => ({
    path: filename,
    previousPath: status === 'renamed' ? previous_filename : undefined,
    // Asked for whatever the list says: it may be of another base than ours.
    base: base === undefined ? undefined : ask({ commit: base, path: previous_filename ?? filename }),
    head: status === 'removed' ? undefined : ask({ commit: head, path: filename }),
  }));
  const sides = await remote.contents.read(asked);
  const pairs = places.flatMap(({ path, previousPath, base: old, head: now }): readonly ConfigPair[] => {
    const before = old === undefined ? undefined : sides[old];
    const after = now === undefined ? undefined : (sides[now] ?? lost(path));
    if (previousPath === undefined && sameBytes(before, after)) return [];
    return [
      {
        path,
        ...(previousPath === undefined ? {} : { previousPath }),
        ...(before === undefined ? {} : { base: before }),
        ...(after === undefined ? {} : { head: after }),
      },
    ];
  });
  const rest = all.slice(mostRead);
  const gone = rest.filter(({ status }) => status === 'removed').length;
  const left = rest.filter(({ status }) => status !== 'removed').map(({ filename }) => filename);
  return {
    pairs: pairs.filter(({ head: side }) => beyondAllowance(side) === undefined),
    missed: [...missed, ...missedOf('count', mostRead, left), ...beyondAllowances(pairs)],
    touched: files.flatMap(({ filename, previous_filename: old }) =>
      old === undefined ? [filename] : [old, filename],
    ),
    notes: gone === 0 ? [] : [`${gone} removed files that could have been model configs were not read.`],
  };
}

/** Files that could be configs, those first that must not be missed: named, known at the base, called as configs are. */
function inOrder(files: readonly ChangedFile[], settings: Settings): readonly ChangedFile[] {
  return files
    .filter(
      ({ filename, previous_filename: old }) =>
        settings.matches(filename) || (old !== undefined && settings.matches(old)),
    )
    .map((one) => {
      const { filename, status } = one;
      const [gone, named, isNew] = [status === 'removed', settings.named(filename), status === 'added'];
      const code = !named && isCode(filename) ? 16 : 0;
      return {
        one,
        place: code + (gone ? 8 : 0) + (named ? 0 : 4) + (isNew ? 2 : 0) + (namedConfig(filename) ? 0 : 1),
      };
    })
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one);
}

const missedOf = (kind: Missed['kind'], most: number, paths: readonly string[]): readonly Missed[] =>
  paths.length === 0 ? [] : [{ kind, most, paths }];

/** Which allowance was used up when the turn came to this file. */
function beyondAllowance(side: ConfigSide | undefined): 'bytes' | 'blobs' | undefined {
  if (side?.kind !== 'refused') return undefined;
  return side.why === 'over-bytes' ? 'bytes' : side.why === 'over-blobs' ? 'blobs' : undefined;
}

function beyondAllowances(pairs: readonly ConfigPair[]): readonly Missed[] {
  const of = (kind: 'bytes' | 'blobs') =>
    pairs.filter(({ head }) => beyondAllowance(head) === kind).map(({ path }) => path);
  return [...missedOf('bytes', mostBytes, of('bytes')), ...missedOf('blobs', mostBlobs, of('blobs'))];
}

/** Listed and not changed: only its mode was, or the list is of another base. */
const sameBytes = (before: ConfigSide | undefined, after: ConfigSide | undefined): boolean =>
  before?.kind === 'bytes' && after?.kind === 'bytes' && Buffer.compare(before.bytes, after.bytes) === 0;

/** A file that GitHub lists and does not give: git takes names that no request can carry. */
const lost = (path: string): ConfigSide => ({
  kind: 'refused',
  why: 'lost',
  reason: `${path} is listed by GitHub, but not found under that name; it may not be valid UTF-8.`,
});

/** Every matching config of one commit, for a full report. */
export async function allConfigs(remote: Remote, sha: string, label: string, settings: Settings): Promise<Changes> {
  const { files: all, missed } = await treeChanges(remote.trees, undefined, sha, settings.reach);
  // Of code, only what a pattern names: a repository has thousands of Python files, and few of them state a training.
  const files = all.filter(({ filename }) => !isCode(filename) || settings.named(filename));
  const isLink = ({ symlink }: ChangedFile) => symlink === true;
  const links = files.filter((file) => isLink(file) && settings.matches(file.filename)).length;
  const listed = { files: files.filter((file) => !isLink(file)), missed };
  const found = await pairsOf(remote, listed, undefined, sha, settings);
  const note = `${links} symbolic ${links === 1 ? 'link was' : 'links were'} not followed; what they point to in this repository is looked at itself.`;
  return { ...found, notes: [...found.notes, ...(links === 0 ? [] : [note])], head: { sha, label } };
}
