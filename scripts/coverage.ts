// Writes docs/coverage.md: how our counts stand against what the official modelling code builds (test/oracle/transformers.json).
//   node scripts/node24.mjs scripts/coverage.ts          writes it
//   node scripts/node24.mjs scripts/coverage.ts --print  prints it
import { readFileSync, writeFileSync } from 'node:fs';
import { countParameters } from '../src/cost/count/parameters.ts';
import { expand } from '../src/cost/expand/model.ts';
import { evidenceOf } from '../src/facts/evidence.ts';
import { findComposite } from '../src/families/multimodal.ts';
import { originals } from '../src/families/own-code.ts';
import { familyNames, findFamily } from '../src/families/registry.ts';
import { decoderVariants } from '../src/families/remote-decoders.ts';
import { textEncoderVariants } from '../src/families/text-encoders.ts';
import { readConfig } from '../src/read/config.ts';
import { multimodalSection } from './coverage-multimodal.ts';

type Row = { readonly model_type: string; readonly variant: string; readonly config: object; readonly total: number };

const read = (name: string) => JSON.parse(readFileSync(new URL(`../test/oracle/${name}`, import.meta.url), 'utf8'));

const rows: readonly Row[] = read('transformers.json');
/** Why a type, or one of its variants, could not be built. */
const unbuilt: Readonly<Record<string, string>> = read('unbuilt.json');

/** What we make of one row: exact, off by a share, or not read. */
function verdict({ config, total }: Row): string {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') return 'not read';
  const counted = countParameters(reading.architecture, expand(reading.architecture));
  if (counted.total === total) return 'exact';
  return `${counted.total > total ? '+' : ''}${(100 * (counted.total / total - 1)).toFixed(2)} %`;
}

/** Why a type has no row. */
const whyNotYet: Readonly<Record<string, string>> = {
  blt: 'an entropy model cuts bytes into patches, so how often the main transformer runs for a byte depends on the text',
};

/** How many of a file's rows of each type are exact, as a table. */
function tally(name: string): readonly string[] {
  const all: readonly Row[] = read(name);
  return [...new Set(all.map(({ model_type }) => model_type))].map((type) => {
    const own = all.filter(({ model_type }) => model_type === type);
    return `| \`${type}\` | ${own.filter((row) => verdict(row) === 'exact').length} of ${own.length} |`;
  });
}

export type State = 'exact' | 'exact where the config states its sizes' | 'not yet';

/** Each type's state, with what we make of each of its variants. */
export function coverage(): readonly {
  readonly type: string;
  readonly state: State;
  readonly found: readonly string[];
}[] {
  return [...new Set(rows.map(({ model_type }) => model_type))].sort().map((type) => {
    const own = rows.filter(({ model_type }) => model_type === type).map((row) => [row.variant, verdict(row)] as const);
    const off = own.filter(([, said]) => said !== 'exact').map(([variant, said]) => `${variant} ${said}`);
    const state =
      findFamily(type) === undefined && findComposite(type) === undefined
        ? 'not yet'
        : off.length === 0
          ? 'exact'
          : 'exact where the config states its sizes';
    return { type, state, found: off.length === 0 ? own.map(([variant]) => variant) : off };
  });
}

const typesByRule = [...familyNames, ...Object.keys(decoderVariants), ...Object.keys(textEncoderVariants)]
  .filter((type) => evidenceOf(type) === 'by-rule')
  .sort();

export function coveragePage(): string {
  const lines = coverage();
  const count = (state: State) => lines.filter((line) => line.state === state).length;
  const table = lines.map(
    ({ type, state, found }) =>
      `| \`${type}\` | ${state} | ${state === 'not yet' ? (whyNotYet[type] ?? '') : found.join(', ')} |`,
  );
  const reasons = new Map<string, { readonly type: string; readonly why: string; readonly variants: string[] }>();
  for (const [what, why] of Object.entries(unbuilt)) {
    const [type = '', variant = 'any'] = what.split(' ');
    const same = reasons.get(`${type} ${why}`);
    if (same) same.variants.push(variant);
    else reasons.set(`${type} ${why}`, { type, why, variants: [variant] });
  }
  const plain = (text: string) =>
    text
      .replaceAll('|', ' ')
      .replaceAll(/[<>`*_[\]]/g, ' ')
      .slice(0, 160);
  return [
    '# Coverage of model families',
    '',
    `The official modelling code of transformers 5.18.0, built on the meta device (\`scripts/oracle/count.py\`), against our counts: with its default config, the same config written out, and four other shapes (\`small\`, \`wide\` and tied, \`switched\`: every bias, query-key norm and tying the other way, \`odd\`: odd sizes, few experts, several dense layers). Of ${lines.length} causal language models, ${count('exact')} are exact in every variant, ${count('exact where the config states its sizes')} have a row but differ in the variants named, and ${count('not yet')} have no row, for the reason given. Written by \`scripts/coverage.ts\`.`,
    '',
    'Real files come first: `test/oracle/models.json` has published models with their exact counts.',
    '',
    '| model_type | state | variants: all that are exact, or those that are not |',
    '|---|---|---|',
    ...table,
    '',
    '## What the official code does not build',
    '',
    'Types and variants of the causal-language-model list that transformers 5.18.0 itself refuses, and those that are no decoder-only language models, with the reason.',
    '',
    '| model_type | variant | reason |',
    '|---|---|---|',
    ...[...reasons.values()].map(
      ({ type, why, variants }) => `| \`${type}\` | ${variants.join(', ')} | ${plain(why)} |`,
    ),
    '',
    ...multimodalSection(),
    '## Encoders, and models with an encoder and a decoder',
    '',
    'Each class of each type in transformers 5.18.0, with its default config and one of odd sizes (`scripts/oracle/encoders.py`): how many are exact. Their attention is not causal where they read, and FLOPs, memory and time take encoder and decoder to read as many tokens each; no measured run stands behind these.',
    '',
    '| model_type | exact |',
    '|---|---|',
    ...tally('encoders.json'),
    '',
    '## Linear attention of flash-linear-attention 0.5.2',
    '',
    '| model_type | exact (`scripts/oracle/linear.py`) |',
    '|---|---|',
    ...tally('linear.json'),
    '',
    "## Authors' own code",
    '',
    'Types that no release of Transformers has, as the code that their authors published builds them: published sizes, and sizes of our own with switches the other way.',
    '',
    '| model_type | exact (`scripts/oracle/remote.py`) |',
    '|---|---|',
    ...tally('remote.json'),
    '',
    '## Code beside a checkpoint',
    '',
    `A file whose \`auto_map\` names code of its own is run with that code. Its count is exact where the row was read from that code (the types above), and for these files of types that Transformers has too, which were counted or agree with a published count: ${Object.entries(
      originals,
    )
      .map(([type, { files }]) => `\`${type}\` (${files.map((file) => `\`${file}.py\``).join(', ')})`)
      .join(', ')}. With any other file it is approximate, and says so.`,
    '',
    '## Counted by rule',
    '',
    `No official code was at hand for these: their rows were read from descriptions, or are another type's. Their counts are approximate, with the band of such counts, and say so: ${typesByRule.map((type) => `\`${type}\``).join(', ')}.`,
    '',
  ].join('\n');
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes('--print')) process.stdout.write(coveragePage());
  else writeFileSync(new URL('../docs/coverage.md', import.meta.url), coveragePage());
}
