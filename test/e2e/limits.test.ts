import { createServer, request as forward } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { Failure } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const wider = { [path]: config({ intermediate_size: 11264 }) };
const pull = () => pullRequest({ [path]: config() }, wider);
const limited = { 'x-ratelimit-remaining': '0' };
const inSeconds = (seconds: number) => String(Math.floor(Date.now() / 1_000) + seconds);

describe('rate limits', () => {
  it.each([
    [
      'a primary one',
      'changedFiles',
      403,
      { ...limited, 'x-ratelimit-reset': inSeconds(1) },
      'API rate limit exceeded',
    ],
    ['a secondary one', '/compare/', 403, { 'retry-after': '1' }, 'You have exceeded a secondary rate limit.'],
    ['one of status 429', '/compare/', 429, { 'retry-after': '1' }, 'Too many requests'],
    ['one of GraphQL', 'file(path', 403, { 'retry-after': '1' }, 'You have exceeded a secondary rate limit.'],
    ['one of a comment', 'addComment', 403, { 'retry-after': '1' }, 'You have exceeded a secondary rate limit.'],
  ])('%s that ends soon is waited out', async (_, match, status, headers, message) => {
    const state = pull();
    state.failures.push({ match, status, headers, body: JSON.stringify({ message }) });
    const server = await start(state);
    const ran = await runAction(server);
    expect(ran.outputs).toMatchObject({ verdict: 'pass', 'comment-status': 'created' });
    expect(ran.log).toContain("GitHub's rate limit is reached");
    expect(server.state.comments).toHaveLength(1);
  });

  it('one that lasts is not: the run ends at once, in a sentence', async () => {
    const server = await start({ ...pull(), rate: { remaining: 0, seconds: 3_000 } });
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.log).toMatch(/GitHub's rate limit is reached for (2999|300\d) s\./);
    expect(ran.milliseconds).toBeLessThan(10_000);
    // The first two are sent together.
    expect(server.requests).toHaveLength(2);
  });

  it('is spared: a pull request of a few configs takes few requests', async () => {
    const server = await start({ ...pull(), rate: { remaining: 6, seconds: 3_000 } });
    expect((await runAction(server)).outputs['comment-status']).toBe('created');
  });
});

describe('failures on the way', () => {
  it.each([
    ['502 of REST', { match: '/compare/', status: 502, body: '<html>Bad Gateway</html>' }],
    ['503 of GraphQL', { match: 'file(path', status: 503 }],
    ['a line that is cut', { match: 'changedFiles', how: 'drop' as const }],
    ['an answer that breaks off', { match: '/compare/', status: 200, body: '{"base_commit": {"sha": "' }],
    ['a comment that cannot be updated at first', { match: 'comments(first', status: 500 }],
  ])('%s is tried again', async (_, failure) => {
    const state = pull();
    state.failures.push(failure);
    const ran = await runAction(await start(state));
    expect(ran.outputs).toMatchObject({ verdict: 'pass', 'comment-status': 'created' });
    expect(ran.log).toContain('Trying again in 1 s.');
  });

  it('a server that says nothing, a limit without an end and a failure that stays are borne for a while', async () => {
    const limited = (type: string) =>
      JSON.stringify({ data: null, errors: [{ type, message: 'the limit is reached' }] });
    const failing = async (failure: Failure) => {
      const state = pull();
      state.failures.push(failure);
      const server = await start(state);
      return { ran: await runAction(server), server };
    };
    const [silent, graphql, newer, broken] = await Promise.all([
      failing({ match: '/compare/', how: 'hang' }),
      failing({ match: 'file(path', status: 200, body: limited('RATE_LIMITED') }),
      failing({ match: 'file(path', status: 200, body: limited('RATE_LIMIT') }),
      failing({ match: '/compare/', status: 500, times: 1_000 }),
    ]);
    expect(silent.ran.outputs['verdict']).toBe('pass');
    expect(silent.ran.log).toContain('GitHub did not answer');
    expect(silent.ran.milliseconds).toBeLessThan(50_000);
    for (const { ran } of [graphql, newer]) {
      expect(ran.outputs['verdict']).toBe('pass');
      expect(ran.log).toContain('Trying again in 10 s');
    }
    expect(broken.ran.code).toBe(1);
    expect(broken.ran.log).toContain('Model Cost Gate could not read from GitHub: GitHub answered 500: planned.');
    expect(broken.server.requests.length).toBeLessThan(10);
  });

  it.each([
    ['no JSON', '<html>Sign in to the proxy ##[add-mask]1</html>'],
    ['another JSON', '{"merge_base_commit": "::error::"}'],
    ['nothing', ''],
  ])('an answer that is %s is a sentence', async (_, body) => {
    const state = pull();
    state.failures.push({ match: '/compare/', status: 200, body, headers: { 'content-type': 'text/html' }, times: 9 });
    const ran = await runAction(await start(state));
    expect(ran.code).toBe(1);
    expect(ran.log).toContain("GitHub's answer is not what its API describes");
    expect(ran.log).not.toMatch(/##\[|\n\n/);
  });

  it('a file that GraphQL stumbles over fails the run: it is not taken for one that does not exist', async () => {
    const server = await start({ ...pull(), unreadable: [path] });
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('configs/model.json and 1 more files could not be read: GitHub refuses the query');
    expect(server.state.comments).toEqual([]);
  });

  it('an answer too large for GraphQL is asked for in smaller parts', async () => {
    const many = (width: number) =>
      Object.fromEntries(
        Array.from({ length: 40 }, (_, index) => [`${index}.json`, config({ intermediate_size: width })]),
      );
    const state = pullRequest(many(11008), many(11264));
    const errors = [{ message: 'Resource limits for this query exceeded.' }];
    state.failures.push({
      match: 'f79: file(path',
      status: 200,
      body: JSON.stringify({ data: null, errors }),
      times: 1,
    });
    const server = await start(state);
    expect((await runAction(server)).outputs).toMatchObject({ verdict: 'pass', changed: '40' });
  });
});

describe('where GitHub is', () => {
  it('may be an Enterprise Server', async () => {
    const server = await start({ ...pull(), prefix: '/api/v3' });
    const ran = await runAction(server);
    expect(ran.outputs['comment-status']).toBe('created');
    expect(new Set(server.requests.map(({ path: to }) => to.split('/').slice(0, 3).join('/')))).toEqual(
      new Set(['/api/v3', '/api/graphql']),
    );
  });

  it('may be behind a proxy, unless no_proxy says otherwise', async () => {
    const server = await start(pull());
    let passed = 0;
    // The host is one that nobody knows: only the proxy leads to it.
    const proxy = createServer((request, response) => {
      passed += 1;
      const { pathname, search } = new URL(request.url ?? '');
      const { method = 'GET', headers } = request;
      const to = forward({ port: server.port, path: pathname + search, method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(to);
    }).on('connect', (_, client) => {
      passed += 1;
      const to = connect(server.port, '127.0.0.1', () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'));
      to.pipe(client).pipe(to);
      to.on('error', () => client.destroy());
      client.on('error', () => to.destroy());
    });
    await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
    const address = proxy.address();
    const http_proxy = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const there = { GITHUB_API_URL: 'http://github.test', http_proxy };
    const event = { name: 'pull_request', payload: { pull_request: { number: 7, head: { sha: sha('b') } } } };
    const ran = await runAction(server, {}, event, there);
    expect(ran.outputs['comment-status']).toBe('created');
    expect(passed).toBeGreaterThan(0);
    passed = 0;
    const direct = await runAction(server, {}, event, { http_proxy, no_proxy: '127.0.0.1' });
    expect(direct.outputs['comment-status']).toBe('unchanged');
    expect(passed).toBe(0);
    proxy.closeAllConnections();
    await new Promise((done) => proxy.close(done));
  });
});

describe('what GitHub takes of a step', () => {
  it('a report over the length of an output stands in a file, and that is said', async () => {
    const many = (width: number) =>
      Object.fromEntries(
        Array.from({ length: 400 }, (_, index) => [
          `${'name '.repeat(30)}${index}.json`,
          config({ intermediate_size: width, [`${'|'.repeat(100)}`]: '@'.repeat(150) }),
        ]),
      );
    const server = await start(pullRequest(many(11008), many(11264)));
    const ran = await runAction(server);
    expect(ran.code).toBe(0);
    expect(ran.outputs['report']).toBe('');
    expect(ran.log).toContain('The output report is left empty, since it is too long for GitHub');
    const characters = Object.values(ran.outputs).reduce((sum, value) => sum + value.length, 0);
    expect(2 * characters).toBeLessThan(1_000_000);
    expect(ran.summary.length).toBeGreaterThan(60_000);
    expect(Buffer.byteLength(ran.summary)).toBeLessThan(1_048_576);
  });
});
