import { definition, fitted, judged, measured, numbers, type Saying } from './basis.ts';
import { sources } from './sources.ts';

// Constants of the memory model (`cost/memory`) that are not of one framework. Those are rows of `facts/frameworks.ts`.

const inPyTorch = definition(sources.pytorch);
const inTransformerEngine = definition(sources.transformerEngine);

/** Bytes of what operations save for the backward pass besides tensors of the layer. */
export const savedBytes = numbers({
  /** for each expert that a token chooses among, and each row that is sent to one */
  fusedRouting: {
    /** scores and chosen probabilities in fp32, and a map of one byte */
    probabilities: inTransformerEngine(9, 'byte/element'),
    /** a probability in fp32, where the row came from and where it goes to, in 32 bits each */
    row: judged('what a row needs; the map of Transformer Engine has two indices for every expert and token instead')(
      12,
      'byte/element',
    ),
  },
  eagerRouting: {
    probabilities: inPyTorch(4, 'byte/element'),
    /** indices, masks and sorted copies of the loop over experts, mostly in 64 bits */
    row: judged('counted in the modelling code of Transformers; no comparison looks at it alone')(40, 'byte/element'),
  },
  /** a token's index into a table (int64) */
  index: inPyTorch(8, 'byte/element'),
  /** of attention, for each head, in fp32 */
  logSumExp: definition(sources.flashAttention2)(4, 'byte/element'),
  dropoutMask: inPyTorch(1, 'byte/element'),
});

/** Of GELU written out in elementary operations: how many tensors its steps save besides its input, and in bytes under CUDA's autocast. */
export const writtenOutGelu = numbers({
  powered: measured(sources.peaks)(3, 'count'),
  widened: measured(sources.peaks)(3 * 4 + 2, 'byte/element'),
  multiplied: measured(sources.peaks)(6, 'count'),
  /** of x times a sigmoid (CLIP's `quick_gelu`): the sigmoid */
  sigmoid: inPyTorch(1, 'count'),
  /** gradients of the widened steps that are alive at once besides those of input and output; with recompute, less a 16-bit one */
  gradients: measured(sources.peaks)(10, 'byte/element'),
  gradientsRecomputed: measured(sources.peaks)(8, 'byte/element'),
});

/** Bytes that the backward pass allocates for an element, besides the gradients of tensors. */
export const backwardBytes = numbers({
  /** of unfused attention's scores: their gradient and that of the softmax, in fp32 */
  scores: inPyTorch(2 * 4, 'byte/element'),
  /** of the query: flash attention adds up its gradient in fp32 */
  query: definition(sources.flashAttention2)(4, 'byte/element'),
  /** of a written-out norm's input: gradients of x over its root, of the root, of the square and of x, in fp32 */
  norm: measured(sources.peaks)(4 * 4, 'byte/element'),
  /** of the embedding table, where its gradient is reduced into shards: in 16 bits, and in fp32 */
  table: measured(sources.allocator)(2 + 4, 'byte/element'),
});

const MiB = 2 ** 20;
const inAllocator = definition({
  title: "PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp, torch 2.13.0)",
  url: 'https://github.com/pytorch/pytorch/blob/v2.13.0/c10/cuda/CUDACachingAllocator.cpp',
  date: '2026-11-28',
});

/** Sizes of PyTorch's caching allocator, in bytes. */
export const cachingAllocator = numbers({
  /** what every size is rounded up to, and the least that is split off a small block */
  rounding: inAllocator(512, 'byte'),
  /** up to here a block is small; more than this is split off a large one */
  small: inAllocator(MiB, 'byte'),
  /** from here on a block has a segment of its own size */
  large: inAllocator(10 * MiB, 'byte'),
  /** of small blocks, of those up to `large`, and the step of those above */
  segments: {
    small: inAllocator(2 * MiB, 'byte'),
    medium: inAllocator(20 * MiB, 'byte'),
    step: inAllocator(2 * MiB, 'byte'),
  },
});

/** Up to how many layers steps are played on the allocator, which takes time for each. */
export const replayedLayers = numbers({
  most: judged('deeper than any published model that one GPU holds', '2026-11-28')(128, 'count'),
});

/** Reserved over allocated bytes with expandable segments, where a framework's streams are not counted apart. */
export const expandableSegments = numbers({
  fragmentation: judged('near the compute stream of FSDP2 alone; no comparison looks at it alone')(1.03, 'ratio'),
});

/** A band around a projection: its half width as a ratio, and what it rests on in words. */
export type MemoryBand = { readonly width: number; readonly name: string };

/**
 * Bands of one framework: the usual one, and those of runs below or above bf16, with a pipeline, of kinds with few measured runs
 * (virtual stages, selective recompute), on several GPUs, with adapters, with full recompute, and of models with experts.
 */
export type FrameworkBands = { readonly usual: MemoryBand } & {
  readonly [kind in
    | 'otherPrecision'
    | 'pipelined'
    | 'fewRuns'
    | 'severalGpus'
    | 'adapters'
    | 'recomputed'
    | 'experts']?: MemoryBand;
};

// Widths are chosen so that the rows lie within, so those rows are no check of them.
const onRuns = fitted(sources.memoryRuns);
const onGpu = fitted(sources.gpu);
const elsewhere = judged(
  'after public runs that are not in this repository, so that nothing here checks it',
  '2026-11-28',
);
const band = (say: Saying, width: number, name: string) => ({ width: say(width, 'ratio'), name });

export const memoryBands = numbers({
  megatron: {
    usual: band(onRuns, 0.03, 'Megatron-Core in bf16: compared with measured peaks on B200 and H100'),
    otherPrecision: band(
      judged('arithmetic alone'),
      0.1,
      'Megatron-Core below 16 bits: arithmetic, compared with no measured run',
    ),
    fewRuns: band(onRuns, 0.06, 'Megatron-Core: compared with few measured runs of this kind'),
  },
  fsdp: {
    usual: band(elsewhere, 0.11, "FSDP2: compared with PyTorch's own allocations and with one rank on H200"),
    pipelined: band(elsewhere, 0.16, 'FSDP2 with a pipeline: arithmetic, compared with no measured run'),
  },
  deepspeed: {
    usual: band(elsewhere, 0.18, 'DeepSpeed: arithmetic from what it keeps, compared with no measured run'),
  },
  transformers: {
    usual: band(onGpu, 0.05, 'Hugging Face Trainer: compared with training steps on H200 and with fine-tuning on A100'),
    recomputed: band(onGpu, 0.07, 'Hugging Face Trainer with recompute: compared with training steps on H200'),
    experts: band(onGpu, 0.075, 'Hugging Face Trainer, experts: compared with training steps on H200'),
    severalGpus: band(onRuns, 0.15, 'Hugging Face Trainer on several GPUs: compared with fine-tuning on A100'),
    adapters: band(onRuns, 0.08, 'adapters: compared with fine-tuning on A100'),
  },
}) satisfies Readonly<Record<string, FrameworkBands>>;

/** The narrowest band of models like which none or one was measured: BERT on H200 is 17 % off, for its loss over 120,000 words. */
export const unmeasuredBand = numbers({
  least: judged('one measured row is 17 % off')(0.2, 'ratio'),
});

/** How far off the parameters of a model may be whose count is approximate, and with them what they take. */
export const approximateBands = numbers({
  /** read by its keys: of 63 known types of 150 published configs half come within 0.05, three quarters within 0.31 */
  keys: judged(
    'published configs of 63 known types, read as if nobody knew their type: nine of ten types are within 0.61 of their own count',
    '2026-11-28',
  )(0.61, 'ratio'),
  /** of a known family, with a class or a size that nothing reads */
  rule: judged(
    'a part that is not counted is seldom a larger share; the reports that were collected are up to 0.15 off',
  )(0.2, 'ratio'),
});
