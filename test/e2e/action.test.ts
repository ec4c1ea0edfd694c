import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import { GitHubServer, type State } from '../github-server.ts';
import { blocks, markup } from '../report/hostile.ts';
import { config, pullRequest, sha } from '../states.ts';
import { whole } from './stage.ts';

let server: GitHubServer;
const start = async (state: State) => {
  server = await GitHubServer.start(state);
  return server;
};
afterEach(async () => {
  expect(server.invalid, 'requests that GitHub does not describe').toEqual([]);
  await server.stop();
});

const key = '<!-- model-cost-gate key=default -->';
const path = 'configs/model.json';

describe('a pull request', () => {
  it('comments the difference against the merge base and passes within budget', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ intermediate_size: 11264 }) }));
    const ran = await runAction(server);
    expect(ran.log).toContain('Verdict: pass');
    expect(ran.code).toBe(0);
    expect(server.state.comments).toHaveLength(1);
    const body = server.state.comments[0]?.body ?? '';
    expect(body.startsWith(`${key}\n`)).toBe(true);
    expect(body).toContain('## ✅ Model cost: within budget (1 config changed)');
    expect(body).toContain('`configs/model.json`');
    expect(body).toContain('`intermediate_size`: `11008` →\u00a0`11264`');
    expect(body).toContain('`aaaaaaaaaaaa`');
    expect(body).not.toContain('moved-on');
    expect(ran.outputs).toMatchObject({
      verdict: 'pass',
      'over-budget': 'false',
      changed: '1',
      'base-sha': sha('a'),
      'head-sha': sha('b'),
      'comment-status': 'created',
    });
    expect(ran.summary).toContain('Model cost');
    const report = JSON.parse(ran.outputs['report'] ?? '');
    expect(report.comparisons[0].base.parameters.total).toBe(6_738_415_616);
    expect(JSON.parse(readFileSync(ran.outputs['report-path'] ?? '', 'utf8'))).toEqual(report);
    expect(readdirSync(ran.outputs['report-folder'] ?? '').sort()).toEqual(['report.json', 'report.md']);
  });

  it('fails over budget, with an annotation at the line that changed', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'over-budget': 'true' });
    expect(ran.log).toMatch(
      /::error title=Model cost,file=configs\/model\.json,line=6::This change takes memory per GPU over the budget\./,
    );
    expect(server.state.comments[0]?.body).toContain('## ❌ Model cost: over the memory budget');
  });

  it('updates its own comment, and leaves an equal one alone', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ intermediate_size: 11264 }) }));
    await runAction(server);
    const again = await runAction(server);
    expect(again.outputs['comment-status']).toBe('unchanged');
    server.state.commits[sha('b')] = { [path]: config({ intermediate_size: 12288 }) };
    const third = await runAction(server);
    expect(third.outputs['comment-status']).toBe('updated');
    expect(server.state.comments).toHaveLength(1);
    expect(server.state.comments[0]?.body).toContain('12288');
  });

  it('is not hijacked by a comment of somebody else with the marker, and finds its own behind 150 others', async () => {
    const others = Array.from({ length: 150 }, (_, index) => ({
      id: index + 1,
      author: 'mallory',
      body: `${key}\n\nhijacked ${index}`,
      minimized: false,
    }));
    const own = { id: 151, author: 'github-actions[bot]', body: `${key}\n\nold`, minimized: false };
    await start(
      pullRequest(
        { [path]: config() },
        { [path]: config({ intermediate_size: 11264 }) },
        { comments: [...others, own] },
      ),
    );
    const ran = await runAction(server);
    expect(ran.outputs['comment-status']).toBe('updated');
    expect(server.state.comments[0]?.body).toContain('hijacked');
    expect(server.state.comments[150]?.body).toContain('within budget');
  });

  it('folds away duplicates of its own', async () => {
    const own = (id: number) => ({ id, author: 'github-actions[bot]', body: whole('old'), minimized: false });
    await start(
      pullRequest(
        { [path]: config() },
        { [path]: config({ intermediate_size: 11264 }) },
        { comments: [own(1), own(2)] },
      ),
    );
    await runAction(server);
    expect(server.state.comments.map(({ minimized }) => minimized)).toEqual([false, true]);
  });

  it('shows added, removed and renamed configs as what they are', async () => {
    const state = pullRequest(
      { 'old.json': config(), 'gone.json': config({ num_hidden_layers: 16 }) },
      { 'new-name.json': config({ intermediate_size: 11264 }), 'fresh.json': config({ num_hidden_layers: 8 }) },
    );
    state.pull.renames = { 'new-name.json': 'old.json' };
    await start(state);
    const ran = await runAction(server);
    const body = server.state.comments[0]?.body ?? '';
    expect(body).toContain('`new-name.json`<br>renamed from `old.json`');
    expect(body).toContain('`fresh.json`<br>new');
    expect(body).toContain('`gone.json`<br>removed');
    expect(ran.outputs['changed']).toBe('3');
  });

  it('says nothing where no model config changed, and brings an existing comment up to date', async () => {
    await start(
      pullRequest(
        { 'README.md': 'a', 'package.json': '{}' },
        { 'README.md': 'b', 'package.json': '{"name":"x"}', 'other.json': '{"a":1}' },
      ),
    );
    const quiet = await runAction(server);
    expect(quiet.code).toBe(0);
    expect(quiet.outputs).toMatchObject({ verdict: 'skipped', changed: '0', 'comment-status': 'skipped' });
    expect(server.state.comments).toEqual([]);
    server.state.comments.push({ id: 1, author: 'github-actions[bot]', body: `${key}\n\nold`, minimized: false });
    await runAction(server);
    expect(server.state.comments[0]?.body).toContain('no model config changed');
  });

  it('goes on where a config is broken: what could be read before fails, named or not', async () => {
    await start(
      pullRequest(
        { [path]: config(), 'b.json': config() },
        { [path]: config({ intermediate_size: 11264 }), 'b.json': config({ hidden_size: 'wide' }) },
      ),
    );
    const recognised = await runAction(server);
    expect(recognised.code).toBe(1);
    expect(recognised.outputs).toMatchObject({ verdict: 'fail', changed: '2' });
    expect(recognised.log).toContain('file=b.json,line=4');
    expect(recognised.log).toContain('hidden_size must be a whole number');
    const named = await runAction(server, { configs: '*.json\nconfigs/**' });
    expect(named.code).toBe(1);
    expect(server.state.comments[0]?.body).toContain('`configs/model.json`');
  });

  it('keeps the verdict where the token may not comment, and names the permission', async () => {
    await start(
      pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) }, { mayComment: false }),
    );
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'comment-status': 'failed' });
    expect(ran.log).toContain('it needs the permission issues=write; pull_requests=write');
    expect(ran.summary).toContain('over the memory budget');
  });

  it('writes nothing to GitHub on a dry run', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) }));
    const ran = await runAction(server, { 'dry-run': 'true' });
    expect(server.requests.every(({ method, path: to }) => method === 'GET' || to === '/graphql')).toBe(true);
    expect(server.state.comments).toEqual([]);
    expect(ran.log).toContain('Memory per GPU');
    expect(ran.code).toBe(1);
  });

  it('does not comment for a head that is no longer the pull request’s', async () => {
    const state = pullRequest({ [path]: config() }, { [path]: config({ intermediate_size: 11264 }) });
    state.commits[sha('d')] = state.commits[sha('b')] ?? {};
    state.failures.push({
      match: 'comments(first',
      status: 502,
      meanwhile: (now) => {
        now.pull.head = sha('d');
      },
    });
    await start(state);
    const ran = await runAction(server);
    expect(ran.outputs['comment-status']).toBe('skipped');
    expect(ran.log).toContain('newer commit');
  });

  it('reads labels live: an override turns the failure into a warning and says who set it', async () => {
    const state = pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) });
    state.pull.labels = ['cost-approved'];
    state.labelEvents = [{ label: 'cost-approved', actor: 'grace' }];
    await start(state);
    const ran = await runAction(server, { 'override-label': 'cost-approved' });
    expect(ran.code).toBe(0);
    expect(ran.outputs['verdict']).toBe('warn');
    expect(server.state.comments[0]?.body).toContain('let pass by the label `cost-approved`, set by `grace`');
  });

  it('refuses symlinks’, submodules’ and LFS pointers’ content in a sentence, and reads UTF-16', async () => {
    const utf16 = Buffer.concat([
      Buffer.from([0xff, 0xfe]),
      Buffer.from(config({ intermediate_size: 11264 }), 'utf16le'),
    ]);
    await start(
      pullRequest(
        { 'a.json': config() },
        {
          'a.json': { bytes: utf16 },
          'lfs.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
          'sub.json': { submodule: sha('e') },
        },
      ),
    );
    const ran = await runAction(server, { configs: '*.json' });
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('lfs.json is a Git LFS pointer');
    expect(ran.log).toContain('sub.json is a submodule');
    expect(server.state.comments[0]?.body).toContain('6.74\u00a0B →\u00a06.84\u00a0B');
  });
});

describe('bounded requests', () => {
  const many = (count: number, width: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`configs/${index}.json`, config({ intermediate_size: width })]),
    );

  it.each([
    [1, 6],
    [50, 8],
    [1000, 38],
  ])('%i changed configs take at most %i requests', async (count, most) => {
    await start(pullRequest(many(count, 11008), many(count, 11264)));
    const ran = await runAction(server);
    expect(ran.outputs['changed']).toBe(String(count));
    expect(server.requests.length).toBeLessThanOrEqual(most);
    expect((server.state.comments[0]?.body ?? '').length).toBeLessThanOrEqual(60_000);
    expect(ran.outputs['comment-status']).toBe('created');
  });
});

describe('other events', () => {
  it('workflow_dispatch reports on every matching config, as summary and as files', async () => {
    await start(
      pullRequest({}, { 'a.json': config(), 'b.json': config({ num_hidden_layers: 16 }), 'package.json': '{}' }),
    );
    const ran = await runAction(server, {}, { name: 'workflow_dispatch', payload: {} });
    expect(ran.code).toBe(0);
    expect(ran.summary).toContain('`a.json`');
    expect(ran.summary).toContain('`b.json`');
    expect(JSON.parse(readFileSync(ran.outputs['report-path'] ?? '', 'utf8')).reports).toHaveLength(2);
    expect(server.state.comments).toEqual([]);
  });

  it('a merge queue is judged without a comment', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) }));
    const payload = {
      merge_group: { base_sha: sha('a'), head_sha: sha('b'), head_ref: 'refs/heads/gh-readonly-queue/main/pr-7' },
    };
    const ran = await runAction(server, {}, { name: 'merge_group', payload });
    expect(ran.code).toBe(1);
    expect(server.state.comments).toEqual([]);
  });

  it('a push compares with what was there before', async () => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ intermediate_size: 11264 }) }));
    const ran = await runAction(
      server,
      {},
      { name: 'push', payload: { before: sha('a'), after: sha('b'), ref: 'refs/heads/main' } },
    );
    expect(ran.outputs).toMatchObject({ verdict: 'pass', changed: '1' });
  });

  it('an event that it does not know is one sentence', async () => {
    await start(pullRequest({}, {}));
    const ran = await runAction(server, {}, { name: 'release', payload: {} });
    expect(ran.code).toBe(1);
    expect(ran.log).toContain('The event release is not one that this action works on');
  });
});

describe('wrong settings', () => {
  it.each([
    [{ accelerator: 'h100-sxm-80' }, 'Did you mean "h100-sxm-80gb"?'],
    [{ 'memory-budget': 'plenty' }, 'must be an amount like 80GB'],
    [{ 'fail-on': 'increased' }, 'Did you mean "increase"?'],
    [{ gpus: '0' }, 'must be a whole number from 1 on'],
    [{ run: 'gpus: 8\nsequence_lenght: 4096\n' }, 'unknown key "sequence_lenght". Did you mean "sequence_length"?'],
    [{ run: 'runs/missing.yml' }, 'The run description runs/missing.yml does not exist'],
  ])('%j is one sentence', async (inputs, sentence) => {
    await start(pullRequest({ [path]: config() }, { [path]: config({ intermediate_size: 11264 }) }));
    const ran = await runAction(server, inputs);
    expect(ran.code).toBe(1);
    expect(ran.log).toContain(sentence);
    expect(server.state.comments).toEqual([]);
  });
});

describe('hostile input', () => {
  it('never reaches the log, the comment or the outputs as an order', async () => {
    const evil = 'configs/a::set-output name=x::y ##[add-mask]1 @everyone <img src=x> | `b`\u202e.json';
    const hostile = config({
      intermediate_size: 11264,
      _note: '##[add-mask]1\n::error::owned <script>alert(1)</script> [x](http://evil.example) @root |',
    });
    await start(
      pullRequest(
        { [evil]: config() },
        { [evil]: hostile, 'c.json': '{"model_type": "llama", "hidden_size": 64, ::stop-commands::x' },
      ),
    );
    const ran = await runAction(server, { configs: '**' });
    const body = server.state.comments[0]?.body ?? '';
    expect(ran.log).not.toMatch(/##\[/);
    expect(ran.log).not.toMatch(/^\s*::(?!error|warning|notice)/m);
    expect(ran.log).not.toContain('\u202e');
    expect(body).not.toContain('\u202e');
    expect(markup(body, blocks)).toEqual([]);
    expect(Object.keys(ran.outputs)).not.toContain('x');
  });
});
