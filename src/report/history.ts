import { compare } from '../gate/compare.ts';
import { findMetric, type Metric, type MetricId, metrics } from '../gate/metrics.ts';
import type { ChangedField, Comparison, Side } from '../gate/review.ts';
import { runAsWritten } from '../setup/description.ts';
import { aligned } from './columns.ts';
import { csv } from './csv.ts';
import { difference, quantity } from './format.ts';
import type { HistoryReport } from './history-schema.ts';
import { code, plain, sentence, table } from './markdown.ts';

/** What one commit made of a job. */
export type Step = {
  /** The whole identity of the commit. */
  readonly commit: string;
  /** ISO date */
  readonly date: string;
  readonly subject: string;
  /** The name of the config at this commit. */
  readonly path: string;
  /** undefined where the config does not exist. */
  readonly side?: Side;
  /** Why there are no figures, in a sentence. */
  readonly problem?: string;
};

/** The commits that touched a job, oldest first. */
export type History = {
  readonly path: string;
  readonly steps: readonly Step[];
  /** What a reader should know of commits that are not among them. */
  readonly notes: readonly string[];
};

type Row = Step & { readonly comparison: Comparison; readonly moved: boolean };

/** Each step with what differs from the last one before it that has figures. */
function rowsOf({ steps }: History): readonly Row[] {
  let last: Side | undefined;
  return steps.map((step, index) => {
    const { path, side, problem } = step;
    const known = side?.estimate === undefined ? undefined : side;
    const sides = { ...(last === undefined ? {} : { base: last }), ...(known === undefined ? {} : { head: known }) };
    const comparison = compare({ path, named: true, ...sides });
    last = known ?? last;
    // After a commit without figures a reader wants to see that they are back.
    const again = steps[index - 1]?.problem !== undefined;
    const moved = index === 0 || again || problem !== undefined || comparison.status !== 'unchanged';
    return { ...step, comparison, moved };
  });
}

const columns: readonly MetricId[] = ['parameters', 'active_parameters', 'memory', 'mfu', 'training_cost'];

/** The metrics that are shown: active parameters only where they are others than all. */
function shownOf(rows: readonly Row[]): readonly Metric[] {
  const some = rows.some(({ side }) => {
    const parameters = side?.estimate?.parameters;
    return parameters !== undefined && parameters.active !== parameters.total;
  });
  return columns.flatMap((id) => (some || id !== 'active_parameters' ? (findMetric(id) ?? []) : []));
}

const titles: Readonly<Partial<Record<string, string>>> = {
  parameters: 'Parameters',
  active_parameters: 'Active',
  memory: 'Memory per GPU',
  mfu: 'MFU',
  training_cost: 'Cost',
};
const titleOf = ({ id, label }: Metric): string => titles[id] ?? label;

/** A figure, with how far it moved. */
function cellOf({ comparison }: Row, { id, unit }: Metric): string {
  const change = comparison.changes.find(({ metric }) => metric === id);
  if (change?.after === undefined) return '';
  const moved = change.before === undefined ? undefined : difference(change.before, change.after, unit);
  return `${quantity(change.after, unit)}${moved === undefined ? '' : ` (${moved})`}`;
}

const mostFields = 2;

/** What the commit changed, in a few words. */
function changesOf({ comparison }: Row, quoted: (text: string) => string): string {
  const { base, head, fields } = comparison;
  if (base === undefined || head === undefined) return '';
  const words = fields.slice(0, mostFields).map((field) => fieldText(field, quoted));
  const rest = fields.length - words.length;
  return [...words, ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}

const fieldText = ({ path, before, after }: ChangedField, quoted: (text: string) => string): string =>
  `${quoted(path)} ${before === undefined ? 'absent' : quoted(before)} -> ${after === undefined ? 'absent' : quoted(after)}`;

/** Commits that touched a file of the job and moved nothing of it are counted. */
function quietText(rows: readonly Row[]): readonly string[] {
  const quiet = rows.filter(({ moved }) => !moved).length;
  if (quiet === 0) return [];
  const which = quiet === 1 ? '1 commit' : `${quiet} commits`;
  return [
    `${which} touched a file of this job and changed nothing of it; JSON and CSV list ${quiet === 1 ? 'it' : 'them'}.`,
  ];
}

const bars = '▁▂▃▄▅▆▇█';
/** As many steps as a line has room for. */
const mostBars = 60;

/** A series as a line of bars; a dot where nothing is known. */
function sparkline(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return values
    .slice(-mostBars)
    .map((value) => {
      if (value === undefined) return '·';
      const place = most === least ? 0.5 : (value - least) / (most - least);
      return bars[Math.min(bars.length - 1, Math.floor(place * bars.length))] ?? '';
    })
    .join('');
}

const valuesOf = (rows: readonly Row[], { take }: Metric) =>
  rows.map(({ side }) => side?.estimate && take(side.estimate));

/** A table for a terminal, newest last, and a line of bars for each figure. */
export function historyText(history: History): string {
  const all = rowsOf(history);
  const [rows, shown] = [all.filter(({ moved }) => moved), shownOf(all)];
  const heading = ['Commit', 'Date', ...shown.map(titleOf), 'Change'];
  const quoted = (text: string) => plain(text, 40);
  const cells = rows.map((row) => [
    row.commit.slice(0, 10),
    row.date,
    ...shown.map((metric) => cellOf(row, metric)),
    row.problem === undefined
      ? [changesOf(row, quoted), plain(row.subject, 60)].filter((words) => words !== '').join('; ')
      : plain(row.problem, 200),
  ]);
  return [
    plain(history.path, 120),
    ...aligned([heading, ...cells]).map((line) => `  ${line}`),
    '',
    ...shown.flatMap((metric) => trend(rows, metric)),
    ...[...quietText(all), ...history.notes].map((note) => `note: ${plain(note, 500)}`),
    '',
  ].join('\n');
}

function trend(rows: readonly Row[], metric: Metric): readonly string[] {
  const values = valuesOf(rows, metric);
  const known = values.filter((value) => value !== undefined);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined || known.length < 2) return [];
  const ends = `${quantity(first, metric.unit)} -> ${quantity(last, metric.unit)}`;
  return [`  ${titleOf(metric).padEnd(16)}${sparkline(values)}  ${ends}`];
}

/** A table and a chart of the memory, as GitHub renders them. */
export function historyMarkdown(history: History): string {
  const all = rowsOf(history);
  const [rows, shown] = [all.filter(({ moved }) => moved), shownOf(all)];
  const quoted = (text: string) => code(text, 60);
  const cells = rows.map((row) => [
    code(row.commit.slice(0, 10), 10),
    row.date,
    ...shown.map((metric) => cellOf(row, metric)),
    row.problem === undefined ? changesOf(row, quoted) : sentence(row.problem, 300),
    code(row.subject, 80),
  ]);
  const heading = ['Commit', 'Date', ...shown.map(titleOf), 'Change', 'Subject'];
  return [
    `## Cost of ${code(history.path, 120)} by commit`,
    table(
      [heading, ...cells],
      shown.map((_, index) => index + 2),
    ),
    ...chart(rows),
    ...[...quietText(all), ...history.notes].map((note) => `> ${sentence(note, 500)}`),
    '',
  ].join('\n\n');
}

/** More bars than this cannot be told apart. */
const mostPoints = 40;

function chart(rows: readonly Row[]): readonly string[] {
  const points = rows.flatMap(({ commit, side }) => {
    const memory = side?.estimate?.memory.device;
    return memory === undefined ? [] : [{ commit, gib: Number(quantity(memory, 'bytes').split(' ')[0]) }];
  });
  if (points.length < 2) return [];
  const last = points.slice(-mostPoints);
  return [
    [
      '```mermaid',
      'xychart-beta',
      '  title "Memory per GPU (GiB)"',
      `  x-axis [${last.map(({ commit }) => `"${commit.slice(0, 7)}"`).join(', ')}]`,
      `  line [${last.map((point) => point.gib).join(', ')}]`,
      '```',
    ].join('\n'),
  ];
}

/** All steps with every metric; schema/history.schema.json. */
export const historyJson = (history: History): HistoryReport => ({
  version: 1,
  path: history.path,
  commits: rowsOf(history).map((row) => ({
    commit: row.commit,
    date: row.date,
    subject: row.subject,
    path: row.path,
    problem: row.problem ?? null,
    exact: row.side?.estimate?.parameters.exact ?? null,
    changed: row.moved,
    metrics: Object.fromEntries(
      metrics.map(({ id, take }) => [id, (row.side?.estimate && take(row.side.estimate)) ?? null]),
    ),
    fields: row.comparison.head === undefined ? [] : row.comparison.fields.map((field) => ({ ...field })),
    run: row.side?.estimate === undefined ? null : runAsWritten(row.side.estimate.run.run),
  })),
  notes: [...history.notes],
});

/** One line for each commit. */
export const historyCsv = (history: History): string =>
  csv([
    ['commit', 'date', 'path', 'subject', 'changed', 'problem', ...metrics.map(({ id }) => id)],
    ...rowsOf(history).map((row) => [
      row.commit,
      row.date,
      row.path,
      row.subject,
      String(row.moved),
      row.problem,
      ...metrics.map(({ take }) => row.side?.estimate && take(row.side.estimate)),
    ]),
  ]);
