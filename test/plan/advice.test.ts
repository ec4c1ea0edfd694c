import { describe, expect, it } from 'vitest';
import { estimateMemory } from '../../src/cost/memory/peak.ts';
import { projectTime } from '../../src/cost/time/step.ts';
import type { Advice } from '../../src/gate/review.ts';
import type { TrainingRun } from '../../src/model/run.ts';
import { adviceOn } from '../../src/plan/advice.ts';
import { changedFields } from '../../src/plan/changes.ts';
import { refusalOf } from '../../src/plan/question.ts';
import { layouts, runsOf } from '../../src/plan/search.ts';
import { divides } from '../../src/plan/space.ts';
import { adviceText } from '../../src/report/advice.ts';
import { gibibytes } from '../../src/units.ts';
import { mixture, small } from '../cost/estimates.ts';
import { reviewOf } from '../stories.ts';
import { spaceFrom, startFrom } from './plans.ts';

const run = {
  gpus: 8,
  accelerator: 'h100-sxm-80gb',
  sequence_length: 4096,
  global_batch_size: 32,
  micro_batch_size: 4,
};
const experts = startFrom({ ...mixture, intermediate_size: 8192 }, { ...run, framework: 'megatron' });
const slow = startFrom(small, { ...run, framework: 'megatron', recompute: 'full', parallelism: { tensor: 8 } });
const on = ({ architecture, cost }: typeof experts, gib: number, hints = true) =>
  adviceOn(architecture, cost, gibibytes(gib), hints);

/** Every run of the space that changes at most so many fields and fits. */
function fitting(start: typeof experts, budget: number, changes: number) {
  const { operations, settled } = start;
  const space = spaceFrom(start);
  const refuses = refusalOf(start);
  return [...layouts(space, settled.run)]
    .flatMap((layout) => [...runsOf(layout, space)])
    .filter((each) => changedFields(settled.run, each).length <= changes && divides(operations, each))
    .filter((each) => refuses(each) === undefined)
    .filter((each) => {
      const { device, band } = estimateMemory(operations, each);
      return device * (1 + band) <= budget;
    });
}

/** The most tokens per second of some runs, over those of the run as it is. */
function fastestOf({ operations, settled, cost }: typeof experts, runs: readonly TrainingRun[]): number {
  const { machine } = settled;
  const speed = (run: TrainingRun) =>
    projectTime(operations, cost.flops, { run, machine }).tokensPerSecondPerGpu ?? Number.NaN;
  return Math.max(...runs.map(speed)) / speed(settled.run);
}

const memory = experts.cost.memory.device / gibibytes(1);

describe('advice over the memory budget', () => {
  it.each([0.9, 0.5, 0.3, 0.2, 0.1])(
    'is the nearest run that fits %s of what it needs, the fastest of these',
    (share) => {
      const found = on(experts, share * memory);
      const least = [1, 2, 3].find((changes) => fitting(experts, gibibytes(share * memory), changes).length > 0);
      expect(found?.changes.length).toBe(least);
      expect(found?.kind).toBe(least === undefined ? undefined : 'fits');
      expect((found?.memory ?? 0) * (1 + (found?.band ?? 0))).toBeLessThanOrEqual(gibibytes(share * memory));
      if (least === undefined) return;
      expect(found?.speed).toBeCloseTo(fastestOf(experts, fitting(experts, gibibytes(share * memory), least)), 9);
    },
  );

  it('needs more changes for less memory, and there is none where nothing fits', () => {
    const [near, far] = [on(experts, 0.95 * memory), on(experts, 0.2 * memory)];
    expect(far?.changes.length).toBeGreaterThan(near?.changes.length ?? 9);
    expect(on(experts, 0.1)).toBeUndefined();
  });

  it('says which of its changes were never measured', () => {
    const alone = { ...run, gpus: 1, micro_batch_size: 1, recompute: 'full' };
    const adviceFor = (framework: string) => {
      const start = startFrom({ ...small, num_hidden_layers: 40 }, { ...alone, framework, sharding: 'optimizer' });
      return on(start, (0.6 * start.cost.memory.device) / gibibytes(1));
    };
    const [megatron, deepspeed] = [adviceFor('megatron'), adviceFor('deepspeed')];
    for (const advice of [megatron, deepspeed])
      expect(advice?.changes).toContainEqual({ field: 'offload', value: 'optimizer' });
    expect([megatron?.unmeasured, deepspeed?.unmeasured]).toEqual([['offload'], []]);
  });

  it('is given without hints, too, and comes out the same each time', () => {
    expect(on(experts, 0.6 * memory, false)).toEqual(on(experts, 0.6 * memory));
  });
});

describe('a hint within the budget', () => {
  it('is the fastest of the runs that change at most two fields', () => {
    const [one = 0, two = 0] = [1, 2].map((changes) => fastestOf(slow, fitting(slow, gibibytes(80), changes)));
    expect(two).toBeGreaterThan(1.01 * one);
    const hint = on(slow, 80);
    expect(hint).toMatchObject({ kind: 'faster', speed: expect.closeTo(two, 9) });
    expect(hint?.changes).toHaveLength(2);
  });

  it('is not given for a run that is less than 10 % faster', () => {
    const sharded = { ...run, framework: 'fsdp', micro_batch_size: 2 };
    const [below, above] = ['none', 'selective'].map((recompute) => startFrom(small, { ...sharded, recompute }));
    if (below === undefined || above === undefined) throw new Error('two runs are started');
    const [little, much] = [below, above].map((start) => fastestOf(start, fitting(start, gibibytes(80), 2)));
    expect(little).toBeGreaterThan(1.05);
    expect(little).toBeLessThan(1.1);
    expect(on(below, 80)).toBeUndefined();
    expect(on(above, 80)?.speed).toBeCloseTo(much ?? 0, 9);
  });

  it('is not given where hints are off, nor for a run that is as fast as any near it', () => {
    expect(on(slow, 80, false)).toBeUndefined();
    const fast = startFrom(small, { ...run, framework: 'megatron', sharding: 'optimizer', micro_batch_size: 4 });
    expect(on(fast, 80)).toBeUndefined();
  });
});

describe('in a review', () => {
  const config = (layers: number) => JSON.stringify({ ...small, num_hidden_layers: layers });
  const described =
    'gpus: 8\naccelerator: h100-sxm-80gb\nframework: megatron\nrecompute: full\nparallelism: { tensor: 8 }\n';
  const advised = (more: object): Advice | undefined =>
    reviewOf({ base: config(4), head: config(5) }, {}, more).review.comparisons[0]?.advice;

  it('is a hint where the run is described, unless the policy turns hints off', () => {
    expect(advised({ run: described })?.kind).toBe('faster');
    expect(advised({ run: described, policy: 'version: 1\ndefaults:\n  hints: false\n' })).toBeUndefined();
    expect(advised({ run: described, policy: 'version: 1\ndefaults:\n  hints: true\n' })?.kind).toBe('faster');
  });

  it('is nothing where nobody says on what the model is trained', () => {
    expect(advised({})).toBeUndefined();
  });

  it('is one sentence', () => {
    const advice: Advice = {
      kind: 'fits',
      changes: [
        { field: 'parallelism.expert', value: '8' },
        { field: 'offload', value: 'optimizer' },
      ],
      memory: gibibytes(75.24),
      band: 0.03,
      mfu: 0.362,
      speed: 0.9,
      unmeasured: [],
    };
    expect(adviceText(advice)).toBe(
      'The nearest run that fits: "parallelism.expert: 8", "offload: optimizer" (75.24 GiB ±3 % a GPU, MFU 36.2 %).',
    );
    expect(adviceText({ ...advice, kind: 'faster', speed: 1.254 })).toContain('About 25 % more tokens per second');
    expect(adviceText({ ...advice, unmeasured: ['offload'] })).toMatch(/ MFU 36\.2 %; never measured: "offload"\)\.$/);
  });
});
