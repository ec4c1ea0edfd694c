import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeTexts } from '../../src/text/merge.ts';

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const merge = (base: unknown, ours: unknown, theirs: unknown, path = 'config.json') => {
  const merged = mergeTexts(path, bytes(base), bytes(ours), bytes(theirs));
  if (merged.kind === 'unmerged') return merged;
  return { value: JSON.parse(new TextDecoder().decode(merged.bytes)), conflicts: merged.conflicts };
};

describe('two changes over one file', () => {
  it.each([
    ['of different keys go together', { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 2 }, { a: 2, b: 2 }],
    [
      'of different keys within one',
      { a: { b: 1, c: 1 } },
      { a: { b: 2, c: 1 } },
      { a: { b: 1, c: 2 } },
      { a: { b: 2, c: 2 } },
    ],
    ['that add and remove', { a: 1 }, { a: 1, b: 1 }, {}, { b: 1 }],
    ['that add the same', {}, { a: [1] }, { a: [1] }, { a: [1] }],
    ['that add a table each', {}, { a: { b: 1 } }, { a: { c: 1 } }, { a: { b: 1, c: 1 } }],
    [
      'whose keys stand in another order',
      { a: { b: 1, c: 1 } },
      { a: { c: 1, b: 1 }, d: 1 },
      { a: { b: 1 } },
      { a: { b: 1 }, d: 1 },
    ],
    [
      'of a name that objects have',
      {},
      JSON.parse('{"__proto__": 1}'),
      { a: 1 },
      JSON.parse('{"__proto__": 1, "a": 1}'),
    ],
  ])('%s', (_, base, ours, theirs, value) => {
    expect(merge(base, ours, theirs)).toEqual({ value, conflicts: [] });
  });

  it.each([
    ['of one key', { a: 1, b: { c: 1 } }, { a: 2, b: { c: 2 } }, { a: 3, b: { c: 3 } }, ['a', 'b.c']],
    ['of one list', { a: [1] }, { a: [1, 2] }, { a: [2] }, ['a']],
    ['where one removes what the other changes', { a: 1 }, {}, { a: 2 }, ['a']],
    ['of another kind', 1, 2, 3, ['the whole file']],
  ])('%s take ours, and name it', (_, base, ours, theirs, conflicts) => {
    expect(merge(base, ours, theirs)).toEqual({ value: ours, conflicts });
  });

  it('are not merged where a text is no JSON or YAML', () => {
    expect(merge('a = 1', 'a = 2', 'a = 3', 'config.toml')).toMatchObject({ kind: 'unmerged' });
    expect(merge({}, '{', {})).toMatchObject({ kind: 'unmerged' });
    expect(merge('a: 1\nb: 1', 'a: 2\nb: 1', 'a: 1\nb: 2', 'config.yaml')).toMatchObject({ value: { a: 2, b: 2 } });
  });

  it('come to the one change where only one side changed, whatever it holds', () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(value, value, (base, changed) => {
        const written: unknown = JSON.parse(JSON.stringify(changed));
        expect(merge(JSON.stringify(base), JSON.stringify(changed), JSON.stringify(base))).toEqual({
          value: written,
          conflicts: [],
        });
        expect(merge(JSON.stringify(base), JSON.stringify(base), JSON.stringify(changed))).toEqual({
          value: written,
          conflicts: [],
        });
      }),
      { numRuns: 200 },
    );
  });
});
