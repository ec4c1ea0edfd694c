import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { schema as githubSchema } from '@octokit/graphql-schema';
import { buildSchema, type GraphQLSchema, graphql } from 'graphql';
import { OpenAPIBackend } from 'openapi-backend';

/** The files of one commit: path to content. */
export type Tree = Readonly<
  Record<
    string,
    string | { readonly symlink: string } | { readonly submodule: string } | { readonly bytes: Uint8Array }
  >
>;

export type StoredComment = { id: number; author: string; body: string; minimized: boolean };

/** What the stand-in holds; a test changes it at will between runs. */
export type State = {
  commits: Record<string, Tree>;
  mergeBase: string;
  pull: {
    number: number;
    base: string;
    baseRef: string;
    head: string;
    headRef: string;
    labels: string[];
    renames: Record<string, string>;
  };
  comments: StoredComment[];
  /** The identity of the token. */
  viewer: string;
  /** Whether it may write to pull requests. */
  mayComment: boolean;
  labelEvents: { label: string; actor: string }[];
  truncatedTree: boolean;
  /** Answers before the real one, taken in order where the request matches. */
  failures: {
    match: string;
    status: number;
    headers?: Record<string, string>;
    body?: string;
    after?: (state: State) => void;
  }[];
};

export type Recorded = { readonly method: string; readonly path: string; readonly body: unknown };

const owner = 'octo';
const repo = 'models';

let cachedSchema: GraphQLSchema | undefined;
const schemaOf = (): GraphQLSchema => {
  cachedSchema ??= buildSchema(githubSchema.idl, { assumeValidSDL: true });
  return cachedSchema;
};

/**
 * A stand-in for GitHub over HTTP: stateful, paged, with an identity, permissions and failures on demand. GraphQL is executed on
 * GitHub's public schema; every REST request is held against GitHub's own OpenAPI description.
 */
export class GitHubServer {
  readonly requests: Recorded[] = [];
  /** Requests that GitHub's description does not allow. */
  readonly invalid: string[] = [];
  state: State;
  private readonly server: Server;
  private readonly api: OpenAPIBackend;

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

  get url(): string {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '';
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const url = new URL(request.url ?? '/', this.url);
    const method = request.method ?? 'GET';
    const path = url.pathname + url.search;
    this.requests.push({ method, path, body });
    const failure = this.state.failures.findIndex(
      ({ match }) => `${method} ${path}`.includes(match) || text.includes(match),
    );
    const [planned] = failure === -1 ? [] : this.state.failures.splice(failure, 1);
    if (planned !== undefined) {
      planned.after?.(this.state);
      return send(response, planned.status, planned.body ?? { message: 'planned' }, planned.headers);
    }
    if (request.headers.authorization === undefined) return send(response, 401, { message: 'Bad credentials' });
    if (url.pathname === '/graphql')
      return send(response, 200, await this.query(body as { query: string; variables: Record<string, unknown> }));
    this.check(method, url, body);
    const [status, answer, headers] = this.rest(method, url, body as Record<string, unknown>);
    send(response, status, answer, headers);
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

  private changedFiles(
    base: string,
    head: string,
  ): { filename: string; status: string; previous_filename?: string; sha: string }[] {
    const [old, now] = [this.state.commits[base] ?? {}, this.state.commits[head] ?? {}];
    const { renames } = this.state.pull;
    const files = [];
    for (const path of Object.keys(now)) {
      const previous = renames[path];
      if (previous !== undefined && old[previous] !== undefined)
        files.push({ filename: path, status: 'renamed', previous_filename: previous, sha: '0'.repeat(40) });
      else if (old[path] === undefined) files.push({ filename: path, status: 'added', sha: '0'.repeat(40) });
      else if (JSON.stringify(old[path]) !== JSON.stringify(now[path]))
        files.push({ filename: path, status: 'modified', sha: '0'.repeat(40) });
    }
    const gone = Object.keys(old).filter((path) => now[path] === undefined && !Object.values(renames).includes(path));
    return [...files, ...gone.map((path) => ({ filename: path, status: 'removed', sha: '0'.repeat(40) }))];
  }

  private rest(method: string, url: URL, body: Record<string, unknown>): [number, unknown, Record<string, string>?] {
    const { state } = this;
    const prefix = `/repos/${owner}/${repo}`;
    const path = decodeURIComponent(url.pathname.slice(prefix.length));
    const page = Number(url.searchParams.get('page') ?? 1);
    const perPage = Number(url.searchParams.get('per_page') ?? 30);
    const paged = <Item>(items: readonly Item[]): readonly Item[] => items.slice((page - 1) * perPage, page * perPage);
    const { pull } = state;
    if (method === 'GET' && path === `/pulls/${pull.number}`) {
      const files = this.changedFiles(state.mergeBase, pull.head);
      return [
        200,
        {
          number: pull.number,
          head: { sha: pull.head, ref: pull.headRef },
          base: { sha: pull.base, ref: pull.baseRef },
          labels: pull.labels.map((name) => ({ name })),
          changed_files: files.length,
        },
      ];
    }
    if (method === 'GET' && path === `/pulls/${pull.number}/files`)
      return [200, paged(this.changedFiles(state.mergeBase, pull.head).slice(0, 3000))];
    const compared = /^\/compare\/([^.]+)\.\.\.(.+)$/.exec(path);
    if (method === 'GET' && compared) {
      return [
        200,
        {
          merge_base_commit: { sha: state.mergeBase },
          files: this.changedFiles(state.mergeBase, compared[2] ?? '').slice(0, 300),
        },
      ];
    }
    const tree = /^\/git\/trees\/(.+)$/.exec(path);
    if (method === 'GET' && tree) {
      const files = Object.entries(state.commits[tree[1] ?? ''] ?? {}).map(([name, content]) => ({
        path: name,
        type: typeof content === 'object' && 'submodule' in content ? 'commit' : 'blob',
        mode: typeof content === 'object' && 'symlink' in content ? '120000' : '100644',
        sha: '0'.repeat(40),
      }));
      return [200, { sha: tree[1], truncated: state.truncatedTree, tree: files }];
    }
    const blob = /^\/git\/blobs\/(.+)$/.exec(path);
    if (method === 'GET' && blob) {
      const [commit = '', name = ''] = Buffer.from(blob[1] ?? '', 'hex')
        .toString('utf8')
        .split(':');
      return [200, { content: bytesOf(state.commits[commit]?.[name] ?? '').toString('base64'), encoding: 'base64' }];
    }
    if (method === 'POST' && path === `/issues/${pull.number}/comments`) {
      if (!state.mayComment)
        return [
          403,
          { message: 'Resource not accessible by integration' },
          { 'x-accepted-github-permissions': 'issues=write; pull_requests=write' },
        ];
      if (String(body['body']).length > 65_536) return [422, { message: 'Body is too long' }];
      const comment = {
        id: state.comments.length + 1,
        author: state.viewer,
        body: String(body['body']),
        minimized: false,
      };
      state.comments.push(comment);
      return [201, { id: comment.id, html_url: `https://github.example/${comment.id}` }];
    }
    const one = /^\/issues\/comments\/(\d+)$/.exec(path);
    if (method === 'PATCH' && one) {
      if (!state.mayComment)
        return [
          403,
          { message: 'Resource not accessible by integration' },
          { 'x-accepted-github-permissions': 'issues=write; pull_requests=write' },
        ];
      const comment = state.comments.find(({ id }) => id === Number(one[1]));
      if (comment === undefined) return [404, { message: 'Not Found' }];
      comment.body = String(body['body']);
      return [200, { id: comment.id, html_url: `https://github.example/${comment.id}` }];
    }
    if (method === 'GET' && path === `/issues/${pull.number}/events`) {
      return [
        200,
        paged(
          state.labelEvents.map(({ label, actor }) => ({
            event: 'labeled',
            label: { name: label },
            actor: { login: actor },
          })),
        ),
      ];
    }
    return [404, { message: 'Not Found' }];
  }

  private async query({ query, variables }: { query: string; variables: Record<string, unknown> }): Promise<unknown> {
    const { state } = this;
    const object = ({ expression }: { expression: string }) => {
      const [commit = '', ...rest] = expression.split(':');
      const path = rest.join(':');
      const content = state.commits[commit]?.[path];
      if (content === undefined) return null;
      if (typeof content === 'object' && 'submodule' in content)
        return { __typename: 'Commit', oid: content.submodule };
      const bytes = bytesOf(content);
      const binary = bytes.includes(0);
      // GitHub cuts a text at 512,000 bytes.
      return {
        __typename: 'Blob',
        oid: Buffer.from(`${commit}:${path}`).toString('hex'),
        byteSize: bytes.length,
        isBinary: binary,
        isTruncated: bytes.length > 512_000,
        text: binary ? null : bytes.subarray(0, 512_000).toString('utf8'),
      };
    };
    const comments = ({ first, after }: { first: number; after: string | null }) => {
      const from = after === null ? 0 : Number(after);
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
    const rootValue = {
      repository: () => ({ object, pullRequest: () => ({ comments }) }),
      minimizeComment: ({ input }: { input: { subjectId: string } }) => {
        const comment = state.comments.find(({ id }) => `C${id}` === input.subjectId);
        if (comment) comment.minimized = true;
        return { minimizedComment: { __typename: 'IssueComment', isMinimized: true } };
      },
    };
    return graphql({ schema: schemaOf(), source: query, rootValue, variableValues: variables });
  }
}

const bytesOf = (content: Tree[string]): Buffer =>
  typeof content === 'string'
    ? Buffer.from(content, 'utf8')
    : 'bytes' in content
      ? Buffer.from(content.bytes)
      : Buffer.from('symlink' in content ? content.symlink : '', 'utf8');

function send(response: ServerResponse, status: number, answer: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
}
