import { findMetric, type MetricId } from './metrics.ts';
import type { Comparison, Finding, Severity } from './review.ts';

/** A limit of the memory budget: absolute, or a share of the accelerator's usable memory. */
export type MemoryLimit =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'share'; readonly share: number };

/** A limit of another metric: what it may be, or how much of itself it may grow by (shrink by, where less is worse). */
export type Limit = {
  readonly metric: MetricId;
  readonly kind: 'absolute' | 'increase';
  readonly value: number;
  readonly severity: Severity;
};

export type Waiver = { readonly until: string; readonly reason: string };

/** What one config is held against. */
export type Budgets = {
  readonly memory: MemoryLimit;
  readonly failOn: 'over-budget' | 'increase' | 'never';
  readonly limits: readonly Limit[];
  /** A waiver that holds today turns failures into warnings. */
  readonly waiver?: Waiver;
};

/** One reason to say something of a comparison. */
export type Rule = (comparison: Comparison, budgets: Budgets) => readonly Finding[];

/** A memory share this small is noise of floating point, not growth. */
const noise = 1e-6;

/**
 * Memory per GPU against its budget, told apart: over because of this change or worse than before (fail), over and not
 * worse (warn), unknown (warn).
 */
export const memoryRule: Rule = (comparison, budgets) => {
  const head = comparison.head?.estimate;
  if (head === undefined) return [];
  const { path } = comparison;
  const limit = memoryLimit(comparison, budgets);
  const after = head.memory.device;
  if (limit === undefined) {
    const message = `The memory of ${head.run.run.accelerator} is unknown: set memory-budget to an amount like 80GB.`;
    return [{ code: 'memory-unknown', path, metric: 'memory', severity: 'warn', after, message }];
  }
  if (after <= limit) return [];
  const before = comparison.base?.estimate?.memory.device;
  const finding = (code: string, severity: Severity, message: string): readonly Finding[] => [
    {
      code,
      path,
      metric: 'memory',
      severity,
      ...(before === undefined ? {} : { before }),
      after,
      limit,
      ...lineOf(comparison),
      message,
    },
  ];
  if (before === undefined)
    return finding('memory-over-budget', 'fail', 'This new config needs more memory per GPU than the budget allows.');
  const baseLimit = memoryLimit({ ...comparison, head: comparison.base } as Comparison, budgets) ?? limit;
  if (before <= baseLimit)
    return finding('memory-over-budget', 'fail', 'This change takes memory per GPU over the budget.');
  if (after > before * (1 + noise))
    return finding('memory-worse', 'fail', 'Memory per GPU was over the budget before, and this change adds to it.');
  if (after < before * (1 - noise))
    return finding('memory-improved', 'warn', 'Memory per GPU is still over the budget, but less than before.');
  return finding(
    'memory-already-over',
    'warn',
    'Memory per GPU was over the budget before this change, which does not move it.',
  );
};

export function memoryLimit(comparison: Comparison, budgets: Budgets): number | undefined {
  if (budgets.memory.kind === 'bytes') return budgets.memory.bytes;
  const capacity = comparison.head?.estimate?.memory.capacity ?? undefined;
  return capacity === undefined ? undefined : capacity * budgets.memory.share;
}

const lineOf = (comparison: Comparison) => {
  const line = comparison.fields.find((field) => field.line !== undefined)?.line;
  return line === undefined ? {} : { line };
};

/** `fail-on: increase`: no metric of the table may get worse. */
const increaseRule: Rule = (comparison, budgets) => {
  if (budgets.failOn !== 'increase') return [];
  return comparison.changes.flatMap(({ metric: id, before, after }): readonly Finding[] => {
    const metric = findMetric(id);
    if (!metric?.shown || before === undefined || after === undefined || !worse(metric.worse, before, after)) return [];
    return [
      {
        code: 'increase',
        path: comparison.path,
        metric: id,
        severity: 'fail',
        before,
        after,
        ...lineOf(comparison),
        message: `${metric.label} got worse, and fail-on is increase.`,
      },
    ];
  });
};

const worse = (direction: 'up' | 'down', before: number, after: number) =>
  direction === 'up' ? after > before * (1 + noise) : after < before * (1 - noise);

/** The policy's own limits. */
const limitRule: Rule = (comparison, budgets) =>
  budgets.limits.flatMap((limit): readonly Finding[] => {
    const metric = findMetric(limit.metric);
    const change = comparison.changes.find((one) => one.metric === limit.metric);
    const after = change?.after;
    if (metric === undefined || after === undefined) return [];
    const before = change?.before;
    if (limit.kind === 'increase' && before === undefined) return [];
    const bound =
      limit.kind === 'absolute'
        ? limit.value
        : (before ?? 0) * (metric.worse === 'up' ? 1 + limit.value : 1 - limit.value);
    if (!worse(metric.worse, bound, after)) return [];
    const unmoved =
      limit.kind === 'absolute' &&
      before !== undefined &&
      worse(metric.worse, bound, before) &&
      !worse(metric.worse, before, after);
    const code = unmoved ? 'limit-already-over' : limit.kind === 'absolute' ? 'over-limit' : 'grows-too-much';
    const severity = unmoved ? 'warn' : limit.severity;
    const message = unmoved
      ? `${metric.label} was beyond its limit before this change.`
      : limit.kind === 'absolute'
        ? `${metric.label} is beyond its limit.`
        : `${metric.label} moves by more than the policy allows in one change.`;
    return [
      {
        code,
        path: comparison.path,
        metric: limit.metric,
        severity,
        ...(before === undefined ? {} : { before }),
        after,
        limit: bound,
        ...lineOf(comparison),
        message,
      },
    ];
  });

/** A config that cannot be read fails the gate where the user named it, and warns where it was only recognised. */
const unreadableRule: Rule = (comparison) => {
  if (comparison.status !== 'unreadable') return [];
  const side = comparison.head ?? comparison.base;
  const problem = side?.reading.problems.find(({ severity }) => severity === 'error') ?? side?.reading.problems[0];
  return [
    {
      code: 'unreadable',
      path: comparison.path,
      severity: comparison.named && comparison.head !== undefined ? 'fail' : 'warn',
      ...(problem?.line === undefined ? {} : { line: problem.line }),
      message: problem?.message ?? 'The config could not be read.',
    },
  ];
};

/** Every rule, in the order in which findings are shown. */
export const rules: readonly Rule[] = [memoryRule, limitRule, increaseRule, unreadableRule];
