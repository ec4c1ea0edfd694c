// Writes docs/coverage.md: how our counts stand against what the official modelling code builds (test/oracle/transformers.json).
//   node scripts/node24.mjs scripts/coverage.ts          writes it
//   node scripts/node24.mjs scripts/coverage.ts --print  prints it
import { readFileSync, writeFileSync } from 'node:fs';
import { expand } from '../src/cost/operations.ts';
import { countParameters } from '../src/cost/parameters.ts';
import { readConfig } from '../src/read/config.ts';
import { findFamily } from '../src/read/families/registry.ts';

type Row = { readonly model_type: string; readonly variant: string; readonly config: object; readonly total: number };

const rows: readonly Row[] = JSON.parse(
  readFileSync(new URL('../test/oracle/transformers.json', import.meta.url), 'utf8'),
);

/** What we make of one row: exact, off by a share, or not read. */
function verdict({ config, total }: Row): string {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') return 'not read';
  const counted = countParameters(reading.architecture, expand(reading.architecture));
  if (counted.total === total) return 'exact';
  return `${counted.total > total ? '+' : ''}${(100 * (counted.total / total - 1)).toFixed(2)} %`;
}

export function coveragePage(): string {
  const types = [...new Set(rows.map(({ model_type }) => model_type))].sort();
  const lines = types.map((type) => {
    const found = rows
      .filter(({ model_type }) => model_type === type)
      .map((row) => [row.variant, verdict(row)] as const);
    const known = findFamily(type) !== undefined;
    const every = found.every(([, said]) => said === 'exact');
    const state = !known ? 'not yet' : every ? 'exact' : 'exact where the config states its sizes';
    return { type, state, found };
  });
  const count = (state: string) => lines.filter((line) => line.state === state).length;
  const table = lines.map(
    ({ type, state, found }) =>
      `| \`${type}\` | ${state} | ${found.map(([variant, said]) => `${variant}: ${said}`).join(', ')} |`,
  );
  return [
    '# Coverage of model families',
    '',
    `The official modelling code of transformers 5.18.0, built on the meta device with its default config, the same config written out, and two other shapes (\`scripts/oracle/count.py\`), against our counts. Of ${types.length} causal language models, ${count('exact')} are exact in every variant, ${count('exact where the config states its sizes')} have a row but differ where a config leaves keys to the class or mixes shapes that no model has, and ${count('not yet')} have no row: those are read by their keys and marked approximate. Written by \`scripts/coverage.ts\`.`,
    '',
    'Real files come first: `test/oracle/models.json` has published models with their exact counts.',
    '',
    '| model_type | state | variants |',
    '|---|---|---|',
    ...table,
    '',
  ].join('\n');
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes('--print')) process.stdout.write(coveragePage());
  else writeFileSync(new URL('../docs/coverage.md', import.meta.url), coveragePage());
}
