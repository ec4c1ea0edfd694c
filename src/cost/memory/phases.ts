import { buckets, frameworks } from '../../facts/frameworks.ts';
import { optimizers } from '../../facts/optimizers.ts';
import { bytesOf } from '../../facts/precisions.ts';
import type { MemoryComponent, MemoryEstimate } from '../../model/estimate.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { divides, isSharded, localElements, microBatches, replicas, type Stage } from '../placement.ts';
import { isAutocast } from './activations.ts';
import { backwardPeak, type Fresh } from './backward.ts';
import { keptByPrediction, lossBytes } from './loss.ts';
import { dummyGradients } from './overhead.ts';
import { type Kept, keptByLayer, keptByStage, unitOf } from './recompute.ts';
import { type States, statesOf, statesOfStage } from './states.ts';
import { type Gathered, gatheredOf } from './unsharded.ts';

/** Some bytes at one moment: the component that they count to, and what they are. */
export type Share = readonly [component: MemoryComponent, part: string, bytes: number];

/** What is alive on a GPU at one moment of a training step. */
export type Moment = { readonly at: MemoryEstimate['moment']; readonly shares: readonly Share[] };

export const totalOf = ({ shares }: Moment): number => shares.reduce((sum, [, , bytes]) => sum + bytes, 0);

/** What all moments of a stage are made of. */
type Scene = {
  readonly operations: Operations;
  readonly run: TrainingRun;
  readonly stage: Stage;
  readonly states: States;
  readonly kept: ReadonlyMap<number, Kept>;
  readonly activations: number;
  readonly gathered: Gathered;
  /** alive at every moment */
  readonly always: readonly Share[];
  /** gradients are there from a micro-batch before, or all the time */
  readonly gradientsThere: boolean;
};

/**
 * The moments of a step at which memory can peak on one pipeline stage: the loss, the backward pass of each layer (with
 * recompute: while it is run again), the reduction of its gradients, the table's gradient, and the optimizer step.
 */
export function* momentsOf(operations: Operations, run: TrainingRun, stage: Stage): Generator<Moment> {
  const scene = sceneOf(operations, run, stage);
  yield* atLoss(scene);
  yield* inBackward(scene);
  yield atEmbedding(scene);
  yield atOptimizer(scene);
}

function sceneOf(operations: Operations, run: TrainingRun, stage: Stage): Scene {
  const facts = frameworks[run.framework];
  const states = statesOfStage(operations, run, stage);
  const layers = stage.order.length;
  const kept = new Map(
    stage.layers.map(({ kind }) => [kind, keptByLayer(operations.layers[kind]?.operations ?? [], run, layers)]),
  );
  const gathered = gatheredOf(operations, run, stage);
  return {
    operations,
    run,
    stage,
    states,
    kept,
    activations: keptByStage(kept, run, stage) + (stage.head ? keptByPrediction(operations, run) : 0),
    gathered,
    always: [
      ['weights', 'weights', states.weights],
      ['weights', 'quantized_weights', states.copies],
      ['optimizer_states', 'optimizer_states', states.optimizer],
      ['temporary', 'weight_gradient_buffers', dummyGradients(operations, run, stage)],
      ['temporary', 'gathered_parameters', gathered.always],
      ['gradients', 'gradient_buckets', copiesInBuckets(run) ? states.gradients : 0],
    ],
    gradientsThere: facts.gradientsStay || microBatches(run) > 1,
  };
}

/** Plain data parallelism reduces gradients in buckets that are no view of them (`gradient_as_bucket_view: false`). */
const copiesInBuckets = (run: TrainingRun): boolean =>
  !frameworks[run.framework].masterWeights && !divides(run, 'optimizer') && replicas(run) > 1;

/** The loss, forward and backward; on a stage without it, the end of the forward pass. */
function* atLoss(scene: Scene): Generator<Moment> {
  const { operations, run, stage, states, activations, gathered, always, gradientsThere } = scene;
  const { forward, backward } = stage.head ? lossBytes(operations, run) : { forward: 0, backward: 0 };
  const shares = (bytes: number, casts: number): readonly Share[] => [
    ...always,
    ['gradients', 'gradients', gradientsThere ? states.gradients : 0],
    ['activations', 'activations', activations],
    ['temporary', 'gathered_parameters', gathered.atLoss],
    ['temporary', 'autocast_weights', casts],
    ['temporary', 'loss', bytes],
  ];
  const at = stage.head ? 'loss' : 'forward';
  yield { at, shares: shares(forward, castWeights(scene, 'forward')) };
  yield { at, shares: shares(backward, castWeights(scene, 'loss')) };
}

/** Layer by layer from the last: activations go, gradients come. */
function* inBackward(scene: Scene): Generator<Moment> {
  const { operations, run, stage, kept, gathered, always } = scene;
  const byKind = new Map(stage.layers.map(({ kind }) => [kind, layerOf(scene, kind)]));
  let activations = scene.activations;
  let gradients = scene.gradientsThere
    ? scene.states.gradients
    : stage.head
      ? statesOf(operations.head, run, stage).gradients
      : 0;
  for (let index = stage.order.length - 1; index >= 0; index--) {
    const kind = stage.order[index] ?? 0;
    const layer = byKind.get(kind);
    const own = kept.get(kind);
    if (layer === undefined || own === undefined) continue;
    // Within a run of like layers activations and gradients change evenly, so its ends are the extremes.
    const within = [-2, -1, 1, 2].every((offset) => stage.order[index + offset] === kind);
    if (within) {
      activations = Math.max(0, activations - own.kept);
      if (!scene.gradientsThere) gradients += layer.gradients;
      continue;
    }
    const shares = (more: number, now: number, whole: number): readonly Share[] => [
      ...always,
      ['gradients', 'gradients', gradients],
      ['activations', 'activations', now],
      ['temporary', 'gathered_parameters', whole],
      ['temporary', 'gather_buffer', gathered.ahead(index)],
      ['temporary', 'autocast_weights', castWeights(scene, index)],
      ['temporary', 'layer_backward', more],
    ];
    yield { at: 'backward', shares: shares(layer.more, activations, gathered.inLayer(index)) };
    activations = Math.max(0, activations - own.kept);
    yield { at: 'backward', shares: shares(layer.fresh, activations, gathered.atReduction(index)) };
    if (!scene.gradientsThere) gradients += layer.gradients;
  }
}

/** One kind of layer: what its backward pass adds to what it keeps, and the gradients that it leaves. */
function layerOf(scene: Scene, kind: number) {
  const { operations, run, stage, kept } = scene;
  const list = operations.layers[kind]?.operations ?? [];
  const { kept: own, whole, besides } = kept.get(kind) ?? { kept: 0, whole: 0, besides: 0 };
  const peak = backwardPeak(list, run, (operation) => freshGradient(operation, scene));
  const others = whole - whole / unitOf(run);
  const { gradients } = statesOf(list, run, stage);
  const sharded = frameworks[run.framework].gathers !== 'fully_shard' && isSharded(run, 'gradients');
  const fresh = sharded ? list.reduce((sum, operation) => sum + freshGradient(operation, scene).after, 0) : 0;
  return { more: Math.max(0, besides + peak + others - own), gradients, fresh };
}

/**
 * The gradient of a weight before it is where the states count it: added inside of the product (Megatron), in 16 bits until it
 * is reduced into shards, cast to fp32 after the product (autocast), added to that of a micro-batch before, or simply there.
 */
function freshGradient(operation: Operation, { run, stage, gradientsThere }: Scene): Fresh {
  if (frameworks[run.framework].gradientsStay || run.lora !== undefined) return { making: 0, after: 0 };
  const elements = localElements(operation, run, stage);
  const bytes = (run.precision === 'fp32' ? 4 : 2) * elements;
  if (isSharded(run, 'gradients')) return { making: bytes, after: bytes };
  const cast = isAutocast(run) ? 4 * elements : 0;
  const stays = cast > 0 ? cast : bytes;
  return { making: bytes + cast, after: gradientsThere ? 0 : stays };
}

/** The table's gradient is dense: whole, and once more where it is reduced into shards. */
function atEmbedding({ operations, run, stage, states, always }: Scene): Moment {
  const table = stage.embedding && run.lora === undefined && !frameworks[run.framework].gradientsStay;
  const elements = table ? operations.embedding.reduce((sum, one) => sum + localElements(one, run, stage), 0) : 0;
  return {
    at: 'backward',
    shares: [
      ...always,
      ['gradients', 'gradients', states.gradients],
      ['temporary', 'layer_backward', isSharded(run, 'gradients') ? (2 + 4) * elements : 0],
    ],
  };
}

function atOptimizer({ run, states, always }: Scene): Moment {
  const { optimizerTemporaries } = frameworks[run.framework];
  const { workspace } = optimizers[run.optimizer];
  const list = temporaryList(run, states);
  return {
    at: 'optimizer',
    shares: [
      ...always,
      ['gradients', 'gradients', states.gradients],
      [
        'temporary',
        'optimizer_step',
        optimizerTemporaries * list + castGradients(run, states) + workspace * 2 * states.largest,
      ],
    ],
  };
}

/** A list of temporaries of the step: of the weights' dtype, in fp32 where the step has its own; ZeRO 3 goes by groups. */
function temporaryList(run: TrainingRun, { stepped }: States): number {
  if (frameworks[run.framework].masterWeights)
    return 4 * (divides(run, 'weights') ? Math.min(stepped, buckets.subgroup) : stepped);
  return stepped * (run.weightsDtype === undefined ? 4 : bytesOf[run.weightsDtype]);
}

/**
 * Megatron's optimizer casts 16-bit main gradients to fp32, unless it is precision-aware: then its moments are 16-bit too
 * (Megatron-LM d98e8a6, core/optimizer/distrib_optimizer.py, `_copy_model_grads_to_main_grads`).
 */
function castGradients(run: TrainingRun, { stepped }: States): number {
  const narrow = run.gradientsDtype !== undefined && bytesOf[run.gradientsDtype] < 4;
  const aware = run.optimizerDtype !== undefined && bytesOf[run.optimizerDtype] < 4;
  return frameworks[run.framework].castsNarrowGradients && narrow && !aware ? 4 * stepped : 0;
}

/**
 * Under autocast, 16-bit copies of weights: of all to the end of the forward pass, then of those whose backward pass still
 * reads them (with recompute, those of the layer at work).
 */
function castWeights({ operations, run, stage }: Scene, moment: 'forward' | 'loss' | number): number {
  if (!isAutocast(run)) return 0;
  const of = (list: readonly Operation[]) =>
    list.reduce((sum, one) => sum + (one.kind === 'linear' ? 2 * localElements(one, run, stage) : 0), 0);
  const byKind = operations.layers.map(({ operations: list }) => of(list));
  const sum = (order: readonly number[]) => order.reduce((all, kind) => all + (byKind[kind] ?? 0), 0);
  const head = stage.head ? of(operations.head) : 0;
  const recomputed = run.recompute === 'full';
  if (moment === 'forward') return sum(stage.order) + head;
  if (moment === 'loss') return head + (recomputed ? 0 : sum(stage.order));
  return sum(stage.order.slice(recomputed ? moment : 0, moment + 1));
}
