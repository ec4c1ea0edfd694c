import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { schema as githubSchema } from '@octokit/graphql-schema';
import { buildSchema, type GraphQLSchema, graphql } from 'graphql';
import { OpenAPIBackend } from 'openapi-backend';
import { bytesOf, type Content, idOf, mergeBase, type Stored, store, type Tree } from './repository.ts';

export type { Tree } from './repository.ts';

export type StoredComment = { id: number; author: string; body: string; minimized: boolean };

/** What happens to a request instead of its answer. */
export type Failure = {
  /** Part of `METHOD /path` or of the body. */
  match: string;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Says nothing for so long; cuts the line; answers after it did what it was asked to. */
  how?: 'hang' | 'drop' | 'after';
  /** How often; once where left out. */
  times?: number;
  /** What changes meanwhile. */
  meanwhile?: (state: State) => void;
};

/** What the stand-in holds; a test changes it at will between runs. */
export type State = {
  commits: Record<string, Tree>;
  parents: Record<string, string[]>;
  branches: Record<string, string>;
  /** Annotated tags: objects that are no commits. */
  tags?: string[];
  /** Tags by name, which git looks for before it looks for branches. */
  tagged?: Record<string, string>;
  pull: {
    number: number;
    /** The tip of the base branch when GitHub last looked. */
    base: string;
    baseRef: string;
    head: string;
    headRef: string;
    headRepository: string | null;
    labels: string[];
    state: 'open' | 'closed';
    draft: boolean;
    renames: Record<string, string>;
    /** When the head stands in the timeline, the date that its author gave it, and when it replaced another by force. */
    arrived?: string;
    committed?: string;
    forced?: string;
  };
  comments: StoredComment[];
  /** The identity of the token, and what it may do. */
  viewer: string;
  mayRead: boolean;
  mayComment: boolean;
  labelEvents: { label: string; actor: string; at?: string }[];
  /** A tree of more entries is cut off. */
  mostEntries: number;
  /** Milliseconds before each answer: the more, the surer are `rounds`. */
  latency?: number;
  /** Requests that are left until the limit is lifted, so many seconds from then on. */
  rate: { remaining: number; seconds: number };
  /** Paths that GraphQL fails on. */
  unreadable: string[];
  /** Answers before the real one, taken in order where the request matches. */
  failures: Failure[];
  /** What stands before every path: `/api/v3` on GitHub Enterprise Server. */
  prefix: string;
};

export type Recorded = { readonly method: string; readonly path: string; readonly body: unknown };

const owner = 'octo';
const repo = 'models';
const longestBody = 65_536;

let cachedSchema: GraphQLSchema | undefined;
const schemaOf = (): GraphQLSchema => {
  cachedSchema ??= buildSchema(githubSchema.idl, { assumeValidSDL: true });
  return cachedSchema;
};

type Answer = readonly [status: number, body: unknown, headers?: Record<string, string>];
type Listed = { filename: string; status: string; previous_filename?: string; sha: string };

/**
 * A stand-in for GitHub over HTTP: a repository with commits, branches and trees, one pull request with comments; paged, with
 * identity, permissions, rate limits and failures on demand. GraphQL is executed on GitHub's public schema; every REST request
 * is held against GitHub's own OpenAPI description.
 */
export class GitHubServer {
  readonly requests: Recorded[] = [];
  /** How long the longest chain of requests is of which each was sent after the one before was answered. */
  rounds = 0;
  /** Requests that GitHub's description does not allow. */
  readonly invalid: string[] = [];
  state: State;
  private readonly server: Server;
  private readonly api: OpenAPIBackend;
  private readonly stored = new Map<Tree, Stored>();
  private lifted = 0;

  private constructor(state: State, api: OpenAPIBackend) {
    this.state = state;
    this.api = api;
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  static async start(state: State): Promise<GitHubServer> {
    const definition = JSON.parse(readFileSync(new URL('./fixtures/github-openapi.json', import.meta.url), 'utf8'));
    const api = new OpenAPIBackend({
      definition,
      quick: true,
      strict: false,
      validate: true,
      ajvOpts: { strict: false, formats: { 'date-time': true, uri: true, repo: true } },
    });
    await api.init();
    const server = new GitHubServer(state, api);
    await new Promise<void>((ready) => server.server.listen(0, '127.0.0.1', ready));
    return server;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  /** Requests that would have written something. */
  get writes(): readonly Recorded[] {
    return this.requests.filter(
      ({ method, path, body }) =>
        method !== 'GET' && (!path.endsWith('/graphql') || JSON.stringify(body).includes('mutation')),
    );
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const url = new URL(request.url ?? '/', this.url);
    const method = request.method ?? 'GET';
    const path = url.pathname + url.search;
    const round = this.rounds + 1;
    this.requests.push({ method, path, body });
    response.on('finish', () => {
      this.rounds = Math.max(this.rounds, round);
    });
    if (this.state.latency !== undefined) await setTimeout(this.state.latency);
    const failure = this.state.failures.find(
      ({ match, times = 1 }) => times > 0 && (`${method} ${path}`.includes(match) || text.includes(match)),
    );
    if (failure !== undefined) {
      failure.times = (failure.times ?? 1) - 1;
      failure.meanwhile?.(this.state);
      if (failure.how === 'hang') return;
      if (failure.how === 'drop') return void request.socket.destroy();
      if (failure.how === 'after') await this.real(request, method, url, body);
      if (failure.status !== undefined)
        return send(response, [failure.status, failure.body ?? { message: 'planned' }, failure.headers ?? {}]);
    }
    send(response, await this.real(request, method, url, body));
  }

  private async real(request: IncomingMessage, method: string, url: URL, body: unknown): Promise<Answer> {
    if (request.headers.authorization !== 'token token-of-the-test') return [401, { message: 'Bad credentials' }];
    const limited = this.limited();
    if (limited !== undefined) return limited;
    const graphqlPath = this.state.prefix === '' ? '/graphql' : '/api/graphql';
    if (url.pathname === graphqlPath)
      return [200, await this.query(body as { query: string; variables: Record<string, unknown> })];
    if (!url.pathname.startsWith(`${this.state.prefix}/`)) return [404, { message: 'Not Found' }];
    const inside = new URL(url);
    inside.pathname = url.pathname.slice(this.state.prefix.length);
    this.check(method, inside, body);
    return this.rest(method, inside, body as Record<string, unknown>);
  }

  private limited(): Answer | undefined {
    const { rate } = this.state;
    const now = Date.now();
    if (this.lifted > 0 && now >= this.lifted) {
      rate.remaining = 1_000;
      this.lifted = 0;
    }
    if (rate.remaining > 0) {
      rate.remaining -= 1;
      return undefined;
    }
    if (this.lifted === 0) this.lifted = now + 1_000 * rate.seconds;
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(this.lifted / 1_000)) };
    return [403, { message: 'API rate limit exceeded for installation ID 1.' }, headers];
  }

  private check(method: string, url: URL, body: unknown): void {
    const query: Record<string, string | string[]> = {};
    for (const [key, value] of url.searchParams) query[key] = value;
    const request = { method, path: url.pathname, query, headers: { 'content-type': 'application/json' }, body };
    const operation = this.api.matchOperation(request);
    if (operation === undefined) {
      this.invalid.push(`${method} ${url.pathname}: no such operation`);
      return;
    }
    const { errors } = this.api.validateRequest(request, operation);
    if (errors) this.invalid.push(`${method} ${url.pathname}: ${JSON.stringify(errors)}`);
  }

  private tree(commit: string): Tree | undefined {
    return this.state.commits[commit];
  }

  private storedOf(commit: string): Stored | undefined {
    const tree = this.tree(commit);
    if (tree === undefined) return undefined;
    const known = this.stored.get(tree) ?? store(tree);
    this.stored.set(tree, known);
    return known;
  }

  private resolve(name: string): string | undefined {
    const commits = Object.keys(this.state.commits);
    return (
      this.state.tagged?.[name] ??
      this.state.branches[name] ??
      commits.find((commit) => name.length >= 7 && commit.startsWith(name))
    );
  }

  private changedFiles(base: string, head: string): readonly Listed[] {
    const [old, now] = [this.tree(base) ?? {}, this.tree(head) ?? {}];
    const { renames } = this.state.pull;
    const files: Listed[] = [];
    const sha = (content: Content) => idOf(content);
    for (const [path, content] of Object.entries(now)) {
      const [previous, before] = [renames[path], old[path]];
      if (previous !== undefined && old[previous] !== undefined)
        files.push({ filename: path, status: 'renamed', previous_filename: previous, sha: sha(content) });
      else if (before === undefined) files.push({ filename: path, status: 'added', sha: sha(content) });
      else if (sha(before) !== sha(content)) files.push({ filename: path, status: 'modified', sha: sha(content) });
    }
    for (const [path, content] of Object.entries(old))
      if (now[path] === undefined && !Object.values(renames).includes(path))
        files.push({ filename: path, status: 'removed', sha: sha(content) });
    return files;
  }

  private rest(method: string, url: URL, body: Record<string, unknown>): Answer {
    const { state } = this;
    const notFound: Answer = [404, { message: 'Not Found' }];
    const prefix = `/repos/${owner}/${repo}`;
    if (!state.mayRead || !url.pathname.startsWith(prefix)) return notFound;
    const path = decodeURIComponent(url.pathname.slice(prefix.length));
    const page = Number(url.searchParams.get('page') ?? 1);
    const perPage = Math.min(100, Number(url.searchParams.get('per_page') ?? 30));
    const paged = <Item>(items: readonly Item[]): readonly Item[] => items.slice((page - 1) * perPage, page * perPage);
    const { pull } = state;
    const base = mergeBase(state.parents, pull.base, pull.head) ?? pull.base;
    if (method === 'GET' && path === `/pulls/${pull.number}`)
      return [
        200,
        {
          number: pull.number,
          state: pull.state,
          draft: pull.draft,
          head: { sha: pull.head, ref: pull.headRef, repo: pull.headRepository && { full_name: pull.headRepository } },
          base: { sha: pull.base, ref: pull.baseRef, repo: { full_name: `${owner}/${repo}` } },
          labels: pull.labels.map((name) => ({ name })),
          changed_files: this.changedFiles(base, pull.head).length,
        },
      ];
    if (method === 'GET' && path === `/pulls/${pull.number}/files`)
      return [200, paged(this.changedFiles(base, pull.head).slice(0, 3_000))];
    const compared = /^\/compare\/(.+)\.\.\.(.+)$/.exec(path);
    if (method === 'GET' && compared) {
      const [from, to] = [this.resolve(compared[1] ?? ''), this.resolve(compared[2] ?? '')];
      if (from === undefined || to === undefined) return notFound;
      const common = mergeBase(state.parents, from, to);
      if (common === undefined)
        return [404, { message: `No common ancestor between ${compared[1]} and ${compared[2]}.` }];
      const files = this.changedFiles(common, to).slice(0, 300);
      return [200, { base_commit: { sha: from }, merge_base_commit: { sha: common }, files }];
    }
    const tree = /^\/git\/trees\/(.+)$/.exec(path)?.[1];
    if (method === 'GET' && tree !== undefined) return this.treeAnswer(tree, url.searchParams.has('recursive'));
    const blob = /^\/git\/blobs\/(.+)$/.exec(path)?.[1];
    if (method === 'GET' && blob !== undefined) {
      const content = Object.values(state.commits)
        .flatMap((files) => Object.values(files))
        .find((one) => idOf(one) === blob);
      if (content === undefined) return notFound;
      return [200, { content: bytesOf(content).toString('base64'), encoding: 'base64' }];
    }
    if (method === 'POST' && path === `/issues/${pull.number}/comments`) {
      if (!state.mayComment)
        return [
          403,
          { message: 'Resource not accessible by integration' },
          { 'x-accepted-github-permissions': 'issues=write; pull_requests=write' },
        ];
      const text = String(body['body']);
      if (text.length > longestBody)
        return [
          422,
          { message: 'Validation Failed', errors: [{ message: 'body is too long (maximum is 65536 characters)' }] },
        ];
      const id = state.comments.length + 1;
      state.comments.push({ id, author: state.viewer, body: text, minimized: false });
      return [201, { id, html_url: `https://github.example/${id}` }];
    }
    return notFound;
  }

  private treeAnswer(sha: string, recursive: boolean): Answer {
    const trees = Object.keys(this.state.commits).flatMap((commit) => this.storedOf(commit) ?? []);
    const stored = this.storedOf(sha);
    const inside = stored?.ids.get(stored.root) ?? trees.find(({ ids }) => ids.has(sha))?.ids.get(sha);
    const entries = recursive && stored !== undefined ? stored.files : inside;
    if (entries === undefined) return [404, { message: 'Not Found' }];
    const most = this.state.mostEntries;
    return [200, { sha, truncated: entries.length > most, tree: entries.slice(0, most) }];
  }

  private fileOf(commit: string, path: string): unknown {
    if (this.state.unreadable.includes(path)) throw new Error('Something went wrong.');
    const content = this.tree(commit)?.[path];
    if (content === undefined) {
      const isFolder = Object.keys(this.tree(commit) ?? {}).some((name) => name.startsWith(`${path}/`));
      return isFolder ? { mode: 0o040000, type: 'tree', object: { __typename: 'Tree', oid: '0'.repeat(40) } } : null;
    }
    if (typeof content === 'object' && 'submodule' in content) return { mode: 0o160000, type: 'commit', object: null };
    const bytes = bytesOf(content);
    const binary = bytes.includes(0);
    // GitHub cuts a text at 512,000 bytes.
    const object = {
      __typename: 'Blob',
      oid: idOf(content),
      byteSize: bytes.length,
      isBinary: binary,
      isTruncated: bytes.length > 512_000,
      text: binary ? null : bytes.subarray(0, 512_000).toString('utf8'),
    };
    const symlink = typeof content === 'object' && 'symlink' in content;
    return { mode: symlink ? 0o120000 : 0o100644, type: 'blob', object };
  }

  private timeline() {
    const { head, arrived = '2026-01-01T00:00:00Z', committed = arrived, forced } = this.state.pull;
    const commit = { __typename: 'PullRequestCommit', commit: { oid: head, committedDate: committed } };
    const push = { __typename: 'HeadRefForcePushedEvent', createdAt: forced };
    const labels = this.state.labelEvents.map(({ label, actor, at = '2026-01-02T00:00:00Z' }) => ({
      at,
      node: {
        __typename: 'LabeledEvent',
        createdAt: at,
        label: { name: label },
        actor: { __typename: 'User', login: actor },
      },
    }));
    const items = [
      { at: arrived, node: commit },
      ...(forced === undefined ? [] : [{ at: forced, node: push }]),
      ...labels,
    ];
    return items.sort((a, b) => a.at.localeCompare(b.at)).map(({ node }) => node);
  }

  private async query({ query, variables }: { query: string; variables: Record<string, unknown> }): Promise<unknown> {
    const { state } = this;
    const object = ({ oid }: { oid: string }) =>
      state.tags?.includes(oid)
        ? { __typename: 'Tag', oid }
        : this.tree(oid) === undefined
          ? null
          : { __typename: 'Commit', oid, file: ({ path }: { path: string }) => this.fileOf(oid, path) };
    const ref = ({ qualifiedName }: { qualifiedName: string }) => {
      const commit = state.branches[qualifiedName.replace('refs/heads/', '')];
      return commit === undefined ? null : { target: { __typename: 'Commit', oid: commit } };
    };
    type Page = { first?: number; after?: string | null; last?: number };
    const comments = ({ first = state.comments.length, after = null, last = first }: Page) => {
      const from = after === null ? Math.max(0, first - last) : Number(after);
      const nodes = state.comments.slice(from, from + first).map(({ id, author, body, minimized }) => ({
        id: `C${id}`,
        databaseId: id,
        body,
        url: `https://github.example/${id}`,
        viewerDidAuthor: author === state.viewer,
        isMinimized: minimized,
      }));
      return {
        nodes,
        pageInfo: { hasNextPage: from + first < state.comments.length, endCursor: String(from + first) },
      };
    };
    const timelineItems = ({ last, itemTypes }: { last: number; itemTypes: readonly string[] }) => ({
      nodes: this.timeline()
        .filter(({ __typename }) => itemTypes.includes(__typename.replace(/\B[A-Z]/g, '_$&').toUpperCase()))
        .slice(-last),
    });
    const updateIssueComment = ({ input }: { input: { id: string; body: string } }) => {
      if (!state.mayComment) throw forbidden();
      if (input.body.length > longestBody) throw new Error('Body is too long (maximum is 65536 characters)');
      const comment = state.comments.find(({ id }) => `C${id}` === input.id);
      if (comment) comment.body = input.body;
      return { issueComment: { id: input.id } };
    };
    const minimizeComment = ({ input }: { input: { subjectId: string } }) => {
      if (!state.mayComment) throw forbidden();
      const comment = state.comments.find(({ id }) => `C${id}` === input.subjectId);
      if (comment) comment.minimized = true;
      return { minimizedComment: { __typename: 'IssueComment', isMinimized: true } };
    };
    const pullRequests = ({ headRefName }: { headRefName: string }) => {
      const { number, head, headRef, baseRef, headRepository } = state.pull;
      const open = state.pull.state === 'open' && headRef === headRefName;
      return {
        nodes: open
          ? [{ number, headRefOid: head, baseRefName: baseRef, headRepository: { nameWithOwner: headRepository } }]
          : [],
      };
    };
    const { pull } = state;
    const tip = state.branches[pull.baseRef];
    const pullRequest = () => ({
      __typename: 'PullRequest',
      id: 'P7',
      headRefOid: pull.head,
      headRefName: pull.headRef,
      headRepository: pull.headRepository && { nameWithOwner: pull.headRepository },
      baseRefOid: pull.base,
      baseRefName: pull.baseRef,
      baseRef: tip === undefined ? null : { target: { __typename: 'Commit', oid: tip } },
      baseRepository: { nameWithOwner: `${owner}/${repo}` },
      labels: { nodes: pull.labels.map((name) => ({ name })) },
      changedFiles: this.changedFiles(mergeBase(state.parents, pull.base, pull.head) ?? pull.base, pull.head).length,
      state: pull.state.toUpperCase(),
      comments,
      timelineItems,
    });
    const addComment = ({ input }: { input: { subjectId: string; body: string } }) => {
      if (!state.mayComment) throw forbidden();
      if (input.subjectId !== 'P7') throw notFound();
      const id = state.comments.length + 1;
      if (input.body.length > longestBody) throw new Error('Body is too long (maximum is 65536 characters)');
      state.comments.push({ id, author: state.viewer, body: input.body, minimized: false });
      return { commentEdge: { node: { url: `https://github.example/${id}` } }, subject: pullRequest() };
    };
    const repository = () => {
      if (!state.mayRead) throw notFound();
      return { object, ref, pullRequest, pullRequests };
    };
    const rootValue = { repository, minimizeComment, updateIssueComment, addComment };
    const answer = await graphql({ schema: schemaOf(), source: query, rootValue, variableValues: variables });
    // GitHub's errors have a type beside the message.
    const typed = answer.errors?.map((error) => ({ ...error.toJSON(), ...typeOf(error.originalError) }));
    return typed === undefined ? answer : { ...answer, errors: typed };
  }
}

const typeOf = (error: Error | undefined) => (/^[A-Z_]+$/.test(error?.name ?? '') ? { type: error?.name } : {});

/** What GraphQL says where a token may not see a thing, and where it may not do one. */
const notFound = () => Object.assign(new Error('Could not resolve to a node.'), { name: 'NOT_FOUND' });
const forbidden = () => Object.assign(new Error('Resource not accessible by integration'), { name: 'FORBIDDEN' });

function send(response: ServerResponse, [status, answer, headers = {}]: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
}
