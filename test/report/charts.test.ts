import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBars, stepShares } from '../../src/report/charts.ts';
import { inMermaid } from '../../src/report/mermaid.ts';
import { seconds } from '../../src/units.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';
import { hostile, markup, numRuns, patience } from './hostile.ts';

const [comparison] = reviewOf({ base: config(), head: config({ num_hidden_layers: 40 }) }).review.comparisons;
const [before, after] = [comparison?.base?.estimate, comparison?.head?.estimate];
if (before === undefined || after === undefined) throw new Error('both sides are estimated');

describe('the chart of memory', () => {
  it('has what the table has: each component, and the device last, on both sides', () => {
    const { bars } = memoryBars(before, after, 5);
    expect(bars.map((bar) => bar.after)).toEqual([...Object.values(after.memory.components), after.memory.device]);
    expect(bars.map((bar) => bar.before)).toEqual([...Object.values(before.memory.components), before.memory.device]);
  });

  it('draws the new side as bars, the old one and the limit as lines, as high as the highest', () => {
    const drawn = inMermaid(memoryBars(before, after, 2 ** 36));
    expect(drawn.match(/^ {2}(bar|line) .*$/gm)?.map((line) => line.split('[')[0]?.trim())).toEqual([
      'bar',
      'line',
      'line',
    ]);
    expect(drawn).toContain('line [64.000, 64.000, 64.000, 64.000, 64.000, 64.000]');
    expect(Number(/0 --> ([\d.]+)/.exec(drawn)?.[1])).toBeGreaterThan(64);
  });

  it('has one colour less where there is one side', () => {
    const drawn = inMermaid(memoryBars(undefined, after, undefined));
    expect(drawn).not.toMatch(/^ {2}line/m);
    expect(drawn.match(/#[\da-f]{6}/g)).toHaveLength(2);
  });
});

describe('the chart of a step', () => {
  it('has shares that are largest first and together 1', () => {
    const shares = stepShares(after)?.shares ?? [];
    expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 2);
    const told = shares.filter(({ label }) => label !== 'Other').map(({ share }) => share);
    expect(told).toEqual(told.toSorted((a, b) => b - a));
  });

  it('has what is too little to tell apart as one share, the last', () => {
    const none = Object.fromEntries(Object.keys(after.throughput.parts).map((part) => [part, seconds(0)]));
    const parts = {
      ...after.throughput.parts,
      ...none,
      matrix_products: seconds(98.5),
      loss: seconds(0.9),
      optimizer: seconds(0.6),
    };
    const shares =
      stepShares({ ...after, throughput: { ...after.throughput, stepTime: seconds(100), parts } })?.shares ?? [];
    expect(shares.map(({ label }) => label)).toEqual(['Matrix products', 'Other']);
    expect(shares.map(({ share }) => share)).toEqual([0.985, expect.closeTo(0.015, 12)]);
  });

  it('is none where the time is not known', () => {
    expect(stepShares({ ...after, throughput: { ...after.throughput, stepTime: null } })).toBeUndefined();
  });
});

it('whatever is called how, a chart stays one chart', { timeout: patience }, () => {
  fc.assert(
    fc.property(hostile, hostile, (title, label) => {
      const bars = { kind: 'bars', title, bars: [{ label, after: 1 }], limit: 1 } as const;
      expect(markup(inMermaid(bars))).toEqual([]);
      expect(markup(inMermaid({ kind: 'shares', title, shares: [{ label, share: 1 }] }))).toEqual([]);
    }),
    { numRuns },
  );
});
