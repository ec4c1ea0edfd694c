import { describe, expect, it } from 'vitest';
import { settingsOf } from '../src/calibrate.ts';
import { deadline } from '../src/deadline.ts';
import { jobsOf } from '../src/jobs.ts';
import { review } from '../src/run.ts';
import { type InTime, type Missed, untimed } from '../src/world.ts';
import { config } from './states.ts';
import { today } from './stories.ts';

const forever = () => {
  for (;;);
};

describe('work is stopped', () => {
  it.each([
    ['in a loop', forever],
    [
      'in a loop that catches everything',
      () => {
        for (;;) {
          try {
            forever();
          } catch {
            // Goes on.
          }
        }
      },
    ],
    ['in a regular expression', () => /^(a+)+$/.test(`${'a'.repeat(60)}b`)],
  ])('%s', (_, work) => {
    expect(deadline({ each: 100, all: 1_000 })(work)).toEqual({
      kind: 'late',
      reason: 'takes longer than 0.1 s to evaluate',
    });
  });

  it('in what all of it takes together', () => {
    const inTime = deadline({ each: 200, all: 300 });
    const answers = [forever, forever, () => 'quick'].map((work) => inTime(work));
    expect(answers).toEqual([
      { kind: 'late', reason: 'takes longer than 0.2 s to evaluate' },
      { kind: 'late', reason: 'was not evaluated: all configs of a run together may take 0.3 s' },
      { kind: 'late', reason: 'was not evaluated: all configs of a run together may take 0.3 s' },
    ]);
  });
});

describe('work that ends', () => {
  it('gives what it gave, and what it threw', () => {
    const inTime = deadline();
    expect(inTime(() => new Map([[1, 2]]))).toEqual({ kind: 'done', result: new Map([[1, 2]]) });
    expect(inTime(() => undefined)).toEqual({ kind: 'done', result: undefined });
    expect(() =>
      inTime(() => {
        throw new RangeError('of its own');
      }),
    ).toThrow(RangeError);
    expect(inTime(() => 'after')).toEqual({ kind: 'done', result: 'after' });
  });
});

describe('a config that takes too long', () => {
  const late: InTime = () => ({ kind: 'late', reason: 'takes longer than 5 s to evaluate' });
  const side = { kind: 'bytes', bytes: Buffer.from(config()) } as const;
  const judged = (pair: object, inTime: InTime) =>
    review(
      { pairs: [{ path: 'any.json', ...pair }], missed: [], notes: [] },
      settingsOf({}),
      today,
      undefined,
      [],
      inTime,
    ).verdict;

  it.each([
    ['new', { head: side }],
    ['changed', { base: side, head: side }],
  ])('fails where it is %s, though nobody named it', (_, pair) => {
    expect(judged(pair, late)).toMatchObject({
      outcome: 'fail',
      findings: [{ code: 'unreadable', message: 'The config takes longer than 5 s to evaluate.' }],
    });
  });

  it('and is on the way out: a removed one only warns', () => {
    expect(judged({ base: side }, late).outcome).toBe('warn');
  });
});

describe('a file that takes too long while jobs are searched', () => {
  const late: InTime = () => ({ kind: 'late', reason: 'takes longer than 5 s to evaluate' });
  const side = { kind: 'bytes', bytes: Buffer.from('any: text') } as const;
  const commits = { base: { sha: 'a', label: 'before' }, head: { sha: 'b', label: 'after' } };

  const folders: Missed = { kind: 'folders', most: 0, paths: ['.'] };
  /** What is judged where only `part.json` changed, of a repository that also has `train.yaml`. */
  const searched = (inTime: InTime, missed: readonly Missed[] = []) => {
    const changes = { ...commits, pairs: [], touched: ['part.json'], missed: [], notes: [] };
    const asking = jobsOf(changes, settingsOf({ configs: 'train.yaml' }), inTime);
    let step = asking.next();
    while (step.done !== true)
      step = asking.next(
        step.value.kind === 'files'
          ? { kind: 'files', sides: step.value.wanted.map(() => side) }
          : { kind: 'list', paths: ['train.yaml'], missed },
      );
    return step.value;
  };

  it('hides no job: the part counts as one, and the job is judged, which says what was not read', () => {
    expect(searched(late).pairs.map(({ path }) => path)).toEqual(['train.yaml']);
    expect(searched(untimed).pairs).toEqual([]);
    expect(searched(late, [folders]).missed).toEqual([folders]);
    expect(searched(untimed, [folders])).toMatchObject({
      pairs: [],
      missed: [],
      notes: [expect.stringContaining('too large to search')],
    });
    expect(
      review(searched(late), settingsOf({ configs: 'train.yaml' }), today, undefined, [], late).verdict,
    ).toMatchObject({
      outcome: 'fail',
      findings: [{ code: 'unreadable', path: 'train.yaml' }],
    });
  });
});
