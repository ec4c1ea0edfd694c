import { z } from 'zod';
import { marker } from '../report/comment.ts';
import { isWhole } from '../report/earlier.ts';
import { type Api, type Repository, reasonOf, unclear } from './api.ts';

export type CommentStatus = 'created' | 'updated' | 'unchanged' | 'skipped' | 'failed';
export type Posted = { readonly status: CommentStatus; readonly url: string; readonly reason?: string };

const page = z.object({
  repository: z.object({
    pullRequest: z.object({
      headRefOid: z.string(),
      state: z.string(),
      comments: z.object({
        pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
        nodes: z.array(
          z
            .object({
              id: z.string(),
              body: z.string(),
              url: z.string(),
              viewerDidAuthor: z.boolean(),
              isMinimized: z.boolean(),
            })
            .nullable(),
        ),
      }),
    }),
  }),
});

type Found = { readonly id: string; readonly body: string; readonly url: string };

/** GitHub takes 2,500 comments on a pull request. */
const mostPages = 50;

const query = `query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { headRefOid state comments(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id body url viewerDidAuthor isMinimized } } } } }`;

/** Our comments, with the pull request as it is at that moment: what is written must be of its newest commit. */
type Standing = { readonly own: readonly Found[]; readonly head: string; readonly open: boolean };

/**
 * Our comments on a pull request, oldest first: those that begin with our marker and were written with this token's identity.
 * Other workflows have that identity too, so one that is not ours from heading to footer comes after all that are, and is
 * taken over only where there is no other.
 */
async function ownComments(api: Api, repository: Repository, number: number, key: string): Promise<Standing> {
  const own: Found[] = [];
  let now = { head: '', open: false };
  let after: string | null = null;
  for (let count = 0; count < mostPages; count++) {
    const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, number, after });
    const { headRefOid, state, comments } = page.parse(data).repository.pullRequest;
    const { nodes, pageInfo } = comments;
    now = { head: headRefOid, open: state === 'OPEN' };
    for (const node of nodes) {
      if (node?.viewerDidAuthor === true && !node.isMinimized && node.body.startsWith(marker(key))) own.push(node);
    }
    if (!pageInfo.hasNextPage) break;
    after = pageInfo.endCursor;
  }
  const whole = own.filter(({ body }) => isWhole(body));
  return { ...now, own: whole.length > 0 ? whole : own.slice(0, 1) };
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
    const now = await ownComments(api, repository, pull.number, key);
    const [first, ...duplicates] = now.own;
    if (first === undefined && !create) return { status: 'skipped', url: '' };
    if (first !== undefined && duplicates.length === 0 && isEqual(first.body, write(first.body)))
      return { status: 'unchanged', url: first.url };
    const skipped = (reason: string): Posted => ({ status: 'skipped', url: first?.url ?? '', reason });
    if (now.head !== pull.head) return skipped('the pull request has a newer commit, whose run will comment.');
    if (!now.open) return skipped('the pull request is closed, and its comment stays as it is.');
    if (first !== undefined) return await settle(api, first, duplicates, write);
    return await send(api, repository, pull.number, key, write);
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

/**
 * A new comment. It is not sent a second time before we have looked whether the first one stands there after all; and looked
 * again afterwards, since two runs at once may each have found none.
 */
async function send(api: Api, repository: Repository, number: number, key: string, write: Write): Promise<Posted> {
  const body = write(undefined);
  const create = async () => {
    const { data } = await api.rest.issues.createComment({ ...repository, issue_number: number, body });
    return z.object({ html_url: z.string() }).parse(data).html_url;
  };
  let url: string | undefined;
  try {
    url = await create();
  } catch (error) {
    if (!unclear(error)) throw error;
  }
  try {
    const [first, ...duplicates] = (await ownComments(api, repository, number, key)).own;
    if (first !== undefined) {
      if (duplicates.length > 0) await settle(api, first, duplicates, () => body);
      return { status: 'created', url: first.url };
    }
  } catch (error) {
    // Written it is; only whether another run wrote one too is not known.
    if (url === undefined) throw error;
  }
  return { status: 'created', url: url ?? (await create()) };
}
