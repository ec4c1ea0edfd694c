import { findMetric, type Unit } from '../gate/metrics.ts';
import type { Comparison, Side } from '../gate/review.ts';
import { type Budgets, boundOf, type Limit } from '../gate/rules.ts';
import { runAsText } from '../setup/description.ts';
import { percent, quantity } from './format.ts';
import { code, table } from './markdown.ts';

/** What the config is held against, with how much of it is used. Nothing where only the built-in budget holds: the table has it. */
export function limitsTable(comparison: Comparison, { limits }: Budgets): string {
  const estimate = comparison.head?.estimate;
  if (estimate === undefined || limits.every(({ origin }) => origin === 'default')) return '';
  const rows = limits.flatMap((limit) => {
    const metric = findMetric(limit.metric);
    if (metric === undefined) return [];
    const before = comparison.base?.estimate && metric.take(comparison.base.estimate);
    const after = metric.take(estimate);
    const bound = boundOf(limit, estimate, before);
    return [
      [
        metric.label,
        limitText(limit, metric.unit),
        after === undefined ? 'unknown' : quantity(after, metric.unit) + used(limit, after, bound),
        bound === undefined ? (comparison.base === undefined ? '–' : 'unknown') : quantity(bound, metric.unit),
        limit.severity === 'fail' ? 'fails' : 'warns',
        code(limit.origin, 20),
      ],
    ];
  });
  return table([['Metric', 'Limit', 'Now', 'Allowed', 'Beyond it', 'From'], ...rows], [2, 3]);
}

/** How much of what it may be is taken up. */
const used = ({ bound }: Limit, after: number, most: number | undefined): string =>
  bound === 'max' && most !== undefined && most > 0 ? ` (${percent(after / most, 0)})` : '';

function limitText({ bound, amount }: Limit, unit: Unit): string {
  const share = (of: string) =>
    amount.kind === 'share' ? `${short(amount.share)} of ${of}` : quantity(amount.value, unit);
  const step = amount.kind === 'share' ? short(amount.share) : moveText(amount.value, unit);
  switch (bound) {
    case 'max':
      return `at most ${share('usable memory')}`;
    case 'min':
      return `at least ${share('usable memory')}`;
    case 'max_increase':
      return `up by at most ${step}`;
    case 'max_decrease':
      return `down by at most ${step}`;
  }
}

/** As somebody wrote it: 90 %, 2.5 %. */
const short = (ratio: number) => `${Number((100 * ratio).toFixed(2))} %`;

const moveText = (value: number, unit: Unit) =>
  unit === 'ratio' ? `${short(value).replace(' %', '')} points` : quantity(value, unit);

/** The run as somebody stated it, with who did; only where a policy did. */
export function statedRun({ estimate }: Side): string {
  if (estimate === undefined) return '';
  const { run, origins } = estimate.run;
  const stated = Object.entries(origins).filter(([, origin]) => origin !== 'default');
  if (!stated.some(([, origin]) => origin === 'policy')) return '';
  const values = runAsText(run);
  return table([
    ['Field', 'Value', 'From'],
    ...stated.map(([name, origin]) => [code(name, 60), code(values.get(name) ?? 'undefined', 80), code(origin, 20)]),
  ]);
}
