import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { heldByRanks, localElements, type Stage, stageOperations } from '../placement.ts';

/** Elements on one GPU before sharding. Experts are apart, since other ranks hold the same ones. */
export type LocalElements = { readonly dense: number; readonly experts: number };

/** Elements of some operations, each as often as it stands there, on a GPU of a stage. */
export function localSum(
  list: Iterable<{ readonly operation: Operation; readonly times: number }>,
  run: TrainingRun,
  stage: Pick<Stage, 'embedding'>,
): LocalElements {
  let dense = 0;
  let experts = 0;
  for (const { operation, times } of list) {
    const elements = times * localElements(operation, run, stage);
    if (operation.kind === 'linear' && operation.sharding === 'expert') experts += elements;
    else dense += elements;
  }
  return { dense, experts };
}

/** Elements of the pipeline rank that holds most: it is the last to reduce its gradients and to update its weights. */
export function fullestRank(operations: Operations, run: TrainingRun): LocalElements {
  return heldByRanks(operations, run)
    .map((stage) => localSum(stageOperations(operations, stage), run, stage))
    .reduce((most, one) => (one.dense + one.experts > most.dense + most.experts ? one : most));
}
