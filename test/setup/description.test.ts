import { expect, it } from 'vitest';
import type { RunFields } from '../../src/model/run.ts';
import { type Camelled, type RunDescription, readRun } from '../../src/setup/description.ts';

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

it('a version is text: 4.50 as a number would be 4.5', () => {
  const read = (version: string) => readRun(Buffer.from(`framework_version: ${version}`), 'run.yml');
  expect(read('"4.50"')).toEqual({ kind: 'read', fields: { frameworkVersion: '4.50' } });
  expect(read('4.50')).toMatchObject({
    problems: [{ message: 'run.yml:1: framework_version is 4.5, but must be text like "4.46": put it in quotes.' }],
  });
  expect(read('latest')).toMatchObject({
    problems: [{ message: 'run.yml:1: framework_version is "latest", but must be a version like "4.46".' }],
  });
});

it.each([
  ['seq_len', 'sequence_length'],
  ['seq_length', 'sequence_length'],
  ['glob_batch_size', 'global_batch_size'],
])('an abbreviated field is told of in full: %s', (written, meant) => {
  const reading = readRun(Buffer.from(`${written}: 2048`), 'run.yml');
  expect(reading).toMatchObject({
    problems: [{ message: `run.yml:1: unknown key "${written}". Did you mean "${meant}"?` }],
  });
});
