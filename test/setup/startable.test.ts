import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import type { Problem } from '../../src/model/reading.ts';
import { readSide } from '../../src/run.ts';
import { rulesOfStart } from '../../src/setup/startable.ts';
import { small as llama } from '../states.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What is said of a run that its framework refuses, as a run description states it. */
function said(config: Fields, run: Fields, path = 'config.json'): readonly Problem[] {
  const settings = settingsOf({}, { run: { name: 'run.yml', bytes: Buffer.from(JSON.stringify(run)) } });
  const side = readSide({ kind: 'bytes', bytes: Buffer.from(JSON.stringify(config)) }, path, settings);
  if (side.estimate === undefined) throw new Error(side.reading.problems[0]?.message);
  return side.estimate.problems.filter(({ rule }) => rule !== undefined);
}

const gpu = {
  accelerator: 'h100-sxm-80gb',
  gpus: 64,
  sequence_length: 4096,
  micro_batch_size: 1,
  global_batch_size: 256,
};
const megatron = { ...gpu, framework: 'megatron', sharding: 'optimizer' };
const fsdp = { ...gpu, framework: 'fsdp', sharding: 'full' };
const deepspeed = { ...gpu, framework: 'deepspeed', sharding: 'optimizer' };
const trainer = { ...gpu, framework: 'transformers', sharding: 'none' };
const grouped = { ...llama, num_key_value_heads: 4 };
const mixtral = {
  ...llama,
  model_type: 'mixtral',
  intermediate_size: 4096,
  num_key_value_heads: 8,
  num_local_experts: 8,
  num_experts_per_tok: 2,
};
const mamba = {
  model_type: 'mamba2',
  vocab_size: 32000,
  hidden_size: 2048,
  num_hidden_layers: 4,
  num_heads: 64,
  head_dim: 64,
  state_size: 128,
  n_groups: 2,
  expand: 2,
  conv_kernel: 4,
  tie_word_embeddings: false,
};

/** A run that breaks a rule, one near it that does not, and words of what is said. */
type Pair = {
  readonly config?: Fields;
  readonly breaks: Fields;
  readonly keeps: Fields;
  readonly says: string;
};

const pairs: Readonly<Record<string, Pair>> = {
  'heads-by-tensor': {
    breaks: { ...megatron, gpus: 48, global_batch_size: 240, parallelism: { tensor: 3 } },
    keeps: { ...deepspeed, gpus: 48, global_batch_size: 240, parallelism: { tensor: 3 } },
    says: 'Tensor parallelism of 3 does not divide 32 attention heads. The nearest that works: tensor 2.',
  },
  'key-value-heads-by-tensor': {
    config: grouped,
    breaks: { ...fsdp, parallelism: { tensor: 8 } },
    keeps: { ...megatron, parallelism: { tensor: 8 } },
    says: 'does not divide 4 key and value heads. The nearest that works: tensor 4.',
  },
  'width-by-tensor': {
    config: { ...llama, intermediate_size: 11012 },
    breaks: { ...megatron, parallelism: { tensor: 8 } },
    keeps: { ...fsdp, parallelism: { tensor: 8 } },
    says: 'does not divide a feed-forward width of 11012. The nearest that works: tensor 4.',
  },
  'expert-width-by-expert-tensor': {
    config: { ...mixtral, intermediate_size: 4100 },
    breaks: { ...megatron, parallelism: { expert_tensor: 8 } },
    keeps: { ...megatron, parallelism: { expert_tensor: 4 } },
    says: 'The nearest that works: expert_tensor 4.',
  },
  'mamba-heads-by-tensor': {
    config: mamba,
    breaks: { ...megatron, parallelism: { tensor: 4 } },
    keeps: { ...megatron, parallelism: { tensor: 2 } },
    says: 'does not divide 2 heads or groups of Mamba. The nearest that works: tensor 2.',
  },
  'sequence-by-tensor': {
    breaks: { ...megatron, sequence_length: 4095, parallelism: { tensor: 2 } },
    keeps: { ...megatron, sequence_length: 4095, parallelism: { tensor: 2, sequence_parallel: false } },
    says: 'The nearest that works: sequence_length 4096.',
  },
  'sequence-parallel-alone': {
    breaks: { ...megatron, parallelism: { sequence_parallel: true } },
    keeps: { ...megatron, parallelism: { tensor: 2, sequence_parallel: true } },
    says: 'Set sequence_parallel: false.',
  },
  'tensor-in-trainer': {
    breaks: { ...trainer, parallelism: { tensor: 2 } },
    keeps: trainer,
    says: 'ParallelismConfig',
  },
  'layers-by-pipeline': {
    breaks: { ...megatron, gpus: 40, global_batch_size: 240, parallelism: { pipeline: 5 } },
    keeps: {
      ...megatron,
      gpus: 40,
      global_batch_size: 240,
      parallelism: { pipeline: 5 },
      layers_per_stage: [7, 7, 6, 6, 6],
    },
    says: 'A pipeline of 5 stages does not divide 32 layers. The nearest that works: pipeline 4.',
  },
  'layers-by-virtual-stages': {
    breaks: { ...megatron, parallelism: { pipeline: 4, virtual_pipeline: 3 } },
    keeps: { ...megatron, parallelism: { pipeline: 4, virtual_pipeline: 4 } },
    says: '3 virtual stages do not divide the 8 layers of a pipeline stage. The nearest that works: virtual_pipeline 2.',
  },
  'virtual-stages-without-pipeline': {
    breaks: { ...megatron, parallelism: { virtual_pipeline: 2 } },
    keeps: { ...megatron, parallelism: { pipeline: 2, virtual_pipeline: 2 } },
    says: 'virtual_pipeline 1',
  },
  'layers-per-stage': {
    breaks: { ...megatron, parallelism: { pipeline: 2 }, layers_per_stage: [16, 15] },
    keeps: { ...megatron, parallelism: { pipeline: 2 }, layers_per_stage: [17, 15] },
    says: 'layers_per_stage adds up to 31, and the model has 32 layers.',
  },
  'zero-with-pipeline': {
    breaks: { ...deepspeed, sharding: 'full', parallelism: { pipeline: 2 } },
    keeps: { ...fsdp, parallelism: { pipeline: 2 } },
    says: 'sharding optimizer (ZeRO 1)',
  },
  'virtual-stages-in-deepspeed': {
    breaks: { ...deepspeed, parallelism: { pipeline: 2, virtual_pipeline: 2 } },
    keeps: { ...deepspeed, parallelism: { pipeline: 2 } },
    says: 'virtual_pipeline: 1',
  },
  'pipeline-in-trainer': {
    breaks: { ...trainer, parallelism: { pipeline: 2 } },
    keeps: trainer,
    says: 'no pipeline parallelism',
  },
  'dualpipe-stages': {
    breaks: { ...fsdp, gpus: 6, global_batch_size: 24, pipeline_schedule: 'dualpipe', parallelism: { pipeline: 3 } },
    keeps: { ...fsdp, gpus: 8, global_batch_size: 24, pipeline_schedule: 'dualpipe', parallelism: { pipeline: 4 } },
    says: '3 is odd. The nearest that works: pipeline 4.',
  },
  'dualpipe-micro-batches': {
    breaks: { ...fsdp, gpus: 8, global_batch_size: 14, pipeline_schedule: 'dualpipe', parallelism: { pipeline: 4 } },
    keeps: { ...fsdp, gpus: 8, global_batch_size: 16, pipeline_schedule: 'dualpipe', parallelism: { pipeline: 4 } },
    says: 'The nearest that works: global_batch_size 16.',
  },
  'experts-by-expert': {
    config: mixtral,
    breaks: { ...fsdp, parallelism: { expert: 16 } },
    keeps: { ...fsdp, parallelism: { expert: 8 } },
    says: 'Expert parallelism of 16 does not divide 8 experts. The nearest that works: expert 8.',
  },
  'expert-without-experts': {
    breaks: { ...megatron, parallelism: { expert: 8 } },
    keeps: megatron,
    says: 'the model has no experts',
  },
  'sequence-by-context': {
    breaks: { ...fsdp, gpus: 56, global_batch_size: 56, parallelism: { context: 7 } },
    keeps: { ...fsdp, parallelism: { context: 8 } },
    says: 'divides a sequence into 14 pieces, and 4096 tokens leave a rest. The nearest that works: sequence_length 4102, or context 8.',
  },
  'heads-by-all-to-all': {
    breaks: { ...deepspeed, context_parallel_style: 'all_to_all', parallelism: { context: 64 } },
    keeps: { ...deepspeed, context_parallel_style: 'all_to_all', parallelism: { context: 32 } },
    says: '64 does not divide 32. The nearest that works: context 32.',
  },
  'length-beyond-config': {
    breaks: { ...fsdp, sequence_length: 1_000_000 },
    keeps: fsdp,
    says: 'longer than the 4096 positions',
  },
  'tokens-of-a-step': {
    breaks: { ...fsdp, tokens: 15 },
    keeps: { ...fsdp, tokens: 256 * 4096 },
    says: 'has 15 tokens, fewer than the 1048576 of one step',
  },
  'global-batch': {
    breaks: { ...fsdp, global_batch_size: 100 },
    keeps: { ...fsdp, global_batch_size: 128 },
    says: 'is not a multiple of micro-batch 1 x 64 replicas = 64. The nearest that works: global_batch_size 128.',
  },
  'precision-of-chip': {
    breaks: { ...fsdp, accelerator: 'a100-sxm-80gb', precision: 'fp8' },
    keeps: { ...fsdp, precision: 'fp8' },
    says: 'has no fp8 matrix products. The nearest that works: precision bf16.',
  },
  'bf16-of-chip': {
    breaks: { ...trainer, accelerator: 'v100-sxm-32gb', precision: 'bf16' },
    keeps: { ...trainer, accelerator: 'v100-sxm-32gb', precision: 'fp16' },
    says: 'precision fp16',
  },
  'widths-in-8-bits': {
    breaks: { ...megatron, precision: 'fp8', parallelism: { tensor: 32 } },
    keeps: { ...megatron, precision: 'fp8', parallelism: { tensor: 4 } },
    says: 'multiples of 16, and one on a GPU is 344',
  },
  'shard-group': {
    breaks: { ...fsdp, gpus: 8, shard_group: 7 },
    keeps: { ...fsdp, gpus: 8, shard_group: 4 },
    says: 'Groups of 7 GPUs do not divide the 8 that data parallelism has. The nearest that works: shard_group 8.',
  },
  'uneven-nodes': {
    breaks: { ...fsdp, gpus: 60, global_batch_size: 240, gpus_per_node: 8 },
    keeps: { ...fsdp, gpus_per_node: 8 },
    says: 'do not fill nodes of 8',
  },
  'power-cap': {
    breaks: { ...fsdp, power_cap_watts: 1 },
    keeps: { ...fsdp, power_cap_watts: 400 },
    says: 'cannot be capped at 1 W',
  },
  'adapter-targets': {
    breaks: { ...trainer, lora: { rank: 8, targets: ['x_proj', 'in_proj'] } },
    keeps: { ...trainer, lora: { rank: 8, targets: ['q_proj', 'in_proj'] } },
    says: "None of the adapter's targets (x_proj, in_proj) is a matrix of this model",
  },
  'adapter-targets-unknown': {
    breaks: { ...trainer, lora: { rank: 8, targets: ['attention_thing'] } },
    keeps: { ...trainer, lora: { rank: 8, targets: ['q_proj', 'attention_thing'] } },
    says: 'the adapter is counted as nothing',
  },
  'recompute-modules': {
    breaks: { ...megatron, recompute: 'selective', recompute_modules: ['core_attention'] },
    keeps: { ...megatron, recompute: 'selective', recompute_modules: ['core_attn'] },
    says: 'no module called core_attention',
  },
  'recompute-layers': {
    breaks: { ...megatron, recompute: 'full', recompute_layers: 1000 },
    keeps: { ...megatron, recompute: 'full', recompute_layers: 32 },
    says: 'the model has 32 layers',
  },
  'offload-without-sharding': {
    breaks: { ...deepspeed, offload: 'parameters' },
    keeps: { ...deepspeed, sharding: 'full', offload: 'parameters' },
    says: 'Set sharding: full.',
  },
};

describe('a run that cannot start', () => {
  it('has a run that breaks it for every rule, and none for another', () => {
    expect(Object.keys(pairs).sort()).toEqual(rulesOfStart.map(({ id }) => id).sort());
  });

  it.each(Object.entries(pairs))('%s', (id, { config = llama, breaks, keeps, says }) => {
    const rule = rulesOfStart.find((one) => one.id === id);
    const stops = rule?.inFileAlone !== true && rule?.stops.some((framework) => framework === breaks['framework']);
    const [broken] = said(config, breaks).filter((problem) => problem.rule === id);
    expect(broken?.message).toContain(says);
    expect(broken?.severity).toBe(stops === true ? 'error' : 'warning');
    expect(said(config, keeps).filter((problem) => problem.rule === id)).toEqual([]);
  });

  it('is only a warning where what it rests on is assumed', () => {
    const { framework: _, ...unnamed } = megatron;
    const pipeline = { gpus: 40, global_batch_size: 240, parallelism: { pipeline: 5 } };
    expect(said(llama, { ...unnamed, ...pipeline })).toMatchObject([
      { rule: 'layers-by-pipeline', severity: 'warning' },
    ]);
    const { gpus: __, ...anywhere } = fsdp;
    expect(said(llama, { ...anywhere, global_batch_size: 100 })).toMatchObject([
      { rule: 'global-batch', severity: 'warning' },
    ]);
  });
});

/** Findings that would fail a check. */
const failures = (config: Fields, run: Fields) =>
  said(config, run)
    .filter(({ severity }) => severity === 'error')
    .map(({ rule, message }) => `${rule}: ${message}`);

type Stored = {
  readonly configs: readonly Fields[];
  readonly rows: readonly { readonly id: string; readonly config: number; readonly run: Fields }[];
};

describe('runs that did start', () => {
  it.each(['runs.json', 'memory.json'])('%s: no rule stops one', (name) => {
    const { configs, rows }: Stored = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'oracle', name), 'utf8'));
    const stopped = rows.flatMap(({ id, config, run }) =>
      failures(configs[config] ?? {}, run).map((message) => `${id} ${message}`),
    );
    expect(rows.length).toBeGreaterThan(10);
    expect(stopped).toEqual([]);
  });

  it('configs/runs: nothing is said of one', () => {
    const root = join(import.meta.dirname, '..', '..', 'configs');
    const told = readdirSync(join(root, 'runs')).flatMap((name) => {
      const config = readFileSync(join(root, name.replace('.yml', '.json')));
      const settings = settingsOf({}, { run: { name, bytes: readFileSync(join(root, 'runs', name)) } });
      const { estimate } = readSide({ kind: 'bytes', bytes: config }, 'config.json', settings);
      return (estimate?.problems ?? []).filter(({ rule }) => rule !== undefined).map(({ message }) => message);
    });
    expect(told).toEqual([]);
  });

  it('test/formats: no rule stops a sample', () => {
    const folder = join(import.meta.dirname, '..', 'formats');
    const told = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.\w+$/.test(name) && !name.endsWith('.expected.json'))
      .flatMap((name) => {
        const bytes = readFileSync(join(folder, name));
        const { estimate } = readSide({ kind: 'bytes', bytes }, name, settingsOf({}));
        return (estimate?.problems ?? [])
          .filter(({ rule, severity }) => rule !== undefined && severity === 'error')
          .map(({ message }) => `${name}: ${message}`);
      });
    expect(told).toEqual([]);
  });
});

it('searches no further than a run can be, whatever a stranger states', () => {
  const gpus = 999_999_937;
  const run = { ...fsdp, gpus, global_batch_size: 1, parallelism: { tensor: gpus } };
  const start = performance.now();
  expect(said(llama, run).map(({ rule }) => rule)).toContain('heads-by-tensor');
  expect(performance.now() - start).toBeLessThan(2_000);
});

it.each(rulesOfStart.map(({ id, sources }) => [id, sources] as const))(
  '%s says where the framework checks it',
  (_id, sources) => {
    for (const source of sources)
      expect(source).toMatch(
        /^(https:\/\/github\.com\/[\w-]+\/[\w-]+\/blob\/[0-9a-f]{7}\/[\w/-]+\.py(#L\d+)?$|arithmetic: |the datasheet )/,
      );
  },
);
