import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { held, mainNetwork } from '../count/weights.ts';

/** Elements on one GPU, without data-parallel sharding: those of experts, and all others. */
export type LocalElements = { readonly dense: number; readonly experts: number };

/** One GPU's share of the model. */
export function localElements(operations: Operations, run: TrainingRun): LocalElements {
  const { tensor, pipeline, expert, expertTensor } = run.parallelism;
  let dense = 0;
  let experts = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    const elements = times * held(operation);
    if (operation.kind === 'linear' && operation.sharding === 'expert')
      experts += elements / (pipeline * expert * expertTensor);
    else
      dense += elements / (operation.kind === 'table' || operation.component === 'output' ? tensor : tensor * pipeline);
  }
  return { dense, experts };
}
