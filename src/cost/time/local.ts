import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { heldByRanks, localElements, type Stage, stageOperations, trainedElements } from '../placement.ts';

/** Elements on one GPU before sharding. Experts are apart, since other ranks hold the same ones. */
export type Elements = { readonly dense: number; readonly experts: number };

/** What a GPU holds, and what of it is trained: with adapters their own elements, else all. */
export type LocalElements = { readonly held: Elements; readonly trained: Elements };

const none: Elements = { dense: 0, experts: 0 };
const plus = ({ dense, experts }: Elements, amount: number, isExpert: boolean): Elements =>
  isExpert ? { dense, experts: experts + amount } : { dense: dense + amount, experts };

/** Elements of some operations, each as often as it stands there, on a GPU of a stage. */
export function localSum(
  list: Iterable<{ readonly operation: Operation; readonly times: number }>,
  run: TrainingRun,
  stage: Pick<Stage, 'embedding'>,
): LocalElements {
  let [held, trained] = [none, none];
  for (const { operation, times } of list) {
    const isExpert = operation.kind === 'linear' && operation.sharding === 'expert';
    held = plus(held, times * localElements(operation, run, stage), isExpert);
    trained = plus(trained, times * trainedElements(operation, run, stage), isExpert);
  }
  return { held, trained };
}

/** Those of the pipeline rank that trains most: it is the last to reduce its gradients and to update its weights. */
export function fullestRank(operations: Operations, run: TrainingRun): LocalElements {
  const trained = (one: LocalElements) => one.trained.dense + one.trained.experts;
  return heldByRanks(operations, run)
    .map((stage) => localSum(stageOperations(operations, stage), run, stage))
    .reduce((most, one) => (trained(one) > trained(most) ? one : most));
}

/** Of the layers and of the output, whose matrix may be the embedding's: a copy of it is gathered all the same. */
export const elementsOf = (list: readonly Operation[], run: TrainingRun): LocalElements =>
  localSum(
    list.map((operation) => ({ operation, times: 1 })),
    run,
    { embedding: false },
  );
