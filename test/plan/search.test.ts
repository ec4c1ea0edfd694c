import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { estimateMemory } from '../../src/cost/memory/peak.ts';
import { projectTime } from '../../src/cost/time/step.ts';
import type { TrainingRun } from '../../src/model/run.ts';
import { describeRun } from '../../src/plan/describe.ts';
import { refusalOf, type Start } from '../../src/plan/question.ts';
import { layouts, runsOf } from '../../src/plan/search.ts';
import { divides, type Space } from '../../src/plan/space.ts';
import { planText } from '../../src/plan/table.ts';
import { readSide } from '../../src/run.ts';
import { gibibytes } from '../../src/units.ts';
import { mixture, small } from '../cost/estimates.ts';
import { bounded, searched, spaceFrom, startFrom } from './plans.ts';

/** Wide enough that model states alone can be too large. */
const wide = { ...mixture, intermediate_size: 8192 };

const experts = startFrom(wide, {
  gpus: 4,
  accelerator: 'h100-sxm-80gb',
  framework: 'megatron',
  sequence_length: 4096,
  global_batch_size: 16,
});

const staged = { parallelism: { pipeline: 2 }, global_batch_size: 32 };

const latent = {
  ...mixture,
  model_type: 'deepseek_v3',
  q_lora_rank: 64,
  kv_lora_rank: 32,
  qk_nope_head_dim: 16,
  qk_rope_head_dim: 16,
  v_head_dim: 16,
  n_routed_experts: 8,
  num_experts_per_tok: 2,
  moe_intermediate_size: 128,
  first_k_dense_replace: 2,
  num_nextn_predict_layers: 1,
};

/** Every combination of a space, whatever divides. */
function combinations({ settled }: Start, space: Space): readonly TrainingRun[] {
  const { offload: _, recomputeModules: __, ...run } = settled.run;
  const all: TrainingRun[] = [];
  for (const pipeline of space.pipeline)
    for (const virtualPipeline of space.virtualPipeline)
      for (const tensor of space.tensor)
        for (const context of space.context)
          for (const expert of space.expert)
            for (const expertTensor of new Set(space.expertTensor.map((one) => (one === 'as tensor' ? tensor : one))))
              for (const sharding of space.sharding)
                for (const offload of space.offload)
                  for (const microBatchSize of space.microBatchSize)
                    for (const recompute of space.recompute)
                      all.push({
                        ...run,
                        parallelism: {
                          tensor,
                          pipeline,
                          virtualPipeline,
                          context,
                          expert,
                          expertTensor,
                          sequenceParallel: tensor > 1,
                        },
                        sharding,
                        ...(offload === 'none' ? {} : { offload }),
                        microBatchSize,
                        ...recompute,
                      });
  return all;
}

/** The mixture's sizes, written out once more: 4 GPUs, 4 layers, 8 heads, 8 experts of 8192, 4096 tokens, 16 sequences. */
function dividesByHand({ parallelism, microBatchSize }: TrainingRun): boolean {
  const { tensor: t, pipeline: p, virtualPipeline: v, context: c, expert: e, expertTensor: et } = parallelism;
  const replicas = 4 / (t * p * c);
  const micro = 16 / (replicas * microBatchSize);
  const wholes = [replicas, 4 / (p * e * et), 8 / t, 8 / e, 4096 / (t * (c > 1 ? 2 * c : 1)), micro, 4 / (p * v)];
  if (v > 1 && (p === 1 || micro % p !== 0)) return false;
  return wholes.every(Number.isInteger);
}

const text = (runs: readonly TrainingRun[]): readonly string[] =>
  runs.map((run) => JSON.stringify(run, Object.keys(flat(run)).sort())).sort();
const flat = (run: TrainingRun): object => ({ ...run, ...run.parallelism });

describe('the search', () => {
  it.each([80, 5, 3])('finds with %s GiB what trying everything finds', (gib) => {
    const space = spaceFrom(experts);
    const budget = gibibytes(gib);
    const possible = combinations(experts, space).filter(dividesByHand);
    const fitting = possible.filter((run) => {
      const { device, band } = estimateMemory(experts.operations, run);
      return device * (1 + band) <= budget;
    });
    const found = searched(experts, budget);
    expect(found.candidates).toBe(possible.length);
    expect(found.stopped).toBeUndefined();
    expect(text(found.plans.map(({ run }) => run))).toEqual(text(fitting));
  });

  it('has cases on both sides of its budgets', () => {
    const [all, most, few] = [80, 5, 3].map((gib) => searched(experts, gibibytes(gib)).plans.length);
    expect(all).toBeGreaterThan(most ?? 0);
    expect(most).toBeGreaterThan(few ?? 0);
    expect(few).toBeGreaterThan(0);
    expect(searched(experts, gibibytes(3)).tooLarge).toBeGreaterThan(0);
  });

  it.each([
    ['experts', wide, { framework: 'megatron' }],
    ['experts in FSDP', wide, { framework: 'fsdp' }],
    ['latent attention without its prediction', latent, { framework: 'megatron', mtp: false }],
    ['prediction of further tokens', latent, { framework: 'megatron', precision: 'fp8' }],
    ['a schedule of two directions', small, { framework: 'megatron', pipeline_schedule: 'dualpipe', ...staged }],
    ['stages of their own', small, { framework: 'fsdp', layers_per_stage: [1, 3], ...staged }],
    [
      'some layers recomputed',
      small,
      { framework: 'fsdp', recompute: 'full', recompute_method: 'block', recompute_layers: 1 },
    ],
    ['autocast', small, { framework: 'fsdp', sharding: 'none' }],
    ['adapters', small, { framework: 'deepspeed', lora: { rank: 8, targets: ['q_proj', 'down_proj'] } }],
    ['offloaded activations', small, { framework: 'fsdp', offload: 'activations' }],
  ])('has the memory and the speed of a report: %s', (_, config, run) => {
    const start = startFrom(config, { gpus: 8, accelerator: 'h100-sxm-80gb', sequence_length: 4096, ...run });
    const { plans } = searched(start, gibibytes(80));
    const some = plans.filter((_, index) => index % Math.ceil(plans.length / 120) === 0);
    expect(some.length).toBeGreaterThan(10);
    for (const { run: each, device, band, tokensPerSecond } of some) {
      const memory = estimateMemory(start.operations, each);
      const time = projectTime(start.operations, start.cost.flops, { run: each, machine: start.settled.machine });
      expect([device, band, describeRun(each, 4)]).toEqual([memory.device, memory.band, describeRun(each, 4)]);
      expect(tokensPerSecond / ((time.tokensPerSecondPerGpu ?? 0) * each.gpus)).toBeCloseTo(1, 12);
    }
  });

  it('names the smallest run where nothing fits', () => {
    const devices = combinations(experts, spaceFrom(experts))
      .filter(dividesByHand)
      .map((run) => estimateMemory(experts.operations, run).device);
    const found = searched(experts, 1);
    expect(found.plans).toEqual([]);
    expect(found.smallest?.device).toBe(Math.min(...devices));
  });

  it('comes out the same each time', () => {
    expect(searched(experts, gibibytes(5))).toEqual(searched(experts, gibibytes(5)));
  });

  it('stops at its limits and says at which', () => {
    const byNumber = searched(experts, gibibytes(80), bounded({ candidates: 10 }));
    expect([byNumber.candidates, byNumber.stopped]).toEqual([10, 'candidates']);
    const byTime = searched(experts, gibibytes(80), bounded({ milliseconds: 20 }));
    expect(byTime.stopped).toBe('time');
    expect(byTime.candidates).toBeLessThan(25);
  });
});

const gpus = { gpus: 8, accelerator: 'h100-sxm-80gb', sequence_length: 4096, global_batch_size: 32 };

describe('what the framework refuses', () => {
  const one = { ...small, num_key_value_heads: 1 };
  const odd = { ...small, intermediate_size: 1552 };
  const grouped = { model_type: 'mamba2', vocab_size: 1000, hidden_size: 256, num_hidden_layers: 4, num_heads: 8 };
  const mamba = { ...grouped, head_dim: 64, state_size: 16, n_groups: 2, expand: 2, conv_kernel: 4 };
  const dual = { ...staged, pipeline_schedule: 'dualpipe', global_batch_size: 8 };

  it.each([
    ['one head of keys and values, by tensor parallelism', one, { framework: 'fsdp' }],
    ['groups of Mamba, by tensor parallelism', mamba, { framework: 'megatron' }],
    ['widths in 8 bits', odd, { framework: 'megatron', precision: 'fp8' }],
    ['ZeRO 2 and 3 with a pipeline', small, { framework: 'deepspeed', sharding: 'optimizer', ...staged }],
    ['too few micro-batches for DualPipe', small, { framework: 'megatron', ...dual }],
  ])('is no plan: %s', (_, config, run) => {
    const start = startFrom(config, { ...gpus, ...run });
    const refuses = refusalOf(start);
    const { operations } = start;
    const dividing = [...layouts(spaceFrom(start), start.settled.run)]
      .flatMap((layout) => [...runsOf(layout, spaceFrom(start))])
      .filter((each) => divides(operations, each));
    const starting = dividing.filter((each) => refuses(each) === undefined);
    const found = searched(start, gibibytes(1000));
    expect(text(found.plans.map((plan) => plan.run))).toEqual(text(starting));
    expect(found.refused).toBe(dividing.length - starting.length);
    expect(found.refused).toBeGreaterThan(0);
    expect(found.plans.length).toBeGreaterThan(0);
    // The same runs, described and judged as a pull request with them would be.
    for (const each of dividing.filter((_, index) => index % Math.ceil(dividing.length / 60) === 0))
      expect([stopsAt(config, start, each), each.parallelism]).toEqual([refuses(each) !== undefined, each.parallelism]);
  });

  it('is said with its reason where nothing else divides', () => {
    const start = startFrom(small, { ...gpus, framework: 'fsdp', lora: { rank: 8, targets: ['in_proj', 'x_proj'] } });
    const found = searched(start, gibibytes(80));
    expect([found.plans.length, found.candidates]).toEqual([0, 0]);
    expect(found.refused).toBeGreaterThan(0);
    expect(found.refusal).toContain("None of the adapter's targets (in_proj, x_proj)");
    const answer = {
      path: 'config.json',
      format: 'huggingface',
      start,
      budget: 1,
      found,
      ranking: undefined,
      seconds: 0,
    };
    expect(planText(answer)).toMatch(/divide, but fsdp does not start them: None of the adapter's targets/);
  });
});

/** Whether a report on a model with this run as its description says that the framework does not start. */
function stopsAt(config: object, { operations }: Start, run: TrainingRun): boolean {
  const settings = settingsOf(
    {},
    { run: { name: 'run.yml', bytes: Buffer.from(describeRun(run, operations.order.length)) } },
  );
  const side = readSide({ kind: 'bytes', bytes: Buffer.from(JSON.stringify(config)) }, 'config.json', settings);
  if (side.estimate === undefined) throw new Error(side.reading.problems[0]?.message);
  return side.estimate.problems.some(({ rule, severity }) => rule !== undefined && severity === 'error');
}

describe('the space', () => {
  it('has one value where a field is fixed', () => {
    const fixed = new Set(['parallelism.tensor', 'sharding', 'micro_batch_size', 'recompute']);
    const space = spaceFrom(experts, fixed);
    expect(space).toMatchObject({ tensor: [1], sharding: ['optimizer'], microBatchSize: [1] });
    expect(space.recompute).toHaveLength(1);
    expect(space.expert).toEqual([1, 2, 4]);
  });

  it('keeps tensor parallelism within the fast domain', () => {
    const many = startFrom(small, { gpus: 64, accelerator: 'h100-sxm-80gb', framework: 'megatron' });
    expect(spaceFrom(many).tensor).toEqual([1, 2, 4, 8]);
  });

  it('does not divide a model where the framework does not', () => {
    const trainer = startFrom(small, { gpus: 8, framework: 'transformers' });
    expect(spaceFrom(trainer)).toMatchObject({ tensor: [1], pipeline: [1], context: [1], expert: [1] });
  });

  it('takes stages that are nearly even, and says nothing of the others', () => {
    const uneven = { ...small, num_hidden_layers: 61 };
    const run = { gpus: 64, accelerator: 'h100-sxm-80gb', framework: 'megatron', global_batch_size: 64 };
    const start = startFrom(uneven, run);
    const used = new Set(searched(start, gibibytes(80)).plans.map(({ run }) => run.parallelism.pipeline));
    expect([...used].sort((a, b) => a - b)).toEqual([1, 2, 4, 8, 16, 32]);
    const ten = startFrom({ ...small, num_hidden_layers: 10 }, { ...run, gpus: 8, global_batch_size: 8 });
    expect(new Set(searched(ten, gibibytes(80)).plans.map(({ run }) => run.parallelism.pipeline))).toEqual(
      new Set([1, 2]),
    );
  });
});

describe('the run as it is', () => {
  it('may contradict the wanted GPUs; plans do not', () => {
    const start = startFrom(small, {
      gpus: 6,
      framework: 'megatron',
      parallelism: { tensor: 4 },
      global_batch_size: 6,
    });
    expect(start.impossible).toContain('6 GPUs do not divide');
    expect(start.settled.run.gpus).toBe(6);
    const { plans } = searched(start, gibibytes(80));
    expect(plans.length).toBeGreaterThan(0);
    expect(plans.every(({ run }) => run.gpus === 6 && run.parallelism.tensor !== 4)).toBe(true);
  });

  it('has one batch for all plans, and says where it is assumed', () => {
    const start = startFrom(small, { gpus: 8, framework: 'megatron', sequence_length: 4096 });
    expect(start.settled.run.globalBatchSize).toBe(1024);
    expect(start.assumptions.filter(({ field }) => field === 'global_batch_size')).toHaveLength(1);
  });
});
