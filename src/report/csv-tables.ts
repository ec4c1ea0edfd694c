import { metrics } from '../gate/metrics.ts';
import type { Comparison, Review, Side } from '../gate/review.ts';
import { type Cell, csv } from './csv.ts';

/** One line for each config of a report, with every metric in its base unit. */
export const reportCsv = ({ comparisons }: Review): string =>
  csv([
    ['path', 'format', 'family', 'exact', 'problem', ...metrics.map(({ id }) => id)],
    ...comparisons.map(({ path, head }) => [path, ...aboutOf(head), ...valuesOf(head)]),
  ]);

/** One line for each config of a comparison, with every metric before and after, and the gravest finding. */
export const diffCsv = (review: Review): string =>
  csv([
    [
      'path',
      'previous_path',
      'status',
      'severity',
      'finding',
      'problem',
      ...metrics.flatMap(({ id }) => [`${id}_before`, `${id}_after`]),
    ],
    ...review.comparisons.map((one) => [
      one.path,
      one.previousPath,
      one.status,
      ...graveOf(review, one),
      problemOf(one.head ?? one.base),
      ...metrics.flatMap(({ id }) => {
        const change = one.changes.find(({ metric }) => metric === id);
        return [change?.before, change?.after];
      }),
    ]),
  ]);

/** Findings are sorted by severity. */
function graveOf({ verdict }: Review, { path }: Comparison): readonly Cell[] {
  const finding = verdict.findings.find((one) => one.path === path);
  return [finding?.severity, finding?.message];
}

const aboutOf = (side: Side | undefined): readonly Cell[] => [
  side?.reading.format,
  side?.reading.kind === 'read' ? side.reading.family : undefined,
  side?.estimate === undefined ? undefined : String(side.estimate.parameters.exact),
  problemOf(side),
];

/** Why there are no figures. */
const problemOf = (side: Side | undefined): Cell =>
  side === undefined || side.estimate !== undefined ? undefined : side.reading.problems[0]?.message;

const valuesOf = (side: Side | undefined): readonly Cell[] =>
  metrics.map(({ take }) => side?.estimate && take(side.estimate));
