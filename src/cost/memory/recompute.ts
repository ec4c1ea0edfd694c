import { frameworks } from '../../facts/frameworks.ts';
import { savedBytes } from '../../facts/memory.ts';
import type { Linear, Operation, Tensor } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { divides, type Stage, tokensOf } from '../placement.ts';
import { elementBytes, executionOf, type Saved, savedTensors, tensorBytes, total } from './activations.ts';

/** Activations of one layer and one micro-batch on one GPU, in bytes. */
export type LayerActivations = {
  /** saved between forward and backward pass under the run's recompute, as an average over the layers of a stage */
  readonly saved: number;
  /** what the backward pass reads: all that is saved without recompute */
  readonly read: number;
  /** of `saved`, what the backward pass does not read too: the layer's input, where recompute alone needs it */
  readonly inputOnly: number;
};

/**
 * @param layers of the stage, of which recompute by `block` and `every` takes some
 * @param all that the layer saves without any recompute
 */
export function layerActivations(
  list: readonly Operation[],
  run: TrainingRun,
  layers: number,
  all: readonly Saved[] = savedTensors(list, { ...run, recompute: 'none' }),
): LayerActivations {
  const onDevice = activationsOnDevice(list, run, layers, all);
  // Offloaded, a layer's activations come back for its own backward pass alone.
  return run.offload === 'activations' ? { ...onDevice, saved: 0 } : onDevice;
}

function activationsOnDevice(
  list: readonly Operation[],
  run: TrainingRun,
  layers: number,
  all: readonly Saved[],
): LayerActivations {
  switch (run.recompute) {
    case 'none': {
      const saved = total(all);
      return { saved, read: saved, inputOnly: 0 };
    }
    case 'selective':
      return { saved: selective(list, run, all), read: total(all), inputOnly: 0 };
    case 'full':
      return full(list, run, layers, all);
  }
}

const selective = (list: readonly Operation[], run: TrainingRun, all: readonly Saved[]): number =>
  frameworks[run.framework].selective === 'modules'
    ? total(savedTensors(list, run))
    : Math.min(total(all), everySecondProduct(list, run));

/** Full recompute saves the input of each unit of layers, and all of the layers that it leaves alone. */
function full(
  list: readonly Operation[],
  run: TrainingRun,
  layers: number,
  tensors: readonly Saved[],
): LayerActivations {
  const all = total(tensors);
  const input = inputBytes(list, run);
  const unit = layersOfUnit(run);
  const spared = unrecomputed(run, layers);
  return {
    saved: ((1 - spared) * input) / unit + spared * all,
    read: all * unit,
    inputOnly: savesInput(tensors) ? 0 : input,
  };
}

/** Layers that full recompute makes again at once: `uniform` in groups of n. */
export const layersOfUnit = (run: TrainingRun): number =>
  run.recompute === 'full' && (run.recomputeMethod ?? 'uniform') === 'uniform'
    ? Math.max(1, run.recomputeLayers ?? 1)
    : 1;

/** Share of the layers that full recompute leaves alone: `block` recomputes k of them, `every` each n-th. */
function unrecomputed(run: TrainingRun, layers: number): number {
  if (layers === 0) return 0;
  if (run.recomputeMethod === 'block') return Math.max(0, layers - (run.recomputeLayers ?? layers)) / layers;
  if (run.recomputeMethod === 'every') return 1 - 1 / Math.max(1, run.recomputeLayers ?? 1);
  return 0;
}

const savesInput = (saved: readonly Saved[]): boolean => saved.some(({ tensor }) => tensor?.stream === 'input');

/** Bytes of the residual stream where a layer reads it. */
export function inputBytes(list: readonly Operation[], run: TrainingRun): number {
  return streamBytes(run) * residualWidth(list) * tokensOf(run).residual;
}

/** Bytes of an element of the residual stream: fp32 under autocast, and where a framework autocasts sharded adapters. */
export function streamBytes(run: TrainingRun): number {
  const adapters = run.lora !== undefined && divides(run, 'weights') && run.gpus > 1;
  const widened = adapters && frameworks[run.framework].autocastsShardedAdapters;
  return widened || executionOf(run).autocast ? 4 : elementBytes(run);
}

/** D, as the layer's additions to the residual have it. */
export const residualWidth = (list: readonly Operation[]): number =>
  list.find((operation) => operation.kind === 'add')?.output.elements ?? 0;

/**
 * Bytes that torchtitan's selective recompute saves: the layer's input, every second matrix product, the attention kernel's output,
 * and what came through an exchange of experts (torchtitan b5bcd76, distributed/activation_checkpoint.py).
 */
function everySecondProduct(list: readonly Operation[], run: TrainingRun): number {
  const saved = new Map([
    ['the input of the layer', inputBytes(list, run)],
    ...savedProducts(list, run),
    ...list.flatMap((operation) => savedKernels(operation, run)),
  ]);
  return [...saved.values()].reduce((sum, bytes) => sum + bytes, 0);
}

type NamedBytes = readonly [tensor: string, bytes: number];

/** Every second product and all of experts; the router's are always made again. */
function savedProducts(list: readonly Operation[], run: TrainingRun): readonly NamedBytes[] {
  const tokens = tokensOf(run);
  const { tensor, sequenceParallel } = run.parallelism;
  const products = list.filter((one): one is Linear => one.kind === 'linear' && one.component !== 'router');
  return products.flatMap(({ output, copies, sharding }, index): readonly NamedBytes[] => {
    const bytes = tensorBytes(output, elementBytes(run), tokens, tensor);
    // A row-wise matrix gives whole partial sums, which are saved before and after they are reduced.
    const partial = sharding === 'row' && sequenceParallel ? tensor : 1;
    return [
      ...(index % 2 === 0 || copies > 1 ? [[output.name, partial * bytes] as const] : []),
      ...(partial > 1 ? [[`${output.name}, reduced`, bytes] as const] : []),
    ];
  });
}

/** Outputs of attention with its log-sum-exp, and rows that came from other ranks. */
function savedKernels(operation: Operation, run: TrainingRun): readonly NamedBytes[] {
  const tokens = tokensOf(run);
  const { tensor, expert } = run.parallelism;
  const named = ({ name, ...sized }: Tensor): NamedBytes => [
    name,
    tensorBytes(sized, elementBytes(run), tokens, tensor),
  ];
  if (operation.kind === 'dispatch') return expert > 1 ? [named(operation.output)] : [];
  if (operation.kind !== 'attention') return [];
  const logSumExp = (savedBytes.logSumExp * operation.heads * tokens.tensor) / tensor;
  return [named(operation.output), [`log-sum-exp of ${operation.path}`, logSumExp]];
}

/** Bytes that a stage saves for all micro-batches in flight, the indices that its embedding reads included. */
export function savedByStage(
  activations: ReadonlyMap<number, LayerActivations>,
  run: TrainingRun,
  stage: Stage,
): number {
  const layers = stage.layers.reduce((sum, { kind, count }) => sum + count * (activations.get(kind)?.saved ?? 0), 0);
  const indices = stage.embedding ? savedBytes.index * tokensOf(run).tensor : 0;
  return stage.inFlight * (layers + indices);
}
