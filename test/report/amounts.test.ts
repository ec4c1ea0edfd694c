import { describe, expect, it } from 'vitest';
import { amountsOf } from '../../src/report/amounts.ts';

const told = (metric: string, before: number, after: number, limit: number) => {
  const finding = { code: 'limit-improved', path: 'a.json', severity: 'warn', message: '' } as const;
  return Object.values(amountsOf({ ...finding, metric, before, after, limit }));
};

describe('the values of a finding', () => {
  it.each([
    ['memory', 90 * 2 ** 30, 85 * 2 ** 30, 80 * 2 ** 30, ['90.00 GiB', '85.00 GiB', '80.00 GiB']],
    ['mfu', 0.381_02, 0.381_38, 0.4, ['38.10 %', '38.14 %', '40.00 %']],
    ['mfu', 0.38, 0.399_99, 0.4, ['38.000 %', '39.999 %', '40.000 %']],
    ['step_time', 4.2101, 4.2102, 4, ['4.2101 s', '4.2102 s', '4.0000 s']],
    ['training_cost', 122_973.2, 122_973.4, 100_000, ['$122,973.2', '$122,973.4', '$100,000.0']],
    ['tokens_per_second_per_gpu', 6664.1, 6664.2, 7000, ['6,664.1 tok/s', '6,664.2 tok/s', '7,000.0 tok/s']],
    ['parameters', 8_030_261_248, 8_030_361_248, 7e9, ['8.0303 B', '8.0304 B', '7.0000 B']],
  ])('of %s that differ read differently', (metric, before, after, limit, words) => {
    expect(told(metric, before, after, limit)).toEqual(words);
  });

  it('that differ by noise alone read the same', () => {
    expect(told('mfu', 0.38, 0.38 + 1e-9, 0.4)).toEqual(['38.0 %', '38.0 %', '40.0 %']);
  });

  it('are none where it is of no metric', () => {
    expect(amountsOf({ code: 'unreadable', path: 'a.json', severity: 'fail', message: '', before: 1 })).toEqual({});
  });
});
