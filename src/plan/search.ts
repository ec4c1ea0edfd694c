import { memoryBand } from '../cost/memory/band.ts';
import { heldBy } from '../cost/memory/held.ts';
import { layerMemory, layerMemoryKey } from '../cost/memory/layer.ts';
import { leastBytes, peakBytes } from '../cost/memory/peak.ts';
import { trainedOperations } from '../cost/placement.ts';
import { remembered } from '../cost/time/figures.ts';
import { stepSeconds } from '../cost/time/step.ts';
import type { Operations } from '../model/operation.ts';
import { type Parallelism, type SettledRun, type TrainingRun, tokensOfStep } from '../model/run.ts';
import { remembering } from '../remembering.ts';
import { changedFields } from './changes.ts';
import { dividesBatch, dividesLayout, type Recomputing, type Space } from './space.ts';

export type Plan = {
  readonly run: TrainingRun;
  /** of the fullest GPU, as nvidia-smi would show */
  readonly device: number;
  /** relative error of `device`, within which it fits too */
  readonly band: number;
  /** of all GPUs together */
  readonly tokensPerSecond: number;
};

/** A clock in milliseconds, and how far the search may go. */
export type Bounds = { readonly now: () => number; readonly milliseconds: number; readonly candidates: number };

export type Found = {
  /** those that fit, in the order of the space */
  readonly plans: readonly Plan[];
  /** of all that divide and start, and were looked at */
  readonly candidates: number;
  /** of those, what model states alone do not let fit */
  readonly tooLarge: number;
  /** of all that divide, what the framework refuses all the same, and why it refuses the first of those */
  readonly refused: number;
  readonly refusal: string | undefined;
  /** what ended the search before the whole space was looked at */
  readonly stopped: 'time' | 'candidates' | undefined;
  /** the smallest that was found; where something fits, the smallest of those */
  readonly smallest: Pick<Plan, 'run' | 'device' | 'band'> | undefined;
};

export type Question = {
  readonly operations: Operations;
  readonly settled: SettledRun;
  readonly space: Space;
  /** why the framework refuses a run; undefined where it starts */
  readonly refusal: (run: TrainingRun) => string | undefined;
  /** bytes that the fullest GPU may need */
  readonly budget: number;
  /** Runs are looked at only where they change at most so many fields of the run as it is. */
  readonly changes?: number;
};

/** Every run of the space that divides, starts and fits, with its speed. Memory comes first: only what fits is timed. */
export function search(question: Question, bounds: Bounds): Found {
  const { operations, settled, space, refusal, budget, changes = Number.POSITIVE_INFINITY } = question;
  const isNear = (run: TrainingRun) => changedFields(settled.run, run).length <= changes;
  const end = bounds.now() + bounds.milliseconds;
  const layers = remembering(layerMemoryKey, layerMemory);
  const time = remembered();
  const trained = trainedOperations(operations, settled.run);
  const plans: Plan[] = [];
  let smallest: Found['smallest'];
  let candidates = 0;
  let tooLarge = 0;
  let refused = 0;
  let reason: string | undefined;
  const found = (stopped: Found['stopped']): Found => ({
    plans,
    candidates,
    tooLarge,
    refused,
    refusal: reason,
    stopped,
    smallest,
  });
  const starts = (run: TrainingRun): boolean => {
    const why = refusal(run);
    refused += Number(why !== undefined);
    reason ??= why;
    return why === undefined;
  };
  for (const layout of layouts(space, settled.run)) {
    const runs =
      isNear(layout) && dividesLayout(operations, layout)
        ? [...runsOf(layout, space)].filter((run) => isNear(run) && dividesBatch(run) && starts(run))
        : [];
    if (bounds.now() > end) return found('time');
    if (runs.length === 0) continue;
    // Micro-batches and recompute leave what the model's layout decides as it is.
    const held = heldBy(trained, layout);
    const least = leastBytes(held);
    for (const run of runs) {
      if (candidates === bounds.candidates) return found('candidates');
      if (bounds.now() > end) return found('time');
      candidates += 1;
      const { band } = memoryBand(operations, run);
      // Of what does not fit only the smallest is told, where nothing else is found.
      const most = Math.max(budget / (1 + band), plans.length > 0 ? 0 : (smallest?.device ?? Infinity));
      if (least > most) {
        tooLarge += 1;
        continue;
      }
      const device = peakBytes(held, run, most, layers);
      if (device === undefined) continue;
      if (smallest === undefined || device < smallest.device) smallest = { run, device, band };
      if (device * (1 + band) > budget) continue;
      const seconds = stepSeconds(trained, { run, machine: settled.machine }, time);
      if (seconds === undefined) continue;
      plans.push({ run, device, band, tokensPerSecond: tokensOfStep(run) / seconds });
    }
  }
  return found(undefined);
}

/** How the model lies on the GPUs: all that decides its states. */
export function* layouts(space: Space, run: TrainingRun): Generator<TrainingRun> {
  for (const parallelism of degrees(space))
    for (const sharding of space.sharding)
      for (const offload of space.offload) yield laidOut(run, parallelism, sharding, offload);
}

function* degrees(space: Space): Generator<Parallelism> {
  for (const pipeline of space.pipeline)
    for (const virtualPipeline of pipeline === 1 ? [1] : space.virtualPipeline)
      for (const tensor of space.tensor)
        for (const context of space.context)
          for (const expert of space.expert)
            for (const expertTensor of new Set(space.expertTensor.map((one) => (one === 'as tensor' ? tensor : one))))
              yield { tensor, pipeline, virtualPipeline, context, expert, expertTensor, sequenceParallel: tensor > 1 };
}

function laidOut(
  run: TrainingRun,
  parallelism: Parallelism,
  sharding: TrainingRun['sharding'],
  offload: NonNullable<TrainingRun['offload']>,
): TrainingRun {
  const { layersPerStage, pipelineSchedule, offload: _, ...rest } = run;
  const own =
    parallelism.pipeline === run.parallelism.pipeline &&
    parallelism.virtualPipeline === run.parallelism.virtualPipeline;
  return {
    ...rest,
    parallelism,
    sharding,
    ...(offload === 'none' ? {} : { offload }),
    ...(own && layersPerStage !== undefined ? { layersPerStage } : {}),
    ...(pipelineSchedule === undefined || !(own || special.includes(pipelineSchedule)) ? {} : { pipelineSchedule }),
  };
}

/** Schedules that are no matter of virtual stages. */
const special: readonly string[] = ['gpipe', 'zero_bubble', 'dualpipe'];

/** Every micro-batch and way of recompute of a layout. */
export function* runsOf(layout: TrainingRun, { microBatchSize, recompute }: Space): Generator<TrainingRun> {
  for (const micro of microBatchSize) for (const way of recompute) yield withRecompute(layout, micro, way);
}

function withRecompute(run: TrainingRun, microBatchSize: number, way: Recomputing): TrainingRun {
  const { recomputeModules: _, recomputeMethod: __, recomputeLayers: ___, ...rest } = run;
  return { ...rest, microBatchSize, ...way };
}
