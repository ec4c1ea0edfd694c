import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { helpBlock } from '../scripts/cli-page.ts';
import { verdict } from '../scripts/policy-page.ts';
import { facts, fields, runPage } from '../scripts/run-page.ts';
import { metrics } from '../src/gate/metrics.ts';
import { waivable } from '../src/gate/review.ts';
import { commands, everyFormat } from '../src/local/arguments.ts';
import { draftPolicy } from '../src/settings/policy.ts';
import { policySchema } from '../src/settings/policy-schema.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = read('docs/policy.md');
const block = (name: string) => page.split(`<!-- ${name}:begin -->`)[1]?.split(`<!-- ${name}:end -->`)[0]?.trim() ?? '';
/** Numbers move with the engine, and a waiver ends some day. */
const withoutNumbers = (text: string) =>
  text
    .replaceAll(/\s*\([^)]*limit[^)]*\)/g, '')
    .replaceAll(/\b(WARN|FAIL) +|\s*(Waived until|Its waiver ended on) [\d-]+/g, '');

describe('docs/policy.md', () => {
  it('shows the example as it is committed', () => {
    expect(block('example')).toBe(`\`\`\`yaml\n${read('examples/policy/model-cost.yml')}\`\`\``);
  });

  it('shows what its command prints, whatever the numbers are by now', () => {
    expect(withoutNumbers(block('verdict'))).toBe(withoutNumbers(`\`\`\`\n${verdict()}\n\`\`\``));
  });

  it.each([...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text))(
    'has a policy that is read: %s',
    (text) => {
      const stated: unknown = parse(text);
      const keys = Object.keys(stated as object);
      const policy = keys.includes('budgets')
        ? { version: 1, defaults: stated }
        : { version: 1, ...(stated as object) };
      expect(draftPolicy({ name: 'p.json', bytes: Buffer.from(JSON.stringify(policy)) })).toMatchObject({
        kind: 'draft',
      });
    },
  );

  it('names every key, metric and code', () => {
    const { defaults, hardware, configs, waivers } = policySchema().shape;
    const words = [
      ...Object.keys(policySchema().shape).filter((key) => key !== '$schema'),
      ...Object.keys(defaults.unwrap().shape),
      ...Object.keys(hardware.unwrap().valueType.shape),
      ...Object.keys(configs.unwrap().element.shape),
      ...Object.keys(waivers.unwrap().element.shape),
      ...metrics.map(({ id }) => id),
      ...waivable,
      'max_increase',
      'max_decrease',
      'warn',
    ];
    expect(words.filter((word) => !page.includes(`\`${word}`))).toEqual([]);
  });
});

describe('docs/forks.md', () => {
  const forks = read('docs/forks.md');

  it('shows workflows as they are committed', () => {
    const shown = [...forks.matchAll(/<!-- ([\w-]+\.yml) -->\n+```yaml\n([\s\S]*?)```/g)];
    expect(shown.length).toBeGreaterThanOrEqual(5);
    for (const [, name, text] of shown) expect(text).toBe(read(`examples/workflows/${name}`));
  });

  it('names only files that there are', () => {
    for (const [, path = ''] of forks.matchAll(/\]\(\.\.\/([^)#]+)\)/g))
      expect(existsSync(new URL(`../${path}`, import.meta.url))).toBe(true);
  });
});

describe('docs/cli.md', () => {
  const cli = read('docs/cli.md');

  it.each(commands)('has the help of %s as it is printed (npm run generate)', (command) => {
    expect(cli).toContain(helpBlock(command));
  });

  it('names every format, and every schema of what is printed', () => {
    expect(everyFormat.filter((format) => !cli.includes(`| \`${format}\` |`))).toEqual([]);
    const printed = readdirSync(new URL('../schema', import.meta.url)).filter((name) => !/^(policy|run)\./.test(name));
    expect(printed.filter((name) => !cli.includes(`../schema/${name}`))).toEqual([]);
  });
});

describe('docs/run.md', () => {
  it('is what the schema gives (npm run generate)', () => {
    expect(read('docs/run.md')).toBe(runPage);
  });

  it('has a meaning and a default for every field', () => {
    const names = fields().map(({ name }) => name);
    expect(Object.keys(facts).toSorted()).toEqual(names.toSorted());
    expect(fields().filter(({ description }) => description === '')).toEqual([]);
  });
});

describe('the documents', () => {
  const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'].concat(
    readdirSync(new URL('../docs', import.meta.url))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  );

  it.each(pages)('%s links to files that there are', (path) => {
    const targets = [...read(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target = '']) => target);
    const here = new URL(`../${path}`, import.meta.url);
    expect(targets.filter((target) => !existsSync(new URL(target, here)))).toEqual([]);
  });

  it('docs/README.md names every page', () => {
    const index = read('docs/README.md');
    const named = pages.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(named.filter((path) => !index.includes(`(${path.slice('docs/'.length)})`))).toEqual([]);
  });
});
