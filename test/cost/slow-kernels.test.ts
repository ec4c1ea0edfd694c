import { describe, expect, it } from 'vitest';
import { costOf, hidden, mixture, small } from './estimates.ts';

const trainer = { framework: 'transformers', accelerator: 'h200-sxm-141gb', gpus: 1, sequence_length: 4096 };
const parts = (run: object, config: object = {}) =>
  costOf({ ...small, ...config }, { ...trainer, ...run }).throughput.parts;

describe('matrices whose rows do not begin at multiples of 16 bytes', () => {
  const products = (vocabulary: number, run: object = {}) => parts(run, { vocab_size: vocabulary }).matrix_products;
  const aligned = products(50_304);

  it.each([
    ['an odd number of tokens', 50_257, {}],
    ['a multiple of four in 16 bits', 50_308, {}],
    ['FSDP runs the matrix as it is', 50_257, { framework: 'fsdp' }],
  ])('are slower: %s', (_, vocabulary, run) => {
    expect(products(vocabulary, run) / products(50_304, run)).toBeGreaterThan(2);
  });

  it('three times the output, and nothing else', () => {
    const layers = parts({}, { vocab_size: 64 }).matrix_products;
    expect((products(50_257) - layers) / (aligned - layers)).toBeCloseTo(3, 1);
  });

  it.each([
    ['a multiple of eight', 50_264, {}],
    ['a multiple of four in fp32', 50_308, { precision: 'fp32', flash_attention: false }],
    ['Megatron pads the vocabulary', 50_257, { framework: 'megatron' }],
    ['kernels of other vendors', 50_257, { accelerator: 'mi300x' }],
  ])('are not: %s', (_, vocabulary, run) => {
    expect(products(vocabulary, run) / products(50_304, run)).toBeCloseTo(1, 2);
  });
});

describe('attention whose kernel PyTorch chooses', () => {
  const attention = (run: object, config: object) => parts(run, config).attention;
  const mistral = { model_type: 'mistral', hidden_size: 512, num_attention_heads: 4, sliding_window: 1024 };
  const window = (sequence: number, run: object = {}) => attention({ sequence_length: sequence, ...run }, mistral);
  const unbounded = (sequence: number) =>
    attention({ sequence_length: sequence }, { ...mistral, sliding_window: null });

  it('a window longer than the sequence needs no mask, one that is filled does', () => {
    expect(window(1023)).toBeCloseTo(unbounded(1023), 12);
    expect(window(1024)).toBeGreaterThan(3 * unbounded(1024));
  });

  it('a mask hides nothing from the kernel: its work grows with all pairs, not with the window', () => {
    expect(window(8192) / window(4096)).toBeGreaterThan(3.5);
    expect(window(8192, { attention_kernel: 'flash2' }) / window(4096, { attention_kernel: 'flash2' })).toBeLessThan(
      2.5,
    );
  });

  it.each([
    ['the run names a kernel', { attention_kernel: 'cudnn' }],
    ['the run says that scores are never written', { flash_attention: true }],
    ['Megatron has windows in its kernels', { framework: 'megatron' }],
    ['layers of torchtitan and the like', { framework: 'fsdp' }],
    ['other vendors have no such kernel', { accelerator: 'mi300x' }],
  ])('no mask: %s', (_, run) => {
    expect(window(4096, run)).toBeLessThan(window(4096, { ...run, attention_kernel: 'flash2' }) + 1e-12);
  });

  const gpt2 = { model_type: 'gpt2', n_embd: 512, n_layer: 4, n_head: 8, n_positions: 4096, resid_pdrop: 0.1 };
  const dropping = (share: number, run: object = {}) => attention(run, { ...gpt2, attn_pdrop: share });

  it('cuDNN drops out sixteenths; FlashAttention-2 runs for other shares', () => {
    const flash = dropping(0, { attention_kernel: 'flash2' });
    expect(dropping(0.1)).toBe(flash);
    expect(dropping(0.125)).toBe(dropping(0));
    expect(dropping(0)).toBeLessThan(flash);
  });

  it.each([
    ['dropout is off', { dropout: false }],
    ['Megatron asks cuDNN by itself', { framework: 'megatron', dropout: true }],
  ])('or not: %s', (_, run) => {
    expect(dropping(0.1, run)).toBe(dropping(0, run));
  });
});

describe('experts of Transformers', () => {
  it('take 1.46 times as long for grouped products as the kernels of single ones do', () => {
    const products = (framework: string, width: number) =>
      costOf({ ...mixture, intermediate_size: width }, { ...trainer, framework }).throughput.parts.matrix_products;
    const ofExperts = (framework: string) => products(framework, 4096) - products(framework, 1024);
    expect(ofExperts('transformers') / ofExperts('fsdp')).toBeCloseTo(1.46, 10);
  });

  it('move rows by index, whose gradients are added far below the streaming rate', () => {
    const moved = (experts: number) =>
      costOf({ ...mixture, num_experts_per_tok: experts }, trainer).throughput.parts.memory_bound;
    const one = (moved(3) - moved(2)) / (mixture.num_hidden_layers * trainer.sequence_length * mixture.hidden_size);
    // 28 bytes at 4.08 TB/s and 16 at 1.06, and what SwiGLU moves of twice as many elements.
    expect(one * 4.08e12).toBeCloseTo(12 + 14 + 16 / 0.26 + 2 * (10 + 26), -1);
  });
});

describe('a base in fewer than 16 bits', () => {
  const lora = { rank: 8, targets: ['q_proj'] };
  const of = (bits: number, config: object = small, run: object = {}) =>
    costOf(config, { ...trainer, ...run, lora: { ...lora, base_bits: bits } }).throughput.parts;
  const bandwidth = 4.8e12 * 0.85;

  it.each([
    [8, 1],
    [4, 0.5],
  ])(
    'of %d bits is unpacked forward and backward: each weight is read in %d bytes and written in 2',
    (bits, stored) => {
      const seconds = of(bits).memory_bound - of(16).memory_bound;
      expect(seconds * bandwidth).toBeGreaterThan(2 * (2 + stored) * hidden);
      expect(seconds * bandwidth).toBeLessThan(2 * (2.1 + stored) * hidden);
    },
  );

  it('once more where layers are recomputed', () => {
    const run = { recompute: 'full', micro_batch_size: 16, global_batch_size: 16 };
    expect((of(8, small, run).recompute - of(16, small, run).recompute) * bandwidth).toBeCloseTo(3 * hidden, -1);
  });

  it('with all experts, whether a token uses them or not', () => {
    const unpacked = (experts: number) => {
      const config = { ...mixture, num_local_experts: experts };
      return of(8, config).memory_bound - of(16, config).memory_bound;
    };
    const expert = 3 * mixture.hidden_size * mixture.intermediate_size * mixture.num_hidden_layers;
    // And the router's column of each.
    const columns = 8 * mixture.hidden_size * mixture.num_hidden_layers;
    expect((unpacked(16) - unpacked(8)) * bandwidth).toBeCloseTo(2 * 3 * (8 * expert + columns), -3);
  });
});

describe('fp32', () => {
  const single = { precision: 'fp32', micro_batch_size: 4, global_batch_size: 4 };
  const products = (run: object) => parts({ ...single, ...run }).matrix_products;

  it('runs outside of the matrix units, but where tf32 is asked for or the framework asks', () => {
    const peaks = 494.7 / 66.9;
    expect(products({}) / products({ tf32: true })).toBeGreaterThan(0.9 * peaks);
    expect(products({}) / products({ tf32: true })).toBeLessThan(peaks);
    expect(products({ framework: 'megatron' })).toBe(products({ framework: 'megatron', tf32: true }));
    expect(products({ framework: 'megatron', tf32: false })).toBeGreaterThan(5 * products({ framework: 'megatron' }));
  });

  it('has no flash kernel in PyTorch: a quarter of the memory-efficient rate, or scores that are written out', () => {
    const attention = (config: object, run: object = {}) => parts({ ...single, ...run }, config).attention;
    const flash = attention({}, { precision: 'bf16' });
    expect(attention({}) / flash).toBeGreaterThan(8);
    // Fewer key and value heads than query heads: no fused kernel at all, and every pair is computed.
    expect(attention({ num_key_value_heads: 2 })).toBeGreaterThan(1.5 * attention({}));
    expect(attention({}, { framework: 'megatron' })).toBe(attention({}, { framework: 'megatron', precision: 'bf16' }));
  });
});
