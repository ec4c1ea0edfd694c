import { describe, expect, it } from 'vitest';
import { longestComment } from '../../src/report/comment.ts';
import { runAction } from '../action.ts';
import type { Failure, StoredComment } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { marker, path, stage, whole } from './stage.ts';

const start = stage();
const wider = { [path]: config({ intermediate_size: 11264 }) };
const deeper = { [path]: config({ num_hidden_layers: 80 }) };
const comment = (id: number, body: string, changes: Partial<StoredComment> = {}): StoredComment => ({
  id,
  author: 'github-actions[bot]',
  body,
  minimized: false,
  ...changes,
});

/** What a comment remembers, as it stands in its second line. */
const stateOf = (open: readonly object[]) =>
  encodeURIComponent(JSON.stringify({ open, resolved: [] })).replaceAll('-', '%2D');

const post = 'POST /repos/octo/models/issues/7/comments';
/** What GraphQL says to a token that may write to issues and not to pull requests. */
const refusedByGraphql: Failure = {
  match: 'addComment',
  status: 200,
  body: JSON.stringify({
    data: null,
    errors: [{ type: 'FORBIDDEN', message: 'Resource not accessible by integration' }],
  }),
};

describe('a move below the threshold', () => {
  const inputs = { 'comment-threshold': '5%' };

  it('creates no comment, and brings one up to date', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider));
    expect((await runAction(server, inputs)).outputs['comment-status']).toBe('skipped');
    expect(server.state.comments).toEqual([]);
    server.state.commits[sha('b')] = { [path]: config({ intermediate_size: 14336 }) };
    expect((await runAction(server, inputs)).outputs['comment-status']).toBe('created');
    server.state.commits[sha('b')] = wider;
    expect((await runAction(server, inputs)).outputs['comment-status']).toBe('updated');
  });
});

describe('which comment is ours', () => {
  it.each([
    ['of another author', comment(1, `${marker}\n\nold`, { author: 'mallory' })],
    ['that quotes the marker', comment(1, `> ${marker}\n\nold`)],
    ['with the marker further down', comment(1, `Look:\n${marker}\n\nold`)],
    ['of another gate', comment(1, '<!-- model-cost-gate key=default-2 -->\n\nold')],
    ['that somebody folded away', comment(1, `${marker}\n\nold`, { minimized: true })],
  ])('never one %s', async (_, other) => {
    const server = await start(pullRequest({ [path]: config() }, wider, { comments: [other] }));
    expect((await runAction(server)).outputs['comment-status']).toBe('created');
    expect(server.state.comments[0]?.body).toBe(other.body);
    expect(server.state.comments).toHaveLength(2);
  });

  it('the one of its own key, among several gates on one pull request', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider));
    await runAction(server, { 'comment-key': 'a100', accelerator: 'a100-sxm-80gb' });
    await runAction(server, { 'comment-key': 'h100' });
    await runAction(server, { 'comment-key': 'a100', accelerator: 'a100-sxm-80gb', gpus: '16' });
    expect(server.state.comments.map(({ body }) => body.split('\n')[0])).toEqual([
      '<!-- model-cost-gate key=a100 -->',
      '<!-- model-cost-gate key=h100 -->',
    ]);
    expect(server.state.comments[0]?.body).toContain('`16`');
  });

  it('found behind a thousand others', async () => {
    const others = Array.from({ length: 1_000 }, (_, index) => comment(index + 1, `hello ${index}`, { author: 'ada' }));
    const server = await start(
      pullRequest({ [path]: config() }, wider, { comments: [...others, comment(1_001, `${marker}\n\nold`)] }),
    );
    expect((await runAction(server)).outputs['comment-status']).toBe('updated');
  });
});

describe('when it is written', () => {
  it('a second run over the same commit changes nothing, whatever the verdict', async () => {
    for (const head of [wider, deeper, { [path]: '{' }]) {
      const server = await start(pullRequest({ [path]: config() }, head));
      await runAction(server, { configs: '**' });
      const [before] = server.state.comments.map(({ body }) => body);
      const written = server.writes.length;
      expect((await runAction(server, { configs: '**' })).outputs['comment-status']).toBe('unchanged');
      expect(server.state.comments.map(({ body }) => body)).toEqual([before]);
      expect(server.writes).toHaveLength(written);
    }
  });

  it('is left alone where GitHub gives its lines back with other ends', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider));
    await runAction(server);
    const [own] = server.state.comments;
    if (own) own.body = own.body.replaceAll('\n', '\r\n');
    expect((await runAction(server)).outputs['comment-status']).toBe('unchanged');
  });

  it('two runs that both found none leave one', async () => {
    const state = pullRequest({ [path]: config() }, wider);
    state.failures.push({
      match: 'addComment',
      meanwhile: (now) => now.comments.push(comment(1, whole('of another run'))),
    });
    const server = await start(state);
    const ran = await runAction(server);
    expect(server.state.comments.map(({ minimized }) => minimized)).toEqual([false, true]);
    expect(server.state.comments[0]?.body).toContain('within budget');
    expect(ran.outputs['comment-url']).toBe('https://github.example/1');
  });

  it('is not written for a commit that is no longer the head', async () => {
    const state = pullRequest({ [path]: config() }, wider, { comments: [comment(1, `${marker}\n\nof the newer run`)] });
    state.failures.push({
      match: 'comments(first',
      meanwhile: (now) => {
        now.pull.head = sha('d');
      },
    });
    const server = await start(state);
    const ran = await runAction(server);
    expect(ran.outputs['comment-status']).toBe('skipped');
    expect(server.state.comments[0]?.body).toContain('of the newer run');
  });

  it.each([
    ['contents', { match: 'file(path', status: 500, times: 100 }],
    ['the list of files', { match: 'pulls/7/files', status: 404 }],
    ['the merge base', { match: '/compare/', status: 403 }],
  ])(
    'a run that cannot read %s fails and leaves the good report',
    async (_, failure) => {
      const server = await start(pullRequest({ [path]: config() }, wider));
      await runAction(server);
      const before = server.state.comments[0]?.body;
      server.state.pull.head = sha('d');
      // More files than a comparison lists, so that the pull request's own list is asked for.
      const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`data/${index}.txt`, 'x']));
      server.state.commits[sha('d')] = { ...deeper, ...many };
      server.state.parents[sha('d')] = [sha('a')];
      server.state.failures.push(failure);
      const ran = await runAction(server);
      expect(ran.code).toBe(1);
      expect(ran.log.split('\n').filter((line) => line.startsWith('::error::'))).toHaveLength(1);
      expect(server.state.comments[0]?.body).toBe(before);
    },
    120_000,
  );

  it.each([
    ['GraphQL', 'addComment', []],
    ['REST, after GraphQL refused it', post, [refusedByGraphql]],
  ])('once, where %s fails after it has stored it; and once where it has not', async (_, match, before) => {
    const open = () => pullRequest({ [path]: config() }, wider, { failures: before.map((one) => ({ ...one })) });
    const stored = open();
    stored.failures.push({ match, how: 'after', status: 502 });
    const [first, second] = [await start(stored), await start(open())];
    expect((await runAction(first)).outputs).toMatchObject({
      'comment-status': 'created',
      'comment-url': 'https://github.example/1',
    });
    expect(first.state.comments).toHaveLength(1);
    second.state.failures.push({ match, how: 'drop' });
    expect((await runAction(second)).outputs['comment-status']).toBe('created');
    expect(second.state.comments).toHaveLength(1);
  });

  it('by REST where the token may do that alone', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider, { failures: [{ ...refusedByGraphql }] }));
    expect((await runAction(server)).outputs['comment-status']).toBe('created');
    expect(server.state.comments).toHaveLength(1);
  });

  it('and stays created where the answer to it cannot be read', async () => {
    const body = JSON.stringify({ data: { addComment: { commentEdge: null, subject: null } } });
    const failures: Failure[] = [{ match: 'addComment', how: 'after', status: 200, body }];
    const server = await start(pullRequest({ [path]: config() }, wider, { failures }));
    expect((await runAction(server)).outputs['comment-status']).toBe('created');
    expect(server.state.comments).toHaveLength(1);
  });

  it('on changes, always, on failures or never', async () => {
    const same = { [path]: config(), 'note.json': `${config()}\n` };
    const status = async (head: Record<string, string>, mode: string) => {
      const server = await start(pullRequest({ [path]: config(), 'note.json': config() }, head));
      return (await runAction(server, { comment: mode })).outputs['comment-status'];
    };
    expect(await status(same, 'changes')).toBe('skipped');
    expect(await status(same, 'always')).toBe('created');
    expect(await status({ ...same, ...wider }, 'failures')).toBe('skipped');
    expect(await status({ ...same, ...deeper }, 'failures')).toBe('created');
    expect(await status({ ...same, ...deeper }, 'never')).toBe('skipped');
  });
});

describe('what it says of earlier problems', () => {
  it('shows them as resolved, with the commit, until they come back; and so it stays', async () => {
    const server = await start(pullRequest({ [path]: config() }, deeper));
    await runAction(server);
    const push = (letter: string, tree: Record<string, string>) => {
      server.state.commits[sha(letter)] = tree;
      server.state.parents[sha(letter)] = [sha('a')];
      server.state.pull.head = sha(letter);
    };
    const body = () => server.state.comments[0]?.body ?? '';
    push('d', wider);
    await runAction(server);
    const resolved = '- ✅ Resolved in `dddddddddddd`: `configs/model.json`: Memory per GPU was over the budget.';
    expect(body()).toContain('## ✅ Model cost: within budget');
    expect(body()).toContain(resolved);
    expect((await runAction(server)).outputs['comment-status']).toBe('unchanged');
    // Unreadable is not resolved.
    push('e', deeper);
    await runAction(server);
    expect(body()).not.toContain('Resolved');
    push('f', { [path]: '{"model_type": "llama", "hidden_size": "wide"}' });
    await runAction(server);
    expect(body()).not.toContain('Resolved');
    // No config is changed any more.
    push('9', { [path]: config() });
    await runAction(server);
    expect(body()).toContain('no model config changed');
    expect(body()).toContain('✅ Resolved in `999999999999`');
  });

  it('takes nothing on trust from its own hidden line', async () => {
    const evil = { path: '@everyone', code: 'memory-over-budget', metric: 'memory', message: '<img src=x>' };
    const state = stateOf([evil]);
    const line = (of: string) => `\n<!-- model-cost-gate state=${of} -->`;
    const forged = (of: string) => comment(1, whole('old', line(of)));
    const server = await start(pullRequest({ [path]: config() }, wider, { comments: [forged(state)] }));
    await runAction(server);
    expect(server.state.comments[0]?.body).toContain(
      '- ✅ Resolved in `bbbbbbbbbbbb`: `@everyone`: Memory per GPU was over the budget.\n',
    );
    const strange = [
      { ...evil, code: 'constructor' },
      { ...evil, metric: 'Approved until 2030' },
      { ...evil, path: 'x'.repeat(101) },
      { ...evil, at: 'deadbeef because' },
    ].map((one) => stateOf([one]));
    const texts = ['%', '%7B', 'x'.repeat(70_000), encodeURIComponent('{"__proto__":{"open":1}}'), ...strange];
    for (const broken of [...texts, stateOf(Array.from({ length: 6 }, () => evil))]) {
      server.state.comments = [forged(broken)];
      expect((await runAction(server)).outputs['comment-status']).toBe('updated');
      expect(server.state.comments[0]?.body).not.toContain('Resolved');
    }
  });
});

describe('comments of other workflows with our identity', () => {
  const approved = { path: 'configs/llama', code: 'memory-over-budget', metric: 'memory' };
  const state = stateOf([approved]);
  const planted = `${marker}\n<!-- model-cost-gate state=${state} -->\n\nfrom another workflow`;

  it('do not speak through ours, whatever they remember for it', async () => {
    const server = await start(pullRequest({ [path]: config() }, wider, { comments: [comment(1, planted)] }));
    expect((await runAction(server)).outputs['comment-status']).toBe('updated');
    expect(server.state.comments[0]?.body).not.toContain('Resolved');
  });

  it('neither take the place of ours nor are folded away', async () => {
    const server = await start(
      pullRequest({ [path]: config() }, wider, {
        comments: [comment(1, planted), comment(2, whole('old')), comment(3, planted), comment(4, whole('older'))],
      }),
    );
    expect((await runAction(server)).outputs['comment-url']).toBe('https://github.example/2');
    expect(server.state.comments.map(({ minimized }) => minimized)).toEqual([false, false, false, true]);
    expect(server.state.comments[0]?.body).toBe(planted);
  });

  it('have identities that are no 32-bit numbers, as do ours', async () => {
    const comments = [comment(3_512_345_678, 'hello', { author: 'ada' }), comment(3_512_345_679, whole('old'))];
    const server = await start(pullRequest({ [path]: config() }, wider, { comments }));
    expect((await runAction(server)).outputs['comment-status']).toBe('updated');
    expect(server.state.comments[1]?.body).toContain('intermediate_size');
  });
});

describe('what GitHub says where it refuses', () => {
  const refused = async (failure: Failure, comments: readonly StoredComment[] = []) => {
    const failures = [{ ...refusedByGraphql }, failure];
    const state = pullRequest({ [path]: config() }, deeper, { comments: [...comments], failures });
    const { log, outputs } = await runAction(await start(state));
    expect(outputs).toMatchObject({ verdict: 'fail', 'comment-status': 'failed' });
    return log.split('\n').find((line) => line.startsWith('::warning')) ?? '';
  };
  const permissions = { 'x-accepted-github-permissions': 'issues=write; pull_requests=write' };

  it.each([
    [403, 'Unable to create comment because issue is locked.'],
    [403, 'Commenting is disabled on issues with more than 2500 comments'],
    [422, 'Validation Failed: body is too long'],
  ])('is told in its words, and not as a permission that is missing: %i %s', async (status, message) => {
    const body = JSON.stringify({ message, documentation_url: 'https://docs.example/x' });
    const warning = await refused({ match: post, status, headers: permissions, body });
    expect(warning).toContain(message);
    expect(warning).not.toMatch(/permission|docs\.example/);
  });

  it('is the first reason of GraphQL, and the permission where it is that', async () => {
    const errors = [
      { type: 'RESOURCE_LIMITS_EXCEEDED', message: 'Resource limits for this query exceeded.' },
      { message: 'another' },
    ];
    const limits = await refused({
      match: 'comments(first',
      status: 200,
      body: JSON.stringify({ data: null, errors }),
    });
    expect(limits).toContain('GitHub refuses the query: Resource limits for this query exceeded.');
    const state = pullRequest({ [path]: config() }, deeper, {
      comments: [comment(1, whole('old'))],
      mayComment: false,
    });
    const { log } = await runAction(await start(state));
    expect(log).toContain('the token may not do this (Resource not accessible by integration)');
    expect(log).toContain('commenting needs pull-requests: write');
  });
});

describe('how long it is', () => {
  it('what it remembers counts, and goes first', async () => {
    const many = (from: number, layers: number) =>
      Object.fromEntries(
        Array.from({ length: 60 }, (_, index) => [
          `${'模型'.repeat(60)}/${from + index}.json`,
          config({
            num_hidden_layers: layers,
            ...Object.fromEntries(Array.from({ length: 60 }, (_, key) => [`键${'长'.repeat(20)}_${key}`, layers])),
          }),
        ]),
      );
    const server = await start(pullRequest({ ...many(0, 32), ...many(60, 32) }, { ...many(0, 80), ...many(60, 32) }));
    await runAction(server);
    server.state.commits[sha('d')] = { ...many(0, 32), ...many(60, 80) };
    server.state.parents[sha('d')] = [sha('a')];
    server.state.pull.head = sha('d');
    expect((await runAction(server)).outputs['comment-status']).toBe('updated');
    const body = server.state.comments[0]?.body ?? '';
    expect(body.length).toBeLessThanOrEqual(longestComment);
    expect(body).not.toContain('state=');
    expect((await runAction(server)).outputs['comment-status']).toBe('unchanged');
  });

  it('at most what GitHub takes; whole sections go, and that is said; the summary has the rest', async () => {
    const many = (width: number, layers: number) =>
      Object.fromEntries(
        Array.from({ length: 120 }, (_, index) => [
          `${'long|name`'.repeat(20)}/${index}.json`,
          config({
            intermediate_size: width,
            num_hidden_layers: layers,
            ...Object.fromEntries(Array.from({ length: 30 }, (_, key) => [`key_${key}`, width])),
          }),
        ]),
      );
    const server = await start(pullRequest(many(11008, 32), many(11264, 80)));
    const ran = await runAction(server);
    const body = server.state.comments[0]?.body ?? '';
    expect(ran.outputs['comment-status']).toBe('created');
    expect(body.length).toBeLessThanOrEqual(longestComment);
    expect(body).toContain('120 of 120 changed configs over the memory budget');
    expect(body).toContain('60 more configs; the job summary has them');
    expect(body).toMatch(/sections were left out to fit GitHub's limit/);
    expect(body.match(/<details>/g)?.length).toBe(body.match(/<\/details>/g)?.length);
    expect(ran.summary.match(/^\| ❌ /gm)).toHaveLength(120);
    expect(ran.outputs['comment-body']).toBe(body);
    expect(ran.log.split('\n').filter((line) => line.startsWith('::error')).length).toBeLessThanOrEqual(10);
    expect(ran.log).toContain('111 more findings have no annotation');
  });
});

describe('a token that may only read', () => {
  it.each([
    ['a fork', { headRepository: 'mallory/models' }, 'comes from another repository'],
    ['Dependabot', {}, 'it needs the permission issues=write; pull_requests=write'],
  ])(
    'of %s keeps verdict, summary, annotations and outputs; one sentence names the permission',
    async (_, pull, words) => {
      const state = pullRequest({ [path]: config() }, deeper, { mayComment: false });
      Object.assign(state.pull, pull);
      const server = await start(state);
      const ran = await runAction(server);
      expect(ran.code).toBe(1);
      expect(ran.outputs).toMatchObject({ verdict: 'fail', 'comment-status': 'failed', changed: '1' });
      expect(ran.outputs['comment-body']).toContain('over the memory budget');
      expect(ran.summary).toContain('over the memory budget');
      expect(ran.log).toMatch(/::error title=Model cost,file=configs\/model\.json,line=6::/);
      const warnings = ran.log.split('\n').filter((line) => line.startsWith('::warning'));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('it needs the permission issues=write; pull_requests=write');
      expect(warnings[0]).toContain(words);
      expect(warnings[0]).toContain('The verdict stands');
    },
  );

  it('that may read nothing is told what it lacks', async () => {
    const server = await start(pullRequest({ [path]: config() }, deeper, { mayRead: false }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('it may lack contents: read or pull-requests: read');
  });

  it('that GitHub does not know is told so', async () => {
    const server = await start(pullRequest({ [path]: config() }, deeper));
    const ran = await runAction(server, { 'github-token': 'expired' });
    expect(ran.log).toContain('GitHub does not accept the token');
  });
});
