import { describe, expect, it } from 'vitest';
import { rank } from '../../src/plan/rank.ts';
import { planText } from '../../src/plan/table.ts';
import { gibibytes } from '../../src/units.ts';
import { small } from '../cost/estimates.ts';
import { searched, startFrom } from './plans.ts';

const start = startFrom(small, {
  accelerator: 'h100-sxm-80gb',
  gpus: 2,
  framework: 'megatron',
  global_batch_size: 16,
  sequence_length: 2048,
});

/** An answer within a budget, and the largest micro-batch of its plans with the speed of the fastest that has it. */
function answered(budget: number) {
  const found = searched(start, budget);
  const ranking = rank(found.plans, start.settled.run);
  const answer = { path: 'config.json', format: 'huggingface', start, budget, found, ranking, seconds: 1 };
  const micro = Math.max(...found.plans.map(({ run }) => run.microBatchSize));
  const speeds = found.plans.flatMap((plan) => (plan.run.microBatchSize === micro ? [plan.tokensPerSecond] : []));
  return { text: planText(answer), found, micro, speed: Math.round(Math.max(...speeds) / 2) };
}

describe('the largest micro-batch that fits', () => {
  const wide = answered(gibibytes(80));
  // A byte less than the smallest run with micro-batches of eight needs.
  const eight = wide.found.plans.filter(({ run }) => run.microBatchSize === 8);
  const narrow = answered(Math.min(...eight.map(({ device, band }) => device * (1 + band))) - 1);

  it('shrinks with the budget', () => {
    expect(wide.micro).toBe(8);
    expect(narrow.micro).toBe(4);
  });

  it.each([wide, narrow])('is named with the fastest plan that has it', ({ text, micro, speed }) => {
    const said = `The largest micro-batch tried that fits is ${micro}, at ${speed.toLocaleString('en-US')} tokens/s per GPU: `;
    expect(text).toContain(said);
    expect(text.split(said)[1]?.split('\n')[0]).toContain(`micro-batch ${micro}`);
  });

  it('is not told where nothing fits', () => {
    expect(answered(gibibytes(0.1)).text).not.toContain('micro-batch tried');
  });
});
