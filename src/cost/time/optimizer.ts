import { frameworks } from '../../facts/frameworks.ts';
import { bytesOfState, optimizers } from '../../facts/optimizers.ts';
import { estimated, offloaded, optimizerTraffic } from '../../facts/steps.ts';
import type { TrainingRun } from '../../model/run.ts';
import { dtypesOf } from '../memory/states.ts';
import { dataParallel } from '../placement.ts';
import type { Context } from './context.ts';
import type { LocalElements } from './local.ts';

/** Seconds of the optimizer step on this GPU's share of the states. */
export function optimizerSeconds({ trained }: LocalElements, run: TrainingRun, context: Context): number {
  const shards = run.sharding === 'none' ? 1 : (run.shardGroup ?? dataParallel(run));
  const elements = (trained.dense + trained.experts) / shards;
  if (run.offload === 'optimizer') {
    const node = Math.min(run.gpus, run.gpusPerNode ?? estimated.gpusOfNode);
    return elements * (node * offloaded.secondsForParameter + offloaded.transferred / offloaded.transfer);
  }
  return (elements * updateBytes(run, context)) / context.bandwidth;
}

/**
 * Bytes that an optimizer step moves for each parameter that it updates: gradients read, and for their norm; states read and written;
 * weights read and written, or written out of a master copy that is. 34 in Megatron-LM's mixed precision.
 */
function updateBytes(run: TrainingRun, { profile }: Context): number {
  const { weight, gradient, master, state } = dtypesOf(run);
  const facts = frameworks[run.framework];
  if (facts.masterWeights)
    return profile.optimizer * (pass(run, weight, gradient, state) + 2 * master - (master > 0 ? weight : 0)) + gradient;
  const clipping = optimizerTraffic.clipping * gradient;
  // Its steps are fp32: narrower gradients and weights are cast, and weights back.
  if (run.optimizer === 'adafactor') return optimizerTraffic.adafactor + (weight < 4 ? 3 * (weight + 4) : 0) + clipping;
  const adam = run.optimizer === 'adamw' || run.optimizer === 'adam';
  const lists = adam && (run.optimizerImplementation ?? facts.optimizerImplementation) === 'foreach';
  return (lists ? optimizerTraffic.foreach : profile.optimizer) * pass(run, weight, gradient, state) + clipping;
}

/** One pass over gradients, states and weights. */
const pass = (run: TrainingRun, weight: number, gradient: number, state: number): number =>
  gradient + 2 * bytesOfState(optimizers[run.optimizer].matrix, state) + 2 * weight;
