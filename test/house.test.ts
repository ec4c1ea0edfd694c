import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { frameworks } from '../src/facts/frameworks.ts';
import { profiles } from '../src/facts/steps.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map((path) => path.replaceAll('\\', '/'));

/** The floor of each room: a file may import from its own folder and from lower floors. */
const floors: Readonly<Record<string, number>> = {
  'units.ts': 1,
  'remembering.ts': 1,
  'world.ts': 1,
  facts: 2,
  model: 3,
  text: 4,
  setup: 5,
  families: 5,
  'cost/expand': 5,
  'cost/count': 6,
  'cost/placement.ts': 7,
  'cost/memory': 8,
  'cost/time': 9,
  'cost/calibrations.ts': 9,
  'cost/engine.ts': 10,
  read: 10,
  gate: 10,
  report: 11,
  settings: 12,
  plan: 12,
  'calibrate.ts': 13,
  'tip.ts': 13,
  'jobs.ts': 13,
  attribution: 13,
  'run.ts': 14,
  'deadline.ts': 14,
  'library.ts': 15,
  github: 15,
  local: 15,
  'main.ts': 16,
  'cli.ts': 16,
};

/** A folder of `src`; in `cost`, whose folders are rooms of their own, the folder there. */
const room = (path: string): string => {
  const [folder = '', inner = ''] = path.split('/');
  return folder === 'cost' ? `cost/${inner}` : folder;
};
const isDoor = (path: string): boolean => ['github', 'local', 'main.ts', 'cli.ts'].includes(room(path));
/** What both doors need and neither may lend the other. */
const clock = 'deadline.ts';
const source = (path: string): string => readFileSync(join(root, 'src', path), 'utf8');
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

/** Every module that a text names: `from`, a bare `import`, and imports at run time. */
const modules = (text: string): readonly string[] =>
  [...withoutComments(text).matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)['"]([^'"\n]+)['"]/g)].map(
    ([, target = '']) => target,
  );

const imports = (path: string): readonly string[] =>
  modules(source(path))
    .filter((target) => target.startsWith('.'))
    .map((target) => relative(join(root, 'src'), join(root, 'src', dirname(path), target)).replaceAll('\\', '/'));

/** All that is committed as text, but for what a build writes. */
const written = ['src', 'test', 'scripts', 'docs', 'configs', 'examples', '.github', '.ci', 'schema']
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/')),
  )
  .concat(readdirSync(root).filter((name) => /\.(md|yml|json|ts)$/.test(name)));

/** Code, without what stands in quotes. */
const withoutText = (text: string): string => withoutComments(text).replace(/'(?:[^'\\\n]|\\.)*'/g, "''");

/** Put together, so that this file does not name one itself. */
const machine = new RegExp(['work', 'tmp', 'home', 'Users'].map((name) => `(?<![\\w.-])/${name}/`).join('|'));

/** Where the outside begins: the clock, chance, the process, the network, globals by name. */
const outside =
  /\bprocess\b|\bconsole\.|\bDate\.now|\bnew Date\(|\bMath\.random|\bfetch\(|\bglobalThis\b|\bperformance\.|\bsetTimeout\b|\beval\(|\bnew Function\b|\bcrypto\./;
/** A number that turns one unit into another; the same number as a bound is none. */
const prefixes = /[*/]\s*\(?(1e(9|12|15)|(2|1024) \*\* [34]0?)\b|\b(1e(9|12|15)|2 \*\* [34]0)\s*[*/]/;

describe('what the house looks for', () => {
  it.each([
    "import { a } from './x.ts';",
    "import type { A } from './x.ts';",
    "import {\n  a,\n  b,\n} from './x.ts';",
    "export { a } from './x.ts';",
    "export * from './x.ts';",
    "import './x.ts';",
    "const a = await import('./x.ts');",
    "type A = import('./x.ts').A;",
  ])('finds the module of %j', (line) => {
    expect(modules(line)).toEqual(['./x.ts']);
  });

  it.each(['process.env', 'const { env } = process;', 'Date.now()', 'new Date()', 'console.log(1)', 'fetch(url)'])(
    'sees the outside in %j',
    (line) => expect(line).toMatch(outside),
  );

  it.each(['n / 1e12', '1e9 * n', 'n * 2 ** 30', 'n / (1024 ** 3)'])('sees a prefix in %j', (line) =>
    expect(line).toMatch(prefixes),
  );
});

describe('the house', () => {
  it('has a floor for every room', () => {
    expect([...new Set(files.map(room))].filter((name) => floors[name] === undefined)).toEqual([]);
  });

  it.each(files)('%s imports downwards only', (path) => {
    const here = floors[room(path)] ?? 0;
    const upward = imports(path).filter((target) => room(target) !== room(path) && (floors[room(target)] ?? 0) >= here);
    expect(upward).toEqual([]);
  });

  it('has no circles', () => {
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'done') return;
      if (state.get(path) === 'open') {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
        return;
      }
      state.set(path, 'open');
      for (const target of imports(path)) visit(target, [...trail, path]);
      state.set(path, 'done');
    };
    for (const path of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  it.each(files.filter((path) => !isDoor(path) && path !== clock))('%s does not touch the world', (path) => {
    expect(modules(source(path)).filter((name) => /^(node:|@actions\/|@octokit\/)/.test(name))).toEqual([]);
    expect(withoutText(source(path))).not.toMatch(outside);
  });

  it('has one clock, which takes nothing from outside but the time and an interrupt, and which only doors may set', () => {
    expect(modules(source(clock)).filter((name) => !name.startsWith('.'))).toEqual(['node:vm']);
    const touched = withoutText(source(clock)).matchAll(new RegExp(outside, 'g'));
    expect([...new Set([...touched].map(([word]) => word))].sort()).toEqual(['globalThis', 'performance.']);
    expect(files.filter((path) => imports(path).includes(clock) && !isDoor(path))).toEqual([]);
  });

  it.each(['main.ts', 'cli.ts'])('%s is a door handle and no more', (path) => {
    expect(withoutComments(source(path)).trim().split('\n').length).toBeLessThan(10);
  });

  it('settings are data: nothing of them runs the engine', () => {
    const runs = files.filter(
      (path) => path.startsWith('settings/') && imports(path).some((one) => one.startsWith('cost/')),
    );
    expect(runs).toEqual([]);
  });

  it('keeps the two doors apart', () => {
    const crossing = files.filter((path) =>
      imports(path).some((target) => [room(path), room(target)].sort().join() === 'github,local'),
    );
    expect(crossing).toEqual([]);
  });

  it('has no barrels and no rooms without a noun', () => {
    expect(files.filter((path) => /(^|\/)(index|utils?|helpers?|common|shared)(\.ts|\/)/.test(path))).toEqual([]);
  });

  it.each(files.filter((path) => !['units.ts', 'report/format.ts'].includes(path)))(
    '%s leaves prefixes to the doors',
    (path) => {
      expect(withoutText(source(path))).not.toMatch(prefixes);
    },
  );

  it('formulas name no framework and no execution profile: those are rows of tables', () => {
    // `eager` is also a style in which a framework saves activations, which formulas do tell apart.
    const styles = new Set<string>(Object.values(frameworks).map(({ saves }) => saves));
    const names = [...Object.keys(frameworks), ...Object.keys(profiles).filter((name) => !styles.has(name))];
    const isNamed = (path: string) => names.some((name) => withoutComments(source(path)).includes(`== '${name}'`));
    expect(files.filter((path) => path.startsWith('cost/') && isNamed(path))).toEqual([]);
    expect(isNamed('setup/start/tensor.ts')).toBe(true);
  });

  it.each(written)('%s names no path of a machine', (path) => {
    expect(readFileSync(join(root, path), 'utf8')).not.toMatch(machine);
  });
});
