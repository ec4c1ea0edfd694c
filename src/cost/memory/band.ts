import type { Evidence } from '../../facts/evidence.ts';
import {
  approximateBands,
  type FrameworkBands,
  type MemoryBand,
  memoryBands,
  unmeasuredBand,
} from '../../facts/memory.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { parametersOf } from '../count/weights.ts';
import { hasExperts } from './reserved.ts';

type Band = { readonly band: number; readonly basis: string };

/** The relative error that the comparisons support for this kind of model and run (docs/memory.md). */
export function memoryBand(operations: Operations, run: TrainingRun): Band {
  const { band, basis } = bandOfMeasured(operations, run);
  if (operations.approximate === undefined) return { band, basis };
  return {
    band: Math.max(band, inDoubt(operations.approximate)),
    basis: `${doubts(operations.approximate)}; ${basis}`,
  };
}

/** Half width by which an approximate count may be off, as a ratio. */
export const inDoubt = (evidence: Evidence): number =>
  evidence === 'by-keys' ? approximateBands.keys : approximateBands.rule;

/** The same in words. */
export const doubts = (evidence: Evidence): string =>
  evidence === 'by-keys'
    ? 'counted by its keys, as a family that nobody described'
    : 'an approximate count, whose assumptions say what was not read';

function bandOfMeasured(operations: Operations, run: TrainingRun): Band {
  const { width, name } = bandOf(operations, run);
  const unlike = unmeasured(operations, run);
  const scaled =
    run.memoryCalibration === undefined ? '' : `; scaled by ${run.memoryCalibration.toFixed(2)} after a measured run`;
  if (unlike === undefined) return { band: width, basis: `${name}${scaled}` };
  return {
    band: Math.max(unmeasuredBand.least, width),
    basis: `${unlike}: arithmetic, compared with no measured run${scaled}`,
  };
}

/** Models and runs like which none was measured. */
function unmeasured(operations: Operations, run: TrainingRun): string | undefined {
  if (run.colocated !== undefined || run.rollout !== undefined) return 'several models on one GPU';
  if (operations.towers.some((one) => parametersOf(one) > 0)) return 'encoders';
  for (const { operations: list } of operations.layers)
    for (const operation of list) {
      if (operation.kind === 'scan') return 'layers with a recurrent state';
      if (seesBothWays(operation)) return 'attention that sees both ways';
    }
  return undefined;
}

/** Attention without a causal mask, as encoders have it. */
export const seesBothWays = (operation: Operation): boolean => operation.kind === 'attention' && !operation.causal;

/** Of the bands that a framework has, the first whose case the run is. */
function bandOf(operations: Operations, run: TrainingRun): MemoryBand {
  const bands: FrameworkBands = memoryBands[run.framework];
  const fewRuns = run.parallelism.virtualPipeline > 1 || run.recompute === 'selective';
  return (
    (run.precision !== 'bf16' ? bands.otherPrecision : undefined) ??
    (run.parallelism.pipeline > 1 ? bands.pipelined : undefined) ??
    (fewRuns ? bands.fewRuns : undefined) ??
    (run.gpus > 1 ? bands.severalGpus : undefined) ??
    (run.lora !== undefined ? bands.adapters : undefined) ??
    (run.recompute === 'full' ? bands.recomputed : undefined) ??
    (hasExperts(operations) ? bands.experts : undefined) ??
    bands.usual
  );
}
