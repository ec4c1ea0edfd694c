// Changes one number or operator of a file at a time and prints what saw each change: a test of the unit part, the freeze and what else
// was written by the program itself (they know that a figure moved, not that it was right), or nothing.
//   node scripts/node24.mjs scripts/mutate.ts [--sample 200] [--seed 1] [--jobs 2] [--without-freeze] [--list] [path[:line[:column]] ...]
// Works on copies in a temporary folder. Paths say what to change instead of src/cost and src/facts. Survivors that may stay are in
// scripts/mutants-accepted.json, each with the reason.
import { spawn } from 'node:child_process';
import {
  cpSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseAst } from 'vitest/node';
import { node24 } from './node24.mjs';

type Mutant = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The text of the line, which stays the same when lines move. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
};
type Accepted = {
  readonly file: string;
  readonly text: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
};
type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [key: string]: unknown };

const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    'without-freeze': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const operators: Readonly<Record<string, string>> = {
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '**': '*',
  '+=': '-=',
  '-=': '+=',
  '*=': '/=',
  '/=': '*=',
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
  '===': '!==',
  '!==': '===',
  '&&': '||',
  '||': '&&',
};
const functions: Readonly<Record<string, string>> = { min: 'max', max: 'min', ceil: 'floor', floor: 'ceil' };

/** A small count moves by one, anything else by half of itself, which no tolerance of a sound test should let pass. */
function otherNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10) return String(value + 1);
  return String(Number.isInteger(value) ? Math.round(1.5 * value) : 1.5 * value);
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Every node that runs: types are passed over, but for the expressions that they are asserted of. */
function* running(node: Node): Generator<Node> {
  const asserted = ['TSAsExpression', 'TSSatisfiesExpression'].includes(node.type);
  if (node.type.startsWith('TS') && !asserted) return;
  yield node;
  for (const [key, value] of Object.entries(node)) {
    if (asserted && key !== 'expression') continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* running(child);
  }
}

/** Where one node is changed, and into what. */
function change(node: Node, source: string): { start: number; before: string; after: string } | undefined {
  if (node.type === 'Literal' && typeof node['value'] === 'number')
    return { start: node.start, before: source.slice(node.start, node.end), after: otherNumber(node['value']) };
  if (['BinaryExpression', 'LogicalExpression', 'AssignmentExpression'].includes(node.type)) {
    const { operator, left, right } = node as unknown as { operator: string; left: Node; right: Node };
    const after = operators[operator];
    if (after === undefined || (operator === '+' && (isText(left) || isText(right)))) return undefined;
    const start = source.indexOf(operator, left.end);
    return start < right.start ? { start, before: operator, after } : undefined;
  }
  if (node.type !== 'CallExpression') return undefined;
  const { object, property } = node['callee'] as { object?: { name?: string }; property?: Node & { name?: string } };
  const after = object?.name === 'Math' ? functions[property?.name ?? ''] : undefined;
  return property && after ? { start: property.start, before: property.name ?? '', after } : undefined;
}

/** Whether an operand is text, so that the plus beside it joins and does not add. */
const isText = (node: Node): boolean =>
  node.type === 'TemplateLiteral' ||
  (node.type === 'Literal' && typeof node['value'] === 'string') ||
  (node.type === 'BinaryExpression' && (isText(node['left'] as Node) || isText(node['right'] as Node)));

function mutantsOf(file: string): readonly Mutant[] {
  const source = readFileSync(join(root, file), 'utf8');
  const found: Mutant[] = [];
  for (const node of running(parseAst(source, { lang: 'ts' }) as unknown as Node)) {
    const changed = change(node, source);
    if (changed === undefined) continue;
    const { start, before, after } = changed;
    const line = source.slice(0, start).split('\n').length;
    const column = start - source.lastIndexOf('\n', start - 1);
    const text = source.split('\n')[line - 1]?.trim() ?? '';
    found.push({ file, line, column, text, start, end: start + before.length, before, after });
  }
  return found;
}

const filesOf = (path: string): readonly string[] =>
  statSync(join(root, path)).isFile()
    ? [path]
    : readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(path, name).replaceAll('\\', '/'))
        .sort();

/** Numbers between 0 and 1, the same for the same seed (Mulberry32, public domain). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sampled<T>(all: readonly T[], count: number, seed: number): readonly T[] {
  const next = random(seed);
  return all
    .map((one) => ({ one, order: next() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ one }) => one);
}

/** A copy of the tree that may be broken; modules are linked. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
  const left = new Set(['node_modules', '.git', 'build', 'dist'].map((name) => join(root, name)));
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(path) });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Tests of text and of the house itself, which no figure reaches. */
const ofWords = ['text/**', 'settings/**', 'report/**', 'house.test.ts', 'release.test.ts'];
/** Tests that hold figures against what the program wrote before; they are left out with the freeze. */
const ofFormerFigures = ['{frozen,golden,pages}.test.ts', 'oracle/coverage.test.ts', 'plan/plan-proof.test.ts'];
/** Tests that take seconds together and see most changes. */
const quick = [
  'cost/*.test.ts',
  'oracle/{parameters,heads,flops,multimodal,encoder-layers}.test.ts',
  '{models,basis,facts}.test.ts',
];
const testsOf = (patterns: readonly string[], but: readonly string[] = []): readonly string[] =>
  globSync([...patterns], { cwd: join(root, 'test'), exclude: [...but] })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${name}`.replaceAll('\\', '/'))
    .sort();
/** Runs some tests of the unit part until one fails, in one thread, which ends with its process even where a change made it endless. */
const vitest = (tests: readonly string[]): readonly string[] => [
  'node_modules/vitest/vitest.mjs',
  'run',
  ...['--project', 'unit', '--bail', '1', '--testTimeout', '600000', '--reporter', 'dot'],
  ...['--pool', 'threads', '--maxWorkers', '1', '--no-isolate'],
  ...tests,
];

type Round = {
  readonly name: string;
  readonly words: readonly string[];
  /** How many changes are tried at once: many where few are seen. */
  readonly together: number;
};
/** What may see a change, the quickest first; each gets what the ones before it did not see. */
const rounds: readonly Round[] = [
  { name: 'a quick test', words: vitest(testsOf(quick)), together: 1 },
  { name: 'a slower test', words: vitest(testsOf(['**'], [...quick, ...ofWords, ...ofFormerFigures])), together: 8 },
  { name: 'a figure written before', words: vitest(testsOf(ofFormerFigures)), together: 1 },
  { name: 'the freeze', words: ['scripts/freeze.ts', '--any'], together: 1 },
];
const wanted = rounds.slice(0, values['without-freeze'] ? 2 : undefined);

/** What failed in one round of a copy, if anything: what does not end has failed, and properties are tried on few inputs. */
function failureOf(copy: string, { name, words }: Round): Promise<string | undefined> {
  const child = spawn(node24(), [...words], {
    cwd: copy,
    env: { ...process.env, NO_COLOR: '1', FUZZ_RUNS: '50' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 600_000,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return new Promise((done) =>
    child.on('close', (status, signal) => {
      const failed = signal === null ? (/FAIL.*?(test\/\S+)/.exec(said)?.[1] ?? name) : `${name}, which did not end`;
      done(status === 0 ? undefined : failed);
    }),
  );
}

/** The text of a file with some changes, the last place first, so that the other places stay where they are. */
const changed = (source: string, mutants: readonly Mutant[]): string =>
  mutants
    .toSorted((a, b) => b.start - a.start)
    .reduce((text, { start, end, after }) => text.slice(0, start) + after + text.slice(end), source);

/** What sees some changes that are made together, if anything does. */
async function seenBy(mutants: readonly Mutant[], round: Round, copy: string): Promise<string | undefined> {
  const sources = [...Map.groupBy(mutants, ({ file }) => file)].map(([file, here]) => {
    const path = join(copy, file);
    return { path, source: readFileSync(path, 'utf8'), here };
  });
  for (const { path, source, here } of sources) writeFileSync(path, changed(source, here));
  try {
    return await failureOf(copy, round);
  } finally {
    for (const { path, source } of sources) writeFileSync(path, source);
  }
}

/** Those of some changes that a round does not see: where it fails for all, halves are tried. One that another hides is not seen. */
async function unseenOf(mutants: readonly Mutant[], round: Round, copy: string): Promise<readonly Mutant[]> {
  const started = performance.now();
  const seen = await seenBy(mutants, round, copy);
  if (seen === undefined || mutants.length === 1) {
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    for (const one of mutants) console.log(`${seen ?? `not by ${round.name}`} (${seconds} s): ${describe(one)}`);
    return seen === undefined ? mutants : [];
  }
  const middle = mutants.length >> 1;
  const first = await unseenOf(mutants.slice(0, middle), round, copy);
  return [...first, ...(await unseenOf(mutants.slice(middle), round, copy))];
}

/** Those of some changes that a round does not see; each copy of the tree tries some at a time. */
async function unseen(mutants: readonly Mutant[], round: Round, copies: readonly string[]): Promise<readonly Mutant[]> {
  const failed = await failureOf(copies[0] ?? root, round);
  if (failed !== undefined) throw new Error(`Without any change, ${round.name} fails: ${failed}.`);
  const waiting = [...mutants];
  const left: Mutant[] = [];
  const work = async (copy: string) => {
    while (waiting.length > 0) left.push(...(await unseenOf(waiting.splice(0, round.together), round, copy)));
  };
  await Promise.all(copies.map(work));
  console.log(`seen by ${round.name}: ${mutants.length - left.length} of ${mutants.length}`);
  return left;
}

const accepted: readonly Accepted[] = JSON.parse(
  readFileSync(new URL('./mutants-accepted.json', import.meta.url), 'utf8'),
);
const reasonOf = (mutant: Mutant): string | undefined =>
  accepted.find((one) => (['file', 'text', 'before', 'after'] as const).every((key) => one[key] === mutant[key]))
    ?.reason;
const describe = ({ file, line, column, text, before, after }: Mutant): string =>
  `${file}:${line}:${column}  ${before} -> ${after}    ${text}`;

/** All changes of what is under a path, of one line of a file, or at one place. */
function mutantsUnder(asked: string): readonly Mutant[] {
  const [, path = asked, line, column] = /^(.*?)(?::(\d+))?(?::(\d+))?$/.exec(asked) ?? [];
  return filesOf(relative(root, resolve(path)).replaceAll('\\', '/'))
    .flatMap(mutantsOf)
    .filter((one) => line === undefined || one.line === Number(line))
    .filter((one) => column === undefined || one.column === Number(column));
}

const all = (positionals.length > 0 ? positionals : ['src/cost', 'src/facts']).flatMap(mutantsUnder);
const chosen = sampled(all, Number(values.sample), Number(values.seed));
console.log(`${chosen.length} of ${all.length} changes, seed ${values.seed}`);

if (values.list) for (const mutant of chosen) console.log(describe(mutant));
else {
  const copies = Array.from({ length: Number(values.jobs) }, copyTree);
  try {
    let left = chosen;
    for (const round of wanted) left = await unseen(left, round, copies);
    const share = (list: readonly unknown[]) =>
      `${list.length} of ${chosen.length} (${((100 * list.length) / chosen.length).toFixed(1)} %)`;
    for (const one of left)
      console.log(`survived: ${describe(one)}${reasonOf(one) === undefined ? '' : ` (${reasonOf(one)})`}`);
    console.log(
      `survived: ${share(left)}; without a reason: ${share(left.filter((one) => reasonOf(one) === undefined))}`,
    );
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
  }
}
