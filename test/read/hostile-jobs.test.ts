import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { expect, it } from 'vitest';
import { readSide } from '../../src/run.ts';
import { settingsFrom } from '../../src/settings/settings.ts';
import { isDictionary } from '../../src/text/fields.ts';
import { parse, trainersSyntaxOf } from '../../src/text/syntax.ts';

const folder = join(import.meta.dirname, '..', 'formats');
/** One sample of each format. */
const samples = readdirSync(folder).flatMap((id) => {
  const names = readdirSync(join(folder, id)).filter((name) => !name.endsWith('.expected.json'));
  const name = names.find((one) => /\.(json|ya?ml|toml)$/.test(one));
  return name === undefined ? [] : [`${id}/${name}`];
});

const strange: readonly unknown[] = [
  -1,
  0,
  1e308,
  true,
  '',
  '${HOME}',
  '../../../etc/passwd',
  'x'.repeat(5000),
  [[1], { a: 1 }, 'x'],
  { toString: 1, constructor: { prototype: 2 } },
];

/** Every path of a value's keys, two deep. */
function paths(value: unknown): readonly (readonly string[])[] {
  if (!isDictionary(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...(isDictionary(inner) ? Object.keys(inner).map((below) => [key, below]) : []),
  ]);
}

/** The same value with another at a path. */
function replaced(value: unknown, [key = '', ...rest]: readonly string[], by: unknown): unknown {
  if (!isDictionary(value)) return value;
  return { ...value, [key]: rest.length === 0 ? by : replaced(value[key], rest, by) };
}

it.each(samples)(
  '%s with anything at any key ends in figures or in sentences',
  (name) => {
    const source = parse(readFileSync(join(folder, name)), trainersSyntaxOf(name) ?? 'json');
    if (source.kind === 'broken') throw new Error(source.problem.message);
    const settings = settingsFrom({});
    for (const [index, path] of paths(source.value).entries()) {
      // A third of them at each key: all of them take half a minute.
      for (const by of strange.filter((_, at) => (at + index) % 3 === 0)) {
        const changed = replaced(source.value, path, by) as object;
        // JSON is YAML, too.
        const text = name.endsWith('.toml') ? stringify(changed) : JSON.stringify(changed);
        const { reading, estimate } = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, name, settings);
        if (estimate === undefined)
          expect(reading.problems.length, `${path.join('.')}: ${JSON.stringify(by)}`).toBeGreaterThan(0);
        for (const { message } of reading.problems) expect(message.length).toBeLessThan(1000);
      }
    }
  },
  60_000,
);
