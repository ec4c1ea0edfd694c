import { describe, expect, it } from 'vitest';
import type { RunFields, TrainingRun } from '../../src/model/run.ts';
import { startOf } from '../../src/plan/question.ts';
import { rank } from '../../src/plan/rank.ts';
import { layouts, runsOf } from '../../src/plan/search.ts';
import { divides, expertsOf } from '../../src/plan/space.ts';
import { spelledIn } from '../../src/plan/spelled.ts';
import { planJson, planMarkdown, planText } from '../../src/plan/table.ts';
import { readConfig } from '../../src/read/config.ts';
import { runOf } from '../../src/setup/description.ts';
import { settleRun } from '../../src/setup/settle.ts';
import { parse } from '../../src/text/syntax.ts';
import { gibibytes } from '../../src/units.ts';
import { searched, spaceFrom } from './plans.ts';

type Job = {
  readonly path: string;
  readonly head: string;
  readonly own: string;
  readonly run: RunFields;
  readonly without: readonly string[];
};

const titan = (model: string, own: string, gpus: number, ...without: string[]): Job => ({
  path: 'train.toml',
  head: `${model}\n`,
  own,
  run: { gpus, globalBatchSize: 96 },
  without,
});
const shell = (model: string, own: string, gpus: number, ...without: string[]): Job => ({
  path: 'train.sh',
  head: `torchrun pretrain_gpt.py ${model} --bf16 \\\n`,
  own,
  run: { gpus, globalBatchSize: 96 },
  without,
});
const trainer = (head: string, gpus: number, ...without: string[]): Job => ({
  path: 'train.yaml',
  head: `${head}\n`,
  own: 'per_device_train_batch_size: 1\nmicro_batch_size: 1',
  run: { gpus, globalBatchSize: 96, sequenceLength: 1024 },
  without,
});

const dense =
  '--num-layers 10 --hidden-size 512 --ffn-hidden-size 1536 --num-attention-heads 8 --max-position-embeddings 4096 --vocab-size 32000';
const routed = `${dense.replace('--num-layers 10', '--num-layers 8')} --num-experts 8 --moe-router-topk 2`;
const jobs: Readonly<Record<string, Job>> = {
  'torchtitan, dense': titan(
    '[model]\nname = "llama3"\nflavor = "8B"',
    '[training]\nseq_len = 4096',
    12,
    'layers_per_stage',
    'parallelism.virtual_pipeline',
    'sharding',
  ),
  'torchtitan, with experts': titan(
    '[model]\nname = "deepseek_v3"\nflavor = "16B"',
    '[training]\nseq_len = 4096\n[activation_checkpoint]\nmode = "selective"\nselective_ac_option = "3"',
    8,
    'layers_per_stage',
    'sharding',
  ),
  'torchtitan, replicated': titan(
    '[model]\nname = "llama3"\nflavor = "8B"',
    '[training]\nseq_len = 4096\n[parallelism]\ndata_parallel_replicate_degree = 2\ndata_parallel_shard_degree = 4',
    8,
    'gpus',
    'parallelism.virtual_pipeline',
    'shard_group',
    'sharding',
  ),
  'Megatron, dense': shell(dense, '--seq-length 4096 --micro-batch-size 1', 12, 'gpus'),
  'Megatron, with experts': shell(
    routed,
    '--seq-length 4096 --micro-batch-size 1 --use-distributed-optimizer',
    8,
    'gpus',
  ),
  'Megatron, fully sharded': shell(
    dense,
    '--seq-length 4096 --micro-batch-size 1 --use-megatron-fsdp --data-parallel-sharding-strategy optim_grads_params',
    12,
    'gpus',
  ),
  TRL: trainer(
    'model_name_or_path: Qwen/Qwen2.5-0.5B\nmax_length: 2048\nbf16: true',
    4,
    'gpus',
    'recompute',
    'sequence_length',
  ),
  'Trainer with DeepSpeed': trainer(
    'model_name_or_path: Qwen/Qwen2.5-0.5B\nlearning_rate: 1e-5\nmodel_max_length: 2048\nbf16: true\ndeepspeed: ds.json',
    8,
    'gpus',
    'offload',
    'recompute',
    'sequence_length',
    'sharding',
  ),
  'LLaMA-Factory': trainer(
    'model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\nfinetuning_type: full\nbf16: true\ntemplate: qwen\ndeepspeed: ds.json',
    8,
    'gpus',
    'offload',
    'recompute',
    'sharding',
  ),
  axolotl: trainer(
    'base_model: Qwen/Qwen2.5-0.5B\nbf16: true\ndatasets:\n  - path: a\nfsdp_version: 2\nfsdp_config:\n  reshard_after_forward: true',
    8,
    'gpus',
    'parallelism.pipeline',
    'parallelism.virtual_pipeline',
    'recompute',
    'sharding',
  ),
};

const machine = { accelerator: 'h100-sxm-80gb' } as const;

function readBack(text: string, path: string, fields: RunFields) {
  const reading = readConfig(Buffer.from(text), path);
  if (reading.kind === 'unread') throw new Error(`${reading.problems[0]?.message}\n${text}`);
  return { reading, sources: [{ origin: 'input', fields } as const, ...reading.run] };
}

/** Every run of the job's space that divides. */
function plansOf({ path, head, own, run }: Job) {
  const { reading, sources } = readBack(head + own, path, { ...machine, ...run });
  const start = startOf(sources, reading.architecture);
  if (start.kind === 'unsettled') throw new Error(start.message);
  const space = spaceFrom(start);
  const all = [...layouts(space, start.settled.run)].flatMap((layout) => [...runsOf(layout, space)]);
  return { start, format: reading.format, plans: all.filter((plan) => divides(start.operations, plan)) };
}

/** What a plan decides, with what absent fields mean, and how many layers each stage has. */
function decided(run: TrainingRun, layers: number) {
  const { parallelism, gpus, sequenceLength, microBatchSize, globalBatchSize, sharding, recompute } = run;
  const { recomputeModules, recomputeMethod = 'uniform', recomputeLayers = 1, layersPerStage, offload = 'none' } = run;
  const each = Math.floor(layers / parallelism.pipeline);
  const stages = Array.from(
    { length: parallelism.pipeline },
    (_, stage) => each + Number(stage < layers % parallelism.pipeline),
  );
  const recomputed = { recompute, recomputeModules, ...(recompute === 'full' && { recomputeMethod, recomputeLayers }) };
  const sizes = { gpus, sequenceLength, microBatchSize, globalBatchSize };
  const shardGroup = run.shardGroup ?? gpus / (parallelism.tensor * parallelism.pipeline);
  return { parallelism, ...sizes, sharding, shardGroup, ...recomputed, offload, stages: layersPerStage ?? stages };
}

/** About this many of a space, from all of it. */
const most = 400;

describe('a plan under the keys of the job', () => {
  it.each(Object.entries(jobs))('is what the reader of that format makes of it: %s', (_, job) => {
    const { start, format, plans } = plansOf(job);
    const layers = start.operations.order.length;
    const shape = { layers, experts: expertsOf(start.operations), predicts: false };
    // Steps of the golden ratio miss no value of a field that comes again at regular distances.
    const some = plans.filter((_plan, index) => (index * 0.618_034) % 1 < most / plans.length);
    expect(some.length).toBeGreaterThan(5);
    const without = new Set<string>();
    for (const plan of some) {
      const own = spelledIn(format, plan, shape);
      if (own === undefined) throw new Error(`${format} is not written`);
      for (const field of own.noKeyFor) without.add(field);
      const described = parse(Buffer.from(own.rest), 'yaml');
      const rest = runOf(described.kind === 'parsed' ? (described.value ?? {}) : {}, 'rest');
      if (rest.kind === 'wrong') throw new Error(rest.problems[0]?.message);
      const { reading, sources } = readBack(job.head + own.text, job.path, { ...machine, ...rest.fields });
      const settling = settleRun(sources, reading.architecture);
      if (settling.kind === 'unsettled') throw new Error(`${settling.problems[0]?.message}\n${own.text}${own.rest}`);
      expect(decided(settling.settled.run, layers), `${own.text}${own.rest}`).toEqual(decided(plan, layers));
    }
    expect([...without].sort()).toEqual(job.without);
  });
});

describe('the answer', () => {
  const job = jobs['Megatron, dense'];
  if (job === undefined) throw new Error('no such job');
  const { start, format } = plansOf(job);
  const budget = gibibytes(80);
  const found = searched(start, budget);
  const ranking = rank(found.plans, start.settled.run);
  const answer = { path: job.path, format, start, budget, found, ranking, seconds: 1 };

  it('has the flags of the job, those to leave out, and the rest as a run description', () => {
    const text = planText(answer);
    expect(text).toMatch(/^# fastest.*\n--seq-length 4096 \\\n--micro-batch-size \d/m);
    expect(text).toMatch(/^# Leave out, where the job has them: .*--recompute-activations/m);
    expect(text).toMatch(/^# megatron-shell has no one key for gpus; .*\ngpus: 12$/m);
    expect(planMarkdown(answer)).toContain('```bash\n--seq-length 4096');
    const [fastest] = planJson(answer).plans;
    expect(fastest?.own_format).toMatchObject({ format, no_key_for: ['gpus'] });
  });

  it('is a run description where the job is of another format or framework', () => {
    for (const other of ['huggingface', 'torchtitan']) {
      expect(planText({ ...answer, format: other })).toMatch(/^parallelism:\n {2}tensor: /m);
      expect(planJson({ ...answer, format: other }).plans[0]?.own_format).toBeNull();
    }
  });

  it('writes no name of a module that a shell would run', () => {
    const run = { ...start.settled.run, recompute: 'selective', recomputeModules: ['$(id)'] } as const;
    const own = spelledIn(format, run, { layers: 10, experts: 1, predicts: false });
    expect(own?.text).not.toContain('id)');
    expect(own?.noKeyFor).toContain('recompute_modules');
  });

  it('leaves uneven stages of a model that predicts more tokens to a run description', () => {
    const { parallelism } = start.settled.run;
    const run = { ...start.settled.run, parallelism: { ...parallelism, pipeline: 3 } };
    const own = spelledIn(format, run, { layers: 10, experts: 1, predicts: true });
    expect(own?.rest).toContain('layers_per_stage: [4,3,3]');
  });
});
