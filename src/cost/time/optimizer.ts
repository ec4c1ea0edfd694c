import { frameworks } from '../../facts/frameworks.ts';
import { bytesOfState, optimizers } from '../../facts/optimizers.ts';
import { bytesOf } from '../../facts/precisions.ts';
import { estimated, offloaded } from '../../facts/steps.ts';
import type { TrainingRun } from '../../model/run.ts';
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
  const norm = frameworks[run.framework].gradientBytes;
  return (elements * (updateBytes(run) * context.profile.optimizer + norm)) / context.bandwidth;
}

/**
 * Bytes that an optimizer step moves for each parameter that it updates: gradients read, once more for their norm; states read and
 * written; weights read and written, or written out of a master copy that is. 34 in Megatron-LM's mixed precision.
 */
function updateBytes(run: TrainingRun): number {
  const facts = frameworks[run.framework];
  const weight = run.weightsDtype === undefined ? facts.weightBytes : bytesOf[run.weightsDtype];
  const gradient = run.gradientsDtype === undefined ? facts.gradientBytes : bytesOf[run.gradientsDtype];
  const dtype = run.optimizerDtype === undefined ? bytesOf.fp32 : bytesOf[run.optimizerDtype];
  const states = bytesOfState(optimizers[run.optimizer].matrix, dtype);
  const master = run.masterWeights ?? (run.weightsDtype === undefined && facts.masterWeights);
  return gradient + 2 * states + (master ? 2 * bytesOf.fp32 + weight : 2 * weight);
}
