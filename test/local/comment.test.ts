import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { folder, run, runBeside, write } from '../command.ts';
import { config } from '../states.ts';

type Call = { readonly method: string; readonly path: string; readonly token: string; readonly body: string };
/** What a service answers, or the status that it refuses with. */
type Answer = (call: Call) => unknown;

const servers: { close: () => void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const textOf = async (request: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
};

/** A service on this machine that writes down what it is asked. */
async function service(answer: Answer): Promise<{ readonly url: string; readonly calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    const { authorization = '', 'private-token': own = authorization } = request.headers;
    const call = {
      method: request.method ?? '',
      path: request.url ?? '',
      token: String(own),
      body: await textOf(request),
    };
    calls.push(call);
    const said = answer(call);
    response.writeHead(typeof said === 'number' ? said : 200, { 'content-type': 'application/json' });
    response.end(typeof said === 'number' ? '{"message": "401 Unauthorized"}' : JSON.stringify(said));
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

const head = 'b'.repeat(40);

/** A folder with a report of a change that is over its budget, as of a commit. */
function computed(sha = head): string {
  const where = folder();
  write(where, { 'a.json': config(), 'b.json': config({ num_hidden_layers: 80 }) });
  const words = ['diff', 'a.json', 'b.json', '--memory-budget', '30GiB', '-f', 'json', '-o', 'report.json'];
  expect(run(words, where).code).toBe(1);
  const report = JSON.parse(run([...words.slice(0, -2)], where).out);
  const commits = { base: { sha: 'a'.repeat(40), label: 'main' }, head: { sha, label: 'feature' } };
  write(where, { 'report.json': JSON.stringify({ ...report, ...commits }) });
  return where;
}

describe('comment', () => {
  it('prints the comment, and leaves the verdict to who computed it', () => {
    const where = computed();
    const { code, out, err } = run(['comment', 'report.json'], where);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^<!-- model-cost-gate key=default -->\n/);
    expect(out).toContain('## ❌ Model cost: over the memory budget');
    expect(
      run(['comment', '-', '--comment-key', 'big'], where, run(['diff', 'a.json', 'b.json', '-f', 'json'], where).out)
        .out,
    ).toMatch(/^<!-- model-cost-gate key=big -->\n/);
  });

  it.each([
    [['comment'], /comment needs a report/],
    [['comment', 'missing.json'], /there is no such file/],
    [['comment', 'a.json'], /a\.json cannot be used: it is not a JSON report of diff or report/],
    [['comment', 'report.json', '--post', 'mail'], /must be github or gitlab/],
    [
      ['comment', 'report.json', '--post', 'gitlab'],
      /Posting needs a project or group access token .* in GITLAB_TOKEN/,
    ],
    [['comment', 'report.json', '--pull-request', 'x'], /must be the number/],
    [['comment', 'report.json', '--comment-key', 'a b'], /--comment-key may have letters/],
    [['comment', 'report.json', '--gpus', '8'], /comment takes no --gpus/],
  ])('%j is one sentence and exit code 2', (words, sentence) => {
    const { code, out, err } = run(words, computed(), '', { GITLAB_TOKEN: '', GITHUB_TOKEN: '' });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(sentence);
  });
});

describe('comment --post gitlab', () => {
  const notes: { id: number; body: string; system: boolean; author: { id: number } }[] = [];
  const gitLab =
    (sha: string, state = 'opened'): Answer =>
    ({ method, path, body }) => {
      if (path === '/user') return { id: 7 };
      if (method === 'GET' && path.includes('/notes?')) return notes;
      if (method === 'GET') return { sha, state, web_url: 'https://gitlab.example/m/3' };
      const text: string = JSON.parse(body).body;
      const id = Number(/notes\/(\d+)$/.exec(path)?.[1] ?? 41);
      notes.splice(0, notes.length, ...notes.filter((note) => note.id !== id), {
        id,
        body: text,
        system: false,
        author: { id: 7 },
      });
      return { id };
    };
  const environment = (url: string) => ({
    GITLAB_TOKEN: 'secret',
    CI_API_V4_URL: url,
    CI_PROJECT_ID: '5',
    CI_MERGE_REQUEST_PROJECT_ID: '',
    CI_MERGE_REQUEST_IID: '3',
  });

  it('creates one, updates it, and leaves alone what says so already and what others wrote', async () => {
    const where = computed();
    const others = { id: 9, body: '<!-- model-cost-gate key=default -->\nnot ours', system: false, author: { id: 8 } };
    notes.splice(0, notes.length, others);
    const { url, calls } = await service(gitLab(head));
    const post = () => runBeside(['comment', 'report.json', '--post', 'gitlab'], where, environment(url));
    const created = await post();
    expect(created).toMatchObject({
      code: 0,
      err: 'model-cost: Comment created. https://gitlab.example/m/3#note_41\n',
    });
    expect(notes.find(({ id }) => id === 41)?.body).toBe(created.out.trim());
    expect((await post()).err).toContain('The comment says so already.');
    write(where, { 'report.json': run(['diff', 'a.json', 'b.json', '-f', 'json'], where).out });
    expect((await post()).err).toContain('Comment updated.');
    expect(notes.find(({ id }) => id === 9)).toEqual(others);
    expect(new Set(calls.map(({ token }) => token))).toEqual(new Set(['secret']));
    expect(calls.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /projects/5/merge_requests/3/notes',
      'PUT /projects/5/merge_requests/3/notes/41',
    ]);
  });

  it('writes nothing for a commit that is not the newest, or where it is closed', async () => {
    const where = computed();
    notes.splice(0, notes.length);
    const newer = await service(gitLab('c'.repeat(40)));
    const late = await runBeside(['comment', 'report.json', '--post', 'gitlab'], where, environment(newer.url));
    expect(late).toMatchObject({ code: 0, err: expect.stringContaining('there are newer commits') });
    const closed = await service(gitLab(head, 'merged'));
    const over = await runBeside(['comment', 'report.json', '--post', 'gitlab'], where, environment(closed.url));
    expect(over.err).toContain('Not posted: it is closed');
    expect(notes).toEqual([]);
  });

  it.each([
    [401, /could not be posted: 401 \{"message": "401 Unauthorized"\}/],
    [{ surprise: true }, /not one that this version understands/],
  ])('says why it could not: %j', async (answer, sentence) => {
    const where = computed();
    const { url } = await service(() => answer);
    const { code, err } = await runBeside(['comment', 'report.json', '--post', 'gitlab'], where, environment(url));
    expect(code).toBe(2);
    expect(err).toMatch(sentence);
    expect(err).not.toContain('secret');
  });
});

describe('comment --post github', () => {
  const comments: { id: string; body: string; url: string; viewerDidAuthor: boolean; isMinimized: boolean }[] = [];
  const gitHub: Answer = ({ body }) => {
    const { query, variables } = JSON.parse(body);
    if (query.includes('addComment')) {
      comments.push({
        id: 'c1',
        body: variables.body,
        url: 'https://github.example/c1',
        viewerDidAuthor: true,
        isMinimized: false,
      });
      return { data: { addComment: { commentEdge: { node: { url: 'https://github.example/c1' } } } } };
    }
    if (query.includes('updateIssueComment')) {
      for (const one of comments) if (one.id === variables.id) one.body = variables.body;
      return { data: { updateIssueComment: { issueComment: { url: 'x' } } } };
    }
    expect(variables).toMatchObject({ owner: 'octo', name: 'models', number: 7 });
    const page = { pageInfo: { hasNextPage: false, endCursor: null }, nodes: comments };
    return { data: { repository: { pullRequest: { id: 'p7', state: 'OPEN', headRefOid: head, comments: page } } } };
  };

  it('creates one for the pull request of the event, and updates it', async () => {
    const where = computed();
    write(where, { 'event.json': '{"pull_request": {"number": 7}}' });
    const { url, calls } = await service(gitHub);
    const env = {
      GITHUB_TOKEN: 'secret',
      GITHUB_REPOSITORY: 'octo/models',
      GITHUB_GRAPHQL_URL: url,
      GITHUB_EVENT_PATH: join(where, 'event.json'),
    };
    const post = (...words: string[]) =>
      runBeside(['comment', 'report.json', '--post', 'github', ...words], where, env);
    expect(await post()).toMatchObject({ code: 0, err: 'model-cost: Comment created. https://github.example/c1\n' });
    expect((await post('--pull-request', '7')).err).toContain('The comment says so already.');
    write(where, { 'report.json': run(['diff', 'a.json', 'b.json', '-f', 'json'], where).out });
    expect((await post()).err).toContain('Comment updated.');
    expect(comments).toHaveLength(1);
    expect(new Set(calls.map(({ token }) => token))).toEqual(new Set(['Bearer secret']));
  });

  it('gives GraphQL its reason', async () => {
    const { url } = await service(() => ({ errors: [{ message: 'Resource not accessible by integration' }] }));
    const env = { GITHUB_TOKEN: 'secret', GITHUB_REPOSITORY: 'octo/models', GITHUB_GRAPHQL_URL: url };
    const words = ['comment', 'report.json', '--post', 'github', '--pull-request', '7'];
    const { code, err } = await runBeside(words, computed(), env);
    expect(code).toBe(2);
    expect(err).toContain('The comment could not be posted: Resource not accessible by integration');
  });
});
