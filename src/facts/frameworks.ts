import { benchmark, definition, type Fact, fitted, judged, measured, numbers } from './basis.ts';
import { precisions } from './precisions.ts';
import { sources } from './sources.ts';
import type { ProfileName } from './steps.ts';

/**
 * What training frameworks keep in memory, as rows. Bytes are for one element; sources stand beside the values.
 * Checked 2026-11-24 against measured runs and PyTorch's own allocations (docs/memory.md).
 */
export type FrameworkFacts = {
  /** How a layer's operations run, which says what they save for the backward pass (`cost/memory/activations.ts`). */
  readonly saves: 'fused' | 'eager';
  /** RMSNorm in elementary operations rather than one kernel. */
  readonly normsWrittenOut: boolean;
  /** In 8 and 4 bits, the inputs of matrix products are kept in that precision; else in 16 bits. */
  readonly quantizesInputs: boolean;
  /** What sequence parallelism gathers for a product stays gathered to the backward pass. */
  readonly keepsGathered: boolean;
  /** What `recompute: selective` means: named modules (Megatron), or all but every second matrix product (torchtitan). */
  readonly selective: 'modules' | 'operations';
  /** Bytes of a main gradient, and of a weight outside the optimizer. */
  readonly weightBytes: number;
  readonly gradientBytes: number;
  /** fp32 master weights beside 16-bit ones. */
  readonly masterWeights: boolean;
  /** Gradients live in a buffer of their own all the time, or only from the backward pass to the optimizer step. */
  readonly gradientsStay: boolean;
  /**
   * Bytes that are alive for one logit when the loss peaks: computed whole, compiled, fused with its gradient, and over a vocabulary
   * that tensor parallelism divides, where that is another loss.
   */
  readonly lossBytes: {
    readonly whole: number;
    readonly compiled: number;
    readonly fused: number | 'chunked';
    readonly vocabularyParallel: number | null;
  };
  /** One 16-bit weight gradient is kept for each distinct shape of matrix (Transformer Engine's fused accumulation). */
  readonly dummyGradients: boolean;
  /** Lists of temporaries, each as large as the trained parameters, that every optimizer step holds besides its states. */
  readonly optimizerTemporaries: number;
  /** How its AdamW steps where the run does not say. */
  readonly optimizerImplementation: 'fused' | 'foreach';
  /** Momenta of SGD where nobody asks for one. */
  readonly sgdMomenta: number;
  /** With `compile`, the loss is compiled too where the run does not say. */
  readonly compilesLoss: boolean;
  /** Workspaces of cuBLAS that PyTorch's allocator gives out: of the thread that runs the forward pass, and of that of the backward pass. */
  readonly libraryWorkspaces: number;
  /**
   * How weights that full sharding divides come together: layer by layer on streams of their own (FSDP2), layer by layer in flat
   * tensors (FSDP1), or within a limit of parameters that may be live (ZeRO 3).
   */
  readonly gathers: 'fully_shard' | 'flat' | 'zero';
  /** With the optimizer in CPU memory, whether gradients go there as they are reduced: always, where they are divided, or never. */
  readonly offloadsGradients: 'always' | 'sharded' | 'never';
  /** The optimizer casts 16-bit gradients to fp32 for its step. */
  readonly castsNarrowGradients: boolean;
  /** Where optimizer states are divided and weights are not, its step makes one flat tensor of the gradients that it needs. */
  readonly flattensGradients: boolean;
  /** Products run under torch.autocast whatever the weights' dtype, so that LayerNorm and powers compute in fp32. */
  readonly autocasts: boolean;
  /** Adapters over sharded weights run under autocast with fp32 inputs. */
  readonly autocastsShardedAdapters: boolean;
  /** What the allocator holds over what is allocated: usually, of models with experts, and with full recompute. */
  readonly reserved: { readonly usual: number; readonly experts: number; readonly recomputed: number };
  /** Of the loss's three fp32 blocks, those that states of the first step's optimizer take at most with full recompute (`cost/memory/reserved.ts`). */
  readonly takenBlocks: number;
  readonly source: string;
};

const megatronCode = definition(sources.megatron);
const pytorchCode = definition(sources.pytorch);
const deepspeedCode = definition({
  title: 'DeepSpeed 1b88ac3, its own code and defaults (deepspeed/runtime/zero)',
  url: 'https://github.com/deepspeedai/DeepSpeed/tree/1b88ac3',
  date: '2026-11-24',
});
const allocations = measured({
  title: "PyTorch's own allocations, step by step (scripts/oracle/peak.py)",
  date: '2026-11-24',
});
const onGpu = measured(sources.gpu);
/** Chosen on the very rows that docs/memory.md compares it with. */
const fittedOnGpu = fitted(sources.gpu);
/** Between what the steps that were played have. */
const replayed = fitted(sources.allocator);

// PyTorch's cross-entropy on 16-bit logits: log-softmax, its gradient and the gradient of the fp32 copy, 4 bytes each,
// at the peak (scripts/oracle/peak.py). torch.compile reads the 16-bit logits and writes a 16-bit gradient: its partitioner
// keeps nothing else (scripts/oracle/peak.py), and Inductor folds the one-hot scatter into the kernel.
// A fused loss is Liger's: the output's product, the loss and its gradient, a chunk of rows at a time.
const torchLoss = {
  whole: allocations(12, 'byte/element'),
  compiled: allocations(4, 'byte/element'),
  fused: 'chunked',
  vocabularyParallel: null,
} as const;

/** One ratio for every kind of run. */
const alike = (ratio: Fact) => ({ usual: ratio, experts: ratio, recomputed: ratio });
const unmeasuredBlocks = judged('seen under the Trainer alone', '2026-11-28')(0, 'count');

export const frameworks = numbers({
  megatron: {
    saves: 'fused',
    normsWrittenOut: false,
    quantizesInputs: true,
    keepsGathered: false,
    selective: 'modules',
    weightBytes: megatronCode(2, 'byte/element'),
    gradientBytes: megatronCode(4, 'byte/element'),
    masterWeights: true,
    gradientsStay: true,
    lossBytes: {
      whole: megatronCode(6, 'byte/element'),
      compiled: megatronCode(6, 'byte/element'),
      fused: megatronCode(4, 'byte/element'),
      vocabularyParallel: null,
    },
    dummyGradients: true,
    optimizerTemporaries: megatronCode(0, 'count'),
    optimizerImplementation: 'fused',
    sgdMomenta: megatronCode(1, 'count'),
    compilesLoss: true,
    // Transformer Engine's own: counted with what stands outside of the allocator.
    libraryWorkspaces: megatronCode(0, 'count'),
    gathers: 'flat',
    offloadsGradients: 'never',
    // Unless it is precision-aware (core/optimizer/distrib_optimizer.py, `_copy_model_grads_to_main_grads`).
    castsNarrowGradients: true,
    flattensGradients: false,
    autocasts: false,
    autocastsShardedAdapters: false,
    reserved: alike(
      fitted({
        title:
          'SimuMax at 4dcaae5, reserved over allocated memory of its B200 runs, which lies between 1.028 and 1.093',
        date: '2026-11-24',
      })(1.05, 'ratio'),
    ),
    takenBlocks: unmeasuredBlocks,
    source:
      'Megatron-LM d98e8a6 with Transformer Engine; SimuMax B200 runs 4dcaae5 (reserved / allocated 1.028 to 1.093)',
  },
  fsdp: {
    saves: 'eager',
    normsWrittenOut: false,
    quantizesInputs: false,
    keepsGathered: true,
    selective: 'operations',
    weightBytes: pytorchCode(4, 'byte/element'),
    gradientBytes: pytorchCode(4, 'byte/element'),
    masterWeights: false,
    gradientsStay: false,
    // Vocabulary-parallel: log-probabilities, the one-hot gradient, their sum and its product with what comes from above, 4 bytes each.
    lossBytes: { ...torchLoss, vocabularyParallel: pytorchCode(16, 'byte/element') },
    dummyGradients: false,
    optimizerTemporaries: pytorchCode(0, 'count'),
    optimizerImplementation: 'fused',
    sgdMomenta: pytorchCode(0, 'count'),
    compilesLoss: true,
    libraryWorkspaces: onGpu(2, 'count'),
    gathers: 'fully_shard',
    offloadsGradients: 'always',
    castsNarrowGradients: false,
    flattensGradients: false,
    autocasts: false,
    autocastsShardedAdapters: false,
    reserved: alike(
      judged('as of Megatron-LM, where nothing is gathered on streams of its own', '2026-11-24')(1.05, 'ratio'),
    ),
    takenBlocks: unmeasuredBlocks,
    source:
      'torch 2.13.0 fully_shard as torchtitan b5bcd76 sets it up: fp32 shards, bf16 gathered parameters, fp32 reduction, fused AdamW',
  },
  deepspeed: {
    saves: 'eager',
    normsWrittenOut: true,
    quantizesInputs: false,
    keepsGathered: true,
    selective: 'operations',
    weightBytes: deepspeedCode(2, 'byte/element'),
    gradientBytes: deepspeedCode(2, 'byte/element'),
    masterWeights: true,
    gradientsStay: false,
    lossBytes: torchLoss,
    dummyGradients: false,
    // The gradients of a partition are cast to fp32 for its step (deepspeed/runtime/zero/stage_1_and_2.py, `step`).
    optimizerTemporaries: deepspeedCode(1, 'count'),
    optimizerImplementation: 'fused',
    sgdMomenta: deepspeedCode(0, 'count'),
    compilesLoss: true,
    libraryWorkspaces: judged('as of the Trainer: no step of DeepSpeed was measured', '2026-11-28')(2, 'count'),
    gathers: 'zero',
    offloadsGradients: 'sharded',
    castsNarrowGradients: false,
    flattensGradients: true,
    autocasts: false,
    autocastsShardedAdapters: false,
    reserved: alike(judged('buckets of many sizes; compared with no measured run', '2026-11-24')(1.08, 'ratio')),
    takenBlocks: unmeasuredBlocks,
    source: 'DeepSpeed ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054), default buckets',
  },
  transformers: {
    saves: 'eager',
    normsWrittenOut: true,
    quantizesInputs: false,
    keepsGathered: true,
    selective: 'operations',
    weightBytes: pytorchCode(4, 'byte/element'),
    gradientBytes: pytorchCode(4, 'byte/element'),
    masterWeights: false,
    gradientsStay: false,
    lossBytes: torchLoss,
    dummyGradients: false,
    optimizerTemporaries: allocations(0, 'count'),
    // `optim` of TrainingArguments: fused from torch 2.8 on; foreach before, with one list of temporaries as large as the parameters.
    optimizerImplementation: 'fused',
    sgdMomenta: pytorchCode(0, 'count'),
    // The Trainer compiles the model's forward pass around the loss function of Transformers, which stays outside of the graph.
    compilesLoss: false,
    libraryWorkspaces: onGpu(2, 'count'),
    gathers: 'flat',
    offloadsGradients: 'never',
    castsNarrowGradients: false,
    flattensGradients: false,
    // Fine-tuning of Mistral-7B on 2 and 4 GPUs grows by 4 bytes for each element and token, on one GPU by 2
    // (fms-acceleration 876e2ed, a100_80gb.csv).
    autocasts: true,
    autocastsShardedAdapters: true,
    // Without recompute, dense models of the rows have 1.01 to 1.11; experts, whose rows are of uneven sizes, 1.04 to 1.20. With
    // recompute it is what is left besides the blocks that states take.
    reserved: {
      usual: fittedOnGpu(1.045, 'ratio'),
      experts: fittedOnGpu(1.12, 'ratio'),
      recomputed: fittedOnGpu(1.04, 'ratio'),
    },
    takenBlocks: fittedOnGpu(2, 'count'),
    source: 'Hugging Face Trainer, transformers 5.18.0; fms-acceleration 876e2ed, a100_80gb.csv',
  },
}) satisfies Readonly<Record<string, FrameworkFacts>>;

/** What a framework took by default in versions before those that its row of `frameworks` was checked with. */
export type EarlierDefault = {
  /** the first version that is known to have it, and the first that no longer has it: major and minor */
  readonly since: string;
  readonly before: string;
  readonly optimizerImplementation: FrameworkFacts['optimizerImplementation'];
  /** in words, for an assumption */
  readonly words: string;
  /** what else those after it depend on, in words */
  readonly after: string;
  readonly source: string;
};

/** One row for each framework of which an earlier default is known. */
export const earlierDefaults: { readonly [Name in keyof typeof frameworks]?: EarlierDefault } = {
  // Before it the default was `adamw_hf`, which is no optimizer of PyTorch's.
  transformers: {
    since: '4.33',
    before: '4.54',
    optimizerImplementation: 'foreach',
    words: 'takes optim: adamw_torch by default, which steps list by list',
    after:
      'takes the fused AdamW by default with torch 2.8 or later; with an older torch, optimizer_implementation is foreach',
    source:
      'huggingface/transformers pull requests 25109 (adamw_torch, July 2023, after 4.31) and 37358 (fused from torch 2.8 on, July 2025, after 4.53; 4.57.1 and 5.18.0 have it): the first releases with them follow from these dates',
  },
};

/**
 * 8- and 4-bit copies of a matrix that Transformer Engine caches beside the 16-bit weight from the first micro-batch on, in
 * bytes for each element. Blocks (`fp8_recipe: blockwise`, too) are scaled along rows, so a second copy is laid out along columns; so is a per-tensor copy
 * where the chip has no products of untransposed fp8 (before Blackwell). TransformerEngine d0067d0,
 * transformer_engine/pytorch/module/base.py, `get_weight_workspace`, and pytorch/tensor/*.
 */
export function quantizedCopies(precision: string, generation: string | undefined, recipe?: string): number {
  switch (precision) {
    case 'fp8':
      return generation === 'blackwell' && recipe !== 'blockwise' ? 1 : 2;
    case 'mxfp8':
      return 2 * precisions.mxfp8.operand;
    case 'fp4':
      return 2 * precisions.fp4.operand;
    default:
      return 0;
  }
}

/**
 * What the compute stream holds over what it allocates, where other streams are counted apart: its 20-MiB pages with
 * expandable segments (torchtitan's launcher sets them; 1.015 to 1.024), and holes without (1.09 to 1.14).
 */
export const streamedFragmentation = numbers({
  expandable: replayed(1.02, 'ratio'),
  fixed: replayed(1.12, 'ratio'),
});

/** DeepSpeed's sizes, by their defaults. */
export const buckets = numbers({
  reduce: deepspeedCode(5e8, 'element'),
  /** parameters that ZeRO 3 keeps gathered where they are needed again soon, and those that it fetches ahead */
  maxLive: deepspeedCode(1e9, 'element'),
  prefetch: deepspeedCode(5e7, 'element'),
  /** parameters that ZeRO 3 steps over at once */
  subgroup: deepspeedCode(1e9, 'element'),
});

const idle = judged(
  'remembered, with no run to show: about what a process holds once it has made its first tensor',
  '2026-11-24',
);
const miscellaneous = measured(sources.aiconfigurator);
const workspace = definition({
  title: 'NVIDIA cuBLAS documentation, the default workspace: 32 MiB from Hopper on, 8.1 MiB before',
  url: 'https://docs.nvidia.com/cuda/cublas/',
  date: '2026-11-24',
});

/** Lists of temporaries, each as large as the trained parameters, of a step that PyTorch's foreach AdamW takes. */
export const foreachTemporaries = numbers({ lists: allocations(1, 'count') });

/** What a GPU holds before the first tensor: CUDA context and libraries, and NCCL for each communicator. */
export const overhead = numbers({
  /** by generation; `default` for all others */
  contextGibibytes: {
    ampere: idle(0.45, 'GiB'),
    hopper: onGpu(0.75, 'GiB'),
    blackwell: idle(0.6, 'GiB'),
    default: idle(0.5, 'GiB'),
  },
  /** NCCL alone, and systems/*.yaml, misc.nccl_mem: for 2 ranks, and for 4 to 8 */
  communicatorGibibytes: {
    alone: onGpu(0.07, 'GiB'),
    pair: miscellaneous(0.34, 'GiB'),
    group: miscellaneous(0.39, 'GiB'),
  },
  workspaceMebibytes: { modern: workspace(32, 'MiB'), older: workspace(8.1, 'MiB') },
});

/** How a framework runs a training step, as far as its time shows it (`cost/time`). */
export type FrameworkExecution = {
  /** The execution profile of a layer (`facts/kernels.ts`), and the field of the run that says which of two it is. */
  readonly profile: {
    readonly decidedBy: 'flashAttention' | 'fusedCrossEntropy' | 'compile';
    readonly on: ProfileName;
    readonly off: ProfileName;
    /** With `compile`, whatever that field says. */
    readonly compiled?: ProfileName;
  };
  /** Attention kernel on Hopper where the run names none: on other chips all take the chip's best. */
  readonly attentionOnHopper: 'flash2' | 'cudnn';
  /** That kernel is chosen by PyTorch's scaled_dot_product_attention, for each call. */
  readonly attentionByPyTorch: boolean;
  /** Attention within a window gets a mask where the sequence is as long as the window or longer. */
  readonly masksWindows: boolean;
  /** It replays CUDA graphs where asked to, and is taken to do so in 8 and 4 bits where the run does not say. */
  readonly cudaGraphs: boolean;
  /** Tensor-parallel collectives are taken to overlap with products in 8 and 4 bits where the run does not say. */
  readonly overlapsTensorParallel: boolean;
  /** Each tensor-parallel rank sends its share to the next pipeline stage, also where the residual stream is not divided. */
  readonly sendsShares: boolean;
  /** Full recompute stops before a layer's last product, which nothing after it needs. */
  readonly recomputeStopsEarly: boolean;
  /** Updated parameters are gathered beside the next forward pass, not at the end of the step. */
  readonly gathersBesideForward: boolean;
  /** Bytes of a gradient element that data parallelism reduces, where the run does not say. */
  readonly reducedBytes: number;
  /** A layer of experts costs the host a fixed time besides its launches; measured for Megatron-LM only. */
  readonly hostTimeOfExperts: boolean;
  /** time of experts' grouped products over what the chip's kernels take for single ones */
  readonly groupedProducts: number;
  /** It asks for tf32 in products of fp32, which PyTorch does not by itself. */
  readonly asksForTf32: boolean;
  /** It pads vocabularies, so that their matrices are aligned. */
  readonly padsVocabulary: boolean;
  /** Its runs are eager fine-tuning, whose error band is wider. */
  readonly eagerFineTuning: boolean;
  /** Runs of this framework use different attention kernels, so one that names none has a wider error band. */
  readonly attentionKernelVaries: boolean;
  /** Context parallelism is PyTorch's ring attention, which is slower than projected over long sequences. */
  readonly ringOfPyTorch: boolean;
  readonly source: string;
};

const inCode = definition({ title: "the row's source: the framework's own code", date: '2026-11-25' });

// 0.9 to 1.1 in balanced kernel tables.
const groupedAlike = benchmark(sources.aiconfigurator)(1, 'ratio');

// torch.get_float32_matmul_precision() is "highest" since PyTorch 1.12.
// PyTorch's scaled_dot_product_attention is FlashAttention-2 on Hopper, at half of cuDNN's rate (pytorch/pytorch issue 142132).
const pytorch = {
  profile: { decidedBy: 'compile', on: 'compiled', off: 'eager' },
  attentionOnHopper: 'flash2',
  attentionByPyTorch: true,
  masksWindows: false,
  cudaGraphs: false,
  overlapsTensorParallel: false,
  sendsShares: false,
  recomputeStopsEarly: false,
  gathersBesideForward: false,
  reducedBytes: inCode(2, 'byte/element'),
  hostTimeOfExperts: false,
  groupedProducts: groupedAlike,
  asksForTf32: false,
  padsVocabulary: false,
  eagerFineTuning: false,
  attentionKernelVaries: false,
  ringOfPyTorch: true,
} as const;

export const frameworkExecution = numbers({
  megatron: {
    profile: { decidedBy: 'flashAttention', on: 'megatron', off: 'legacy' },
    attentionOnHopper: 'cudnn',
    attentionByPyTorch: false,
    masksWindows: false,
    cudaGraphs: true,
    overlapsTensorParallel: true,
    sendsShares: true,
    recomputeStopsEarly: false,
    gathersBesideForward: true,
    reducedBytes: inCode(4, 'byte/element'),
    hostTimeOfExperts: true,
    groupedProducts: groupedAlike,
    asksForTf32: true,
    padsVocabulary: true,
    eagerFineTuning: false,
    attentionKernelVaries: false,
    ringOfPyTorch: false,
    source:
      'Megatron-LM d98e8a6: fp32 gradients under bf16; scatter and gather between stages (Narayanan et al. 2021, arXiv:2104.04473, 4.1); `make_vocab_size_divisible_by` is 128; fp32 in tf32 by Transformer Engine; recipes of Megatron-Bridge 067f987 in 8 and 4 bits',
  },
  fsdp: {
    ...pytorch,
    recomputeStopsEarly: true,
    reducedBytes: inCode(4, 'byte/element'),
    attentionKernelVaries: true,
    source:
      'torchtitan b5bcd76 and Composer: `mixed_precision_reduce = "float32"`, `mixed_precision: DEFAULT`; torch.utils.checkpoint stops early since torch 2.1',
  },
  deepspeed: { ...pytorch, source: 'DeepSpeed 1b88ac3: gradients are reduced in 16 bits' },
  transformers: {
    ...pytorch,
    profile: { decidedBy: 'fusedCrossEntropy', on: 'liger', off: 'transformers', compiled: 'compiled' },
    // scaled_dot_product_attention of torch 2.11 runs cuDNN's kernel there, at 540 to 620 TFLOP/s (test/oracle/gpu.jsonl).
    attentionOnHopper: 'cudnn',
    masksWindows: true,
    groupedProducts: benchmark(sources.groupedMm)(1.46, 'ratio'),
    eagerFineTuning: true,
    source:
      'Hugging Face Trainer, transformers 5.18.0: gradients are reduced in 16 bits; masking_utils.py, _ignore_causal_mask_sdpa (kv_length >= local_attention_size)',
  },
}) satisfies Readonly<Record<keyof typeof frameworks, FrameworkExecution>>;
