import { describe, expect, it } from 'vitest';
import { loadCases, prepare } from '../../scripts/measured.ts';
import { measuredChoices } from '../../src/facts/measured-choices.ts';
import { frameworkNames, offloads, recomputeModes, shardingStages, type TrainingRun } from '../../src/model/run.ts';
import { unmeasuredFields } from '../../src/plan/changes.ts';
import { choiceWords } from '../../src/plan/table.ts';
import { mixture } from '../cost/estimates.ts';
import { startFrom } from './plans.ts';

const rows = loadCases().flatMap((one) => {
  const ready = prepare(one);
  return typeof ready === 'string' ? [] : [ready.settled.run];
});
const degrees = ['tensor', 'pipeline', 'virtualPipeline', 'context', 'expert', 'expertTensor'] as const;

describe('choices that were measured', () => {
  it.each(frameworkNames)('%s: those that some row of the published runs has, no more and no fewer', (framework) => {
    const own = rows.filter((run) => run.framework === framework);
    expect(own.length).toBeGreaterThan(50);
    const has = (is: (run: TrainingRun) => boolean) => own.some(is);
    expect(measuredChoices[framework]).toEqual({
      degrees: degrees.filter((degree) => has(({ parallelism }) => parallelism[degree] > 1)),
      sharding: shardingStages.filter((stage) => has(({ sharding }) => sharding === stage)),
      recompute: recomputeModes.filter((mode) => has(({ recompute }) => recompute === mode)),
      offload: offloads.filter((what) => has(({ offload = 'none' }) => offload === what)),
    });
  });
});

describe('choices of a plan that nobody measured', () => {
  const { run } = startFrom(mixture, { gpus: 8, framework: 'megatron', global_batch_size: 32 }).settled;
  const parallelism = { ...run.parallelism, tensor: 2, expert: 2, expertTensor: 2, sequenceParallel: true };

  it.each<[Partial<TrainingRun>, readonly string[]]>([
    [{}, []],
    [{ parallelism: { ...parallelism, expertTensor: 1 }, recompute: 'full' }, []],
    [{ parallelism }, ['parallelism.expert_tensor']],
    [{ parallelism, offload: 'optimizer' }, ['parallelism.expert_tensor', 'offload']],
    [{ framework: 'deepspeed', offload: 'optimizer' }, []],
    [{ framework: 'deepspeed', sharding: 'gradients', recompute: 'selective' }, ['sharding', 'recompute']],
  ])('%j: %j', (fields, unmeasured) => {
    expect(unmeasuredFields({ ...run, ...fields })).toEqual(unmeasured);
  });

  it('are named where a plan is told, and others are not', () => {
    expect(choiceWords({ ...run, parallelism, offload: 'optimizer' })).toMatch(
      /optimizer in CPU memory \(never measured: parallelism\.expert_tensor, offload\)$/,
    );
    expect(choiceWords(run)).not.toContain('measured');
  });
});
