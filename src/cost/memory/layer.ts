import { frameworks } from '../../facts/frameworks.ts';
import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isSharded, localElements, microBatches, type Stage } from '../placement.ts';
import { isAutocast, savedTensors } from './activations.ts';
import { backwardPeak, type WeightGradient } from './backward.ts';
import { type LayerActivations, layerActivations, layersOfUnit } from './recompute.ts';

/** What one layer and one micro-batch need on one GPU, in bytes. */
export type LayerMemory = LayerActivations & {
  /** what the backward pass adds at its peak to what the layer has saved */
  readonly work: number;
  /** whole gradients that wait for their reduction into shards */
  readonly unreduced: number;
};

/** The stage that a layer is part of, as far as a layer depends on it. */
export type Around = Pick<Stage, 'embedding' | 'order'>;

export type LayerFigures = (list: readonly Operation[], run: TrainingRun, stage: Around) => LayerMemory;

export const layerMemory: LayerFigures = (list, run, stage) => {
  const all = savedTensors(list, { ...run, recompute: 'none' });
  const activations = layerActivations(list, run, stage.order.length, all);
  const { saved, read, inputOnly } = activations;
  const gradientOf = (operation: Operation) => weightGradient(operation, run, stage);
  const peak = backwardPeak(list, run, gradientOf, all);
  // Layers of one unit are recomputed together, and the others wait with all that they read.
  const others = read - read / layersOfUnit(run);
  // FSDP2 reduces out of a buffer of its own, which the unsharded parameters count.
  const reduces = frameworks[run.framework].gathers !== 'fully_shard' && isSharded(run, 'gradients');
  return {
    ...activations,
    work: Math.max(0, inputOnly + peak + others - saved),
    unreduced: reduces ? list.reduce((sum, operation) => sum + gradientOf(operation).after, 0) : 0,
  };
};

/** Gradients of all weights are there before the backward pass: they stay allocated, or an earlier micro-batch left them. */
export const gradientsThere = (run: TrainingRun): boolean =>
  frameworks[run.framework].gradientsStay || microBatches(run) > 1;

/**
 * The gradient of a weight before it is where the states count it: added inside of the product (Megatron), in 16 bits until it
 * is reduced into shards, cast to fp32 after the product (autocast), added to that of a micro-batch before, or simply there.
 */
function weightGradient(operation: Operation, run: TrainingRun, stage: Around): WeightGradient {
  if (frameworks[run.framework].gradientsStay || run.lora !== undefined) return { making: 0, after: 0 };
  const elements = localElements(operation, run, stage);
  const bytes = (run.precision === 'fp32' ? 4 : 2) * elements;
  if (isSharded(run, 'gradients')) return { making: bytes, after: bytes };
  const cast = isAutocast(run) ? 4 * elements : 0;
  const stays = cast > 0 ? cast : bytes;
  return { making: bytes + cast, after: gradientsThere(run) ? 0 : stays };
}

/**
 * All of a run that a layer's memory depends on, as far as the plans of one search differ, or the changes of a run that would save
 * memory: runs that are alike in it share the figures of a layer.
 */
export function layerMemoryKey(run: TrainingRun, { embedding, order }: Around): string {
  const { tensor, context, expert, expertTensor, sequenceParallel } = run.parallelism;
  const { recompute, recomputeModules = [], recomputeMethod, recomputeLayers } = run;
  const shape = `${run.microBatchSize} ${tensor} ${context} ${sequenceParallel} ${run.offload === 'activations'} ${run.flashAttention}`;
  const again = `${recompute} ${recomputeModules.join()} ${recomputeMethod} ${recomputeLayers}`;
  const depth = recomputeMethod === 'block' ? order.length : 0;
  const { gradientsStay, masterWeights } = frameworks[run.framework];
  // Where gradients are added in place and weights have a 16-bit copy, a layer's memory has nothing of its weights.
  if (gradientsStay && masterWeights && run.lora === undefined) return `${shape} ${again} ${depth} ${expert > 1}`;
  const states = `${run.sharding} ${isSharded(run, 'weights')} ${isSharded(run, 'gradients')} ${gradientsThere(run)}`;
  return `${shape} ${again} ${depth} ${expert} ${expertTensor} ${states} ${embedding}`;
}
