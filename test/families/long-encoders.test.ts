import { expect, it } from 'vitest';
import { readConfig } from '../../src/read/config.ts';

const assumed = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading.assumptions.find(({ field }) => field === 'attention')?.value;
};

it('says how many tokens a token of a long text is counted with', () => {
  expect(assumed({ model_type: 'big_bird' })).toBe('in blocks, not causal');
  expect(assumed({ model_type: 'big_bird', attention_type: 'original_full' })).toBe('not causal');
  expect(assumed({ model_type: 'longformer' })).toBe('in windows, not causal');
});
