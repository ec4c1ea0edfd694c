import { readFileSync } from 'node:fs';
import { countParameters } from '../src/cost/count/parameters.ts';
import { expand } from '../src/cost/expand/model.ts';
import { readConfig } from '../src/read/config.ts';

type Row = {
  readonly model_type: string;
  readonly variant: string;
  readonly config: object;
  readonly total: number;
  readonly text: number;
};

const rows: readonly Row[] = JSON.parse(
  readFileSync(new URL('../test/oracle/multimodal.json', import.meta.url), 'utf8'),
);

const share = (ours: number, theirs: number): string => {
  if (ours === theirs) return 'exact';
  return theirs === 0 ? 'not counted' : `${ours > theirs ? '+' : ''}${(100 * (ours / theirs - 1)).toFixed(2)} %`;
};

/** How the text and the towers of one row stand. */
function verdict({ config, total, text }: Row): { readonly text: string; readonly towers: string } {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') return { text: 'not read', towers: 'not read' };
  const counted = countParameters(reading.architecture, expand(reading.architecture));
  return { text: share(counted.total - counted.towers, text), towers: share(counted.towers, total - text) };
}

/** Of which towers FLOPs, activations and time are counted besides the weights. */
function computed({ config }: Row): string {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') return '';
  const held = reading.architecture.towers.filter(({ parameters }) => parameters > 0);
  const known = held.filter(({ computes }) => computes !== undefined);
  if (known.length === held.length) return 'all';
  return known.length === 0 ? 'none' : known.map(({ name }) => name).join(', ');
}

const worst = (said: readonly string[]) => said.find((one) => one !== 'exact') ?? 'exact';

/** The second table of docs/coverage.md: models that join towers to a language model. */
export function multimodalSection(): readonly string[] {
  const types = [...new Set(rows.map(({ model_type }) => model_type))].sort();
  const lines = types.map((type) => {
    const found = rows.filter(({ model_type }) => model_type === type).map((row) => verdict(row));
    const [first] = rows.filter(({ model_type }) => model_type === type);
    return {
      type,
      text: worst(found.map(({ text }) => text)),
      towers: worst(found.map(({ towers }) => towers)),
      computed: first === undefined ? '' : computed(first),
    };
  });
  const both = lines.filter(({ text, towers }) => text === 'exact' && towers === 'exact').length;
  const texts = lines.filter(({ text }) => text === 'exact').length;
  return [
    '## Models made of parts',
    '',
    `The same for ${types.length} models that join vision or audio towers to a decoder-only language model (\`scripts/oracle/multimodal.py\`): default config, the same written out, and two other shapes of text and towers. The text is exact in every variant for ${texts} of them, text and towers for ${both}. The worst of the variants is shown. The last column says of which towers FLOPs, activations and time are counted too; of the others weights, gradients and optimizer states alone. Those of sixteen encoders are held against the official code to the last FLOP and byte (\`scripts/oracle/encoder_layers.py\`).`,
    '',
    '| model_type | text | towers | FLOPs, activations, time |',
    '|---|---|---|---|',
    ...lines.map(({ type, text, towers, computed: which }) => `| \`${type}\` | ${text} | ${towers} | ${which} |`),
    '',
  ];
}
