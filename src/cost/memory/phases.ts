import { buckets, foreachTemporaries, frameworks } from '../../facts/frameworks.ts';
import { backwardBytes } from '../../facts/memory.ts';
import { optimizers } from '../../facts/optimizers.ts';
import { bytesOf } from '../../facts/precisions.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import {
  divides,
  isSharded,
  localElements,
  microBatches,
  replicas,
  type Stage,
  trainedElements,
} from '../placement.ts';
import { isAutocast } from './activations.ts';
import { backwardPeak, type WeightGradient } from './backward.ts';
import { heldByRoles } from './colocated.ts';
import { lossBytes, savedByPrediction } from './loss.ts';
import { dummyGradients } from './overhead.ts';
import type { Allocation, Phase } from './phase.ts';
import { type LayerActivations, layerActivations, layersOfUnit, savedByStage } from './recompute.ts';
import { type States, statesOf, statesOfStage } from './states.ts';
import { type Unsharded, unshardedOf } from './unsharded.ts';

/** What all phases of a stage are made of; bytes. */
type Step = {
  readonly operations: Operations;
  readonly run: TrainingRun;
  readonly stage: Stage;
  readonly states: States;
  /** by kind of layer */
  readonly layers: ReadonlyMap<number, LayerActivations>;
  /** saved by all layers of the stage when the forward pass ends */
  readonly activations: number;
  readonly unsharded: Unsharded;
  /** allocated in every phase */
  readonly throughout: readonly Allocation[];
  /** Gradients of all weights are there before the backward pass: they stay allocated, or an earlier micro-batch left them. */
  readonly gradientsThere: boolean;
};

/**
 * The phases of a step in which memory can peak on one pipeline stage: the loss, the backward pass of each layer (with
 * recompute: while it is run again), the reduction of its gradients, the table's gradient, and the optimizer step.
 */
export function* phasesOf(operations: Operations, run: TrainingRun, stage: Stage): Generator<Phase> {
  const step = stepOf(operations, run, stage);
  yield* lossPhases(step);
  yield* backwardPhases(step);
  yield embeddingPhase(step);
  yield optimizerPhase(step);
}

function stepOf(operations: Operations, run: TrainingRun, stage: Stage): Step {
  const states = statesOfStage(operations, run, stage);
  const depth = stage.order.length;
  const layers = new Map(
    stage.layers.map(({ kind }) => [kind, layerActivations(operations.layers[kind]?.operations ?? [], run, depth)]),
  );
  const unsharded = unshardedOf(operations, run, stage);
  return {
    operations,
    run,
    stage,
    states,
    layers,
    activations: savedByStage(layers, run, stage) + (stage.head ? savedByPrediction(operations, run) : 0),
    unsharded,
    throughout: [
      ['weights', 'weights', states.weights],
      ['weights', 'quantized_weights', states.copies],
      ['optimizer_states', 'optimizer_states', states.optimizer],
      ['temporary', 'weight_gradient_buffers', dummyGradients(operations, run, stage)],
      ['temporary', 'gathered_parameters', unsharded.throughout],
      ['gradients', 'gradient_buckets', copiesInBuckets(run) ? states.gradients : 0],
      ...heldByRoles(operations, run, stage),
    ],
    gradientsThere: frameworks[run.framework].gradientsStay || microBatches(run) > 1,
  };
}

/** Plain data parallelism reduces gradients in buckets that are copies of them (`gradient_as_bucket_view: false`). */
const copiesInBuckets = (run: TrainingRun): boolean =>
  !frameworks[run.framework].masterWeights && !divides(run, 'optimizer') && replicas(run) > 1;

/** The loss, forward and backward; on a stage without it, the end of the forward pass. */
function* lossPhases(step: Step): Generator<Phase> {
  const { operations, run, stage, states, activations, unsharded, throughout, gradientsThere } = step;
  const { forward, backward } = stage.head ? lossBytes(operations, run) : { forward: 0, backward: 0 };
  const allocations = (loss: number, casts: number): readonly Allocation[] => [
    ...throughout,
    ['gradients', 'gradients', gradientsThere ? states.gradients : 0],
    ['activations', 'activations', activations],
    ['temporary', 'gathered_parameters', unsharded.atLoss],
    ['temporary', 'autocast_weights', casts],
    ['temporary', 'loss', loss],
  ];
  const at = stage.head ? 'loss' : 'forward';
  yield { at, allocations: allocations(forward, autocastWeights(step, 'forward')) };
  yield { at, allocations: allocations(backward, autocastWeights(step, 'loss')) };
}

/** Layer by layer from the last: activations are freed, gradients are added. */
function* backwardPhases(step: Step): Generator<Phase> {
  const { stage, layers, gradientsThere } = step;
  const byKind = new Map(stage.layers.map(({ kind }) => [kind, layerBackward(step, kind)]));
  let activations = step.activations;
  let gradients = gradientsBefore(step);
  for (let index = stage.order.length - 1; index >= 0; index--) {
    const kind = stage.order[index] ?? 0;
    const layer = byKind.get(kind);
    const own = layers.get(kind);
    if (layer === undefined || own === undefined) continue;
    const left = Math.max(0, activations - own.saved);
    if (isEndOfLikeLayers(stage.order, index)) yield* layerPhases(step, layer, index, activations, left, gradients);
    activations = left;
    if (!gradientsThere) gradients += layer.gradients;
  }
}

/** Bytes of gradients before the first layer's backward pass: all, or those that the loss left of the output matrix. */
function gradientsBefore({ operations, run, stage, states, gradientsThere }: Step): number {
  if (gradientsThere) return states.gradients;
  return stage.head ? statesOf(operations.head, run, stage).gradients : 0;
}

/** Within a run of like layers activations and gradients change evenly, so that its ends are the extremes. */
const isEndOfLikeLayers = (order: readonly number[], index: number): boolean =>
  ![-2, -1, 1, 2].every((offset) => order[index + offset] === order[index]);

/** The backward pass of the layer at an index of the stage's order, and the reduction of its gradients. */
function* layerPhases(
  step: Step,
  layer: LayerBackward,
  index: number,
  before: number,
  left: number,
  gradients: number,
): Generator<Phase> {
  const { unsharded, throughout } = step;
  const allocations = (activations: number, parameters: number, work: number): readonly Allocation[] => [
    ...throughout,
    ['gradients', 'gradients', gradients],
    ['activations', 'activations', activations],
    ['temporary', 'gathered_parameters', parameters],
    ['temporary', 'gather_buffer', unsharded.prefetch(index)],
    ['temporary', 'autocast_weights', autocastWeights(step, index)],
    ['temporary', 'layer_backward', work],
  ];
  yield { at: 'backward', allocations: allocations(before, unsharded.inBackward(index), layer.work) };
  yield { at: 'backward', allocations: allocations(left, unsharded.inReduction(index), layer.unreduced) };
}

/** What the backward pass of a layer adds, in bytes. */
type LayerBackward = {
  /** at its peak, to what the layer has saved */
  readonly work: number;
  /** gradients that it leaves, as the states count them */
  readonly gradients: number;
  /** whole gradients that wait for their reduction into shards */
  readonly unreduced: number;
};

function layerBackward(step: Step, kind: number): LayerBackward {
  const { operations, run, stage, layers } = step;
  const list = operations.layers[kind]?.operations ?? [];
  const { saved, read, inputOnly } = layers.get(kind) ?? { saved: 0, read: 0, inputOnly: 0 };
  const gradientOf = (operation: Operation) => weightGradient(operation, step);
  const peak = backwardPeak(list, run, gradientOf);
  // Layers of one unit are recomputed together, and the others wait with all that they read.
  const others = read - read / layersOfUnit(run);
  // FSDP2 reduces out of a buffer of its own, which the unsharded parameters count.
  const reduces = frameworks[run.framework].gathers !== 'fully_shard' && isSharded(run, 'gradients');
  return {
    work: Math.max(0, inputOnly + peak + others - saved),
    gradients: statesOf(list, run, stage).gradients,
    unreduced: reduces ? list.reduce((sum, operation) => sum + gradientOf(operation).after, 0) : 0,
  };
}

/**
 * The gradient of a weight before it is where the states count it: added inside of the product (Megatron), in 16 bits until it
 * is reduced into shards, cast to fp32 after the product (autocast), added to that of a micro-batch before, or simply there.
 */
function weightGradient(operation: Operation, { run, stage, gradientsThere }: Step): WeightGradient {
  if (frameworks[run.framework].gradientsStay || run.lora !== undefined) return { making: 0, after: 0 };
  const elements = localElements(operation, run, stage);
  const bytes = (run.precision === 'fp32' ? 4 : 2) * elements;
  if (isSharded(run, 'gradients')) return { making: bytes, after: bytes };
  const cast = isAutocast(run) ? 4 * elements : 0;
  const stays = cast > 0 ? cast : bytes;
  return { making: bytes + cast, after: gradientsThere ? 0 : stays };
}

/** The gradient of the embedding table is dense: all rows in 16 bits, and once more in fp32 where it is reduced into shards. */
function embeddingPhase({ operations, run, stage, states, throughout }: Step): Phase {
  const table = stage.embedding && run.lora === undefined && !frameworks[run.framework].gradientsStay;
  const elements = table ? operations.embedding.reduce((sum, one) => sum + localElements(one, run, stage), 0) : 0;
  return {
    at: 'backward',
    allocations: [
      ...throughout,
      ['gradients', 'gradients', states.gradients],
      ['temporary', 'layer_backward', isSharded(run, 'gradients') ? backwardBytes.table * elements : 0],
    ],
  };
}

function optimizerPhase({ run, states, throughout }: Step): Phase {
  const lists = temporaryLists(run) * temporaryList(run, states);
  const workspace = optimizers[run.optimizer].workspace * states.largest;
  return {
    at: 'optimizer',
    allocations: [
      ...throughout,
      ['gradients', 'gradients', states.gradients],
      ['temporary', 'optimizer_step', lists + fp32Gradients(run, states) + workspace],
    ],
  };
}

/** Lists of temporaries of the optimizer step: the framework's, and those of PyTorch's Adam where it goes list by list. */
function temporaryLists(run: TrainingRun): number {
  const { optimizerTemporaries, optimizerImplementation } = frameworks[run.framework];
  const adam = run.optimizer === 'adamw' || run.optimizer === 'adam';
  const foreach = (run.optimizerImplementation ?? optimizerImplementation) === 'foreach';
  return optimizerTemporaries + (adam && foreach ? foreachTemporaries.lists : 0);
}

/** Bytes of a list of temporaries of the step: in the weights' dtype, or in fp32 where the step has master weights; ZeRO 3 goes by groups. */
function temporaryList(run: TrainingRun, { stepped }: States): number {
  if (frameworks[run.framework].masterWeights)
    return 4 * (divides(run, 'weights') ? Math.min(stepped, buckets.subgroup) : stepped);
  return stepped * (run.weightsDtype === undefined ? 4 : bytesOf[run.weightsDtype]);
}

/** Bytes of 16-bit gradients cast to fp32 for the step, unless the optimizer is precision-aware: then its moments are 16-bit too. */
function fp32Gradients(run: TrainingRun, { stepped }: States): number {
  const narrow = run.gradientsDtype !== undefined && bytesOf[run.gradientsDtype] < 4;
  const aware = run.optimizerDtype !== undefined && bytesOf[run.optimizerDtype] < 4;
  return frameworks[run.framework].castsNarrowGradients && narrow && !aware ? 4 * stepped : 0;
}

/**
 * Under autocast, bytes of 16-bit copies of weights: of all to the end of the forward pass, then of those whose backward pass still
 * reads them (with recompute, those of the layer at work).
 *
 * @param at a phase, or the index of the layer whose backward pass runs
 */
function autocastWeights({ operations, run, stage }: Step, at: 'forward' | 'loss' | number): number {
  // The partitioner of torch.compile casts again what is cheap to cast.
  if (!isAutocast(run) || run.compile) return 0;
  const elements = (one: Operation) =>
    one.kind === 'linear' && one.tied
      ? (one.rows * one.columns) / run.parallelism.tensor
      : localElements(one, run, stage);
  const of = (list: readonly Operation[]) =>
    list.reduce((sum, one) => sum + (one.kind === 'linear' ? 2 * elements(one) : 0), 0);
  const byKind = operations.layers.map(({ operations: list }) => of(list));
  const sum = (order: readonly number[]) => order.reduce((all, kind) => all + (byKind[kind] ?? 0), 0);
  const head = stage.head ? of(operations.head) : 0;
  const recomputed = run.recompute === 'full';
  const towers = castTowers(operations, run, stage);
  // The cast of a frozen weight is not cached, so that only what autograd saves stays.
  if (at === 'forward') return recomputed && run.lora !== undefined ? head : towers + sum(stage.order) + head;
  if (at === 'loss') return head + (recomputed ? 0 : towers + sum(stage.order));
  return (recomputed ? 0 : towers) + sum(stage.order.slice(recomputed ? at : 0, at + 1));
}

/** Bytes of 16-bit copies of encoders, nearly all of which is in matrices: autocast keeps those of weights that are trained. */
const castTowers = ({ towers }: Operations, run: TrainingRun, stage: Stage): number =>
  stage.embedding ? 2 * towers.reduce((sum, one) => sum + trainedElements(one, run, stage), 0) : 0;
