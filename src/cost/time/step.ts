import { type Accelerator, acceleratorsChecked } from '../../facts/accelerators.ts';
import { kernelsOf } from '../../facts/kernels.ts';
import { precisions } from '../../facts/precisions.ts';
import { estimated, stepFacts } from '../../facts/steps.ts';
import type { FlopCount, ThroughputEstimate, TimePart } from '../../model/estimate.ts';
import type { Operations } from '../../model/operation.ts';
import { type SettledRun, type TrainingRun, tokensOfStep } from '../../model/run.ts';
import { type Seconds, seconds } from '../../units.ts';
import { encoderPasses, goesBack } from '../count/encoder-passes.ts';
import { microBatches, tokensOf, trainedOperations } from '../placement.ts';
import { errorBand } from './band.ts';
import { bottleneckOf, largestLoss, remedyFor } from './bottleneck.ts';
import { type Context, contextOf, peakOf, type TimeFacts } from './context.ts';
import { accumulationSeconds, replicatedSeconds, shardedTraffic } from './data-parallel.ts';
import { anew, type TimeFigures } from './figures.ts';
import type { LayerTime } from './layer.ts';
import { optimizerSeconds } from './optimizer.ts';
import { add, none, type Parts, partNames, sum } from './parts.ts';
import { bubbleShare, transferSeconds } from './pipeline.ts';
import { withRecompute } from './recompute.ts';

/** A run and the row of its accelerator; undefined where the table has none. */
type Machine = Pick<SettledRun, 'run' | 'machine'>;

/** What a training step on this hardware is projected to take, part by part; the parts sum to the step. */
export function projectTime(
  operations: Operations,
  flops: FlopCount,
  { run, machine: chip }: Machine,
  facts: TimeFacts = { step: stepFacts, kernelsOf },
): ThroughputEstimate {
  if (chip === undefined) return unknown(`the accelerator ${run.accelerator} is not in the table`);
  const { peak: dtype } = precisions[run.precision];
  const peak = peakOf(chip, run);
  if (peak === undefined) return unknown(`${chip.name} has no ${dtype} matrix units`);
  const context = contextOf(run, chip, peak, facts);
  const parts = stepParts(operations, run, context);
  const calibration = run.calibration ?? 1;
  for (const part of partNames) parts[part] /= calibration;
  const step = sum(parts);
  const tokens = tokensOfStep(run);
  const perGpu = tokens / step / run.gpus;
  const mfu = (flops.training * perGpu) / peak;
  const { band, basis } = errorBand(operations, run, context);
  const remedy = remedyFor(largestLoss(parts, step), run, chip);
  const gain = remedy === undefined ? 0 : gainOf(operations, run, remedy.run, chip, facts, step * calibration);
  return {
    mfu,
    hfu: (flops.hardware * perGpu) / peak,
    range: [mfu * Math.exp(-band), Math.min(1, mfu * Math.exp(band))],
    tokensPerSecondPerGpu: perGpu,
    stepTime: seconds(step),
    parts: Object.fromEntries(partNames.map((part) => [part, seconds(parts[part])])) as Record<TimePart, Seconds>,
    band,
    basis,
    limit: bottleneckOf(parts, step, remedy, gain),
    training: training(run, chip, perGpu),
  };
}

/** Seconds of a step alone, for those who ask of thousands of runs; undefined where it cannot be projected. */
export function stepSeconds(
  operations: Operations,
  { run, machine: chip }: Machine,
  figures: TimeFigures,
): number | undefined {
  const peak = chip && peakOf(chip, run);
  if (chip === undefined || peak === undefined) return undefined;
  const context = contextOf(run, chip, peak, { step: stepFacts, kernelsOf });
  return sum(stepParts(operations, run, context, figures)) / (run.calibration ?? 1);
}

/** Of tokens per second, as a ratio, by a changed run over one whose step takes `before` seconds. */
function gainOf(
  operations: Operations,
  run: TrainingRun,
  changed: TrainingRun,
  chip: Accelerator,
  facts: TimeFacts,
  before: number,
): number {
  const peak = peakOf(chip, changed);
  if (peak === undefined) return 0;
  const after = sum(stepParts(operations, changed, contextOf(changed, chip, peak, facts)));
  return (before / after) * (changed.globalBatchSize / run.globalBatchSize) - 1;
}

/** Model FLOPs utilization of a measured run: training FLOPs for a token times tokens per second, over the peak of all GPUs. */
export function measuredMfu(
  flops: FlopCount,
  { run, machine }: Machine,
  tokensPerSecond: number,
): { readonly mfu: number | null; readonly hfu: number | null; readonly peak: number | null } {
  const peak = (machine && peakOf(machine, run)) ?? null;
  if (peak === null) return { mfu: null, hfu: null, peak };
  const all = peak * run.gpus;
  return { mfu: (flops.training * tokensPerSecond) / all, hfu: (flops.hardware * tokensPerSecond) / all, peak: all };
}

/** Seconds of a step on the fullest GPU, part by part. */
function stepParts(model: Operations, run: TrainingRun, context: Context, figures = anew): Parts {
  const operations = trainedOperations(model, run);
  const m = microBatches(run);
  const kinds = operations.layers.map(({ operations: list }) =>
    withRecompute(figures.layer(list, run, context), list, run, context),
  );
  const perStage = stageTimes(operations, run, context, kinds, figures);
  const slowest = perStage.reduce((worst, one) => (one.seconds > worst.seconds ? one : worst)).parts;
  const step = none();
  add(step, slowest, m);
  pipelineTime(operations, run, context, perStage, step);
  const { pipeline } = run.parallelism;
  const local = figures.fullest(operations, run);
  if (run.sharding === 'full' || (run.sharding === 'gradients' && pipeline === 1))
    shardedTraffic(operations, run, context, kinds, figures.elements, step, m);
  else {
    step.exposed_data += replicatedSeconds(local, run, context, sum(slowest));
    step.memory_bound += accumulationSeconds(local, run, context, m);
  }
  step.optimizer += optimizerSeconds(local, run, context);
  step.jitter += jitterSeconds(sum(step), run, context);
  return step;
}

/** One micro-batch on a pipeline stage, forward and backward; seconds. */
type StageTime = { readonly parts: Parts; readonly seconds: number };

/** The time of each stage; stages that hold the same take the same. */
function stageTimes(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  kinds: readonly LayerTime[],
  figures: TimeFigures,
): readonly StageTime[] {
  const { distinct, places } = figures.stages(operations, run);
  const times = distinct.map((stage) => {
    const parts = none();
    for (const { kind, count } of stage.layers) {
      const time = kinds[kind];
      if (time === undefined) continue;
      add(parts, time.forward, count);
      add(parts, time.backward, count);
    }
    if (stage.embedding) addEncoders(operations, run, context, figures, parts);
    if (stage.head) add(parts, figures.head(operations, run, context));
    return { parts, seconds: sum(parts) };
  });
  return places.flatMap((place) => times[place] ?? []);
}

/** Encoders read their images in front of the first stage's layers, forward alone where they are frozen. */
function addEncoders(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  figures: TimeFigures,
  parts: Parts,
): void {
  for (const pass of encoderPasses(operations, run)) {
    const { tensor } = tokensOf(pass.run);
    const own = { ...context, T: tensor, t: tensor };
    const recompute = pass.count > 1 ? pass.run.recompute : 'none';
    const time = withRecompute(
      figures.layer(pass.operations, pass.run, own),
      pass.operations,
      { ...pass.run, recompute },
      own,
    );
    add(parts, time.forward, pass.count);
    if (goesBack(pass)) add(parts, time.backward, pass.count);
  }
}

/** Transfers between stages, and the time in which stages wait for the first and the last micro-batch. */
function pipelineTime(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  perStage: readonly StageTime[],
  step: Parts,
): void {
  if (perStage.length <= 1) return;
  const average = perStage.reduce((total, { seconds }) => total + seconds, 0) / perStage.length;
  const transfer = transferSeconds(operations, run, context);
  step.exposed_pipeline += microBatches(run) * transfer;
  step.bubble += bubbleShare(run) * (average + transfer);
}

/** How much longer the slowest of many nodes takes: the expected largest of as many Gaussians. */
function jitterSeconds(seconds: number, { gpus, gpusPerNode }: TrainingRun, { step }: Context): number {
  const nodes = gpus / (gpusPerNode ?? estimated.gpusOfNode);
  return nodes > 1 ? seconds * step.jitter * Math.sqrt(2 * Math.log(nodes)) : 0;
}

function training(run: TrainingRun, chip: Accelerator, perGpu: number): ThroughputEstimate['training'] {
  const time = run.tokens / (perGpu * run.gpus);
  const gpuHours = (time * run.gpus) / 3600;
  const power = chip.power === null ? null : Math.min(chip.power, run.powerCapWatts ?? chip.power);
  const price = run.pricePerGpuHour ?? chip.price;
  return {
    time: seconds(time),
    gpuHours,
    energyKilowattHours: power === null ? null : (gpuHours * power) / 1000,
    costUsd: price === null ? null : gpuHours * price,
    pricePerGpuHour: price,
    priceDate: price === null || run.pricePerGpuHour !== undefined ? null : acceleratorsChecked,
  };
}

function unknown(reason: string): ThroughputEstimate {
  return {
    mfu: null,
    hfu: null,
    range: null,
    tokensPerSecondPerGpu: null,
    stepTime: null,
    parts: none() as Record<TimePart, Seconds>,
    band: 0,
    basis: reason,
    limit: `Not projected: ${reason}.`,
    training: null,
  };
}
