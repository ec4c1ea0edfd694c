import type { TrainingRun } from '../model/run.ts';
import { plain } from '../report/markdown.ts';
import { runAsWritten } from '../setup/description.ts';

/**
 * A run as a description (`run.yml`) that settles to the same run, ready to be pasted.
 *
 * @param layers of the model, for the layers of each stage where they do not divide
 */
export function describeRun(run: TrainingRun, layers: number): string {
  const {
    measuredTokensPerSecond: _,
    measuredDeviceBytes: __,
    calibration: throughput,
    memoryCalibration: device,
    ...plain
  } = withStages(run, layers);
  const scaled = throughput ?? device;
  const { parallelism, ...fields } = runAsWritten(
    scaled === undefined
      ? plain
      : { ...plain, calibration: device === undefined ? throughput : { throughput, device } },
  );
  const degrees = Object.entries(parallelism as object).map(([name, value]) => `  ${name}: ${valueText(value)}`);
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${valueText(value)}`);
  return [...lines, 'parallelism:', ...degrees, ''].join('\n');
}

/** Some fields of a run (`parallelism.tensor`, `offload`) as a description, empty where the run has none of them. */
export function describeFields(run: TrainingRun, fields: readonly string[]) {
  const { parallelism, ...others } = runAsWritten(run);
  const degrees = Object.entries(parallelism as object).map(([name, value]) => [`parallelism.${name}`, value] as const);
  const values = new Map([...Object.entries(others), ...degrees]);
  const noKeyFor = fields.filter((field) => values.get(field) !== undefined);
  const lineOf = (field: string) => `${field.replace('parallelism.', '  ')}: ${valueText(values.get(field))}\n`;
  const nested = noKeyFor.filter((field) => field.startsWith('parallelism.'));
  const flat = noKeyFor.filter((field) => !field.startsWith('parallelism.'));
  const text = [...flat.map(lineOf), ...(nested.length === 0 ? [] : ['parallelism:\n', ...nested.map(lineOf)])].join(
    '',
  );
  return { noKeyFor, text };
}

/** Words stand as they are; lists and mappings are written as in JSON, which is YAML too. */
const valueText = (value: unknown): string =>
  typeof value === 'string' && /^[a-z][a-z0-9_-]*$/.test(value) ? value : plain(JSON.stringify(value), 10_000);

/** What the first stages have more of is said, since frameworks want to be told. */
export function withStages(run: TrainingRun, layers: number): TrainingRun {
  const { pipeline } = run.parallelism;
  if (layers % pipeline === 0 || run.layersPerStage !== undefined) return run;
  const each = Math.floor(layers / pipeline);
  const layersPerStage = Array.from({ length: pipeline }, (_, stage) => each + Number(stage < layers % pipeline));
  return { ...run, layersPerStage };
}
