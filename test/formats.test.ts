import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../src/calibrate.ts';
import { matches } from '../src/read/format.ts';
import { trainingFormats } from '../src/read/formats.ts';
import { readSide } from '../src/run.ts';
import { runAsWritten } from '../src/setup/description.ts';
import { parse, syntaxOf, trainersSyntaxOf } from '../src/text/syntax.ts';

const folder = join(import.meta.dirname, 'formats');

/** What a sample must come out as; `problem` in place of figures where the right answer is a sentence. */
type Expected = {
  readonly family?: string;
  readonly total?: number;
  readonly exact?: boolean;
  readonly run?: Readonly<Record<string, unknown>>;
  /** fields of the run that follow from the framework and not from the file */
  readonly origins?: Readonly<Record<string, string>>;
  readonly problem?: string;
};

const samples = trainingFormats.flatMap(({ id }) => {
  const own = join(folder, id);
  if (!existsSync(own)) return [{ id, name: '', path: '' }];
  return readdirSync(own)
    .filter((name) => !name.endsWith('.expected.json') && existsSync(join(own, expectedName(name))))
    .map((name) => ({ id, name, path: join(own, name) }));
});

function expectedName(name: string): string {
  return `${name.replace(/\.\w+$/, '')}.expected.json`;
}

describe('training formats', () => {
  it('have a sample each', () => {
    const without = trainingFormats.filter(
      ({ id }) => !samples.some((sample) => sample.id === id && sample.name !== ''),
    );
    expect(without.map(({ id }) => id)).toEqual([]);
  });

  it.each(samples.filter(({ name }) => name !== ''))('$id: $name', ({ id, name, path }) => {
    const expected: Expected = JSON.parse(readFileSync(join(folder, id, expectedName(name)), 'utf8'));
    const { reading, estimate } = readSide({ kind: 'bytes', bytes: readFileSync(path) }, name, settingsOf({}));
    expect(reading.format).toBe(id);
    if (expected.problem !== undefined) {
      expect(reading.problems.map(({ message }) => message).join('\n')).toContain(expected.problem);
      return;
    }
    expect(reading.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect({
      exact: estimate?.parameters.exact,
      family: reading.kind === 'read' ? reading.family : '',
      total: estimate?.parameters.total,
      run: estimate && runAsWritten(estimate.run.run),
      origins: estimate?.run.origins,
    }).toMatchObject(figures(expected));
  });
});

/** All but what a sample says for its readers. */
function figures(expected: Expected & { readonly source?: string }): object {
  const { source: _, ...rest } = expected;
  return rest;
}

const shared = join(import.meta.dirname, '..', '..', 'shared', 'data', 'formats', 'samples');
const present = existsSync(shared);
if (!present) console.log('skipped: the real training files stand beside the project only where it is developed');

describe.skipIf(!present)('real training files', () => {
  it('have one signature at most', () => {
    const claimed = readdirSync(shared, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
      const syntax = syntaxOf(name);
      if (syntax === undefined || name.endsWith('SOURCES.json')) return [];
      const parsed = parse(readFileSync(join(shared, name)), trainersSyntaxOf(name) ?? syntax);
      if (parsed.kind === 'broken') return [];
      const by = trainingFormats.filter(
        ({ syntaxes, signature }) => syntaxes.some((one) => one === syntax) && matches(signature, parsed.value),
      );
      return by.length > 1 ? [`${name}: ${by.map(({ id }) => id).join(', ')}`] : [];
    });
    expect(claimed).toEqual([]);
  });
});
