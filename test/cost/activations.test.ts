import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { backwardPeak } from '../../src/cost/memory/backward.ts';
import { layerMemory } from '../../src/cost/memory/layer.ts';
import { lossBytes } from '../../src/cost/memory/loss.ts';
import { layerActivations } from '../../src/cost/memory/recompute.ts';
import type { Operation } from '../../src/model/operation.ts';
import { costOf, mixture, modelOf, small } from './estimates.ts';

/** Bytes that one layer keeps of a micro-batch, for each token. */
function keptForToken(config: object, run: object) {
  const S = 1024;
  const { order, layers } = expand(modelOf(config));
  const { run: settled } = costOf(config, { gpus: 8, sequence_length: S, ...run }).run;
  const { operations = [] } = layers.at(-1) ?? {};
  const context = settled.parallelism.context;
  return (layerActivations(operations, settled, order.length).saved / S) * context;
}

describe('a GPT layer in Megatron (Korthikanti et al. 2022, arXiv:2205.05198, table 2)', () => {
  const [h, a, s] = [768, 12, 1024];
  const gpt = { model_type: 'gpt2', n_embd: h, n_head: a, n_layer: 4, n_positions: s };
  const scores = (5 * a * s) / h;
  const run = { dropout: true, flash_attention: false };

  it.each([
    ['no parallelism', {}, 34 + scores],
    ['tensor parallel', { parallelism: { tensor: 4, sequence_parallel: false } }, 10 + 24 / 4 + scores / 4],
    ['tensor and sequence parallel', { parallelism: { tensor: 4, sequence_parallel: true } }, (34 + scores) / 4],
    [
      'and selective recompute',
      { parallelism: { tensor: 4, sequence_parallel: true }, recompute: 'selective' },
      34 / 4,
    ],
    ['full recompute', { recompute: 'full' }, 2],
  ])('%s', (_, more, expected) => {
    expect(keptForToken(gpt, { ...run, ...more }) / h).toBeCloseTo(expected, 6);
  });

  it('flash attention keeps an fp32 log-sum-exp in place of the scores, and no dropout no masks', () => {
    expect(keptForToken(gpt, { dropout: true }) / h).toBeCloseTo(34 + (4 * a) / h, 6);
    expect(keptForToken(gpt, {}) / h).toBeCloseTo(32 + (4 * a) / h, 6);
  });

  it('offloaded activations leave nothing', () => {
    expect(keptForToken(gpt, { ...run, offload: 'activations' })).toBe(0);
  });
});

describe('full recompute (Megatron-LM, --recompute-method)', () => {
  const input = 2 * 512;
  const whole = keptForToken(small, {});

  it.each([
    ['uniform, each layer', { recompute_method: 'uniform', recompute_layers: 1 }, input],
    ['uniform, groups of 2', { recompute_method: 'uniform', recompute_layers: 2 }, input / 2],
    ['block, 1 of 4 layers', { recompute_method: 'block', recompute_layers: 1 }, 0.25 * input + 0.75 * whole],
    ['every second', { recompute_method: 'every', recompute_layers: 2 }, 0.5 * input + 0.5 * whole],
  ])('%s', (_, method, expected) => {
    expect(keptForToken(small, { recompute: 'full', ...method })).toBeCloseTo(expected, 6);
  });
});

it('keys of latent attention are made whole, as wide as its queries (DeepSeek-V3: 128 heads of 128 + 64)', () => {
  const { operations = [] } = expand(modelOf({ model_type: 'deepseek_v3' })).layers[0] ?? {};
  const [rope] = operations.flatMap((one) => (one.kind === 'rope' ? [one] : []));
  expect([rope?.query.elements, rope?.key.elements]).toEqual([128 * (128 + 64), 128 * (128 + 64)]);
});

it('layers that are recomputed together wait for each other with all that they read', () => {
  const work = (recompute_layers: number) => {
    const { operations = [] } = expand(modelOf(small)).layers[0] ?? {};
    const { run } = costOf(small, { gpus: 8, sequence_length: 1024, recompute: 'full', recompute_layers }).run;
    return layerMemory(operations, run, { embedding: false, order: [0, 0, 0, 0] }).work / 1024;
  };
  // The pair has one input where each alone has its own.
  expect(work(2) - work(1)).toBeCloseTo(keptForToken(small, {}) + (2 * 512) / 2, 6);
});

describe('selective recompute of modules (Megatron-Core, recompute_modules)', () => {
  const [D, I, k, E, H] = [512, 1024, 2, 8, 8];
  const whole = keptForToken(mixture, {});
  const saved = (...recompute_modules: string[]) =>
    whole - keptForToken(mixture, { recompute: 'selective', recompute_modules });
  // Of an expert: gate, up and their product, for each of the k rows of a token; rows that were sent there; maps; routing.
  const insideExperts = k * 3 * 2 * I;

  it('a layer of experts keeps what its kernels read', () => {
    const attention = 2 * D + 2 * D + 3 * 2 * D + 2 * D + 4 * H;
    const routing = 2 * D + 2 * D + 9 * E + k * (12 + 2 * D);
    expect(whole).toBe(attention + routing + insideExperts);
  });

  it.each([
    [['core_attn'], 4 * H],
    [['moe_act'], k * 2 * I],
    [['moe'], insideExperts + k * (12 + 2 * D) + 9 * E],
    [['core_attn', 'moe_act'], 4 * H + k * 2 * I],
  ])('%j saves %d bytes for each token', (modules, bytes) => {
    expect(saved(...modules)).toBeCloseTo(bytes, 6);
  });

  it('norms are made again from the residual stream that they read', () => {
    expect(saved('layernorm')).toBeCloseTo(2 * 2 * D, 6);
  });

  const deepseek = { model_type: 'deepseek_v3', num_hidden_layers: 4, first_k_dense_replace: 1 };
  const savedOfDeepseek = (module: string) =>
    keptForToken(deepseek, {}) - keptForToken(deepseek, { recompute: 'selective', recompute_modules: [module] });

  it('shared experts: gate, up and their product of 2,048', () => {
    expect(savedOfDeepseek('shared_experts')).toBeCloseTo(3 * 2 * 2048, 6);
  });

  it('the up-projections of latent attention: queries, keys, the product that values are a view of, and two norms', () => {
    // 128 heads of 128 without and 64 with rotary position, and values of 128.
    const [query, key, keyAndValue] = [128 + 64, 128 + 64, 128 + 128];
    expect(savedOfDeepseek('mla_up_proj')).toBeCloseTo(2 * 128 * (query + key + keyAndValue) + 2 * (1536 + 512), 6);
  });

  it('a dense feed-forward network', () => {
    const dense = keptForToken(small, {});
    const again = keptForToken(small, { recompute: 'selective', recompute_modules: ['mlp'] });
    expect(dense - again).toBe(3 * 2 * 1536);
  });
});

describe('experts by how they are run', () => {
  const [D, I] = [512, 1024];
  const more = (config: object, run: object) =>
    keptForToken({ ...mixture, ...config }, run) - keptForToken(mixture, run);

  it.each([
    // Transformer Engine: probabilities twice in fp32 and a map of one byte for each expert; a probability and two places for each row.
    ['megatron', 9, 12 + 2 * D + 3 * 2 * I],
    // PyTorch: probabilities in fp32; indices, order and weights of a row, its weighted output, and the activated half once more.
    ['fsdp', 4, 40 + 2 * D + 2 * D + 4 * 2 * I],
  ])('%s: %d bytes for one more expert, %d for one more of a token', (framework, expert, row) => {
    expect(more({ num_local_experts: 9 }, { framework })).toBeCloseTo(expert, 6);
    expect(more({ num_experts_per_tok: 3 }, { framework })).toBeCloseTo(row, 6);
  });

  it('rows follow the fullest rank, or the capacity where it is stated', () => {
    const rows = 2 * (12 + 2 * D + 3 * 2 * I);
    const plain = keptForToken(mixture, {});
    expect(keptForToken(mixture, { expert_imbalance: 1.5 }) - plain).toBeCloseTo(0.5 * rows, 6);
    expect(keptForToken(mixture, { expert_imbalance: 1.5, capacity_factor: 2 }) - plain).toBeCloseTo(rows, 6);
  });
});

describe('selective recompute in torchtitan (every second product, b5bcd76)', () => {
  const [D, I, a] = [512, 1536, 8];
  const kept = (run: object) => keptForToken(small, { framework: 'fsdp', recompute: 'selective', ...run });

  it('keeps the input, query, value, gate and down, and the attention with its log-sum-exp', () => {
    expect(kept({})).toBe(2 * (D + D + D + I + D) + 2 * D + 4 * a);
  });

  it('keeps partial sums of row-wise products whole, and once more reduced', () => {
    const [tensor, divided] = [2, 2 * (D + D + D + I) + 2 * D + 4 * a];
    const reduced = 2 * D + 2 * D;
    const run = { parallelism: { tensor, sequence_parallel: true } };
    expect(kept(run)).toBe((divided + reduced) / tensor + 2 * D);
  });

  it('of a layer holds nothing beside what it saves and reads', () => {
    const { layers, order } = expand(modelOf(small));
    for (const recompute of ['none', 'selective'] as const) {
      const { run } = costOf(small, { recompute, framework: 'fsdp' }).run;
      expect(layerActivations(layers[0]?.operations ?? [], run, order.length).inputOnly).toBe(0);
    }
  });
});

describe("what Megatron's output product and loss allocate", () => {
  const [T, D, V] = [1024, 512, 1000];
  const of = (run: object) => {
    const { run: settled } = costOf(small, { gpus: 8, sequence_length: T, ...run }).run;
    return lossBytes(expand(modelOf(small)), settled);
  };
  const input = 2 * D * T;

  // Forward: 16-bit logits and their fp32 copy, or 16 bits twice where one kernel makes the loss; what the final norm and the product read.
  // Backward: 16-bit gradients of the logits, a weight gradient that stands in for the fused one, two inputs' gradients and the norm's.
  it.each([
    ['alone', {}, 6 * T * V + 2 * input, 2 * T * V + 2 * D * V + 2 * input + input],
    ['fused', { fused_cross_entropy: true }, 4 * T * V + 2 * input, 2 * T * V + 2 * D * V + 2 * input + input],
    [
      'in tensor and sequence parallel',
      { parallelism: { tensor: 2, sequence_parallel: true } },
      (6 * T * V) / 2 + (2 * input) / 2 + input,
      (2 * T * V) / 2 + (2 * D * V) / 2 + 2 * input + input / 2,
    ],
    [
      'in tensor parallel',
      { parallelism: { tensor: 2, sequence_parallel: false } },
      (6 * T * V) / 2 + 2 * input,
      (2 * T * V) / 2 + (2 * D * V) / 2 + 2 * input + input,
    ],
  ])('%s', (_, run, forward, backward) => {
    expect(of(run)).toEqual({ forward, backward });
  });
});

describe("what PyTorch's loss allocates for each logit", () => {
  const T = 1024;
  const forward = (run: object, vocab_size: number) => {
    const { run: settled } = costOf(small, { gpus: 8, sequence_length: T, ...run }).run;
    return lossBytes(expand(modelOf({ ...small, vocab_size })), settled).forward;
  };

  it.each([
    ['16-bit logits, their fp32 copy and its log-softmax', { framework: 'fsdp' }, 2 + 4 + 4],
    ['fp32 logits and their log-softmax', { framework: 'fsdp', precision: 'fp32' }, 4 + 4],
    ['under autocast', { framework: 'transformers' }, 2 + 4 + 4],
    ['a part of them where the loss is cut in four', { framework: 'fsdp', loss_chunks: 4 }, (2 + 4 + 4) / 4],
    ['those of one rank', { framework: 'fsdp', parallelism: { tensor: 2 } }, (2 + 4 + 4) / 2],
  ])('%s', (_, run, bytes) => {
    expect((forward(run, 6000) - forward(run, 2000)) / (T * 4000)).toBeCloseTo(bytes, 9);
  });
});

it('beside a narrow vocabulary, the backward pass of the output product is larger than its loss', () => {
  const [T, D, V] = [1024, 512, 200];
  const config = { ...small, vocab_size: V };
  const { run } = costOf(config, { framework: 'fsdp', compile: true, gpus: 8, sequence_length: T }).run;
  const { forward, backward } = lossBytes(expand(modelOf(config)), run);
  // Gradients of the logits, of what the product reads and of its weight, in place of logits with their fp32 gradient.
  expect(backward - forward).toBe(2 * T * V + 2 * D * T + 2 * D * V - 4 * T * V);
});

it("Liger's loss takes as many rows at once as make logits no wider than what it reads (fused_linear_cross_entropy.py)", () => {
  const [T, D] = [1024, 512];
  const chunk = (vocab_size: number) => {
    const run = { framework: 'fsdp', gpus: 8, sequence_length: T, fused_cross_entropy: true };
    const config = { ...small, vocab_size };
    return lossBytes(expand(modelOf(config)), costOf(config, run).run.run);
  };
  // 1,024 rows over 12 (6,000 / 512, rounded up) are 86, of which the next power of two is 128; over 4 they are 256.
  const logits = 2 * (128 * 6000 - 256 * 2000);
  const gradient = 2 * D * (6000 - 2000);
  expect(chunk(6000).forward - chunk(2000).forward).toBe(gradient + logits);
  expect(chunk(6000).backward).toBe(chunk(6000).forward);
});

describe('what is alive in the backward pass of a few operations', () => {
  const [T, D, I] = [1024, 512, 1536];
  const alive = (framework: string, chosen: (one: Operation) => boolean, tensor = 1) => {
    const list = (expand(modelOf(small)).layers[0]?.operations ?? []).filter(chosen);
    const fields = { framework, gpus: tensor, sequence_length: T, parallelism: { tensor, sequence_parallel: true } };
    const { run } = costOf(small, fields).run;
    return backwardPeak(list, run, () => ({ making: 0, after: 0 }), []);
  };
  const plays = (role: string) => (one: Operation) => one.kind === 'linear' && one.role === role;

  it('the gradient of what query, key and value read waits once, while each of them makes its own', () => {
    const read = (one: Operation) => ['query', 'key', 'value'].some((role) => plays(role)(one));
    const [waiting, made] = [2 * D * T, 2 * D * T];
    expect(alive('fsdp', read)).toBe(waiting + made);
  });

  it('flash attention adds up the gradient of its queries in fp32 (Dao 2023, algorithm 2)', () => {
    expect(alive('fsdp', ({ kind }) => kind === 'attention')).toBe(3 * 2 * D * T + 4 * D * T);
  });

  it("DTensor's sequence parallelism gathers the gradient that a row-wise matrix gets beside what it makes", () => {
    expect(alive('fsdp', plays('down'), 2)).toBe((2 * I * T) / 2 + 2 * D * T);
    expect(alive('megatron', plays('down'), 2)).toBe((2 * I * T) / 2);
  });
});
