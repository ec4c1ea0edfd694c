// Changes one number or operator of a file at a time and prints what saw each change: the freeze (which knows that a figure moved, not
// that it was right), a test of the unit part, or nothing.
//   node scripts/node24.mjs scripts/mutate.ts [--sample 200] [--seed 1] [--jobs 2] [--without-freeze] [--list] [path ...]
// Works on copies in a temporary folder. Paths say what to change instead of src/cost and src/facts. Survivors that may stay are in
// scripts/mutants-accepted.json, each with the reason.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { parseAst } from 'vitest/node';
import { node24 } from './node24.mjs';

type Mutant = {
  readonly file: string;
  readonly line: number;
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
    const text = source.split('\n')[line - 1]?.trim() ?? '';
    found.push({ file, line, text, start, end: start + before.length, before, after });
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

/** Tests of text and of the house itself, which no figure reaches; the freeze is run apart. */
const apart = ['text/**', 'settings/**', 'report/**', 'house.test.ts', 'properties.test.ts', 'frozen.test.ts'];
const vitest = [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--project',
  'unit',
  '--bail',
  '1',
  '--maxWorkers',
  '1',
  '--testTimeout',
  '600000',
];
/** What may see a change, the quickest first. */
const rounds: Readonly<Record<string, readonly string[]>> = {
  'the freeze': ['scripts/freeze.ts', '--any'],
  'a test': [...vitest, '--no-isolate', ...apart.flatMap((path) => ['--exclude', `test/${path}`])],
};
const wanted = Object.entries(rounds).filter(([name]) => !(values['without-freeze'] && name === 'the freeze'));

/** Whether one round of a copy passes; what does not end has failed. */
function passes(copy: string, words: readonly string[]): Promise<boolean> {
  const child = spawn(node24(), [...words], { cwd: copy, stdio: 'ignore', timeout: 300_000, killSignal: 'SIGKILL' });
  return new Promise((done) => child.on('close', (status) => done(status === 0)));
}

/** Whether a round fails for a change. */
async function sees(words: readonly string[], copy: string, { file, start, end, after }: Mutant): Promise<boolean> {
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  writeFileSync(path, source.slice(0, start) + after + source.slice(end));
  try {
    return !(await passes(copy, words));
  } finally {
    writeFileSync(path, source);
  }
}

/** Those of some changes that a round does not see; each copy of the tree tries one at a time. */
async function unseen(
  [name, words]: readonly [string, readonly string[]],
  mutants: readonly Mutant[],
  copies: readonly string[],
): Promise<readonly Mutant[]> {
  if (!(await passes(copies[0] ?? root, words))) throw new Error(`Without any change, ${name} fails.`);
  const waiting = [...mutants];
  const left: Mutant[] = [];
  const work = async (copy: string) => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      if (await sees(words, copy, mutant)) continue;
      left.push(mutant);
      console.log(`${mutants.length - waiting.length}. not seen by ${name}: ${describe(mutant)}`);
    }
  };
  await Promise.all(copies.map(work));
  console.log(`seen by ${name}: ${mutants.length - left.length} of ${mutants.length}`);
  return left;
}

const accepted: readonly Accepted[] = JSON.parse(
  readFileSync(new URL('./mutants-accepted.json', import.meta.url), 'utf8'),
);
const reasonOf = (mutant: Mutant): string | undefined =>
  accepted.find((one) => (['file', 'text', 'before', 'after'] as const).every((key) => one[key] === mutant[key]))
    ?.reason;
const describe = ({ file, line, text, before, after }: Mutant): string =>
  `${file}:${line}  ${before} -> ${after}    ${text}`;

const all = (positionals.length > 0 ? positionals : ['src/cost', 'src/facts'])
  .map((path) => relative(root, join(process.cwd(), path)).replaceAll('\\', '/'))
  .flatMap(filesOf)
  .flatMap(mutantsOf);
const chosen = sampled(all, Number(values.sample), Number(values.seed));
console.log(`${chosen.length} of ${all.length} changes, seed ${values.seed}`);

if (values.list) for (const mutant of chosen) console.log(describe(mutant));
else {
  const copies = Array.from({ length: Number(values.jobs) }, copyTree);
  try {
    let left = chosen;
    for (const round of wanted) left = await unseen(round, left, copies);
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
