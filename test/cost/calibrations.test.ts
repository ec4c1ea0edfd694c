import { describe, expect, it } from 'vitest';
import { unusedMeasurements } from '../../src/cost/calibrations.ts';
import { estimate } from '../../src/cost/engine.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { heldBy } from '../../src/cost/memory/held.ts';
import { leastBytes, peakBytes } from '../../src/cost/memory/peak.ts';
import { runOf } from '../../src/setup/description.ts';
import { gibibytes } from '../../src/units.ts';
import { costOf, modelOf, small } from './estimates.ts';

const plain = costOf(small, { gpus: 8 });
/** nvidia-smi showed a tenth more than is projected. */
const shown = (1.1 * plain.memory.device) / gibibytes(1);
const measured = costOf(small, { gpus: 8, calibration: { device_gib: shown } });

describe('a run that says what nvidia-smi showed of it', () => {
  it('has that for its device memory, which the report says; what is allocated stays arithmetic', () => {
    expect(measured.memory.device).toBeCloseTo(gibibytes(shown), 0);
    expect(measured.memory.allocated).toBe(plain.memory.allocated);
    expect(measured.memory.reserved).toBe(plain.memory.reserved);
    expect(measured.memory.basis).toBe(`${plain.memory.basis}; scaled by 1.10 after a measured run`);
    expect(measured.throughput).toEqual(plain.throughput);
  });

  it('scales a change of it as much, whatever that one says it reached', () => {
    const longer = { gpus: 8, sequence_length: 8192 };
    const own = costOf(small, { ...longer, calibration: { device_gib: shown } });
    const changed = estimate(modelOf(small), { ...own.run, run: withoutRatio(own.run.run) }, measured.run.run);
    expect(changed.memory.device / costOf(small, longer).memory.device).toBeCloseTo(1.1, 9);
    expect(own.memory.device).toBeCloseTo(gibibytes(shown), 0);
    expect(unusedMeasurements(changed)).toEqual([]);
  });

  it('scales nothing of a config that is new, or whose projection is far from it, and says so', () => {
    const fresh = estimate(modelOf(small), { ...plain.run, run: { ...plain.run.run, measuredDeviceBytes: 1 } }, {});
    expect(fresh.memory.device).toBe(plain.memory.device);
    for (const calibration of [{ device_gib: 3 * shown }, { device_gib: shown / 3 }]) {
      const far = costOf(small, { gpus: 8, calibration });
      expect(far.memory.device).toBe(plain.memory.device);
      expect(unusedMeasurements(far)).toMatchObject([{ severity: 'warning', key: 'calibration.device_gib' }]);
    }
    const slow = costOf(small, { gpus: 8, calibration: { tokens_per_second: 1 } });
    expect(slow.throughput).toEqual(plain.throughput);
    expect(unusedMeasurements(slow)).toMatchObject([{ severity: 'warning', key: 'calibration.tokens_per_second' }]);
    expect(unusedMeasurements(measured)).toEqual([]);
  });

  it('takes what was reached up to five times the projection and a fifth of it, and what was shown up to twice and half', () => {
    const perGpu = plain.throughput.tokensPerSecondPerGpu ?? 0;
    const taken = (times: number) => {
      const calibration = {
        tokens_per_second: times * 8 * perGpu,
        device_gib: (times * plain.memory.device) / gibibytes(1),
      };
      return unusedMeasurements(costOf(small, { gpus: 8, calibration })).map(({ key }) => key);
    };
    expect([1.9, 0.51].map(taken)).toEqual([[], []]);
    expect([4.9, 0.21].map(taken)).toEqual([['calibration.device_gib'], ['calibration.device_gib']]);
    const both = ['calibration.tokens_per_second', 'calibration.device_gib'];
    expect([5.1, 0.19].map(taken)).toEqual([both, both]);
  });

  it('is searched for plans by what it is scaled to', () => {
    const { run } = measured.run;
    const held = heldBy(expand(modelOf(small)), run);
    expect(peakBytes(held, run, Infinity)).toBe(measured.memory.device);
    expect(peakBytes(held, run, plain.memory.device)).toBeUndefined();
    const bare = leastBytes(heldBy(expand(modelOf(small)), plain.run.run));
    expect(leastBytes(held) / bare).toBeCloseTo(1.1, 9);
  });

  it('saves what the scaled peak would lose', () => {
    const first = (cost: typeof plain) => cost.memory.savings[0]?.saves ?? 0;
    expect(first(plain)).toBeGreaterThan(0);
    expect(first(measured) / first(plain)).toBeCloseTo(1.1, 9);
  });
});

const withoutRatio = ({ memoryCalibration: _, ...run }: typeof plain.run.run) => run;

it.each([
  [0.9, { calibration: 0.9 }],
  [{ tokens_per_second: 61_200 }, { measuredTokensPerSecond: 61_200 }],
  [{ device_gib: 61.3 }, { measuredDeviceBytes: gibibytes(61.3) }],
  [
    { throughput: 0.9, device: 1.1 },
    { calibration: 0.9, memoryCalibration: 1.1 },
  ],
])('a run description states %j', (calibration, fields) => {
  expect(runOf({ calibration }, 'run.yml')).toEqual({ kind: 'read', fields });
});

it.each([0, -1, {}, { tokens_per_second: 0 }, { device_gib: 0 }, { device_gib: 1, gpus: 8 }, '61 GiB'])(
  'a run description cannot state %j',
  (calibration) => expect(runOf({ calibration }, 'run.yml').kind).toBe('wrong'),
);
