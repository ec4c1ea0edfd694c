import { written } from '../model/names.ts';
import type { Framework, TrainingRun } from '../model/run.ts';
import { describeFields, withStages } from './describe.ts';

/** What of the model decides which keys a run needs. */
export type Shape = {
  readonly layers: number;
  /** of a layer; 1 where nothing is routed */
  readonly experts: number;
  /** layers of multi-token prediction are trained */
  readonly predicts: boolean;
};

/** A run under the keys of the job's own format. */
export type Spelled = {
  readonly format: string;
  /** of the text, as code blocks name it */
  readonly language: string;
  readonly text: string;
  /** flags that the job must not have */
  readonly leaveOut: readonly string[];
  /** fields for which the format has no key */
  readonly noKeyFor: readonly string[];
  /** the same fields as a run description, empty where there are none */
  readonly rest: string;
};

type Run = Shape & {
  readonly run: TrainingRun;
  /** replicas of the model with other data */
  readonly replicas: number;
};

/** A key with its value; a flag that is false is left out. */
type Stated = readonly [key: string, value: string | number | boolean];

/** How one field is written (others that go with it by name); undefined where the format has no key for its value. */
type Row = {
  readonly field: string;
  readonly with?: readonly string[];
  readonly keys: (run: Run) => readonly Stated[] | undefined;
};

type Spelling = {
  readonly frameworks: readonly Framework[];
  readonly language: string;
  readonly rows: readonly Row[];
  readonly write: (stated: readonly Stated[]) => string;
  /** as a command line has keys */
  readonly flags: boolean;
};

/** The plan in the format of the job; undefined where that format is not written, or trains with another framework. */
export function spelledIn(format: string, planned: TrainingRun, shape: Shape): Spelled | undefined {
  const spelling = spellings[format];
  if (spelling === undefined || !spelling.frameworks.includes(planned.framework)) return undefined;
  const run = withStages(planned, shape.layers);
  const { tensor, pipeline, context } = run.parallelism;
  const of = { ...shape, run, replicas: run.gpus / (tensor * pipeline * context) };
  const rows = spelling.rows.map((row) => ({ ...row, stated: row.keys(of) }));
  const stated = rows.flatMap(({ stated: keys }) => keys ?? []);
  const left = rows.flatMap(({ field, with: others = [], stated: keys }) =>
    keys === undefined ? [field, ...others] : [],
  );
  const { noKeyFor, text: rest } = describeFields(run, left);
  return {
    format,
    language: spelling.language,
    text: spelling.write(spelling.flags ? stated.filter(([, value]) => value !== false) : stated),
    leaveOut: spelling.flags ? stated.flatMap(([key, value]) => (value === false ? [`--${key}`] : [])) : [],
    noKeyFor,
    rest,
  };
}

/** TOML with a table for each section. */
function asToml(stated: readonly Stated[]): string {
  const sections = Map.groupBy(stated, ([key]) => key.slice(0, key.indexOf('.')));
  return [...sections]
    .map(([section, keys]) => {
      const lines = keys.map(([key, value]) => `${key.slice(section.length + 1)} = ${JSON.stringify(value)}`);
      return [`[${section}]`, ...lines, ''].join('\n');
    })
    .join('\n');
}

/** Words of a command line, one flag a line. */
const asFlags = (stated: readonly Stated[]): string =>
  `${stated.map(([key, value]) => (value === true ? `--${key}` : `--${key} ${value}`)).join(' \\\n')}\n`;

const recomputing = ['recompute_modules', 'recompute_method', 'recompute_layers'] as const;

/** A degree that the job states, which is 1 where the model has no experts. */
const ofExperts =
  (key: string, degree: (run: TrainingRun) => number): Row['keys'] =>
  ({ run, experts }) =>
    experts > 1 || degree(run) > 1 ? [[key, degree(run)]] : [];

const even = ({ layersPerStage }: TrainingRun): boolean => new Set(layersPerStage).size < 2;

/** torchtitan's TOML, with the keys that it has had since June 2025. */
const torchtitan: Spelling = {
  frameworks: ['fsdp'],
  language: 'toml',
  flags: false,
  write: asToml,
  rows: [
    { field: 'sequence_length', keys: ({ run }) => [['training.seq_len', run.sequenceLength]] },
    { field: 'global_batch_size', keys: ({ run }) => [['training.global_batch_size', run.globalBatchSize]] },
    { field: 'micro_batch_size', keys: torchtitanBatch },
    {
      field: 'offload',
      keys: ({ run: { offload = 'none' } }) =>
        offload === 'none' || offload === 'parameters'
          ? [['training.enable_cpu_offload', offload === 'parameters']]
          : undefined,
    },
    { field: 'shard_group', with: ['gpus'], keys: torchtitanShards },
    { field: 'sharding', keys: torchtitanSharding },
    {
      field: 'parallelism.tensor',
      keys: ({ run }) => [['parallelism.tensor_parallel_degree', run.parallelism.tensor]],
    },
    {
      field: 'parallelism.context',
      keys: ({ run }) => [['parallelism.context_parallel_degree', run.parallelism.context]],
    },
    {
      field: 'parallelism.expert',
      keys: ofExperts('parallelism.expert_parallel_degree', ({ parallelism }) => parallelism.expert),
    },
    {
      field: 'parallelism.expert_tensor',
      keys: ofExperts('parallelism.expert_tensor_parallel_degree', ({ parallelism }) => parallelism.expertTensor),
    },
    {
      field: 'parallelism.pipeline',
      keys: ({ run }) => [['parallelism.pipeline_parallel_degree', run.parallelism.pipeline]],
    },
    { field: 'parallelism.virtual_pipeline', with: ['pipeline_schedule'], keys: torchtitanSchedule },
    { field: 'layers_per_stage', keys: ({ run }) => (even(run) ? [] : undefined) },
    { field: 'recompute', with: recomputing, keys: torchtitanRecompute },
  ],
};

/** A pipeline cuts the local batch, which is then all that a replica reads in a step, into micro-batches. */
function torchtitanBatch({ run, replicas }: Run): readonly Stated[] {
  if (run.parallelism.pipeline === 1) return [['training.local_batch_size', run.microBatchSize]];
  return [
    ['training.local_batch_size', run.globalBatchSize / replicas],
    ['parallelism.pipeline_parallel_microbatch_size', run.microBatchSize],
  ];
}

/** The degrees of data parallelism make the GPUs, too. */
function torchtitanShards({ run, replicas }: Run): readonly Stated[] | undefined {
  const members = run.sharding === 'none' ? 1 : (run.shardGroup ?? replicas);
  // A single group is divided over context parallelism, too.
  const larger = run.shardGroup === replicas && run.parallelism.context > 1;
  if (replicas % members !== 0 || larger) return undefined;
  return [
    ['parallelism.data_parallel_replicate_degree', replicas / members],
    ['parallelism.data_parallel_shard_degree', members],
  ];
}

/** FSDP divides all states where it divides at all; weights that stay gathered are no stage of their own here. */
function torchtitanSharding({ run, replicas }: Run): readonly Stated[] | undefined {
  const { reshardAfterForward: reshard, shardGroup = replicas, sharding } = run;
  const divided = sharding === 'none' || (sharding === 'full' && shardGroup > 1);
  if (!divided) return undefined;
  return reshard === undefined ? [] : [['parallelism.fsdp_reshard_after_forward', reshard ? 'always' : 'never']];
}

/** Names of schedules, by virtual stages of a rank. */
const schedules: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  '1f1b': { 1: '1F1B', 2: 'Interleaved1F1B' },
  interleaved: { 2: 'Interleaved1F1B' },
  gpipe: { 1: 'GPipe', 2: 'LoopedBFS' },
  zero_bubble: { 2: 'ZBVZeroBubble' },
  dualpipe: { 2: 'DualPipeV' },
};

function torchtitanSchedule({ run }: Run): readonly Stated[] | undefined {
  const { pipeline, virtualPipeline } = run.parallelism;
  if (pipeline === 1) return [];
  const name = schedules[run.pipelineSchedule ?? '1f1b']?.[virtualPipeline];
  return name === undefined ? undefined : [['parallelism.pipeline_parallel_schedule', name]];
}

/** Layers that are recomputed whole, every n-th, are a selective mode with a number; `op` is the one of single products. */
function torchtitanRecompute({ run }: Run): readonly Stated[] | undefined {
  const { recompute, recomputeMethod: method, recomputeLayers = 1, recomputeModules } = run;
  const mode = (name: string): Stated => ['activation_checkpoint.mode', name];
  const option = (name: string): Stated => ['activation_checkpoint.selective_ac_option', name];
  if (recompute === 'none') return [mode('none')];
  if (recompute === 'selective') return recomputeModules === undefined ? [mode('selective'), option('op')] : undefined;
  if (method === 'every') return [mode('selective'), option(String(recomputeLayers))];
  return method === undefined ? [mode('full')] : undefined;
}

/** Megatron-LM's arguments. */
const megatron: Spelling = {
  frameworks: ['megatron'],
  language: 'bash',
  flags: true,
  write: asFlags,
  rows: [
    { field: 'gpus', keys: () => undefined },
    { field: 'sequence_length', keys: ({ run }) => [['seq-length', run.sequenceLength]] },
    { field: 'micro_batch_size', keys: ({ run }) => [['micro-batch-size', run.microBatchSize]] },
    { field: 'global_batch_size', keys: ({ run }) => [['global-batch-size', run.globalBatchSize]] },
    { field: 'parallelism.tensor', keys: ({ run }) => [['tensor-model-parallel-size', run.parallelism.tensor]] },
    {
      field: 'parallelism.sequence_parallel',
      keys: ({ run: { parallelism } }) => [['sequence-parallel', parallelism.sequenceParallel]],
    },
    { field: 'parallelism.pipeline', keys: ({ run }) => [['pipeline-model-parallel-size', run.parallelism.pipeline]] },
    { field: 'parallelism.virtual_pipeline', keys: megatronVirtualStages },
    { field: 'layers_per_stage', keys: megatronLayout },
    {
      field: 'pipeline_schedule',
      keys: ({ run: { pipelineSchedule: schedule } }) =>
        schedule === undefined || schedule === '1f1b' || schedule === 'interleaved' ? [] : undefined,
    },
    { field: 'parallelism.context', keys: ({ run }) => [['context-parallel-size', run.parallelism.context]] },
    {
      field: 'parallelism.expert',
      keys: ofExperts('expert-model-parallel-size', ({ parallelism }) => parallelism.expert),
    },
    {
      field: 'parallelism.expert_tensor',
      keys: ofExperts('expert-tensor-parallel-size', ({ parallelism }) => parallelism.expertTensor),
    },
    { field: 'sharding', keys: megatronSharding },
    { field: 'offload', keys: megatronOffload },
    { field: 'recompute', with: recomputing, keys: megatronRecompute },
  ],
};

const otherVirtualStages = ['num-layers-per-virtual-pipeline-stage', 'virtual-pipeline-model-parallel-size'] as const;

function megatronVirtualStages({ run: { parallelism } }: Run): readonly Stated[] {
  const { virtualPipeline } = parallelism;
  return [
    ['num-virtual-stages-per-pipeline-rank', virtualPipeline > 1 && virtualPipeline],
    ...otherVirtualStages.map((key): Stated => [key, false]),
  ];
}

/** Stages of unlike layers are a layout such as `Et*11|t*11|t*10L`. */
function megatronLayout({ run, predicts }: Run): readonly Stated[] | undefined {
  const { layersPerStage = [], parallelism } = run;
  const unused = [
    'decoder-first-pipeline-num-layers',
    'decoder-last-pipeline-num-layers',
    'account-for-embedding-in-pipeline-split',
    'account-for-loss-in-pipeline-split',
  ].map((key): Stated => [key, false]);
  if (even(run)) return [['pipeline-model-parallel-layout', false], ...unused];
  if (predicts || parallelism.virtualPipeline > 1) return undefined;
  const layout = layersPerStage.map((count) => (count === 0 ? '' : `t*${count}`)).join('|');
  return [['pipeline-model-parallel-layout', `'E${layout}L'`], ...unused];
}

function megatronSharding({ run: { sharding } }: Run): readonly Stated[] {
  const sharded = sharding === 'gradients' ? 'optim_grads' : sharding === 'full' && 'optim_grads_params';
  return [
    ['use-distributed-optimizer', sharding !== 'none'],
    ['use-megatron-fsdp', sharded !== false],
    ['data-parallel-sharding-strategy', sharded],
  ];
}

/** Megatron keeps the optimizer on the CPU only together with its precision-aware optimizer. */
function megatronOffload({ run: { offload = 'none' } }: Run): readonly Stated[] | undefined {
  if (offload === 'none') return [['optimizer-cpu-offload', false]];
  if (offload !== 'optimizer') return undefined;
  return [
    ['optimizer-cpu-offload', true],
    ['use-precision-aware-optimizer', true],
  ];
}

function megatronRecompute({ run }: Run): readonly Stated[] | undefined {
  const { recompute, recomputeMethod: method = 'uniform', recomputeLayers = 1, recomputeModules: modules } = run;
  if (method === 'every' && recompute === 'full') return undefined;
  // Names of modules come from the job, and what is printed here is pasted into a shell.
  if (modules?.every((name) => /^\w+$/.test(name)) === false) return undefined;
  const full = recompute === 'full';
  return [
    ['recompute-granularity', recompute !== 'none' && recompute],
    ['recompute-method', full && method],
    ['recompute-num-layers', full && recomputeLayers],
    ['recompute-modules', recompute === 'selective' && modules !== undefined && modules.join(' ')],
    ['recompute-activations', false],
  ];
}

/** One key a line. */
const asYaml = (stated: readonly Stated[]): string =>
  stated.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('');

const degrees = ['tensor', 'context', 'expert', 'pipeline', 'virtualPipeline', 'expertTensor'] as const;

/** Keys of a format that calls Hugging Face's Trainer; its DeepSpeed or FSDP config and the launcher say the rest. */
type TrainerKeys = {
  readonly micro: string;
  /** undefined where several keys may say it */
  readonly sequence?: string;
  readonly degrees?: { readonly [degree in (typeof degrees)[number]]?: string };
  readonly recompute: (on: boolean) => Stated;
};

function trainer(keys: TrainerKeys): Spelling {
  const { sequence, micro } = keys;
  return {
    frameworks: ['transformers', 'deepspeed', 'fsdp'],
    language: 'yaml',
    flags: false,
    write: asYaml,
    rows: [
      { field: 'gpus', keys: () => undefined },
      {
        field: 'sequence_length',
        keys: ({ run }) => (sequence === undefined ? undefined : [[sequence, run.sequenceLength]]),
      },
      { field: 'micro_batch_size', keys: ({ run }) => [[micro, run.microBatchSize]] },
      {
        field: 'global_batch_size',
        keys: ({ run, replicas }) => [
          ['gradient_accumulation_steps', run.globalBatchSize / (replicas * run.microBatchSize)],
        ],
      },
      ...degrees.map((degree) => trainerDegree(degree, keys.degrees?.[degree])),
      {
        field: 'sharding',
        keys: ({ run }) => (run.framework === 'transformers' && run.sharding === 'none' ? [] : undefined),
      },
      { field: 'offload', keys: ({ run: { offload = 'none' } }) => (offload === 'none' ? [] : undefined) },
      {
        field: 'recompute',
        with: recomputing,
        keys: ({ run: { recompute, recomputeMethod } }) =>
          recompute === 'selective' || recomputeMethod !== undefined
            ? undefined
            : [keys.recompute(recompute === 'full')],
      },
    ],
  };
}

const trainerDegree = (degree: (typeof degrees)[number], key: string | undefined): Row => ({
  field: `parallelism.${written(degree)}`,
  keys: ({ run: { parallelism } }) => {
    if (parallelism[degree] === 1) return [];
    return key === undefined ? undefined : [[key, parallelism[degree]]];
  },
});

const checkpointing = (on: boolean): Stated => ['gradient_checkpointing', on];

/** By the format's id. */
const spellings: Readonly<Record<string, Spelling>> = {
  torchtitan,
  'megatron-shell': megatron,
  'hf-training-args': trainer({ micro: 'per_device_train_batch_size', recompute: checkpointing }),
  llamafactory: trainer({
    micro: 'per_device_train_batch_size',
    sequence: 'cutoff_len',
    recompute: (on) => ['disable_gradient_checkpointing', !on],
  }),
  axolotl: trainer({
    micro: 'micro_batch_size',
    sequence: 'sequence_len',
    degrees: { tensor: 'tensor_parallel_size', context: 'context_parallel_size', expert: 'expert_parallel_size' },
    recompute: checkpointing,
  }),
};
