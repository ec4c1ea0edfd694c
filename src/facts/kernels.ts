import { type AcceleratorId, accelerators, type Generation } from './accelerators.ts';

/**
 * Kernel constants for the time model (`cost/time.ts`), by generation, with single chips where they were measured apart.
 *
 * Matrix products and collectives were fitted on ai-dynamo/aiconfigurator at 095f58a (measured kernel tables of each chip);
 * attention on the plots of FlashAttention-2 (arXiv:2307.08691) and -3 (arXiv:2407.08608). Rows marked `derived` take their
 * efficiency from the maximum achievable FLOP/s of stas00/ml-engineering at 744d01e, or from their neighbours.
 */
export type KernelFacts = KernelTable & { readonly confidence: 'measured' | 'derived' };

type KernelTable = {
  /** peak share of the largest tile, extra depth of a tile's prologue, launch time, bandwidth share, wave softness, tile size exponent */
  readonly gemm: GemmFacts;
  readonly gemmFp8: GemmFacts;
  readonly gemmFp4: GemmFacts;
  /** forward efficiency for head widths from 96 on and below, ramp in tokens, backward over forward rate */
  readonly attention: AttentionFacts;
  /** [latency s, latency for each further rank s, bytes/s, ramp bytes] of a collective within the fast domain */
  readonly collectives: {
    readonly gather: Collective;
    readonly scatter: Collective;
    readonly reduce: Collective;
    readonly exchange: Collective;
  };
  /** share of the memory bandwidth that streaming kernels reach */
  readonly streaming: number;
  /** how much slower products run in a sustained training step than in a short benchmark: clocks fall with power and heat */
  readonly sustained: number;
  /** the same for 8 and 4 bits, whose products draw less power for each FLOP */
  readonly sustainedLow: number;
  /** launch times of the CPU that such chips come with, over those of Hopper's (medians of Megatron-LM's small CI runs) */
  readonly host: number;
  /** time from one kernel to the next, seconds */
  readonly gap: number;
};

export type GemmFacts = {
  readonly peakShare: number;
  readonly prologue: number;
  readonly launch: number;
  readonly bandwidthShare: number;
  readonly wave: number;
  readonly tileExponent: number;
};
export type AttentionFacts = {
  readonly wide: number;
  readonly narrow: number;
  readonly ramp: number;
  readonly backward: number;
};
/**
 * Attention kernels that are not the best of their chip: shares of the peak named by `of`, as read off the plots of
 * FlashAttention-2 (causal, forward). PyTorch's scaled_dot_product_attention is FlashAttention-2 on every chip.
 */
export const olderAttention = {
  flash1: {
    ampere: { wide: 0.335, narrow: 0.397, ramp: 300, backward: 0.95 },
    hopper: { wide: 0.19, narrow: 0.216, ramp: 200, backward: 0.95 },
  },
  flash2: { hopper: { wide: 0.345, narrow: 0.307, ramp: 520, backward: 0.97 } },
  /** The peak that the Hopper shares were measured against: an older kernel gains nothing from a newer chip's matrix units. */
  hopperPeak: 989.4e12,
  /** Share of the rate that heads wider than 128 (latent attention) keep in FlashAttention-2. */
  wideHeads: 0.85,
  /**
   * Unfused attention: share of the peak of its batched products, and bytes for each score that move beside them, forward and
   * backward. Softmax reads the lower triangle and writes (3, backward 5), dropout reads, writes and keeps a mask (5 each way); what
   * the products read and write hides behind their own work (Megatron-LM's fused softmax, Korthikanti et al. 2022, section 3).
   */
  unfused: { share: 0.4, forward: 8, backward: 10 },
} as const;

export type Collective = readonly [latency: number, perRank: number, bandwidth: number, ramp: number];

const gemm = (
  peakShare: number,
  prologue: number,
  launch: number,
  bandwidthShare: number,
  wave: number,
  tileExponent: number,
): GemmFacts => ({
  peakShare,
  prologue,
  launch,
  bandwidthShare,
  wave,
  tileExponent,
});

const ampere: KernelTable = {
  gemm: gemm(0.885, 163, 4.8e-6, 0.69, 0.37, 0.118),
  gemmFp8: gemm(0.885, 163, 4.8e-6, 0.69, 0.37, 0.118),
  gemmFp4: gemm(0.885, 163, 4.8e-6, 0.69, 0.37, 0.118),
  attention: { wide: 0.697, narrow: 0.631, ramp: 480, backward: 0.857 },
  collectives: {
    gather: [8.4e-6, 0.84e-6, 215e9, 8.7e6],
    scatter: [8.3e-6, 0.75e-6, 228e9, 7.6e6],
    reduce: [8.2e-6, 1.73e-6, 235e9, 7.3e6],
    exchange: [10.8e-6, 0.29e-6, 215e9, 5.3e6],
  },
  streaming: 0.82,
  sustained: 1.12,
  sustainedLow: 1.049,
  host: 1.5,
  gap: 2e-6,
};

const hopper: KernelTable = {
  gemm: gemm(0.834, 143, 2.9e-6, 0.79, 0.47, 0.005),
  gemmFp8: gemm(0.7, 100, 4e-6, 0.6, 0.5, 0.1),
  gemmFp4: gemm(0.7, 100, 4e-6, 0.6, 0.5, 0.1),
  attention: { wide: 0.64, narrow: 0.5, ramp: 560, backward: 0.86 },
  collectives: {
    gather: [4.5e-6, 0.84e-6, 340e9, 5e6],
    scatter: [4.9e-6, 0.73e-6, 315e9, 2.2e6],
    reduce: [4.5e-6, 1.55e-6, 398e9, 5.8e6],
    exchange: [7.4e-6, 0.1e-6, 360e9, 6e6],
  },
  streaming: 0.85,
  sustained: 1.25,
  sustainedLow: 1.17,
  host: 1,
  gap: 1.8e-6,
};

const blackwell: KernelTable = {
  gemm: gemm(0.719, 47, 2.4e-6, 0.62, 0.75, 0.012),
  gemmFp8: gemm(0.64, 40, 4e-6, 0.5, 0.7, 0.2),
  gemmFp4: gemm(0.524, 565, 5e-6, 0.54, 0.54, 0.25),
  attention: { wide: 0.58, narrow: 0.4, ramp: 1100, backward: 0.8 },
  collectives: {
    gather: [7.4e-6, 1.33e-6, 690e9, 18e6],
    scatter: [7.5e-6, 1.23e-6, 630e9, 11e6],
    reduce: [7.1e-6, 2.5e-6, 709e9, 15e6],
    exchange: [10.3e-6, 0.16e-6, 597e9, 14e6],
  },
  streaming: 0.85,
  // The public 16-bit runs on B200 come from one source (SimuMax), whose own products reach 45 to 50 % of the peak; GB200's reach more.
  sustained: 1.65,
  sustainedLow: 1.18,
  host: 1,
  gap: 1.8e-6,
};

/** One constant for all collectives, from the link's bandwidth in one direction. */
const linked = (bandwidth: number, latency = 8e-6): KernelFacts['collectives'] => {
  const one: Collective = [latency, 1e-6, 0.75 * bandwidth, 6e6];
  return { gather: one, scatter: one, reduce: one, exchange: one };
};

/** A chip without measured kernels: products at the share that ml-engineering measured (else 0.75). */
const derived = (share: number, linkBandwidth: number, changes: Partial<KernelTable> = {}): KernelTable => ({
  gemm: gemm(share, 130, 4e-6, 0.7, 0.5, 0.1),
  gemmFp8: gemm(0.85 * share, 130, 5e-6, 0.6, 0.5, 0.1),
  gemmFp4: gemm(0.7 * share, 400, 5e-6, 0.55, 0.5, 0.2),
  attention: { wide: 0.45, narrow: 0.38, ramp: 500, backward: 0.85 },
  collectives: linked(linkBandwidth),
  streaming: 0.82,
  sustained: 1.05,
  sustainedLow: 1.05,
  host: 1.2,
  gap: 2e-6,
  ...changes,
});

const tpu = (link: number, sustained: number, wide: number): KernelTable => ({
  gemm: gemm(0.9, 128, 1e-6, 0.85, 0, 0),
  gemmFp8: gemm(0.85, 128, 1e-6, 0.85, 0, 0),
  gemmFp4: gemm(0.85, 128, 1e-6, 0.85, 0, 0),
  attention: { wide, narrow: 0.55 * wide, ramp: 600, backward: 0.85 },
  collectives: {
    gather: [3e-6, 0.3e-6, 0.85 * link, 1e6],
    scatter: [3e-6, 0.3e-6, 0.85 * link, 1e6],
    reduce: [3e-6, 0.5e-6, 0.85 * link, 1e6],
    exchange: [5e-6, 0.1e-6, 0.425 * link, 1e6],
  },
  streaming: 0.85,
  sustained,
  sustainedLow: sustained,
  host: 1,
  gap: 0.5e-6,
});

const byGeneration: Readonly<Record<Generation, KernelTable>> = {
  volta: derived(0.75, 150e9),
  turing: derived(0.7, 16e9),
  ampere,
  ada: derived(0.608, 32e9, { gemm: gemm(0.608, 88, 2e-6, 1, 0.17, 0.069) }),
  hopper,
  blackwell,
  'blackwell-workstation': derived(0.816, 64e9, {
    gemm: gemm(0.816, 135, 3.1e-6, 0.95, 0.24, 0.145),
  }),
  rubin: blackwell,
  cdna: derived(0.55, 448e9, { sustained: 1.1, sustainedLow: 1.1 }),
  gaudi: derived(0.741, 262e9),
  tpu: tpu(135e9, 1.12, 0.55),
  neuron: derived(0.7, 300e9),
};

const halved = (facts: KernelTable, share: number): KernelTable => {
  const slow = ([latency, perRank, bandwidth, ramp]: Collective): Collective => [
    latency,
    perRank,
    share * bandwidth,
    ramp,
  ];
  const { gather, scatter, reduce, exchange } = facts.collectives;
  return {
    ...facts,
    collectives: { gather: slow(gather), scatter: slow(scatter), reduce: slow(reduce), exchange: slow(exchange) },
  };
};

const byChip: { readonly [id in AcceleratorId]?: KernelTable } = {
  'a800-sxm-80gb': halved(ampere, 0.68),
  // 252.9 TFLOP/s at 300 W where the 400 W card reaches 271.2 (stas00/ml-engineering 744d01e).
  'a100-pcie-40gb': { ...ampere, sustained: 1.2, collectives: linked(32e9) },
  'a100-pcie-80gb': { ...ampere, sustained: 1.2, collectives: linked(32e9) },
  a10: { ...ampere, collectives: linked(16e9) },
  a10g: { ...ampere, collectives: linked(16e9) },
  a40: { ...ampere, collectives: linked(32e9) },
  'rtx-3090': { ...ampere, collectives: linked(16e9) },
  'h800-sxm-80gb': halved(hopper, 0.48),
  'h100-pcie-80gb': { ...hopper, collectives: linked(64e9) },
  'h200-sxm-141gb': { ...hopper, gemm: gemm(0.827, 127, 3e-6, 0.67, 0.29, 0.002) },
  'b300-sxm': {
    ...blackwell,
    sustained: 1.31,
    gemm: gemm(0.728, 12, 2.2e-6, 0.64, 0.59, 0.007),
    gemmFp8: gemm(0.67, 20, 4e-6, 0.55, 0.55, 0.2),
    gemmFp4: gemm(0.5, 900, 5e-6, 0.35, 0.9, 0.25),
  },
  'gb200-nvl72': {
    ...blackwell,
    gemm: gemm(0.665, 12, 2.4e-6, 0.62, 0.65, 0.009),
    gemmFp8: gemm(0.6, 20, 4e-6, 0.55, 0.67, 0.2),
    gemmFp4: gemm(0.491, 433, 5e-6, 0.53, 0.9, 0.25),
    sustained: 1.31,
    sustainedLow: 1.18,
    host: 1.4,
  },
  'gb300-nvl72': {
    ...blackwell,
    gemm: gemm(0.779, 42, 2.4e-6, 0.65, 0.9, 0.015),
    gemmFp8: gemm(0.7, 20, 4e-6, 0.56, 0.75, 0.2),
    gemmFp4: gemm(0.5, 900, 5e-6, 0.35, 0.9, 0.25),
    sustained: 1.31,
    // 1400 W against 1200 W of a GB200; fitted.
    sustainedLow: 1.04,
    host: 1.4,
  },
  gaudi2: derived(0.969, 262e9),
  mi300x: derived(0.514, 448e9),
  mi325x: derived(0.604, 448e9),
  mi355x: derived(0.68, 537e9),
  'tpu-v5e': tpu(90e9, 0.94, 0.55),
  'tpu-v5p': tpu(270e9, 0.8, 0.55),
  'tpu-v6e': tpu(180e9, 1.72, 0.4),
  'tpu-v7': tpu(540e9, 1.42, 0.38),
};

/** Chips whose kernels were measured themselves, and those that are the same silicon with slower links. */
const measured: readonly AcceleratorId[] = [
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

/** A collective reaches at most this share of a GPU's link, whatever its generation's constants were measured on. */
const linkShare = 0.9;

/** The kernel constants of a chip; its generation's, as derived, where it was not measured itself; collectives no faster than its links. */
export function kernelsOf(id: AcceleratorId, generation: Generation): KernelFacts {
  const facts = byChip[id] ?? byGeneration[generation];
  const most = linkShare * accelerators[id].fast.perDirection;
  const cap = ([latency, perRank, bandwidth, ramp]: Collective): Collective => [
    latency,
    perRank,
    Math.min(bandwidth, most),
    ramp,
  ];
  const { gather, scatter, reduce, exchange } = facts.collectives;
  return {
    ...facts,
    collectives: { gather: cap(gather), scatter: cap(scatter), reduce: cap(reduce), exchange: cap(exchange) },
    confidence: measured.includes(id) ? 'measured' : 'derived',
  };
}

export type StepFacts = Readonly<
  Record<
    | 'traffic'
    | 'eagerGated'
    | 'attention'
    | 'contention'
    | 'fsdpCollective'
    | 'fsdpEdge'
    | 'tensorExposed'
    | 'tensorOverlapped'
    | 'dataExposed'
    | 'contextExposed'
    | 'pipelineExposed'
    | 'expertExposed'
    | 'exchangeShare'
    | 'transferShare'
    | 'power'
    | 'jitter'
    | 'grouped'
    | 'permute'
    | 'expertHost'
    | 'hostTensor'
    | 'hostContext'
    | 'expertHostEach'
    | 'expertHostGraphs',
    number
  >
>;

/**
 * Constants of whole training steps; all are ratios unless named.
 *
 * Fitted on the runs of test/oracle/runs.json, those of experts on its runs with experts; `traffic`, `eagerGated`, `fsdpCollective`,
 * `fsdpEdge`, `power` and `jitter` on 481 published runs of ten sources before. scripts/cross-validate.ts fits each again without one
 * source at a time (docs/mfu.md). Rows marked as checks are in no fit.
 */
export const stepFacts: StepFacts = {
  /** traffic of memory-bound kernels over what perfect fusion would move */
  traffic: 1.216,
  /**
   * eager RMSNorm, rotary position and gates of Llama-like models over the GPT layers that `traffic` of the profiles is of: counted,
   * not fitted (forward 36, 20 and 10 bytes an element where fused kernels move 4, 4 and 6; backward 65, 24 and 18 for 8, 4 and 10)
   */
  eagerGated: 1.76,
  /** attention kernels in a step over their benchmark */
  attention: 1.05,
  /** slow-down of products while a collective runs beside them at the fast domain's rate, besides the multiprocessors it holds */
  contention: 0.17,
  /** FSDP collectives over their benchmark, and share of the first gather and last scatter that is exposed */
  fsdpCollective: 1.138,
  fsdpEdge: 0.866,
  /** exposed share of collectives: tensor parallel without and with overlap, data parallel, context, pipeline, experts */
  tensorExposed: 0.88,
  tensorOverlapped: 0.2,
  dataExposed: 0.25,
  contextExposed: 0.4,
  pipelineExposed: 0.5,
  /** half of the experts' exchange hides behind shared experts, and behind the other micro-batch where a recipe overlaps */
  expertExposed: 0.5,
  /** share of a network card that the experts' exchange reaches: 43 to 58 GB/s of 50 (deepseek-ai/DeepEP, README, H800, EP 16 to 64) */
  exchangeShare: 0.95,
  /** share of a network card that transfers between pipeline stages reach */
  transferShare: 0.8,
  /** power cap: products slow down by 1 + x (reference / cap - 1) */
  power: 0.634,
  /** spread of step times over nodes: expected maximum of Gaussians */
  jitter: 0.011,
  /** grouped products over single ones: 0.9 to 1.1 in aiconfigurator's balanced kernel tables */
  grouped: 1,
  /** traffic of sending rows to experts and back over reading and writing each once */
  permute: 2.15,
  /** seconds of host work, forward: for a layer with tensor or context parallelism */
  hostTensor: 0.0004,
  hostContext: 0.0008,
  /**
   * for a layer of experts, and for each local one; and what CUDA graphs leave of the former. Experts take 3.4 to 4.5 ms longer there
   * and back in Megatron-LM's CI (18 small models on H100 against dense ones); grouped products take two launches for each expert
   */
  expertHostEach: 0.000025,
  expertHost: 0.0018,
  expertHostGraphs: 0.4,
};

/**
 * How frameworks run a layer. `traffic`: bytes moved over perfect fusion; `kernels` of a layer's forward pass; `host`: seconds in
 * which the CPU of a Hopper node launches one operation; `optimizer`: its traffic over one fused pass; `loss`: bytes for each logit.
 *
 * Megatron's host time is read off the small models of its CI (functional tests at d98e8a6, 8 GPUs, hidden size 512), whose steps
 * are nothing else: about 3 ms for the forward and backward pass of a layer of ten operations on an H100 node.
 *
 * `liger`: Hugging Face's layers with fused norms, rotary position and gates. What fuses the loss there fuses these too
 * (linkedin/Liger-Kernel, `apply_liger_kernel_to_llama`; foundation-model-stack/fms-acceleration, fast kernels).
 */
export const profiles = {
  megatron: { traffic: 1, kernels: 24, host: 0.12e-3, optimizer: 1, loss: 20, gradientBytes: 4, casts: 'fused' },
  legacy: { traffic: 1.25, kernels: 34, host: 0.024e-3, optimizer: 1.3, loss: 30, gradientBytes: 4, casts: 'fused' },
  eager: { traffic: 1.7, kernels: 40, host: 0.028e-3, optimizer: 2.5, loss: 34, gradientBytes: 2, casts: 'separate' },
  compiled: {
    traffic: 0.9,
    kernels: 16,
    host: 0.0064e-3,
    optimizer: 1.2,
    loss: 18,
    gradientBytes: 2,
    casts: 'separate',
  },
  transformers: {
    traffic: 2.2,
    kernels: 55,
    host: 0.05e-3,
    optimizer: 2,
    loss: 40,
    gradientBytes: 2,
    casts: 'separate',
  },
  liger: {
    traffic: 1.25,
    kernels: 30,
    host: 0.05e-3,
    optimizer: 2,
    loss: 40,
    gradientBytes: 2,
    casts: 'separate',
  },
  xla: { traffic: 0.8, kernels: 8, host: 0, optimizer: 1.2, loss: 14, gradientBytes: 2, casts: 'fused' },
} as const;

/**
 * Bytes that casting to 8 bits moves for an element of a product's input, of its output's gradient, and of its weight, forward
 * and backward. Transformer Engine reads 16 bits once and writes both layouts (`fused`). torchao finds the largest value, casts,
 * and casts input and weight again in the backward pass, gradients in two layouts (`separate`; pytorch/ao, float8_linear.py).
 */
export const castBytes = {
  fused: { inputForward: 4, inputBackward: 0, gradient: 4, weightForward: 0, weightBackward: 0 },
  separate: { inputForward: 5, inputBackward: 3, gradient: 7, weightForward: 3, weightBackward: 3 },
} as const;

/**
 * Bytes that an adapter moves for an element of its matrix's input and output (Hu et al. 2021, arXiv:2106.09685). Forward the input
 * is read, the product of B written and added; backward the gradient is read for B and for A, and the input's gradient added. PEFT's
 * own layer (`separate`) also runs dropout on the input and scales the product, each on its own and both ways.
 */
export const adapterBytes = {
  fused: { inputForward: 2, outputForward: 8, inputBackward: 8, outputBackward: 4 },
  separate: { inputForward: 7, outputForward: 12, inputBackward: 15, outputBackward: 8 },
} as const;

/**
 * Bytes that full sharding copies on the compute stream for each parameter: gathered ones out of the flat buffer, for each pass;
 * gradients into it, in fp32 (FSDP2's foreach_all_gather_copy_out and chunk_cat; FSDP1 and DeepSpeed copy as much elsewhere).
 */
export const shardCopyBytes = { gather: 4, scatter: 6 } as const;

/**
 * An optimizer in CPU memory: seconds for each parameter of a node, whose GPUs share its CPUs (DeepSpeed's CPU-Adam takes 2.57 s
 * for 10 billion; ZeRO-Offload, arXiv:2101.06840, table 3), and bytes/s of each GPU's way there (PCIe 4.0 x16, as copied).
 */
export const offloaded = { secondsForParameter: 0.257e-9, transfer: 20e9 } as const;

/** Multiprocessors that a collective holds while it runs: NCCL's channels over NVLink (NVIDIA NCCL documentation, NCCL_MAX_CTAS). */
export const channels = 16;

/**
 * Bytes that PyTorch moves to add one more micro-batch's gradient to what stands there: two reads and a write in 16 bits. Megatron
 * adds in the product that makes it.
 */
export const accumulationBytes = 6;

/** Judged from how the frameworks work and from whole steps; no benchmark of its own stands behind any of these. */
export const estimated = {
  /** share of a layer's products that recomputing the experts or the dense feed-forward repeats */
  recomputed: { experts: 0.7, dense: 0.6 },
  /** share of a layer's memory-bound time that recomputing norms, activations or latent projections repeats */
  recomputedMemory: 0.35,
  /** share of a stage's time beside which gradients can be reduced, and share of them that adapters are */
  besideReduction: 0.8,
  adapterTraffic: 0.02,
  /** share of the peak at which state updates run */
  scan: 0.2,
  /** gaps between kernels that the launches before do not hide */
  gaps: 0.5,
  /** seconds to start an attention kernel, forward and backward (two kernels) */
  attentionStart: { forward: 4e-6, backward: 8e-6 },
  /** share of the shorter of two exchanges that the longer does not hide */
  exchangeBeside: 0.3,
} as const;

/**
 * Half widths of the band around a projection, as log ratios: nine of ten published runs of the kind lie within
 * (scripts/evaluate-time.ts over test/oracle/runs.json; docs/mfu.md). `calibrated`: the same where one measured run of the setup
 * scales the others, as the spread within each source and chip says.
 */
export const bands = {
  dense: { width: 0.13, calibrated: 0.11, name: 'dense, 16 bits' },
  low: { width: 0.15, calibrated: 0.13, name: 'dense, 8 or 4 bits' },
  sparse: { width: 0.3, calibrated: 0.18, name: 'mixture of experts' },
  fineTuning: { width: 0.28, calibrated: 0.2, name: 'eager fine-tuning' },
  /** for each fact that moves the result and that the run leaves open */
  open: 0.03,
  derived: 0.2,
  /** PyTorch's ring attention from `tokens` on: torchtitan's runs are up to a third slower than projected */
  ring: { tokens: 65_536, width: 0.2 },
} as const;
