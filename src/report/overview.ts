import { findMetric, metrics } from '../gate/metrics.ts';
import type { Change, Comparison, Finding, Review } from '../gate/review.ts';
import { type Budgets, boundOf, type Limit } from '../gate/rules.ts';
import { amountsOf } from './amounts.ts';
import { apart, difference, exact, quantity, unbroken } from './format.ts';
import { code, figure, table } from './markdown.ts';

/** What stands in front of a config's name. */
const marks = { fail: '❌', warn: '⚠️', notice: 'ℹ️', pass: '✅' } as const;

const rank = (review: Review, comparison: Comparison): number => {
  const severities = review.verdict.findings
    .filter(({ path }) => path === comparison.path)
    .map(({ severity }) => severity);
  if (severities.includes('fail')) return 0;
  if (severities.includes('warn')) return 1;
  return comparison.status === 'unchanged' ? 3 : 2;
};

/** Worst first: failures, warnings, changes by how much memory they add, then what is unchanged. */
export function ranked(review: Review): readonly Comparison[] {
  const growth = (comparison: Comparison) => {
    const memory = comparison.changes.find(({ metric }) => metric === 'memory');
    return (memory?.after ?? 0) - (memory?.before ?? 0);
  };
  return [...review.comparisons].sort(
    (a, b) => rank(review, a) - rank(review, b) || growth(b) - growth(a) || a.path.localeCompare(b.path),
  );
}

/** The mark in front of a config; none where nothing was found and nothing it is held against. */
function markOf(review: Review, comparison: Comparison, { limits }: Budgets): string {
  const place = rank(review, comparison);
  if (place > 1) return limits.length === 0 && comparison.base === undefined ? '' : `${marks.pass} `;
  return `${place === 0 ? marks.fail : marks.warn} `;
}

/** The table that everybody reads: what each config costs, was and is, and what it may cost. */
export function overview(
  review: Review,
  comparisons: readonly Comparison[],
  budgetsFor: (path: string) => Budgets,
): string {
  // What could not be read is told above, and has no numbers.
  if (comparisons.every(({ status }) => status === 'unreadable')) return '';
  const [only, ...others] = comparisons;
  return only !== undefined && others.length === 0 && review.comparisons.length === 1
    ? tableOfOne(review, only, budgetsFor(only.path))
    : tableOfAll(review, comparisons, budgetsFor);
}

/** A row for each metric: what people look at first, and what has a limit. */
function tableOfOne(review: Review, comparison: Comparison, budgets: Budgets): string {
  const compared = comparison.base?.estimate !== undefined && comparison.head?.estimate !== undefined;
  const limited = new Set(budgets.limits.filter(isHard).map(({ metric }) => metric));
  const rows = metrics
    .filter(
      ({ id, shown }) => limited.has(id) || (shown && (id !== 'active_parameters' || differsInActive(comparison))),
    )
    .flatMap(({ id, label }) => {
      const change = comparison.changes.find(({ metric }) => metric === id);
      if (change === undefined) return [];
      const { before, after, moved } = wordsOf(change);
      const amounts = compared ? [before, after, moved === '' ? '' : `**${moved}**`] : [before === '' ? after : before];
      const name = id === 'parameters' && isApproximate(comparison) ? `${label} (approximate)` : label;
      return [[name, ...amounts.map(figure), limitOf(review, comparison, budgets, id)]];
    });
  const name = `${markOf(review, comparison, budgets)}${code(comparison.path, 120)}${state(comparison, review)}`;
  const heading = [name, ...(compared ? ['Before', 'After', 'Difference'] : ['Value']), 'Limit'];
  const limits = rows.some((row) => row.at(-1) !== '');
  return table(
    [heading, ...rows].map((row) => (limits ? row : row.slice(0, -1))),
    heading.map((_, index) => index).slice(1),
  );
}

/** A row for each config. */
function tableOfAll(review: Review, comparisons: readonly Comparison[], budgetsFor: (path: string) => Budgets): string {
  const someActive = comparisons.some((comparison) => differsInActive(comparison));
  const shown = metrics.filter(({ shown, id }) => shown && (someActive || id !== 'active_parameters'));
  const [memory, ...others] = shown;
  const heading = ['Config', memory?.label ?? '', 'Limit', ...others.map(({ label }) => label)];
  const rows = comparisons.map((comparison) => {
    const name = `${markOf(review, comparison, budgetsFor(comparison.path))}${code(comparison.path, 120)}${state(comparison, review)}`;
    if (comparison.status === 'unreadable') return [name, 'could not be read', ...shown.map(() => '–')];
    const budgets = budgetsFor(comparison.path);
    const limit = limitOf(review, comparison, budgets, 'memory');
    return [
      name,
      cell(comparison, 'memory'),
      limit === '' ? '–' : limit,
      ...others.map(({ id }) => {
        const most = limitOf(review, comparison, budgets, id);
        return `${cell(comparison, id)}${most === '' ? '' : `<br>${most}`}`;
      }),
    ];
  });
  return table([heading, ...rows], heading.map((_, index) => index).slice(1));
}

function state(comparison: Comparison, { base }: Review): string {
  // Two files that somebody names are no renamed one.
  const how = base === undefined ? 'compared with' : 'renamed from';
  const renamed = comparison.previousPath === undefined ? '' : `<br>${how} ${code(comparison.previousPath, 120)}`;
  // Without a base, everything is only there.
  if (comparison.status === 'added') return `${base === undefined ? '' : '<br>new'}${renamed}`;
  if (comparison.status === 'removed') return '<br>removed';
  return renamed;
}

function differsInActive(comparison: Comparison): boolean {
  const of = (id: string) => comparison.changes.find(({ metric }) => metric === id);
  return (
    of('parameters')?.after !== of('active_parameters')?.after ||
    of('parameters')?.before !== of('active_parameters')?.before
  );
}

const isApproximate = ({ head, base }: Comparison): boolean => (head ?? base)?.estimate?.parameters.exact === false;

function cell(comparison: Comparison, id: string): string {
  const change = comparison.changes.find(({ metric }) => metric === id);
  if (change === undefined) return '–';
  return movement(change) + (id === 'parameters' && isApproximate(comparison) ? '<br>approximate' : '');
}

const isHard = ({ severity, bound }: Limit): boolean => severity === 'fail' && (bound === 'max' || bound === 'min');

/** What a metric may be where the change fails beyond it, marked where it is; empty where it may be anything. */
function limitOf({ verdict }: Review, { path, head }: Comparison, { limits }: Budgets, id: string): string {
  const estimate = head?.estimate;
  const metric = findMetric(id);
  if (estimate === undefined || metric === undefined) return '';
  const value = metric.take(estimate);
  const found = verdict.findings.filter((one) => one.path === path && one.metric === id);
  const worst = (['fail', 'warn'] as const).find((severity) => found.some((one) => one.severity === severity));
  return limits
    .filter((limit) => limit.metric === id && isHard(limit))
    .flatMap(({ bound, ...limit }) => {
      const most = boundOf({ bound, ...limit }, estimate, undefined);
      if (most === undefined) return [];
      const beyond = value !== undefined && (bound === 'max' ? value > most : value < most);
      const mark = beyond && worst !== undefined ? `${marks[worst]}\u00a0` : '';
      const words = id === 'memory' ? '' : bound === 'max' ? 'at most ' : 'at least ';
      return [mark + figure(`${words}${quantity(most, metric.unit)}`)];
    })
    .join('<br>');
}

/** Both values of a metric and the difference, as far as they are known; in full where rounding shows two alike. */
function wordsOf({ metric, before, after }: Change): {
  readonly before: string;
  readonly after: string;
  readonly moved: string;
} {
  const unit = findMetric(metric)?.unit ?? 'ratio';
  const written = (value: number | undefined) => (value === undefined ? '' : quantity(value, unit));
  const moved = before === undefined || after === undefined ? '' : (difference(before, after, unit) ?? '');
  if (before !== undefined && after !== undefined && moved !== '' && written(before) === written(after)) {
    const whole = ['bytes', 'parameters', 'flops'].includes(unit);
    const write = whole ? exact : apart([before, after], unit);
    return { before: write(before), after: write(after), moved };
  }
  return { before: written(before), after: written(after), moved };
}

/** A metric before and after, with the difference where both are known. */
export function movement(change: Change): string {
  const { before, after, moved } = wordsOf(change);
  if (before === '' && after === '') return 'unknown';
  if (after === '') return `${figure(before)} → gone`;
  if (before === '' || moved === '') return figure(after);
  return `${figure(before)} →\u00a0${figure(after)}<br>**${unbroken(moved)}**`;
}

/** A finding as one line of markdown. */
export function findingLine(finding: Finding): string {
  const mark = marks[finding.severity];
  const { before, after, limit } = amountsOf(finding);
  if (after === undefined) return mark;
  const from = before === undefined ? '' : `${figure(before)} → `;
  return `${mark} ${from}${figure(after)}${limit === undefined ? '' : `, limit ${figure(limit)}`}.`;
}

/** What a waiver makes of a finding, in words; nothing where none covers it. Its reason is foreign: escape on output. */
export function waiverText({ waiver }: Finding): string {
  if (waiver === undefined) return '';
  const { until, reason, holds } = waiver;
  const end = /[.!?]$/.test(reason) ? '' : '.';
  return holds ? `Waived until ${until}: ${reason}${end}` : `Its waiver ended on ${until}: ${reason}${end}`;
}
