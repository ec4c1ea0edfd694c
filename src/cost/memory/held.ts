import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { heldByRanks, type Stage, trainedOperations } from '../placement.ts';
import { heldByRoles } from './colocated.ts';
import { deviceOverhead, dummyGradients } from './overhead.ts';
import type { Allocation } from './phase.ts';
import { type States, statesOfStage } from './states.ts';
import { type Unsharded, unshardedOf } from './unsharded.ts';

/** What a pipeline stage holds whatever its micro-batches and its recompute are, in bytes. */
export type HeldStage = {
  readonly stage: Stage;
  readonly states: States;
  readonly unsharded: Unsharded;
  readonly dummies: number;
  readonly roles: readonly Allocation[];
};

/** How a model lies on its GPUs: what runs that differ in micro-batch and recompute alone have in common. */
export type Held = {
  readonly operations: Operations;
  /** bytes outside of PyTorch's allocator */
  readonly outside: number;
  /** measured over projected device memory, by which that is scaled */
  readonly scale: number;
  /** of stages that hold the same, the first alone, which has the most micro-batches in flight */
  readonly stages: readonly HeldStage[];
};

/** What each distinct rank of a run keeps throughout a step: states, gathered weights and dummy gradients, in bytes. */
export function heldBy(model: Operations, run: TrainingRun): Held {
  const operations = trainedOperations(model, run);
  const stages = distinct(heldByRanks(operations, run)).map((stage) => ({
    stage,
    states: statesOfStage(operations, run, stage),
    unsharded: unshardedOf(operations, run, stage),
    dummies: dummyGradients(operations, run, stage),
    roles: heldByRoles(operations, run, stage),
  }));
  return { operations, outside: deviceOverhead(run), scale: run.memoryCalibration ?? 1, stages };
}

const distinct = (stages: readonly Stage[]): readonly Stage[] =>
  [
    ...new Map(
      stages.toReversed().map((stage) => [`${stage.embedding} ${stage.head} ${stage.order.join()}`, stage] as const),
    ).values(),
  ].toSorted((a, b) => a.index - b.index);
