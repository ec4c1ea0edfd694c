import { frameworks } from '../facts/frameworks.ts';
import type { Operation, Operations } from '../model/operation.ts';
import type { Framework, Parallelism, ShardingStage, TrainingRun } from '../model/run.ts';

/** What a plan may choose, field by field: the search takes every combination that divides. */
export type Space = {
  readonly tensor: readonly number[];
  readonly pipeline: readonly number[];
  readonly virtualPipeline: readonly number[];
  readonly context: readonly number[];
  readonly expert: readonly number[];
  readonly expertTensor: readonly (number | 'as tensor')[];
  readonly sharding: readonly ShardingStage[];
  readonly offload: readonly NonNullable<TrainingRun['offload']>[];
  readonly microBatchSize: readonly number[];
  readonly recompute: readonly Recomputing[];
};

export type Recomputing = Pick<TrainingRun, 'recompute' | 'recomputeModules' | 'recomputeMethod' | 'recomputeLayers'>;

/** Fields of a run description that a plan must leave as they are: `parallelism.tensor`, `sharding`. */
export type Fixed = ReadonlySet<string>;

type Way = {
  /** It can divide a model by tensor, pipeline, context and expert parallelism. */
  readonly divides: boolean;
  readonly sharding: readonly ShardingStage[];
  readonly offload: Space['offload'];
};

/** What each framework can do that the projection can time; parameters in CPU memory, say, are not timed. */
const ways: Readonly<Record<Framework, Way>> = {
  megatron: { divides: true, sharding: ['none', 'optimizer'], offload: ['none', 'optimizer'] },
  fsdp: { divides: true, sharding: ['gradients', 'full'], offload: ['none'] },
  deepspeed: {
    divides: false,
    sharding: ['none', 'optimizer', 'gradients', 'full'],
    offload: ['none', 'optimizer'],
  },
  transformers: { divides: false, sharding: ['none'], offload: ['none'] },
};

const microBatches = [1, 2, 4, 8];
const mostVirtualStages = 8;
/** Tokens that context parallelism leaves each GPU at least. */
const fewestTokens = 1024;
/** The fullest stage over the mean, in layers, where they do not divide. */
const mostUneven = 1.1;

/**
 * The space of one model and run. The run's own values are always part of it; a fixed field has no other.
 *
 * @param domain GPUs that the fast domain joins, within which tensor parallelism stays
 */
export function spaceOf(operations: Operations, run: TrainingRun, fixed: Fixed, domain: number): Space {
  const way = ways[run.framework];
  const { parallelism: own } = run;
  const layers = operations.order.length;
  const degrees = (name: string, value: number, wanted: () => readonly number[]): readonly number[] =>
    fixed.has(`parallelism.${name}`) ? [value] : ascending([1, value, ...(way.divides ? wanted() : [])]);
  const choose = <Value>(name: string, value: Value, wanted: readonly Value[]): readonly Value[] =>
    fixed.has(name) ? [value] : [...new Set([...wanted, value])];
  const node = Math.min(run.gpus, run.gpusPerNode ?? domain);
  return {
    tensor: degrees('tensor', own.tensor, () => divisors(run.gpus).filter((degree) => degree <= node)),
    pipeline: degrees('pipeline', own.pipeline, () => divisors(run.gpus).filter((degree) => degree <= layers)),
    virtualPipeline: degrees('virtual_pipeline', own.virtualPipeline, () =>
      divisors(layers).filter((degree) => degree <= mostVirtualStages),
    ),
    context: degrees('context', own.context, () => contexts(operations, run)),
    expert: degrees('expert', own.expert, () =>
      divisors(expertsOf(operations)).filter((degree) => run.gpus % degree === 0),
    ),
    expertTensor:
      fixed.has('parallelism.expert_tensor') || expertsOf(operations) === 1 || !way.divides
        ? [own.expertTensor]
        : [1, 'as tensor'],
    sharding: choose('sharding', run.sharding, way.sharding),
    offload: choose('offload', run.offload ?? 'none', way.offload),
    microBatchSize: fixed.has('micro_batch_size')
      ? [run.microBatchSize]
      : ascending([run.microBatchSize, ...microBatches]),
    recompute: recomputings(operations, run, fixed),
  };
}

const ascending = (values: readonly number[]): readonly number[] => [...new Set(values)].sort((a, b) => a - b);
const divisors = (number: number): readonly number[] =>
  Array.from({ length: number }, (_, index) => index + 1).filter((divisor) => number % divisor === 0);

const allOf = ({ layers, prediction }: Operations): readonly Operation[] => [
  ...layers.flatMap(({ operations }) => operations),
  ...prediction,
];

/** A recurrence does not divide its sequence as attention does. */
function contexts(operations: Operations, run: TrainingRun): readonly number[] {
  if (allOf(operations).some(({ kind }) => kind === 'scan')) return [];
  return divisors(run.gpus).filter((degree) => run.sequenceLength / degree >= fewestTokens);
}

/** The experts of a layer; 1 where the model routes nothing. */
export function expertsOf(operations: Operations): number {
  const route = allOf(operations).find((operation) => operation.kind === 'route');
  return route?.kind === 'route' ? route.experts : 1;
}

function recomputings(operations: Operations, run: TrainingRun, fixed: Fixed): readonly Recomputing[] {
  const own: Recomputing = {
    recompute: run.recompute,
    ...(run.recomputeModules === undefined ? {} : { recomputeModules: run.recomputeModules }),
    ...(run.recomputeMethod === undefined ? {} : { recomputeMethod: run.recomputeMethod }),
    ...(run.recomputeLayers === undefined ? {} : { recomputeLayers: run.recomputeLayers }),
  };
  if (fixed.has('recompute') || fixed.has('recompute_modules')) return [own];
  const cheap: readonly Recomputing[] =
    frameworks[run.framework].selective === 'modules'
      ? [{ recompute: 'selective', recomputeModules: cheapModules(operations) }]
      : [];
  const all: readonly Recomputing[] = [
    own,
    { recompute: 'none' },
    { recompute: 'selective' },
    ...cheap,
    { recompute: 'full' },
  ];
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}

/** Modules that are cheap to run again and keep much. */
function cheapModules(operations: Operations): readonly string[] {
  const latent = allOf(operations).some((one) => one.kind === 'attention' && one.variant === 'latent');
  return ['layernorm', ...(expertsOf(operations) > 1 ? ['moe_act'] : []), ...(latent ? ['mla_up_proj'] : [])];
}

/** Whether GPUs, heads and matrices, experts, layers, sequence and batch divide as the run's parallelism asks. */
export const divides = (operations: Operations, run: TrainingRun): boolean =>
  dividesLayout(operations, run) && dividesBatch(run);

/** The same of all but the batch, which micro-batches decide. */
export function dividesLayout(operations: Operations, run: TrainingRun): boolean {
  const { tensor, context, pipeline } = run.parallelism;
  if (run.gpus % (tensor * pipeline * context) !== 0) return false;
  return (
    dividesLayers(operations, run) &&
    run.sequenceLength % (tensor * (context === 1 ? 1 : 2 * context)) === 0 &&
    dividesExperts(operations, run) &&
    dividesMatrices(operations, run.parallelism, run.contextParallelStyle)
  );
}

function dividesExperts(operations: Operations, { gpus, parallelism }: TrainingRun): boolean {
  const { pipeline, expert, expertTensor } = parallelism;
  return gpus % (pipeline * expert * expertTensor) === 0 && expertsOf(operations) % expert === 0;
}

function dividesMatrices(
  operations: Operations,
  { tensor, context, expertTensor }: Parallelism,
  style: TrainingRun['contextParallelStyle'],
): boolean {
  if (tensor * context * expertTensor === 1) return true;
  return allOf(operations).every((operation) => {
    if (operation.kind === 'attention') {
      const group = tensor * (style === 'all_to_all' ? context : 1);
      // An indexer's heads are on every GPU.
      return (
        operation.variant === 'indexer' ||
        (operation.heads % group === 0 && dividesKeys(operation.keyValueHeads, tensor))
      );
    }
    if (operation.kind !== 'linear') return true;
    if (operation.sharding === 'column') return operation.columns % tensor === 0;
    if (operation.sharding === 'row') return operation.rows % tensor === 0;
    return operation.sharding !== 'expert' || Math.max(operation.rows, operation.columns) % expertTensor === 0;
  });
}

/** One head of keys and values for all queries is on every GPU. */
const dividesKeys = (heads: number, tensor: number): boolean => heads === 1 || heads % tensor === 0;

function dividesLayers({ order }: Operations, { parallelism, layersPerStage, gpus }: TrainingRun): boolean {
  const { pipeline, virtualPipeline } = parallelism;
  if (pipeline === 1) return virtualPipeline === 1;
  if (pipeline > order.length || gpus % pipeline !== 0) return false;
  if (virtualPipeline > 1) return order.length % (pipeline * virtualPipeline) === 0;
  const fullest = Math.ceil(order.length / pipeline) * pipeline;
  return layersPerStage?.length === pipeline || fullest <= mostUneven * order.length;
}

export function dividesBatch({ gpus, parallelism, globalBatchSize, microBatchSize, shardGroup }: TrainingRun): boolean {
  const { tensor, pipeline, virtualPipeline, context } = parallelism;
  const replicas = gpus / (tensor * pipeline * context);
  const microBatches = globalBatchSize / (replicas * microBatchSize);
  // The interleaved schedule takes micro-batches in groups of the pipeline's length.
  const scheduled = virtualPipeline === 1 || microBatches % pipeline === 0;
  return Number.isInteger(microBatches) && scheduled && (replicas * context) % (shardGroup ?? 1) === 0;
}
