import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Attribution, Comparison } from '../../src/gate/review.ts';
import { numRuns, patience } from '../report/hostile.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

type Texts = Parameters<typeof reviewOf>[0];
type Rules = Parameters<typeof reviewOf>[2];

const comparisonOf = (texts: Texts, rules: Rules = {}): Comparison | undefined =>
  reviewOf(texts, {}, rules).review.comparisons[0];
const sharesOf = (attribution: Attribution | undefined) => (attribution?.kind === 'shares' ? attribution.shares : []);
const rows = (comparison: Comparison | undefined, metric: string) =>
  Object.fromEntries(
    sharesOf(comparison?.attribution).map(({ fields, moved }) => [
      fields.map(({ path }) => path).join(' + '),
      moved[metric],
    ]),
  );
const delta = (comparison: Comparison | undefined, metric: string): number => {
  const change = comparison?.changes.find((one) => one.metric === metric);
  return (change?.after ?? 0) - (change?.before ?? 0);
};

function expectSums(comparison: Comparison | undefined) {
  for (const { metric, before, after } of comparison?.changes ?? []) {
    if (before === undefined || after === undefined) continue;
    const sum = sharesOf(comparison?.attribution).reduce((all, { moved }) => all + (moved[metric] ?? 0), 0);
    expect(Math.abs(sum - (after - before))).toBeLessThanOrEqual(1e-12 * Math.max(Math.abs(before), Math.abs(after)));
  }
}

describe('what a change moved', () => {
  it('is all of it where one setting changed', () => {
    const one = comparisonOf({ base: config(), head: config({ num_hidden_layers: 64 }) });
    expect(rows(one, 'memory')).toEqual({ num_hidden_layers: delta(one, 'memory') });
    expect(delta(one, 'memory')).toBeGreaterThan(0);
  });

  it('is divided among settings that multiply each other', () => {
    const one = comparisonOf({ base: config(), head: config({ num_hidden_layers: 64, intermediate_size: 22016 }) });
    const alone = comparisonOf({ base: config(), head: config({ num_hidden_layers: 64 }) });
    const last = comparisonOf({
      base: config({ intermediate_size: 22016 }),
      head: config({ num_hidden_layers: 64, intermediate_size: 22016 }),
    });
    expectSums(one);
    expect(rows(one, 'parameters')['num_hidden_layers']).toBeCloseTo(
      (delta(alone, 'parameters') + delta(last, 'parameters')) / 2,
    );
  });

  it('is nothing for a key that no figure is of', () => {
    const head = config({ num_hidden_layers: 33, bos_token_id: 7, transformers_version: '9.9' });
    const one = comparisonOf({ base: config(), head });
    for (const { fields, moved } of sharesOf(one?.attribution))
      if (fields[0]?.path !== 'num_hidden_layers')
        expect(Object.values(moved).every((value) => value === 0)).toBe(true);
    expect(rows(one, 'memory')['num_hidden_layers']).toBe(delta(one, 'memory'));
  });

  it('names settings of the run beside those of the model, each with both values', () => {
    const one = comparisonOf(
      { base: config(), head: config({ num_hidden_layers: 30 }) },
      { run: 'gpus: 8\nmicro_batch_size: 1\n', newRun: 'gpus: 8\nmicro_batch_size: 2\nsequence_length: 2048\n' },
    );
    expectSums(one);
    expect(sharesOf(one?.attribution).flatMap(({ fields }) => fields)).toMatchObject([
      { origin: 'architecture', path: 'num_hidden_layers', before: '32', after: '30' },
      { origin: 'run', path: 'micro_batch_size', before: '1', after: '2' },
      { origin: 'run', path: 'sequence_length', before: '4096', after: '2048' },
    ]);
    expect(rows(one, 'training_flops_per_token')['micro_batch_size']).toBe(0);
  });

  it('gives one part to settings of which none can change alone', () => {
    // Neither 8 GPUs in groups of 16 nor 16 GPUs in groups of 12 can be.
    const one = comparisonOf(
      { base: config(), head: config() },
      { run: 'gpus: 8\nparallelism: { tensor: 8 }\n', newRun: 'gpus: 12\nparallelism: { tensor: 12 }\n' },
    );
    expect(rows(one, 'memory')).toEqual({ 'gpus + parallelism.tensor': delta(one, 'memory') });
  });

  it('takes only the orders in which each step can be', () => {
    const one = comparisonOf(
      { base: config(), head: config() },
      { run: 'gpus: 8\nparallelism: { tensor: 8 }\n', newRun: 'gpus: 16\nparallelism: { tensor: 16 }\n' },
    );
    expect(Object.keys(rows(one, 'memory'))).toEqual(['gpus', 'parallelism.tensor']);
    expectSums(one);
  });

  it('groups what moves least where too many settings changed for all orders', () => {
    const head = config({
      num_hidden_layers: 40,
      intermediate_size: 12000,
      hidden_size: 5120,
      num_attention_heads: 40,
      vocab_size: 128000,
      num_key_value_heads: 8,
      rope_theta: 500000,
      bos_token_id: 1,
    });
    const one = comparisonOf({ base: config(), head });
    expectSums(one);
    expect(one?.attribution).toMatchObject({ kind: 'shares', grouped: true });
    const shares = sharesOf(one?.attribution);
    expect(shares).toHaveLength(6);
    expect(shares.at(-1)?.fields.map(({ path }) => path)).toContain('rope_theta');
  });

  it('keeps model and run apart where nearly everything changed', () => {
    const keys = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`key_${index}`, index]));
    const one = comparisonOf(
      { base: config(), head: config({ num_hidden_layers: 40, ...keys }) },
      { run: 'gpus: 8\n', newRun: 'gpus: 16\n' },
    );
    expectSums(one);
    expect(sharesOf(one?.attribution).map(({ fields }) => fields.length)).toEqual([61, 1]);
  });

  it('moves the price and the power of a machine with its accelerator', () => {
    const policy =
      'version: 1\nhardware:\n  pod: { accelerator: h100-sxm-80gb, price_per_gpu_hour: 2.6, power_cap_watts: 500 }\ndefaults: { hardware: pod }\n';
    const one = comparisonOf(
      { base: config(), head: config() },
      { policy, run: 'gpus: 8\n', newRun: 'gpus: 8\naccelerator: h200-sxm-141gb\n' },
    );
    expect(rows(one, 'training_cost')).toEqual({ accelerator: delta(one, 'training_cost') });
    expect(delta(one, 'training_cost')).not.toBe(0);
  });

  it('moves the defaults of a framework with it', () => {
    const job =
      'base_model: meta-llama/Llama-3.1-8B\nsequence_len: 4096\nmicro_batch_size: 1\nbf16: true\ndatasets:\n  - path: x\n';
    const one = comparisonOf(
      { base: job, head: `${job}deepspeed: ds.json\n`, path: 'axolotl.yml' },
      { run: 'gpus: 8\n' },
    );
    expect(Object.keys(rows(one, 'memory'))).toEqual(['framework']);
    expectSums(one);
  });

  it('treats another model by its name as one setting', () => {
    const yaml = (model: string) =>
      `base_model: ${model}\nsequence_len: 4096\nmicro_batch_size: 1\nadapter: lora\nlora_r: 16\nlora_target_linear: true\ndatasets:\n  - path: x\n`;
    const one = comparisonOf({
      base: yaml('meta-llama/Llama-3.1-8B'),
      head: yaml('Qwen/Qwen3-8B'),
      path: 'axolotl.yml',
    });
    expect(sharesOf(one?.attribution).map(({ fields }) => fields)).toMatchObject([
      [{ path: 'base_model', before: 'meta-llama/Llama-3.1-8B', after: 'Qwen/Qwen3-8B' }],
    ]);
  });

  it('is one for fields that one word of a file states', () => {
    const sample = (name: string) => readFileSync(join(import.meta.dirname, '..', 'formats', name), 'utf8');
    const base = sample('megatron-shell/mixtral-8x7b.sh');
    const head = base
      .replace('--ffn-hidden-size 14336', '--ffn-hidden-size 16384')
      .replace('--num-layers 32', '--num-layers 30');
    const one = comparisonOf({ base, head, path: 'train.sh' });
    expect(sharesOf(one?.attribution).map(({ fields }) => fields.map(({ path }) => path))).toEqual([
      ['intermediate_size', 'moe_intermediate_size'],
      ['num_hidden_layers'],
    ]);
    expectSums(one);
  });

  it('is not told of a side that is absent', () => {
    expect(comparisonOf({ head: config() })?.attribution).toBeUndefined();
    expect(comparisonOf({ base: config() })?.attribution).toBeUndefined();
  });
});

describe('whatever changes', () => {
  const states = fc.record(
    {
      num_hidden_layers: fc.integer({ min: 1, max: 60 }),
      intermediate_size: fc.integer({ min: 1, max: 20_000 }),
      hidden_size: fc.constantFrom(1024, 2048, 4096),
      num_attention_heads: fc.constantFrom(8, 16, 32),
      num_key_value_heads: fc.constantFrom(1, 4, 8, 7),
      vocab_size: fc.integer({ min: 100, max: 200_000 }),
      model_type: fc.constantFrom('llama', 'mixtral', 'qwen2', 'gpt2'),
      num_local_experts: fc.constantFrom(4, 8),
      rope_theta: fc.constantFrom(1e4, 5e5),
    },
    { requiredKeys: [] },
  );
  const runs = fc
    .record(
      {
        gpus: fc.constantFrom(8, 16, 24),
        micro_batch_size: fc.constantFrom(1, 2, 3),
        recompute: fc.constantFrom('none', 'full'),
        sharding: fc.constantFrom('none', 'optimizer', 'full'),
        framework: fc.constantFrom('megatron', 'fsdp', 'deepspeed'),
        tensor: fc.constantFrom(1, 2, 3),
      },
      { requiredKeys: [] },
    )
    .map(({ tensor, ...run }) => JSON.stringify({ ...run, ...(tensor && { parallelism: { tensor } }) }));

  it('the parts add up, and the other way round each is its inverse', { timeout: patience }, () => {
    fc.assert(
      fc.property(states, states, runs, runs, (base, head, run, newRun) => {
        const there = comparisonOf({ base: config(base), head: config(head) }, { run, newRun });
        const back = comparisonOf({ base: config(head), head: config(base) }, { run: newRun, newRun: run });
        expectSums(there);
        expectSums(back);
        if (there?.attribution?.kind !== 'shares' || there.attribution.grouped) return;
        const inverse = rows(back, 'memory');
        for (const [name, moved] of Object.entries(rows(there, 'memory')))
          expect((inverse[name] ?? 0) + (moved ?? 0)).toBeCloseTo(0, 3);
      }),
      { numRuns: Math.ceil(numRuns / 20) },
    );
  });
});

/** Whole numbers of a sample, one changed at a time, so that every setting that a format knows is changed once. */
function* changed(text: string): Generator<string> {
  for (const { 0: digits, index } of text.matchAll(/(?<![\w.])[1-9]\d{0,5}(?![\w.])/g))
    yield `${text.slice(0, index)}${2 * Number(digits)}${text.slice(index + digits.length)}`;
}

describe('every training format', () => {
  const folder = join(import.meta.dirname, '..', 'formats');
  const samples = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.endsWith('.expected.json') && statSync(join(folder, name)).isFile(),
  );

  it.each(samples)('can be mixed: %s', { timeout: patience }, (name) => {
    const base = readFileSync(join(folder, name), 'utf8');
    const reasons = [...changed(base)].slice(0, 12).flatMap((head) => {
      const one = comparisonOf({ base, head, path: name });
      expectSums(one?.attribution?.kind === 'shares' ? one : undefined);
      // One word of a file is one change, whatever follows from it.
      if (one?.fields.length === 1) expect(sharesOf(one.attribution).length).toBeLessThanOrEqual(1);
      return one?.attribution?.kind === 'none' ? [one.attribution.reason] : [];
    });
    expect(reasons).not.toContain('the two sides are not read in the same way');
  });
});
