import type { Estimate, MemoryEstimate } from '../cost/estimate.ts';
import type { Bytes } from '../units.ts';
import { findMetric, type MetricId, metrics, worsened } from './metrics.ts';
import type { Comparison, Finding } from './review.ts';

/** What one GPU may hold: an amount, or a share of the accelerator's usable memory (0.9). */
export type MemoryLimit = { readonly bytes: Bytes } | { readonly share: number };

export type FailOn = 'over-budget' | 'increase' | 'never';

/** A further limit on one metric. */
export type MetricLimit = {
  readonly metric: MetricId;
  /** What going beyond the limit leads to. */
  readonly level: 'fail' | 'warn';
  readonly at:
    | { /** the worst value allowed, in base units: a maximum, or a minimum where lower is worse */
        readonly kind: 'absolute'; readonly value: number }
    | { /** how much worse the head may be than the base, in base units */
        readonly kind: 'increase'; readonly by: number }
    | { /** the same as a ratio of the base's value: 0.05 is 5 % */
        readonly kind: 'increase_ratio'; readonly by: number };
};

/** A failure that somebody agreed to for a while. */
export type Waiver = {
  /** the last day on which it holds, `2026-12-31` */
  readonly until: string;
  readonly reason: string;
  /** only findings on this metric; absent: on all */
  readonly metric?: MetricId;
};

/** What holds for one config. */
export type Budgets = {
  readonly memory: { readonly limit: MemoryLimit };
  readonly failOn: FailOn;
  readonly limits: readonly MetricLimit[];
  /** those whose pattern matches the path */
  readonly waivers: readonly Waiver[];
  /** the day of the run, `2026-11-24`: what waivers are held against */
  readonly today: string;
};

/** 100 % of the usable memory, failing over it. */
export const defaultBudgets = (today: string): Budgets => ({
  memory: { limit: { share: 1 } },
  failOn: 'over-budget',
  limits: [],
  waivers: [],
  today,
});

/** A finding without its sentence: `report/notes.ts` words it. */
export type Rule = (comparison: Comparison, budgets: Budgets) => readonly Omit<Finding, 'path' | 'message'>[];

/** The budget in bytes, or null where it is a share of a capacity that is unknown. */
export function memoryBudget(memory: MemoryEstimate, limit: MemoryLimit): number | null {
  if ('bytes' in limit) return limit.bytes;
  return memory.capacity === null ? null : memory.capacity * limit.share;
}
