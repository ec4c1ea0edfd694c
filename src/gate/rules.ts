import type { Estimate } from '../model/estimate.ts';
import type { Problem } from '../model/reading.ts';
import { isStated } from '../setup/settle.ts';
import { findMetric, type Metric, type MetricId } from './metrics.ts';
import type { Comparison, Finding, FindingCode, HeldLimit, Severity, Side } from './review.ts';
import { failsUnread, isRead } from './unread.ts';

/** Which way a limit binds: what a metric may be, or how far one change may move it. */
export type Bound = 'max' | 'min' | 'max_increase' | 'max_decrease';

/** One limit of one metric. */
export type Limit = {
  readonly metric: MetricId;
  readonly bound: Bound;
  readonly amount: Amount;
  readonly severity: 'fail' | 'warn';
  readonly origin: 'input' | 'policy' | 'default';
};

/**
 * In the metric's own unit, or as a share: of the accelerator's usable memory where it limits what memory may be, of the value
 * before the change where it limits a move.
 */
export type Amount =
  | { readonly kind: 'absolute'; readonly value: number }
  | { readonly kind: 'share'; readonly share: number };

/** Lets findings pass as warnings through a day, for a reason that is shown. */
export type Waiver = {
  /** metrics and finding codes that it covers */
  readonly covers: readonly string[];
  /** ISO date, the last day on which it holds (UTC) */
  readonly until: string;
  readonly reason: string;
};

/** The limits and waivers that hold for one config. */
export type Budgets = {
  readonly limits: readonly Limit[];
  readonly failOn: 'over-budget' | 'increase' | 'never';
  readonly waivers: readonly Waiver[];
};

/**
 * One reason to say something of a comparison.
 *
 * @param before what held for the config before this change: of its old name, where it was renamed
 */
export type Rule = (comparison: Comparison, budgets: Budgets, before: Budgets) => readonly Finding[];

/** What the metrics of an estimate may be under some limits; how far a change may move them is not among it. */
export const heldLimits = (limits: readonly Limit[], estimate: Estimate): readonly HeldLimit[] =>
  limits.flatMap((limit) => {
    const { metric, bound, severity } = limit;
    const amount = boundOf(limit, estimate, undefined);
    return amount === undefined || (bound !== 'max' && bound !== 'min') ? [] : [{ metric, bound, severity, amount }];
  });

/** A move this small is noise of floating point. */
export const noise = 1e-6;
/** What rounding adds to a product: a limit that is met exactly is kept. */
const rounding = 1e-12;

/**
 * What the metric may be at most (or at least), in its own unit; undefined where that is unknown.
 *
 * @param before the metric's value before the change, for limits of a move
 */
export function boundOf(
  { bound, amount }: Limit,
  estimate: Estimate | undefined,
  before: number | undefined,
): number | undefined {
  const capacity = estimate?.memory.capacity ?? undefined;
  switch (bound) {
    case 'max':
    case 'min':
      if (amount.kind === 'absolute') return amount.value;
      return capacity === undefined ? undefined : capacity * amount.share;
    case 'max_increase':
    case 'max_decrease': {
      if (before === undefined) return undefined;
      const step = amount.kind === 'absolute' ? amount.value : before * amount.share;
      return bound === 'max_increase' ? before + step : before - step;
    }
  }
}

const upwards = (bound: Bound) => bound === 'max' || bound === 'max_increase';
const beyond = (bound: Bound, value: number, limit: number) => (upwards(bound) ? value > limit : value < limit);

/** All limits. For each metric and bound a failing limit goes first; a warning one is reported only where that gives no finding. */
const limitRule: Rule = (comparison, { limits }, before) => {
  if (comparison.head?.estimate === undefined) return [];
  const said = new Set<string>();
  return [...limits]
    .sort((a, b) => Number(a.severity === 'warn') - Number(b.severity === 'warn'))
    .flatMap((limit) => {
      const about = `${limit.metric} ${limit.bound}`;
      const finding = said.has(about) ? undefined : check(limit, comparison, before.limits);
      const once = finding?.code === 'limit-unknown' ? `${limit.metric} unknown` : about;
      if (finding === undefined || said.has(once)) return [];
      said.add(about).add(once);
      return [finding];
    });
};

function check(limit: Limit, comparison: Comparison, before: readonly Limit[]): Finding | undefined {
  const metric = findMetric(limit.metric);
  if (metric === undefined) return undefined;
  return limit.bound === 'max' || limit.bound === 'min'
    ? checkValue(limit, metric, comparison, before)
    : checkMove(limit, metric, comparison);
}

/**
 * Compares a metric with its limit. Beyond it because of this change, or further beyond than before, has the limit's severity;
 * beyond it as before, or less than before, is a warning.
 *
 * @param limitsBefore the limits that the old value is compared with: a file that moves under stricter limits may break them
 */
function checkValue(
  limit: Limit,
  metric: Metric,
  comparison: Comparison,
  limitsBefore: readonly Limit[],
): Finding | undefined {
  const { bound } = limit;
  const [old, now] = [comparison.base?.estimate, comparison.head?.estimate];
  const after = now && metric.take(now);
  const most = boundOf(limit, now, undefined);
  const before = old && metric.take(old);
  if (after === undefined || most === undefined)
    return unknown(limit, metric, comparison, before !== undefined && boundOf(limit, old, undefined) !== undefined);
  if (!beyond(bound, after, most)) return undefined;
  const say = (standing: Standing): Finding => {
    const { code, message } = wordsOf(limit, metric, standing);
    const severity: Severity = standing === 'improved' || standing === 'unmoved' ? 'warn' : limit.severity;
    const values = { before, after, limit: most };
    return severity === 'fail' && nobodyStated(limit, comparison)
      ? finding(limit, comparison, code, 'warn', `${assumedRun} ${message}`, values)
      : finding(limit, comparison, code, severity, message, values);
  };
  if (comparison.base === undefined) return say('new');
  if (before === undefined || !wasBeyond(limit, before, limitsBefore, comparison)) return say('crossed');
  const further = upwards(bound) ? after > before * (1 + noise) : after < before * (1 - noise);
  const nearer = upwards(bound) ? after < before * (1 - noise) : after > before * (1 + noise);
  return say(further ? 'worse' : nearer ? 'improved' : 'unmoved');
}

/** Neither the budget nor the run was stated, so a failure would rest on assumptions alone. A run that the change removes counts as stated. */
const nobodyStated = ({ origin }: Limit, { base, head }: Comparison): boolean =>
  origin === 'default' && ![base, head].some((side) => side?.estimate !== undefined && isStated(side.estimate.run));

const assumedRun = 'Nobody said how this model is trained, so the run is assumed and this is only a warning.';

/** The old value broke a limit of the same kind and at least the same severity, under the config's old path. */
function wasBeyond(limit: Limit, before: number, limitsBefore: readonly Limit[], comparison: Comparison): boolean {
  const { metric, bound, severity } = limit;
  return limitsBefore
    .filter((one) => one.metric === metric && one.bound === bound && [severity, 'fail'].includes(one.severity))
    .some((one) => {
      const most =
        boundOf(one, comparison.base?.estimate, undefined) ?? boundOf(one, comparison.head?.estimate, undefined);
      return most !== undefined && beyond(bound, before, most);
    });
}

/** Whether a value went beyond its limit by this change or was there before. */
type Standing = 'new' | 'crossed' | 'worse' | 'improved' | 'unmoved';

function wordsOf(limit: Limit, metric: Metric, standing: Standing): { code: FindingCode; message: string } {
  if (limit.metric === 'memory' && limit.bound === 'max' && limit.severity === 'fail') return memoryWords[standing];
  const side = limit.bound === 'max' ? 'over' : 'under';
  switch (standing) {
    case 'new':
      return { code: 'over-limit', message: `${metric.label}: ${side} the limit.` };
    case 'crossed':
      return { code: 'over-limit', message: `${metric.label}: this change goes ${side} the limit.` };
    case 'worse':
      return {
        code: 'limit-worse',
        message: `${metric.label}: ${side} the limit before, and this change goes further.`,
      };
    case 'improved':
      return { code: 'limit-improved', message: `${metric.label}: still ${side} the limit, but nearer than before.` };
    case 'unmoved':
      return {
        code: 'limit-already-over',
        message: `${metric.label}: ${side} the limit before this change, which does not move it.`,
      };
  }
}

const memoryWords: Readonly<Record<Standing, { readonly code: FindingCode; readonly message: string }>> = {
  new: {
    code: 'memory-over-budget',
    message: 'This config needs more memory per GPU than the budget allows.',
  },
  crossed: { code: 'memory-over-budget', message: 'This change takes memory per GPU over the budget.' },
  worse: {
    code: 'memory-worse',
    message: 'Memory per GPU was over the budget before, and this change adds to it.',
  },
  improved: { code: 'memory-improved', message: 'Memory per GPU is still over the budget, but less than before.' },
  unmoved: {
    code: 'memory-already-over',
    message: 'Memory per GPU was over the budget before this change, which does not move it.',
  },
};

/** Compares how far the change moves a metric with how far it may. A new config has nothing to move from. */
function checkMove(limit: Limit, metric: Metric, comparison: Comparison): Finding | undefined {
  const { base, head } = comparison;
  if (base === undefined) return undefined;
  const before = base.estimate && metric.take(base.estimate);
  const after = head?.estimate && metric.take(head.estimate);
  const most = boundOf(limit, head?.estimate, before);
  if (after === undefined || before === undefined || most === undefined)
    return unknown(limit, metric, comparison, before !== undefined);
  const up = limit.bound === 'max_increase';
  const slack = rounding * Math.abs(most);
  if (up ? after <= most + slack : after >= most - slack) return undefined;
  const message = `${metric.label}: ${up ? 'grows by more than one change may add' : 'falls by more than one change may take away'}.`;
  const code = up ? 'grows-too-much' : 'shrinks-too-much';
  return finding(limit, comparison, code, limit.severity, message, { before, after, limit: most });
}

/**
 * A limit whose metric is unknown, which must never pass in silence. It has the limit's severity where the change made the metric
 * unknown, since a value could be hidden to get past its limit. What was unknown before only warns, and so does the built-in
 * budget, since no user set it.
 */
function unknown(limit: Limit, metric: Metric, comparison: Comparison, wasKnown: boolean): Finding {
  const { base, head } = comparison;
  const before = base?.estimate && metric.take(base.estimate);
  const after = head?.estimate && metric.take(head.estimate);
  const caused = base === undefined || wasKnown;
  const severity = caused && limit.origin !== 'default' ? limit.severity : 'warn';
  const memory = limit.metric === 'memory' && limit.bound === 'max' && limit.severity === 'fail';
  const message = memory
    ? `The memory of ${head?.estimate?.run.run.accelerator ?? 'the accelerator'} is unknown: set the budget to an amount like 80GB.`
    : after === undefined
      ? `${metric.label}: unknown, so its limit cannot be checked. ${reasonOf(metric, head?.estimate)}`.trim()
      : `${metric.label}: unknown before this change, so how far it moves cannot be checked.`;
  return finding(limit, comparison, memory ? 'memory-unknown' : 'limit-unknown', severity, message, { before, after });
}

/** Why an estimate lacks a metric, where the engine says. */
function reasonOf(metric: Metric, estimate: Estimate | undefined): string {
  if (estimate === undefined) return '';
  if (estimate.throughput.mfu === null) return sentenceOf(estimate.throughput.limit);
  return metric.unit === 'dollars' ? 'Nobody states a price: set price_per_gpu_hour.' : '';
}

const sentenceOf = (words: string) =>
  words === '' ? '' : `${words.charAt(0).toUpperCase()}${words.slice(1)}${words.endsWith('.') ? '' : '.'}`;

function finding(
  limit: Limit,
  comparison: Comparison,
  code: FindingCode,
  severity: Severity,
  message: string,
  values: {
    readonly before: number | undefined;
    readonly after: number | undefined;
    readonly limit?: number;
  },
): Finding {
  const { before, after } = values;
  return {
    code,
    path: comparison.path,
    metric: limit.metric,
    severity,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(values.limit === undefined ? {} : { limit: values.limit }),
    ...lineOf(comparison),
    message,
  };
}

const lineOf = (comparison: Comparison) => {
  const line = comparison.fields.find((field) => field.line !== undefined)?.line;
  return line === undefined ? {} : { line };
};

/** `fail-on: increase`: no metric of the table may get worse, and none may become unknown. */
const increaseRule: Rule = (comparison, { failOn }) => {
  if (failOn !== 'increase' || comparison.head?.estimate === undefined) return [];
  return comparison.changes.flatMap(({ metric: id, before, after }): readonly Finding[] => {
    const metric = findMetric(id);
    if (!metric?.shown || before === undefined || (after !== undefined && !worse(metric, before, after))) return [];
    return [
      {
        code: 'increase',
        path: comparison.path,
        metric: id,
        severity: 'fail',
        before,
        ...(after === undefined ? {} : { after }),
        ...lineOf(comparison),
        message:
          after === undefined
            ? `${metric.label} is unknown after this change, and fail-on is increase.`
            : `${metric.label} got worse, and fail-on is increase.`,
      },
    ];
  });
};

const worse = (metric: Metric, before: number, after: number) =>
  metric.worse === 'up' ? after > before * (1 + noise) : after < before * (1 - noise);

/** A config that cannot be read is never within a budget; `failsUnread` says where it fails. */
const unreadableRule: Rule = (comparison) => {
  if (comparison.status !== 'unreadable') return [];
  const side = comparison.head ?? comparison.base;
  const problem = side?.reading.problems.find(({ severity }) => severity === 'error') ?? side?.reading.problems[0];
  return [
    {
      code: 'unreadable',
      path: comparison.path,
      severity: failsUnread(comparison) ? 'fail' : 'warn',
      ...(problem?.line === undefined ? {} : { line: problem.line }),
      message: `${problem?.message ?? 'The config could not be read.'}${isRead(comparison.base) ? ' It could be read before this change.' : ''}`,
    },
  ];
};

/** A count that is not exact may be over a budget without our knowing, so it is reported. */
const approximateRule: Rule = ({ path, status, head }) => {
  if (head?.estimate?.parameters.exact !== false || status === 'unchanged') return [];
  const message = 'The counts of this config are approximate; its assumptions say why.';
  return [{ code: 'approximate', path, severity: 'notice', message }];
};

/**
 * A run that its framework refuses, or that does otherwise than it reads: a failure where it was stated, and only where this change
 * brought it about.
 */
const startRule: Rule = ({ path, base, head }) => {
  const before = new Set(hindrancesOf(base).map(({ rule, severity }) => `${rule} ${severity}`));
  return hindrancesOf(head).flatMap(({ rule, severity, message, line }): readonly Finding[] => {
    if (rule === undefined) return [];
    const stood = before.has(`${rule} ${severity}`);
    return [
      {
        code: 'cannot-start',
        path,
        severity: severity === 'error' && !stood ? 'fail' : 'warn',
        ...(line === undefined ? {} : { line }),
        message: stood ? `${message} It was so before this change.` : message,
      },
    ];
  });
};

/** What is wrong with the model or the run of a side that has an estimate. */
const hindrancesOf = (side: Side | undefined): readonly Problem[] =>
  side?.estimate === undefined ? [] : [...side.reading.problems, ...side.estimate.problems];

/** A budget above the accelerator's memory is enforced as it is stated, and lets a run pass that does not fit. */
const cardRule: Rule = ({ path, status, head }, { limits }) => {
  const { device, capacity = null } = head?.estimate?.memory ?? {};
  const budget = limits.find(
    ({ metric, bound, severity }) => metric === 'memory' && bound === 'max' && severity === 'fail',
  );
  if (device === undefined || capacity === null || status === 'unchanged' || budget?.amount.kind !== 'absolute')
    return [];
  const { value } = budget.amount;
  // Beyond the budget, too, it is a finding of the budget.
  if (value <= capacity * (1 + rounding) || device > value) return [];
  const notice = { code: 'budget-above-card', path, severity: 'notice' } as const;
  if (device <= capacity)
    return [{ ...notice, message: "The memory budget is above the accelerator's usable memory." }];
  const message =
    "This config needs more than the accelerator's usable memory; it passes because its budget is above that.";
  return [{ ...notice, metric: 'memory', after: device, limit: capacity, message }];
};

/** Every rule, in the order in which findings are shown. */
export const rules: readonly Rule[] = [limitRule, cardRule, startRule, increaseRule, unreadableRule, approximateRule];
