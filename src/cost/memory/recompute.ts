import { frameworks } from '../../facts/frameworks.ts';
import type { Linear, Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { divides, type Stage, tokensOf } from '../placement.ts';
import { elementBytes, keepingOf, type Saved, savedTensors, tensorBytes, total } from './activations.ts';

/** What one layer of a micro-batch keeps from its forward pass to its backward pass, in bytes. */
export type Kept = {
  /** with the run's recompute, as an average over the layers of a stage */
  readonly kept: number;
  /** what its backward pass reads: all that is kept without recompute */
  readonly whole: number;
  /** bytes of `kept` that `whole` does not hold too: what recompute keeps besides */
  readonly besides: number;
};

/**
 * @param layers of the stage, over which `block` and `every` choose
 */
export function keptByLayer(list: readonly Operation[], run: TrainingRun, layers: number): Kept {
  const all = keptOnDevice(list, run, layers);
  // Offloaded, a layer's activations come back for its own backward pass alone.
  return run.offload === 'activations' ? { ...all, kept: 0 } : all;
}

function keptOnDevice(list: readonly Operation[], run: TrainingRun, layers: number): Kept {
  const saved = savedTensors(list, run);
  const whole = total(saved);
  switch (run.recompute) {
    case 'none':
      return { kept: whole, whole, besides: 0 };
    case 'selective': {
      if (frameworks[run.framework].selective === 'modules') {
        const all = total(savedTensors(list, { ...run, recompute: 'none' }));
        return { kept: whole, whole: all, besides: 0 };
      }
      const kept = Math.min(whole, perOperation(list, run));
      return { kept, whole, besides: 0 };
    }
    case 'full': {
      const input = inputBytes(list, run);
      const unit = unitOf(run);
      const spared = unrecomputed(run, layers);
      const kept = ((1 - spared) * input) / unit + spared * whole;
      return { kept, whole: whole * unit, besides: holdsInput(saved) ? 0 : input };
    }
  }
}

/** Layers that full recompute makes again at once: `uniform` in groups of n. */
export const unitOf = (run: TrainingRun): number =>
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

const holdsInput = (saved: readonly Saved[]): boolean => saved.some(({ tensor }) => tensor?.stream === 'input');

/** The residual stream where a layer reads it. */
export function inputBytes(list: readonly Operation[], run: TrainingRun): number {
  return streamBytes(run) * residualWidth(list) * tokensOf(run).residual;
}

/** Bytes of an element of the residual stream: fp32 under autocast, and where a framework autocasts sharded adapters. */
export function streamBytes(run: TrainingRun): number {
  const adapters = run.lora !== undefined && divides(run, 'weights') && run.gpus > 1;
  const widened = adapters && frameworks[run.framework].autocastsShardedAdapters;
  return widened || keepingOf(run).autocast ? 4 : elementBytes(run);
}

/** D, as the layer's additions to the residual have it. */
export const residualWidth = (list: readonly Operation[]): number =>
  list.find((operation) => operation.kind === 'add')?.output.elements ?? 0;

/**
 * torchtitan's selective recompute: the layer's input, the attention kernel's output, every second matrix product, and what
 * came through an exchange of experts (torchtitan b5bcd76, distributed/activation_checkpoint.py).
 */
function perOperation(list: readonly Operation[], run: TrainingRun): number {
  const tokens = tokensOf(run);
  const e = elementBytes(run);
  const { tensor } = run.parallelism;
  const products = list.filter((operation): operation is Linear => operation.kind === 'linear');
  // The router's product is always made again.
  const counted = products.filter(({ component }) => component !== 'router');
  const kept = new Map([['input', inputBytes(list, run)]]);
  const keep = (name: string, bytes: number) => kept.set(name, bytes);
  for (const [index, { output, copies, sharding }] of counted.entries()) {
    // A row-wise matrix gives whole partial sums, which are kept before and after they are reduced.
    const row = sharding === 'row' && run.parallelism.sequenceParallel ? tensor : 1;
    if (index % 2 === 0 || copies > 1) keep(output.name, row * tensorBytes(output, e, tokens, tensor));
    if (row > 1) keep(`${output.name}_reduced`, tensorBytes(output, e, tokens, tensor));
  }
  for (const operation of list) {
    if (operation.kind === 'attention') {
      keep(operation.output.name, tensorBytes(operation.output, e, tokens, tensor));
      keep(`${operation.path}_lse`, (4 * operation.heads * tokens.tensor) / tensor);
    }
    if (operation.kind === 'dispatch' && run.parallelism.expert > 1)
      keep(operation.output.name, tensorBytes(operation.output, e, tokens, tensor));
  }
  return [...kept.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Activations that a stage keeps for all micro-batches in flight, its embedding's indices included. */
export function keptByStage(kept: ReadonlyMap<number, Kept>, run: TrainingRun, stage: Stage): number {
  const layers = stage.layers.reduce((sum, { kind, count }) => sum + count * (kept.get(kind)?.kept ?? 0), 0);
  const indices = stage.embedding ? 8 * tokensOf(run).tensor : 0;
  return stage.inFlight * (layers + indices);
}
