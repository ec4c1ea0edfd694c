import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type Parameters, parameters } from '../../units.ts';
import { adapterParameters } from './lora.ts';
import { mainNetwork, parametersOf } from './weights.ts';

/** Whether an operation's own weights are not trained: with adapters none are, else those that the run freezes. */
export const isFrozen = (operation: Operation, run: TrainingRun): boolean =>
  run.lora !== undefined || isFrozenTower(operation, run);

function isFrozenTower({ freezable }: Operation, { freeze = [] }: TrainingRun): boolean {
  return freezable !== undefined && (freeze.includes(freezable) || freeze.includes('towers'));
}

/** Parameters that a run trains: those of its adapters, or the main network's without what is frozen. */
export function trainableParameters(operations: Operations, run: TrainingRun): Parameters {
  if (run.lora !== undefined) return adapterParameters(operations, run.lora);
  let total = 0;
  for (const { operation, times } of mainNetwork(operations)) total += times * parametersOf(operation);
  for (const operation of operations.towers) total += isFrozen(operation, run) ? 0 : parametersOf(operation);
  return parameters(total);
}
