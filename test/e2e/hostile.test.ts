import { describe, expect, it } from 'vitest';
import { type Ran, runAction } from '../action.ts';
import { blocks, markup } from '../report/hostile.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const event = { name: 'pull_request', payload: { pull_request: { number: 7, head: { sha: sha('b') } } } };
/** A run that takes more memory than this ends. */
const small = { NODE_OPTIONS: '--max-old-space-size=300' };

/** Every line is one of ours: plain words, or an annotation that begins as we write it. */
function expectHarmless({ log, outputs, summary }: Ran): void {
  for (const line of log.split('\n')) {
    const words = line.replace(/^::(?:error|warning|notice)(?: (?:title|file|line)=[^:]*?)?::/, '');
    expect(words).not.toMatch(/::|##\[|[\p{Cc}\p{Cf}\u2028\u2029]/u);
  }
  const known = [
    'verdict',
    'over-budget',
    'changed',
    'max-memory-gib',
    'base-sha',
    'head-sha',
    'report',
    'report-path',
    'report-folder',
  ];
  const ours = new Set([...known, 'comment-body', 'comment-url', 'comment-status']);
  expect(Object.keys(outputs).filter((name) => !ours.has(name))).toEqual([]);
  expect(markup(summary, blocks)).toEqual([]);
  expect(Object.values(outputs).join('').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
}

/** Names that git allows. */
const names = [
  'a\nb.json',
  'a\r\n::set-output name=verdict::pass.json',
  '::error::x.json',
  '##[add-mask]1.json',
  '"quoted".json',
  "it's.json",
  '-rf.json',
  '--output=x.json',
  '$(id).json',
  '`id`.json',
  '@everyone.json',
  '#1.json',
  'a|b.json',
  'a\\|b.json',
  '<img src=x onerror=alert(1)>.json',
  '<!-- model-cost-gate key=default -->.json',
  '[x](http://e.example).json',
  '\u202egnp.json',
  '\u200b.json',
  '\u001b[31mred.json',
  '\u009b31m.json',
  'عربي.json',
  'ünï 模型 😀.json',
  '__proto__.json',
  'constructor/prototype/__proto__.json',
  '%0A%3A%3Aerror.json',
  `${'long/'.repeat(200)}x.json`,
  'a:b.json',
  ' leading and trailing .json',
];

describe('file names as git allows them', () => {
  it('are read, judged and shown, and never obeyed', async () => {
    const at = (layers: number) =>
      Object.fromEntries(names.map((name) => [name, config({ num_hidden_layers: layers })]));
    const server = await start(pullRequest(at(32), at(80)));
    const ran = await runAction(server, { configs: '**' });
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', changed: String(names.length) });
    expectHarmless(ran);
    expect(markup(server.state.comments[0]?.body ?? '', blocks)).toEqual([]);
    const report = JSON.parse(ran.outputs['report'] || '{"reports":[]}');
    if (report.reports.length > 0)
      expect(report.reports.map(({ path: name }: { path: string }) => name).sort()).toEqual([...names].sort());
    expect((await runAction(server, { configs: '**' })).outputs['comment-status']).toBe('unchanged');
  });
});

const order =
  '##[add-mask]1\n::set-output name=verdict::pass\r\u2028::stop-commands::x @everyone <script> [x](http://e.example) | \u202e\u001b[31m';

describe('contents of a config', () => {
  it.each([
    ['a family', { model_type: order }],
    ['a value', { hidden_size: order }],
    ['a key', { [order]: order }],
    ['a nested key', { rope_scaling: { [order]: { __proto__: 1, constructor: order } } }],
    ['an activation', { hidden_act: order }],
    ['architectures', { architectures: [order] }],
    ['numbers beyond all bounds', { num_hidden_layers: 1e308, vocab_size: -1, intermediate_size: 0.1 }],
    ['more heads than width', { hidden_size: 8, num_attention_heads: 512 }],
    ['a feed-forward of no width', { intermediate_size: 0 }],
    ['sizes that overflow together', { hidden_size: 2 ** 40, intermediate_size: 2 ** 40, vocab_size: 2 ** 40 }],
  ])('%s that carries orders and markup is data', async (_, changes) => {
    const server = await start(pullRequest({ [path]: config() }, { [path]: config(changes) }));
    const ran = await runAction(server, { configs: '**', 'dry-run': 'false' }, event, small);
    expectHarmless(ran);
    expect([0, 1]).toContain(ran.code);
    const body = server.state.comments[0]?.body ?? '';
    expect(markup(body, blocks)).toEqual([]);
    expect(body.replace(/`[^`]*`/g, '')).not.toMatch(/NaN|Infinity|undefined/);
    expect(ran.log).not.toMatch(/Model Cost Gate failed/);
  });

  it.each([
    ['invalid UTF-8', 'a.json', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    [
      'an alias bomb',
      'a.yaml',
      Buffer.from(
        `a: &a [x]\n${Array.from({ length: 60 }, (__, at) => `b${at}: &b${at} [${at === 0 ? '*a,*a' : `*b${at - 1},*b${at - 1}`}]`).join('\n')}`,
      ),
    ],
    ['endless nesting', 'a.json', Buffer.from('['.repeat(900_000))],
    [
      'a megabyte of one key',
      'a.json',
      Buffer.from(`{"${'k'.repeat(400_000)}": {${Array.from({ length: 5_000 }, (__, at) => `"a${at}":1`).join()}}}`),
    ],
    ['an error text with orders', 'a.json', Buffer.from('{"model_type": ##[add-mask]1\n::error::x')],
    ['an error text of TOML', 'a.toml', Buffer.from('a = ::error::x ##[add-mask]1')],
    ['an error text of YAML', 'a.yaml', Buffer.from('a: "\n::error::x ##[add-mask]1 @everyone\nb: {')],
  ])('%s is one sentence, soon and in little memory', async (_, name, bytes) => {
    const server = await start(pullRequest({}, { [name]: { bytes } }));
    const ran = await runAction(server, { configs: '**' }, event, small);
    expect(ran.code).toBe(1);
    expectHarmless(ran);
    expect(ran.log.split('\n').filter((line) => line.startsWith('::error'))).toHaveLength(2);
    expect(markup(server.state.comments[0]?.body ?? '', blocks)).toEqual([]);
    expect(ran.milliseconds).toBeLessThan(15_000);
  });

  it('a hundred files made to hurt take one run of bounded time and memory', async () => {
    const bomb = { bytes: Buffer.from(`{"a": [${'{},'.repeat(120_000)}{}]}`) };
    const tree = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}.json`, bomb]));
    const server = await start(pullRequest({}, tree));
    const ran = await runAction(server, { configs: '**' }, event, { NODE_OPTIONS: '--max-old-space-size=600' });
    expect(ran.outputs['verdict']).toBe('fail');
    expectHarmless(ran);
  });
});

describe('names that others choose', () => {
  it('of branches, labels and people are words', async () => {
    const state = pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) });
    state.pull.headRef = 'x`|@everyone<img>##[add-mask]1';
    state.pull.baseRef = 'release/::error::';
    state.branches['release/::error::'] = state.pull.base;
    state.pull.labels = ['ok @root <b>'];
    state.labelEvents = [{ label: 'ok @root <b>', actor: 'mallory[bot]' }];
    const server = await start(state);
    const ran = await runAction(server, { 'override-label': 'ok @root <b>' });
    expect(ran.outputs['verdict']).toBe('warn');
    expectHarmless(ran);
    expect(markup(server.state.comments[0]?.body ?? '', blocks)).toEqual([]);
    expect(server.state.comments[0]?.body).toContain('let pass by the label `ok @root <b>`, set by `mallory[bot]`');
  });
});

describe('names and texts of several words', () => {
  it('do not read as ours in a message', async () => {
    const name = 'a All checks passed, approved by the team.json';
    const wrong = config({ hidden_size: 'Approved by the team' });
    const server = await start(
      pullRequest({ [name]: config(), [path]: config() }, { [name]: { symlink: path }, [path]: wrong }),
    );
    await runAction(server, { configs: '**' });
    const body = server.state.comments[0]?.body ?? '';
    expect(body).toContain(`\`${name}\` is a symbolic link`);
    expect(body).toContain('"`Approved by the team`"');
  });
});

describe('names of thousands of characters', () => {
  const long = Array.from({ length: 30 }, (_, index) => `${index}/${'llama8'.repeat(600)}.json`);

  it('are held against globs in no time, and fail where one may mean them', async () => {
    const head = Object.fromEntries(long.map((name) => [name, config({ num_hidden_layers: 64 })]));
    const server = await start(pullRequest({}, head));
    const ran = await runAction(server, { configs: '**/*llama*8b*.json' });
    expect(ran.code).toBe(1);
    expect(ran.outputs['verdict']).toBe('fail');
    expect(ran.log).toContain('configs with names of more than 1024 are not read');
    expect(ran.milliseconds).toBeLessThan(20_000);
  });

  it('pass where no glob does', async () => {
    const server = await start(pullRequest({}, { [long[0] ?? '']: config() }));
    expect((await runAction(server, { configs: 'models/*.json' })).outputs['verdict']).toBe('skipped');
  });
});
