import { z } from 'zod';
import type { Settings } from '../settings.ts';
import type { Changes, ConfigPair } from '../world.ts';
import type { Api, Repository } from './api.ts';
import { readContents, type Wanted } from './contents.ts';

const file = z.object({ filename: z.string(), status: z.string(), previous_filename: z.string().optional() });
type ChangedFile = z.infer<typeof file>;

const pageSize = 100;
/** What GitHub lists of a pull request at most, and of a comparison. */
const mostListed = 3_000;
const mostCompared = 300;

/** A pull request as it is now: a re-run's event may be long out of date. */
export type Pull = {
  readonly number: number;
  readonly head: string;
  readonly headLabel: string;
  readonly base: string;
  readonly baseLabel: string;
  readonly labels: readonly string[];
  readonly changedFiles: number;
};

const pullSchema = z.object({
  head: z.object({ sha: z.string(), ref: z.string() }),
  base: z.object({ sha: z.string(), ref: z.string() }),
  labels: z.array(z.object({ name: z.string() })),
  changed_files: z.number(),
});

export async function readPull(api: Api, repository: Repository, number: number): Promise<Pull> {
  const { data } = await api.rest.pulls.get({ ...repository, pull_number: number });
  const { head, base, labels, changed_files } = pullSchema.parse(data);
  return {
    number,
    head: head.sha,
    headLabel: head.ref,
    base: base.sha,
    baseLabel: base.ref,
    labels: labels.map(({ name }) => name),
    changedFiles: changed_files,
  };
}

/** The commit that the pull request is compared with: the merge base, unless the user wants the tip or a commit. */
export async function baseline(
  api: Api,
  repository: Repository,
  wanted: string,
  base: string,
  head: string,
): Promise<string> {
  if (wanted === 'base-tip') return base;
  if (wanted !== 'merge-base') return wanted;
  const { data } = await api.rest.repos.compareCommitsWithBasehead({
    ...repository,
    basehead: `${base}...${head}`,
    per_page: 1,
  });
  return z.object({ merge_base_commit: z.object({ sha: z.string() }) }).parse(data).merge_base_commit.sha;
}

/** The changed model configs of a pull request. */
export async function pullChanges(
  api: Api,
  repository: Repository,
  pull: Pull,
  base: string,
  settings: Settings,
): Promise<Changes> {
  const pages = Math.ceil(Math.min(pull.changedFiles, mostListed) / pageSize);
  const files: ChangedFile[] = [];
  for (let page = 1; page <= pages; page++) {
    const { data } = await api.rest.pulls.listFiles({
      ...repository,
      pull_number: pull.number,
      per_page: pageSize,
      page,
    });
    files.push(...z.array(file).parse(data));
  }
  const notes =
    pull.changedFiles > mostListed
      ? [
          `The pull request changes ${pull.changedFiles} files; GitHub lists the first ${mostListed}, and configs beyond them were not looked at.`,
        ]
      : [];
  const pairs = await pairsOf(api, repository, files, base, pull.head, settings);
  return {
    pairs,
    notes,
    base: { sha: base, label: settings.baseline === 'base-tip' ? pull.baseLabel : `merge base with ${pull.baseLabel}` },
    head: { sha: pull.head, label: pull.headLabel },
  };
}

/** The model configs that changed between two commits (push, merge queue). */
export async function rangeChanges(
  api: Api,
  repository: Repository,
  range: { readonly base: string; readonly head: string; readonly label: string },
  settings: Settings,
): Promise<Changes> {
  const { data } = await api.rest.repos.compareCommitsWithBasehead({
    ...repository,
    basehead: `${range.base}...${range.head}`,
    per_page: 1,
  });
  const { merge_base_commit, files = [] } = z
    .object({ merge_base_commit: z.object({ sha: z.string() }), files: z.array(file).optional() })
    .parse(data);
  const notes =
    files.length >= mostCompared
      ? [`GitHub compares ${mostCompared} files at most; configs beyond them were not looked at.`]
      : [];
  const base = settings.baseline === 'merge-base' ? merge_base_commit.sha : range.base;
  const pairs = await pairsOf(api, repository, files, base, range.head, settings);
  return { pairs, notes, base: { sha: base, label: 'before' }, head: { sha: range.head, label: range.label } };
}

async function pairsOf(
  api: Api,
  repository: Repository,
  files: readonly ChangedFile[],
  base: string,
  head: string,
  settings: Settings,
): Promise<readonly ConfigPair[]> {
  const wanted = files.filter(
    ({ filename, previous_filename }) =>
      settings.matches(filename) || (previous_filename !== undefined && settings.matches(previous_filename)),
  );
  const asked: Wanted[] = [];
  const ask = (one: Wanted | undefined) => (one === undefined ? undefined : asked.push(one) - 1);
  const places = wanted.map(({ filename, status, previous_filename }) => ({
    path: filename,
    previousPath: status === 'renamed' ? previous_filename : undefined,
    base: ask(
      status === 'added' || status === 'copied' ? undefined : { commit: base, path: previous_filename ?? filename },
    ),
    head: ask(status === 'removed' ? undefined : { commit: head, path: filename }),
  }));
  const sides = await readContents(api, repository, asked);
  const at = (place: number | undefined) => (place === undefined ? undefined : sides[place]);
  return places.map(({ path, previousPath, base: old, head: now }): ConfigPair => {
    const [before, after] = [at(old), at(now)];
    return {
      path,
      ...(previousPath === undefined ? {} : { previousPath }),
      ...(before === undefined ? {} : { base: before }),
      ...(after === undefined ? {} : { head: after }),
    };
  });
}

/** Every matching config of one commit, for a full report. */
export async function allConfigs(
  api: Api,
  repository: Repository,
  sha: string,
  label: string,
  settings: Settings,
): Promise<Changes> {
  const { data } = await api.rest.git.getTree({ ...repository, tree_sha: sha, recursive: '1' });
  const { tree, truncated } = z
    .object({
      truncated: z.boolean(),
      tree: z.array(z.object({ path: z.string(), type: z.string(), mode: z.string() })),
    })
    .parse(data);
  const paths = tree
    .filter(({ type, mode, path }) => type === 'blob' && mode !== '120000' && settings.matches(path))
    .map(({ path }) => path);
  const mostReported = 1_000;
  const sides = await readContents(
    api,
    repository,
    paths.slice(0, mostReported).map((path) => ({ commit: sha, path })),
  );
  const pairs = paths.slice(0, mostReported).flatMap((path, index): ConfigPair[] => {
    const head = sides[index];
    return head === undefined ? [] : [{ path, head }];
  });
  const notes = [
    ...(truncated
      ? [
          'The repository is larger than GitHub lists in one answer; some configs were not looked at. Name them with the input configs.',
        ]
      : []),
    ...(paths.length > mostReported ? [`${paths.length} files match; the first ${mostReported} were looked at.`] : []),
  ];
  return { pairs, notes, head: { sha, label } };
}
