import { z } from 'zod';
import type { Remote } from './remote.ts';

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

const named = z.object({ nameWithOwner: z.string() }).nullable();
const target = z.object({ target: z.object({ oid: z.string() }).nullable() }).nullable();
const answer = z.object({
  repository: z.object({
    pullRequest: z.object({
      state: z.string(),
      headRefOid: z.string(),
      headRefName: z.string(),
      headRepository: named,
      baseRefOid: z.string(),
      baseRefName: z.string(),
      baseRef: target,
      baseRepository: named,
      labels: z.object({ nodes: z.array(z.object({ name: z.string() }).nullable()) }).nullable(),
      changedFiles: z.number(),
    }),
  }),
});

/** GitHub takes a hundred labels on a pull request. */
const query = `query ($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) { pullRequest(number: $number) {
  state headRefOid headRefName headRepository { nameWithOwner } baseRefOid baseRefName baseRef { target { oid } } baseRepository { nameWithOwner }
  labels(first: 100) { nodes { name } } changedFiles } } }`;

/**
 * The pull request with the tip that its base branch has now. What GitHub keeps with a pull request is the tip of some time
 * ago, whose merge base would show what others changed since.
 *
 * @throws GraphqlResponseError where it cannot be read
 */
export async function readPull({ api, repository }: Remote, number: number): Promise<Pull> {
  const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, number });
  const pull = answer.parse(data).repository.pullRequest;
  const open = pull.state === 'OPEN';
  return {
    number,
    head: pull.headRefOid,
    newest: true,
    headLabel: pull.headRefName,
    base: (open ? pull.baseRef?.target?.oid : undefined) ?? pull.baseRefOid,
    baseLabel: pull.baseRefName,
    labels: (pull.labels?.nodes ?? []).flatMap((label) => (label === null ? [] : [label.name])),
    changedFiles: pull.changedFiles,
    open,
    fromFork: pull.headRepository?.nameWithOwner !== pull.baseRepository?.nameWithOwner,
  };
}

/** The pull request at the commit whose check the run is: a verdict on another commit would hang on this one. */
export const pullAt = (pull: Pull, head: string): Pull => ({ ...pull, head, newest: pull.head === head });

/** Commit at the tip of a branch; undefined where there is no such branch. */
export async function tipOf({ api, repository }: Remote, branch: string): Promise<string | undefined> {
  const data: unknown = await api.graphql(
    'query ($owner: String!, $name: String!, $ref: String!) { repository(owner: $owner, name: $name) { ref(qualifiedName: $ref) { target { oid } } } }',
    { owner: repository.owner, name: repository.repo, ref: `refs/heads/${branch}` },
  );
  const { ref } = z.object({ repository: z.object({ ref: target }) }).parse(data).repository;
  return ref?.target?.oid;
}

/** The pull request that a run is of, at the commit that it judges; `onto` is its base branch, as far as the event knows. */
export type Asked = { readonly number: number; readonly head: string; readonly onto?: string };

/**
 * The open pull request of another workflow's run, by the repository, branch and commit it ran on, none of which the run can
 * choose; undefined where it is closed or has moved on.
 */
export async function pullOfRun(
  { api, repository }: Remote,
  run: { readonly repository: string; readonly branch: string; readonly head: string },
): Promise<Asked | undefined> {
  const data: unknown = await api.graphql(
    'query ($owner: String!, $name: String!, $branch: String!) { repository(owner: $owner, name: $name) { pullRequests(headRefName: $branch, states: OPEN, first: 100) { nodes { number headRefOid baseRefName headRepository { nameWithOwner } } } } }',
    { owner: repository.owner, name: repository.repo, branch: run.branch },
  );
  const node = z.object({
    number: z.number(),
    headRefOid: z.string(),
    baseRefName: z.string(),
    headRepository: z.object({ nameWithOwner: z.string() }).nullable(),
  });
  const nodes = z.array(node.nullable());
  const { pullRequests } = z
    .object({ repository: z.object({ pullRequests: z.object({ nodes }) }) })
    .parse(data).repository;
  const found = pullRequests.nodes.find(
    (one) => one?.headRefOid === run.head && one.headRepository?.nameWithOwner === run.repository,
  );
  return found ? { number: found.number, head: run.head, onto: found.baseRefName } : undefined;
}
