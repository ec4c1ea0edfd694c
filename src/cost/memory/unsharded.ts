import { buckets, frameworks } from '../../facts/frameworks.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { baseBytes } from '../count/lora.ts';
import { outputProjection } from '../count/weights.ts';
import { dataParallel, divides, firstOperations, localElements, type Stage, trainedElements } from '../placement.ts';

/**
 * Bytes of unsharded parameters, which are gathered for as long as a layer needs them, and of the buffers that gradients are reduced
 * from; by phase of the step.
 */
export type Unsharded = {
  /** in every phase */
  readonly throughout: number;
  readonly atLoss: number;
  /** while layer i of the stage's order is in its backward pass */
  readonly inBackward: (index: number) => number;
  /** while layer i's gradients are reduced, its activations freed */
  readonly inReduction: (index: number) => number;
  /** the flat buffer into which the layer before layer i is prefetched, on a stream of its own */
  readonly prefetch: (index: number) => number;
  /** the most that such buffers hold in any phase */
  readonly buffers: number;
};

const none: Unsharded = {
  throughout: 0,
  atLoss: 0,
  inBackward: () => 0,
  inReduction: () => 0,
  prefetch: () => 0,
  buffers: 0,
};

/** Bytes that one GPU of a stage holds unsharded for a while, as the framework gathers weights; none where nothing is divided. */
export function unshardedOf(operations: Operations, run: TrainingRun, stage: Stage): Unsharded {
  const { gathers } = frameworks[run.framework];
  if (dataParallel(run) <= 1 && gathers !== 'fully_shard') return none;
  if (gathers === 'zero') return deepspeed(operations, run, stage);
  if (!divides(run, 'weights')) return none;
  return gathers === 'fully_shard' ? fullyShard(operations, run, stage) : flat(operations, run, stage);
}

/** Elements of a list of operations on one GPU while unsharded. */
const elementsOf = (list: readonly Operation[], run: TrainingRun, stage: Stage): number =>
  list.reduce((sum, operation) => sum + localElements(operation, run, stage), 0);

const layersOf = (operations: Operations, run: TrainingRun, stage: Stage): readonly number[] => {
  const byKind = operations.layers.map(({ operations: list }) => elementsOf(list, run, stage));
  return stage.order.map((kind) => byKind[kind] ?? 0);
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/**
 * FSDP2 (torch 2.13.0, distributed/fsdp/_fully_shard) as torchtitan applies it: one group for the table, one for each layer,
 * one for norm and output, which is not freed after the forward pass. In the backward pass of a layer stand its own weights,
 * the flat buffer into which the next one is gathered, and the fp32 buffer from which the layer before is reduced. Checked
 * against PyTorch's own allocations (scripts/oracle/fsdp.py).
 */
function fullyShard(operations: Operations, run: TrainingRun, stage: Stage): Unsharded {
  const g = gatheredBytes(run);
  const r = 4;
  const layers = layersOf(operations, run, stage);
  const table = stage.embedding ? elementsOf(operations.embedding, run, stage) : 0;
  const head = stage.head ? Math.max(elementsOf(operations.head, run, stage), tiedElements(operations, run)) : 0;
  const last = layers.length - 1;
  const layer = (index: number) => layers[index] ?? 0;
  if (run.parallelism.pipeline > 1) {
    // Between the micro-batches of a pipeline nothing is freed, and gradients add up in fp32 before they are reduced.
    const towers = stage.embedding ? operations.towers : [];
    const trainedTowers = sum(towers.map((one) => trainedElements(one, run, stage)));
    const all = (g + r) * (sum(layers) + table + head) + g * elementsOf(towers, run, stage) + r * trainedTowers;
    return { ...none, throughout: all };
  }
  const trained = run.lora === undefined ? 1 : 0;
  const before = (index: number) => r * trained * (index === last ? head : layer(index + 1));
  const groups = [table, ...layers, head];
  const buffers = g * Math.max(...groups.map((elements, index) => elements + (groups[index + 1] ?? 0)));
  if (run.reshardAfterForward === false) {
    const upTo = (index: number) => g * (table + sum(layers.slice(0, index)));
    return {
      ...none,
      buffers,
      atLoss: upTo(layers.length) + g * head,
      inBackward: (index) => upTo(index + 1) + before(index),
      inReduction: (index) => upTo(index) + (g + r) * trained * layer(index),
    };
  }
  return {
    ...none,
    buffers,
    prefetch: (index) => g * (index === 0 ? table : layer(index - 1)),
    atLoss: g * head,
    inBackward: (index) => g * layer(index) + before(index),
    inReduction: (index) => (g + r) * trained * layer(index),
  };
}

/** Elements of a table that the output shares: it is gathered for both. */
function tiedElements(operations: Operations, run: TrainingRun): number {
  const output = outputProjection(operations);
  return output?.tied ? (output.rows * output.columns) / run.parallelism.tensor : 0;
}

/**
 * FSDP1 (accelerate): two layers gathered as flat tensors, and the root (table, norm, output), which stays. A layer's
 * gradient is whole until it is reduced.
 */
function flat(operations: Operations, run: TrainingRun, stage: Stage): Unsharded {
  const layers = layersOf(operations, run, stage);
  const root =
    (stage.embedding ? elementsOf(operations.embedding, run, stage) : 0) +
    (stage.head ? elementsOf(operations.head, run, stage) : 0);
  const each = gatheredBytes(run);
  const gathered = 2 * each * Math.max(0, ...layers) + Math.max(2, each) * root;
  return { ...none, atLoss: gathered, inBackward: () => gathered, inReduction: () => gathered };
}

/**
 * DeepSpeed: a bucket of gradients that are being reduced, twice where it overlaps; in stage 3 the weights that it keeps
 * gathered because they are needed again soon (deepspeed/runtime/zero: stage_1_and_2.py, stage3.py).
 */
function deepspeed(operations: Operations, run: TrainingRun, stage: Stage): Unsharded {
  if (!divides(run, 'gradients') || run.lora !== undefined) return none;
  const reduce = 2 * buckets.reduce;
  if (!divides(run, 'weights')) return { ...none, throughout: reduce };
  const whole =
    sum(layersOf(operations, run, stage)) +
    elementsOf(firstOperations(operations, stage), run, stage) +
    (stage.head ? elementsOf(operations.head, run, stage) : 0);
  const live = 2 * Math.min(whole, buckets.maxLive + buckets.prefetch);
  return { ...none, throughout: reduce, atLoss: live, inBackward: () => live, inReduction: () => live };
}

/** Bytes of an unsharded element: as it is quantised, else in the precision of the products. */
const gatheredBytes = (run: TrainingRun): number =>
  run.lora !== undefined && run.lora.baseBits < 16 ? baseBytes(run) : run.precision === 'fp32' ? 4 : 2;
