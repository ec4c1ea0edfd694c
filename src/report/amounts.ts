import { findMetric } from '../gate/metrics.ts';
import type { Finding } from '../gate/review.ts';
import { apart } from './format.ts';

/** The values of a finding, as far as it has any. */
type Amounts = { readonly [Value in 'before' | 'after' | 'limit']: string | undefined };

/** The values of a finding as people write them: two that differ read differently, as its sentence may say no more than that. */
export function amountsOf({ metric, before, after, limit }: Finding): Amounts {
  const unit = metric === undefined ? undefined : findMetric(metric)?.unit;
  if (unit === undefined) return { before: undefined, after: undefined, limit: undefined };
  const write = apart(
    [before, after, limit].filter((value) => value !== undefined),
    unit,
  );
  const written = (value: number | undefined) => (value === undefined ? undefined : write(value));
  return { before: written(before), after: written(after), limit: written(limit) };
}
