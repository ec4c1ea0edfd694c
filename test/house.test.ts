import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map((path) => path.replaceAll('\\', '/'));

/** The floor of each room: a file may import from its own folder and from lower floors. */
const floors: Readonly<Record<string, number>> = {
  'units.ts': 1,
  'world.ts': 1,
  facts: 2,
  model: 3,
  cost: 4,
  read: 4,
  gate: 5,
  report: 6,
  'settings.ts': 6,
  'run.ts': 7,
  github: 8,
  local: 8,
  'main.ts': 9,
  'cli.ts': 9,
};

const room = (path: string): string => path.split('/')[0] ?? '';
const isDoor = (path: string): boolean => ['github', 'local', 'main.ts', 'cli.ts'].includes(room(path));
const source = (path: string): string => readFileSync(join(root, 'src', path), 'utf8');
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

const imports = (path: string): readonly string[] =>
  [...source(path).matchAll(/(?:^|\n)(?:import|export)[^;]*?from '(\.[^']+)'/g)].map(([, target = '']) =>
    relative(join(root, 'src'), join(root, 'src', dirname(path), target)).replaceAll('\\', '/'),
  );

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

  it.each(files.filter((path) => !isDoor(path)))('%s does not touch the world', (path) => {
    const code = withoutComments(source(path));
    expect(code).not.toMatch(/from '(node:|@actions\/|@octokit\/)/);
    expect(code).not.toMatch(/\bprocess\.|\bconsole\.|Date\.now|new Date\(|Math\.random|\bfetch\(/);
  });

  it('has no barrels and no rooms without a noun', () => {
    expect(files.filter((path) => /(^|\/)(index|utils?|helpers?|common|shared)(\.ts|\/)/.test(path))).toEqual([]);
  });

  it.each(files.filter((path) => !['units.ts', 'report/format.ts'].includes(path)))(
    '%s leaves prefixes to the doors',
    (path) => {
      expect(withoutComments(source(path))).not.toMatch(/[*/] *1e(9|12|15)\b|[*/] *2 \*\* [34]0\b/);
    },
  );

  it('carries no path of a machine', () => {
    for (const path of files) expect(source(path)).not.toMatch(/\/work\/|\/tmp\/|\/home\//);
  });
});
