import type { Estimate } from '../cost/estimate.ts';

/** How a value of a metric is written (`report/format.ts`). */
export type Unit =
  | 'bytes'
  | 'parameters'
  | 'flops'
  | 'share'
  | 'tokens_per_second'
  | 'seconds'
  | 'hours'
  | 'kilowatt_hours'
  | 'usd';

/** One quantity that is compared, shown and limited. An entry in the table below is all that a new one takes. */
export type Metric = {
  readonly id: string;
  /** As a row or a column is called. */
  readonly label: string;
  readonly unit: Unit;
  /** In base units; null where it cannot be known. */
  readonly take: (estimate: Estimate) => number | null;
  /** Which way is worse. */
  readonly worse: 'up' | 'down';
  /** `fail-on: increase` looks at it. */
  readonly gated: boolean;
  /** Where the comment shows it: a column of the overview, or a row of the folded table. */
  readonly shown: 'overview' | 'details';
};

/** In the order in which they are shown. */
export const metrics = [
  {
    id: 'memory',
    label: 'Memory per GPU',
    unit: 'bytes',
    take: ({ memory }) => memory.device,
    worse: 'up',
    gated: true,
    shown: 'overview',
  },
  {
    id: 'parameters',
    label: 'Parameters',
    unit: 'parameters',
    take: ({ parameters }) => parameters.total,
    worse: 'up',
    gated: true,
    shown: 'overview',
  },
  {
    id: 'active_parameters',
    label: 'Active parameters',
    unit: 'parameters',
    take: ({ parameters }) => parameters.active,
    worse: 'up',
    gated: true,
    shown: 'details',
  },
  {
    id: 'training_flops',
    label: 'Training FLOPs/token',
    unit: 'flops',
    take: ({ flops }) => flops.training,
    worse: 'up',
    gated: true,
    shown: 'overview',
  },
  {
    id: 'mfu',
    label: 'Projected MFU',
    unit: 'share',
    take: ({ throughput }) => throughput.mfu,
    worse: 'down',
    gated: false,
    shown: 'overview',
  },
  {
    id: 'tokens_per_second',
    label: 'Tokens/s per GPU',
    unit: 'tokens_per_second',
    take: ({ throughput }) => throughput.tokensPerSecondPerGpu,
    worse: 'down',
    gated: false,
    shown: 'details',
  },
  {
    id: 'step_time',
    label: 'Step time',
    unit: 'seconds',
    take: ({ throughput }) => throughput.stepTime,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'training_time',
    label: 'Training time',
    unit: 'seconds',
    take: ({ throughput }) => throughput.training?.time ?? null,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'gpu_hours',
    label: 'GPU hours',
    unit: 'hours',
    take: ({ throughput }) => throughput.training?.gpuHours ?? null,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'energy',
    label: 'Training energy',
    unit: 'kilowatt_hours',
    take: ({ throughput }) => throughput.training?.energyKilowattHours ?? null,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'cost',
    label: 'Training cost',
    unit: 'usd',
    take: ({ throughput }) => throughput.training?.costUsd ?? null,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'kv_cache',
    label: 'KV cache per sequence',
    unit: 'bytes',
    take: ({ inference }) => inference.cachePerSequence,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
  {
    id: 'checkpoint',
    label: 'Checkpoint size',
    unit: 'bytes',
    take: ({ parameters }) => parameters.checkpoint,
    worse: 'up',
    gated: false,
    shown: 'details',
  },
] as const satisfies readonly Metric[];

export type MetricId = (typeof metrics)[number]['id'];

const byId = new Map<string, Metric>(metrics.map((metric) => [metric.id, metric]));

/** The metric of an id, or undefined where there is none. */
export const findMetric = (id: string): Metric | undefined => byId.get(id);

/** True where the value got worse in the metric's own sense. */
export const worsened = ({ worse }: Metric, before: number, after: number): boolean =>
  worse === 'up' ? after > before : after < before;
