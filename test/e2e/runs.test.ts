import { describe, expect, it } from 'vitest';
import { type Ran, runAction } from '../action.ts';
import type { Tree } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();

const policyName = '.github/model-cost.yml';
const runName = 'runs/8b.yml';
const small = config();
const budget = (memory: string) => `version: 1\ndefaults: { budgets: { memory: ${memory} } }\n`;
/** On 64 GPUs: a micro-batch of 1 is within 72 GiB, one of 8 far beyond. */
const run = (micro: number, more = '') => `gpus: 64\nsequence_length: 4096\nmicro_batch_size: ${micro}\n${more}`;

type Report = {
  readonly comparisons: readonly {
    readonly path: string;
    readonly status: string;
    readonly changes: readonly unknown[];
    readonly base: { readonly run: Record<string, unknown>; readonly memory: { readonly device_bytes: number } };
    readonly head: {
      readonly run: Record<string, unknown>;
      readonly memory: { readonly device_bytes: number; readonly basis: string } | null;
    };
  }[];
  readonly verdict: { readonly findings: readonly { readonly code: string; readonly path: string }[] };
};
const reportOf = (ran: Ran): Report => JSON.parse(ran.outputs['report'] ?? '{}');
const pathsOf = (ran: Ran) => reportOf(ran).comparisons.map((one) => one.path);

const judged = async (base: Tree, head: Tree, inputs: Readonly<Record<string, string>> = {}) => {
  const server = await start(pullRequest(base, head));
  const ran = await runAction(server, inputs);
  return { ran, body: server.state.comments[0]?.body ?? '', server };
};

describe('a change of the run alone', () => {
  it('of the file that the input names is judged by the old budget, with old and new figures', async () => {
    const both = { [path]: small, 'other/model.json': small, 'README.json': '{}', [policyName]: budget('72GiB') };
    const { ran, body } = await judged(
      { ...both, [runName]: run(1) },
      { ...both, [runName]: run(8) },
      { run: runName },
    );
    expect(ran.code).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'over-budget': 'true', changed: '2' });
    const { comparisons, verdict } = reportOf(ran);
    expect(comparisons.map((one) => one.path).sort()).toEqual([path, 'other/model.json']);
    for (const one of comparisons) {
      expect(one).toMatchObject({
        status: 'changed',
        changes: [{ origin: 'run', path: 'micro_batch_size', before: '1', after: '8' }],
        base: { run: { micro_batch_size: 1 } },
        head: { run: { micro_batch_size: 8 } },
      });
      expect(one.head.memory?.device_bytes).toBeGreaterThan(one.base.memory.device_bytes);
    }
    expect(verdict.findings.map(({ code }) => code)).toEqual(['memory-over-budget', 'memory-over-budget']);
    expect(body).toContain('| `micro_batch_size`: `1` →\u00a0`8` |');
    expect(body).toContain('This change takes memory per GPU over the budget.');
    expect(body).not.toContain('takes effect');
  });

  it.each([
    ['block of an entry', (micro: number) => `{ micro_batch_size: ${micro} }`],
    ['file that an entry names', (micro: number) => `runs/${micro}.yml`],
  ])('of the policy, in a %s, concerns what the entry matches and nothing else', async (_, entry) => {
    const policy = (micro: number) => `${budget('72GiB')}configs: [{ match: "configs/**", run: ${entry(micro)} }]\n`;
    const both = { [path]: small, 'other/model.json': small, 'runs/1.yml': run(1), 'runs/8.yml': run(8) };
    const { ran, body } = await judged({ ...both, [policyName]: policy(1) }, { ...both, [policyName]: policy(8) });
    expect(ran.code).toBe(1);
    expect(pathsOf(ran)).toEqual([path]);
    expect(body).toContain('| `micro_batch_size`: `1` →\u00a0`8` |');
    expect(body).not.toContain('takes effect');
  });

  it('of a file that the defaults of the policy name', async () => {
    const both = {
      [path]: small,
      [policyName]: 'version: 1\ndefaults: { run: runs/8b.yml, budgets: { memory: 72GiB } }\n',
    };
    const { ran } = await judged({ ...both, [runName]: run(1) }, { ...both, [runName]: run(8) });
    expect(ran.code).toBe(1);
    expect(pathsOf(ran)).toEqual([path]);
  });

  it('is not helped by a budget that comes with it, which is told', async () => {
    const { ran, body } = await judged(
      { [path]: small, [policyName]: budget('72GiB'), [runName]: run(1) },
      { [path]: small, [policyName]: budget('250GiB'), [runName]: run(8) },
      { run: runName, accelerator: 'b300-sxm' },
    );
    expect(ran.code).toBe(1);
    expect(body).toContain('limit 72.00\u00a0GiB');
    expect(body).toContain('This change edits `.github/model-cost.yml`. That takes effect after merge');
    expect(body).toContain('How models are trained is read from the change itself.');
    expect(body).toContain('Under it the verdict would be pass, not fail.');
  });

  it('is not helped by a price or a measurement that it brings itself', async () => {
    const policy = 'version: 1\ndefaults: { budgets: { training_cost: { max_increase: 5% } } }\n';
    const both = { [path]: small, [policyName]: policy };
    const { ran } = await judged(
      { ...both, [runName]: run(1, 'price_per_gpu_hour: 3\n') },
      {
        ...both,
        [runName]: run(1, 'price_per_gpu_hour: 0.01\ncalibration: { throughput: 9, device_gib: 9 }\ntokens: 2T\n'),
      },
      { run: runName },
    );
    expect(ran.code).toBe(1);
    expect(reportOf(ran).verdict.findings).toMatchObject([{ code: 'grows-too-much' }]);
    expect(reportOf(ran).comparisons[0]?.head.run).toMatchObject({ price_per_gpu_hour: 3, tokens: 2e12 });
    for (const field of ['calibration', 'memory_calibration', 'measured_device_bytes'])
      expect(reportOf(ran).comparisons[0]?.head.run).not.toHaveProperty(field);
  });

  it('is scaled by what nvidia-smi showed of the run before it', async () => {
    const both = { [path]: small, [policyName]: budget('400GiB') };
    const of = async (measured: string) => {
      const { ran } = await judged(
        { ...both, [runName]: run(1, measured) },
        { ...both, [runName]: run(2, measured) },
        { run: runName },
      );
      return reportOf(ran).comparisons[0];
    };
    const plain = await of('');
    const gib = (1.2 * (plain?.base.memory.device_bytes ?? 0)) / 2 ** 30;
    const scaled = await of(`calibration: { device_gib: ${gib.toFixed(6)} }\n`);
    expect((scaled?.base.memory.device_bytes ?? 0) / 2 ** 30).toBeCloseTo(gib, 4);
    expect((scaled?.head.memory?.device_bytes ?? 0) / (plain?.head.memory?.device_bytes ?? 1)).toBeCloseTo(1.2, 5);
    expect(scaled?.head.memory?.basis).toContain('scaled by 1.20 after a measured run');
  });

  it('that makes no run another one shows nothing', async () => {
    const { ran, server } = await judged(
      { [path]: small, [runName]: run(1) },
      { [path]: small, [runName]: `# the same\n${run(1)}` },
      { run: runName },
    );
    expect(ran).toMatchObject({ code: 0, outputs: { verdict: 'skipped', changed: '0' } });
    expect(server.state.comments).toEqual([]);
    expect(server.requests.some((one) => one.path.includes('/git/trees/'))).toBe(false);
  });

  it('beside a change of the config shows both kinds of fields', async () => {
    const { ran, body } = await judged(
      { [path]: small, [runName]: run(1) },
      { [path]: config({ intermediate_size: 11264 }), [runName]: run(2) },
      { run: runName },
    );
    expect(reportOf(ran).comparisons[0]?.changes).toMatchObject([
      { origin: 'architecture', path: 'intermediate_size', before: '11008', after: '11264' },
      { origin: 'run', path: 'micro_batch_size', before: '1', after: '2' },
    ]);
    expect(body).toContain('| `intermediate_size`: `11008` →\u00a0`11264` |');
    expect(body).toContain('| `micro_batch_size`: `1` →\u00a0`2` |');
  });

  it.each([
    ['breaks', { [runName]: 'micro_batch: 8\n' }, 'unknown key'],
    ['removes', {}, 'does not exist at bbbbbbbbbbbb'],
    ['links', { [runName]: { symlink: 'elsewhere.yml' } }, 'symbolic link'],
  ])('that %s the description fails, and is held against no other', async (_, head, words) => {
    const { ran, body } = await judged(
      { [path]: small, [runName]: run(1) },
      { [path]: config({ intermediate_size: 11264 }), ...head },
      { run: runName },
    );
    expect(ran.code).toBe(1);
    expect(body).toContain(words);
    expect(reportOf(ran).comparisons).toMatchObject([{ path, status: 'unreadable', head: { memory: null } }]);
    const alone = await judged({ [path]: small, [runName]: run(1) }, { [path]: small, ...head }, { run: runName });
    expect(alone.ran.code).toBe(1);
  });

  it('leaves alone a config that nobody could read before, and is no config itself', async () => {
    const policy = 'version: 1\nconfigs: [{ match: "**", run: runs/8b.yml }]\n';
    const moved = 'version: 1\nconfigs: [{ match: "**", run: runs/new.yml }]\n';
    const both = { [path]: small, 'broken.json': '{' };
    const { ran } = await judged(
      { ...both, [policyName]: policy, [runName]: run(1) },
      { ...both, [policyName]: moved, [runName]: run(1), 'runs/new.yml': run(2) },
    );
    expect(ran.code).toBe(0);
    expect(pathsOf(ran)).toEqual([path]);
  });

  it('is judged on a push and in a merge queue, too', async () => {
    const both = { [path]: small, [policyName]: budget('72GiB') };
    for (const [name, payload] of [
      ['push', { before: sha('a'), after: sha('b'), ref: 'refs/heads/main' }],
      ['merge_group', { merge_group: { base_sha: sha('a'), head_sha: sha('b'), head_ref: 'refs/heads/queue' } }],
    ] as const) {
      const server = await start(pullRequest({ ...both, [runName]: run(1) }, { ...both, [runName]: run(8) }));
      const ran = await runAction(server, { run: runName }, { name, payload });
      expect({ code: ran.code, paths: pathsOf(ran) }).toEqual({ code: 1, paths: [path] });
    }
  });

  it('takes the base’s run from the commit that it is compared with', async () => {
    const both = { [path]: small, [policyName]: budget('72GiB') };
    const state = pullRequest({ ...both, [runName]: run(1) }, { ...both, [runName]: run(8) });
    state.commits[sha('c')] = { ...both, [runName]: run(2) };
    const ran = await runAction(await start(state), { run: runName, baseline: 'base-tip' });
    expect(reportOf(ran).comparisons[0]?.changes).toMatchObject([
      { path: 'micro_batch_size', before: '2', after: '8' },
    ]);
  });

  it('of more configs than are read fails, those that are named first', async () => {
    const many = Object.fromEntries(Array.from({ length: 1_005 }, (_, index) => [`notes/${index}.json`, '{}']));
    const { ran, body } = await judged(
      {
        ...many,
        [path]: small,
        [policyName]: `${budget('72GiB')}configs: [{ match: "configs/**" }]\n`,
        [runName]: run(1),
      },
      {
        ...many,
        [path]: small,
        [policyName]: `${budget('72GiB')}configs: [{ match: "configs/**" }]\n`,
        [runName]: run(8),
      },
      { run: runName },
    );
    expect(ran.code).toBe(1);
    expect(pathsOf(ran)).toEqual([path]);
    expect(body).toContain('6 files that could be model configs, of which this is the first, were not looked at');
  });
});

describe('a run that nobody stated', () => {
  const large = config({ num_hidden_layers: 400 });
  const judgedBy = (inputs: Readonly<Record<string, string>>, rest: Tree = {}, headRest: Tree = rest) =>
    judged({ [path]: small, ...rest }, { [path]: large, ...headRest }, { run: '', ...inputs });

  it.each([
    ['nothing at all', {}],
    ['only machines', { accelerator: 'h100-sxm-80gb', gpus: '16' }],
  ])('warns against the budget that nobody stated, and says so first, where %s is stated', async (_, inputs) => {
    const { ran, body } = await judgedBy(inputs);
    expect(ran).toMatchObject({ code: 0, outputs: { verdict: 'warn', 'over-budget': 'true' } });
    expect(body).toContain(
      '⚠️ `configs/model.json` line 6: Nobody said how this model is trained, so the run is assumed and this is only a warning. This change takes memory per GPU over the budget.',
    );
  });

  it.each([
    ['a budget', { 'memory-budget': '100%' }, {}],
    ['a run', { run: 'micro_batch_size: 1' }, {}],
    ['a budget in the policy', {}, { [policyName]: budget('100%') }],
    ['a run in the policy', {}, { [policyName]: 'version: 1\ndefaults: { run: { optimizer: adamw } }\n' }],
  ])('fails where somebody states %s', async (_, inputs, rest) => {
    const { ran, body } = await judgedBy(inputs, rest);
    expect(ran.outputs['verdict']).toBe('fail');
    expect(body).not.toContain('Nobody said');
  });

  it('was stated where a change withdraws it', async () => {
    const stated = { [policyName]: 'version: 1\ndefaults: { run: { optimizer: adamw } }\n' };
    expect((await judgedBy({}, stated, {})).ran.code).toBe(1);
  });
});
