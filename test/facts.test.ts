import { describe, expect, it } from 'vitest';
import {
  type AcceleratorId,
  acceleratorIds,
  accelerators,
  findAccelerator,
  type PeakDtype,
} from '../src/facts/accelerators.ts';
import { kernelsOf } from '../src/facts/kernels.ts';
import { bytesOf, precisions } from '../src/facts/precisions.ts';

/** A figure that sources round differently. */
function expectWithin(figure: number | undefined, expected: number, share: number) {
  expect(Math.abs((figure ?? 0) / expected - 1), `${figure} for ${expected}`).toBeLessThanOrEqual(share);
}

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
    // Fewer bits go through the same tiles and the same memory, with scales besides.
    for (const few of kernels.low === null ? [] : [kernels.low.fp8, kernels.low.fp4]) {
      expect(few.peakShare).toBeLessThanOrEqual(kernels.gemm.peakShare);
      expect(few.bandwidthShare).toBeLessThanOrEqual(kernels.gemm.bandwidthShare);
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

/** Floating-point operations that one multiprocessor or compute unit ends in a clock, dense, by the vendors' white papers. */
const perClock = {
  volta: { fp32: 128, fp16: 1024 },
  turing: { fp32: 128, fp16: 1024 },
  a100: { fp32: 128, tf32: 1024, fp16: 2048, bf16: 2048 },
  ampere: { fp32: 256, tf32: 512, fp16: 1024, bf16: 1024 },
  // GeForce cards accumulate in fp32 at half the rate.
  ampereGeforce: { fp32: 256, tf32: 256, fp16: 512, bf16: 512 },
  ada: { fp32: 256, tf32: 512, fp16: 1024, bf16: 1024, fp8: 2048 },
  adaGeforce: { fp32: 256, tf32: 256, fp16: 512, bf16: 512, fp8: 1024 },
  hopper: { tf32: 2048, fp16: 4096, bf16: 4096, fp8: 8192 },
  blackwell: { fp32: 256, tf32: 512, fp16: 1024, bf16: 1024, fp8: 2048, fp4: 4096 },
  blackwellGeforce: { fp32: 256, tf32: 256, fp16: 512, bf16: 512, fp8: 1024, fp4: 4096 },
  cdna2: { fp32: 256, fp16: 1024, bf16: 1024 },
  cdna3: { fp32: 256, tf32: 1024, fp16: 2048, bf16: 2048, fp8: 4096 },
  cdna4: { fp32: 256, fp16: 4096, bf16: 4096, fp8: 8192, fp4: 16384 },
  // Four units of 128 x 128 that multiply and add, in each core.
  tpu: { bf16: 4 * 128 * 128 * 2 },
} as const;

describe('columns follow from what a chip is built of', () => {
  // The clock in MHz that the vendor states peaks at.
  it.each([
    ['v100-sxm-16gb', 'volta', 1530],
    ['v100-sxm-32gb', 'volta', 1530],
    ['t4', 'turing', 1590],
    ['a10', 'ampere', 1695],
    ['a10g', 'ampereGeforce', 1710],
    ['a30', 'a100', 1440],
    ['a40', 'ampere', 1740],
    ['rtx-3090', 'ampereGeforce', 1695],
    ['rtx-4090', 'adaGeforce', 2520],
    ['rtx-5090', 'blackwellGeforce', 2407],
    ['rtx-6000-ada', 'ada', 2505],
    ['rtx-pro-6000', 'blackwell', 2617],
    ['l4', 'ada', 2040],
    ['l40s', 'ada', 2520],
    ['a100-pcie-40gb', 'a100', 1410],
    ['a100-sxm-40gb', 'a100', 1410],
    ['a100-pcie-80gb', 'a100', 1410],
    ['a100-sxm-80gb', 'a100', 1410],
    ['a800-sxm-80gb', 'a100', 1410],
    ['h100-pcie-80gb', 'hopper', 1620],
    ['h100-sxm-80gb', 'hopper', 1830],
    ['h800-sxm-80gb', 'hopper', 1830],
    ['h200-sxm-141gb', 'hopper', 1830],
    ['gh200-96gb', 'hopper', 1830],
    ['gh200-144gb', 'hopper', 1830],
    ['mi210', 'cdna2', 1700],
    ['mi250x-gcd', 'cdna2', 1700],
    ['mi300x', 'cdna3', 2100],
    ['mi325x', 'cdna3', 2100],
    ['mi350x', 'cdna4', 2200],
    ['mi355x', 'cdna4', 2400],
    ['tpu-v4', 'tpu', 1050],
    ['tpu-v5e', 'tpu', 1500],
    ['tpu-v5p', 'tpu', 1750],
  ] as const)('the peaks of %s: units of %s at %d MHz', (id, kind, megahertz) => {
    const { multiprocessors, densePeak } = accelerators[id];
    for (const [dtype, each] of Object.entries(perClock[kind]))
      expectWithin(densePeak[dtype as PeakDtype], (multiprocessors ?? 0) * each * megahertz * 1e6, 0.015);
  });

  // Square arrays that multiply and add: how many a chip has, and how wide they are.
  it.each([
    ['tpu-v3', 'bf16', 4, 128, 940],
    ['tpu-v6e', 'bf16', 4, 256, 1750],
    ['gaudi2', 'bf16', 2, 256, 1650],
    ['gaudi2', 'fp8', 4, 256, 1650],
    ['gaudi3', 'bf16', 8, 256, 1600],
    ['gaudi3', 'fp8', 8, 256, 1600],
  ] as const)('%s, %s: %d arrays of width %d at %d MHz', (id, dtype, arrays, width, megahertz) => {
    const { densePeak }: { readonly densePeak: { readonly [one in PeakDtype]?: number } } = accelerators[id];
    expectWithin(densePeak[dtype], arrays * width * width * 2 * megahertz * 1e6, 0.01);
  });

  // Vector units of Hopper and Blackwell run at a clock of their own.
  it.each([
    ['h100-pcie-80gb', 1755],
    ['h100-sxm-80gb', 1980],
    ['h800-sxm-80gb', 1980],
    ['h200-sxm-141gb', 1980],
    ['gh200-96gb', 1980],
    ['gh200-144gb', 1980],
    ['b200-sxm', 1965],
    ['b300-sxm', 1965],
    ['gb200-nvl72', 2062],
    ['gb300-nvl72', 2062],
  ] as const)('the fp32 peak of %s: 256 FLOPs a clock at %d MHz', (id, megahertz) => {
    const { multiprocessors, densePeak } = accelerators[id];
    expectWithin(densePeak.fp32, (multiprocessors ?? 0) * 256 * megahertz * 1e6, 0.01);
  });

  it.each(rows)('%s doubles its rate where numbers are half as wide', (id, { densePeak, generation }) => {
    const { tf32, fp16, bf16, fp8, fp4 } = densePeak;
    if (!['ada', 'hopper', 'blackwell', 'blackwell-workstation', 'cdna'].includes(generation)) return;
    expect(bf16).toBe(fp16);
    if (fp8 !== undefined) expectWithin(fp8, 2 * (bf16 ?? 0), 0.015);
    if (tf32 !== undefined) expectWithin(tf32, (bf16 ?? 0) / 2, 0.015);
    // Blackwell Ultra has three times the units for 4 bits, consumer cards four times.
    const times = id === 'b300-sxm' || id === 'gb300-nvl72' ? 3 : id === 'rtx-5090' ? 4 : 2;
    if (fp4 !== undefined) expectWithin(fp4, times * (fp8 ?? 0), 0.015);
  });

  // Width of the memory's bus in bits, and Gbit/s of each pin.
  it.each([
    ['v100-sxm-16gb', 4096, 1.75],
    ['v100-sxm-32gb', 4096, 1.75],
    ['t4', 256, 10],
    ['a10', 384, 12.5],
    ['a10g', 384, 12.5],
    ['a30', 3072, 2.43],
    ['a40', 384, 14.5],
    ['rtx-3090', 384, 19.5],
    ['rtx-4090', 384, 21],
    ['rtx-5090', 512, 28],
    ['rtx-6000-ada', 384, 20],
    ['rtx-pro-6000', 512, 28],
    ['l4', 192, 12.5],
    ['l40s', 384, 18],
    ['a100-pcie-40gb', 5120, 2.43],
    ['a100-sxm-40gb', 5120, 2.43],
    ['a100-pcie-80gb', 5120, 3.02],
    ['a100-sxm-80gb', 5120, 3.19],
    ['a800-sxm-80gb', 5120, 3.19],
    ['h100-pcie-80gb', 5120, 3.19],
    ['h100-sxm-80gb', 5120, 5.23],
    ['h800-sxm-80gb', 5120, 5.23],
    ['h100-nvl-94gb', 6144, 5.13],
    ['h20-sxm-96gb', 6144, 5.2],
    ['h200-sxm-141gb', 6144, 6.25],
    ['gh200-96gb', 6144, 5.2],
    ['gh200-144gb', 6144, 6.4],
    ['b300-sxm', 8192, 8],
    ['gb200-nvl72', 8192, 8],
    ['gb300-nvl72', 8192, 8],
    ['mi210', 4096, 3.2],
    ['mi250x-gcd', 4096, 3.2],
    ['mi300x', 8192, 5.2],
    ['mi325x', 8192, 6],
    ['mi350x', 8192, 8],
    ['mi355x', 8192, 8],
    ['gaudi2', 6144, 3.2],
    ['gaudi3', 8192, 3.6],
    ['tpu-v4', 4096, 2.4],
    ['tpu-v5e', 2048, 3.2],
    ['tpu-v5p', 6144, 3.6],
    ['tpu-v6e', 4096, 3.2],
    ['tpu-v7', 8192, 7.2],
  ] as const)('the bandwidth of %s: %d pins of %d Gbit/s', (id, pins, each) => {
    expectWithin(accelerators[id].bandwidth, (pins * each * 1e9) / 8, 0.03);
  });
});

describe('links between chips', () => {
  // NVLink has 25 GB/s a link and direction (14.1 on consumer silicon, 50 from Blackwell on), a slot of PCIe what its generation has.
  it.each([
    ['v100-sxm-16gb', 8, 6, 25],
    ['v100-sxm-32gb', 8, 6, 25],
    ['t4', 1, 16, 1],
    ['a10', 1, 16, 2],
    ['a10g', 1, 16, 2],
    ['a30', 2, 4, 25],
    ['a40', 2, 4, 14.0625],
    ['rtx-3090', 2, 4, 14.0625],
    ['rtx-4090', 1, 16, 2],
    ['rtx-5090', 1, 16, 4],
    ['rtx-6000-ada', 1, 16, 2],
    ['rtx-pro-6000', 1, 16, 4],
    ['l4', 1, 16, 2],
    ['l40s', 1, 16, 2],
    ['a100-pcie-40gb', 2, 12, 25],
    ['a100-sxm-40gb', 8, 12, 25],
    ['a100-pcie-80gb', 2, 12, 25],
    ['a100-sxm-80gb', 8, 12, 25],
    ['a800-sxm-80gb', 8, 8, 25],
    ['h100-pcie-80gb', 2, 12, 25],
    ['h100-nvl-94gb', 2, 12, 25],
    ['h100-sxm-80gb', 8, 18, 25],
    ['h800-sxm-80gb', 8, 8, 25],
    ['h20-sxm-96gb', 8, 18, 25],
    ['h200-sxm-141gb', 8, 18, 25],
    ['gh200-96gb', 1, 18, 25],
    ['gh200-144gb', 2, 18, 25],
    ['b100-sxm', 8, 18, 50],
    ['b200-sxm', 8, 18, 50],
    ['b300-sxm', 8, 18, 50],
    ['gb200-nvl72', 72, 18, 50],
    ['gb300-nvl72', 72, 18, 50],
    ['vr200-nvl72', 72, 36, 50],
    // Infinity Fabric: one link to each of three or seven others.
    ['mi210', 4, 3, 50],
    ['mi300x', 8, 7, 64],
    ['mi325x', 8, 7, 64],
    ['mi350x', 8, 7, 76.8],
    ['mi355x', 8, 7, 76.8],
    // Ethernet within the box, three ports to each of seven others (docs.habana.ai, Network Configuration).
    ['gaudi2', 8, 21, 100 / 8],
    ['gaudi3', 8, 21, 200 / 8],
  ] as const)('%s: %d chips, each with %d links of %d GB/s a direction', (id, domain, links, each) => {
    const { fast } = accelerators[id];
    expect(fast.domain).toBe(domain);
    expectWithin(fast.perDirection, links * each * 1e9, 0.001);
  });

  // The largest slice of a pod: chips along each axis (docs.cloud.google.com/tpu, *system architecture*).
  it.each([
    ['tpu-v3', [32, 32]],
    ['tpu-v4', [16, 16, 16]],
    ['tpu-v5e', [16, 16]],
    ['tpu-v5p', [16, 20, 28]],
    ['tpu-v6e', [16, 16]],
    ['tpu-v7', [16, 24, 24]],
  ] as const)('%s: a torus of %j', (id, axes) => {
    expect(accelerators[id].fast.domain).toBe(axes.reduce<number>((all, one) => all * one, 1));
  });

  // What a system of the vendor, or of a cloud, has for so many chips: cards or ports, and Gbit/s of each.
  it.each([
    ['a100-sxm-80gb', 'DGX A100', 8, 8, 200],
    ['a800-sxm-80gb', 'its DGX', 8, 8, 200],
    ['a100-sxm-40gb', 'DGX A100', 8, 8, 200],
    ['h100-sxm-80gb', 'DGX H100', 8, 8, 400],
    ['h800-sxm-80gb', "DeepSeek-V3's nodes", 8, 8, 400],
    ['h200-sxm-141gb', 'DGX H200', 8, 8, 400],
    ['b200-sxm', 'DGX B200', 8, 8, 400],
    ['b300-sxm', 'DGX B300', 8, 8, 800],
    ['gb200-nvl72', 'a tray of GB200 NVL72', 4, 4, 400],
    ['gb300-nvl72', 'a tray of GB300 NVL72', 4, 4, 800],
    ['mi300x', 'ND MI300X v5 of Azure', 8, 8, 400],
    ['a10g', 'g5.48xlarge of AWS', 8, 1, 100],
    ['l4', 'g6.48xlarge of AWS', 8, 1, 100],
    ['l40s', 'g6e.48xlarge of AWS', 8, 4, 100],
    ['trainium1', 'trn1.32xlarge of AWS', 16, 8, 100],
    ['trainium2', 'trn2.48xlarge of AWS', 16, 16, 200],
    ['mi250x-gcd', 'a node of Frontier', 8, 4, 200],
    ['gaudi2', 'HLS-2 of Habana', 8, 24, 100],
    ['gaudi3', 'HLS-3 of Habana', 8, 24, 200],
  ] as const)('%s beyond its domain, in %s: %d chips share %d cards of %d Gbit/s', (id, _, chips, cards, each) => {
    expectWithin(accelerators[id].network ?? 0, (cards * each * 1e9) / 8 / chips, 0.001);
  });
});

// Judged: three quarters of a link, of TPUs 85 % of the nine tenths that the Scaling Book (jax-ml) counts of one. Two tables have the link.
it.each([
  ['v100-sxm-32gb', 0.75],
  ['t4', 0.75],
  ['l4', 0.75],
  ['l40s', 0.75],
  ['rtx-4090', 0.75],
  ['rtx-5090', 0.75],
  ['rtx-pro-6000', 0.75],
  ['mi300x', 0.75],
  ['mi325x', 0.75],
  ['mi355x', 0.75],
  ['gaudi2', 0.75],
  ['tpu-v4', 0.85],
  ['tpu-v5e', 0.85 * 0.9],
  ['tpu-v5p', 0.85 * 0.9],
  ['tpu-v6e', 0.85 * 0.9],
  ['tpu-v7', 0.85 * 0.9],
] as const)('%s: collectives that nobody measured reach %d of a link', (id, share) => {
  const { gather } = kernelsOf(accelerators[id]).collectives;
  expectWithin(gather.bandwidth / accelerators[id].fast.perDirection, share, 0.01);
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

  // Watts, by stas00/ml-engineering at 744d01e (*power spec*) and the systems of ai-dynamo/aiconfigurator at 095f58a.
  it.each([
    ['a30', 165],
    ['l4', 72],
    ['l40s', 350],
    ['rtx-pro-6000', 600],
    ['a100-pcie-80gb', 300],
    ['a100-sxm-40gb', 400],
    ['a100-sxm-80gb', 400],
    ['h100-pcie-80gb', 350],
    ['h100-nvl-94gb', 400],
    ['h100-sxm-80gb', 700],
    ['h200-sxm-141gb', 700],
    ['b200-sxm', 1000],
    ['b300-sxm', 1100],
    ['gb200-nvl72', 1200],
    ['gb300-nvl72', 1400],
    ['mi250x-gcd', 560 / 2],
    ['mi300x', 750],
    ['mi325x', 1000],
    ['mi350x', 1000],
    ['mi355x', 1400],
    ['gaudi2', 600],
    ['gaudi3', 900],
  ] as const)('%s takes %d W', (id, power) => {
    expect(accelerators[id].power).toBe(power);
  });

  it('NVLink of an H800 reaches the 160 GB/s of DeepSeek-V3 (arXiv:2412.19437, 3.2.2)', () => {
    expectWithin(kernelsOf(accelerators['h800-sxm-80gb']).collectives.gather.bandwidth, 160e9, 0.05);
  });

  // The same silicon with links of 400 GB/s in place of 600 and 900 both ways.
  it.each([
    ['a800-sxm-80gb', 'a100-sxm-80gb', 200e9],
    ['h800-sxm-80gb', 'h100-sxm-80gb', 200e9],
  ] as const)('%s is %s with slower links', (slow, fast, link) => {
    const { densePeak, memory, usable, bandwidth: ofMemory, multiprocessors, power } = accelerators[fast];
    expect(accelerators[slow]).toMatchObject({
      densePeak,
      memory,
      usable,
      bandwidth: ofMemory,
      multiprocessors,
      power,
    });
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

describe('bytes of an element', () => {
  // Bits of a block of elements, and of what scales it.
  it.each([
    ['fp32', 1, 32, 0],
    ['bf16', 1, 16, 0],
    ['fp16', 1, 16, 0],
    ['fp8', 1, 8, 0],
    ['int8', 1, 8, 0],
    // NVFP4: an 8-bit scale for 16 elements (arXiv:2509.25149).
    ['fp4', 16, 16 * 4, 8],
    // QLoRA: an 8-bit scale for 64 elements, of which 256 share an fp32 one (arXiv:2305.14314, section 3).
    ['nf4', 64 * 256, 64 * 256 * 4, 256 * 8 + 32],
  ] as const)('%s: %d take %d bits and %d of scales', (dtype, elements, bits, scales) => {
    expectWithin(8 * bytesOf[dtype] * elements, bits + scales, 1e-4);
  });

  it('MXFP8 has an 8-bit scale for 32 elements (arXiv:2310.10537), products in other precisions read what is stored', () => {
    const { mxfp8, ...others } = precisions;
    expect(8 * mxfp8.operand * 32).toBe(32 * 8 + 8);
    for (const [name, { operand }] of Object.entries(others))
      expect(operand).toBe(bytesOf[name as keyof typeof others]);
  });
});
