// Published peaks of memory as cases, and what this tool estimates for them. For the scripts that evaluate the memory model.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expand } from '../src/cost/expand/model.ts';
import { estimateMemory } from '../src/cost/memory/peak.ts';
import type { MemoryEstimate } from '../src/model/estimate.ts';
import { readConfig } from '../src/read/config.ts';
import { runOf } from '../src/setup/description.ts';
import { settleRun } from '../src/setup/settle.ts';

type Config = Readonly<Record<string, unknown>>;

export type MemoryCase = {
  readonly id: string;
  readonly group: string;
  readonly model: string;
  readonly config: Config;
  readonly run: Config;
  readonly measured: { readonly memory_gib: number; readonly memory_metric: string };
  readonly source: string;
};

type Stored = Omit<MemoryCase, 'config' | 'measured'> & {
  readonly config: Config | number;
  readonly measured: { readonly memory_gib?: number | null; readonly memory_metric?: string | null };
};

export const committed = join(import.meta.dirname, '..', 'test', 'oracle', 'memory.json');

/** The cases of a file that state a peak. */
export function loadMemory(path = committed): readonly MemoryCase[] {
  const stored = JSON.parse(readFileSync(path, 'utf8')) as
    | readonly Stored[]
    | { readonly configs: readonly Config[]; readonly rows: readonly Stored[] };
  const { configs, rows } = 'rows' in stored ? stored : { configs: [], rows: stored };
  return rows.flatMap((row) => {
    const config = typeof row.config === 'number' ? configs[row.config] : row.config;
    const { memory_gib, memory_metric } = row.measured;
    if (config === undefined || !memory_gib) return [];
    return [{ ...row, config, measured: { memory_gib, memory_metric: memory_metric ?? '' } }];
  });
}

export type Compared = {
  readonly one: MemoryCase;
  readonly bytes: number;
  readonly ratio: number;
  readonly error: number;
  readonly estimate?: MemoryEstimate;
  readonly failed?: string;
};

/** One case as the tool estimates it, against what was measured. */
export function compare(one: MemoryCase): Compared {
  const estimate = estimateOf(one);
  if (typeof estimate === 'string') return { one, bytes: 0, ratio: 0, error: 1, failed: estimate };
  const bytes = estimate[figure(one)];
  const ratio = bytes / 2 ** 30 / one.measured.memory_gib;
  return { one, bytes, ratio, error: Math.abs(ratio - 1), estimate };
}

/** Which of the three figures a source measured. */
export function figure({ measured }: MemoryCase): 'device' | 'reserved' | 'allocated' {
  if (/nvidia-smi|device/.test(measured.memory_metric)) return 'device';
  return /reserved/.test(measured.memory_metric) ? 'reserved' : 'allocated';
}

function estimateOf(one: MemoryCase): MemoryEstimate | string {
  const reading = readConfig(new TextEncoder().encode(JSON.stringify(one.config)), 'config.json');
  if (reading.kind === 'unread') return reading.problems.map(({ message }) => message).join(' ');
  const stated = runOf(one.run, 'run.yml');
  if (stated.kind === 'wrong') return stated.problems.map(({ message }) => message).join(' ');
  const settling = settleRun([{ origin: 'run', fields: stated.fields }, ...reading.run], reading.architecture);
  if (settling.kind === 'unsettled') return settling.problems.map(({ message }) => message).join(' ');
  return estimateMemory(expand(reading.architecture), settling.settled.run);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
export const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
