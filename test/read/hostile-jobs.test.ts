import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { readFile } from '../../src/read/config.ts';
import { alone } from '../../src/read/job.ts';
import { readSide } from '../../src/run.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { isDictionary } from '../../src/text/fields.ts';
import { parse, trainersSyntaxOf } from '../../src/text/syntax.ts';

const folder = join(import.meta.dirname, '..', 'formats');
/** One sample of each format, among those whose names end so. */
const samplesOf = (ending: RegExp) =>
  readdirSync(folder).flatMap((id) => {
    const names = readdirSync(join(folder, id)).filter((name) => !name.endsWith('.expected.json'));
    const name = names.find((one) => ending.test(one));
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

function endsInFiguresOrSentences(text: string, name: string, settings: Settings, what: string): void {
  const { reading, estimate } = readSide({ kind: 'bytes', bytes: Buffer.from(text) }, name, settings);
  if (estimate === undefined) expect(reading.problems.length, what).toBeGreaterThan(0);
  for (const { message } of reading.problems) expect(message.length, what).toBeLessThan(1000);
  // Characters that stand for something in us, and mean nothing to a reader.
  expect(JSON.stringify([reading.problems, reading.kind === 'read' ? reading.fields : []]), what).not.toMatch(
    /\p{Co}/u,
  );
}

it.each(samplesOf(/\.(json|ya?ml|toml)$/))(
  '%s with anything at any key ends in figures or in sentences',
  (name) => {
    const source = parse(readFileSync(join(folder, name)), trainersSyntaxOf(name) ?? 'json');
    if (source.kind === 'broken') throw new Error(source.problem.message);
    const settings = settingsOf({});
    for (const [index, path] of paths(source.value).entries()) {
      // A third of them at each key: all of them take half a minute.
      for (const by of strange.filter((_, at) => (at + index) % 3 === 0)) {
        const changed = replaced(source.value, path, by) as object;
        // JSON is YAML, too.
        const text = name.endsWith('.toml') ? stringify(changed) : JSON.stringify(changed);
        endsInFiguresOrSentences(text, name, settings, `${path.join('.')}: ${JSON.stringify(by)}`);
      }
    }
  },
  60_000,
);

/** What may stand in place of a word of a program: quotes and brackets that nothing closes, endless and empty words, what divides by nothing. */
const strangeWords: readonly string[] = [
  '-1',
  '1e308',
  "'",
  '"$(',
  '"\u{E000}$(python3 a "b c)" d)',
  '${X:-${X}}',
  '$((1/0))',
  '$((2**2**64))',
  '{a..z}',
  '[[[[',
  'lambda: x()',
  'x'.repeat(5000),
  '',
];

it.each(samplesOf(/\.(sh|py)$/))(
  '%s with anything in place of any word ends in figures or in sentences',
  (name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    const settings = settingsOf({});
    for (const [index, { 0: word, index: at }] of [...text.matchAll(/[^\s=(),]+/g)].entries()) {
      const by = strangeWords[index % strangeWords.length] ?? '';
      const changed = text.slice(0, at) + by + text.slice(at + word.length);
      endsInFiguresOrSentences(changed, name, settings, `word ${index} as ${by.slice(0, 20)}`);
      endsInFiguresOrSentences(text.slice(0, at), name, settings, `cut before word ${index}`);
    }
  },
  60_000,
);

it.each(samplesOf(/./))('%s asks for no file twice', (name) => {
  const bytes = readFileSync(join(folder, name));
  const known = new Map<string, undefined>();
  for (let reading = readFile(bytes, name, alone); reading.kind === 'needs'; ) {
    expect(reading.paths.filter((path) => known.has(path))).toEqual([]);
    for (const path of reading.paths) known.set(path, undefined);
    reading = readFile(bytes, name, { ...alone, known });
  }
});
