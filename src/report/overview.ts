import { findMetric, metrics } from '../gate/metrics.ts';
import type { Change, Comparison, Finding, Review } from '../gate/review.ts';
import { type Budgets, boundOf } from '../gate/rules.ts';
import { difference, exact, quantity, unbroken } from './format.ts';
import { code, table } from './markdown.ts';

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

const markOf = (review: Review, comparison: Comparison) =>
  [marks.fail, marks.warn, marks.pass, marks.pass][rank(review, comparison)] ?? marks.pass;

/** The table that everybody reads: for each config what it costs, was and is, with the signed difference. */
export function overview(
  review: Review,
  comparisons: readonly Comparison[],
  budgetsFor: (path: string) => Budgets,
): string {
  const someActive = comparisons.some((comparison) => differsInActive(comparison));
  const shown = metrics.filter((metric) => metric.shown && metric.id !== 'active_parameters');
  const heading = [
    'Config',
    ...shown.map(({ label, id }) => (id === 'parameters' && someActive ? 'Parameters (active)' : label)),
  ];
  const rows = comparisons.map((comparison) => {
    const name = `${markOf(review, comparison)} ${code(comparison.path, 120)}${state(comparison, review)}`;
    if (comparison.status === 'unreadable') return [name, 'could not be read', ...shown.slice(1).map(() => '–')];
    const budgets = budgetsFor(comparison.path);
    return [name, ...shown.map(({ id }) => cell(comparison, id) + limitLines(comparison, budgets, id))];
  });
  // What could not be read is told above, and has no numbers.
  if (comparisons.every(({ status }) => status === 'unreadable')) return '';
  return table(
    [heading, ...rows],
    shown.map((_, index) => index + 1),
  );
}

function state(comparison: Comparison, { base }: Review): string {
  const renamed = comparison.previousPath === undefined ? '' : `<br>renamed from ${code(comparison.previousPath, 120)}`;
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

function cell(comparison: Comparison, id: string): string {
  const change = comparison.changes.find(({ metric }) => metric === id);
  const metric = findMetric(id);
  if (change === undefined || metric === undefined) return '–';
  const main = movement(change);
  const approximate =
    id === 'parameters' && (comparison.head ?? comparison.base)?.estimate?.parameters.exact === false
      ? '<br>approximate'
      : '';
  if (id === 'parameters' && differsInActive(comparison)) {
    const active = comparison.changes.find((one) => one.metric === 'active_parameters');
    return active === undefined ? main : `${main}<br>(${movement(active)})${approximate}`;
  }
  return main + approximate;
}

/** What a shown metric may be, under its value. */
function limitLines(comparison: Comparison, budgets: Budgets, id: string): string {
  const estimate = comparison.head?.estimate;
  if (estimate === undefined) return '';
  return budgets.limits
    .filter(
      ({ metric, bound, severity }) => metric === id && severity === 'fail' && (bound === 'max' || bound === 'min'),
    )
    .map((limit) => {
      const most = boundOf(limit, estimate, undefined);
      const unit = findMetric(id)?.unit;
      if (most === undefined || unit === undefined) return '';
      return `<br>${limit.bound === 'max' ? 'at\u00a0most' : 'at\u00a0least'}\u00a0${unbroken(quantity(most, unit))}`;
    })
    .join('');
}

/** A metric before and after, with the difference where both are known. */
export function movement(change: Change): string {
  const unit = findMetric(change.metric)?.unit ?? 'ratio';
  const { before, after } = change;
  if (before === undefined && after === undefined) return 'unknown';
  if (after === undefined) return `${unbroken(quantity(before ?? 0, unit))} → gone`;
  if (before === undefined) return unbroken(quantity(after, unit));
  const moved = difference(before, after, unit);
  if (moved === undefined) return unbroken(quantity(after, unit));
  const [old, now] = [unbroken(quantity(before, unit)), unbroken(quantity(after, unit))];
  return old === now
    ? `${exact(before)} → ${exact(after)}<br>**${unbroken(moved)}**`
    : `${old} →\u00a0${now}<br>**${unbroken(moved)}**`;
}

/** A finding as one line of markdown. */
export function findingLine(finding: Finding): string {
  const mark = marks[finding.severity];
  const unit = finding.metric === undefined ? undefined : findMetric(finding.metric)?.unit;
  const numbers =
    unit === undefined || finding.after === undefined
      ? ''
      : ` ${finding.before === undefined ? '' : `${unbroken(quantity(finding.before, unit))} → `}${unbroken(quantity(finding.after, unit))}${finding.limit === undefined ? '' : `, limit ${unbroken(quantity(finding.limit, unit))}`}.`;
  return `${mark} ${numbers}`.trimEnd();
}

/** What a waiver makes of a finding, in words; nothing where none covers it. Its reason is foreign: escape on output. */
export function waiverText({ waiver }: Finding): string {
  if (waiver === undefined) return '';
  const { until, reason, holds } = waiver;
  const end = /[.!?]$/.test(reason) ? '' : '.';
  return holds ? `Waived until ${until}: ${reason}${end}` : `Its waiver ended on ${until}: ${reason}${end}`;
}
