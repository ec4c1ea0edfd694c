import { describe, expect, it } from 'vitest';
import { adapterBytes } from '../../src/cost/count/lora.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { backwardPeak } from '../../src/cost/memory/backward.ts';
import { costOf, mixture, modelOf, small } from './estimates.ts';

const rank = 8;
const [D, I, L] = [512, 1536, 4];
const trained = (config: object, targets: readonly string[]) =>
  costOf(config, { lora: { rank, targets } }).parameters.trainable;
/** Elements of the adapter of a matrix: rank x inputs and outputs x rank (Hu et al. 2021, arXiv:2106.09685, 4.1). */
const adapter = (inputs: number, outputs: number) => rank * (inputs + outputs);

describe('what a target of PEFT names', () => {
  const grouped = { ...small, num_key_value_heads: 2 };
  it.each([
    ['q_proj', adapter(D, D)],
    ['k_proj', adapter(D, D / 4)],
    ['v_proj', adapter(D, D / 4)],
    ['o_proj', adapter(D, D)],
    ['gate_proj', adapter(D, I)],
    ['up_proj', adapter(D, I)],
    ['down_proj', adapter(I, D)],
    ['all-linear', 2 * adapter(D, D) + 2 * adapter(D, D / 4) + 3 * adapter(D, I)],
  ])('Llama: %s', (target, elements) => {
    expect(trained(grouped, [target])).toBe(L * elements);
  });

  it('a name that no matrix has, and one of an object itself, names none', () => {
    expect(trained(small, ['c_attn_x', 'constructor'])).toBe(0);
  });

  it('lm_head names the output alone', () => {
    expect(trained(small, ['lm_head'])).toBe(adapter(D, 1000));
  });

  it.each([
    ['w1', 8 * adapter(D, 1024)],
    ['w2', 8 * adapter(1024, D)],
    ['w3', 8 * adapter(D, 1024)],
    ['gate', adapter(D, 8)],
    ['router', adapter(D, 8)],
    ['all-linear', 4 * adapter(D, D) + 8 * 3 * adapter(D, 1024) + adapter(D, 8)],
  ])('Mixtral: %s, for each expert', (target, elements) => {
    expect(trained(mixture, [target])).toBe(L * elements);
  });

  const gpt2 = { model_type: 'gpt2', n_embd: D, n_head: 8, n_layer: L };
  const pythia = {
    model_type: 'gpt_neox',
    hidden_size: D,
    intermediate_size: I,
    num_hidden_layers: L,
    num_attention_heads: 8,
  };
  const falcon = {
    model_type: 'falcon',
    hidden_size: D,
    num_hidden_layers: L,
    num_attention_heads: 8,
    multi_query: false,
  };
  const phi3 = { ...small, model_type: 'phi3', pad_token_id: 0 };
  const phi = { ...small, model_type: 'phi' };
  const bert = {
    model_type: 'bert',
    hidden_size: D,
    intermediate_size: I,
    num_hidden_layers: L,
    num_attention_heads: 8,
  };
  const opt = { model_type: 'opt', hidden_size: D, ffn_dim: I, num_hidden_layers: L, num_attention_heads: 8 };
  // A matrix that holds query, key and value, or gate and up, has one adapter, whose first factor they share.
  it.each([
    ['GPT-2', gpt2, 'c_attn', adapter(D, 3 * D)],
    ['GPT-2', gpt2, 'c_fc', adapter(D, 4 * D)],
    ['GPT-2', gpt2, 'c_proj', adapter(D, D) + adapter(4 * D, D)],
    ['Pythia', pythia, 'query_key_value', adapter(D, 3 * D)],
    ['Pythia', pythia, 'dense', adapter(D, D)],
    ['Pythia', pythia, 'dense_h_to_4h', adapter(D, I)],
    ['Pythia', pythia, 'dense_4h_to_h', adapter(I, D)],
    ['Falcon', falcon, 'query_key_value', adapter(D, 3 * D)],
    ['Phi-3', phi3, 'qkv_proj', adapter(D, 3 * D)],
    ['Phi-3', phi3, 'gate_up_proj', adapter(D, 2 * I)],
    ['Phi-3', phi3, 'down_proj', adapter(I, D)],
    ['Phi-2', phi, 'fc1', adapter(D, I)],
    ['Phi-2', phi, 'fc2', adapter(I, D)],
    ['BERT', bert, 'query', adapter(D, D)],
    ['BERT', bert, 'key', adapter(D, D)],
    ['BERT', bert, 'value', adapter(D, D)],
    ['OPT', opt, 'out_proj', adapter(D, D)],
  ])('%s %s', (_name, config, _target, elements) => {
    expect(trained(config, [_target])).toBe(L * elements);
  });

  it('DeepSeek-V3 has q_a_proj and q_b_proj in place of q_proj', () => {
    const config = {
      model_type: 'deepseek_v3',
      hidden_size: 512,
      num_hidden_layers: L,
      first_k_dense_replace: L,
      num_attention_heads: 8,
      q_lora_rank: 192,
      kv_lora_rank: 128,
      qk_nope_head_dim: 32,
      qk_rope_head_dim: 16,
      v_head_dim: 32,
      num_nextn_predict_layers: 0,
    };
    expect(trained(config, ['q_proj'])).toBe(0);
    expect(trained(config, ['q_a_proj'])).toBe(L * adapter(D, 192));
    expect(trained(config, ['q_b_proj'])).toBe(L * adapter(192, 8 * 48));
    expect(trained(config, ['kv_a_proj_with_mqa'])).toBe(L * adapter(D, 128 + 16));
    expect(trained(config, ['kv_b_proj'])).toBe(L * adapter(128, 8 * 64));
  });
});

describe('the frozen base', () => {
  const one = { framework: 'transformers', sharding: 'none', gpus: 1 } as const;
  const weights = (run: object) => {
    const { memory, parameters } = costOf(small, { ...one, lora: { rank, targets: ['q_proj'] }, ...run });
    return memory.components.weights - 4 * parameters.trainable;
  };
  const total = costOf(small, {}).parameters.total;

  it.each([
    ['16 bits where nothing else is said', {}, 2],
    ['the dtype that weights are kept in', { weights_dtype: 'fp32' }, 4],
    ['fp32 in a run in fp32', { precision: 'fp32' }, 4],
    ['the stated dtype before the precision', { precision: 'fp32', weights_dtype: 'bf16' }, 2],
  ] as const)('%s', (_, run, bytes) => {
    expect(weights(run)).toBe(bytes * total);
  });

  it('quantised, it has its bits whatever the dtype of the weights', () => {
    const quantised = (weights_dtype: 'fp32' | 'bf16') =>
      weights({ weights_dtype, lora: { rank, targets: ['q_proj'], base_bits: 4 } });
    expect(quantised('fp32')).toBe(quantised('bf16'));
    expect(quantised('fp32')).toBeLessThan(total);
  });

  it('an fp32 base under autocast: 16-bit copies of its matrices are saved, with recompute those of a layer', () => {
    // Seen with saved_tensors_hooks on transformers' Llama, but for three matrices of the first layer, whose input needs no gradient.
    const allocated = (run: object) =>
      costOf(small, { ...one, weights_dtype: 'fp32', ...run, lora: { rank, targets: ['q_proj'] } }).memory;
    const casts = (run: object) => allocated(run).parts.lines['autocast_weights'] ?? 0;
    const matrices = L * (4 * D * D + 3 * D * I) + 1000 * D;
    expect(casts({ precision: 'bf16' })).toBe(2 * matrices);
    expect(casts({ precision: 'fp32' })).toBe(0);
    expect(casts({ precision: 'bf16', recompute: 'full' })).toBeLessThan(2 * (matrices / L + 1000 * D));
    expect(casts({ precision: 'bf16', weights_dtype: 'bf16' })).toBe(0);
  });
});

describe('a quantised base in the backward pass', () => {
  /** The most bytes that are alive while the gradient of one matrix's input is made. */
  const alive = (config: object, base_bits: number, role: string) => {
    const list =
      expand(modelOf(config)).layers[0]?.operations.filter((one) => 'role' in one && one.role === role) ?? [];
    expect(list.length).toBe(1);
    const { run } = costOf(config, { framework: 'transformers', gpus: 1, lora: { rank, base_bits } }).run;
    return backwardPeak(list, run, () => ({ making: 0, after: 0 }), []);
  };

  // bitsandbytes' MatMul4Bit.backward dequantises the weight for the product.
  it.each([4, 8])('of %d bits is unpacked to 16 bits for each product', (bits) => {
    expect(alive(small, bits, 'down') - alive(small, 16, 'down')).toBe(2 * D * I);
  });

  it('of experts stays packed', () => {
    expect(alive(mixture, 4, 'down')).toBe(alive(mixture, 16, 'down'));
  });
});

describe("an adapter's element", () => {
  const of = (more: object, base_bits = 16) =>
    adapterBytes(costOf(small, { framework: 'transformers', gpus: 4, ...more, lora: { rank, base_bits } }).run.run);

  it('is in fp32 where it is whole (PEFT, autocast_adapter_dtype)', () => {
    expect(of({ sharding: 'none' }, 4)).toBe(4);
    expect(of({ sharding: 'full', gpus: 1 }, 16)).toBe(4);
  });

  it('has the dtype of the base in a flat parameter, 16 bits of a quantised one', () => {
    expect(of({ sharding: 'full', weights_dtype: 'bf16' })).toBe(2);
    expect(of({ sharding: 'full', weights_dtype: 'fp32' })).toBe(4);
    expect(of({ sharding: 'full' }, 8)).toBe(2);
    expect(of({ sharding: 'full' }, 4)).toBe(2);
  });
});
