import { z } from 'zod';
import type { Pull } from './pulls.ts';
import type { Remote } from './remote.ts';

/** A label as it stands on a pull request: who set it, or why it does not count for the commit that is judged. */
export type LabelSet =
  | { readonly counts: true; readonly by: string | undefined }
  | { readonly counts: false; readonly why: string };

const item = z.object({
  __typename: z.string(),
  createdAt: z.string().optional(),
  label: z.object({ name: z.string() }).optional(),
  actor: z.object({ login: z.string() }).nullish(),
  commit: z.object({ oid: z.string(), committedDate: z.string() }).optional(),
});
type Item = z.infer<typeof item>;
const answer = z.object({
  repository: z.object({ pullRequest: z.object({ timelineItems: z.object({ nodes: z.array(item.nullable()) }) }) }),
});

const query = `query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    timelineItems(last: 100, itemTypes: [LABELED_EVENT, PULL_REQUEST_COMMIT, HEAD_REF_FORCE_PUSHED_EVENT]) { nodes {
      __typename
      ... on LabeledEvent { createdAt label { name } actor { login } }
      ... on HeadRefForcePushedEvent { createdAt }
      ... on PullRequestCommit { commit { oid committedDate } } } } } } }`;

/**
 * Whether a label was set on the commit that is judged, and by whom: what was approved is not what was pushed afterwards.
 *
 * @param pushed when the commit came, where the event tells it
 */
export async function labelSet(
  remote: Remote,
  pull: Pull,
  label: string,
  pushed: string | undefined,
): Promise<LabelSet> {
  if (!pull.newest) return no(label, 'does not count for this commit, since the pull request has a newer one');
  const items = await timeline(remote, pull.number);
  const at = items?.findLastIndex((one) => one.label?.name.toLowerCase() === label.toLowerCase()) ?? -1;
  const set = items?.[at];
  if (items === undefined || set?.createdAt === undefined)
    return no(label, 'does not count, since GitHub does not tell when it was set; remove it and set it again');
  // A commit's own date is its author's to choose, so it may only speak against the label.
  const since = items.slice(at + 1).some((one) => one.label === undefined);
  const times = [pushed, ...items.map((one) => arrival(one, pull.head))];
  const earlier = times.some((time) => time !== undefined && Date.parse(time) >= Date.parse(set.createdAt ?? ''));
  if (since || earlier)
    return no(label, 'was set before the latest commit, so it does not count; remove it and set it again');
  return { counts: true, by: set.actor?.login };
}

const no = (label: string, words: string): LabelSet => ({
  counts: false,
  why: `The label ${JSON.stringify(label)} ${words}.`,
});

const arrival = ({ label, commit, createdAt }: Item, head: string): string | undefined =>
  label !== undefined
    ? undefined
    : commit === undefined
      ? createdAt
      : commit.oid === head
        ? commit.committedDate
        : undefined;

/** undefined where GitHub does not give it. */
async function timeline({ api, repository }: Remote, number: number): Promise<readonly Item[] | undefined> {
  try {
    const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, number });
    const { nodes } = answer.parse(data).repository.pullRequest.timelineItems;
    return nodes.filter((node) => node !== null);
  } catch {
    return undefined;
  }
}
