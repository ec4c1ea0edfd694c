import { expect, it } from 'vitest';
import type { RunFields } from '../../src/model/run.ts';
import type { Camelled, RunDescription } from '../../src/setup/description.ts';

type Same<One, Other> = [Exclude<One, Other>, Exclude<Other, One>] extends [never, never] ? true : never;

/** Written in another form: expert tensor parallelism also at the top, and what a run reached under its calibration. */
type Written = Exclude<keyof Camelled<RunDescription>, 'expertTensor'>;
type Kept = Exclude<keyof RunFields, 'measuredTokensPerSecond' | 'memoryCalibration' | 'measuredDeviceBytes'>;

it('says the same fields as the schema, or does not compile', () => {
  const same: Same<Written, Kept> = true;
  const degrees: Same<
    keyof Camelled<NonNullable<RunDescription['parallelism']>>,
    keyof NonNullable<RunFields['parallelism']>
  > = true;
  expect([same, degrees]).toEqual([true, true]);
});
