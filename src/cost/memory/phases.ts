import { buckets, foreachTemporaries, frameworks } from '../../facts/frameworks.ts';
import { backwardBytes } from '../../facts/memory.ts';
import { optimizers } from '../../facts/optimizers.ts';
import { bytesOf } from '../../facts/precisions.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { divides, isSharded, localElements, replicas, type Stage, trainedElements } from '../placement.ts';
import { isAutocast } from './activations.ts';
import { type EncoderMemory, encoderMemory } from './encoders.ts';
import type { HeldStage } from './held.ts';
import { gradientsThere, type LayerFigures, type LayerMemory, layerMemory } from './layer.ts';
import { lossBytes, savedByPrediction } from './loss.ts';
import { type Phase, type Throughout, throughoutOf } from './phase.ts';
import { savedByStage } from './recompute.ts';
import { type States, statesOf } from './states.ts';
import type { Unsharded } from './unsharded.ts';

/** What all phases of a stage are made of; bytes. */
type Step = {
  readonly operations: Operations;
  readonly run: TrainingRun;
  readonly stage: Stage;
  readonly states: States;
  /** by kind of layer */
  readonly layers: ReadonlyMap<number, LayerMemory>;
  readonly encoders: EncoderMemory;
  /** saved by all layers of the stage, and by encoders, when the forward pass ends */
  readonly activations: number;
  readonly unsharded: Unsharded;
  readonly casts: Casts;
  readonly throughout: Throughout;
  readonly gradientsThere: boolean;
};

/**
 * The phases of a step in which memory can peak on one pipeline stage: the loss, the backward pass of each layer (with
 * recompute: while it is run again), the reduction of its gradients, the table's gradient, and the optimizer step.
 */
export function phasesOf(
  operations: Operations,
  run: TrainingRun,
  held: HeldStage,
  figures: LayerFigures = layerMemory,
): readonly Phase[] {
  const step = stepOf(operations, run, held, figures);
  return [
    ...lossPhases(step),
    ...backwardPhases(step),
    ...encoderPhases(step),
    embeddingPhase(step),
    optimizerPhase(step),
  ];
}

function stepOf(operations: Operations, run: TrainingRun, held: HeldStage, figures: LayerFigures): Step {
  const { stage, states, unsharded } = held;
  const layers = new Map(
    stage.layers.map(({ kind }) => [kind, figures(operations.layers[kind]?.operations ?? [], run, stage)]),
  );
  const encoders = encoderMemory(operations, run, stage, figures);
  return {
    operations,
    run,
    stage,
    states,
    layers,
    encoders,
    activations:
      savedByStage(layers, run, stage) +
      (stage.head ? savedByPrediction(operations, run) : 0) +
      stage.inFlight * encoders.saved,
    unsharded,
    casts: castsOf(operations, run, stage),
    throughout: throughoutOf([
      ['weights', 'weights', states.weights],
      ['weights', 'quantized_weights', states.copies],
      ['optimizer_states', 'optimizer_states', states.optimizer],
      ['temporary', 'weight_gradient_buffers', held.dummies],
      ['temporary', 'gathered_parameters', unsharded.throughout],
      ['gradients', 'gradient_buckets', copiesInBuckets(run) ? states.gradients : 0],
      ...held.roles,
    ]),
    gradientsThere: gradientsThere(run),
  };
}

/** Plain data parallelism reduces gradients in buckets that are copies of them (`gradient_as_bucket_view: false`). */
const copiesInBuckets = (run: TrainingRun): boolean =>
  !frameworks[run.framework].masterWeights && !divides(run, 'optimizer') && replicas(run) > 1;

/** The loss, forward and backward; on a stage without it, the end of the forward pass. */
function lossPhases(step: Step): readonly Phase[] {
  const { operations, run, stage, states, activations, unsharded, casts, throughout, gradientsThere } = step;
  const { forward, backward } = stage.head ? lossBytes(operations, run) : { forward: 0, backward: 0 };
  const phase = (loss: number, cast: number): Phase => ({
    at: stage.head ? 'loss' : 'forward',
    throughout,
    own: [
      ['gradients', 'gradients', gradientsThere ? states.gradients : 0],
      ['activations', 'activations', activations],
      ['temporary', 'gathered_parameters', unsharded.atLoss],
      ['temporary', 'autocast_weights', cast],
      ['temporary', 'loss', loss],
    ],
  });
  return [phase(forward, casts.forward), phase(backward, casts.loss)];
}

/** Layer by layer from the last: activations are freed, gradients are added. */
function backwardPhases(step: Step): readonly Phase[] {
  const { operations, run, stage, layers, gradientsThere } = step;
  const left = new Map(
    gradientsThere
      ? []
      : stage.layers.map(({ kind }) => [
          kind,
          statesOf(operations.layers[kind]?.operations ?? [], run, stage).gradients,
        ]),
  );
  const phases: Phase[] = [];
  let activations = step.activations;
  let gradients = gradientsBefore(step);
  for (let index = stage.order.length - 1; index >= 0; index--) {
    const kind = stage.order[index] ?? 0;
    const layer = layers.get(kind);
    if (layer === undefined) continue;
    const after = Math.max(0, activations - layer.saved);
    if (isEndOfLikeLayers(stage.order, index))
      phases.push(...layerPhases(step, layer, index, activations, after, gradients));
    activations = after;
    gradients += left.get(kind) ?? 0;
  }
  return phases;
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
function layerPhases(
  { unsharded, throughout, casts }: Step,
  { work, unreduced }: LayerMemory,
  index: number,
  before: number,
  left: number,
  gradients: number,
): readonly [backward: Phase, reduction: Phase] {
  const cast = casts.inBackward(index);
  const phase = (activations: number, parameters: number, bytes: number): Phase => ({
    at: 'backward',
    throughout,
    own: [
      ['gradients', 'gradients', gradients],
      ['activations', 'activations', activations],
      ['temporary', 'gathered_parameters', parameters],
      ['temporary', 'gather_buffer', unsharded.prefetch(index)],
      ['temporary', 'autocast_weights', cast],
      ['temporary', 'layer_backward', bytes],
    ],
  });
  return [phase(before, unsharded.inBackward(index), work), phase(left, unsharded.inReduction(index), unreduced)];
}

/** Encoders are the last to be gone through: one layer at work, with all that they saved and all gradients. */
function encoderPhases({ states, encoders, throughout }: Step): readonly Phase[] {
  if (encoders.saved === 0) return [];
  return [
    {
      at: 'backward',
      throughout,
      own: [
        ['gradients', 'gradients', states.gradients],
        ['activations', 'activations', encoders.saved],
        ['temporary', 'layer_backward', encoders.work],
      ],
    },
  ];
}

/** The gradient of the embedding table is dense: all rows in 16 bits, and once more in fp32 where it is reduced into shards. */
function embeddingPhase({ operations, run, stage, states, throughout }: Step): Phase {
  const table = stage.embedding && run.lora === undefined && !frameworks[run.framework].gradientsStay;
  const elements = table ? operations.embedding.reduce((sum, one) => sum + localElements(one, run, stage), 0) : 0;
  return {
    at: 'backward',
    throughout,
    own: [
      ['gradients', 'gradients', states.gradients],
      ['temporary', 'layer_backward', isSharded(run, 'gradients') ? backwardBytes.table * elements : 0],
    ],
  };
}

function optimizerPhase({ run, states, throughout }: Step): Phase {
  const lists = temporaryLists(run) * temporaryList(run, states);
  const workspace = optimizers[run.optimizer].workspace * states.largest;
  const phase = (gradients: number, temporaries: number): Phase => ({
    at: 'optimizer',
    throughout,
    own: [
      ['gradients', 'gradients', gradients],
      ['temporary', 'optimizer_step', temporaries],
    ],
  });
  if (!flattens(run)) return phase(states.gradients, lists + fp32Gradients(run, states) + workspace);
  const { steppedGradients: slices, stepped } = states;
  const flat = slices + (slices < 4 * stepped ? 4 * stepped : 0);
  return slices + flat > lists + workspace ? phase(slices, flat) : phase(0, lists + workspace);
}

/**
 * ZeRO 1 and 2 (DeepSpeed 1b88ac3, stage_1_and_2.py, `step`): gradients of other partitions are freed; those of this one are made one
 * tensor, which is cast to fp32 while both still stand, and all but the cast is freed before the optimizer steps.
 */
const flattens = (run: TrainingRun): boolean =>
  frameworks[run.framework].flattensGradients &&
  divides(run, 'optimizer') &&
  !divides(run, 'weights') &&
  run.offload !== 'optimizer' &&
  run.offload !== 'parameters';

/** Lists of temporaries of the optimizer step: the framework's, and those of PyTorch's Adam where it goes list by list. */
export function temporaryLists(run: TrainingRun): number {
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
 */
type Casts = {
  readonly forward: number;
  readonly loss: number;
  /** while the layer at an index of the stage's order is in its backward pass */
  readonly inBackward: (index: number) => number;
};

const noCasts: Casts = { forward: 0, loss: 0, inBackward: () => 0 };

function castsOf(operations: Operations, run: TrainingRun, stage: Stage): Casts {
  // The partitioner of torch.compile casts again what is cheap to cast.
  if (!isAutocast(run) || run.compile) return noCasts;
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
  return {
    // The cast of a frozen weight is not cached, so that only what autograd saves stays.
    forward: recomputed && run.lora !== undefined ? head : towers + sum(stage.order) + head,
    loss: head + (recomputed ? 0 : towers + sum(stage.order)),
    inBackward: (index) => (recomputed ? 0 : towers) + sum(stage.order.slice(recomputed ? index : 0, index + 1)),
  };
}

/** Bytes of 16-bit copies of encoders, nearly all of which is in matrices: autocast keeps those of weights that are trained. */
const castTowers = ({ towers }: Operations, run: TrainingRun, stage: Stage): number =>
  stage.embedding ? 2 * towers.reduce((sum, one) => sum + trainedElements(one, run, stage), 0) : 0;
