// Runs that no published table has, watched by the freeze so that each constant of facts/ decides a figure that is written down:
// every accelerator in every precision, every framework with its shardings and recompute, schedules, kernels and offloads. They are
// no proof that a figure is right, only a guard against one that moves unseen; the proofs stand in test/cost and test/oracle.
import { readFileSync } from 'node:fs';
import { acceleratorIds, accelerators } from '../src/facts/accelerators.ts';

type Watched = { readonly id: string; readonly config: string; readonly run: string };
type Run = Readonly<Record<string, unknown>>;

const published = (name: string) => readFileSync(new URL(`../configs/${name}.json`, import.meta.url), 'utf8');
const models = {
  dense: published('llama-3.1-8b'),
  experts: published('mixtral-8x7b'),
  latent: published('deepseek-v3'),
  windows: published('gpt-oss-20b'),
  old: published('gpt2-xl'),
  recurrent: JSON.stringify({ model_type: 'mamba2' }),
  hybrid: JSON.stringify({ model_type: 'qwen3_next' }),
  seeing: JSON.stringify({ model_type: 'qwen2_5_vl' }),
} as const;
type Model = keyof typeof models;

const watched = (model: Model, run: Run): Watched => ({
  id: `watched ${model} ${JSON.stringify(run)}`,
  config: models[model],
  run: JSON.stringify(run),
});

/** Every accelerator in every precision that it has units for: over its network, and within one fast domain. */
function everyAccelerator(): readonly Watched[] {
  return acceleratorIds.flatMap((accelerator) => {
    const { densePeak: peak } = accelerators[accelerator];
    const half = peak.bf16 === undefined ? 'fp16' : 'bf16';
    const other = half === 'bf16' ? [watched('dense', { accelerator, precision: 'fp16', gpus: 1 })] : [];
    // Chips without 4 bits keep such weights and compute in 8.
    const low = peak.fp8 === undefined ? [] : ['fp8', 'fp4'];
    const each = [half, 'fp32', ...low].flatMap((precision) => [
      watched('dense', { accelerator, precision, gpus: 256, parallelism: { tensor: 2 }, sequence_length: 8192 }),
      watched('dense', { accelerator, precision, gpus: 1, sequence_length: 512 }),
      watched('windows', { accelerator, precision, gpus: 32, framework: 'fsdp', sharding: 'full' }),
      watched('experts', { accelerator, precision, gpus: 16, parallelism: { expert: 8 }, sequence_length: 4096 }),
    ]);
    return [...other, ...each];
  });
}

const frameworks = ['megatron', 'fsdp', 'deepspeed', 'transformers'];

/** Every framework with every sharding and recompute, and with each change of a run that it knows. */
function everyFramework(): readonly Watched[] {
  const changes: readonly Run[] = [
    { compile: true },
    { flash_attention: false },
    { flash_attention: false, dropout: true },
    { fused_cross_entropy: true },
    { loss_chunks: 8 },
    { precision: 'fp8', compile: true },
    { precision: 'fp8', fp8_recipe: 'rowwise', accelerator: 'b200-sxm' },
    { precision: 'fp8', fp8_recipe: 'blockwise', accelerator: 'b200-sxm' },
    { precision: 'mxfp8', accelerator: 'b200-sxm' },
    { precision: 'fp32' },
    { weights_dtype: 'bf16' },
    { weights_dtype: 'fp32' },
    { gradients_dtype: 'bf16' },
    { optimizer_dtype: 'bf16' },
    { offload: 'optimizer' },
    { offload: 'activations' },
    { expandable_segments: true },
    { expandable_segments: false },
    { reshard_after_forward: false },
    { shard_group: 8 },
    { micro_batch_size: 4 },
    { global_batch_size: 128 },
    { inter_node_gbps_per_gpu: 50 },
    { power_cap_watts: 500, price_per_gpu_hour: 3 },
    { calibration: 0.9 },
    { lora: { rank: 16 } },
    { lora: { rank: 16, targets: ['all-linear'], base_bits: 4 }, gpus: 1 },
    { lora: { rank: 16, targets: ['down_proj'], base_bits: 8 }, gpus: 1 },
  ];
  const versions: readonly Run[] = [
    { framework_version: '4.46' },
    { framework_version: '4.53.3', weights_dtype: 'bf16' },
    { framework_version: '4.54' },
    { framework_version: '4.31' },
    { framework_version: '4.46', optimizer: 'muon' },
  ];
  return frameworks.flatMap((framework) => [
    ...versions.map((run) =>
      watched('dense', { framework, sharding: 'full', gpus: 32, sequence_length: 1024, ...run }),
    ),
    ...(['none', 'optimizer', 'gradients', 'full'] as const).flatMap((sharding) =>
      (['none', 'selective', 'full'] as const).flatMap((recompute) =>
        (['dense', 'experts'] as const).map((model) =>
          watched(model, { framework, sharding, recompute, gpus: 32, sequence_length: 4096 }),
        ),
      ),
    ),
    ...changes.flatMap((change) =>
      (['none', 'full'] as const).map((sharding) =>
        watched('dense', { framework, sharding, gpus: 32, sequence_length: 4096, ...change }),
      ),
    ),
    ...(Object.keys(models) as Model[]).flatMap((model) => [
      watched(model, { framework, gpus: 64, micro_batch_size: 2 }),
      watched(model, { framework, gpus: 64, sharding: 'full', parallelism: { tensor: 2, context: 2 } }),
    ]),
  ]);
}

/** Pipelines, parallel degrees, attention kernels and what experts may be told. */
function everySchedule(): readonly Watched[] {
  const schedules = ['gpipe', '1f1b', 'zero_bubble', 'dualpipe'].map((pipeline_schedule) => ({ pipeline_schedule }));
  const pipelines: readonly Run[] = [
    ...schedules.map((schedule) => ({ ...schedule, parallelism: { pipeline: 4 } })),
    { parallelism: { pipeline: 4, virtual_pipeline: 2 } },
    { parallelism: { pipeline: 4, tensor: 2, sequence_parallel: false } },
    { parallelism: { pipeline: 2, tensor: 8 }, overlap_tensor_parallel: true },
    { parallelism: { pipeline: 4 }, layers_per_stage: [5, 9, 9, 9] },
    { parallelism: { pipeline: 4 }, global_batch_size: 32 },
    { parallelism: { context: 4 }, sequence_length: 131_072 },
    { parallelism: { context: 2, tensor: 2 }, flash_attention: false },
    { parallelism: { tensor: 6, context: 2 }, gpus: 96 },
    { parallelism: { context: 4 }, sequence_length: 131_072, context_parallel_style: 'all_to_all' },
    ...['uniform', 'block', 'every'].map((recompute_method) => ({
      recompute: 'full',
      recompute_method,
      recompute_layers: 2,
      parallelism: { pipeline: 2 },
    })),
    ...['adamw', 'adamw_8bit', 'adafactor', 'lion', 'sgd', 'muon'].map((optimizer) => ({ optimizer })),
  ];
  const kernels = ['unfused', 'flash1', 'flash2', 'flash3', 'cudnn'].flatMap((attention_kernel) =>
    ['a100-sxm-80gb', 'h100-sxm-80gb', 'b200-sxm'].map((accelerator) => ({ attention_kernel, accelerator })),
  );
  const routed: readonly Run[] = [
    ...['core_attn', 'mlp', 'moe', 'moe_act', 'layernorm', 'mla_up_proj', 'shared_experts'].map((module) => ({
      recompute: 'selective',
      recompute_modules: [module],
    })),
    { parallelism: { expert: 64 } },
    { parallelism: { expert: 16, tensor: 4, expert_tensor: 2 } },
    { parallelism: { expert: 8, pipeline: 4 }, pipeline_schedule: 'dualpipe' },
    { parallelism: { expert: 16 }, lora: { rank: 16, targets: ['w1', 'w2', 'w3'] } },
    { parallelism: { expert: 16, tensor: 4, expert_tensor: 2 }, lora: { rank: 16, targets: ['all-linear'] } },
    { expert_imbalance: 1.3 },
    { capacity_factor: 1.25 },
    { cuda_graphs: true },
    { cuda_graphs: true, precision: 'fp8' },
    { mtp: false },
    { sequences_per_sample: 2 },
    { accelerator: 'gb200-nvl72', precision: 'mxfp8', parallelism: { expert: 64 } },
  ];
  return [
    ...frameworks.flatMap((framework) =>
      pipelines.map((run) => watched('dense', { framework, gpus: 64, sequence_length: 8192, ...run })),
    ),
    ...kernels.flatMap((run) => [
      watched('dense', { framework: 'fsdp', sharding: 'full', sequence_length: 8192, ...run }),
      watched('latent', { gpus: 64, parallelism: { expert: 64 }, ...run }),
    ]),
    ...['megatron', 'fsdp'].flatMap((framework) =>
      routed.map((run) => watched('latent', { framework, gpus: 256, sequence_length: 4096, ...run })),
    ),
  ];
}

/** Every framework with encoders that are trained, frozen and beside adapters. */
function everyEncoder(): readonly Watched[] {
  const changes: readonly Run[] = [
    {},
    { freeze: ['vision'] },
    { sharding: 'none', optimizer: 'muon' },
    { sharding: 'none', parallelism: { tensor: 2, pipeline: 2 } },
    { lora: { rank: 16, targets: ['all-linear'] } },
  ];
  return frameworks.flatMap((framework) => changes.map((run) => watched('seeing', { framework, gpus: 8, ...run })));
}

export const watchedRuns: readonly Watched[] = [
  ...everyAccelerator(),
  ...everyFramework(),
  ...everySchedule(),
  ...everyEncoder(),
];
