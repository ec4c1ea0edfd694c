import { z } from 'zod';
import { isCode, namedConfig } from '../read/config.ts';
import type { Settings } from '../settings/settings.ts';
import type { Changes, ConfigPair, ConfigSide, Missed } from '../world.ts';
import { type Api, GitHubProblem, type Repository } from './api.ts';
import { mostBlobs, mostBytes, readContents, type Wanted } from './contents.ts';
import { type ChangedFile, type TreeChanges, treeChanges } from './trees.ts';

const file = z.object({ filename: z.string(), status: z.string(), previous_filename: z.string().optional() });

const pageSize = 100;
/** What GitHub lists of a pull request at most, and of a comparison. */
const mostListed = 3_000;
export const mostCompared = 300;
/** Files that one run reads on each side. */
const mostRead = 1_000;

/** A pull request as it is now, since a re-run's event may be long out of date; but for the commit that is judged. */
export type Pull = {
  readonly number: number;
  readonly head: string;
  /** False where commits were pushed since, so that GitHub's lists are of another commit than `head`. */
  readonly newest: boolean;
  readonly headLabel: string;
  /** The tip of the base branch; of a pull request that is closed, what it was then. */
  readonly base: string;
  readonly baseLabel: string;
  readonly labels: readonly string[];
  readonly changedFiles: number;
  readonly open: boolean;
  /** Its commits are in another repository, so that its workflows get a token that may only read. */
  readonly fromFork: boolean;
};

const pullSchema = z.object({
  state: z.string(),
  head: z.object({ sha: z.string(), ref: z.string(), repo: z.object({ full_name: z.string() }).nullish() }),
  base: z.object({ sha: z.string(), ref: z.string(), repo: z.object({ full_name: z.string() }).nullish() }),
  labels: z.array(z.object({ name: z.string() })),
  changed_files: z.number(),
});

/**
 * A pull request as the API tells of it.
 *
 * @throws RequestError where it cannot be read
 */
export async function readPull(api: Api, repository: Repository, number: number): Promise<Pull> {
  const { data } = await api.rest.pulls.get({ ...repository, pull_number: number });
  const { state, head, base, labels, changed_files } = pullSchema.parse(data);
  return {
    number,
    head: head.sha,
    newest: true,
    headLabel: head.ref,
    base: base.sha,
    baseLabel: base.ref,
    labels: labels.map(({ name }) => name),
    changedFiles: changed_files,
    open: state === 'open',
    fromFork: head.repo?.full_name !== base.repo?.full_name,
  };
}

/** The pull request at the commit whose check the run is: a verdict on another commit would hang on this one. */
export const pullAt = (pull: Pull, head: string): Pull => ({ ...pull, head, newest: pull.head === head });

/**
 * The pull request with the tip that its base branch has now. What GitHub keeps with a pull request is the tip of some time
 * ago, whose merge base would show what others changed since.
 */
export async function withLiveBase(api: Api, repository: Repository, pull: Pull): Promise<Pull> {
  if (!pull.open) return pull;
  return { ...pull, base: (await tipOf(api, repository, pull.baseLabel)) ?? pull.base };
}

/** Commit at the tip of a branch; undefined where there is no such branch. */
export async function tipOf(api: Api, repository: Repository, branch: string): Promise<string | undefined> {
  const data: unknown = await api.graphql(
    'query ($owner: String!, $name: String!, $ref: String!) { repository(owner: $owner, name: $name) { ref(qualifiedName: $ref) { target { oid } } } }',
    { owner: repository.owner, name: repository.repo, ref: `refs/heads/${branch}` },
  );
  const target = z.object({ target: z.object({ oid: z.string() }).nullable() }).nullable();
  const { ref } = z.object({ repository: z.object({ ref: target }) }).parse(data).repository;
  return ref?.target?.oid;
}

/**
 * The open pull request of another workflow's run, by the repository, branch and commit it ran on, none of which the run can
 * choose; undefined where it is closed or has moved on.
 */
export async function pullOfRun(
  api: Api,
  repository: Repository,
  run: { readonly repository: string; readonly branch: string; readonly head: string },
): Promise<number | undefined> {
  const data: unknown = await api.graphql(
    'query ($owner: String!, $name: String!, $branch: String!) { repository(owner: $owner, name: $name) { pullRequests(headRefName: $branch, states: OPEN, first: 100) { nodes { number headRefOid headRepository { nameWithOwner } } } } }',
    { owner: repository.owner, name: repository.repo, branch: run.branch },
  );
  const node = z.object({
    number: z.number(),
    headRefOid: z.string(),
    headRepository: z.object({ nameWithOwner: z.string() }).nullable(),
  });
  const nodes = z.array(node.nullable());
  const { pullRequests } = z
    .object({ repository: z.object({ pullRequests: z.object({ nodes }) }) })
    .parse(data).repository;
  const found = pullRequests.nodes.find(
    (one) => one?.headRefOid === run.head && one.headRepository?.nameWithOwner === run.repository,
  );
  return found?.number;
}

type Compared = { readonly base: string; readonly mergeBase: string; readonly files: readonly ChangedFile[] };

/** Two commits with no history in common. */
export class Unrelated extends GitHubProblem {}

/** @throws GitHubProblem where the two commits have no history in common, or one does not exist */
export async function compareCommits(api: Api, repository: Repository, base: string, head: string): Promise<Compared> {
  const schema = z.object({
    base_commit: z.object({ sha: z.string() }),
    merge_base_commit: z.object({ sha: z.string() }),
    files: z.array(file).optional(),
  });
  try {
    const basehead = `${base}...${head}`;
    const { data } = await api.rest.repos.compareCommitsWithBasehead({ ...repository, basehead, per_page: 1 });
    const { base_commit, merge_base_commit, files = [] } = schema.parse(data);
    return { base: base_commit.sha, mergeBase: merge_base_commit.sha, files };
  } catch (error) {
    const missing = typeof error === 'object' && error !== null && 'status' in error && error.status === 404;
    if (!missing) throw error;
    const [from, to] = [base.slice(0, 12), head.slice(0, 12)];
    if (/No common ancestor/i.test(String(error)))
      throw new Unrelated(
        `${from} and ${to} have no history in common, so there is no merge base; set baseline to base-tip or to a commit.`,
      );
    throw new GitHubProblem(
      `GitHub cannot compare ${from} with ${to}: one of them is not to be found with this token, which needs contents: read.`,
    );
  }
}

/** What a head is compared with, and what changed since, where GitHub has listed all of it. */
export type Baseline = { readonly commit: string; readonly files?: readonly ChangedFile[] };

/** The commit that the pull request is compared with: the merge base, unless the user wants the tip or a commit. */
export async function baseline(api: Api, repository: Repository, wanted: string, pull: Pull): Promise<Baseline> {
  if (wanted === 'base-tip') return { commit: pull.base };
  const from = wanted === 'merge-base' ? pull.base : wanted;
  const { base, mergeBase, files } = await compareCommits(api, repository, from, pull.head);
  if (wanted !== 'merge-base') return { commit: base };
  return files.length < mostCompared ? { commit: mergeBase, files } : { commit: mergeBase };
}

/** The changed model configs of a pull request. */
export async function pullChanges(
  api: Api,
  repository: Repository,
  pull: Pull,
  base: Baseline,
  settings: Settings,
): Promise<Changes> {
  const { commit } = base;
  const found =
    settings.baseline === 'merge-base'
      ? await sinceMergeBase(api, repository, pull, base, settings)
      : await treeChanges(api, repository, commit, pull.head, settings.reach);
  const label =
    settings.baseline === 'merge-base'
      ? `merge base with ${pull.baseLabel}`
      : settings.baseline === 'base-tip'
        ? pull.baseLabel
        : 'baseline';
  return {
    ...(await pairsOf(api, repository, found, commit, pull.head, settings)),
    base: { sha: commit, label },
    head: { sha: pull.head, label: pull.headLabel },
  };
}

/** GitHub's list of a pull request's files is that of its newest commit, so it counts only where that is the judged one. */
async function sinceMergeBase(
  api: Api,
  repository: Repository,
  pull: Pull,
  { commit, files }: Baseline,
  settings: Settings,
): Promise<TreeChanges> {
  if (files !== undefined) return { files, missed: [] };
  if (pull.newest && pull.changedFiles <= mostListed) {
    const listed = await listFiles(api, repository, pull);
    const now = await readPull(api, repository, pull.number);
    if (now.head === pull.head) return { files: listed, missed: [] };
  }
  return treeChanges(api, repository, commit, pull.head, settings.reach);
}

async function listFiles(api: Api, repository: Repository, pull: Pull): Promise<readonly ChangedFile[]> {
  const files: ChangedFile[] = [];
  for (let page = 1; page <= Math.ceil(pull.changedFiles / pageSize); page++) {
    const { data } = await api.rest.pulls.listFiles({
      ...repository,
      pull_number: pull.number,
      per_page: pageSize,
      page,
    });
    files.push(...z.array(file).parse(data));
  }
  return files;
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
export async function rangeChanges(
  api: Api,
  repository: Repository,
  range: Range,
  settings: Settings,
): Promise<Changes> {
  const { head } = range;
  const named = !['merge-base', 'base-tip'].includes(settings.baseline);
  const from = named ? settings.baseline : range.base;
  const compared = await compareCommits(api, repository, from, head);
  const base = named || range.direct || settings.baseline === 'base-tip' ? compared.base : compared.mergeBase;
  const listed = base === compared.mergeBase && compared.files.length < mostCompared;
  const found = listed
    ? { files: compared.files, missed: [] }
    : await treeChanges(api, repository, base, head, settings.reach);
  return {
    ...(await pairsOf(api, repository, found, base, head, settings)),
    base: { sha: base, label: named ? 'baseline' : range.from },
    head: { sha: head, label: range.label },
  };
}

async function pairsOf(
  api: Api,
  repository: Repository,
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
  const sides = await readContents(api, repository, asked);
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
export async function allConfigs(
  api: Api,
  repository: Repository,
  sha: string,
  label: string,
  settings: Settings,
): Promise<Changes> {
  const { files: all, missed } = await treeChanges(api, repository, undefined, sha, settings.reach);
  // Of code, only what a pattern names: a repository has thousands of Python files, and few of them state a training.
  const files = all.filter(({ filename }) => !isCode(filename) || settings.named(filename));
  const isLink = ({ symlink }: ChangedFile) => symlink === true;
  const links = files.filter((file) => isLink(file) && settings.matches(file.filename)).length;
  const listed = { files: files.filter((file) => !isLink(file)), missed };
  const found = await pairsOf(api, repository, listed, undefined, sha, settings);
  const note = `${links} symbolic ${links === 1 ? 'link was' : 'links were'} not followed; what they point to in this repository is looked at itself.`;
  return { ...found, notes: [...found.notes, ...(links === 0 ? [] : [note])], head: { sha, label } };
}
