import type { Accelerator, AcceleratorId, Generation } from './accelerators.ts';
import {
  benchmark,
  definition,
  type Fact,
  fitted,
  judged,
  measured,
  numbers,
  type Saying,
  type Sourced,
} from './basis.ts';
import { sources } from './sources.ts';

/**
 * Rates of kernels by generation, with single chips where they were measured apart. Matrix products and collectives were fitted
 * on measured kernel tables, attention on published plots; both stay as they are when whole steps are fitted (`facts/steps.ts`).
 */
export type KernelTable = {
  /** 16 and 32 bits */
  readonly gemm: GemmFacts;
  /** 8 and 4 bits, where some chip of the row has such matrix units */
  readonly low: LowPrecision | null;
  readonly attention: AttentionFacts;
  readonly collectives: Collectives;
  /** share of the memory bandwidth that streaming kernels reach */
  readonly streaming: number;
  /** how much slower products run in a sustained training step than in a short benchmark: clocks fall with power and heat */
  readonly sustained: number;
  /** launch times of the CPU that such chips come with, over those of Hopper's */
  readonly host: number;
  /** time from one kernel to the next, in seconds */
  readonly gap: number;
};

export type LowPrecision = {
  readonly fp8: GemmFacts;
  readonly fp4: GemmFacts;
  /** the same as `sustained`; products of few bits draw less power for each FLOP */
  readonly sustained: number;
};

export type GemmFacts = {
  /** share of the peak that the largest tile reaches */
  readonly peakShare: number;
  /** elements along k that a tile takes longer, to fill its pipeline */
  readonly prologue: number;
  /** seconds */
  readonly launch: number;
  /** share of the memory bandwidth */
  readonly bandwidthShare: number;
  /** 1: a started wave of tiles costs a whole one; 0: its share */
  readonly wave: number;
  /** how the share of the peak falls with a tile's area */
  readonly tileExponent: number;
};

export type AttentionFacts = {
  /** share of the peak, forward, for wide and for narrow heads */
  readonly wide: number;
  readonly narrow: number;
  /** tokens of context at which half of that share is reached */
  readonly ramp: number;
  /** rate of the backward pass over that of the forward pass */
  readonly backward: number;
};

/** A collective within the fast domain takes latency + perRank (n - 1) + (V + sqrt(V ramp)) / bandwidth for V bytes over n ranks. */
export type Collective = {
  readonly latency: number;
  readonly perRank: number;
  readonly bandwidth: number;
  readonly ramp: number;
};
export type Collectives = Readonly<Record<'gather' | 'scatter' | 'reduce' | 'exchange', Collective>>;

export type KernelFacts = KernelTable & { readonly confidence: 'measured' | 'derived' };

type Row = Sourced<KernelTable>;

const onKernels = benchmark(sources.aiconfigurator);
const onSteps = fitted(sources.runs);
const onOwnPlots = benchmark(sources.flashAttention2);
const onHopperPlots = benchmark(sources.flashAttention3);
const achievable = benchmark(sources.mlEngineering);
const ciMedians = measured(sources.megatronCi);
const round = judged('a round value near those of the chips whose kernels were measured', '2026-11-24');
const streams = judged('between what copies and fused norms reach on these chips', '2026-11-24');
const gaps = judged('the gap between two kernels on a stream, as profiles show it', '2026-11-24');

/** What a product takes beside its share of the peak. */
const around = (
  say: Saying,
  prologue: number,
  launch: number,
  bandwidthShare: number,
  wave: number,
  tileExponent: number,
): Omit<Sourced<GemmFacts>, 'peakShare'> => ({
  prologue: say(prologue, 'element'),
  launch: say(launch, 's'),
  bandwidthShare: say(bandwidthShare, 'ratio'),
  wave: say(wave, 'ratio'),
  tileExponent: say(tileExponent, 'exponent'),
});

const gemm = (
  say: Saying,
  peakShare: number,
  ...rest: [number, number, number, number, number]
): Sourced<GemmFacts> => ({
  peakShare: say(peakShare, 'ratio'),
  ...around(say, ...rest),
});

const attention = (
  say: Saying,
  wide: number,
  narrow: number,
  ramp: number,
  backward: number,
): Sourced<AttentionFacts> => ({
  wide: say(wide, 'ratio'),
  narrow: say(narrow, 'ratio'),
  ramp: say(ramp, 'token'),
  backward: say(backward, 'ratio'),
});

const collective = (
  say: Saying,
  latency: number,
  perRank: number,
  bandwidth: number,
  ramp: number,
): Sourced<Collective> => ({
  latency: say(latency, 's'),
  perRank: say(perRank, 's'),
  bandwidth: say(bandwidth, 'byte/s'),
  ramp: say(ramp, 'byte'),
});

const ampere: Row = {
  gemm: gemm(onKernels, 0.885, 163, 4.8e-6, 0.69, 0.37, 0.118),
  low: null,
  attention: attention(onOwnPlots, 0.697, 0.631, 480, 0.857),
  collectives: {
    gather: collective(onKernels, 8.4e-6, 0.84e-6, 215e9, 8.7e6),
    scatter: collective(onKernels, 8.3e-6, 0.75e-6, 228e9, 7.6e6),
    reduce: collective(onKernels, 8.2e-6, 1.73e-6, 235e9, 7.3e6),
    exchange: collective(onKernels, 10.8e-6, 0.29e-6, 215e9, 5.3e6),
  },
  streaming: streams(0.82, 'ratio'),
  sustained: onSteps(1.12, 'ratio'),
  host: ciMedians(1.5, 'ratio'),
  gap: gaps(2e-6, 's'),
};

const hopperLow = judged(
  'short of 16 bits by as much as maximum achievable FLOP/s are; no kernel table was fitted',
  '2026-11-24',
);
/** Hopper has no matrix units for 4 bits, and multiplies them in 8. */
const hopperFewBits = gemm(hopperLow, 0.7, 100, 4e-6, 0.6, 0.5, 0.1);

const hopper: Row = {
  gemm: gemm(onKernels, 0.834, 143, 2.9e-6, 0.79, 0.47, 0.005),
  low: {
    fp8: hopperFewBits,
    fp4: hopperFewBits,
    sustained: onSteps(1.17, 'ratio'),
  },
  attention: attention(onHopperPlots, 0.64, 0.5, 560, 0.86),
  collectives: {
    gather: collective(onKernels, 4.5e-6, 0.84e-6, 340e9, 5e6),
    scatter: collective(onKernels, 4.9e-6, 0.73e-6, 315e9, 2.2e6),
    reduce: collective(onKernels, 4.5e-6, 1.55e-6, 398e9, 5.8e6),
    exchange: collective(onKernels, 7.4e-6, 0.1e-6, 360e9, 6e6),
  },
  streaming: streams(0.85, 'ratio'),
  sustained: onSteps(1.25, 'ratio'),
  host: definition({ title: 'the CPU of a Hopper node is the unit', date: '2026-11-25' })(1, 'ratio'),
  gap: gaps(1.8e-6, 's'),
};

const blackwell: Row = {
  gemm: gemm(onKernels, 0.719, 47, 2.4e-6, 0.62, 0.75, 0.012),
  low: {
    fp8: gemm(onKernels, 0.64, 40, 4e-6, 0.5, 0.7, 0.2),
    fp4: gemm(onKernels, 0.524, 565, 5e-6, 0.54, 0.54, 0.25),
    sustained: onSteps(1.18, 'ratio'),
  },
  // The forward pass was measured; the backward rate was not.
  attention: {
    ...attention(onKernels, 0.58, 0.4, 1100, 0.8),
    backward: judged('no benchmark of the backward pass on Blackwell', '2026-11-24')(0.8, 'ratio'),
  },
  collectives: {
    gather: collective(onKernels, 7.4e-6, 1.33e-6, 690e9, 18e6),
    scatter: collective(onKernels, 7.5e-6, 1.23e-6, 630e9, 11e6),
    reduce: collective(onKernels, 7.1e-6, 2.5e-6, 709e9, 15e6),
    exchange: collective(onKernels, 10.3e-6, 0.16e-6, 597e9, 14e6),
  },
  streaming: streams(0.85, 'ratio'),
  // The public 16-bit runs on B200 come from one source (SimuMax), whose own products reach 45 to 50 % of the peak; GB200's reach more.
  sustained: onSteps(1.65, 'ratio'),
  host: round(1, 'ratio'),
  gap: gaps(1.8e-6, 's'),
};

/** One constant for all collectives, from the link's bandwidth in one direction. */
const linked = (bandwidth: number): Row['collectives'] => {
  const one = collective(
    judged("three quarters of the link's bandwidth, latencies between those of Ampere and Blackwell", '2026-11-24'),
    8e-6,
    1e-6,
    0.75 * bandwidth,
    6e6,
  );
  return { gather: one, scatter: one, reduce: one, exchange: one };
};

type Derived = {
  readonly share: Fact;
  readonly link: number;
  readonly sustained?: Fact;
  readonly gemm?: Row['gemm'];
  readonly low?: false;
};

/** What is taken of every chip without measured kernels. */
const roundly = {
  gemm: around(round, 130, 4e-6, 0.7, 0.5, 0.1),
  fp8: around(round, 130, 5e-6, 0.6, 0.5, 0.1),
  fp4: around(round, 400, 5e-6, 0.55, 0.5, 0.2),
  attention: attention(round, 0.45, 0.38, 500, 0.85),
  streaming: streams(0.82, 'ratio'),
  sustained: round(1.05, 'ratio'),
  host: round(1.2, 'ratio'),
  gap: gaps(2e-6, 's'),
};

/** A chip without measured kernels: all but the share of the peak is judged. */
const derived = ({ share, link, sustained = roundly.sustained, gemm: own, low }: Derived): Row => ({
  gemm: own ?? { ...roundly.gemm, peakShare: share },
  low:
    low === false
      ? null
      : {
          fp8: { ...roundly.fp8, peakShare: round(0.85 * share.value, 'ratio') },
          fp4: { ...roundly.fp4, peakShare: round(0.7 * share.value, 'ratio') },
          sustained,
        },
  attention: roundly.attention,
  collectives: linked(link),
  streaming: roundly.streaming,
  sustained,
  host: roundly.host,
  gap: roundly.gap,
});

const onRecipes = judged(
  "an earlier fit on Google's published TPU recipes, which are not among the runs here: nothing in this repository checks it",
  '2026-11-24',
);
const systolic = judged('a systolic array has neither tiles nor waves to lose', '2026-11-24');

type Tpu = { readonly link: number; readonly sustained: number; readonly wide: number; readonly low?: true };

const tpus = {
  gemm: gemm(systolic, 0.9, 128, 1e-6, 0.85, 0, 0),
  low: gemm(systolic, 0.85, 128, 1e-6, 0.85, 0, 0),
  latency: { collective: round(3e-6, 's'), exchange: round(5e-6, 's') },
  perRank: { collective: round(0.3e-6, 's'), reduce: round(0.5e-6, 's'), exchange: round(0.1e-6, 's') },
  ramp: round(1e6, 'byte'),
  attention: { ramp: onRecipes(600, 'token'), backward: onRecipes(0.85, 'ratio') },
  streaming: streams(0.85, 'ratio'),
  host: round(1, 'ratio'),
  gap: gaps(0.5e-6, 's'),
};

const tpu = ({ link, sustained: slower, wide, low }: Tpu): Row => {
  const sustained = onRecipes(slower, 'ratio');
  const bandwidth = round(0.85 * link, 'byte/s');
  const { latency, perRank, ramp } = tpus;
  const one = { latency: latency.collective, perRank: perRank.collective, bandwidth, ramp };
  return {
    gemm: tpus.gemm,
    low: low === undefined ? null : { fp8: tpus.low, fp4: tpus.low, sustained },
    attention: { wide: onRecipes(wide, 'ratio'), narrow: onRecipes(0.55 * wide, 'ratio'), ...tpus.attention },
    collectives: {
      gather: one,
      scatter: one,
      reduce: { ...one, perRank: perRank.reduce },
      exchange: {
        ...one,
        latency: latency.exchange,
        perRank: perRank.exchange,
        bandwidth: round(0.425 * link, 'byte/s'),
      },
    },
    streaming: tpus.streaming,
    sustained,
    host: tpus.host,
    gap: tpus.gap,
  };
};

const byGeneration: Readonly<Record<Generation, Row>> = {
  volta: derived({ share: round(0.75, 'ratio'), link: 150e9, low: false }),
  turing: derived({ share: round(0.7, 'ratio'), link: 16e9, low: false }),
  ampere,
  ada: derived({
    share: onKernels(0.608, 'ratio'),
    link: 32e9,
    gemm: gemm(onKernels, 0.608, 88, 2e-6, 1, 0.17, 0.069),
  }),
  hopper,
  blackwell,
  'blackwell-workstation': derived({
    share: onKernels(0.816, 'ratio'),
    link: 64e9,
    gemm: gemm(onKernels, 0.816, 135, 3.1e-6, 0.95, 0.24, 0.145),
  }),
  rubin: blackwell,
  cdna: derived({ share: round(0.55, 'ratio'), link: 448e9, sustained: round(1.1, 'ratio') }),
  gaudi: derived({ share: achievable(0.741, 'ratio'), link: 262e9 }),
  tpu: tpu({ link: 135e9, sustained: 1.12, wide: 0.55 }),
  neuron: derived({ share: round(0.7, 'ratio'), link: 300e9 }),
};

/** The same silicon with slower links, whose collectives reach a share of those that were measured. */
const slowed = (row: Row, say: Saying, share: number): Row => {
  const slow = (one: Sourced<Collective>): Sourced<Collective> => ({
    ...one,
    bandwidth: say(share * one.bandwidth.value, 'byte/s'),
  });
  const { gather, scatter, reduce, exchange } = row.collectives;
  return {
    ...row,
    collectives: { gather: slow(gather), scatter: slow(scatter), reduce: slow(reduce), exchange: slow(exchange) },
  };
};

// 252.9 TFLOP/s at 300 W where the 400 W card reaches 271.2.
const pcieCard: Row = { ...ampere, sustained: achievable(1.2, 'ratio'), collectives: linked(32e9) };
const rackSustained = onSteps(1.31, 'ratio');
const rackHost = ciMedians(1.4, 'ratio');

const byChip: { readonly [id in AcceleratorId]?: Row } = {
  'a800-sxm-80gb': slowed(
    ampere,
    judged('A800 has 400 of the 600 GB/s of NVLink that the A100 has; no table of its collectives was found'),
    0.68,
  ),
  'a100-pcie-40gb': pcieCard,
  'a100-pcie-80gb': pcieCard,
  a10: { ...ampere, collectives: linked(16e9) },
  a10g: { ...ampere, collectives: linked(16e9) },
  a40: { ...ampere, collectives: linked(32e9) },
  'rtx-3090': { ...ampere, collectives: linked(16e9) },
  'h800-sxm-80gb': slowed(
    hopper,
    judged('H800 has 400 of the 900 GB/s of NVLink that the H100 has; DeepSeek-V3 (arXiv:2412.19437) reaches 160 GB/s'),
    0.48,
  ),
  'h100-pcie-80gb': { ...hopper, collectives: linked(64e9) },
  'h200-sxm-141gb': { ...hopper, gemm: gemm(onKernels, 0.827, 127, 3e-6, 0.67, 0.29, 0.002) },
  'b300-sxm': {
    ...blackwell,
    sustained: rackSustained,
    gemm: gemm(onKernels, 0.728, 12, 2.2e-6, 0.64, 0.59, 0.007),
    low: {
      fp8: gemm(onKernels, 0.67, 20, 4e-6, 0.55, 0.55, 0.2),
      fp4: gemm(onKernels, 0.5, 900, 5e-6, 0.35, 0.9, 0.25),
      sustained: onSteps(1.18, 'ratio'),
    },
  },
  'gb200-nvl72': {
    ...blackwell,
    gemm: gemm(onKernels, 0.665, 12, 2.4e-6, 0.62, 0.65, 0.009),
    low: {
      fp8: gemm(onKernels, 0.6, 20, 4e-6, 0.55, 0.67, 0.2),
      fp4: gemm(onKernels, 0.491, 433, 5e-6, 0.53, 0.9, 0.25),
      sustained: onSteps(1.18, 'ratio'),
    },
    sustained: rackSustained,
    host: rackHost,
  },
  'gb300-nvl72': {
    ...blackwell,
    gemm: gemm(onKernels, 0.779, 42, 2.4e-6, 0.65, 0.9, 0.015),
    low: {
      fp8: gemm(onKernels, 0.7, 20, 4e-6, 0.56, 0.75, 0.2),
      fp4: gemm(onKernels, 0.5, 900, 5e-6, 0.35, 0.9, 0.25),
      // 1400 W against 1200 W of a GB200.
      sustained: onSteps(1.04, 'ratio'),
    },
    sustained: rackSustained,
    host: rackHost,
  },
  gaudi2: derived({ share: achievable(0.969, 'ratio'), link: 262e9 }),
  mi300x: derived({ share: achievable(0.514, 'ratio'), link: 448e9 }),
  mi325x: derived({ share: achievable(0.604, 'ratio'), link: 448e9 }),
  // 1565 of the datasheet's 2517 TFLOP/s.
  mi355x: derived({ share: achievable(1565 / 2517, 'ratio'), link: 537e9 }),
  'tpu-v5e': tpu({ link: 90e9, sustained: 0.94, wide: 0.55 }),
  'tpu-v5p': tpu({ link: 270e9, sustained: 0.8, wide: 0.55 }),
  'tpu-v6e': tpu({ link: 180e9, sustained: 1.72, wide: 0.4 }),
  'tpu-v7': tpu({ link: 540e9, sustained: 1.42, wide: 0.38, low: true }),
};

export const kernelsByGeneration: Readonly<Record<Generation, KernelTable>> = numbers(byGeneration);
export const kernelsByChip: { readonly [id in AcceleratorId]?: KernelTable } = numbers(byChip);

/** Chips whose kernels were measured themselves, and those that are the same silicon with slower links. */
const measuredChips: readonly AcceleratorId[] = [
  'a100-sxm-40gb',
  'a100-sxm-80gb',
  'a800-sxm-80gb',
  'h100-sxm-80gb',
  'h800-sxm-80gb',
  'h200-sxm-141gb',
  'b200-sxm',
  'b300-sxm',
  'gb200-nvl72',
  'gb300-nvl72',
  'l40s',
  'rtx-pro-6000',
];

/** What holds for matrix products and collectives on every chip. */
export const kernelShape = numbers({
  /** compute and memory time of a product add up as their sixth-power mean, near to the larger of the two */
  rooflineSharpness: judged('sharp enough that the larger time decides, as kernel tables show', '2026-11-24')(
    6,
    'exponent',
  ),
  /** multiprocessors of a chip whose number is not known */
  unknownMultiprocessors: round(100, 'count'),
  /** a collective reaches at most this share of a GPU's link, whatever its generation's constants were measured on */
  linkShare: round(0.9, 'ratio'),
  network: {
    /** share of a network card's rate that collectives reach */
    share: judged('what ring collectives reach of a well-tuned network', '2026-11-24')(0.85, 'ratio'),
    /** seconds for each further node */
    latency: judged('one hop of a ring over a network card and a switch', '2026-11-24')(6e-6, 's'),
    /** how many times the bytes until half the rate are of those within the fast domain */
    ramp: judged('larger messages are needed to fill a longer way', '2026-11-24')(4, 'ratio'),
  },
});

/**
 * Matrices whose rows do not begin at multiples of 16 bytes, such as an output over 50,257 or 119,547 tokens in 16 bits: cuBLAS's best
 * kernels cannot load them.
 */
export const unaligned = numbers({
  row: definition(sources.cublas)(16, 'byte'),
  /** time of such a product over that of an aligned one */
  slower: measured(sources.netflix)(3, 'ratio'),
  /** narrower matrices are vectors to the kernels, and bound by memory */
  fewest: judged('the side of the smallest tile that is taken', '2026-11-28')(64, 'element'),
});

/**
 * Attention kernels that are not the best of their chip: shares of the peak named by `of`, as read off the plots of
 * FlashAttention-2 (causal, forward). PyTorch's scaled_dot_product_attention is FlashAttention-2 on every chip.
 */
export const olderAttention = numbers({
  flash1: {
    ampere: attention(onOwnPlots, 0.335, 0.397, 300, 0.95),
    hopper: attention(onOwnPlots, 0.19, 0.216, 200, 0.95),
  },
  flash2: { hopper: attention(onOwnPlots, 0.345, 0.307, 520, 0.97) },
  /**
   * PyTorch's memory-efficient kernel, the one that takes a mask: it meets every key, masked or not. On Hopper it gains what
   * FlashAttention-2 gains there, which has the same instructions.
   */
  efficient: {
    ampere: attention(benchmark(sources.xformers), 0.358, 0.358, 300, 0.6),
    hopper: attention(
      judged(
        "A100's share times what FlashAttention-2 gains on H100 in its plots (1.57), backward as there",
        '2026-11-28',
      ),
      0.177,
      0.177,
      300,
      0.97,
    ),
  },
  /** of the memory-efficient kernel in fp32 over its rate in 16 bits: 208 ms where those take 49.8 */
  efficientSingle: benchmark(sources.xformers)(0.24, 'ratio'),
  /** The peak that the Hopper shares were measured against: an older kernel gains nothing from a newer chip's matrix units. */
  hopperPeak: onOwnPlots(989.4e12, 'FLOP/s'),
  /** Heads wider than this (latent attention) keep a share of the rate in FlashAttention-2. */
  widest: onOwnPlots(128, 'element'),
  widestShare: judged('tiles of heads of 192 fill the shared memory worse than those of 128')(0.85, 'ratio'),
  /**
   * Unfused attention: share of the peak of its batched products, and bytes for each score that move beside them, forward and
   * backward. Softmax reads the lower triangle and writes (3, backward 5), dropout reads, writes and keeps a mask (5 each way); what
   * the products read and write hides behind their own work.
   */
  unfused: {
    share: judged('batched products of many small matrices')(0.4, 'ratio'),
    forward: definition(sources.korthikanti)(8, 'byte/element'),
    backward: definition(sources.korthikanti)(10, 'byte/element'),
  },
  /** bytes for each score where Transformers writes them out: products, scale, mask, softmax in fp32 and casts; softcaps besides */
  writtenOut: {
    forward: definition(sources.dispatched)(33, 'byte/element'),
    backward: definition(sources.dispatched)(39, 'byte/element'),
    softcap: definition(sources.dispatched)(12, 'byte/element'),
  },
});

/** What fused attention kernels have in common. */
export const fusedAttention = numbers({
  /** cuDNN's kernel drops out shares that are multiples of one over this: PyTorch takes FlashAttention-2 for all others */
  dropoutSteps: definition(sources.sdpa)(16, 'count'),
  /** heads at least this wide run at the rate of wide ones; the plots have widths of 64 and 128 */
  wideFrom: judged('three quarters of the wider of the two widths that were measured')(96, 'element'),
  /** FLOPs of the backward pass over those of the forward pass: five products for two */
  backwardFlops: definition(sources.flashAttention2)(2.5, 'ratio'),
  /** seconds to start the kernels of the forward and of the backward pass (two) */
  start: {
    forward: judged('one kernel of these chips')(4e-6, 's'),
    backward: judged('two kernels of these chips')(8e-6, 's'),
  },
});

/** The kernel constants of a chip; its generation's, as derived, where it was not measured itself; collectives no faster than its links. */
export function kernelsOf({ id, generation, fast }: Accelerator): KernelFacts {
  const table = kernelsByChip[id] ?? kernelsByGeneration[generation];
  const most = kernelShape.linkShare * fast.perDirection;
  const cap = (one: Collective): Collective => ({ ...one, bandwidth: Math.min(one.bandwidth, most) });
  const { gather, scatter, reduce, exchange } = table.collectives;
  return {
    ...table,
    collectives: { gather: cap(gather), scatter: cap(scatter), reduce: cap(reduce), exchange: cap(exchange) },
    confidence: measuredChips.includes(id) ? 'measured' : 'derived',
  };
}
