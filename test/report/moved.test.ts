import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../src/gate/review.ts';
import { movedBy } from '../../src/report/moved.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

const comparisonOf = (
  head: Readonly<Record<string, unknown>>,
  rules: Parameters<typeof reviewOf>[2] = {},
): Comparison => {
  const [one] = reviewOf({ base: config(), head: config(head) }, {}, rules).review.comparisons;
  if (one === undefined) throw new Error('both sides are configs');
  return one;
};
const pathsOf = (fields: readonly { readonly path: string }[] = []) => fields.map(({ path }) => path);

describe('what a reader sees of what each change moved', () => {
  it('is a row for each that moved something, the largest first, and the rest by name', () => {
    const moved = movedBy(comparisonOf({ num_hidden_layers: 40, intermediate_size: 11264, bos_token_id: 3 }));
    expect(moved?.columns).toEqual(['Memory', 'FLOPs per token', 'Step time', 'Cost']);
    expect(moved?.rows.map(({ fields }) => pathsOf(fields))).toEqual([['num_hidden_layers'], ['intermediate_size']]);
    expect(moved?.rows[0]?.parts.every((part) => part.startsWith('+'))).toBe(true);
    expect(pathsOf(moved?.idle)).toEqual(['bos_token_id']);
    expect(moved?.note).toContain('Shapley');
  });

  it('has what saves most above what adds less', () => {
    const { rows } = movedBy(comparisonOf({ num_hidden_layers: 16, intermediate_size: 11264 })) ?? {};
    expect(rows?.map(({ parts }) => parts[0]?.[0])).toEqual(['-', '+']);
    expect(rows?.map(({ fields }) => pathsOf(fields))).toEqual([['num_hidden_layers'], ['intermediate_size']]);
  });

  it('has no column that nothing moved in, and no note where there is nothing to divide', () => {
    const moved = movedBy(comparisonOf({}, { run: 'gpus: 8\ntokens: 1T\n', newRun: 'gpus: 8\ntokens: 2T\n' }));
    expect(moved?.columns).toEqual(['Cost']);
    expect(moved?.note).toBe('');
  });

  it('is the fields alone where their parts are not known, and why', () => {
    const { attribution: _, ...one } = comparisonOf({ num_hidden_layers: 40 });
    expect(movedBy(one)).toMatchObject({ columns: [], rows: [], note: '' });
    expect(pathsOf(movedBy(one)?.idle)).toEqual(['num_hidden_layers']);
    const late = movedBy({ ...one, attribution: { kind: 'none', reason: 'it takes too long' } });
    expect(late?.note).toBe('What each change moved is not known: it takes too long.');
  });

  it('is nothing where nothing changed', () => {
    const { attribution: _, ...one } = comparisonOf({});
    expect(movedBy({ ...one, fields: [] })).toBeUndefined();
  });
});
