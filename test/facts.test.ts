import { describe, expect, it } from 'vitest';
import { type AcceleratorId, acceleratorIds, accelerators, findAccelerator } from '../src/facts/accelerators.ts';
import { kernelsOf } from '../src/facts/kernels.ts';

const rows = acceleratorIds.map((id) => [id, accelerators[id]] as const);

describe('accelerators', () => {
  it('has every id that users rely on', () => {
    const promised = [
      'a100-sxm-40gb a100-sxm-80gb a100-pcie-80gb a800-sxm-80gb h100-sxm-80gb h100-pcie-80gb h100-nvl-94gb h800-sxm-80gb',
      'h200-sxm-141gb b200-sxm b300-sxm gb200-nvl72 gb300-nvl72 l40s a10g rtx-4090 mi300x mi325x mi355x tpu-v5e tpu-v5p',
      'tpu-v6e gaudi3 trainium2',
    ].flatMap((line) => line.split(' '));
    expect(promised.filter((id) => findAccelerator(id) === undefined)).toEqual([]);
  });

  it('an unknown id, and an inherited name, are no accelerator', () => {
    expect(findAccelerator('h100')).toBeUndefined();
    expect(findAccelerator('constructor')).toBeUndefined();
  });

  it.each(rows)('%s is consistent', (id, row) => {
    // Blackwell's drivers report a little more than the round number of the datasheet.
    expect(row.usable).toBeLessThanOrEqual(1.08 * row.memory);
    expect(row.usable).toBeGreaterThan(0.8 * row.memory);
    expect(row.bandwidth).toBeGreaterThan(1e11);
    expect(row.fast.domain).toBeGreaterThanOrEqual(1);
    expect(row.fast.perDirection).toBeGreaterThan(1e9);
    const { fp32, fp16, bf16, fp8, fp4 } = row.densePeak;
    const half = bf16 ?? fp16 ?? 0;
    expect(half).toBeGreaterThan(1e13);
    expect(half).toBeGreaterThanOrEqual(fp32 ?? 0);
    if (fp8 !== undefined) expect(fp8).toBeGreaterThanOrEqual(half);
    if (fp4 !== undefined) expect(fp4).toBeGreaterThanOrEqual(fp8 ?? half);
    // NVIDIA publishes no datasheet of the H20.
    expect(row.datasheet ?? id).toMatch(/^https:|^h20-sxm-96gb$/);
  });

  it.each(rows)('%s has kernel constants in their physical range', (_, row) => {
    const kernels = kernelsOf(row);
    const gemms = kernels.low === null ? [kernels.gemm] : [kernels.gemm, kernels.low.fp8, kernels.low.fp4];
    for (const { peakShare, bandwidthShare, wave } of gemms) {
      expect(peakShare).toBeGreaterThan(0.25);
      expect(peakShare).toBeLessThanOrEqual(1);
      expect(bandwidthShare).toBeLessThanOrEqual(1);
      expect(wave).toBeGreaterThanOrEqual(0);
      expect(wave).toBeLessThanOrEqual(1);
    }
    for (const { latency, bandwidth } of Object.values(kernels.collectives)) {
      expect(latency).toBeLessThan(1e-4);
      expect(bandwidth).toBeLessThan(row.fast.perDirection);
    }
  });

  it('kernels are measured on the chips that were measured, and derived elsewhere', () => {
    const confidence = (id: AcceleratorId) => kernelsOf(accelerators[id]).confidence;
    for (const id of ['a100-sxm-80gb', 'h100-sxm-80gb', 'h200-sxm-141gb', 'b200-sxm', 'gb300-nvl72', 'l40s'] as const)
      expect(confidence(id)).toBe('measured');
    for (const id of ['mi300x', 'tpu-v5p', 'gaudi3', 'trainium2'] as const) expect(confidence(id)).toBe('derived');
  });
});

describe('rates that were measured elsewhere', () => {
  const largest = (id: AcceleratorId) => {
    const chip = accelerators[id];
    return (kernelsOf(chip).gemm.peakShare * (chip.densePeak.bf16 ?? 0)) / 1e12;
  };

  // Maximum achievable FLOP/s of 16-bit products, in TFLOP/s (stas00/ml-engineering at 744d01e, accelerator tables).
  it.each([
    ['mi300x', 668.4],
    ['mi325x', 784.9],
    ['gaudi2', 418.7],
    ['gaudi3', 1243],
    ['mi355x', 1565],
  ] as const)('%s: large products reach %d TFLOP/s', (id, reached) => {
    expect(Math.abs(largest(id) / reached - 1)).toBeLessThan(0.01);
  });

  // The same silicon with links of 400 GB/s in place of 600 and 900 both ways.
  it.each([
    ['a800-sxm-80gb', 'a100-sxm-80gb', 200e9],
    ['h800-sxm-80gb', 'h100-sxm-80gb', 200e9],
  ] as const)('%s is %s with slower links', (slow, fast, link) => {
    const [narrow, wide] = [slow, fast].map((id) => kernelsOf(accelerators[id]));
    expect(narrow?.gemm).toEqual(wide?.gemm);
    expect(narrow?.attention).toEqual(wide?.attention);
    for (const kind of ['gather', 'scatter', 'reduce', 'exchange'] as const) {
      const { bandwidth = 0, ...slower } = narrow?.collectives[kind] ?? {};
      expect({ ...slower, bandwidth: wide?.collectives[kind].bandwidth }).toEqual(wide?.collectives[kind]);
      expect(bandwidth).toBeLessThanOrEqual(0.9 * link);
      expect(bandwidth).toBeGreaterThan(0.7 * link);
    }
  });
});
