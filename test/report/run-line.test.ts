import { expect, it } from 'vitest';
import { runLine, runLineBefore } from '../../src/report/run-line.ts';
import { costOf, small } from '../cost/estimates.ts';

const run = (description: object) => costOf(small, description).run.run;

const base = { framework: 'fsdp', gpus: 64, sequence_length: 8192, micro_batch_size: 1 };

it('says a run as people do', () => {
  expect(runLine(run({ ...base, parallelism: { tensor: 2 }, recompute: 'full' }))).toBe(
    '64 x H100 SXM5 80GB, FSDP2 fully sharded, TP 2, 8,192 tokens, micro-batch 1, bf16, full recompute',
  );
});

it.each([
  [base, ''],
  [{ ...base, micro_batch_size: 8 }, 'micro-batch 8'],
  [{ ...base, gpus: 8, sharding: 'none' }, '8 x H100 SXM5 80GB, FSDP2'],
  [{ ...base, recompute: 'full' }, 'full recompute'],
])('names of the run before only what was otherwise: %j', (before, words) => {
  expect(runLineBefore(run(before), run(base))).toBe(words);
});

it('says what there was not, where something only came', () => {
  expect(runLineBefore(run(base), run({ ...base, recompute: 'full' }))).toBe('without full recompute');
});
