/**
 * What training frameworks keep in memory, as rows. Bytes are for one element; sources stand beside the values.
 * Checked 2026-08-22 against measured runs (docs/memory.md).
 */
export type FrameworkFacts = {
  /** Which tensors a layer's operations keep for the backward pass (`cost/activations.ts`). */
  readonly saves: 'fused' | 'eager';
  /** Bytes of a main gradient, and of a weight outside the optimizer. */
  readonly weightBytes: number;
  readonly gradientBytes: number;
  /** fp32 master weights beside 16-bit ones. */
  readonly masterWeights: boolean;
  /** Bytes that are alive for one logit when the loss peaks, with a whole loss and with a fused one. */
  readonly lossBytes: number;
  readonly fusedLossBytes: number;
  /** One 16-bit weight gradient is kept for each distinct shape of matrix (Transformer Engine's fused accumulation). */
  readonly dummyGradients: boolean;
  /** Bytes for each local parameter that the optimizer step holds besides its states. */
  readonly optimizerTemporary: number;
  /** reserved / allocated */
  readonly fragmentation: number;
  readonly source: string;
};

export const frameworks = {
  megatron: {
    saves: 'fused',
    weightBytes: 2,
    gradientBytes: 4,
    masterWeights: true,
    lossBytes: 6,
    fusedLossBytes: 4,
    dummyGradients: true,
    optimizerTemporary: 0,
    fragmentation: 1.05,
    source:
      'Megatron-LM d98e8a6 with Transformer Engine; SimuMax B200 runs 4dcaae5 (reserved / allocated 1.028 to 1.093)',
  },
  fsdp: {
    saves: 'eager',
    weightBytes: 4,
    gradientBytes: 4,
    masterWeights: false,
    lossBytes: 14,
    fusedLossBytes: 4,
    dummyGradients: false,
    optimizerTemporary: 0,
    fragmentation: 1.05,
    source: 'PyTorch FSDP2 as torchtitan b5bcd76 sets it up: fp32 shards, bf16 gathered parameters',
  },
  deepspeed: {
    saves: 'eager',
    weightBytes: 2,
    gradientBytes: 2,
    masterWeights: true,
    lossBytes: 14,
    fusedLossBytes: 4,
    dummyGradients: false,
    optimizerTemporary: 0,
    fragmentation: 1.08,
    source: 'DeepSpeed ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054), default buckets',
  },
  transformers: {
    saves: 'eager',
    weightBytes: 4,
    gradientBytes: 4,
    masterWeights: false,
    lossBytes: 8,
    fusedLossBytes: 2,
    dummyGradients: false,
    // One list of temporaries as large as the parameters: PyTorch's foreach AdamW. Full fine-tuning of Mistral-7B in bf16
    // peaks at 10 bytes for each parameter (fms-acceleration 876e2ed, a100_80gb.csv).
    optimizerTemporary: 1,
    fragmentation: 1.08,
    source: 'Hugging Face Trainer; loss and optimizer peaks from fms-acceleration 876e2ed, a100_80gb.csv',
  },
} as const satisfies Readonly<Record<string, FrameworkFacts>>;

/** What a GPU holds before the first tensor, in GiB: CUDA context and libraries, and NCCL for each communicator. */
export const overhead = {
  /** by generation; `default` for those not measured */
  contextGibibytes: { ampere: 0.45, hopper: 0.6, blackwell: 0.6, default: 0.5 } as {
    readonly default: number;
    readonly [generation: string]: number;
  },
  /** ai-dynamo/aiconfigurator 095f58a, systems/*.yaml, misc.nccl_mem: 0.34 for 2 ranks, 0.39 for 4 to 8 */
  communicatorGibibytes: { pair: 0.34, group: 0.39 },
  /** cuBLAS workspaces, NVIDIA cuBLAS documentation: 32 MiB from Hopper on, 8.1 MiB before */
  workspaceMebibytes: { modern: 32, older: 8.1 },
} as const;
