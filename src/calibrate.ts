import { estimate } from './cost/engine.ts';
import type { RunFields } from './model/run.ts';
import { readConfig } from './read/config.ts';
import type { Calibration } from './settings/machines.ts';
import type { Hardware } from './settings/policy.ts';
import { type ReadSettings, settingsFrom } from './settings/settings.ts';
import { settleRun } from './setup/settle.ts';

/** A measurement this far from the projection was of something else: another model, unit or number of GPUs. */
const farthest = 5;

/** Measured over projected tokens per second of the run that a machine was measured with. */
function calibrate({ name, fields, measured }: Hardware): Calibration | undefined {
  if (measured === undefined) return undefined;
  const wrong = (sentence: string): Calibration => ({
    kind: 'wrong',
    sentence: `The calibration of ${name} cannot be used: ${sentence}`,
  });
  const { config, run, tokensPerSecond } = measured;
  const reading = readConfig(config.bytes, config.name);
  if (reading.kind === 'unread')
    return wrong(`${config.name}: ${reading.problems[0]?.message ?? 'could not be read.'}`);
  const settling = settleRun(
    [
      { origin: 'policy', fields: uncalibrated(run) },
      { origin: 'policy', fields: uncalibrated(fields) },
      ...reading.run,
    ],
    reading.architecture,
  );
  if (settling.kind === 'unsettled') return wrong(settling.problems[0]?.message ?? 'its run contradicts itself.');
  const { throughput } = estimate(reading.architecture, settling.settled);
  if (throughput.tokensPerSecondPerGpu === null) return wrong(`${throughput.limit}.`);
  const { gpus } = settling.settled.run;
  const projected = throughput.tokensPerSecondPerGpu * gpus;
  const ratio = tokensPerSecond / projected;
  if (ratio > farthest || ratio < 1 / farthest) {
    return wrong(
      `it states ${Math.round(tokensPerSecond)} tokens per second on ${gpus} GPUs, where ${Math.round(projected)} are projected; check the model, the run and that the figure is of all GPUs together.`,
    );
  }
  return { kind: 'ratio', ratio, measured: tokensPerSecond, projected };
}

/** The measurement is held against the bare projection, whatever its run description scales it by. */
const uncalibrated = ({ calibration: _, measuredTokensPerSecond: __, ...fields }: RunFields): RunFields => fields;

/** Settings whose machines are calibrated by the runs that were measured on them. */
export const settingsOf: ReadSettings = (inputs, documents = {}) => settingsFrom(inputs, documents, calibrate);
