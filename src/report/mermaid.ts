import type { Bars, Chart, Shares } from './charts.ts';
import { gib, inGibibytes, unbroken } from './format.ts';

/**
 * The one place where text becomes Mermaid, which GitHub draws in comments and summaries. Labels are ours; whatever stands in
 * one, nothing that ends a string, a line or the block gets through.
 */
const label = (text: string): string => `"${words(text, /[^\p{L}\p{N} .,%-]/gu)}"`;

const words = (text: string, others: RegExp): string => [...text.replace(others, ' ')].slice(0, 60).join('');

const block = (lines: readonly string[]): string => ['```mermaid', ...lines, '```'].join('\n');

/** Blue for after, grey for before, red for the limit: readable on light and dark. */
const palette = ['#3d85c6', '#8c959f', '#d1242f'];

const shorter: ReadonlyMap<string, string> = new Map([
  ['Optimizer states', 'Optimizer'],
  ['Temporary buffers', 'Temporary'],
  ['Whole device', 'Device'],
]);

/** A chart with the words that say what its colours mean, for Mermaid has no legend. */
export const inMermaid = (chart: Chart): string =>
  chart.kind === 'shares' ? pieChart(chart) : `${barWords(chart)}\n\n${barChart(chart)}`;

const isCompared = ({ bars }: Bars): boolean =>
  bars.some(({ before, after }) => before !== undefined && after !== undefined);

function barWords(chart: Bars): string {
  const bars = isCompared(chart)
    ? 'Bars: after this change, the whole device last. Grey line: before.'
    : 'Bars: each component, and the whole device last.';
  const { limit } = chart;
  return limit === undefined ? bars : `${bars} Red line: what the device may need at most, ${unbroken(gib(limit))}.`;
}

/** Bars for one side, a line for the other, and one for the limit. */
function barChart(chart: Bars): string {
  const { title, bars, limit } = chart;
  const compared = isCompared(chart);
  const values = (side: 'before' | 'after') =>
    `[${bars.map((bar) => inGibibytes(bar[side] ?? bar.after ?? bar.before ?? 0)).join(', ')}]`;
  const highest = Math.max(limit ?? 0, ...bars.flatMap(({ before = 0, after = 0 }) => [before, after]));
  return block([
    '---',
    'config:',
    '  themeVariables:',
    '    xyChart:',
    `      plotColorPalette: "${palette.filter((_, index) => index !== 1 || compared).join(', ')}"`,
    '---',
    'xychart-beta',
    `  title ${label(`${title}, GiB`)}`,
    `  x-axis [${bars.map((bar) => label(shorter.get(bar.label) ?? bar.label)).join(', ')}]`,
    `  y-axis 0 --> ${inGibibytes(1.05 * highest)}`,
    `  bar ${values('after')}`,
    ...(compared ? [`  line ${values('before')}`] : []),
    ...(limit === undefined ? [] : [`  line [${bars.map(() => inGibibytes(limit)).join(', ')}]`]),
  ]);
}

const pieChart = ({ title, shares }: Shares): string =>
  block([
    'pie showData',
    `  title ${words(`${title}, %`, /[^\p{L}\p{N} ,%]/gu)}`,
    ...shares.map((one) => `  ${label(one.label)} : ${(100 * one.share).toFixed(1)}`),
  ]);
