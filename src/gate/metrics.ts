import type { Estimate } from '../model/estimate.ts';

/** How a quantity is written (`report/format.ts`). */
export type Unit = 'bytes' | 'parameters' | 'flops' | 'ratio' | 'tokens_per_second' | 'seconds' | 'dollars';

/** One thing that is compared. An entry here is a row of the diff, a possible budget, and a line of the JSON. */
export type Metric = {
  readonly id: string;
  readonly label: string;
  readonly unit: Unit;
  /** Which way is worse. */
  readonly worse: 'up' | 'down';
  /** undefined where the estimate does not know it. */
  readonly take: (estimate: Estimate) => number | undefined;
  /** Part of the comment's table. */
  readonly shown: boolean;
};

const known = (value: number | null | undefined): number | undefined => value ?? undefined;

export const metrics = [
  { id: 'memory', label: 'Memory per GPU', unit: 'bytes', worse: 'up', take: (e) => e.memory.device, shown: true },
  {
    id: 'parameters',
    label: 'Parameters',
    unit: 'parameters',
    worse: 'up',
    take: (e) => e.parameters.total,
    shown: true,
  },
  {
    id: 'active_parameters',
    label: 'Active parameters',
    unit: 'parameters',
    worse: 'up',
    take: (e) => e.parameters.active,
    shown: true,
  },
  {
    id: 'training_flops_per_token',
    label: 'Training FLOPs per token',
    unit: 'flops',
    worse: 'up',
    take: (e) => e.flops.training,
    shown: true,
  },
  {
    id: 'mfu',
    label: 'Projected MFU',
    unit: 'ratio',
    worse: 'down',
    take: (e) => known(e.throughput.mfu),
    shown: true,
  },
  {
    id: 'tokens_per_second_per_gpu',
    label: 'Tokens per second and GPU',
    unit: 'tokens_per_second',
    worse: 'down',
    take: (e) => known(e.throughput.tokensPerSecondPerGpu),
    shown: false,
  },
  {
    id: 'step_time',
    label: 'Step time',
    unit: 'seconds',
    worse: 'up',
    take: (e) => known(e.throughput.stepTime),
    shown: false,
  },
  {
    id: 'training_cost',
    label: 'Cost of the token budget',
    unit: 'dollars',
    worse: 'up',
    take: (e) => known(e.throughput.training?.costUsd),
    shown: false,
  },
  {
    id: 'cache_per_sequence',
    label: 'KV cache per sequence',
    unit: 'bytes',
    worse: 'up',
    take: (e) => e.inference.cachePerSequence,
    shown: false,
  },
] as const satisfies readonly Metric[];

export type MetricId = (typeof metrics)[number]['id'];

/** A metric by its id; undefined where there is none. */
export function findMetric(id: string): Metric | undefined {
  return metrics.find((metric) => metric.id === id);
}
