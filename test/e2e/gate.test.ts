import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { Tree } from '../repository.ts';
import { config, pullRequest, sha } from '../states.ts';
import { stage } from './stage.ts';

const start = stage();
/** 36 GiB: within what a loose scope allows, over what a strict one does. */
const big = config({ num_hidden_layers: 32 });
const scopes = `version: 1
configs:
  - match: configs/prod/*
    budgets: { memory: 20GB }
  - match: configs/research/*
    budgets: { memory: 79GiB }
`;

describe('a config that moves', () => {
  const moves = async (from: string, to: string) => {
    const policy: Tree = { '.github/model-cost.yml': scopes };
    const state = pullRequest({ ...policy, [from]: big }, { ...policy, [to]: big });
    state.pull.renames = { [to]: from };
    const server = await start(state);
    return { ran: await runAction(server), body: server.state.comments[0]?.body ?? '' };
  };

  it('from loose limits into strict ones goes over them', async () => {
    const { ran, body } = await moves('configs/research/big.json', 'configs/prod/big.json');
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', changed: '1', 'comment-status': 'created' });
    expect(body).toContain('This change takes memory per GPU over the budget.');
  });

  it('out of strict limits is a change that is commented', async () => {
    const { ran, body } = await moves('configs/prod/big.json', 'configs/research/big.json');
    expect(ran.outputs).toMatchObject({ verdict: 'pass', changed: '1', 'comment-status': 'created' });
    expect(body).toContain('for which other limits hold than for its old name');
  });
});

const deep = `${'['.repeat(70)}${']'.repeat(70)}`;
const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
const padded = config({ padding: 'x'.repeat(1_100_000) });

describe('a config that cannot be read any more', () => {
  const hidden: Tree = {
    'deep.json': config().replace('{', `{ "extra": ${deep},`),
    'padded.json': padded,
    'layers.json': config({ num_hidden_layers: 10_001 }),
    'negative.json': config({ num_hidden_layers: -3 }),
    'huge.json': config().replace('4096', '1e309'),
    'short.json': config({ model_type: 'qwen3', layer_types: ['full_attention'] }),
    'link.json': { symlink: 'big.txt' },
    'lfs.json': lfs,
    'utf16.json': { bytes: Buffer.from(config(), 'utf16le') },
    'renamed.json': JSON.stringify({ model_type: 'ours', width: 8192, depth: 80, words: 128_000 }),
  };
  const before = Object.fromEntries(Object.keys(hidden).map((name) => [name, config()]));

  it('fails, however it was hidden', async () => {
    const server = await start(pullRequest(before, hidden));
    const ran = await runAction(server, { 'memory-budget': '79GiB' });
    const { verdict } = JSON.parse(ran.outputs['report'] ?? '');
    const failed = verdict.findings.filter(({ severity }: { severity: string }) => severity === 'fail');
    expect(failed.map(({ path }: { path: string }) => path).sort()).toEqual(Object.keys(hidden).sort());
    expect(new Set(failed.map(({ code }: { code: string }) => code))).toEqual(new Set(['unreadable']));
    expect(ran.code).toBe(1);
    expect((await runAction(server, { 'fail-on': 'never' })).outputs['verdict']).toBe('warn');
  });

  it('that could not be read before either only warns', async () => {
    const server = await start(
      pullRequest({ 'a.json': config({ hidden_size: -1 }) }, { 'a.json': config({ hidden_size: -2 }) }),
    );
    expect((await runAction(server)).outputs['verdict']).toBe('warn');
  });
});

describe('a new file that cannot be read', () => {
  const newFiles: Tree = {
    // Their first bytes, names or formats say that they are configs.
    'broken.json': '{"model_type": "llama", "hidden_size": 8192,',
    'padded.json': padded,
    'deep.json': config().replace('{', `{ "extra": ${deep},`),
    'utf16.json': { bytes: Buffer.from(config(), 'utf16le') },
    'ours.json': '{"model_type": "ours", "width": 8192}',
    'link/config.json': { symlink: '../big.txt' },
    'lfs/config.json': lfs,
    // These could be configs.
    'data.json': lfs,
    'link.json': { symlink: 'big.txt' },
    'large.json': { bytes: Buffer.alloc(1_100_000, ' ') },
    // These are none.
    '1_Pooling/config.json': '{"word_embedding_dimension": 384}',
    'vae/config.json': '{"_class_name": "AutoencoderKL", "layers_per_block": 2}',
    'image_processor/config.json': '{"model_type": "resnet", "depths": [3, 4]}',
  };

  it('fails where it says that it is a config, and is at least named where it could be one', async () => {
    const server = await start(pullRequest({}, newFiles));
    const ran = await runAction(server);
    const { verdict } = JSON.parse(ran.outputs['report'] ?? '');
    const named = (severity: string) =>
      verdict.findings
        .filter((one: { severity: string }) => one.severity === severity)
        .map(({ path }: { path: string }) => path)
        .sort();
    expect(named('fail')).toEqual(Object.keys(newFiles).slice(0, 7).sort());
    expect(named('warn')).toEqual(Object.keys(newFiles).slice(7, 10).sort());
    expect(ran.code).toBe(1);
  });
});

const over = config({ num_hidden_layers: 80 });
const many = (count: number, name: (index: number) => string, content: Tree[string] = '{}'): Tree =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [name(index), content]));
const codes = (report: string | undefined): readonly string[] =>
  JSON.parse(report ?? '').verdict.findings.map(
    ({ severity, code, path }: { severity: string; code: string; path: string }) => `${severity} ${code} ${path}`,
  );

describe('a config among more than a run looks at', () => {
  const known = 'zoo/model.json';

  it('is found where it was there before, and what is left is told', async () => {
    const flood = many(1_001, (index) => `a/${index}.json`);
    const ran = await runAction(await start(pullRequest({ [known]: config() }, { ...flood, [known]: over })));
    expect(codes(ran.outputs['report'])).toEqual([`fail memory-over-budget ${known}`, 'fail not-looked-at a/999.json']);
  });

  it('is never green where it is new', async () => {
    const flood = many(1_001, (index) => `a/${index}/config.json`);
    const server = await start(pullRequest({}, { ...flood, 'zoo/new.json': over }));
    const ran = await runAction(server);
    expect(ran.code).toBe(1);
    expect(server.state.comments[0]?.body).toContain('## ❌ Model cost: 2 files were not looked at');
    expect((await runAction(server, { 'fail-on': 'never' })).outputs['verdict']).toBe('warn');
    const named = await runAction(server, { configs: 'zoo/*' });
    expect(codes(named.outputs['report'])).toEqual(['fail memory-over-budget zoo/new.json']);
  });

  it('is read before a flood of bytes', async () => {
    const flood = many(70, (index) => `a/${index}.json`, { size: 1_000_000, id: sha('9') });
    const ran = await runAction(await start(pullRequest({ [known]: config() }, { ...flood, [known]: over })));
    expect(codes(ran.outputs['report'])).toContain(`fail memory-over-budget ${known}`);
    expect(codes(ran.outputs['report'])).toContain('fail not-looked-at a/67.json');
  });
});

describe('a config in a tree that GitHub cuts off', () => {
  const hidden = 'c/deep/er/config.json';
  const flood = many(3_200, (index) => `b${index % 160}/${index}.txt`, 'x');
  const cutOff = () => pullRequest({}, { ...flood, [hidden]: over }, { mostEntries: 200 });
  const dispatch = { name: 'workflow_dispatch', payload: {} };

  it('is found where a pattern leads to it', async () => {
    const server = await start(cutOff());
    for (const event of [undefined, dispatch]) {
      const ran = await runAction(server, { configs: 'c/**/*.json' }, event);
      expect(codes(ran.outputs['report'])).toEqual([`fail memory-over-budget ${hidden}`]);
    }
  });

  it('is never green where none does', async () => {
    const server = await start(cutOff());
    for (const event of [undefined, dispatch]) {
      const ran = await runAction(server, {}, event);
      expect(ran.outputs['verdict']).toBe('fail');
      expect(ran.summary).toContain('folders were not looked at');
    }
    expect(server.state.comments).toHaveLength(1);
  });
});

describe('what a heading says', () => {
  it('of a pull request that changes no config: not that its rules change', async () => {
    const server = await start(pullRequest({ 'a.txt': 'x' }, { 'a.txt': 'y' }));
    const ran = await runAction(server);
    expect(ran.summary).toContain('no model config changed');
    expect(ran.summary).not.toContain('its rules do');
  });

  it('nor does the summary send its reader to itself', async () => {
    const many = (width: number) =>
      Object.fromEntries(
        Array.from({ length: 900 }, (_, at) => [
          `${'name '.repeat(30)}${at}.json`,
          config({ intermediate_size: width }),
        ]),
      );
    const ran = await runAction(await start(pullRequest(many(11008), many(11264))), { comment: 'never' });
    expect(ran.summary).not.toContain('the job summary has');
  });

  it('a projected MFU that reads the same shows no points', async () => {
    const at = (layers: number): Tree => ({ 'a.json': config({ num_hidden_layers: layers }) });
    const server = await start(pullRequest(at(28), at(44)));
    const { metrics } = JSON.parse((await runAction(server)).outputs['report'] ?? '').comparisons[0];
    const { before, after } = metrics.find(({ metric }: { metric: string }) => metric === 'mfu');
    expect([before, after].map((mfu: number) => (100 * mfu).toFixed(1))).toEqual(['50.2', '50.2']);
    expect(server.state.comments[0]?.body).not.toMatch(/0 → 0|[+-]0\.\d\spoints/);
  });
});

describe('a pattern of all configs in a folder of another library', () => {
  const parts = {
    '1_Pooling/config.json': '{"word_embedding_dimension": 384, "pooling_mode_mean_tokens": true}',
    'vae/config.json': '{"_class_name": "AutoencoderKL", "layers_per_block": 2}',
  };
  const changed = Object.fromEntries(
    Object.entries(parts).map(([path, text]) => [path, text.replace('{', '{"a": 1, ')]),
  );

  it('passes over its parts, and judges the model', async () => {
    const small = config({ num_hidden_layers: 2 });
    const server = await start(
      pullRequest({ ...parts, 'config.json': small }, { ...changed, 'config.json': config({ num_hidden_layers: 3 }) }),
    );
    const ran = await runAction(server, { configs: '**/config.json' });
    expect(ran.outputs).toMatchObject({ verdict: 'pass', changed: '1' });
    expect(ran.code).toBe(0);
  });
});
