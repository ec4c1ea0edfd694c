import type { Accelerator } from '../../facts/accelerators.ts';
import { type FrameworkExecution, frameworkExecution } from '../../facts/frameworks.ts';
import type { KernelFacts, kernelsOf } from '../../facts/kernels.ts';
import { precisions } from '../../facts/precisions.ts';
import { type ExecutionProfile, type ProfileName, profiles, type StepFacts } from '../../facts/steps.ts';
import type { TrainingRun } from '../../model/run.ts';
import { gigabitsPerSecond } from '../../units.ts';
import { tokensOf } from '../placement.ts';

/** The constants of the model: the committed ones, or others where a script tries them (`scripts/cross-validate.ts`). */
export type TimeFacts = { readonly step: StepFacts; readonly kernelsOf: typeof kernelsOf };

/** What every part of a step's time depends on: the chip, its kernels, the framework's execution profile, sizes of a micro-batch. */
export type Context = {
  readonly step: StepFacts;
  readonly chip: Accelerator;
  readonly kernels: KernelFacts;
  readonly profile: ExecutionProfile;
  /** FLOP/s of products, and of those that stay in 16 bits */
  readonly peak: number;
  readonly peak16: number;
  /** FLOP/s of products in fp32: on the matrix units in tf32 only where the framework asks for that */
  readonly peak32: number;
  /** how much slower products are than in a benchmark, in 16 bits and below: sustained load and power cap */
  readonly slowdown: number;
  readonly slowdownLow: number;
  /** the share of that which a power cap is */
  readonly power: number;
  /** bytes/s of one GPU beyond the fast domain; null where the chip has no such network */
  readonly network: number | null;
  /** bytes/s that streaming kernels reach */
  readonly bandwidth: number;
  /** tokens of a micro-batch on one GPU: within a tensor-parallel region, and on the residual stream */
  readonly T: number;
  readonly t: number;
};

/** @param peak FLOP/s of the run's precision, see `peakOf` */
export function contextOf(run: TrainingRun, chip: Accelerator, peak: number, facts: TimeFacts): Context {
  const kernels = facts.kernelsOf(chip);
  const tokens = tokensOf(run);
  const power = 1 + facts.step.power * (overCap(run, chip) - 1);
  return {
    step: facts.step,
    chip,
    kernels,
    profile: profiles[profileOf(run, chip)],
    peak,
    peak16: chip.densePeak.bf16 ?? chip.densePeak.fp16 ?? peak,
    peak32: peak32Of(run, chip) ?? peak,
    slowdown: power * kernels.sustained,
    slowdownLow: power * (kernels.low ?? kernels).sustained,
    power,
    network: run.interNodeGbpsPerGpu === undefined ? chip.network : gigabitsPerSecond(run.interNodeGbpsPerGpu),
    bandwidth: chip.bandwidth * kernels.streaming,
    T: tokens.tensor,
    t: tokens.residual,
  };
}

function peak32Of({ framework, tf32 }: TrainingRun, { generation, densePeak }: Accelerator): number | undefined {
  const asks = tf32 ?? (frameworkExecution[framework].asksForTf32 || generation === 'tpu');
  return asks ? (densePeak.tf32 ?? densePeak.fp32) : densePeak.fp32;
}

/** The chip's power over the cap that the run states; 1 without a cap. */
function overCap({ powerCapWatts: cap }: TrainingRun, { power }: Accelerator): number {
  return cap !== undefined && power !== null && cap < power ? power / cap : 1;
}

/** 8 or 4 bits. */
export const isLow = (run: TrainingRun): boolean => !['bf16', 'fp16', 'fp32'].includes(run.precision);

function profileOf(run: TrainingRun, chip: Accelerator): ProfileName {
  if (chip.generation === 'tpu') return 'xla';
  const execution: FrameworkExecution = frameworkExecution[run.framework];
  const { decidedBy, on, off, compiled } = execution.profile;
  if (run.compile && compiled !== undefined) return compiled;
  // PyTorch reaches 8 bits through torch.compile (torchao) or Transformer Engine's modules: fused either way.
  return run[decidedBy] || (decidedBy === 'compile' && isLow(run)) ? on : off;
}

/**
 * FLOP/s that a run is held against; undefined where the chip has no such matrix units. Chips older than tf32 compute fp32 in fp32;
 * those without 4 bits keep such weights, and compute in 8.
 */
export function peakOf({ densePeak }: Accelerator, { precision }: TrainingRun): number | undefined {
  const { peak } = precisions[precision];
  if (peak === 'tf32') return densePeak.tf32 ?? densePeak.fp32;
  return densePeak[peak] ?? (peak === 'fp4' ? densePeak.fp8 : undefined);
}
