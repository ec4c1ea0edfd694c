import type { Operation, Operations } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import { held } from './holdings.ts';

/** What one pipeline stage (one rank of it, all its virtual stages together) holds. */
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

/** Layers divided over stages: as stated, else evenly, the remainder on the first stages. */
export function stages(operations: Operations, run: TrainingRun): readonly Stage[] {
  const { pipeline: P } = run.parallelism;
  const L = operations.order.length;
  const counts =
    run.layersPerStage?.length === P
      ? run.layersPerStage
      : Array.from({ length: P }, (_, stage) => Math.floor(L / P) + Number(stage < L % P));
  let first = 0;
  return counts.map((count, index) => {
    const own = operations.order.slice(first, first + count);
    first += count;
    const layers = operations.layers
      .map((_, kind) => ({ kind, count: own.filter((one) => one === kind).length }))
      .filter((entry) => entry.count > 0);
    return {
      index,
      layers,
      order: own,
      embedding: index === 0,
      head: index === P - 1,
      inFlight: inFlight(run, index),
    };
  });
}

/** Model replicas: GPUs that see different sequences. */
export function replicas(run: TrainingRun): number {
  const { tensor, pipeline, context } = run.parallelism;
  return run.gpus / (tensor * pipeline * context);
}

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

/** The operations of a stage with how often each stands there. */
export function* stageOperations(
  operations: Operations,
  stage: Stage,
): Generator<{ readonly operation: Operation; readonly times: number }> {
  if (stage.embedding) for (const operation of operations.embedding) yield { operation, times: 1 };
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
export function localElements(operation: Operation, run: TrainingRun, stage: Stage): number {
  const { tensor, expert, expertTensor } = run.parallelism;
  if (operation.kind === 'linear') {
    if (operation.sharding === 'expert') return held(operation) / (expert * expertTensor);
    const copied = operation.tied && operation.component === 'output' && !stage.embedding;
    const elements = copied ? operation.rows * operation.columns : held(operation);
    return operation.sharding === 'replicated' ? elements : elements / tensor;
  }
  if (operation.kind === 'table') return held(operation) / tensor;
  return held(operation);
}
