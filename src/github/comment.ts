import { z } from 'zod';
import { marker } from '../report/comment.ts';
import { isWhole } from '../report/earlier.ts';
import { type Api, type Repository, reasonOf, unclear } from './api.ts';

export type CommentStatus = 'created' | 'updated' | 'unchanged' | 'skipped' | 'failed';
export type Posted = { readonly status: CommentStatus; readonly url: string; readonly reason?: string };

const node = z.object({
  id: z.string(),
  body: z.string(),
  url: z.string(),
  viewerDidAuthor: z.boolean(),
  isMinimized: z.boolean(),
});
const nodes = z.array(node.nullable());
type Node = z.infer<typeof node>;

const page = z.object({
  repository: z.object({
    pullRequest: z.object({
      id: z.string(),
      headRefOid: z.string(),
      state: z.string(),
      comments: z.object({
        pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
        nodes,
      }),
    }),
  }),
});
const added = z.object({
  addComment: z.object({
    commentEdge: z.object({ node: z.object({ url: z.string() }) }),
    subject: z.object({ comments: z.object({ nodes }) }),
  }),
});

type Found = { readonly id: string; readonly body: string; readonly url: string };

/** GitHub takes 2,500 comments on a pull request. */
const mostPages = 50;

const query = `query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { id headRefOid state comments(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id body url viewerDidAuthor isMinimized } } } } }`;

/** A new comment, and the last ones as they are then: ours among them are new, since there were none before. */
const addition = `mutation ($subject: ID!, $body: String!) { addComment(input: { subjectId: $subject, body: $body }) {
  commentEdge { node { url } }
  subject { ... on PullRequest { comments(last: 100) { nodes { id body url viewerDidAuthor isMinimized } } } } } }`;

/** Our comments, oldest first, with the pull request as it is at that moment: what is written must be of its newest commit. */
type Standing = { readonly own: readonly Found[]; readonly id: string; readonly head: string; readonly open: boolean };

async function standing(api: Api, repository: Repository, number: number, key: string): Promise<Standing> {
  const own: Found[] = [];
  let now = { id: '', head: '', open: false };
  let after: string | null = null;
  for (let count = 0; count < mostPages; count++) {
    const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, number, after });
    const { id, headRefOid, state, comments } = page.parse(data).repository.pullRequest;
    now = { id, head: headRefOid, open: state === 'OPEN' };
    own.push(...ofOurs(comments.nodes, key));
    if (!comments.pageInfo.hasNextPage) break;
    after = comments.pageInfo.endCursor;
  }
  return { ...now, own: thatSpeak(own) };
}

/** Those that begin with our marker and were written with this token's identity. */
const ofOurs = (comments: readonly (Node | null)[], key: string): readonly Found[] =>
  comments.flatMap((one) =>
    one?.viewerDidAuthor === true && !one.isMinimized && one.body.startsWith(marker(key)) ? [one] : [],
  );

/**
 * Other workflows have our identity too, so a comment that is not ours from heading to footer comes after all that are, and is
 * taken over only where there is no other.
 */
function thatSpeak(own: readonly Found[]): readonly Found[] {
  const whole = own.filter(({ body }) => isWhole(body));
  return whole.length > 0 ? whole : own.slice(0, 1);
}

/** What a comment is written out of: our earlier one, where there is one. */
type Write = (earlier: string | undefined) => string;

/**
 * Creates, updates or leaves our comment alone. Never writes for a head that is no longer the pull request's, and never fails
 * the run: what went wrong is a sentence.
 *
 * @param create false: an existing comment is brought up to date, none is created
 */
export async function post(
  api: Api,
  repository: Repository,
  pull: { readonly number: number; readonly head: string },
  key: string,
  write: Write,
  create: boolean,
): Promise<Posted> {
  try {
    const now = await standing(api, repository, pull.number, key);
    const [first, ...duplicates] = now.own;
    if (first === undefined && !create) return { status: 'skipped', url: '' };
    if (first !== undefined && duplicates.length === 0 && isEqual(first.body, write(first.body)))
      return { status: 'unchanged', url: first.url };
    const skipped = (reason: string): Posted => ({ status: 'skipped', url: first?.url ?? '', reason });
    if (now.head !== pull.head) return skipped('the pull request has a newer commit, whose run will comment.');
    if (!now.open) return skipped('the pull request is closed, and its comment stays as it is.');
    if (first !== undefined) return await settle(api, first, duplicates, write);
    return await send(api, repository, { number: pull.number, id: now.id }, key, write(undefined));
  } catch (error) {
    return { status: 'failed', url: '', reason: reasonOf(error) };
  }
}

const isEqual = (a: string, b: string) => a.replaceAll('\r\n', '\n').trim() === b.replaceAll('\r\n', '\n').trim();

/** The oldest of our comments says it, the others are folded away. */
async function settle(api: Api, first: Found, duplicates: readonly Found[], write: Write): Promise<Posted> {
  const body = write(first.body);
  const equal = isEqual(first.body, body);
  if (!equal)
    await api.graphql(
      'mutation ($id: ID!, $body: String!) { updateIssueComment(input: { id: $id, body: $body }) { issueComment { id } } }',
      { id: first.id, body },
    );
  for (const { id } of duplicates) {
    await api.graphql(
      'mutation ($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }',
      { id },
    );
  }
  return { status: equal ? 'unchanged' : 'updated', url: first.url };
}

type Target = { readonly number: number; readonly id: string };

/**
 * A new comment. It is not sent a second time before we have looked whether the first one stands there after all. Where it was
 * refused, REST either takes it or names the permission that is missing.
 */
async function send(api: Api, repository: Repository, pull: Target, key: string, body: string): Promise<Posted> {
  let answer: unknown;
  try {
    answer = await api.graphql(addition, { subject: pull.id, body });
  } catch (error) {
    const first = unclear(error) ? await stored(api, repository, pull, key, body) : undefined;
    return first ?? sendByRest(api, repository, pull, key, body);
  }
  // Written it is, whatever else goes wrong from here on.
  const told = added.safeParse(answer).data?.addComment;
  try {
    const first = told && (await createdAmong(api, thatSpeak(ofOurs(told.subject.comments.nodes, key)), body));
    if (first !== undefined) return first;
  } catch {}
  return created(told?.commentEdge.node.url ?? '');
}

async function sendByRest(api: Api, repository: Repository, pull: Target, key: string, body: string): Promise<Posted> {
  const create = async () => {
    const { data } = await api.rest.issues.createComment({ ...repository, issue_number: pull.number, body });
    return z.object({ html_url: z.string() }).parse(data).html_url;
  };
  let url: string | undefined;
  try {
    url = await create();
  } catch (error) {
    if (!unclear(error)) throw error;
  }
  try {
    const first = await stored(api, repository, pull, key, body);
    if (first !== undefined) return first;
  } catch (error) {
    // Written it is; only whether another run wrote one too is not known.
    if (url === undefined) throw error;
  }
  return created(url ?? (await create()));
}

const created = (url: string): Posted => ({ status: 'created', url });

/** The comment that we sent, where it stands there. */
async function stored(
  api: Api,
  repository: Repository,
  { number }: Target,
  key: string,
  body: string,
): Promise<Posted | undefined> {
  return createdAmong(api, (await standing(api, repository, number, key)).own, body);
}

/** Two runs at once may each have found no comment and written one: the oldest says it, and the others are folded away. */
async function createdAmong(api: Api, own: readonly Found[], body: string): Promise<Posted | undefined> {
  const [first, ...duplicates] = own;
  if (first === undefined) return undefined;
  if (duplicates.length > 0) await settle(api, first, duplicates, () => body);
  return created(first.url);
}
