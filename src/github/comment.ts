import { z } from 'zod';
import { marker } from '../report/comment.ts';
import { type Api, type Repository, reasonOf } from './api.ts';
import { readPull } from './changes.ts';

export type CommentStatus = 'created' | 'updated' | 'unchanged' | 'skipped' | 'failed';
export type Posted = { readonly status: CommentStatus; readonly url: string; readonly reason?: string };

const page = z.object({
  repository: z.object({
    pullRequest: z.object({
      comments: z.object({
        pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
        nodes: z.array(
          z
            .object({
              id: z.string(),
              databaseId: z.number(),
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

type Found = { readonly id: string; readonly databaseId: number; readonly body: string; readonly url: string };

const mostPages = 50;

const query = `query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { comments(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id databaseId body url viewerDidAuthor isMinimized } } } } }`;

/** Our comments on a pull request, oldest first: those that begin with our marker and were written with this token's identity. */
export async function ownComments(
  api: Api,
  repository: Repository,
  number: number,
  key: string,
): Promise<readonly Found[]> {
  const own: Found[] = [];
  let after: string | null = null;
  for (let count = 0; count < mostPages; count++) {
    const data: unknown = await api.graphql(query, { owner: repository.owner, name: repository.repo, number, after });
    const { nodes, pageInfo } = page.parse(data).repository.pullRequest.comments;
    for (const node of nodes) {
      if (node?.viewerDidAuthor === true && !node.isMinimized && node.body.startsWith(marker(key))) own.push(node);
    }
    if (!pageInfo.hasNextPage) break;
    after = pageInfo.endCursor;
  }
  return own;
}

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
  body: string,
  create: boolean,
): Promise<Posted> {
  try {
    const own = await ownComments(api, repository, pull.number, key);
    const [first, ...duplicates] = own;
    if (first === undefined && !create) return { status: 'skipped', url: '' };
    if (first !== undefined && first.body.trim() === body.trim() && duplicates.length === 0)
      return { status: 'unchanged', url: first.url };
    const now = await readPull(api, repository, pull.number);
    if (now.head !== pull.head)
      return {
        status: 'skipped',
        url: first?.url ?? '',
        reason: 'the pull request has a newer commit, whose run will comment.',
      };
    for (const { id } of duplicates) {
      await api.graphql(
        'mutation ($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }',
        { id },
      );
    }
    if (first === undefined) {
      // A retried POST can leave two comments: it is sent once.
      const { data } = await api.rest.issues.createComment({
        ...repository,
        issue_number: pull.number,
        body,
        request: { retries: 0 },
      });
      return { status: 'created', url: data.html_url };
    }
    if (first.body.trim() === body.trim()) return { status: 'unchanged', url: first.url };
    const { data } = await api.rest.issues.updateComment({ ...repository, comment_id: first.databaseId, body });
    return { status: 'updated', url: data.html_url };
  } catch (error) {
    return { status: 'failed', url: '', reason: reasonOf(error) };
  }
}

/** Who set a label last, where GitHub tells. */
export async function labelledBy(
  api: Api,
  repository: Repository,
  number: number,
  label: string,
): Promise<string | undefined> {
  try {
    const events = await api.paginate(api.rest.issues.listEvents, {
      ...repository,
      issue_number: number,
      per_page: 100,
    });
    const schema = z.object({
      event: z.literal('labeled'),
      label: z.object({ name: z.string() }),
      actor: z.object({ login: z.string() }).nullable(),
    });
    const set = events.flatMap((event) => {
      const parsed = schema.safeParse(event);
      return parsed.success && parsed.data.label.name === label ? [parsed.data.actor?.login] : [];
    });
    return set.at(-1) ?? undefined;
  } catch {
    return undefined;
  }
}
