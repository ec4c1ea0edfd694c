import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { localElements } from '../../src/cost/placement.ts';
import { costOf, edges, edgesOfTables, hidden, mixture, modelOf, others, small, vectors } from './estimates.ts';

const psi = hidden + others;

/** What lies on one GPU all the time, in bytes: with a second micro-batch gradients are never away. */
function held(run: object, config: object = small) {
  const { gpus = 8, parallelism = {} } = run as { gpus?: number; parallelism?: { tensor?: number; pipeline?: number } };
  const replicas = gpus / (parallelism.tensor ?? 1) / (parallelism.pipeline ?? 1);
  const { memory, parameters } = costOf(config, { gpus, sequence_length: 64, global_batch_size: 2 * replicas, ...run });
  const { weights, gradients, optimizer_states } = memory.components;
  return { weights, gradients, optimizer: optimizer_states, parts: memory.parts.lines, memory, parameters };
}

describe('bytes for each parameter', () => {
  it('the small model has as many as its line says', () => {
    expect(costOf(small).parameters.total).toBe(psi);
  });

  // Rajbhandari et al. 2020 (arXiv:1910.02054), figure 1: 2 + 2 + K, K = 12, of which stages divide K, then 2 + K, then all.
  // Megatron-LM, docs of the distributed optimizer: fp32 gradients make 6 + 12 of it, 6 + 12 / N divided.
  // PyTorch's AdamW over fp32 weights: 4 + 4 + 8; plain data parallelism holds a bucket for each gradient besides.
  it.each([
    ['deepspeed', 'none', 2, 2, 12],
    ['deepspeed', 'optimizer', 2, 2, 12 / 8],
    ['deepspeed', 'gradients', 2, 2 / 8, 12 / 8],
    ['deepspeed', 'full', 2 / 8, 2 / 8, 12 / 8],
    ['megatron', 'none', 2, 4, 12],
    ['megatron', 'optimizer', 2, 4, 12 / 8],
    ['fsdp', 'full', 4 / 8, 4 / 8, 8 / 8],
    ['fsdp', 'gradients', 4, 4 / 8, 8 / 8],
    ['fsdp', 'none', 4, 8, 8],
    ['transformers', 'none', 4, 8, 8],
    ['transformers', 'full', 4 / 8, 4 / 8, 8 / 8],
  ])('%s, sharding %s on 8 GPUs: %d + %d + %d', (framework, sharding, weight, gradient, optimizer) => {
    const one = held({ framework, sharding });
    expect(one.weights / psi).toBeCloseTo(weight, 9);
    expect(one.gradients / psi).toBeCloseTo(gradient, 9);
    expect(one.optimizer / psi).toBeCloseTo(optimizer, 9);
  });

  it('on one GPU nothing is divided, and no bucket is needed', () => {
    const one = held({ framework: 'transformers', sharding: 'full', gpus: 1 });
    expect([one.weights / psi, one.gradients / psi, one.optimizer / psi]).toEqual([4, 4, 8]);
  });

  it('shards within groups of 4 of 16 GPUs (HSDP) are quarters', () => {
    const one = held({ framework: 'fsdp', sharding: 'full', gpus: 16, shard_group: 4 });
    expect([one.weights / psi, one.gradients / psi, one.optimizer / psi]).toEqual([1, 1, 2]);
  });

  it.each([
    ['megatron', { precision: 'fp32' }, 4, 4, 8],
    ['megatron', { gradients_dtype: 'bf16' }, 2, 2, 12],
    ['megatron', { optimizer_dtype: 'bf16' }, 2, 4, 8],
    ['megatron', { weights_dtype: 'fp8' }, 1, 4, 12],
    ['megatron', { master_weights: false }, 2, 4, 4],
    ['transformers', { weights_dtype: 'bf16' }, 2, 2, 4],
    ['transformers', { weights_dtype: 'bf16', optimizer_dtype: 'fp32' }, 2, 2, 8],
    ['transformers', { weights_dtype: 'bf16', master_weights: true }, 2, 2, 12],
    ['deepspeed', { weights_dtype: 'fp32' }, 4, 4, 8],
  ])('%s with %j on one GPU: %d + %d + %d', (framework, dtypes, weight, gradient, optimizer) => {
    const one = held({ framework, sharding: 'none', gpus: 1, ...dtypes });
    expect(one.weights / psi).toBeCloseTo(weight, 9);
    expect(one.gradients / psi).toBeCloseTo(gradient, 9);
    expect(one.optimizer / psi).toBeCloseTo(optimizer, 9);
  });

  it.each([
    ['deepspeed', 'optimizer', 'optimizer', 2, 2],
    ['deepspeed', 'gradients', 'optimizer', 2, 0],
    ['deepspeed', 'full', 'optimizer', 2 / 8, 0],
    ['deepspeed', 'full', 'parameters', 0, 0],
    ['fsdp', 'full', 'optimizer', 4 / 8, 0],
    ['transformers', 'full', 'optimizer', 4 / 8, 4 / 8],
    ['megatron', 'optimizer', 'optimizer', 2, 4],
  ])('%s, sharding %s, offload %s leaves %d + %d + 0', (framework, sharding, offload, weight, gradient) => {
    const one = held({ framework, sharding, offload });
    expect(one.weights / psi).toBeCloseTo(weight, 9);
    expect(one.gradients / psi).toBeCloseTo(gradient, 9);
    expect(one.optimizer).toBe(0);
  });
});

describe('states of an optimizer, besides its master weights', () => {
  const states = [
    // Two moments (Loshchilov and Hutter 2019; Kingma and Ba 2015), one (Chen et al. 2023, algorithm 2; momentum).
    ['adamw', 8 * psi],
    ['adam', 8 * psi],
    ['lion', 4 * psi],
    // torch.optim.SGD has no momentum unless it is asked for one.
    ['sgd', 0],
    // One momentum for hidden matrices, AdamW for all else (Jordan et al. 2024).
    ['muon', 4 * hidden + 8 * others],
    // A row and a column of statistics for a matrix, tables included, one statistic for each element of all else.
    ['adafactor', 4 * (edges + edgesOfTables) + 4 * vectors],
    // 8-bit moments with an fp32 scale for each 256 (Dettmers et al. 2022); tables and small tensors keep 32 bits.
    ['adamw_8bit', 2 * (1 + 4 / 256) * hidden + 8 * others],
  ] as const;

  it.each(states)('%s over fp32 weights', (optimizer, bytes) => {
    expect(held({ framework: 'transformers', sharding: 'none', gpus: 1, optimizer }).optimizer).toBeCloseTo(bytes, 2);
  });

  it.each(states)('%s in mixed precision: 4 bytes of a master weight more', (optimizer, bytes) => {
    const one = held({ framework: 'deepspeed', sharding: 'none', gpus: 1, optimizer });
    expect(one.optimizer).toBeCloseTo(4 * psi + bytes, 2);
  });

  it("Megatron's SGD has a momentum (--sgd-momentum 0.9)", () => {
    expect(held({ framework: 'megatron', sharding: 'none', gpus: 1, optimizer: 'sgd' }).optimizer).toBe((4 + 4) * psi);
  });

  it('16-bit moments take half', () => {
    const run = { framework: 'transformers', sharding: 'none', gpus: 1, optimizer_dtype: 'bf16' };
    expect(held({ ...run, optimizer: 'adamw' }).optimizer).toBe(4 * psi);
    expect(held({ ...run, optimizer: 'lion' }).optimizer).toBe(2 * psi);
  });

  // PyTorch's foreach AdamW holds a list of temporaries; Newton-Schulz works on three 16-bit copies of the largest matrix.
  it.each([
    ['adamw', 'foreach', 4 * psi],
    ['adamw', 'fused', 0],
    ['adamw', undefined, 0],
    ['sgd', 'foreach', 0],
    ['muon', undefined, 3 * 2 * 512 * 1536, { weights_dtype: 'bf16' }],
  ] as const)(
    'the step of %s, %s, holds temporaries besides',
    (optimizer, implementation, bytes, dtypes: object = {}) => {
      const run = { framework: 'transformers', sharding: 'none', gpus: 1, sequence_length: 1, optimizer, ...dtypes };
      const { memory, parts } = held({ ...run, ...(implementation && { optimizer_implementation: implementation }) });
      expect(parts['optimizer_step'] ?? 0).toBe(memory.phase === 'optimizer' ? bytes : 0);
      expect(memory.phase).toBe(bytes > 0 ? 'optimizer' : memory.phase);
    },
  );

  it('under the Trainer of Transformers 4.46 it is that of foreach', () => {
    const run = { framework: 'transformers', sharding: 'none', gpus: 1, sequence_length: 1 };
    const { parts } = held({ ...run, framework_version: '4.46' });
    expect(parts['optimizer_step']).toBe(4 * psi);
    expect(parts).toEqual(held({ ...run, optimizer_implementation: 'foreach' }).parts);
  });

  it('Megatron casts 16-bit main gradients to fp32 for the step, unless its moments are 16-bit too', () => {
    const run = { sharding: 'none', gpus: 1, gradients_dtype: 'bf16', sequence_length: 1 };
    expect(held(run).parts['optimizer_step']).toBe(4 * psi);
    expect(held({ ...run, optimizer_dtype: 'bf16' }).parts['optimizer_step'] ?? 0).toBe(0);
    expect(held({ sharding: 'none', gpus: 1 }).parts['optimizer_step'] ?? 0).toBe(0);
  });
});

describe('DeepSpeed (Rajbhandari et al. 2020; deepspeed/runtime/zero/config.py)', () => {
  const long = { framework: 'deepspeed', gpus: 8, sequence_length: 4096, micro_batch_size: 4 };
  const part = (run: object, config: object = small, name = 'gathered_parameters') =>
    costOf(config, run).memory.parts.lines[name] ?? 0;
  const seven = {
    ...small,
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  };

  it.each([
    ['none', 0],
    ['optimizer', 0],
    ['gradients', 2 * 5e8],
    ['full', 2 * 5e8 + 2 * psi],
  ])(
    'sharding %s: a reduce bucket of 5e8 elements from ZeRO 2 on, all weights of a small model in ZeRO 3',
    (sharding, bytes) => {
      expect(part({ ...long, sharding })).toBe(bytes);
    },
  );

  it('of a large model ZeRO 3 keeps 1e9 live parameters and fetches 5e7 ahead', () => {
    expect(part({ ...long, sharding: 'full' }, seven)).toBe(2 * 5e8 + 2 * (1e9 + 5e7));
  });

  const short = { framework: 'deepspeed', gpus: 2, sequence_length: 64 };

  // In ZeRO 1 and 2 a partition's gradients, the flat tensor of them, and its cast to fp32 stand at once; what others step is freed.
  it.each([
    ['optimizer', {}, 2, 2 + 4],
    ['gradients', {}, 2, 2 + 4],
    ['gradients', { gradients_dtype: 'fp32' }, 4, 4],
    ['gradients', { optimizer_implementation: 'foreach' }, 0, 4 + 4],
    ['optimizer', { offload: 'optimizer' }, 0, 0],
  ])(
    'the step of sharding %s %j: %d bytes of gradients, %d of temporaries',
    (sharding, run, gradients, temporaries) => {
      const half = costOf(seven).parameters.total / 2;
      const of = (name: string) => part({ ...short, sharding, ...run }, seven, name);
      const offloaded = 'offload' in run;
      expect(of('gradients')).toBe(offloaded ? 2 * 2 * half : gradients * half);
      expect(of('optimizer_step')).toBe(temporaries * half);
    },
  );

  it('the fp32 gradients of a step: in ZeRO 3 of a group of 1e9', () => {
    const { total } = costOf(seven).parameters;
    expect(part({ ...short, sharding: 'full' }, seven, 'optimizer_step')).toBe(4 * 1e9);
    expect(part({ ...short, gpus: 8, sharding: 'full' }, seven, 'optimizer_step')).toBe((4 * total) / 8);
  });

  // hiyouga/LlamaFactory#1221: out of memory in AdamW's step, 28.28 GiB allocated and 3.14 GiB more wanted; it went list by list.
  it('Llama-7B in ZeRO 2 on eight V100s: what a report of its running out of memory says', () => {
    const run = {
      ...short,
      gpus: 8,
      accelerator: 'v100-sxm-32gb',
      precision: 'fp16',
      sharding: 'gradients',
      recompute: 'full',
    };
    const { memory } = costOf(seven, { ...run, optimizer_implementation: 'foreach' });
    const bucket = 2 * 5e8;
    expect((memory.allocated - bucket) / 2 ** 30).toBeCloseTo(28.28, 1);
    expect(costOf(seven, run).memory.device).toBeGreaterThan(31.74 * 2 ** 30);
  });

  it('on one GPU, or with adapters, nothing is gathered', () => {
    expect(part({ ...long, gpus: 1, sharding: 'full' })).toBe(0);
    expect(part({ ...long, sharding: 'full', lora: { rank: 8 } })).toBe(0);
  });
});

describe('what the allocator and the device hold besides', () => {
  // Reserved over allocated: measured for Megatron (SimuMax) and Hugging Face (fms-acceleration), by docs/memory.md.
  it.each([
    ['megatron', {}, 1.05],
    ['fsdp', { sharding: 'none' }, 1.05],
    ['deepspeed', {}, 1.08],
    ['transformers', {}, 1.045],
    ['megatron', { expandable_segments: true }, 1.03],
    ['transformers', { expandable_segments: true }, 1.03],
  ])('%s %j: %d times', (framework, run, ratio) => {
    const { reserved, allocated, parts } = costOf(small, { framework, gpus: 8, ...run }).memory;
    const workspaces = parts.lines['library_workspaces'] ?? 0;
    expect((reserved - workspaces) / (allocated - workspaces)).toBeCloseTo(ratio, 9);
  });

  it('on several GPUs with recompute the Trainer holds two more fp32 blocks of the logits, or as much as its optimizer states take', () => {
    const run = { framework: 'transformers', gpus: 2, recompute: 'full', micro_batch_size: 1, global_batch_size: 2 };
    const beyond = (changes: object) => {
      const { reserved, allocated, parts, components } = costOf(small, { ...run, ...changes }).memory;
      const workspaces = parts.lines['library_workspaces'] ?? 0;
      return { held: reserved - workspaces - 1.04 * (allocated - workspaces), states: components.optimizer_states };
    };
    const short = beyond({ sequence_length: 1024 });
    expect(short.held).toBeCloseTo(2 * 4 * 1024 * 1000, 0);
    const long = beyond({ sequence_length: 65_536 });
    expect(long.held).toBeCloseTo(long.states, 0);
    expect(beyond({ optimizer: 'sgd' }).held).toBeCloseTo(0, 0);
    expect(beyond({ fused_cross_entropy: true }).held).toBeCloseTo(0, 0);
  });

  const GiB = 2 ** 30;
  const MiB = 2 ** 20;
  it.each([
    ['h100-sxm-80gb', { gpus: 1 }, 0.75 * GiB + 32 * MiB],
    ['b200-sxm', { gpus: 1 }, 0.6 * GiB + 32 * MiB],
    ['a100-sxm-80gb', { gpus: 1 }, 0.45 * GiB + 8.1 * MiB],
    ['mi300x', { gpus: 1 }, 0.5 * GiB + 8.1 * MiB],
    ['h100-sxm-80gb', { gpus: 2 }, (0.75 + 0.34) * GiB + 32 * MiB],
    ['h100-sxm-80gb', { gpus: 8 }, (0.75 + 0.39) * GiB + 32 * MiB],
    ['h100-sxm-80gb', { gpus: 8, parallelism: { tensor: 2 } }, (0.75 + 0.39 + 0.39 / 2) * GiB + 32 * MiB],
  ])('%s %j: context, communicators and workspace', (accelerator, run, bytes) => {
    const { device, reserved } = costOf(small, { accelerator, ...run }).memory;
    expect(device - reserved).toBeCloseTo(bytes, -1);
  });
});

describe('copies of weights in 8 and 4 bits (Transformer Engine, get_weight_workspace)', () => {
  it.each([
    ['h100-sxm-80gb', 'fp8', 2],
    ['b200-sxm', 'fp8', 1],
    ['b200-sxm', 'mxfp8', 2 * (1 + 1 / 32)],
    ['b200-sxm', 'fp4', 2 * (0.5 + 1 / 16)],
    ['h100-sxm-80gb', 'bf16', 0],
  ])('on %s in %s: %d bytes for each element of a hidden matrix', (accelerator, precision, bytes) => {
    const { parts } = held({ accelerator, precision, sharding: 'none', gpus: 1 });
    expect((parts['quantized_weights'] ?? 0) / hidden).toBeCloseTo(bytes, 9);
  });

  it('blocks are laid out along rows and along columns on every chip', () => {
    const run = { precision: 'fp8', sharding: 'none', gpus: 1 };
    for (const accelerator of ['h100-sxm-80gb', 'b200-sxm'])
      expect(held({ ...run, accelerator, fp8_recipe: 'blockwise' }).parts['quantized_weights']).toBe(2 * hidden);
    expect(held({ ...run, accelerator: 'b200-sxm', fp8_recipe: 'rowwise' }).parts['quantized_weights']).toBe(hidden);
  });

  it('weights that are stored so are one of the copies', () => {
    const run = { accelerator: 'h100-sxm-80gb', precision: 'fp8', weights_dtype: 'fp8', sharding: 'none', gpus: 1 };
    expect(held(run).parts['quantized_weights']).toBe(hidden);
  });

  it('PyTorch keeps none', () => {
    expect(held({ framework: 'fsdp', precision: 'fp8', gpus: 1 }).parts['quantized_weights'] ?? 0).toBe(0);
  });
});

describe('experts', () => {
  const experts = 4 * 8 * 3 * 512 * 1024;

  it.each([
    [{ expert: 4 }, 1, 4, 2],
    [{ expert: 8 }, 1, 8, 1],
    [{ tensor: 2, expert: 2, expert_tensor: 2 }, 2, 4, 2],
  ])('%j: a rank holds its share, and shards it with those that hold the same', (parallelism, tensor, share, same) => {
    const one = held({ gpus: 8, parallelism }, mixture);
    const whole = one.parameters.total - experts;
    // Norms and the router are on each rank of tensor parallelism.
    const everywhere = 4 * (2 * 512 + 512 * 8) + 512;
    const dense = (whole - everywhere) / tensor + everywhere;
    expect(one.weights).toBeCloseTo(2 * (dense + experts / share), 0);
    expect(one.optimizer).toBeCloseTo(12 * ((dense * tensor) / 8 + experts / share / same), 0);
  });

  it('within a group of shards only those of the group that hold the same ones share states', () => {
    const one = held({ gpus: 16, shard_group: 8, parallelism: { expert: 4 } }, mixture);
    const dense = one.parameters.total - experts;
    expect(one.optimizer).toBeCloseTo(12 * (dense / 8 + experts / 4 / 2), 0);
  });
});

describe('autocast (torch.amp: 16-bit products over fp32 weights)', () => {
  const run = { framework: 'transformers', sharding: 'none', gpus: 1, sequence_length: 4096, micro_batch_size: 4 };
  const matrices = hidden + 1000 * 512;

  it('keeps 16-bit copies of all matrices to the loss, with full recompute those of the layer at work', () => {
    const { phase, parts } = costOf(small, run).memory;
    expect(phase).toBe('loss');
    expect(parts.lines['autocast_weights']).toBe(2 * matrices);
    const again = costOf(small, { ...run, recompute: 'full' }).memory;
    expect(again.phase).toBe('backward');
    expect(again.parts.lines['autocast_weights']).toBe((2 * hidden) / 4);
  });

  it('does not run over 16-bit weights, nor over fp32 products', () => {
    for (const other of [{ weights_dtype: 'bf16' }, { precision: 'fp32' }])
      expect(costOf(small, { ...run, ...other }).memory.parts.lines['autocast_weights'] ?? 0).toBe(0);
  });
});

describe('adapters', () => {
  const rank = 8;
  const adapters = 4 * 2 * rank * (512 + 512);
  const run = { framework: 'transformers', sharding: 'none', gpus: 1, lora: { rank, targets: ['q_proj', 'v_proj'] } };

  // PEFT makes adapters fp32 over a frozen base; QLoRA's nf4 takes 0.5 bytes and 0.127 bits (Dettmers et al. 2023, section 3).
  it.each([
    [16, 2],
    [8, 1],
    [4, 0.5 + 0.127 / 8],
  ])('over a base of %d bits: %d bytes for each element of a hidden matrix', (base_bits, bytes) => {
    const one = held({ ...run, lora: { ...run.lora, base_bits } });
    expect(one.parameters.trainable).toBe(adapters);
    expect(one.weights).toBeCloseTo(bytes * hidden + 2 * others + 4 * adapters, 3);
    expect(one.gradients).toBe(4 * adapters);
    expect(one.optimizer).toBe(8 * adapters);
  });

  it('in flat shards they have the 16 bits of the base', () => {
    const one = held({ ...run, sharding: 'full', gpus: 8 });
    expect(one.weights).toBe((2 * psi + 2 * adapters) / 8);
    expect(one.gradients).toBe((2 * adapters) / 8);
    expect(one.optimizer).toBe((4 * adapters) / 8);
  });

  // ms-swift's LoraParallelLinear makes one adapter for each expert of the rank (`num_gemms`), and a whole one over the router.
  it.each([
    [{ expert: 4 }, 4],
    [{ expert: 8 }, 8],
    [{ tensor: 2, expert: 4 }, 4],
    [{ tensor: 2, expert: 2, expert_tensor: 2 }, 4],
    [{ tensor: 2, expert: 1, expert_tensor: 2 }, 2],
    [{ tensor: 4 }, 1],
  ])('of experts are where their experts are: %j', (parallelism, parts) => {
    const ofExperts = 4 * 8 * 3 * rank * (512 + 1024);
    const lora = { rank, targets: ['w1', 'w2', 'w3'] };
    const swift = { framework: 'megatron', parallelism: { expert_tensor: 1, ...parallelism }, lora };
    const whole = held({ ...swift, sharding: 'none' }, mixture);
    expect(whole.parameters.trainable).toBe(ofExperts);
    expect([whole.gradients, whole.optimizer]).toEqual([(4 * ofExperts) / parts, (8 * ofExperts) / parts]);
    // Divided over the ranks that hold the same experts, all eight hold each state once.
    expect(8 * held({ ...swift, sharding: 'optimizer' }, mixture).optimizer).toBeCloseTo(8 * ofExperts, 6);
  });

  it('of what is on every GPU are whole on every GPU', () => {
    const lora = { rank, targets: ['router'] };
    const one = held({ framework: 'megatron', sharding: 'none', parallelism: { tensor: 4 }, lora }, mixture);
    expect(one.gradients).toBe(4 * 4 * rank * (512 + 8));
  });
});

it('a tied output on a stage of its own is a copy of the table, which tensor parallelism divides', () => {
  const operations = expand(modelOf({ ...small, tie_word_embeddings: true }));
  const [output] = operations.head.filter(({ component }) => component === 'output');
  const { run } = costOf(small, { gpus: 2, parallelism: { tensor: 2 } }).run;
  if (output === undefined) throw new Error('no output');
  expect(localElements(output, run, { embedding: true })).toBe(0);
  expect(localElements(output, run, { embedding: false })).toBe((1000 * 512) / 2);
});
