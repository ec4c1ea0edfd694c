import { z } from 'zod';
import { parse } from '../text/syntax.ts';
import { Usage } from './arguments.ts';
import { readSide } from './files.ts';
import { answered, ask, type Found, needed, type Place, PostProblem } from './post.ts';

/** GitHub takes 2,500 comments on a pull request. */
const mostPages = 50;

const query = `query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { id state headRefOid comments(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id body url viewerDidAuthor isMinimized } } } } }`;
const creation = `mutation ($id: ID!, $body: String!) {
  addComment(input: { subjectId: $id, body: $body }) { commentEdge { node { url } } } }`;
const change = `mutation ($id: ID!, $body: String!) {
  updateIssueComment(input: { id: $id, body: $body }) { issueComment { url } } }`;

/** The comments of a pull request, by the environment that GitHub Actions gives, or another CI system that sets the same. */
export function gitHub(number: number | undefined): Place {
  const token = needed(['GITHUB_TOKEN', 'GH_TOKEN'], 'a token');
  const [owner = '', name = ''] = needed(['GITHUB_REPOSITORY'], 'the repository').split('/');
  const url = process.env['GITHUB_GRAPHQL_URL'] || 'https://api.github.com/graphql';
  const pull = number ?? numberOfEvent();
  const say = (text: string, variables: Readonly<Record<string, unknown>>) => graphql(url, token, text, variables);
  let subject = '';
  return {
    find: async (begins) => {
      const own: Found[] = [];
      let now = { head: '', open: false };
      let after: string | null = null;
      for (let count = 0; count < mostPages; count++) {
        const { pullRequest } = pageOf(await say(query, { owner, name, number: pull, after }));
        const { nodes, pageInfo } = pullRequest.comments;
        subject = pullRequest.id;
        now = { head: pullRequest.headRefOid, open: pullRequest.state === 'OPEN' };
        own.push(...nodes.filter((one) => one.viewerDidAuthor && !one.isMinimized && one.body.startsWith(begins)));
        if (!pageInfo.hasNextPage) break;
        after = pageInfo.endCursor;
      }
      return { ...now, own };
    },
    create: async (body) => createdIn(await say(creation, { id: subject, body })),
    update: async ({ id, url: where }, body) => {
      await say(change, { id, body });
      return where;
    },
  };
}

async function graphql(
  url: string,
  token: string,
  text: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const answer = await ask(url, { authorization: `Bearer ${token}` }, 'POST', { query: text, variables });
  const problems = z.array(z.object({ message: z.string() })).optional();
  const { data, errors = [] } = answered(z.object({ data: z.unknown().optional(), errors: problems }), answer);
  if (errors.length > 0) throw new PostProblem(`The comment could not be posted: ${errors[0]?.message ?? ''}`);
  return data;
}

function pageOf(data: unknown) {
  const node = z.object({
    id: z.string(),
    body: z.string(),
    url: z.string(),
    viewerDidAuthor: z.boolean(),
    isMinimized: z.boolean(),
  });
  const comments = z.object({
    pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
    nodes: z.array(node),
  });
  const pullRequest = z.object({ id: z.string(), state: z.string(), headRefOid: z.string(), comments });
  return answered(z.object({ repository: z.object({ pullRequest }) }), data).repository;
}

function createdIn(data: unknown): string {
  const edge = z.object({ node: z.object({ url: z.string() }) });
  return answered(z.object({ addComment: z.object({ commentEdge: edge }) }), data).addComment.commentEdge.node.url;
}

/** The pull request that the workflow runs for. */
function numberOfEvent(): number {
  const path = process.env['GITHUB_EVENT_PATH'];
  const side = path === undefined ? undefined : readSide(path);
  const event = side?.kind === 'bytes' ? parse(side.bytes, 'json') : undefined;
  const schema = z.object({ pull_request: z.object({ number: z.number() }) });
  const { success, data } = schema.safeParse(event?.kind === 'parsed' ? event.value : undefined);
  if (!success) throw new Usage('Which pull request is meant? State --pull-request N.');
  return data.pull_request.number;
}
