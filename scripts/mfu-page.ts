// Writes the tables of docs/mfu.md and the plot docs/mfu.svg from the committed runs.
//
//   node scripts/node24.mjs scripts/mfu-page.ts [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bases } from '../src/facts/basis.ts';
import { countByBasis } from './facts.ts';
import { error, type Kind, kinds, loadCases, type Projected, percent, project, quantile } from './measured.ts';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const docs = join(import.meta.dirname, '..', 'docs');
type Row = Projected & {
  readonly group: string;
  readonly id: string;
  readonly model: string;
  readonly chip: string;
  readonly check: boolean;
};
const rows: readonly Row[] = loadCases().map((one) => ({
  ...project(one),
  group: one.group,
  id: one.id,
  model: one.model,
  chip: String(one.run['accelerator']),
  check: one.check === true,
}));

const table = (head: readonly string[], body: readonly (readonly string[])[]) =>
  [
    `| ${head.join(' | ')} |`,
    `|${head.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|`,
    ...body.map((line) => `| ${line.join(' | ')} |`),
  ].join('\n');

const figures = (own: readonly Row[]) => {
  const errors = own.map(error);
  const inside = own.filter(({ ratio, band = 0 }) => Math.abs(Math.log(ratio)) <= band).length;
  return [
    String(own.length),
    percent(
      quantile(
        own.map(({ ratio }) => ratio - 1),
        0.5,
      ),
    ),
    percent(quantile(errors, 0.5)),
    percent(errors.reduce((sum, one) => sum + one, 0) / errors.length),
    percent(quantile(errors, 0.9)),
    percent(inside / own.length),
  ];
};
const head = ['', 'runs', 'signed median', 'median', 'mean', '90th percentile', 'inside the band'];
const groupsOf = (own: readonly Row[]) => [...new Set(own.map(({ group }) => group))].sort();

const bySource = (kind: Kind, check: boolean) => {
  const own = rows.filter((row) => row.kind === kind && row.check === check);
  const groups = groupsOf(own);
  const medians = groups.map((group) => quantile(own.filter((row) => row.group === group).map(error), 0.5));
  const body = groups.map((group) => [group, ...figures(own.filter((row) => row.group === group))]);
  const mean = medians.reduce((sum, one) => sum + one, 0) / medians.length;
  return `${table(['source', ...head.slice(1)], [...body, ['**all**', ...figures(own)]])}\n\nMean of the sources' medians: ${percent(mean)}.`;
};

const byChip = () => {
  const chips = [...new Set(rows.map(({ chip }) => chip))].sort();
  return table(
    ['accelerator', ...head.slice(1)],
    chips.map((chip) => [chip, ...figures(rows.filter((row) => row.chip === chip))]),
  );
};

const misses = () => {
  const over = rows.filter((row) => error(row) > 0.2);
  const keys = [...new Set(over.map(({ group, kind }) => `${group}\t${kind}`))].sort();
  return table(
    ['source', 'kind', 'misses over 20 %', 'of', 'from', 'to'],
    keys.map((key) => {
      const [group = '', kind = ''] = key.split('\t');
      const all = rows.filter((row) => row.group === group && row.kind === kind);
      const own = all.filter((row) => error(row) > 0.2).map(({ ratio }) => ratio - 1);
      return [
        group,
        kind,
        String(own.length),
        String(all.length),
        percent(Math.min(...own)),
        percent(Math.max(...own)),
      ];
    }),
  );
};

const byBasis = async () => {
  const body = await countByBasis();
  const sums = bases.map((_, column) => body.reduce((sum, { counts }) => sum + (counts[column] ?? 0), 0));
  return table(
    ['table', ...bases],
    [...body.map(({ file, counts }) => [`\`facts/${file}\``, ...counts]), ['**all**', ...sums]].map((row) =>
      row.map(String),
    ),
  );
};

/** Predicted against measured MFU, both axes from 0 to 80 %. */
function plot(): string {
  const size = 520;
  const pad = 56;
  const most = 0.8;
  const at = (x: number) => pad + (Math.min(most, x) / most) * (size - 2 * pad);
  const up = (y: number) => size - at(y);
  const colours: Readonly<Record<Kind, string>> = {
    'dense, 16 bits': '#2563eb',
    'dense, 8 or 4 bits': '#d97706',
    'mixture of experts': '#15803d',
    'adapters and fine-tuning': '#9ca3af',
  };
  const points = [...rows].reverse().flatMap(({ kind, mfu, ratio }) => {
    if (mfu === undefined || !Number.isFinite(ratio)) return [];
    return [
      `<circle cx="${at(mfu / ratio).toFixed(1)}" cy="${up(mfu).toFixed(1)}" r="2.4" fill="${colours[kind]}" fill-opacity="0.55"/>`,
    ];
  });
  const ticks = [0, 0.2, 0.4, 0.6, 0.8].flatMap((x) => [
    `<text x="${at(x)}" y="${size - pad + 18}" text-anchor="middle">${100 * x} %</text>`,
    `<text x="${pad - 8}" y="${up(x) + 4}" text-anchor="end">${100 * x} %</text>`,
    `<line x1="${at(x)}" y1="${pad}" x2="${at(x)}" y2="${size - pad}" stroke="#e5e7eb"/>`,
    `<line x1="${pad}" y1="${up(x)}" x2="${size - pad}" y2="${up(x)}" stroke="#e5e7eb"/>`,
  ]);
  const line = (factor: number, dash: string) =>
    `<line x1="${at(0)}" y1="${up(0)}" x2="${at(Math.min(most, most / factor))}" y2="${up(Math.min(most, most * factor))}" stroke="#6b7280" stroke-dasharray="${dash}"/>`;
  const legend = kinds.map(
    (kind, i) =>
      `<circle cx="${pad + 14}" cy="${pad + 14 + 18 * i}" r="4" fill="${colours[kind]}"/><text x="${pad + 24}" y="${pad + 18 + 18 * i}">${kind}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" font-family="sans-serif" font-size="12" fill="#111827">`,
    `<rect width="${size}" height="${size}" fill="#ffffff"/>`,
    ...ticks,
    line(1, '0'),
    line(1.1, '4 3'),
    line(1 / 1.1, '4 3'),
    ...points,
    ...legend,
    `<text x="${size / 2}" y="${size - 14}" text-anchor="middle">measured MFU</text>`,
    `<text x="16" y="${size / 2}" text-anchor="middle" transform="rotate(-90 16 ${size / 2})">projected MFU</text>`,
    '</svg>',
    '',
  ].join('\n');
}

const blocks: Readonly<Record<string, string>> = {
  kinds: table(
    ['kind of run', ...head.slice(1)],
    kinds.flatMap((kind) =>
      [false, true].flatMap((check) => {
        const own = rows.filter((row) => row.kind === kind && row.check === check);
        return own.length === 0 ? [] : [[check ? `${kind}, held apart` : kind, ...figures(own)]];
      }),
    ),
  ),
  ...Object.fromEntries(kinds.map((kind) => [kind, bySource(kind, false)])),
  ...Object.fromEntries(kinds.map((kind) => [`${kind}: checks`, bySource(kind, true)])),
  chips: byChip(),
  misses: misses(),
  bases: await byBasis(),
};

const page = join(docs, 'mfu.md');
const before = readFileSync(page, 'utf8');
const after = before.replace(
  /<!-- table: ([^>]+?) -->[\s\S]*?<!-- end -->/g,
  (_, name: string) => `<!-- table: ${name} -->\n${blocks[name] ?? ''}\n<!-- end -->`,
);
if (values.check) {
  if (after !== before) throw new Error('docs/mfu.md is not what the committed runs give: run scripts/mfu-page.ts.');
} else {
  writeFileSync(page, after);
  writeFileSync(join(docs, 'mfu.svg'), plot());
}
