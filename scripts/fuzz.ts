// Mutated real configs, and attacks with a plan (attacks.ts), against the whole way from bytes to words: no crash, no hang over a second, no memory above 300 MB, and
// no number that is none.
//   node scripts/node24.mjs scripts/fuzz.ts [COUNT] [SEED] [FOLDER...]
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { stringify } from 'yaml';
import { settingsOf } from '../src/calibrate.ts';
import { compare } from '../src/gate/compare.ts';
import { judge } from '../src/gate/judge.ts';
import type { Comparison, Side } from '../src/gate/review.ts';
import { comment } from '../src/report/comment.ts';
import { jsonReport } from '../src/report/json.ts';
import { jsonSchema } from '../src/report/json-schema.ts';
import { readSide } from '../src/run.ts';
import { globs } from '../src/settings/globs.ts';
import { type Attack, attack } from './attacks.ts';
import { below, chance, type Dice, pick } from './dice.ts';
import { published } from './published.ts';

const mostSeconds = 1;
const mostMebibytes = 300;
const root = fileURLToPath(new URL('..', import.meta.url));

// --- What is mutated --------------------------------------------------------------------------------------------------

type Seed = { readonly name: string; readonly text: string };

function seeds(folders: readonly string[]): readonly Seed[] {
  const files = (folder: string): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => /\.(json|ya?ml|toml)$/.test(path) && statSync(path).isFile() && statSync(path).size < 200_000);
  const own = [join(root, 'configs'), join(root, 'examples'), join(root, 'test/golden'), ...folders]
    .flatMap(files)
    .map((path) => ({ name: path.slice(path.lastIndexOf('/') + 1), text: readFileSync(path, 'utf8') }));
  const built: readonly { readonly config: unknown }[] = JSON.parse(
    readFileSync(join(root, 'test/oracle/transformers.json'), 'utf8'),
  );
  const oracle = [...published, ...built].map(({ config }, index) => ({
    name: `oracle-${index}.json`,
    text: JSON.stringify(config, null, 2),
  }));
  return [...own, ...oracle];
}

// --- How --------------------------------------------------------------------------------------------------------------

const strange: readonly unknown[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  2,
  3,
  7,
  1e3,
  65_537,
  2 ** 31,
  2 ** 40,
  2 ** 40 + 1,
  2 ** 53,
  1e308,
  -1e308,
  5e-324,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  null,
  true,
  false,
  '',
  '4096',
  'NaN',
  '1e9',
  'llama',
  [],
  {},
  [1],
  [[]],
  [null],
  { a: 1 },
  [0, 0, 0],
  'x'.repeat(5_000),
  '__proto__',
  'constructor',
  '\u202e',
  '${x}',
];

type Holder = { readonly owner: Record<string, unknown> | unknown[]; readonly key: string };

function places(value: unknown): readonly Holder[] {
  const found: Holder[] = [];
  const visit = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      found.push({ owner: node as Holder['owner'], key });
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(value);
  return found;
}

const at = ({ owner, key }: Holder) => (owner as Record<string, unknown>)[key];
const put = ({ owner, key }: Holder, value: unknown) =>
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });

const onValues: readonly ((dice: Dice, root: unknown, holder: Holder, other: Holder) => void)[] = [
  (_, __, { owner, key }) => void (Array.isArray(owner) ? owner.splice(Number(key), 1) : delete owner[key]),
  (dice, _, holder) => put(holder, pick(dice, strange)),
  (dice, _, holder) => put(holder, pick(dice, strange)),
  (dice, _, holder) => {
    const value = at(holder);
    if (typeof value === 'number') put(holder, value * pick(dice, [-1, 0, 0.5, 2, 3, 1e3, 1e6, 1e12, 1 / 3]));
  },
  (dice, _, holder) => {
    const value = at(holder);
    if (typeof value === 'number') put(holder, value + pick(dice, [-1, 1, 0.1, -value]));
  },
  (_, __, holder, other) => {
    const [one, two] = [at(holder), at(other)];
    put(holder, two);
    put(other, structuredClone(one));
  },
  (_, __, holder) => put(holder, [at(holder)]),
  (_, __, holder) => put(holder, { value: at(holder) }),
  (dice, _, holder) => {
    const value = at(holder);
    if (Array.isArray(value)) put(holder, Array.from({ length: below(dice, 4) }, () => value).flat());
  },
  (dice, _, holder) => {
    const value = at(holder);
    if (typeof value === 'string') put(holder, pick(dice, [value.toUpperCase(), `${value}2`, value.slice(1), '']));
  },
  (dice, whole, holder) =>
    put(
      {
        owner: whole as Record<string, unknown>,
        key: pick(dice, [
          'text_config',
          'llm_config',
          'quantization_config',
          'layer_types',
          'vision_config',
          'rope_scaling',
          '__proto__',
          'model_type',
        ]),
      },
      at(holder),
    ),
];

const nested = (dice: Dice) => {
  const depth = pick(dice, [10, 63, 64, 65, 200, 5_000, 100_000]);
  const [open, close] = pick(dice, [
    ['[', ']'],
    ['{"a":', '}'],
    ['[{"a":', '}]'],
  ] as const);
  return `${open.repeat(depth)}1${dice() < 0.7 ? close.repeat(depth) : ''}`;
};

const onText: readonly ((dice: Dice, text: string) => string)[] = [
  (dice, text) => text.slice(0, below(dice, text.length + 1)),
  (dice, text) => text.slice(below(dice, text.length + 1)),
  (dice, text) => {
    const place = below(dice, text.length + 1);
    return `${text.slice(0, place)}${pick(dice, ['"', '{', '}', '[', ']', ',', ':', '\n', '\u0000', '&a ', '*a', '<<: *a\n', '!!js/function ', '- ', '#', "'", '|\n', '\\u0000', '1e999', '-', '.inf', '.nan', 'NaN', '\t', '\ufeff', '\u2028'])}${text.slice(place)}`;
  },
  (dice, text) => {
    const lines = text.split('\n');
    const place = below(dice, lines.length);
    return [...lines.slice(0, place), lines[place], ...lines.slice(place)].join('\n');
  },
  (dice, text) => {
    const lines = text.split('\n');
    lines.splice(below(dice, lines.length), 1);
    return lines.join('\n');
  },
  (dice, text) =>
    text.replace(
      /:\s*-?\d+/,
      () => `: ${pick(dice, ['1e999', '-1', '0', '9'.repeat(400), '0x10', '1_000', '017', '1.5', '.5', '+1'])}`,
    ),
  (dice, text) => text.replace(/:\s*[^,\n]+/, () => `: ${nested(dice)}`),
  (dice, text) => text.repeat(1 + below(dice, 3)),
  (dice, text) => `${text}${pick(dice, [' ', '\n', 'x', '}'])}`.repeat(pick(dice, [1, 1, 1, 40])),
  (dice, text) =>
    `{"${'k'.repeat(pick(dice, [10, 100_000]))}": {${Array.from({ length: pick(dice, [10, 3_000]) }, (_, index) => `"a${index}":1`).join(',')}}, "rest": ${text}}`,
];

/** One input: a real config, hurt in one to four places, written as JSON or YAML, and perhaps with bytes flipped. */
function mutant(
  dice: Dice,
  from: readonly Seed[],
): { readonly name: string; readonly bytes: Uint8Array; readonly original: Seed } {
  const original = pick(dice, from);
  let { text } = original;
  let { name } = original;
  const isJson = name.endsWith('.json');
  if (isJson && dice() < 0.75) {
    try {
      const value: unknown = JSON.parse(text);
      for (let times = 1 + below(dice, 4); times > 0; times--) {
        const all = places(value);
        if (all.length === 0) break;
        pick(dice, onValues)(dice, value, pick(dice, all), pick(dice, all));
      }
      const infinite = (_: string, one: unknown) =>
        typeof one === 'number' && !Number.isFinite(one) ? `\u0001${one}` : one;
      text = dice() < 0.8 ? JSON.stringify(value, infinite, 2).replace(/"\\u0001(-?\w+)"/g, '$1') : stringify(value);
      if (!text.startsWith('{')) name = name.replace('.json', '.yaml');
    } catch {
      // A cycle, or no JSON at all: the text is hurt instead.
    }
  }
  for (let times = isJson && dice() < 0.6 ? 0 : 1 + below(dice, 2); times > 0; times--)
    if (text.length < 400_000) text = pick(dice, onText)(dice, text);
  if (dice() < 0.1) name = name.replace(/\.\w+$/, pick(dice, ['.yaml', '.toml', '.json']));
  const bytes = Buffer.from(text, dice() < 0.02 ? 'utf16le' : 'utf8');
  if (dice() < 0.15)
    for (let times = 1 + below(dice, 8); times > 0; times--) bytes[below(dice, bytes.length)] = below(dice, 256);
  return { name, bytes, original };
}

// --- What must hold ---------------------------------------------------------------------------------------------------

const settings = [
  settingsOf({}),
  settingsOf(
    { 'fail-on': 'increase', 'memory-budget': '1GB' },
    {
      run: {
        name: 'run.yml',
        bytes: Buffer.from(
          'gpus: 64\nsharding: full\nrecompute: selective\nparallelism: { tensor: 8, pipeline: 4, expert: 2 }\ntokens: 1T\n',
        ),
      },
    },
  ),
];

/** Where a report holds a number that is none, or one below nothing. */
function wrongNumber(value: unknown, path = ''): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? undefined : `${path} is ${value}`;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, child] of Object.entries(value)) {
    const found = wrongNumber(child, `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What would be wrong with the words, the numbers or the comparison of one input; undefined where nothing is. */
function fault(dice: Dice, name: string, bytes: Uint8Array, original: Seed): string | undefined {
  const chosen = pick(dice, settings);
  const side = (content: Uint8Array, path: string): Side => readSide({ kind: 'bytes', bytes: content }, path, chosen);
  const [base, head] = [side(Buffer.from(original.text), original.name), side(bytes, name)];
  const compared = (one: Side, other: Side): Comparison => compare({ path: name, named: true, base: one, head: other });
  const comparison = compared(base, head);
  const review = {
    comparisons: [comparison],
    verdict: judge([comparison], chosen.budgetsFor, '2026-11-24'),
    settings: chosen.shown,
    missed: [],
    notes: [],
    version: 'fuzz',
  };
  const words = comment(review, { key: 'default', budgetsFor: chosen.budgetsFor });
  if (words.length > 65_536) return `a comment of ${words.length} characters`;
  // What the config says stands in code or in quotes; nothing of ours may be no number.
  const ours = words.replace(/<!--.*?-->|(`+)[^`](?:[\s\S]*?[^`])?\1(?!`)| but is -?(?:NaN|Infinity)\./g, '');
  const source = original.text + Buffer.from(bytes).toString('utf8').replaceAll('\0', '');
  const quoted = /\d{300}|e\+?\d{3}|\.inf|\.nan/i.test(source) ? `${source} Infinity NaN` : source;
  for (const leak of ['NaN', 'Infinity', 'undefined', '[object'])
    if (ours.includes(leak) && !quoted.includes(leak))
      return `in the words: ${ours.split('\n').find((line) => line.includes(leak))}`;
  const report = jsonReport(review);
  const parsed = jsonSchema().safeParse(report);
  if (!parsed.success) return `the JSON: ${parsed.error.issues[0]?.path.join('.')} ${parsed.error.issues[0]?.message}`;
  const number = wrongNumber(report.reports);
  if (number !== undefined) return `the JSON: ${number}`;
  if (head.reading.kind === 'unread' && head.reading.problems.length === 0) return 'unread without a reason';
  const swapped = compared(head, base);
  for (const { metric, before, after } of comparison.changes) {
    const back = swapped.changes.find((one) => one.metric === metric);
    if (back?.before !== after || back?.after !== before) return `${metric} is not the same the other way round`;
  }
  return undefined;
}

// --- The run ----------------------------------------------------------------------------------------------------------

type Job = {
  readonly first: number;
  readonly count: number;
  readonly seed: number;
  readonly folders: readonly string[];
};
type News = { readonly index: number; readonly seconds: number; readonly fault?: string; readonly read?: boolean };

type Input = { readonly name: string; readonly bytes: Uint8Array; readonly original: Seed; readonly attack?: Attack };

/** The input with this number, the same in every run with the same seed: one in three is an attack. */
function inputOf(index: number, seed: number, from: readonly Seed[]): Input & { readonly dice: Dice } {
  const dice = chance(seed * 1_000_003 + index);
  if (index % 3 !== 0) return { dice, ...mutant(dice, from) };
  const found = attack(dice);
  const name = found.kind;
  const text = (value: unknown) => JSON.stringify(value);
  const [base, head] = found.kind === 'config' ? [text(found.base), text(found.head)] : ['', text(found)];
  return { dice, name, bytes: Buffer.from(head), original: { name, text: base }, attack: found };
}

function faultOf({ dice, name, bytes, original, attack: found }: ReturnType<typeof inputOf>): string | undefined {
  if (found?.kind === 'glob') {
    globs([found.pattern]).names(found.path);
    return undefined;
  }
  return fault(dice, name, bytes, original) ?? (found?.same ? moved(found) : undefined);
}

/** Keys that a class does not read must not change what is counted. */
function moved({ base, head }: Extract<Attack, { kind: 'config' }>): string | undefined {
  const total = (config: object) => {
    const bytes = Buffer.from(JSON.stringify(config));
    return readSide({ kind: 'bytes', bytes }, 'config.json', settingsOf({})).estimate?.parameters.total;
  };
  const [before, after] = [total(base), total(head)];
  return before === after ? undefined : `decoys move the count from ${before} to ${after}`;
}

function work({ first, count, seed, folders }: Job): void {
  const from = seeds(folders);
  for (let index = first; index < first + count; index++) {
    const input = inputOf(index, seed, from);
    const started = process.threadCpuUsage();
    let found: string | undefined;
    try {
      found = faultOf(input);
    } catch (error) {
      found = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    const { user, system } = process.threadCpuUsage(started);
    const seconds = (user + system) / 1e6;
    const slow = seconds > mostSeconds ? `took ${seconds.toFixed(2)} s` : undefined;
    const wrong = found ?? slow;
    parentPort?.postMessage({ index, seconds, ...(wrong === undefined ? {} : { fault: wrong }) } satisfies News);
  }
}

async function main(): Promise<number> {
  const [count = '2000', seedText = '1', ...folders] = process.argv.slice(2);
  const [total, seed] = [Number(count), Number(seedText)];
  const from = seeds(folders);
  const faults: string[] = [];
  let [tried, slowest, next] = [0, 0, 0];
  while (next < total && faults.length < 40) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { first: next, count: total - next, seed, folders } satisfies Job,
      resourceLimits: { maxOldGenerationSizeMb: mostMebibytes },
      stdout: true,
    });
    let died = '';
    const ended = new Promise<void>((done) => {
      let watch: NodeJS.Timeout | undefined;
      const guard = () => {
        clearTimeout(watch);
        // Wall time, generous: the machine may be busy.
        watch = setTimeout(() => {
          died = 'hangs';
          void worker.terminate();
        }, 20_000);
      };
      worker.on('message', (news: News) => {
        guard();
        tried += 1;
        next = news.index + 1;
        slowest = Math.max(slowest, news.seconds);
        if (news.fault !== undefined) process.stderr.write(`${news.index}: ${news.fault.slice(0, 300)}\n`);
        if (news.fault !== undefined) faults.push(`${news.index}: ${news.fault}`);
        if (faults.length >= 40) void worker.terminate();
      });
      worker.on('error', (error) => {
        died = error.message;
      });
      worker.on('exit', () => {
        clearTimeout(watch);
        done();
      });
    });
    await ended;
    if (died !== '') {
      process.stderr.write(`${next}: ${died}\n`);
      faults.push(`${next}: ${died}`);
      tried += 1;
      next += 1;
    }
  }
  for (const line of faults.slice(0, 40)) {
    const index = Number(line.split(':')[0]);
    const { name, bytes } = inputOf(index, seed, from);
    process.stdout.write(
      `${line}\n  ${name}, ${bytes.length} bytes: ${JSON.stringify(Buffer.from(bytes.subarray(0, 1_500)).toString('utf8'))}\n`,
    );
  }
  const peak = Math.round(process.resourceUsage().maxRSS / 1_024);
  process.stdout.write(
    `${tried} inputs out of ${from.length} configs, seed ${seed}: ${faults.length} faults, slowest ${slowest.toFixed(2)} s, peak memory of the process ${peak} MiB\n`,
  );
  return faults.length === 0 ? 0 : 1;
}

if (isMainThread) process.exitCode = await main();
else work(workerData as Job);
