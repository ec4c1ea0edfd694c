import { describe, expect, it } from 'vitest';
import { listSchema, mfuSchema, planSchema } from '../../src/report/printed-schema.ts';
import { run } from '../command.ts';

/** What a command prints as JSON. */
const printed = (...words: string[]): unknown => {
  const { code, out, err } = run([...words, '-f', 'json']);
  expect(code, err).toBe(0);
  return JSON.parse(out);
};

describe('what is printed as JSON is what its schema says', () => {
  it('of mfu', () => {
    expect(mfuSchema.strict().safeParse(printed('mfu', 'gpt2', '--tokens-per-second', '1M')).error).toBeUndefined();
  });

  it.each([['32GiB'], ['10MiB']])('of plan within %s', (budget) => {
    const words = ['plan', 'gpt2', '--gpus', '4', '--accelerator', 'h100-sxm-80gb', '--memory-budget', budget];
    const { plans, smallest } = planSchema.strict().parse(printed(...words));
    expect(plans.length > 0 || smallest !== null).toBe(true);
  });

  it.each(['accelerators', 'families', 'formats', 'models'])('of list %s', (what) => {
    const list = printed('list', what);
    expect(listSchema.safeParse(list).data).toEqual(list);
  });
});
