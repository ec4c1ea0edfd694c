import type { Bars, Chart, Shares } from './charts.ts';
import { gib, percent } from './format.ts';
import { element, escaped } from './html.ts';

/** Charts for the HTML report. Colours are classes of its style sheet, which knows light and dark. */
export const drawn = (chart: Chart): string => (chart.kind === 'bars' ? bars(chart) : shares(chart));

/** Columns: names, bars, numbers; in units of the picture. */
const names = 210;
const plot = 400;
const numbers = 110;
const width = names + plot + numbers;

const text = (x: number, y: number, words: string, name = 'label', anchor = 'start'): string =>
  element('text', escaped(words), { x, y, class: name, 'text-anchor': anchor });

const bar = (y: number, length: number, height: number, name: string): string =>
  `<rect x="${names}" y="${y}" width="${length.toFixed(1)}" height="${height}" class="${name}"></rect>`;

const picture = (title: string, height: number, inner: string): string =>
  element(
    'figure',
    element('figcaption', escaped(title)) +
      element('svg', element('title', escaped(title)) + inner, {
        viewBox: `0 0 ${width} ${height}`,
        role: 'img',
      }),
  );

function bars({ title, bars: rows, limit }: Bars): string {
  const compared = rows.some(({ before, after }) => before !== undefined && after !== undefined);
  const highest = Math.max(limit ?? 0, 1, ...rows.flatMap(({ before = 0, after = 0 }) => [before, after]));
  const long = (amount: number) => (plot * amount) / highest;
  const step = compared ? 40 : 26;
  const top = limit === undefined ? 6 : 24;
  const drawnRows = rows.map(({ label, before, after }, index) => {
    const y = top + index * step;
    const sides = [
      ...(before === undefined ? [] : [{ amount: before, name: compared ? 'before' : 'after' }]),
      ...(after === undefined ? [] : [{ amount: after, name: 'after' }]),
    ];
    return [
      text(0, y + step / 2, label),
      ...sides.map(({ amount, name }, side) => bar(y + 3 + side * 15, long(amount), 13, name)),
      ...sides.map(({ amount, name }, side) => text(width, y + 14 + side * 15, gib(amount), `value ${name}`, 'end')),
    ].join('');
  });
  const bottom = top + rows.length * step;
  const x = names + long(limit ?? 0);
  const line =
    limit === undefined
      ? ''
      : `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${top}" y2="${bottom}" class="limit"></line>${text(x, 14, `limit ${gib(limit)}`, 'limit', 'end')}`;
  const words = compared ? `${title}, before (grey) and after (blue)` : title;
  return picture(words, bottom + 4, drawnRows.join('') + line);
}

function shares({ title, shares: rows }: Shares): string {
  const step = 26;
  const drawnRows = rows.map(
    ({ label, share }, index) =>
      text(0, index * step + 17, label) +
      bar(index * step + 5, plot * share, 15, 'after') +
      text(width, index * step + 17, percent(share), 'value', 'end'),
  );
  return picture(title, rows.length * step + 6, drawnRows.join(''));
}
