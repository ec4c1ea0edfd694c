// Says which reports a change moved, and by how much: a report for each family's defaults, each config of the oracle, each
// published run and memory row, each watched run (watched.ts), and both sides of each golden story, held against what was written down last.
//   node scripts/node24.mjs scripts/freeze.ts           what moved since
//   node scripts/node24.mjs scripts/freeze.ts --any     fails at the first that moved
//   node scripts/node24.mjs scripts/freeze.ts --write   writes it down, to be committed with the change that moved it
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { settingsOf } from '../src/calibrate.ts';
import { familyNames } from '../src/families/registry.ts';
import { sideReport } from '../src/report/json.ts';
import { readSide } from '../src/run.ts';
import { published } from './published.ts';
import { watchedRuns } from './watched.ts';

const root = join(import.meta.dirname, '..');
const oracle = join(root, 'test', 'oracle');
const golden = join(root, 'test', 'golden');
export const frozenFile = join(oracle, 'frozen.tsv');

/** One report: its numbers as a hash, and the four figures that people look at first. */
export type Frozen = {
  readonly hash: string;
  readonly figures: readonly (number | null)[];
};
const figureNames = ['parameters', 'training FLOPs', 'device bytes', 'step seconds'] as const;

type Json = Readonly<Record<string, unknown>>;
const parsed = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

type Subject = { readonly id: string; readonly config: string; readonly run?: string };

/** Every report that is watched, under a name that stays. */
function subjects(): readonly Subject[] {
  return [
    ...familyNames.map((type) => ({ id: `family ${type}`, config: JSON.stringify({ model_type: type }) })),
    ...numbered('models', published),
    ...['transformers', 'multimodal', 'encoders', 'linear', 'remote', 'flops'].flatMap((name) =>
      numbered(name, parsed(join(oracle, `${name}.json`))),
    ),
    ...['fsdp', 'peaks', 'memory', 'runs'].flatMap((name) => numbered(name, parsed(join(oracle, `${name}.json`)))),
    ...watchedRuns,
    ...readdirSync(golden).flatMap((story) =>
      ['base', 'head'].flatMap((side) => {
        const path = join(golden, story, `${side}.json`);
        const run = join(golden, story, 'run.yml');
        if (!existsSync(path)) return [];
        return [
          {
            id: `golden ${story} ${side}`,
            config: readFileSync(path, 'utf8'),
            ...(existsSync(run) ? { run: readFileSync(run, 'utf8') } : {}),
          },
        ];
      }),
    ),
  ];
}

type Row = { readonly id?: string; readonly config: Json | number; readonly run?: Json } & Json;
type Table = readonly Row[] | { readonly configs: readonly Json[]; readonly rows: readonly Row[] };

/** Rows of one table of the oracle, named by what they are and by their number among those of that name. */
function numbered(table: string, stored: Table): readonly Subject[] {
  const { configs, rows } = 'rows' in stored ? stored : { configs: [], rows: stored };
  const seen = new Map<string, number>();
  return rows.map((row) => {
    const name = [row.id ?? row['model'] ?? row['model_type'] ?? '', row['variant'] ?? ''].join(' ').trim();
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return {
      id: [table, name, count === 1 ? '' : `#${count}`].filter((word) => word !== '').join(' '),
      config: JSON.stringify(typeof row.config === 'number' ? configs[row.config] : row.config),
      ...(row.run === undefined ? {} : { run: JSON.stringify(row.run) }),
    };
  });
}

/** The numbers of every report, by name. */
export const freeze = (): ReadonlyMap<string, Frozen> => new Map(subjects().map((one) => [one.id, frozenOf(one)]));

const unstated = settingsOf({});

function frozenOf({ config, run }: Subject): Frozen {
  const settings = run === undefined ? unstated : settingsOf({}, { run: { name: 'run.yml', bytes: Buffer.from(run) } });
  const side = readSide({ kind: 'bytes', bytes: Buffer.from(config) }, 'config.json', settings);
  const report = sideReport('config.json', side);
  const { parameters, flops, memory, throughput } = report;
  return {
    hash: createHash('sha256').update(numbersOf(report)).digest('hex').slice(0, 10),
    figures: [
      parameters?.total ?? null,
      flops?.training_per_token ?? null,
      memory?.device_bytes ?? null,
      throughput?.step_seconds ?? null,
    ],
  };
}

/** The name of a report that moved, found soon where many did: they are taken in strides through the list. */
function someMove(): string | undefined {
  const before = readFrozen();
  const all = subjects();
  const stride = 101;
  for (let start = 0; start < stride; start++)
    for (let index = start; index < all.length; index += stride) {
      const one = all[index];
      if (one !== undefined && before.get(one.id)?.hash !== frozenOf(one).hash) return one.id;
    }
  return undefined;
}

/** All numbers and answers of a report with where they stand; words may be mended without moving one. */
function numbersOf(value: unknown, path = ''): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return `${path}=${value}\n`;
  if (typeof value !== 'object') return '';
  return Object.entries(value)
    .filter(([key]) => key !== 'line')
    .map(([key, child]) => numbersOf(child, `${path}.${key}`))
    .join('');
}

const written = (frozen: ReadonlyMap<string, Frozen>): string =>
  [...frozen].map(([id, { hash, figures }]) => `${[id, hash, ...figures.map(String)].join('\t')}\n`).join('');

function readFrozen(): ReadonlyMap<string, Frozen> {
  const rows = existsSync(frozenFile) ? readFileSync(frozenFile, 'utf8').split('\n').filter(Boolean) : [];
  return new Map(
    rows.map((row) => {
      const [id = '', hash = '', ...figures] = row.split('\t');
      return [id, { hash, figures: figures.map((text) => (text === 'null' ? null : Number(text))) }];
    }),
  );
}

/** What moved, came or went since the figures were written down, a sentence each. */
export function moves(now: ReadonlyMap<string, Frozen> = freeze()): readonly string[] {
  const before = readFrozen();
  return [...new Set([...before.keys(), ...now.keys()])].flatMap((id) => {
    const [old, is] = [before.get(id), now.get(id)];
    if (old === undefined) return [`${id}: new`];
    if (is === undefined) return [`${id}: gone`];
    return old.hash === is.hash ? [] : [`${id}: ${difference(old, is)}`];
  });
}

function difference(old: Frozen, now: Frozen): string {
  const moved = figureNames.flatMap((name, index) => {
    const [before, after] = [old.figures[index] ?? null, now.figures[index] ?? null];
    if (before === after) return [];
    const share = before === null || after === null ? '' : ` (${(100 * (after / before - 1)).toFixed(2)} %)`;
    return [`${name} ${before} -> ${after}${share}`];
  });
  return moved.length === 0 ? 'another number than the four that are kept' : moved.join(', ');
}

function print(): void {
  const now = freeze();
  const moved = moves(now);
  for (const line of moved.slice(0, 100)) console.log(line);
  if (moved.length > 100) console.log(`... and ${moved.length - 100} more`);
  console.log(`${moved.length} of ${now.size} reports moved.`);
  if (process.argv.includes('--write')) writeFileSync(frozenFile, written(now));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--any')) process.exitCode = someMove() === undefined ? 0 : 1;
  else print();
}
