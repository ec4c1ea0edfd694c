// Published runs as cases, and what this tool projects for them. For the scripts that evaluate the time model.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countFlops } from '../src/cost/count/flops.ts';
import { expand } from '../src/cost/expand/model.ts';
import type { TimeFacts } from '../src/cost/time/context.ts';
import { projectTime } from '../src/cost/time/step.ts';
import type { FlopCount } from '../src/model/estimate.ts';
import type { Operations } from '../src/model/operation.ts';
import type { SettledRun, TrainingRun } from '../src/model/run.ts';
import { readConfig } from '../src/read/config.ts';
import { runOf } from '../src/setup/description.ts';
import { settleRun } from '../src/setup/settle.ts';

export type Case = {
  readonly id: string;
  readonly group: string;
  readonly model: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly run: Readonly<Record<string, unknown>>;
  readonly tokensPerSecondPerGpu: number;
  readonly source: string;
  /** in no fit: the model is only held against it */
  readonly check?: boolean;
};

/** Kinds of run with a band of their own. */
export const kinds = [
  'dense, 16 bits',
  'dense, 8 or 4 bits',
  'mixture of experts',
  'adapters and fine-tuning',
] as const;
export type Kind = (typeof kinds)[number];

type StoredCase = Omit<Case, 'tokensPerSecondPerGpu' | 'config'> & {
  readonly config: Case['config'] | number;
  readonly time_comparable?: boolean;
  readonly tokensPerSecondPerGpu?: number;
  readonly measured?: { readonly tokens_per_s_per_gpu?: number | null; readonly step_time_s?: number | null };
};

export const committed = join(import.meta.dirname, '..', 'test', 'oracle', 'runs.json');

/** The cases of a file that state a throughput. */
export function loadCases(path = committed): readonly Case[] {
  if (!existsSync(path)) throw new Error(`There is no file ${path}.`);
  const stored = JSON.parse(readFileSync(path, 'utf8')) as
    | readonly StoredCase[]
    | { readonly configs: readonly Case['config'][]; readonly rows: readonly StoredCase[] };
  const { configs, rows } = 'rows' in stored ? stored : { configs: [], rows: stored };
  return rows.flatMap((row) => {
    const config = typeof row.config === 'number' ? configs[row.config] : row.config;
    const measured = throughput(row);
    if (config === undefined || measured === undefined || row.time_comparable === false) return [];
    return [{ ...row, config, tokensPerSecondPerGpu: measured }];
  });
}

function throughput({ measured, tokensPerSecondPerGpu, run }: StoredCase): number | undefined {
  if (tokensPerSecondPerGpu !== undefined) return tokensPerSecondPerGpu;
  if (measured?.tokens_per_s_per_gpu) return measured.tokens_per_s_per_gpu;
  if (!measured?.step_time_s) return undefined;
  return (
    (Number(run['global_batch_size']) * Number(run['sequence_length'])) / measured.step_time_s / Number(run['gpus'])
  );
}

export type Prepared = { readonly operations: Operations; readonly settled: SettledRun };
const prepared = new WeakMap<object, Prepared | string>();

/** A case read as the tool reads it, or why it could not be. */
export function prepare(one: Case): Prepared | string {
  const known = prepared.get(one);
  if (known !== undefined) return known;
  const result = read(one);
  prepared.set(one, result);
  return result;
}

function read(one: Case): Prepared | string {
  const reading = readConfig(new TextEncoder().encode(JSON.stringify(one.config)), 'config.json');
  if (reading.kind === 'unread') return reading.problems.map(({ message }) => message).join(' ');
  const stated = runOf(one.run, 'run.yml');
  if (stated.kind === 'wrong') return stated.problems.map(({ message }) => message).join(' ');
  const settling = settleRun([{ origin: 'run', fields: stated.fields }, ...reading.run], reading.architecture);
  if (settling.kind === 'unsettled') return settling.problems.map(({ message }) => message).join(' ');
  return { operations: expand(reading.architecture), settled: settling.settled };
}

const counted = new WeakMap<Prepared, FlopCount>();

function flopsOf(ready: Prepared): FlopCount {
  const known = counted.get(ready) ?? countFlops(ready.operations, ready.settled.run);
  counted.set(ready, known);
  return known;
}

export type Projected = {
  readonly ratio: number;
  readonly kind: Kind;
  readonly failed?: string;
  readonly step?: number;
  readonly measuredStep?: number;
  readonly mfu?: number;
  readonly band?: number;
  readonly parts?: Readonly<Record<string, number>>;
};

/** Projected over measured tokens per second. */
export function project(one: Case, facts?: TimeFacts): Projected {
  const ready = prepare(one);
  if (typeof ready === 'string') return { ratio: Number.NaN, kind: 'dense, 16 bits', failed: ready };
  const { operations, settled } = ready;
  const { run } = settled;
  const kind = kindOf(operations, run);
  const time = projectTime(operations, flopsOf(ready), settled, facts);
  if (time.tokensPerSecondPerGpu === null) return { ratio: Number.NaN, kind, failed: time.basis };
  return {
    ratio: time.tokensPerSecondPerGpu / one.tokensPerSecondPerGpu,
    kind,
    step: time.stepTime ?? 0,
    measuredStep: (run.globalBatchSize * run.sequenceLength) / run.gpus / one.tokensPerSecondPerGpu,
    ...(time.mfu === null ? {} : { mfu: time.mfu }),
    parts: time.parts,
    band: time.band,
  };
}

function kindOf(operations: Operations, run: TrainingRun): Kind {
  if (run.framework === 'transformers' || run.lora !== undefined) return 'adapters and fine-tuning';
  if (operations.layers.some((layer) => layer.operations.some(({ kind }) => kind === 'dispatch')))
    return 'mixture of experts';
  return ['fp8', 'mxfp8', 'fp4'].includes(run.precision) ? 'dense, 8 or 4 bits' : 'dense, 16 bits';
}

export const error = ({ ratio }: { readonly ratio: number }): number =>
  Number.isFinite(ratio) ? Math.abs(ratio - 1) : 1;

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
