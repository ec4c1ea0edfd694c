import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { error, kinds, loadCases, type Projected, project, quantile } from '../../scripts/measured.ts';
import { countFlops } from '../../src/cost/count/flops.ts';
import { adapterParameters } from '../../src/cost/count/lora.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { estimate } from '../../src/cost/engine.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { collectiveSeconds } from '../../src/cost/time/collective.ts';
import { gemmSeconds } from '../../src/cost/time/gemm.ts';
import { measuredMfu, projectTime } from '../../src/cost/time/step.ts';
import { type Accelerator, acceleratorIds, accelerators } from '../../src/facts/accelerators.ts';
import { kernelsOf } from '../../src/facts/kernels.ts';
import type { ThroughputEstimate } from '../../src/model/estimate.ts';
import type { RunFields } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

const reading = readConfig(readFileSync(new URL('../../configs/llama-7b.json', import.meta.url)), 'llama-7b.json');
if (reading.kind === 'unread') throw new Error('configs/llama-7b.json cannot be read');
const { architecture } = reading;
const operations = expand(architecture);

function settle(fields: RunFields) {
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], architecture);
  if (settling.kind === 'unsettled') throw new Error(settling.problems.map(({ message }) => message).join(' '));
  return settling.settled;
}

function time(fields: RunFields): ThroughputEstimate {
  const settled = settle({
    accelerator: 'h100-sxm-80gb',
    gpus: 8,
    sequenceLength: 4096,
    globalBatchSize: 64,
    ...fields,
  });
  return projectTime(operations, countFlops(operations, settled.run), settled);
}

const step = (fields: RunFields): number => time(fields).stepTime ?? Number.NaN;

describe('published runs (test/oracle/runs.json)', () => {
  let rows: readonly (Projected & { readonly group: string; readonly check: boolean })[] = [];
  beforeAll(() => {
    rows = loadCases().map((one) => ({ ...project(one), group: one.group, check: one.check === true }));
  });
  const errors = (group: string, kind?: string) =>
    rows.filter((row) => row.group === group && (kind === undefined || row.kind === kind)).map(error);
  const mean = (values: readonly number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;

  it('are all read and projected', () => {
    expect(rows.length).toBeGreaterThan(600);
    expect(rows.filter(({ ratio }) => !Number.isFinite(ratio))).toEqual([]);
  });

  it("small models of Megatron-LM's CI, whose steps are the host's: each within 9 %", () => {
    const found = rows.filter(({ group }) => group === 'nvidia-megatron-lm-golden-small');
    expect(found.map(({ ratio }) => Math.abs(ratio - 1) < 0.09)).toEqual([true, true, true]);
  });

  it('Korthikanti et al. table 5: within 3.5 % on average', () => {
    const found = errors('nvidia-megatron-papers');
    expect(mean(found)).toBeLessThan(0.035);
  });

  it('Narayanan et al. table 1 and figures: within 4 % on average', () => {
    expect(mean(errors('narayanan-2021'))).toBeLessThan(0.04);
  });

  /** Mean of the sources' medians, all sources of the kind: those that constants were fitted to, or those that none was. */
  const medians = (kind: string, check: boolean) => {
    const own = rows.filter((row) => row.kind === kind && row.check === check);
    const groups = [...new Set(own.map(({ group }) => group))];
    return mean(groups.map((group) => quantile(own.filter((row) => row.group === group).map(error), 0.5)));
  };

  it.each([
    ['dense, 16 bits', false, 0.05],
    ['dense, 8 or 4 bits', false, 0.08],
    ['mixture of experts', false, 0.15],
    ['dense, 16 bits', true, 0.08],
    ['dense, 8 or 4 bits', true, 0.1],
    ['mixture of experts', true, 0.15],
  ] as const)("%s (held apart: %s): mean of the sources' medians within %s", (kind, check, limit) => {
    expect(medians(kind, check)).toBeLessThan(limit);
  });

  it.each(kinds)('%s: the stated band holds for 85 % of the runs', (kind) => {
    const own = rows.filter((row) => row.kind === kind);
    const inside = own.filter(({ ratio, band = 0 }) => Math.abs(Math.log(ratio)) <= band);
    expect(inside.length / own.length).toBeGreaterThan(0.85);
  });

  it('the parts of each sum to its step', () => {
    for (const { parts = {}, step: whole = 0 } of rows) {
      const sum = Object.values(parts).reduce((total, part) => total + part, 0);
      expect(Math.abs(sum / whole - 1)).toBeLessThan(1e-9);
      expect(Object.values(parts).filter((part) => !(part >= 0))).toEqual([]);
    }
  });
});

describe('what a change of the run does to the step', () => {
  it('tensor parallelism exposes collectives; none without it', () => {
    expect(time({}).parts.exposed_tensor).toBe(0);
    const two = time({ parallelism: { tensor: 2 } }).parts.exposed_tensor;
    const eight = time({ parallelism: { tensor: 8 } }).parts.exposed_tensor;
    expect(two).toBeGreaterThan(0);
    expect(eight).toBeGreaterThan(two);
    expect(time({ parallelism: { tensor: 8 }, overlapTensorParallel: true }).parts.exposed_tensor).toBeLessThan(
      eight / 2,
    );
  });

  it('full recompute costs about a forward pass, selective recompute less', () => {
    const plain = step({});
    const full = step({ recompute: 'full' });
    expect(full / plain).toBeGreaterThan(1.25);
    expect(full / plain).toBeLessThan(1.36);
    const selective = step({ recompute: 'selective' });
    expect(selective).toBeGreaterThan(plain);
    expect(selective).toBeLessThan(full);
  });

  it('the bubble shrinks with micro-batches and with virtual stages', () => {
    const share = (fields: RunFields) => {
      const { parts, stepTime } = time(fields);
      return parts.bubble / (stepTime ?? 1);
    };
    const few = share({ globalBatchSize: 16, parallelism: { pipeline: 4 } });
    expect(few).toBeGreaterThan(0.1);
    expect(share({ globalBatchSize: 128, parallelism: { pipeline: 4 } })).toBeLessThan(few / 3);
    expect(share({ globalBatchSize: 16, parallelism: { pipeline: 4, virtualPipeline: 4 } })).toBeLessThan(few / 2);
  });

  it('a slower network exposes more of the gradients, and of sharded parameters', () => {
    for (const sharding of ['optimizer', 'full'] as const) {
      const fields: RunFields = { gpus: 64, sharding, framework: sharding === 'full' ? 'fsdp' : 'megatron' };
      const slow = time({ ...fields, interNodeGbpsPerGpu: 10 }).parts.exposed_data;
      expect(slow).toBeGreaterThan(2 * time({ ...fields, interNodeGbpsPerGpu: 400 }).parts.exposed_data);
    }
  });

  it('frozen weights save their gradients', () => {
    const adapters = time({ lora: { rank: 16, targets: ['q_proj', 'v_proj'], baseBits: 16 } });
    const whole = time({});
    expect(adapters.parts.matrix_products / whole.parts.matrix_products).toBeGreaterThan(0.62);
    expect(adapters.parts.matrix_products / whole.parts.matrix_products).toBeLessThan(0.74);
    expect(adapters.parts.optimizer).toBeLessThan(whole.parts.optimizer / 10);
  });

  it('the optimizer updates what the fullest pipeline rank holds, and of adapters their own elements', () => {
    const updated = (fields: RunFields) => time({ sharding: 'none', ...fields }).parts.optimizer;
    const all = countParameters(architecture, operations).total;
    const lora = { rank: 16, targets: ['q_proj', 'v_proj'], baseBits: 16 } as const;
    expect(updated({ lora }) / updated({})).toBeCloseTo(adapterParameters(operations, lora) / all, 12);
    // Half of the layers, the output's matrix and the last norm.
    const [vocabulary, width] = [32_000 * 4096, 4096];
    const last = (all - 2 * vocabulary - width) / 2 + vocabulary + width;
    expect(updated({ parallelism: { pipeline: 2 } }) / updated({})).toBeCloseTo(last / all, 12);
  });

  it('gradients of adapters cost what their own elements do', () => {
    const lora = { rank: 16, targets: ['all-linear'], baseBits: 16 } as const;
    const exposed = (fields: RunFields) =>
      time({ gpus: 64, sharding: 'none', microBatchSize: 1, globalBatchSize: 64, interNodeGbpsPerGpu: 1, ...fields })
        .parts.exposed_data;
    const share = exposed({ lora }) / exposed({});
    expect(share).toBeGreaterThan(
      adapterParameters(operations, lora) / countParameters(architecture, operations).total / 4,
    );
    expect(share).toBeLessThan(
      (2 * adapterParameters(operations, lora)) / countParameters(architecture, operations).total,
    );
    expect(exposed({ lora: { ...lora, rank: 64 } })).toBeGreaterThan(3 * exposed({ lora }));
  });

  it('nodes of fewer GPUs differ more, since there are more of them', () => {
    const jitter = (gpusPerNode: number) => time({ gpus: 64, gpusPerNode }).parts.jitter;
    expect(time({ gpus: 64 }).parts.jitter).toBe(jitter(8));
    expect(jitter(4)).toBeGreaterThan(jitter(8));
    expect(jitter(64)).toBe(0);
  });

  it('a power cap slows products, and lowers the power that is billed', () => {
    const capped = time({ powerCapWatts: 500 });
    expect(capped.stepTime).toBeGreaterThan(1.1 * step({}));
    const { gpuHours = 0, energyKilowattHours } = capped.training ?? {};
    expect(energyKilowattHours).toBeCloseTo(gpuHours * 0.5, 6);
  });

  it('8 bits are faster than 16, and 16 than 32', () => {
    expect(step({ precision: 'fp8' })).toBeLessThan(0.85 * step({}));
    expect(step({ precision: 'fp32' })).toBeGreaterThan(1.3 * step({}));
  });

  it('a tiny micro-batch waits for the host', () => {
    const small = time({ sequenceLength: 128, globalBatchSize: 64 });
    expect(small.parts.host).toBeGreaterThan(0.4 * (small.stepTime ?? 0));
    expect(small.limit).toContain('host');
    expect(time({}).parts.host).toBeLessThan(0.05 * step({}));
  });

  it('a run that says what it reached is scaled to it, and so is a change of it', () => {
    const settling = settleRun(
      [
        {
          origin: 'run',
          fields: {
            framework: 'megatron',
            accelerator: 'h100-sxm-80gb',
            gpus: 8,
            sequenceLength: 4096,
            measuredTokensPerSecond: 60_000,
          },
        },
      ],
      architecture,
    );
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    const reached = estimate(architecture, settling.settled);
    expect(8 * (reached.throughput.tokensPerSecondPerGpu ?? 0)).toBeCloseTo(60_000, 6);
    const ratio = reached.run.run.calibration;
    const plain = time({ globalBatchSize: reached.run.run.globalBatchSize });
    expect(ratio).toBeCloseTo(60_000 / 8 / (plain.tokensPerSecondPerGpu ?? 0), 9);
    const longer = { ...settling.settled, run: { ...settling.settled.run, sequenceLength: 8192 } };
    const changed = estimate(architecture, longer, reached.run.run);
    expect(changed.run.run.calibration).toBe(ratio);
    expect(changed.throughput.mfu).not.toBeCloseTo(reached.throughput.mfu ?? 0, 3);
  });

  it('calibration scales everything by one measured run', () => {
    const calibrated = time({ calibration: 0.8 });
    expect(calibrated.stepTime).toBeCloseTo(step({}) / 0.8, 9);
    expect(calibrated.basis).toContain('measured run');
  });
});

describe('words, costs and gaps', () => {
  it('cost and hours follow from the token budget and the price', () => {
    const { training, tokensPerSecondPerGpu } = time({ tokens: 1e12, pricePerGpuHour: 2 });
    const hours = 1e12 / (tokensPerSecondPerGpu ?? 0) / 3600;
    expect(training?.gpuHours).toBeCloseTo(hours, 3);
    expect(training?.costUsd).toBeCloseTo(2 * hours, 3);
    expect(training?.priceDate).toBeNull();
    expect(time({}).training?.priceDate).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  it('a precision that the chip has no units for is unknown, with the reason', () => {
    const none = time({ accelerator: 'a100-sxm-80gb', precision: 'fp8' });
    expect(none.mfu).toBeNull();
    expect(none.tokensPerSecondPerGpu).toBeNull();
    expect(none.basis).toContain('no fp8');
  });

  it('derived kernels say so and have a wider band', () => {
    const derived = time({ accelerator: 'mi300x' });
    expect(derived.basis).toContain('derived');
    expect(derived.band).toBeGreaterThan(time({}).band + 0.1);
  });

  it('says what one line of the run would bring, as the projection of that line has it', () => {
    const fields: RunFields = { gpus: 64, parallelism: { pipeline: 8 }, globalBatchSize: 16 };
    const before = time(fields);
    const [, words = '', gain = ''] = /"(.+?)" would give (\d+) % more/.exec(before.limit) ?? [];
    expect(words).toBe('parallelism.virtual_pipeline: 2');
    const after = time({ ...fields, parallelism: { pipeline: 8, virtualPipeline: 2 } });
    const ratio = (after.tokensPerSecondPerGpu ?? 0) / (before.tokensPerSecondPerGpu ?? 1);
    expect(Math.round(100 * (ratio - 1))).toBe(Number(gain));
    const eager = time({ framework: 'fsdp', sharding: 'full', accelerator: 'a100-sxm-80gb', sequenceLength: 2048 });
    expect(eager.limit).toContain('"compile: true" would give');
    expect(time({ framework: 'fsdp', sharding: 'full', sequenceLength: 16_384 }).limit).toContain(
      '"attention_kernel: cudnn"',
    );
    expect(time({ calibration: 0.5, ...fields }).limit).toBe(before.limit);
  });

  it('names the largest loss', () => {
    expect(time({ gpus: 64, parallelism: { pipeline: 8 }, globalBatchSize: 16 }).limit).toContain('bubble');
    expect(time({ recompute: 'full' }).limit).toContain('recomputed');
  });

  it.each(acceleratorIds)('%s projects a utilization between 0 and 1', (accelerator) => {
    const { bf16 } = accelerators[accelerator].densePeak;
    const { mfu } = time({ accelerator, precision: bf16 === undefined ? 'fp16' : 'bf16', gpus: 1, globalBatchSize: 8 });
    expect(mfu).toBeGreaterThan(0.05);
    expect(mfu).toBeLessThan(0.95);
  });

  it('a measured run: FLOPs for a token times tokens per second over the peak', () => {
    const settled = settle({ accelerator: 'h100-sxm-80gb', gpus: 8, sequenceLength: 4096 });
    const flops = countFlops(operations, settled.run);
    const { mfu, hfu, peak } = measuredMfu(flops, settled, 80_000);
    expect(peak).toBeCloseTo(8 * 989.4e12, -12);
    expect(mfu).toBeCloseTo((flops.training * 80_000) / (peak ?? 1), 12);
    expect(hfu).toBe(mfu);
  });
});

describe('properties', () => {
  const sparse = (() => {
    const found = readConfig(readFileSync(new URL('../../configs/mixtral-8x7b.json', import.meta.url)), 'mixtral.json');
    if (found.kind === 'unread') throw new Error('configs/mixtral-8x7b.json cannot be read');
    return found.architecture;
  })();
  const models = [
    { architecture, operations },
    { architecture: sparse, operations: expand(sparse) },
  ];
  const power = (most: number) => fc.integer({ min: 0, max: most }).map((exponent) => 2 ** exponent);
  const runs = fc
    .record({
      model: fc.constantFrom(...models),
      accelerator: fc.constantFrom('a100-sxm-80gb', 'h100-sxm-80gb', 'b200-sxm', 'gb200-nvl72', 'mi300x', 'l40s'),
      replicas: power(5),
      tensor: power(3),
      pipeline: power(2),
      context: power(1),
      expert: power(3),
      microBatchSize: power(3),
      microBatches: fc.integer({ min: 1, max: 16 }),
      sequenceLength: power(7).map((factor) => 256 * factor),
      framework: fc.constantFrom('megatron', 'fsdp', 'deepspeed', 'transformers'),
      sharding: fc.constantFrom('none', 'optimizer', 'gradients', 'full'),
      recompute: fc.constantFrom('none', 'selective', 'full'),
      precision: fc.constantFrom('bf16', 'fp8', 'fp32'),
      flashAttention: fc.boolean(),
      compile: fc.boolean(),
    })
    .map(({ model, replicas, tensor, pipeline, context, expert, microBatches, ...rest }) => {
      const gpus = replicas * tensor * pipeline * context * 8;
      const fields = {
        ...rest,
        gpus,
        globalBatchSize: (gpus / (tensor * pipeline * context)) * rest.microBatchSize * microBatches,
        parallelism: { tensor, pipeline, context, expert: model.operations === operations ? 1 : expert },
      } as RunFields;
      return { model, fields };
    });
  const project = (
    { model, fields }: { readonly model: (typeof models)[number]; readonly fields: RunFields },
    machine?: Accelerator,
  ) => {
    const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], model.architecture);
    if (settling.kind === 'unsettled') throw new Error(settling.problems.map(({ message }) => message).join(' '));
    const { settled } = settling;
    const flops = countFlops(model.operations, settled.run);
    return projectTime(model.operations, flops, machine === undefined ? settled : { ...settled, machine });
  };
  const chipOf = ({ fields }: { readonly fields: RunFields }) =>
    Object.entries(accelerators).find(([id]) => id === fields.accelerator)?.[1] as Accelerator;
  const faster = (chip: Accelerator, peak: number, bandwidth: number, link: number): Accelerator =>
    ({
      ...chip,
      densePeak: Object.fromEntries(Object.entries(chip.densePeak).map(([dtype, rate]) => [dtype, peak * rate])),
      bandwidth: bandwidth * chip.bandwidth,
      fast: { ...chip.fast, perDirection: link * chip.fast.perDirection },
      network: chip.network === null ? null : link * chip.network,
    }) as Accelerator;
  const factor = fc.double({ min: 1, max: 4, noNaN: true });
  const known = { numRuns: 400 };

  it('parts are never negative and sum to the step; utilization is at most 1', () => {
    fc.assert(
      fc.property(runs, (one) => {
        const { mfu, hfu, parts, stepTime } = project(one);
        if (mfu === null || hfu === null || stepTime === null) return;
        const amounts = Object.values(parts);
        expect(amounts.filter((part) => !(part >= 0))).toEqual([]);
        expect(amounts.reduce((total, part) => total + part, 0) / stepTime).toBeCloseTo(1, 9);
        expect(mfu).toBeGreaterThan(0);
        expect(hfu).toBeLessThanOrEqual(1);
        expect(hfu).toBeGreaterThanOrEqual(mfu * (1 - 1e-12));
      }),
      known,
    );
  });

  it('a chip whose rates are all at least as high is never slower', () => {
    fc.assert(
      fc.property(runs, factor, factor, factor, (one, peak, bandwidth, link) => {
        const chip = chipOf(one);
        const before = project(one).stepTime;
        const after = project(one, faster(chip, peak, bandwidth, link)).stepTime;
        if (before === null || after === null) return;
        expect(after).toBeLessThanOrEqual(before * (1 + 1e-9));
      }),
      known,
    );
  });

  it('more GPUs for as much work each never make it faster for one of them', () => {
    fc.assert(
      fc.property(runs, (one) => {
        const { gpus = 8, globalBatchSize = 8 } = one.fields;
        const more = { ...one, fields: { ...one.fields, gpus: 2 * gpus, globalBatchSize: 2 * globalBatchSize } };
        // What each GPU updates shrinks where states are divided over more: that is less work, and left out.
        const without = ({ stepTime, parts }: ThroughputEstimate) => (stepTime ?? Number.NaN) - parts.optimizer;
        const [before, after] = [project(one), project(more)];
        if (before.stepTime === null) return;
        expect(without(after)).toBeGreaterThanOrEqual(without(before) * (1 - 1e-9));
      }),
      known,
    );
  });

  it('a projection depends on nothing but its run: in any order, the same', () => {
    fc.assert(
      fc.property(runs, runs, (one, other) => {
        const [first, second] = [project(one).stepTime, project(other).stepTime];
        expect([project(other).stepTime, project(one).stepTime]).toEqual([second, first]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('kernels', () => {
  const chip = accelerators['h100-sxm-80gb'];
  const facts = kernelsOf(chip);
  const gemm = (m: number, n: number, k: number, experts = 1) =>
    gemmSeconds(chip, { facts: facts.gemm, peak: 989.4e12, operand: 2, slowdown: 1 }, { m, n, k, experts }, 2);

  it('a large product runs at 75 to 85 % of the peak, a small one far below', () => {
    const share = (n: number) => (2 * n ** 3) / gemm(n, n, n) / 989.4e12;
    expect(share(8192)).toBeGreaterThan(0.75);
    expect(share(8192)).toBeLessThan(0.85);
    expect(share(512)).toBeLessThan(0.3);
  });

  it('one tile more than a wave costs more than its share', () => {
    const wave = gemm(128 * 132, 256, 8192);
    expect(gemm(128 * 132, 256, 16_384) / wave).toBeGreaterThan(1.9);
    expect(gemm(128 * 133, 256, 8192) / wave).toBeGreaterThan(1.02);
  });

  it('a product of few rows is bound by reading its weights', () => {
    expect(gemm(8, 8192, 8192)).toBeGreaterThan((2 * 8192 * 8192) / chip.bandwidth);
  });

  it('where computing takes no time, each operand of each expert is read once and the result written', () => {
    const facts = { peakShare: 1, prologue: 0, launch: 5e-6, bandwidthShare: 0.5, wave: 0, tileExponent: 0 };
    const how = { facts, peak: 1e30, operand: 2, slowdown: 1.5 };
    const [m, n, k, experts] = [1000, 300, 7000, 3];
    const bytes = experts * (2 * m * k + 2 * k * n + 4 * m * n);
    const seconds = 5e-6 + (1.5 * bytes) / (0.5 * chip.bandwidth);
    expect(gemmSeconds(chip, how, { m, n, k, experts }, 4)).toBeCloseTo(seconds, 12);
  });

  it('where memory takes no time, tiles of 128 x 256 each take their FLOPs and a prologue', () => {
    const facts = { peakShare: 0.5, prologue: 100, launch: 5e-6, bandwidthShare: 1, wave: 1, tileExponent: 0.1 };
    const how = { facts, peak: 1e15, operand: 0, slowdown: 1.5 };
    // 15 tiles on each multiprocessor, and one more on the first: sixteen waves.
    const [m, n, k] = [128 * (15 * 132 + 1), 256, 900];
    const flops = 16 * 132 * 2 * 128 * 256 * (k + 100);
    expect(gemmSeconds(chip, how, { m, n, k }, 0)).toBeCloseTo(5e-6 + (1.5 * flops) / (0.5 * 1e15), 9);
  });

  it('experts of one token each cost more than one product of all tokens', () => {
    expect(gemm(16, 4096, 4096, 64)).toBeGreaterThan(2 * gemm(1024, 4096, 4096));
  });

  it('a collective of one rank is free, beyond the fast domain is slower, and a reduce moves twice as much', () => {
    const GB = 1e9;
    expect(collectiveSeconds(chip, facts, 'gather', GB, 1)).toBe(0);
    const near = collectiveSeconds(chip, facts, 'gather', GB, 8);
    expect(collectiveSeconds(chip, facts, 'gather', GB, 16, 1)).toBeGreaterThan(4 * near);
    const reduce = collectiveSeconds(chip, facts, 'reduce', GB, 8);
    expect(reduce).toBeGreaterThan(1.4 * near);
    expect(reduce).toBeLessThan(2.2 * near);
  });
});
