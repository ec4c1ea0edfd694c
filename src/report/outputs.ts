import type { FindingCode, Review } from '../gate/review.ts';
import { inGibibytes } from './format.ts';

const overBudget: ReadonlySet<FindingCode> = new Set([
  'memory-over-budget',
  'memory-worse',
  'memory-improved',
  'memory-already-over',
]);

/** The action's outputs that follow from a review, but for the report. */
export function outputs(review: Review): Readonly<Record<string, string>> {
  const memory = review.comparisons.flatMap(({ head }) => (head?.estimate ? [head.estimate.memory.device] : []));
  const over = review.verdict.findings.some(({ code }) => overBudget.has(code));
  return {
    verdict: review.verdict.outcome,
    'over-budget': String(over),
    changed: String(review.comparisons.filter(({ status }) => status !== 'unchanged').length),
    'max-memory-gib': memory.length === 0 ? '' : inGibibytes(memory.reduce((a, b) => Math.max(a, b), 0)),
    'base-sha': review.base?.sha ?? '',
    'head-sha': review.head?.sha ?? '',
  };
}
