import { describe, expect, it } from 'vitest';
import { costOf, mixture, small } from './estimates.ts';

describe('the band around a projected step (docs/mfu.md: nine of ten measured runs lie within)', () => {
  const stated = { gpus: 8, attention_kernel: 'flash2', cuda_graphs: false };
  const band = (run: object, config: object = small) => costOf(config, { ...stated, ...run }).throughput.band;

  it.each([
    ['dense, 16 bits', small, {}, 0.13],
    ['8 bits', small, { precision: 'fp8' }, 0.15],
    ['8 bits, a scale for each tensor', small, { precision: 'fp8', fp8_recipe: 'tensorwise' }, 0.15],
    ['8 bits, a scale for each row', small, { precision: 'fp8', fp8_recipe: 'rowwise' }, 0.15 + 0.41],
    ['8 bits, a scale for each block', small, { precision: 'fp8', fp8_recipe: 'blockwise' }, 0.15 + 0.41],
    ['a recipe of 8 bits in 16', small, { fp8_recipe: 'rowwise' }, 0.13],
    ['experts', mixture, {}, 0.3],
    ['eager fine-tuning', small, { framework: 'transformers' }, 0.28],
    ['adapters', small, { lora: { rank: 8 } }, 0.28],
    ['kernels that were not measured', small, { accelerator: 'mi300x' }, 0.13 + 0.45],
    ['a model that sees both ways', { model_type: 'bert' }, {}, 0.13 + 0.45],
    [
      'ring attention over a long sequence',
      small,
      { framework: 'fsdp', parallelism: { context: 2 }, sequence_length: 65_536 },
      0.13 + 0.2,
    ],
    ['the same in Megatron', small, { parallelism: { context: 2 }, sequence_length: 65_536 }, 0.13],
    ['a shorter ring', small, { framework: 'fsdp', parallelism: { context: 2 }, sequence_length: 65_534 }, 0.13],
    ['one measured run, dense', small, { calibration: 0.9 }, 0.11],
    ['one measured run, 8 bits', small, { calibration: 0.9, precision: 'fp8' }, 0.13],
    ['one measured run, experts', mixture, { calibration: 0.9 }, 0.18],
    ['one measured run, fine-tuning', small, { calibration: 0.9, framework: 'transformers' }, 0.2],
  ])('%s', (_, config, run, width) => {
    expect(band(run, config)).toBeCloseTo(width, 12);
  });

  it.each([
    [{ parallelism: { tensor: 2 } }, small, 1],
    [{ parallelism: { tensor: 2 }, overlap_tensor_parallel: true }, small, 0],
    [{ gpus: 16 }, small, 1],
    [{ gpus: 16, inter_node_gbps_per_gpu: 400 }, small, 0],
    [{ framework: 'fsdp', attention_kernel: undefined }, small, 1],
    [{ framework: 'fsdp', attention_kernel: undefined, flash_attention: false }, small, 0],
    [{ cuda_graphs: undefined }, mixture, 1],
    [{ cuda_graphs: undefined }, small, 0],
  ])('%j leaves open what 3 % stand for', (run, config, open) => {
    expect(band(run, config) - band({}, config)).toBeCloseTo(0.03 * open, 12);
  });

  it('of what is not projected is none', () => {
    const {
      band: width,
      mfu,
      parts,
      training,
    } = costOf(small, { accelerator: 'a100-sxm-80gb', precision: 'fp8' }).throughput;
    expect([width, mfu, training]).toEqual([0, null, null]);
    expect(Object.values(parts).filter((seconds) => seconds !== 0)).toEqual([]);
  });

  it('is a ratio around the utilization, never beyond the peak', () => {
    const { mfu, range, band: width } = costOf(small, stated).throughput;
    expect(range?.[0]).toBeCloseTo((mfu ?? 0) * Math.exp(-width), 12);
    expect(range?.[1]).toBeCloseTo((mfu ?? 0) * Math.exp(width), 12);
  });
});

describe('the band around memory (docs/memory.md)', () => {
  const band = (run: object, config: object = small) => costOf(config, run).memory.band;

  it.each([
    [{}, 0.03],
    [{ precision: 'fp8' }, 0.1],
    [{ recompute: 'selective' }, 0.06],
    [{ gpus: 4, parallelism: { pipeline: 2, virtual_pipeline: 2 } }, 0.06],
    [{ framework: 'fsdp' }, 0.11],
    [{ framework: 'fsdp', gpus: 8, parallelism: { pipeline: 2 } }, 0.16],
    [{ framework: 'deepspeed' }, 0.18],
    [{ framework: 'transformers', gpus: 1 }, 0.05],
    [{ framework: 'transformers', gpus: 1, recompute: 'full' }, 0.07],
    [{ framework: 'transformers', gpus: 1, lora: { rank: 8 } }, 0.08],
    [{ framework: 'transformers', gpus: 2 }, 0.15],
  ])('%j: %d', (run, width) => {
    expect(band(run)).toBe(width);
  });

  it('models like which none was measured', () => {
    expect(band({}, { model_type: 'bert' })).toBe(0.2);
    expect(band({}, { model_type: 'mamba2' })).toBe(0.2);
    expect(band({ framework: 'transformers', gpus: 1 }, mixture)).toBe(0.075);
  });

  it('counts that are not exact', () => {
    const strange = { ...small, model_type: 'strange' };
    const foreign = { ...small, architectures: ['StrangeForCausalLM'] };
    expect(band({}, strange)).toBe(0.61);
    expect(band({}, foreign)).toBe(0.2);
    expect(costOf(strange).memory.basis).toContain('counted by its keys');
    const wider = (config: object) => costOf(config).throughput.band - costOf(small).throughput.band;
    expect(wider(strange)).toBeCloseTo(Math.log(1.61), 12);
    expect(wider(foreign)).toBeCloseTo(Math.log(1.2), 12);
  });
});
