import { findAccelerator } from '../../facts/accelerators.ts';
import { frameworks } from '../../facts/frameworks.ts';
import { bytesOf } from '../../facts/precisions.ts';
import type { Operations } from '../../model/operation.ts';
import { type Colocated, type ColocatedRole, colocatedRoles, type TrainingRun } from '../../model/run.ts';
import { mainNetwork, parametersOf } from '../count/weights.ts';
import { groupOf, localElements, type Stage, shards, stageOperations } from '../placement.ts';
import type { Allocation } from './phase.ts';
import { type States, statesOfStage } from './states.ts';

/**
 * What models of other roles keep on a GPU throughout a step (reference, critic, reward model, teacher), in bytes. Each is laid out
 * as the trained model is, and as much larger or smaller as its parameters say. A model that has its own updates keeps weights
 * and optimizer states; its gradients and activations are there only while the trained model has none.
 */
export function heldByRoles(operations: Operations, run: TrainingRun, stage: Stage): readonly Allocation[] {
  const { colocated } = run;
  if (colocated === undefined) return [];
  return colocatedRoles.flatMap((role) => allocationsOf(role, colocated[role], operations, run, stage));
}

function allocationsOf(
  role: ColocatedRole,
  held: Colocated | undefined,
  operations: Operations,
  run: TrainingRun,
  stage: Stage,
): readonly Allocation[] {
  if (held === undefined) return [];
  const { weights, optimizer } = statesOfStage(operations, run, stage);
  const size = held.parameters === undefined ? 1 : held.parameters / elementsOf(operations);
  const own = held.dtype === undefined ? weights : bytesOf[held.dtype] * weightShards(operations, run, stage);
  return [
    ['weights', role, size * own],
    ...(held.holds === 'states' ? [['optimizer_states', role, size * optimizer] as const] : []),
  ];
}

/** Elements of the weights that one GPU holds of a stage. */
function weightShards(operations: Operations, run: TrainingRun, stage: Stage): number {
  let elements = 0;
  for (const { operation, times } of stageOperations(operations, stage))
    elements += (times * localElements(operation, run, stage)) / shards(groupOf(operation), run, 'weights');
  return elements;
}

function elementsOf(operations: Operations): number {
  let elements = 0;
  for (const { operation, times } of mainNetwork(operations)) elements += times * parametersOf(operation);
  return elements;
}

/** Bytes of an inference engine's share of the GPU; 0 without one, or where the GPU's memory is unknown. */
export const engineBytes = ({ rollout, accelerator }: TrainingRun): number =>
  rollout === undefined ? 0 : rollout.share * (findAccelerator(accelerator)?.usable ?? 0);

/** What is allocated while an inference engine generates: its share, other roles, and what stays of the trained model. */
export function rolloutAllocations(
  run: TrainingRun,
  states: States,
  roles: readonly Allocation[],
): readonly Allocation[] {
  return run.rollout === undefined
    ? []
    : [...staying(states, run), ...roles, ['temporary', 'rollout_engine', engineBytes(run)]];
}

function staying({ weights, copies, gradients, optimizer }: States, run: TrainingRun): readonly Allocation[] {
  const beside = run.rollout?.beside;
  if (beside === undefined || beside === 'nothing') return [];
  const kept: readonly Allocation[] = [
    ['weights', 'weights', weights],
    ['weights', 'quantized_weights', copies],
  ];
  if (beside === 'weights') return kept;
  return [
    ...kept,
    ['gradients', 'gradients', frameworks[run.framework].gradientsStay ? gradients : 0],
    ['optimizer_states', 'optimizer_states', optimizer],
  ];
}
