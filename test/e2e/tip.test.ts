import { describe, expect, it } from 'vitest';
import { type Ran, runAction } from '../action.ts';
import type { State, Tree } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();

const policyName = '.github/model-cost.yml';
const budget = (memory: string) => `version: 1\ndefaults: { budgets: { memory: ${memory} } }\n`;
const small = config();
const deeper = config({ num_hidden_layers: 36 });
/** 69 GiB as it was, 77 GiB deeper, 88 GiB wider, 99 GiB both. */
const wider = config({ intermediate_size: 16384 });
const slightly = config({ intermediate_size: 11264 });
const tipName = 'main at cccccccccccc';

type Finding = { readonly code: string; readonly severity: string; readonly message: string; readonly from?: unknown };
const findingsOf = (ran: Ran): readonly Finding[] => JSON.parse(ran.outputs['report'] ?? '{}').verdict.findings;

/** A pull request from `base` to `head`, while `main` has become `tip`. */
const judged = async (
  { base, head, tip }: { readonly base: Tree; readonly head: Tree; readonly tip: Tree },
  inputs: Readonly<Record<string, string>> = {},
  changes: Partial<State['pull']> = {},
) => {
  const state = pullRequest(base, head);
  state.commits[sha('c')] = tip;
  state.pull = { ...state.pull, ...changes };
  const server = await start(state);
  // A card that has more memory than each of the budgets.
  const ran = await runAction(server, { accelerator: 'b300-sxm', ...inputs });
  return { ran, body: server.state.comments[0]?.body ?? '', server };
};

describe('a branch from before a rule', () => {
  it.each([
    ['stricter than it was', budget('250GiB')],
    ['new', undefined],
  ])('is held to the rule of the base branch that is %s, which says where it comes from', async (_, old) => {
    const before: Tree = old === undefined ? {} : { [policyName]: old };
    const { ran, body } = await judged({
      base: { [path]: small, ...before },
      head: { [path]: slightly, ...before },
      tip: { [path]: small, [policyName]: budget('10GiB') },
    });
    expect(ran.code).toBe(1);
    expect(findingsOf(ran)).toMatchObject([
      { code: 'memory-worse', severity: 'fail', limit: 10 * 2 ** 30, from: { what: 'tip', commit: sha('c') } },
    ]);
    expect(body).toContain(`This rule is of ${tipName}, and stricter than where this branch began.`);
    expect(body).toContain('has changed on main since this branch left it, and the limits of both are enforced.');
  });

  it('is held to its own rule, too, where the base branch has loosened it', async () => {
    const { ran, body } = await judged({
      base: { [path]: small, [policyName]: budget('10GiB') },
      head: { [path]: slightly, [policyName]: budget('10GiB') },
      tip: { [path]: small, [policyName]: budget('250GiB') },
    });
    expect(ran.code).toBe(1);
    expect(findingsOf(ran)).toHaveLength(1);
    expect(body).not.toContain('This rule is of');
  });

  it('is not helped by an ignore list or a waiver that the base branch has ended', async () => {
    const ignored = `${budget('10GiB')}ignore: configs/**\n`;
    const looked = await judged({
      base: { [path]: small, [policyName]: ignored },
      head: { [path]: slightly, [policyName]: ignored },
      tip: { [path]: small, [policyName]: budget('10GiB') },
    });
    expect(looked.ran).toMatchObject({ code: 1, outputs: { changed: '1' } });
    const waived = `${budget('10GiB')}waivers: [{ match: "**", covers: memory, until: 2099-12-31, reason: agreed }]\n`;
    const ended = await judged({
      base: { [path]: small, [policyName]: waived },
      head: { [path]: slightly, [policyName]: waived },
      tip: { [path]: small, [policyName]: budget('10GiB') },
    });
    expect(ended.ran.code).toBe(1);
    expect(findingsOf(ended.ran).map(({ severity }) => severity)).toEqual(['fail', 'warn']);
  });

  it('is not let pass by a label that the base branch has taken back', async () => {
    const label = 'version: 1\ndefaults: { override_label: fine, budgets: { memory: 10GiB } }\n';
    const labelled = (tip: string) =>
      judged(
        {
          base: { [path]: small, [policyName]: label },
          head: { [path]: slightly, [policyName]: label },
          tip: { [path]: small, [policyName]: tip },
        },
        {},
        { labels: ['fine'] },
      );
    expect((await labelled(budget('10GiB'))).ran.code).toBe(1);
  });

  it('is told of rules on the base branch that cannot be followed', async () => {
    const { ran, body } = await judged({
      base: { [path]: small },
      head: { [path]: slightly },
      tip: { [path]: small, [policyName]: 'version: 9\n' },
    });
    expect(ran.outputs['verdict']).toBe('pass');
    expect(body).toContain('to rules that cannot be followed, so that those from before hold alone');
  });
});

describe('what both sides changed', () => {
  const both = { [policyName]: budget('90GiB') };

  it('is judged as the merge would leave it', async () => {
    const { ran, body } = await judged({
      base: { [path]: small, ...both },
      head: { [path]: deeper, ...both },
      tip: { [path]: wider, ...both },
    });
    expect(ran.code).toBe(1);
    expect(findingsOf(ran)).toMatchObject([
      { code: 'memory-over-budget', severity: 'fail', from: { what: 'merge', commit: sha('c') } },
    ]);
    expect(body).toContain(`Merged with ${tipName}, which changed the same job: This change takes memory per GPU over`);
    for (const alone of [deeper, wider]) {
      const { ran: fine } = await judged({
        base: { [path]: small, ...both },
        head: { [path]: alone, ...both },
        tip: { [path]: small, ...both },
      });
      expect(fine.outputs['verdict']).toBe('pass');
    }
  });

  it('may be the config on one side and its run on the other', async () => {
    const run = (micro: number) => `framework: megatron\nmicro_batch_size: ${micro}\n`;
    for (const [head, tip] of [
      [
        { [path]: small, 'run.yml': run(2) },
        { [path]: wider, 'run.yml': run(1) },
      ],
      [
        { [path]: wider, 'run.yml': run(1) },
        { [path]: small, 'run.yml': run(2) },
      ],
    ] as const) {
      const { ran } = await judged(
        {
          base: { [path]: small, 'run.yml': run(1), ...both },
          head: { ...head, ...both },
          tip: { ...tip, ...both },
        },
        { run: 'run.yml', 'memory-budget': '90GiB' },
      );
      expect(ran.code).toBe(1);
      expect(findingsOf(ran)).toMatchObject([{ code: 'memory-over-budget', from: { what: 'merge' } }]);
    }
  });

  it('in one key is judged with the value of this change, and says so', async () => {
    const { ran, body } = await judged({
      base: { [path]: small, ...both },
      head: { [path]: config({ num_hidden_layers: 36, rope_theta: 10000 }), ...both },
      tip: { [path]: config({ num_hidden_layers: 34, intermediate_size: 16384 }), ...both },
    });
    expect(ran.code).toBe(1);
    expect(body).toContain(`${tipName} and this change both set`);
    expect(body).toContain('num_hidden_layers');
  });

  it('works for YAML, and for a config that was renamed here', async () => {
    const yaml = (text: string) => `# a comment\n${text}`;
    const { ran } = await judged(
      {
        base: { 'configs/old.yml': yaml(small), ...both },
        head: { 'configs/new.yml': yaml(deeper), ...both },
        tip: { 'configs/old.yml': yaml(wider), ...both },
      },
      {},
      { renames: { 'configs/new.yml': 'configs/old.yml' } },
    );
    expect(findingsOf(ran)).toMatchObject([{ code: 'memory-over-budget', from: { what: 'merge' } }]);
  });

  it.each([
    ['was removed there', {}, 'it was removed or renamed there'],
    ['cannot be read there', { [path]: '{' }, 'one of the versions cannot be read'],
  ])('that %s was not looked at, which is a warning', async (_, tip, reason) => {
    const { ran, body } = await judged({
      base: { [path]: small, ...both },
      head: { [path]: deeper, ...both },
      tip: { ...tip, ...both },
    });
    expect(ran.outputs['verdict']).toBe('warn');
    expect(findingsOf(ran)).toMatchObject([{ code: 'not-merged', severity: 'warn' }]);
    expect(body).toContain(reason);
  });

  it('to the same text needs no merge', async () => {
    const { ran } = await judged({
      base: { [path]: small, ...both },
      head: { [path]: deeper, ...both },
      tip: { [path]: deeper, ...both },
    });
    expect(findingsOf(ran)).toEqual([]);
  });
});

describe('a job of several files', () => {
  const offloaded = { offload_optimizer: { device: 'cpu' } };
  const deepspeed = (stage: number, more = {}) => JSON.stringify({ zero_optimization: { stage, ...more } });
  const tuning = (micro: number, length = 4096) =>
    `model_name_or_path: meta-llama/Llama-3.1-8B
stage: sft
finetuning_type: full
deepspeed: ds.json
cutoff_len: ${length}
per_device_train_batch_size: ${micro}
bf16: true
`;
  const job = (train: string, ds: string): Tree => ({ 'train.yaml': train, 'ds.json': ds });
  const merged = { from: { what: 'merge', commit: sha('c') } };

  type Version = readonly [micro: number, stage: number, more?: object];
  const rows: readonly (readonly [string, string, Version, Version, Version])[] = [
    // 26 GiB as it was, 79 GiB with the batch, 163 GiB without sharding, 175 GiB with both.
    ['this change a batch and the base branch a part', '165GiB', [1, 3], [8, 3], [1, 0]],
    ['this change a part and the base branch a batch', '165GiB', [1, 3], [1, 0], [8, 3]],
    // 14 GiB as it was, 26 GiB on the GPU, 34 GiB less sharded, 46 GiB with both.
    ['both the same part, in different keys', '40GiB', [1, 3, offloaded], [1, 3], [1, 1, offloaded]],
  ];
  it.each(rows)('is judged as the merge of both leaves it: %s', async (_, memory, ...versions) => {
    const [base = {}, head = {}, tip = {}] = versions.map(([micro, stage, more]) =>
      job(tuning(micro), deepspeed(stage, more)),
    );
    const inputs = { run: '', 'memory-budget': memory };
    for (const alone of [head, tip])
      expect((await judged({ base, head: alone, tip: base }, inputs)).ran.outputs['verdict']).toBe('pass');
    const { ran } = await judged({ base, head, tip }, inputs);
    expect(ran.code).toBe(1);
    expect(findingsOf(ran)).toMatchObject([{ code: 'memory-over-budget', severity: 'fail', ...merged }]);
  });

  it('keeps the files that it refers to where both changed its own', async () => {
    const { ran } = await judged(
      {
        base: job(tuning(1), deepspeed(3)),
        head: job(tuning(1, 4097), deepspeed(3)),
        tip: job(tuning(2), deepspeed(3)),
      },
      { run: '', 'memory-budget': '79GiB' },
    );
    expect(ran.outputs['verdict']).toBe('pass');
    expect(findingsOf(ran)).toEqual([]);
  });

  it('is not judged in silence where the merge refers to a file that was not read', async () => {
    const { ran } = await judged(
      {
        base: job(tuning(1), deepspeed(3)),
        head: job(tuning(2), deepspeed(3)),
        tip: { ...job(tuning(1).replace('ds.json', 'other.json'), deepspeed(3)), 'other.json': deepspeed(0) },
      },
      { run: '', 'memory-budget': '165GiB' },
    );
    expect(findingsOf(ran)).toMatchObject([{ code: 'not-merged', severity: 'warn', ...merged }]);
  });
});
