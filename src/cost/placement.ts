import { frameworks } from '../facts/frameworks.ts';
import type { Operation, Operations } from '../model/operation.ts';
import { sequencesAtOnce, type TrainingRun } from '../model/run.ts';
import { isFrozen } from './count/frozen.ts';
import { adapterElements } from './count/lora.ts';
import { parametersOf } from './count/weights.ts';

/** The layers of one pipeline stage: of one rank, all its virtual stages together. */
export type Stage = {
  readonly index: number;
  /** How many layers of each kind. */
  readonly layers: readonly { readonly kind: number; readonly count: number }[];
  /** The kind of each layer, in the order in which a token meets them. */
  readonly order: readonly number[];
  readonly embedding: boolean;
  readonly head: boolean;
  /** Micro-batches (of the whole stage) whose activations are alive at the peak. */
  readonly inFlight: number;
};

/**
 * Layers divided over stages: as stated, else evenly, the remainder on the first stages. With v virtual stages, stage i of P
 * holds the chunks i, i + P, i + 2P, ... of the model (Narayanan et al. 2021, arXiv:2104.04473, 2.2).
 */
export function stages(operations: Operations, run: TrainingRun): readonly Stage[] {
  const { pipeline: P } = run.parallelism;
  const chunks = chunksOf(operations.order, run);
  return Array.from({ length: P }, (_, index) => {
    const own = chunks.filter((_chunk, chunk) => chunk % P === index).flat();
    return {
      index,
      layers: countKinds(own),
      order: own,
      embedding: index === 0,
      head: index === P - 1,
      inFlight: inFlight(run, index),
    };
  });
}

/** Consecutive layers that run together, P of them for each virtual stage. */
function chunksOf(order: readonly number[], run: TrainingRun): readonly (readonly number[])[] {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  const stated = run.layersPerStage?.length === P ? run.layersPerStage : undefined;
  const count = stated === undefined && order.length % (P * v) === 0 ? P * v : P;
  const sizes =
    stated ??
    Array.from(
      { length: count },
      (_, chunk) => Math.floor(order.length / count) + Number(chunk < order.length % count),
    );
  let first = 0;
  return sizes.map((size) => {
    first += size;
    return order.slice(first - size, first);
  });
}

function countKinds(order: readonly number[]): Stage['layers'] {
  const counts = new Map<number, number>();
  for (const kind of order) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([kind, count]) => ({ kind, count }));
}

/**
 * What one rank holds: its stage, with DualPipe also the stage at the other end of the pipeline, which its other direction
 * runs (DeepSeek-V3, arXiv:2412.19437, table 2: twice the parameters, P + 1 activations of one stage).
 */
export function heldByRanks(operations: Operations, run: TrainingRun): readonly Stage[] {
  const own = stages(operations, run);
  if (run.pipelineSchedule !== 'dualpipe' || own.length === 1) return own;
  return own.map((stage, index) => {
    const other = own.at(-1 - index) ?? stage;
    const order = [...stage.order, ...other.order];
    return {
      ...stage,
      order,
      layers: countKinds(order),
      embedding: stage.embedding || other.embedding,
      head: stage.head || other.head,
      inFlight: aliveOnRank(run, index),
    };
  });
}

/** Micro-batches of all that a rank holds that are alive at the peak: with DualPipe each is of one of its two stages. */
export const aliveOnRank = (run: TrainingRun, index: number): number =>
  run.pipelineSchedule === 'dualpipe' && run.parallelism.pipeline > 1 ? inFlight(run, index) / 2 : inFlight(run, index);

/** What the run trains of a model: all of it, or without the layers that predict further tokens. */
export const trainedOperations = (model: Operations, run: TrainingRun): Operations =>
  run.mtp === false && model.predictionDepth > 0 ? { ...model, prediction: [], predictionDepth: 0 } : model;

/** Model replicas: groups of GPUs that see different sequences. */
export function replicas(run: TrainingRun): number {
  const { tensor, pipeline, context } = run.parallelism;
  return run.gpus / (tensor * pipeline * context);
}

/** GPUs that would hold the same weights: replicas, and the ranks of context parallelism within each. */
export const dataParallel = (run: TrainingRun): number => replicas(run) * run.parallelism.context;

/** What data parallelism can divide instead of holding it on each GPU. */
export type State = 'optimizer' | 'gradients' | 'weights';

/** ZeRO stages 0 to 3: each divides what the one before does, and more (Rajbhandari et al. 2020, arXiv:1910.02054). */
const divided: Readonly<Record<TrainingRun['sharding'], readonly State[]>> = {
  none: [],
  optimizer: ['optimizer'],
  gradients: ['optimizer', 'gradients'],
  full: ['optimizer', 'gradients', 'weights'],
};

/** Whether the run's sharding divides a state, over however many GPUs. */
export const divides = (run: TrainingRun, state: State): boolean => divided[run.sharding].includes(state);

/**
 * Whether a state is in fact divided: the sharding says so and there is more than one GPU to divide it over. FSDP2 does all that it
 * does with one rank too (scripts/gpu/measure.py).
 */
export const isSharded = (run: TrainingRun, state: State): boolean =>
  divides(run, state) && (dataParallel(run) > 1 || frameworks[run.framework].gathers === 'fully_shard');

/** Weights that are divided over the same GPUs: those of experts, and all else. */
export type Group = 'experts' | 'dense';

/** Whether an operation is divided as experts are or as everything else is. */
export const groupOf = (operation: Operation): Group =>
  operation.kind === 'linear' && operation.sharding === 'expert' ? 'experts' : 'dense';

/** GPUs over which a state is divided; 1 where each holds it whole. Experts: those that hold the same ones. */
export function shards(weights: Group, run: TrainingRun, state: State): number {
  if (!divides(run, state)) return 1;
  const { pipeline, expert, expertTensor } = run.parallelism;
  const all = dataParallel(run);
  const group = Math.min(run.shardGroup ?? all, all);
  if (weights === 'dense') return group;
  const same = Math.max(1, run.gpus / (pipeline * expert * expertTensor));
  return run.shardGroup === undefined ? same : Math.max(1, Math.min(same, (same * group) / all));
}

/** Tokens of one micro-batch that a GPU holds, by the region that a tensor lives in (`Tensor.region`). */
export type Tokens = {
  /** that enter a tensor-parallel region */
  readonly tensor: number;
  /** of the residual stream: divided by sequence parallelism */
  readonly residual: number;
  /** whose rows are sent to the experts of this GPU, for each of a token's k choices */
  readonly routed: number;
};

/** Tokens of one micro-batch on one GPU, by region. */
export function tokensOf(run: TrainingRun): Tokens {
  const { tensor, context, sequenceParallel } = run.parallelism;
  const entering = (sequencesAtOnce(run) * run.sequenceLength) / context;
  const residual = sequenceParallel ? entering / tensor : entering;
  return { tensor: entering, residual, routed: residual * (run.capacityFactor ?? run.expertImbalance) };
}

/** Micro-batches of one optimizer step. */
export function microBatches(run: TrainingRun): number {
  return Math.max(1, Math.round(run.globalBatchSize / (replicas(run) * run.microBatchSize)));
}

/**
 * Micro-batches alive on stage i of P at the peak, m in all: GPipe m; 1F1B min(P - i, m) (Narayanan et al. 2021,
 * arXiv:2104.04473, 2.2); interleaved with v chunks (2(P - i - 1) + (v - 1)P + 1) / v; zero bubble as 1F1B (H1, Qi et al.
 * 2024, arXiv:2401.10241); DualPipe P + 1 (DeepSeek-V3, arXiv:2412.19437, table 2).
 */
function inFlight(run: TrainingRun, i: number): number {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  const m = microBatches(run);
  if (P === 1) return 1;
  const schedule = run.pipelineSchedule ?? (v > 1 ? 'interleaved' : '1f1b');
  switch (schedule) {
    case 'gpipe':
      return m;
    case '1f1b':
    case 'zero_bubble':
      return Math.min(P - i, m);
    case 'interleaved':
      return Math.min((2 * (P - i - 1) + (v - 1) * P + 1) / v, m);
    case 'dualpipe':
      return Math.min(P + 1, m);
  }
}

/** What a stage holds in front of its layers: encoders and the embedding, on the first one. */
export const firstOperations = ({ towers, embedding }: Operations, stage: Stage): readonly Operation[] =>
  stage.embedding ? [...towers, ...embedding] : [];

/** The operations of a stage with how often each stands there. */
export function* stageOperations(
  operations: Operations,
  stage: Stage,
): Generator<{ readonly operation: Operation; readonly times: number }> {
  for (const operation of firstOperations(operations, stage)) yield { operation, times: 1 };
  for (const { kind, count } of stage.layers) {
    for (const operation of operations.layers[kind]?.operations ?? []) yield { operation, times: count };
  }
  if (stage.head) {
    for (const operation of operations.head) yield { operation, times: 1 };
    for (const operation of operations.prediction) yield { operation, times: 1 };
  }
}

/**
 * Elements of an operation on one GPU: experts are divided by expert parallelism, matrices by tensor parallelism, the rest is
 * on every GPU. A tied output on its own stage is a copy of the table.
 */
export function localElements(operation: Operation, run: TrainingRun, stage: Pick<Stage, 'embedding'>): number {
  const copied = operation.kind === 'linear' && operation.tied && operation.component === 'output' && !stage.embedding;
  const elements = copied ? operation.rows * operation.columns : parametersOf(operation);
  return elements / partsOf(operation, run);
}

/** GPUs that hold a part of an operation's elements each, within one replica of its stage. */
function partsOf(operation: Operation, { parallelism: { tensor, expert, expertTensor } }: TrainingRun): number {
  if (operation.kind === 'table') return tensor;
  if (operation.kind !== 'linear' || operation.sharding === 'replicated') return 1;
  return operation.sharding === 'expert' ? expert * expertTensor : tensor;
}

/**
 * Elements that are trained on one GPU: the operation's own, unless it is frozen; with adapters those of its adapter, divided as its
 * matrix is (each expert has an adapter of its own, which is where the expert is).
 */
export function trainedElements(operation: Operation, run: TrainingRun, stage: Pick<Stage, 'embedding'>): number {
  if (run.lora === undefined) return isFrozen(operation, run) ? 0 : localElements(operation, run, stage);
  const copies = operation.kind === 'linear' ? operation.copies : 1;
  return (adapterElements(operation, run.lora) * copies) / partsOf(operation, run);
}
