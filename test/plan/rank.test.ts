import { describe, expect, it } from 'vitest';
import { changedFields } from '../../src/plan/changes.ts';
import { describeRun } from '../../src/plan/describe.ts';
import { rank } from '../../src/plan/rank.ts';
import type { Plan } from '../../src/plan/search.ts';
import { readRun } from '../../src/setup/description.ts';
import { settleRun } from '../../src/setup/settle.ts';
import { gibibytes } from '../../src/units.ts';
import { mixture, modelOf, small } from '../cost/estimates.ts';
import { searched, startFrom } from './plans.ts';

const start = startFrom(small, { gpus: 8, framework: 'megatron', global_batch_size: 32 });
const { run } = start.settled;
const one = run.parallelism;

const planOf = (tokensPerSecond: number, parallelism: Partial<typeof one>, fields: object = {}): Plan => ({
  run: { ...run, ...fields, parallelism: { ...one, ...parallelism } },
  device: 1,
  band: 0,
  tokensPerSecond,
});

describe('the ranking', () => {
  const fast = planOf(100, { tensor: 2, pipeline: 2 });
  const simple = planOf(96, { tensor: 4 }, { microBatchSize: 4, recompute: 'full' });
  const slow = planOf(94, {});
  const near = planOf(60, {}, { microBatchSize: 2 });

  it('has the fastest, the simplest within 5 % of it, and the nearest', () => {
    const ranking = rank([near, simple, fast], run);
    expect(ranking).toMatchObject({ fastest: fast, simplest: simple, nearest: near });
    expect(ranking?.ranked).toEqual([fast, simple, near]);
  });

  it('takes of those with as few kinds of parallelism the one without recompute, offload and virtual stages', () => {
    const [plain, ...others] = [{}, { recompute: 'full' }, { offload: 'optimizer' }].map((fields, index) =>
      planOf(96 + index, { tensor: 4 }, fields),
    );
    const interleaved = planOf(99, { pipeline: 2, virtualPipeline: 2 });
    expect(rank([interleaved, ...others, fast, ...(plain ? [plain] : [])], run)?.simplest).toBe(plain);
  });

  it('takes nothing for simple that is more than 5 % slower, and the run as it is for nearest', () => {
    expect(rank([slow, fast, near], run)).toMatchObject({ simplest: fast, nearest: slow });
  });

  it('prefers the faster of those that are equally near', () => {
    const other = planOf(70, {}, { sharding: 'none' });
    expect(rank([near, other], run)?.nearest).toBe(other);
  });

  it('has no answer where nothing fits', () => {
    expect(rank([], run)).toBeUndefined();
  });
});

describe('changed fields', () => {
  it('are those that a plan chooses, not what follows from them', () => {
    const { run: changed } = planOf(1, { tensor: 2, sequenceParallel: true }, { offload: 'optimizer' });
    expect(changedFields(run, changed)).toEqual(['parallelism.tensor', 'offload']);
    expect(changedFields(run, { ...run, offload: 'none' })).toEqual([]);
  });
});

describe('the description of a plan', () => {
  const settledAgain = (text: string, config: object) => {
    const reading = readRun(Buffer.from(text), 'run.yml');
    if (reading.kind === 'wrong') throw new Error(reading.problems[0]?.message);
    const settling = settleRun([{ origin: 'run', fields: reading.fields }], modelOf(config));
    if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
    return settling;
  };

  it('settles to the same run, with nothing assumed', () => {
    const lora = { rank: 16, targets: ['q_proj', 'all-linear'], base_bits: 16 };
    for (const from of [startFrom(mixture, { gpus: 8, framework: 'megatron', global_batch_size: 32, lora }), start]) {
      const { plans } = searched(from, gibibytes(80));
      const config = from === start ? small : mixture;
      for (const plan of plans.filter((_, index) => index % 97 === 0)) {
        const again = settledAgain(describeRun(plan.run, 4), config);
        expect(again.settled.run).toEqual(plan.run);
        expect(again.assumptions).toEqual([]);
        expect(again.problems).toEqual([]);
      }
    }
  });

  it.each([
    [{ calibration: 0.9 }, 'calibration: 0.9\n'],
    [{ memoryCalibration: 1.1 }, 'calibration: {"device":1.1}\n'],
    [{ calibration: 0.9, memoryCalibration: 1.1 }, 'calibration: {"throughput":0.9,"device":1.1}\n'],
  ])('keeps what scales it: %j', (scaled, line) => {
    const { run } = planOf(1, {}, scaled);
    const text = describeRun({ ...run, measuredDeviceBytes: 1, measuredTokensPerSecond: 1 }, 4);
    expect(text).toContain(line);
    expect(settledAgain(text, small).settled.run).toEqual(run);
  });

  it('says the layers of stages that are not even', () => {
    const text = describeRun(planOf(1, { pipeline: 4 }).run, 61);
    expect(text).toContain('layers_per_stage: [16,15,15,15]');
  });
});
