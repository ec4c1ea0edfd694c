import type { Source } from './basis.ts';

/** What several tables rest on. An address without a page says which file of it to open. */
export const sources = {
  runs: {
    title: 'published runs of test/oracle/runs.json, fitted by scripts/cross-validate.ts (docs/mfu.md)',
    date: '2026-11-25',
  },
  earlierRuns: {
    title: '481 published 16-bit runs of ten sources, fitted before the present table of runs; kept since',
    date: '2026-11-24',
  },
  aiconfigurator: {
    title: 'ai-dynamo/aiconfigurator at 095f58a, measured kernel tables of each chip',
    url: 'https://github.com/ai-dynamo/aiconfigurator/tree/095f58a',
    date: '2026-11-24',
  },
  mlEngineering: {
    title: 'stas00/ml-engineering at 744d01e, accelerator tables and maximum achievable FLOP/s',
    url: 'https://github.com/stas00/ml-engineering/blob/744d01e/compute/accelerator/README.md',
    date: '2026-08-22',
  },
  flashAttention2: {
    title: 'FlashAttention-2, the plots of its forward and backward pass on A100 and H100',
    url: 'https://arxiv.org/abs/2307.08691',
    date: '2026-11-25',
  },
  flashAttention3: {
    title: 'FlashAttention-3, the plots of its forward and backward pass on H100',
    url: 'https://arxiv.org/abs/2407.08608',
    date: '2026-11-25',
  },
  megatronCi: {
    title:
      "Megatron-LM at d98e8a6, golden values of its CI's small models (hidden size 512, 8 GPUs), whose steps are host time",
    url: 'https://github.com/NVIDIA/Megatron-LM/tree/d98e8a6/tests/functional_tests',
    date: '2026-11-25',
  },
  megatron: {
    title: 'Megatron-LM at d98e8a6, its own code',
    url: 'https://github.com/NVIDIA/Megatron-LM/tree/d98e8a6',
    date: '2026-11-25',
  },
  narayanan: {
    title: 'Narayanan et al. 2021, sections 2.2 (schedules) and 4.1 (scatter and gather between stages)',
    url: 'https://arxiv.org/abs/2104.04473',
    date: '2026-11-25',
  },
  zeroBubble: {
    title: 'Qi et al. 2024, zero bubble pipeline parallelism, ZB-H1',
    url: 'https://arxiv.org/abs/2401.10241',
    date: '2026-11-25',
  },
  deepseekV3: {
    title: 'DeepSeek-V3 technical report, table 2 (DualPipe) and section 3.1 (H800 cluster)',
    url: 'https://arxiv.org/abs/2412.19437',
    date: '2026-11-25',
  },
  korthikanti: {
    title: 'Korthikanti et al. 2022, section 3, counted tensor by tensor',
    url: 'https://arxiv.org/abs/2205.05198',
    date: '2026-11-25',
  },
  lora: {
    title: 'Hu et al. 2021, LoRA, counted for each element of an adapted matrix',
    url: 'https://arxiv.org/abs/2106.09685',
    date: '2026-11-25',
  },
  torchao: {
    title: 'pytorch/ao, torchao/float8/float8_linear.py, counted cast by cast',
    url: 'https://github.com/pytorch/ao',
    date: '2026-11-25',
  },
  transformerEngine: {
    title: 'NVIDIA TransformerEngine at d0067d0, counted cast by cast',
    url: 'https://github.com/NVIDIA/TransformerEngine/tree/d0067d0',
    date: '2026-11-25',
  },
  pytorch: {
    title: 'PyTorch 2.13.0, its own code',
    url: 'https://github.com/pytorch/pytorch/tree/v2.13.0',
    date: '2026-11-25',
  },
  zeroOffload: {
    title: 'ZeRO-Offload, table 3: CPU-Adam takes 2.57 s for 10 billion parameters',
    url: 'https://arxiv.org/abs/2101.06840',
    date: '2026-11-25',
  },
  nccl: {
    title: 'NVIDIA NCCL documentation, NCCL_MAX_CTAS',
    url: 'https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html',
    date: '2026-11-25',
  },
  vllm: {
    title: 'vLLM, the default of gpu_memory_utilization',
    url: 'https://github.com/vllm-project/vllm',
    date: '2026-11-25',
  },
  peaks: {
    title: "PyTorch's own allocations at the peak of a step (scripts/oracle/peak.py, torch 2.13.0)",
    date: '2026-11-24',
  },
  allocator: {
    title:
      "PyTorch's caching allocator played over the allocations of Llama-3-8B's steps (scripts/oracle/fsdp.py, allocator.py)",
    date: '2026-11-24',
  },
  memoryRuns: {
    title: '170 published peaks of test/oracle/memory.json (docs/memory.md)',
    date: '2026-11-24',
  },
  gpu: {
    title:
      '43 training steps of official models on H200 (test/oracle/gpu.jsonl, scripts/gpu/measure.py; docs/measure.md)',
    date: '2026-11-28',
  },
  dispatched: {
    title:
      'counted operation by operation, as PyTorch dispatches layers of Transformers 5.18.0: every tensor read and written once (scripts/oracle/traffic.py)',
    date: '2026-11-28',
  },
  sdpa: {
    title:
      'PyTorch, aten/src/ATen/native/transformers/cuda/sdp_utils.cpp at 001f694: what each attention kernel refuses',
    url: 'https://github.com/pytorch/pytorch/blob/001f694/aten/src/ATen/native/transformers/cuda/sdp_utils.cpp',
    date: '2026-11-28',
  },
  xformers: {
    title:
      'xFormers pull requests 389 (forward, 8,096 keys, heads of 128 on A100: 49.8 ms for 160 heads) and 362 (backward, 55 % slower than FlashAttention): the memory-efficient kernel that PyTorch took over',
    url: 'https://github.com/facebookresearch/xformers/pull/389',
    date: '2026-11-28',
  },
  groupedMm: {
    title:
      'pytorch/ao pull request 2490: torch._grouped_mm of 8,192 rows over 16 experts on H100, 1.31 and 1.26 ms, over what single products take here',
    url: 'https://github.com/pytorch/ao/pull/2490',
    date: '2026-11-28',
  },
  netflix: {
    title:
      'Netflix Technology Blog, Scaling LLM Post-Training at Netflix: vocabularies that send the output to a CUTLASS kernel take three times as long',
    url: 'https://netflixtechblog.com/scaling-llm-post-training-at-netflix-0046f8790194',
    date: '2026-11-28',
  },
  cublas: {
    title:
      "NVIDIA, Matrix Multiplication Background User's Guide, section 2.2: dimensions that are multiples of 16 bytes",
    url: 'https://docs.nvidia.com/deeplearning/performance/dl-performance-matrix-multiplication/index.html',
    date: '2026-11-28',
  },
  counted: {
    title: 'counted: what a kernel that fuses all it can must read and write, each tensor once in 16 bits',
    date: '2026-11-25',
  },
} as const satisfies Readonly<Record<string, Source>>;
