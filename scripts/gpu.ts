// Training steps that were measured on a GPU (test/oracle/gpu.jsonl, scripts/gpu/measure.py), and what this tool says of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { estimate } from '../src/cost/engine.ts';
import { readConfig } from '../src/read/config.ts';
import { runOf } from '../src/setup/description.ts';
import { settleRun } from '../src/setup/settle.ts';

type Row = {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly run: Readonly<Record<string, unknown>>;
  readonly measured: {
    readonly parameters: number;
    readonly trainable: number;
    readonly allocated: number;
    readonly reserved: number;
    readonly device: number;
    readonly step_seconds: number;
  };
};

/** One step: our figures over the measured ones, less one, and whether those lie within the bands that we print. */
export type Step = {
  readonly name: string;
  readonly accelerator: string;
  readonly framework: string;
  readonly kind: string;
  readonly parameters: number;
  readonly allocated: number;
  readonly reserved: number;
  readonly device: number;
  readonly seconds: number;
  readonly band: number;
  readonly inBand: boolean;
  readonly inMfuBand: boolean;
};

const file = join(import.meta.dirname, '..', 'test', 'oracle', 'gpu.jsonl');

export const steps = (): readonly Step[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
    .filter((row) => 'run' in row)
    .map(compared);

function compared({ name, config, run, measured }: Row): Step {
  const reading = readConfig(new TextEncoder().encode(JSON.stringify(config)), 'config.json');
  const stated = runOf(run, 'run.yml');
  if (reading.kind === 'unread' || stated.kind === 'wrong') throw new Error(`${name} is not read`);
  const settling = settleRun([{ origin: 'run', fields: stated.fields }], reading.architecture);
  if (settling.kind === 'unsettled') throw new Error(`${name} contradicts itself`);
  const { memory, throughput, parameters } = estimate(reading.architecture, settling.settled);
  const base = run['lora'] === undefined ? measured.parameters : measured.parameters - measured.trainable;
  const device = memory.device / measured.device - 1;
  const seconds = (throughput.stepTime ?? Number.NaN) / measured.step_seconds - 1;
  return {
    name,
    accelerator: String(run['accelerator']),
    framework: String(run['framework']),
    kind: kindOf(config, run),
    parameters: parameters.total - base,
    allocated: memory.allocated / measured.allocated - 1,
    reserved: memory.reserved / measured.reserved - 1,
    device,
    seconds,
    band: memory.band,
    inBand: Math.abs(device) <= memory.band,
    inMfuBand: Math.abs(Math.log(1 + seconds)) <= throughput.band,
  };
}

function kindOf(config: Row['config'], run: Row['run']): string {
  const experts = Object.keys(config).some((key) => /experts/.test(key));
  const what =
    run['lora'] !== undefined
      ? 'adapters'
      : experts
        ? 'experts'
        : config['model_type'] === 'bert'
          ? 'encoder'
          : 'dense';
  return run['recompute'] === 'full' ? `${what}, recompute` : run['compile'] === true ? `${what}, compiled` : what;
}
