import type { Cost, MemoryEstimate, ThroughputEstimate } from '../model/estimate.ts';
import type { Problem } from '../model/reading.ts';
import type { TrainingRun } from '../model/run.ts';

/** Measured over projected, of a run that was measured. */
export type Calibrations = Pick<TrainingRun, 'calibration' | 'memoryCalibration'>;

/** A measurement that is this many times the projection, or less than it by as much, was of something else. */
const farthest = { throughput: 5, memory: 2 };

/**
 * What scales the projections of a run: a ratio that it states, that of the run which it is a change of, or what it reached itself.
 *
 * @param before undefined where the run is no change of another
 */
export function calibrationsOf(
  run: TrainingRun,
  before: Calibrations | undefined,
  { tokensPerSecondPerGpu }: ThroughputEstimate,
  { device }: MemoryEstimate,
): Calibrations {
  const own = before === undefined;
  const projected = tokensPerSecondPerGpu === null ? undefined : tokensPerSecondPerGpu * run.gpus;
  const throughput = own ? ratio(run.measuredTokensPerSecond, projected, farthest.throughput) : before.calibration;
  const memory = own ? ratio(run.measuredDeviceBytes, device, farthest.memory) : before.memoryCalibration;
  const calibration = run.calibration ?? throughput;
  const memoryCalibration = run.memoryCalibration ?? memory;
  return {
    ...(calibration === undefined ? {} : { calibration }),
    ...(memoryCalibration === undefined ? {} : { memoryCalibration }),
  };
}

/** Measured over projected; undefined where one is missing, or where they are too far apart to be of one run. */
function ratio(measured: number | undefined, projected: number | undefined, most: number): number | undefined {
  if (measured === undefined || projected === undefined) return undefined;
  const found = measured / projected;
  return found > most || found < 1 / most ? undefined : found;
}

/** A sentence for each measurement that the run states and that scales nothing. */
export function unusedMeasurements({ run: { run }, memory, throughput }: Cost): readonly Problem[] {
  const { tokensPerSecondPerGpu: perGpu } = throughput;
  const reached = run.calibration === undefined && perGpu !== null ? run.measuredTokensPerSecond : undefined;
  const shown = run.memoryCalibration === undefined ? run.measuredDeviceBytes : undefined;
  return [
    ...(reached === undefined ? [] : [unused('tokens_per_second', reached / ((perGpu ?? 1) * run.gpus))]),
    ...(shown === undefined ? [] : [unused('device_gib', shown / memory.device)]),
  ];
}

const unused = (name: string, times: number): Problem => ({
  severity: 'warning',
  message: `calibration.${name} is ${times.toPrecision(2)} times what is projected, and is not used: it was measured of a config that is not here before this change, or is too far away to be of this run.`,
  key: `calibration.${name}`,
});
