import { describe, expect, it } from 'vitest';
import { accelerators } from '../../src/facts/accelerators.ts';
import { kernelsOf } from '../../src/facts/kernels.ts';
import { costOf, hidden, mixture, others, small } from './estimates.ts';

const psi = hidden + others;
const parts = (run: object, config: object = small) => costOf(config, run).throughput.parts;
const h100 = accelerators['h100-sxm-80gb'];
/** Bytes/s that streaming kernels reach on an H100: 85 % of its bandwidth. */
const streamed = 0.85 * h100.bandwidth;
/** Bytes that a part moves, by its seconds. */
const moved = (seconds: number) => seconds * streamed;

describe('the optimizer step: bytes for each parameter that a GPU steps over', () => {
  const step = (run: object) => moved(parts({ gpus: 1, sharding: 'none', ...run }).optimizer) / psi;

  // Gradients read, and once more for their norm; two moments read and written, in fp32 or as wide as the weights; a master weight read
  // and written and its 16-bit copy written, or the weight itself read and written. PyTorch clips gradients: read twice, written once.
  it.each([
    ['megatron', {}, 1 * (4 + 16 + 10) + 4],
    ['megatron', { gradients_dtype: 'bf16', optimizer_dtype: 'bf16' }, 1 * (2 + 8 + 10) + 2],
    ['megatron', { flash_attention: false }, 1.3 * (4 + 16 + 10) + 4],
    ['megatron', { optimizer: 'lion' }, 1 * (4 + 8 + 10) + 4],
    ['megatron', { optimizer: 'adafactor' }, 1 * (4 + 0 + 10) + 4],
    ['megatron', { optimizer: 'adamw_8bit' }, 1 * (4 + 4 * (1 + 4 / 256) + 10) + 4],
    ['fsdp', {}, 4 + 16 + 8 + 3 * 4],
    ['fsdp', { compile: true }, 4 + 16 + 8 + 3 * 4],
    ['deepspeed', {}, 2 + 16 + 10 + 2],
    ['deepspeed', { master_weights: false }, 2 + 8 + 4 + 2],
    ['transformers', {}, 4 + 16 + 8 + 3 * 4],
    ['transformers', { weights_dtype: 'bf16' }, 2 + 8 + 4 + 3 * 2],
    ['transformers', { optimizer_implementation: 'foreach' }, 3 * (4 + 16 + 8) + 3 * 4],
    ['transformers', { optimizer: 'sgd', weights_dtype: 'bf16' }, 2 + 0 + 4 + 3 * 2],
    ['transformers', { optimizer: 'adafactor' }, 84 + 3 * 4],
    ['transformers', { optimizer: 'adafactor', weights_dtype: 'bf16' }, 84 + 3 * 6 + 3 * 2],
  ])('%s %j: %d', (framework, run, bytes) => {
    expect(step({ framework, ...run })).toBeCloseTo(bytes, 6);
  });

  it('is divided by the shards, and by those of a group', () => {
    expect(step({ gpus: 8, sharding: 'optimizer' })).toBeCloseTo(34 / 8, 6);
    expect(step({ gpus: 16, sharding: 'optimizer', shard_group: 4 })).toBeCloseTo(34 / 4, 6);
    expect(step({ gpus: 8 })).toBeCloseTo(34, 6);
  });

  // DeepSpeed's CPU-Adam: 2.57 s for 10 billion parameters (ZeRO-Offload, arXiv:2101.06840, table 3); 16 bits each way at 20 GB/s.
  it.each([
    [1, {}, 1],
    [8, {}, 8],
    [8, { gpus_per_node: 4 }, 4],
  ])('on the CPU, whose time %d GPUs share (%j)', (gpus, more, node) => {
    const { optimizer } = parts({ framework: 'deepspeed', sharding: 'none', offload: 'optimizer', gpus, ...more });
    expect(optimizer / psi).toBeCloseTo((node * 2.57) / 1e10 + (2 + 2) / 20e9, 15);
  });

  it('experts are divided by expert parallelism', () => {
    const experts = 4 * 8 * 3 * 512 * 1024;
    const { total } = costOf(mixture).parameters;
    const run = { gpus: 8, sharding: 'none', parallelism: { expert: 4 } };
    expect(moved(parts(run, mixture).optimizer)).toBeCloseTo(34 * (total - experts + experts / 4), -1);
  });
});

describe('gradients of further micro-batches', () => {
  const added = (framework: string) => {
    const of = (global_batch_size: number) =>
      parts({ framework, gpus: 1, sharding: 'none', sequence_length: 4096, global_batch_size }).memory_bound;
    return (moved(of(3) - 3 * of(1)) - moved(of(2) - 2 * of(1))) / psi;
  };

  it.each([
    ['fsdp', 6],
    ['transformers', 6],
    ['deepspeed', 6],
    ['megatron', 0],
  ])('%s: %d bytes to add one to what stands there', (framework, bytes) => {
    expect(added(framework)).toBeCloseTo(bytes, 6);
  });
});

describe('the loss: bytes for each logit', () => {
  const loss = (run: object) => {
    const { accelerator = 'h100-sxm-80gb' } = run as { accelerator?: 'h100-sxm-80gb' | 'tpu-v5p' };
    const bandwidth = accelerators[accelerator].bandwidth * 0.85;
    return (parts({ gpus: 1, global_batch_size: 1, sequence_length: 1024, ...run }).loss * bandwidth) / (1024 * 1000);
  };

  it.each([
    [{ framework: 'megatron' }, 20],
    [{ framework: 'megatron', flash_attention: false }, 30],
    [{ framework: 'fsdp' }, 34],
    [{ framework: 'fsdp', compile: true }, 18],
    [{ framework: 'fsdp', precision: 'fp8' }, 18],
    [{ framework: 'transformers' }, 52],
    [{ framework: 'transformers', compile: true }, 52],
    [{ framework: 'transformers', compile: true, compile_loss: true }, 18],
    [{ framework: 'fsdp', compile: true, compile_loss: false }, 52],
    [{ framework: 'megatron', fused_cross_entropy: true }, 12],
    [{ framework: 'transformers', fused_cross_entropy: true }, 12],
    [{ accelerator: 'tpu-v5p' }, 14],
  ])('%j: %d', (run, bytes) => {
    expect(loss(run)).toBeCloseTo(bytes, 6);
  });

  it('each depth of multi-token prediction has one more', () => {
    const config = {
      model_type: 'deepseek_v3',
      num_hidden_layers: 4,
      num_nextn_predict_layers: 1,
      n_routed_experts: 8,
    };
    const of = (mtp: boolean) => parts({ gpus: 1, mtp }, config).loss;
    expect(of(true) / of(false)).toBeCloseTo(2, 9);
  });
});

describe('adapters and casts', () => {
  const [T, D, I, L] = [4096, 512, 1536, 4];
  const once = { gpus: 1, sharding: 'none', global_batch_size: 1, sequence_length: T };
  const memoryBound = (run: object) => moved(parts({ ...once, ...run }).memory_bound);
  /** What starting the eight and twelve kernels of an adapter of PEFT's takes, where each operation runs for itself; as bytes. */
  const starts = (run: { framework: string; fused_cross_entropy?: boolean }) =>
    run.framework === 'transformers' && run.fused_cross_entropy !== true ? moved(20 * 7e-6) : 0;

  /**
   * Bytes for each token that adapters of the down projection move (Hu et al. 2021): an input read, a product written and added; backward
   * the gradient read for B and for A, and the input's gradient added. PEFT's own layer also runs dropout and scales its product.
   */
  it.each([
    [{ framework: 'megatron' }, 16, 2 + 8, 8 + 4],
    [{ framework: 'fsdp', compile: true }, 16, 2 + 8, 8 + 4],
    [{ framework: 'fsdp' }, 16, 7 + 12, 15 + 8],
    [{ framework: 'transformers' }, 16, 7 + 12, 15 + 8],
    [{ framework: 'transformers', fused_cross_entropy: true }, 16, 7 + 12, 15 + 8],
    [{ framework: 'transformers', fused_cross_entropy: true }, 4, 2 + 8, 8 + 4],
  ])('%j over %d bits: of a square matrix %d bytes forward and %d backward', (run, base_bits, forward, backward) => {
    const of = (...targets: string[]) => memoryBound({ ...run, lora: { rank: 8, targets, base_bits } });
    const [one, two] = [of('o_proj'), of('o_proj', 'q_proj')];
    expect((two - one) / L - starts(run)).toBeCloseTo(T * D * (forward + backward), 0);
  });

  it.each([
    [{ framework: 'megatron' }, 2 * 1 + 8 * 3, 8 * 1 + 4 * 3],
    [{ framework: 'transformers' }, 7 * 1 + 12 * 3, 15 * 1 + 8 * 3],
  ])('%j: inputs and outputs of a wide matrix', (run, forward, backward) => {
    const of = (...targets: string[]) => memoryBound({ ...run, lora: { rank: 8, targets } });
    expect((of('o_proj', 'up_proj') - of('o_proj')) / L - starts(run)).toBeCloseTo(T * D * (forward + backward), 0);
  });

  it.each([
    [{ framework: 'megatron' }, (2 + 8) * 512 + (8 + 4) * 1024],
    [{ framework: 'transformers' }, (7 + 15) * 512 + (12 + 8) * 1024],
  ])('%j: those of experts, for each of the two that a token takes', (run, bytes) => {
    const of = (...targets: string[]) => {
      const { memory_bound } = parts({ ...once, ...run, lora: { rank: 8, targets } }, mixture);
      return moved(memory_bound);
    };
    expect(((of('o_proj', 'w3') - of('o_proj')) / L - starts(run)) / (T * 2)).toBeCloseTo(bytes, 4);
  });

  it('their products take their FLOPs at the rate of large products: forward once, backward twice', () => {
    const of = (rank: number) =>
      parts({ ...once, framework: 'megatron', lora: { rank, targets: ['o_proj'] } }).matrix_products;
    const flops = 3 * 2 * 100 * (D + D) * T * L;
    const { gemm, sustained } = kernelsOf(h100);
    expect(of(108) - of(8)).toBeCloseTo((sustained * flops) / (gemm.peakShare * 989.4e12), 12);
  });

  it.each(['megatron', 'fsdp', 'transformers'])('%s: no rank is projected above the peak', (framework) => {
    const run = { ...once, framework, lora: { rank: 8192, targets: ['all-linear'] } };
    expect(costOf(small, run).throughput.mfu).toBeLessThan(0.9);
  });

  // Transformer Engine reads 16 bits once and writes both layouts. torchao finds the largest value, casts, casts input and weight
  // again in the backward pass, and gradients in two layouts (pytorch/ao, float8_linear.py).
  it.each([
    [{ framework: 'megatron' }, { input: 4 + 0, gradient: 4, weight: 0 }],
    [
      { framework: 'fsdp', compile: true },
      { input: 5 + 3, gradient: 7, weight: 3 + 3 },
    ],
  ])('casts to 8 bits, %j: %j bytes', (run, { input, gradient, weight }) => {
    // What query, key and value read is cast once, and what gate and up read.
    const inputs = D + D + D + I;
    const outputs = 4 * D + 2 * I + D;
    const weights = 4 * D * D + 3 * D * I;
    const layer = T * (input * inputs + gradient * outputs) + weight * weights;
    expect(memoryBound({ ...run, precision: 'fp8' }) - memoryBound(run)).toBeCloseTo(L * layer, -2);
  });
});

describe('a recurrent layer', () => {
  const [T, D, L, G] = [4096, 512, 4, 8];
  const mamba = {
    model_type: 'mamba2',
    num_hidden_layers: L,
    hidden_size: D,
    num_heads: 16,
    head_dim: 64,
    n_groups: G,
  };
  const runOn = (tensor: number) => ({
    gpus: tensor,
    global_batch_size: 1,
    sequence_length: T,
    parallelism: { tensor },
  });
  const flopsOf = (sizes: object) => costOf({ ...mamba, ...sizes }, runOn(1)).flops.forward.lines['state_space'] ?? 0;
  const secondsOf = (sizes: object, tensor = 1) => parts(runOn(tensor), { ...mamba, ...sizes }).memory_bound;

  it.each([1, 2])('runs its state update at a fifth of the peak, divided by tensor parallelism of %d', (tensor) => {
    // A chunk that is longer has more products within, and moves nothing more.
    const [short, long] = [{ chunk_size: 64 }, { chunk_size: 256 }];
    const flops = T * (flopsOf(long) - flopsOf(short));
    const seconds = secondsOf(long, tensor) - secondsOf(short, tensor);
    expect(seconds / ((3 * flops) / (0.2 * 989.4e12 * tensor))).toBeCloseTo(1, 9);
  });

  it('moves what it reads and writes three times forward and six times backward', () => {
    const [narrow, wide] = [{ state_size: 128 }, { state_size: 320 }];
    const elements = 2 * G * (320 - 128);
    const products = L * 2 * D * elements;
    const work = (3 * T * (flopsOf(wide) - flopsOf(narrow) - products)) / (0.2 * 989.4e12);
    const moved = ((3 + 6) * L * T * 2 * elements * 1.216) / streamed;
    expect((secondsOf(wide) - secondsOf(narrow)) / (work + moved)).toBeCloseTo(1, 9);
  });
});

describe('a layer that is bound by memory', () => {
  const [T, D, I, L] = [4096, 512, 1536, 4];
  const model = 1.216;
  /**
   * 16-bit elements of a Llama layer, read and written by perfect fusion: two norms (4 and 8 bytes for each element), two
   * residuals (6 and 4), rotary query and key (4 and 4), and the gated activation (3 and 5 elements of 2 bytes).
   */
  const layer = T * (2 * (4 + 8) * D + 2 * (6 + 4) * D + (4 + 4) * 2 * D + 2 * (3 + 5) * I);
  const head = 8 * D * T;

  it.each([
    [{ framework: 'megatron' }, 1, 24],
    [{ framework: 'megatron', flash_attention: false }, 1.25, 34],
    [{ framework: 'fsdp' }, 1.7 * 1.76, 40],
    [{ framework: 'fsdp', compile: true }, 0.9, 16],
    [{ framework: 'transformers', fused_cross_entropy: true }, 1.25, 30],
  ])('%j: %d times perfect fusion, and gaps between %d kernels', (run, traffic, kernels) => {
    const once = { gpus: 1, sharding: 'none', global_batch_size: 1, sequence_length: T };
    const gaps = 3 * kernels * 1.8e-6 * 0.5;
    const expected = (L * layer * traffic * model + head) / streamed + L * gaps;
    expect(parts({ ...once, ...run }).memory_bound / expected).toBeCloseTo(1, 9);
  });

  // What PyTorch dispatches for a layer of Transformers (test/oracle/traffic.json holds it against official code): each step reads and
  // writes its tensors, and each kernel takes 7 microseconds to start.
  const transformers = {
    gpus: 1,
    sharding: 'none',
    global_batch_size: 1,
    sequence_length: T,
    framework: 'transformers',
  };

  it('Transformers in 16 bits moves what its steps move', () => {
    const norms = 2 * (36 + 92) * D;
    const residual = 2 * (6 + 6) * D;
    // The gradients of what query, key and value read are added up, and of what gate and up read.
    const readers = (2 + 1) * 6 * D;
    const steps = T * (norms + residual + readers + (20 + 32) * 2 * D + (10 + 18) * I);
    const kernels = 2 * (8 + 16) + 2 * (1 + 1) + (2 + 1) + (10 + 16) + (2 + 3) + 7 * (1 + 2) + (1 + 3);
    const expected = (L * steps + head) / streamed + L * kernels * 7e-6;
    expect(parts({ ...transformers, weights_dtype: 'bf16' }).memory_bound / expected).toBeCloseTo(1, 9);
  });

  it('attention that is written out starts 9 kernels forward and 12 backward, in place of 1 and 3', () => {
    const of = (flash_attention: boolean) => parts({ ...transformers, flash_attention }).memory_bound;
    expect(of(false) - of(true)).toBeCloseTo(L * (9 + 12 - 1 - 3) * 7e-6, 9);
  });

  it('over fp32 weights its residual stream is fp32, and each product casts what it reads and its weight', () => {
    const norms = 2 * (28 + 92) * D;
    const residual = 2 * (10 + 18) * D;
    const readers = (2 + 1) * 12 * D + 5 * (6 + 6) * D;
    const steps = T * (norms + residual + readers + (36 + 58) * 2 * D + (10 + 18) * I);
    const weights = (6 + 6) * (4 * D * D + 3 * D * I);
    const casts = 5 * 2 + 7 * 2;
    const kernels = 2 * (6 + 14) + 2 * (1 + 2) + (2 + 1) + casts + (12 + 18) + (2 + 3) + 7 * (1 + 2) + (1 + 3);
    const expected = (L * (steps + weights) + head) / streamed + L * kernels * 7e-6;
    expect(parts(transformers).memory_bound / expected).toBeCloseTo(1, 9);
  });

  it('dropout adds a result and a mask for each residual', () => {
    const of = (dropout: boolean) => parts({ ...transformers, dropout }).memory_bound;
    expect(of(true) - of(false)).toBeCloseTo(L * ((2 * T * D * (5 + 5)) / streamed + 2 * 2 * 7e-6), 9);
  });
});

describe('unfused attention', () => {
  it('moves 8 bytes for each score forward and 10 backward, and its products reach 40 % of the peak', () => {
    const [T, D, a, L] = [4096, 512, 8, 4];
    const { attention } = parts({ gpus: 1, global_batch_size: 1, sequence_length: T, flash_attention: false });
    const scores = a * T * T;
    const work = (2 * 2 * (D / a) * scores) / (0.4 * 989.4e12);
    expect(attention / (1.05 * L * (3 * work + (18 * scores) / streamed))).toBeCloseTo(1, 9);
  });

  it('moves 33 and 39 bytes where Transformers writes every step of it out, and 12 more each way with a softcap', () => {
    const [T, D, a, L] = [4096, 512, 8, 4];
    const run = {
      framework: 'transformers',
      gpus: 1,
      global_batch_size: 1,
      sequence_length: T,
      flash_attention: false,
    };
    const scores = a * T * T;
    const work = (2 * 2 * (D / a) * scores) / (0.4 * 989.4e12);
    const seconds = (bytes: number) => 1.05 * L * (3 * work + (bytes * scores) / streamed);
    expect(parts(run).attention / seconds(33 + 39)).toBeCloseTo(1, 9);
    const capped = {
      ...small,
      model_type: 'gemma2',
      head_dim: 64,
      layer_types: ['full_attention'],
      num_hidden_layers: 4,
    };
    const config = { ...capped, layer_types: Array(4).fill('full_attention') };
    expect(parts(run, config).attention / seconds(33 + 39 + 2 * 12)).toBeCloseTo(1, 9);
  });
});

it('FSDP exposes and copies as much of one layer as of each further one', () => {
  const of = (num_hidden_layers: number) => {
    const run = { framework: 'fsdp', gpus: 64, sequence_length: 512, inter_node_gbps_per_gpu: 1 };
    const { exposed_data, memory_bound } = parts(run, { ...small, num_hidden_layers });
    return { exposed_data, memory_bound };
  };
  const [one, two, three] = [of(1), of(2), of(3)];
  for (const part of ['exposed_data', 'memory_bound'] as const)
    expect((two[part] - one[part]) / (three[part] - two[part])).toBeCloseTo(1, 9);
});

describe('FLOPs that recompute repeats', () => {
  const again = (run: object, config: object = { ...small, num_hidden_layers: 5 }) => {
    const { hardware, training } = costOf(config, { sequence_length: 1024, ...run }).flops;
    return hardware - training;
  };
  const layer = again({ recompute: 'full' }) / 5;
  const products = 2 * (4 * 512 * 512 + 3 * 512 * 1536);

  it('of a layer: its products, and attention over half of the keys', () => {
    expect(layer).toBe(products + (2 * 2 * 512 * 1024) / 2);
  });

  it.each([
    [{ recompute: 'none' }, 0],
    [{ recompute: 'full', recompute_method: 'every', recompute_layers: 3 }, layer],
    [{ recompute: 'full', recompute_method: 'every', recompute_layers: 2 }, 2 * layer],
    [{ recompute: 'full', recompute_method: 'block', recompute_layers: 2 }, 2 * layer],
    [{ recompute: 'full', recompute_method: 'uniform', recompute_layers: 2 }, 5 * layer],
    [{ recompute: 'selective' }, 5 * (layer - products)],
    [{ recompute: 'selective', recompute_modules: ['mlp'] }, 5 * 2 * 3 * 512 * 1536],
    [{ recompute: 'selective', recompute_modules: ['layernorm'] }, 0],
    // Every second product from the second on: key, output, up.
    [{ recompute: 'selective', framework: 'fsdp' }, 5 * 2 * (2 * 512 * 512 + 512 * 1536)],
  ])('%j', (run, flops) => {
    expect(again(run)).toBeCloseTo(flops, 3);
  });

  it('the module `moe` is the router and the two experts of a token, and of a layer without experts nothing', () => {
    const run = { recompute: 'selective', recompute_modules: ['moe'] };
    expect(again(run, mixture)).toBe(4 * 2 * (512 * 8 + 2 * 3 * 512 * 1024));
    expect(again(run)).toBe(0);
  });

  it('block counts from the first layer of each stage', () => {
    const run = { recompute: 'full', recompute_method: 'block', recompute_layers: 1, parallelism: { pipeline: 2 } };
    expect(again(run, { ...small, num_hidden_layers: 4 })).toBe(2 * layer);
    // Megatron-Core builds one block for each virtual stage, and each recomputes its first layers.
    const virtual = { ...run, parallelism: { pipeline: 2, virtual_pipeline: 2 } };
    expect(again(virtual, { ...small, num_hidden_layers: 8 })).toBe(4 * layer);
  });
});

describe('seconds of full recompute', () => {
  const wide = { hidden_size: 4096, intermediate_size: 14_336, num_attention_heads: 32, num_key_value_heads: 8 };
  const of = (config: object, framework: string, recompute: string) =>
    parts({ framework, gpus: 8, sequence_length: 4096, recompute }, { ...config, ...wide });

  it("are those of the forward pass; PyTorch's checkpoint leaves out a layer's last product", () => {
    // Products take a third of their time forward, of which the last is a product of 4,096 x 14,336 for 8,192 tokens or more.
    const share = (framework: string) => {
      const { matrix_products, attention, memory_bound } = of(small, framework, 'none');
      const { recompute } = of(small, framework, 'full');
      return recompute / (matrix_products + attention + memory_bound);
    };
    expect(share('megatron')).toBeGreaterThan(0.29);
    expect(share('fsdp')).toBeLessThan(share('megatron') - 0.02);
    expect(share('fsdp')).toBeGreaterThan(0.2);
  });

  // Judged shares of a layer's products and of what is bound by memory; attention is the module itself.
  it.each([
    ['mlp', small, 'matrix_products', 0.6 / 3],
    ['moe', mixture, 'matrix_products', 0.7 / 3],
    // Of a feed-forward network 3.5 times as wide as the model, in bytes of perfect fusion (*a layer that is bound by memory*).
    ['layernorm', small, 'memory_bound', (0.35 * (28 + 6 * 3.5)) / (60 + 16 * 3.5)],
    ['core_attn', small, 'attention', 1 / (1 + 2.5 / 0.86)],
  ] as const)('the module %s of Megatron takes its share of the forward pass', (module, config, part, share) => {
    const fields = { framework: 'megatron', gpus: 8, sequence_length: 4096 };
    const run = { ...fields, recompute: 'selective', recompute_modules: [module] };
    const { recompute, ...others } = parts(run, { ...config, ...wide });
    expect(Math.abs(recompute / others[part] / share - 1)).toBeLessThan(0.1);
  });

  it.each(['megatron', 'fsdp', 'transformers'])(
    '%s: all of a layer of experts, whose products end in no single one',
    (framework) => {
      const { matrix_products, attention } = of(mixture, framework, 'none');
      expect(of(mixture, framework, 'full').recompute).toBeGreaterThan((matrix_products + attention) / 3);
    },
  );
});

describe('how the forward pass grows with the sequence', () => {
  it('attention grows with it, all else stays', () => {
    const products = 2 * (4 * (4 * 512 * 512 + 3 * 512 * 1536) + 512 * 1000);
    const { growth } = costOf(small, { sequence_length: 1024 }).flops;
    expect(growth.map(({ sequenceLength }) => sequenceLength)).toEqual([256, 512, 1024, 2048, 4096, 16_384]);
    for (const { sequenceLength, attention, total } of growth) {
      expect(attention).toBe(4 * 2 * 512 * sequenceLength);
      expect(total).toBe(products + attention);
    }
  });
});
