import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { heldByRanks, stages } from '../../src/cost/placement.ts';
import { costOf, modelOf, small } from './estimates.ts';

const model = { ...small, num_hidden_layers: 16 };
type Run = { readonly parallelism: { readonly pipeline: number; readonly virtual_pipeline?: number } } & object;

/** Runs of 64 micro-batches, so that no schedule runs out of them, unless the run says how many. */
const estimated = (run: Run & { micro_batches?: number }) => {
  const { micro_batches = 64, ...stated } = run;
  return costOf(model, { gpus: run.parallelism.pipeline, global_batch_size: micro_batches, ...stated });
};
const ranks = (run: Run & { micro_batches?: number }) => {
  const operations = expand(modelOf(model));
  const { run: settled } = estimated(run);
  return { stages: stages(operations, settled.run), held: heldByRanks(operations, settled.run) };
};

describe('micro-batches in flight on each stage', () => {
  const P = 4;
  // Narayanan et al. 2021 (arXiv:2104.04473), 2.2: GPipe all m, 1F1B P - i. Zero bubble H1 as 1F1B (Qi et al. 2024).
  // Interleaved: the first stage holds 1 + (P - 1) / (P v) times what 1F1B does (Korthikanti et al. 2022, arXiv:2205.05198, 4.3),
  // each further stage two chunks less. DualPipe P + 1 (DeepSeek-V3, arXiv:2412.19437, table 2).
  it.each([
    ['gpipe', { pipeline: P }, [64, 64, 64, 64]],
    ['1f1b', { pipeline: P }, [4, 3, 2, 1]],
    ['zero_bubble', { pipeline: P }, [4, 3, 2, 1]],
    ['interleaved', { pipeline: P, virtual_pipeline: 2 }, [0, 1, 2, 3].map((i) => P * (1 + (P - 1) / (P * 2)) - i)],
    ['interleaved', { pipeline: P, virtual_pipeline: 4 }, [0, 1, 2, 3].map((i) => P * (1 + (P - 1) / (P * 4)) - i / 2)],
    ['dualpipe', { pipeline: P }, [5, 5, 5, 5]],
  ])('%s, %j', (pipeline_schedule, parallelism, inFlight) => {
    expect(ranks({ parallelism, pipeline_schedule } as Run).stages.map((stage) => stage.inFlight)).toEqual(inFlight);
  });

  it('are no more than there are', () => {
    for (const pipeline_schedule of ['gpipe', '1f1b', 'zero_bubble', 'dualpipe'])
      expect(
        ranks({ parallelism: { pipeline: P }, pipeline_schedule, micro_batches: 2 } as Run).stages[0]?.inFlight,
      ).toBe(2);
    const interleaved = { parallelism: { pipeline: P, virtual_pipeline: 2 }, micro_batches: 2 };
    expect(ranks(interleaved).stages[0]?.inFlight).toBe(2);
  });

  it('where nobody names a schedule: 1F1B, with virtual stages interleaved, and one without a pipeline', () => {
    expect(ranks({ parallelism: { pipeline: 4 } }).stages[0]?.inFlight).toBe(4);
    expect(ranks({ parallelism: { pipeline: 4, virtual_pipeline: 2 } }).stages[0]?.inFlight).toBe(5.5);
    expect(ranks({ parallelism: { pipeline: 1 } }).stages[0]?.inFlight).toBe(1);
  });
});

describe('what a stage holds', () => {
  const layers = (run: Run) => ranks(run).stages.map(({ order }) => order.length);

  it.each([
    [{ parallelism: { pipeline: 4 } }, [4, 4, 4, 4]],
    [{ parallelism: { pipeline: 3 } }, [6, 5, 5]],
    [{ parallelism: { pipeline: 4, virtual_pipeline: 2 } }, [4, 4, 4, 4]],
    [{ parallelism: { pipeline: 4 }, layers_per_stage: [2, 5, 5, 4] }, [2, 5, 5, 4]],
  ])('%j: layers %j', (run, expected) => {
    expect(layers(run)).toEqual(expected);
  });

  it('virtual stages hold chunks that lie P apart (Narayanan et al. 2021, 2.2)', () => {
    const striped = { ...model, model_type: 'gpt_oss', layer_types: undefined, num_local_experts: 4 };
    const operations = expand(modelOf(striped));
    const { run } = costOf(striped, {
      gpus: 2,
      parallelism: { pipeline: 2, virtual_pipeline: 4 },
      global_batch_size: 8,
    });
    const { order } = operations;
    const chunk = (index: number) => order.slice(2 * index, 2 * index + 2);
    expect(stages(operations, run.run)[1]?.order).toEqual([1, 3, 5, 7].flatMap(chunk));
  });

  it('the table is on the first, the output on the last; with DualPipe each rank holds a stage of either end', () => {
    const { stages: own, held } = ranks({ parallelism: { pipeline: 4 }, pipeline_schedule: 'dualpipe' } as Run);
    expect(own.map(({ embedding }) => embedding)).toEqual([true, false, false, false]);
    expect(own.map(({ head }) => head)).toEqual([false, false, false, true]);
    expect(held.map(({ embedding, head }) => [embedding, head])).toEqual([
      [true, true],
      [false, false],
      [false, false],
      [true, true],
    ]);
    // Twice the parameters; its P + 1 activations are of one stage, thus half as many of the two together.
    expect(held.map(({ order, inFlight }) => [order.length, inFlight])).toEqual(Array(4).fill([8, 2.5]));
  });

  it('activations of the first stage are those of one micro-batch times those in flight', () => {
    const activations = (pipeline_schedule: string, micro_batches: number) =>
      estimated({ parallelism: { pipeline: 4 }, pipeline_schedule, micro_batches } as Run).memory;
    const [all, one] = [activations('1f1b', 64), activations('1f1b', 1)];
    expect(all.stage).toBe(0);
    expect(all.components.activations / one.components.activations).toBeCloseTo(4, 1);
  });
});

describe('the bubble', () => {
  const share = (pipeline_schedule: string | undefined, pipeline: number, micro_batches = 64, virtual_pipeline = 1) => {
    const parallelism = { pipeline, virtual_pipeline };
    const run = { parallelism, micro_batches, sequence_length: 4096, micro_batch_size: 1 };
    const named = pipeline_schedule === undefined ? run : { ...run, pipeline_schedule };
    return estimated(named as Run).throughput.parts.bubble;
  };

  // Of one stage's forward and backward: 1F1B and GPipe P - 1, interleaved (P - 1) / v (Narayanan et al. 2021, 2.2),
  // zero bubble H1 a third (Qi et al. 2024), DualPipe (P / 2 - 1) / 2 of a whole micro-batch (DeepSeek-V3, table 2).
  it.each([
    ['gpipe', 4, 1],
    ['zero_bubble', 4, 1 / 3],
    ['dualpipe', 4, (4 / 2 - 1) / 2 / 3],
    ['dualpipe', 8, (8 / 2 - 1) / 2 / 7],
  ])('%s of %d stages: %d times that of 1F1B', (schedule, pipeline, ratio) => {
    expect(share(schedule, pipeline) / share('1f1b', pipeline)).toBeCloseTo(ratio, 6);
  });

  it('virtual stages divide it', () => {
    const ratio = share(undefined, 4, 64, 4) / share(undefined, 4);
    expect(ratio).toBeGreaterThan(0.24);
    expect(ratio).toBeLessThan(0.29);
  });

  it('does not depend on the number of micro-batches', () => {
    expect(share('1f1b', 4, 128)).toBeCloseTo(share('1f1b', 4, 64), 9);
  });
});
