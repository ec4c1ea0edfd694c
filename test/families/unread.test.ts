import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { readConfig } from '../../src/read/config.ts';

const read = (config: object) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config, undefined, 1)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading;
};

const llama = { model_type: 'llama', hidden_size: 64, num_attention_heads: 4, vocab_size: 1000 };

it('numbers of an unknown family that nothing reads are named, those that are no part are not', () => {
  const more = { rotor_dim: 64, num_rotors: 3, bos_token_id: 7, rotor_eps: 2, layer_scale: 0.5 };
  const { assumptions } = read({
    ...llama,
    intermediate_size: 128,
    num_hidden_layers: 2,
    ...more,
    model_type: 'strange',
  });
  const named = assumptions.filter(({ reason }) => reason.startsWith('nothing reads it')).map(({ field }) => field);
  expect(named).toEqual(['rotor_dim', 'num_rotors']);
});

// Transformers 5.18.0 builds both on the meta device and runs the first: "a and b must have same reduction dim".
it('Helium, whose output matrix is a square, needs heads that make up its width', () => {
  const helium = {
    ...llama,
    model_type: 'helium',
    num_hidden_layers: 2,
    num_key_value_heads: 4,
    intermediate_size: 96,
  };
  expect(read({ ...helium, head_dim: 16 }).architecture.exact).toBe(true);
  expect(() => read({ ...helium, head_dim: 12 })).toThrow(
    'head_dim must be hidden_size / num_attention_heads (64 / 4) in this family, but is 12.',
  );
});

describe('a key that nothing reads', () => {
  it.each([
    { num_experts: 8 },
    { num_local_experts: 4 },
    { n_routed_experts: 64 },
    { inner_hidden_size: 96 },
    { lora_adaptations: ['a', 'b'] },
    { num_recurrent_blocks: 3 },
  ])('takes exactness away and is named: %j', (more) => {
    const { architecture, assumptions } = read({ ...llama, num_hidden_layers: 2, ...more });
    expect(architecture.exact).toBe(false);
    expect(assumptions.map(({ field }) => field)).toContain(Object.keys(more)[0]);
  });

  it.each([
    { num_experts: 0 },
    { num_experts: null },
    { num_beams: 4 },
    { num_logits_to_keep: 2 },
    { n_embd: 64 },
    { pooler_num_fc_layers: 3 },
  ])('is nothing where it counts nothing: %j', (more) => {
    expect(read({ ...llama, num_hidden_layers: 2, ...more }).architecture.exact).toBe(true);
  });

  it('looks like a mistyped one where that one is missing', () => {
    const { architecture, problems } = read({ ...llama, num_hiden_layers: 2 });
    expect(architecture.exact).toBe(false);
    expect(problems).toContainEqual({
      severity: 'warning',
      message: 'num_hiden_layers is read by nothing: it looks like num_hidden_layers, which is missing here.',
      key: 'num_hiden_layers',
      line: 6,
    });
  });

  it.each([
    { tie_word_embedings: true },
    { tie_wrod_embeddings: true },
    { layer_type: ['full_attention'] },
    { 'intermediate-size': 96 },
  ])('may be a mistyped switch, list or size: %j', (more) => {
    const { architecture, problems } = read({ ...llama, model_type: 'qwen3', num_hidden_layers: 2, ...more });
    expect(architecture.exact).toBe(false);
    expect(problems.map(({ key }) => key)).toContain(Object.keys(more)[0]);
  });

  it('is no mistyped one where the right one stands beside it', () => {
    expect(read({ ...llama, num_hiden_layers: 2, num_hidden_layers: 2 }).architecture.exact).toBe(true);
  });
});

const total = (config: object) => {
  const { architecture } = read(config);
  return { total: countParameters(architecture, expand(architecture)).total, exact: architecture.exact };
};

describe('variants that share a model_type', () => {
  // By hand, and so not exact: 40 (4 D^2 + 8 x 3 D F + 8 D + 2 D) + V D + D; openbmb/MiniCPM-MoE-8x2B.
  it('MiniCPM with experts has them', () => {
    const config = { model_type: 'minicpm', hidden_size: 2304, num_hidden_layers: 40, num_attention_heads: 36 };
    const more = { num_key_value_heads: 36, intermediate_size: 5760, vocab_size: 122753 };
    const sparse = { num_experts: 8, num_experts_per_tok: 2 };
    expect(total({ ...config, ...more, ...sparse })).toEqual({ total: 13_873_291_776, exact: false });
  });

  // 32 (3072 x 5120 + 3072^2 + 2 x 3072 x 12288 + 6144) + 32768 x 3072 + 3072; replit/replit-code-v1_5-3b.
  it('MPT groups its queries where attn_config says so', () => {
    const config = { model_type: 'mpt', d_model: 3072, n_layers: 32, n_heads: 24, expansion_ratio: 4 };
    const more = { vocab_size: 32768, attn_config: { kv_n_heads: 8 } };
    expect(total({ ...config, ...more })).toEqual({ total: 3_322_088_448, exact: true });
  });

  it('OPT without weights in its norms has none', () => {
    const config = { model_type: 'opt', hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, ffn_dim: 128 };
    const [plain, bare] = [{}, { layer_norm_elementwise_affine: false }].map((more) => total({ ...config, ...more }));
    expect((plain?.total ?? 0) - (bare?.total ?? 0)).toBe(5 * 2 * 64);
  });

  // fla/models/mamba2/configuration_mamba2.py; fla-org/flame configs/mamba2_340M.json.
  it('Mamba-2 without a number of heads has those that fill its width', () => {
    const config = { model_type: 'mamba2', expand: 2, head_dim: 64, hidden_size: 1024, num_hidden_layers: 48 };
    const more = { n_groups: 1, state_size: 128, conv_kernel: 4, vocab_size: 32000, tie_word_embeddings: false };
    expect(total({ ...config, ...more })).toEqual({ total: 382_387_712, exact: true });
  });

  it('a flat LLaVA is not exact', () => {
    const config = { model_type: 'llava', hidden_size: 5120, num_hidden_layers: 40, num_attention_heads: 40 };
    expect(total({ ...config, vocab_size: 32000 }).exact).toBe(false);
  });

  // Llama 2 13B (13,015,864,320) and a projector of 1024 x 5120 + 5120^2 + 2 x 5120; liuhaotian/llava-v1.5-13b.
  it('a flat LLaVA under its own class is its text model and projector, without the encoder that is loaded from elsewhere', () => {
    const config = { model_type: 'llava', hidden_size: 5120, num_hidden_layers: 40, num_attention_heads: 40 };
    const text = { intermediate_size: 13824, vocab_size: 32000, architectures: ['LlavaLlamaForCausalLM'] };
    const image = { mm_vision_tower: 'openai/clip-vit-large-patch14-336', mm_hidden_size: 1024 };
    const file = { ...config, ...text, ...image, mm_projector_type: 'mlp2x_gelu', tie_word_embeddings: false };
    expect(total(file)).toEqual({ total: 13_047_331_840, exact: false });
    expect(read(file).assumptions.map(({ field }) => field)).toContain('mm_vision_tower');
    expect(total({ ...file, mm_patch_merge_type: 'spatial_unpad' }).total - total(file).total).toBe(5120);
  });

  // V D + 28 (12 D^2 + 13 D) + 2 D; the total of THUDM/chatglm-6b as published.
  it('the first ChatGLM gates nothing and has biases everywhere', () => {
    const config = { model_type: 'chatglm', hidden_size: 4096, inner_hidden_size: 16384, num_layers: 28 };
    const more = { num_attention_heads: 32, vocab_size: 130528, max_sequence_length: 2048, position_encoding_2d: true };
    expect(total({ ...config, ...more, architectures: ['ChatGLMModel'] })).toEqual({
      total: 6_173_286_400,
      exact: true,
    });
  });

  // V D + 2 (1024 + 1) D + 48 (12 D^2 + 13 D) + 2 D; THUDM/glm-10b.
  it('GLM of 2021 has two tables of positions', () => {
    const config = { model_type: 'glm', hidden_size: 4096, num_layers: 48, num_attention_heads: 64, vocab_size: 50304 };
    const more = { max_sequence_length: 1024, block_position_encoding: true, architectures: ['GLMModel'] };
    expect(total({ ...config, ...more })).toEqual({ total: 9_880_682_496, exact: true });
  });

  // 2 V D + D + 64 (2 x 8192^2 + 2 x 8192 x 1024 + 3 D 32768 + 8 x 3 D 16384 + 8 D + 4 D); xai-org/grok-2, 270 B as published. By hand, and so not exact.
  it('Grok 2, which states the type of another model, has a dense feed-forward beside its experts', () => {
    const config = { model_type: 'git', hidden_size: 8192, num_hidden_layers: 64, num_attention_heads: 64 };
    const heads = { num_key_value_heads: 8, head_dim: 128, vocab_size: 131072, sliding_window_size: -1 };
    const sparse = { num_local_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 16384, residual_moe: true };
    const file = { ...config, ...heads, ...sparse, intermediate_size: 32768, architectures: ['Grok1ForCausalLM'] };
    expect(total(file)).toEqual({ total: 269_515_497_472, exact: false });
  });

  it('a loop runs its layers again and keeps their keys each time, with the weights of the first', () => {
    const config = { model_type: 'huginn_raven', n_embd: 64, n_heads: 4, vocab_size: 1024, intermediate_size: 96 };
    const layers = { n_layers_in_prelude: 2, n_layers_in_recurrent_block: 4, n_layers_in_coda: 2, qk_bias: true };
    const [twice, once] = [2, 1].map((mean_recurrence) => ({ ...config, ...layers, mean_recurrence }));
    expect(total(twice ?? {}).total).toBe(total(once ?? {}).total);
    expect(read(twice ?? {}).architecture.order).toHaveLength(12);
    expect(() => read({ ...config, ...layers, mean_recurrence: 1e9 })).toThrow('up to 10000 are counted');
  });

  it('Ouro runs all of its layers again, and holds them once', () => {
    const config = { ...llama, model_type: 'ouro', num_hidden_layers: 3, architectures: ['OuroForCausalLM'] };
    const [four, once] = [{}, { total_ut_steps: 1 }].map((steps) => ({ ...config, ...steps }));
    expect(total(four ?? {})).toEqual({ total: total(once ?? {}).total, exact: true });
    expect(read(four ?? {}).architecture.order).toHaveLength(12);
    expect(() => read({ ...config, total_ut_steps: 1e9 })).toThrow('up to 10000 are counted');
  });

  it('Phixtral has experts that Phi, whose type it states, has not', () => {
    const config = { model_type: 'phi-msft', n_embd: 64, n_head: 4, n_layer: 2, n_inner: null, vocab_size: 100 };
    const expert = 2 * 64 * 256 + 256 + 64;
    const mixture = total({ ...config, num_local_experts: 4, num_experts_per_tok: 2 });
    expect(mixture).toEqual({ total: total(config).total + 2 * (3 * expert + 4 * 64), exact: true });
  });

  it('a diffusion model whose class is called a model has an output, and keeps no cache', () => {
    const config = { ...llama, model_type: 'Dream', num_hidden_layers: 2, architectures: ['DreamModel'] };
    expect(read(config).architecture.head.map(({ kind }) => kind)).toEqual(['norm', 'output']);
    expect(JSON.stringify(read(config).architecture.layers)).toContain('"causal":false');
  });

  it('a window of -1 is none', () => {
    const config = { ...llama, model_type: 'mistral', num_hidden_layers: 2, sliding_window: -1 };
    const { architecture } = read(config);
    expect(JSON.stringify(architecture.layers)).not.toContain('"window"');
  });
});

describe('encoders that embed texts', () => {
  const jina = { model_type: 'bert', hidden_size: 512, num_hidden_layers: 4, num_attention_heads: 8 };
  const sizes = { intermediate_size: 2048, vocab_size: 30528, type_vocab_size: 2, position_embedding_type: 'alibi' };

  // V D + 4 D + 4 (4 (D^2 + D) + 3 D F + 5 D) + D^2 + 3 D + V; jinaai/jina-embeddings-v2-small-en.
  it('Jina gates its feed-forward and has no table of positions', () => {
    const file = { ...jina, ...sizes, feed_forward_type: 'geglu', architectures: ['JinaBertForMaskedLM'] };
    expect(total(file)).toEqual({ total: 32_722_240, exact: true });
  });

  it("Jina's second edition norms queries and keys, each with a weight and a bias", () => {
    const file = { ...jina, ...sizes, feed_forward_type: 'geglu', architectures: ['JinaBertForMaskedLM'] };
    const code = 'jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertForMaskedLM';
    const second = total({ ...file, auto_map: { AutoModelForMaskedLM: code } });
    expect(second.total - total(file).total).toBe(4 * 2 * 2 * 512);
  });

  it.each([
    { model_type: 'new', architectures: ['NewModel'] },
    {
      model_type: 'nomic_bert',
      architectures: ['NomicBertModel'],
      n_embd: 768,
      n_layer: 12,
      n_head: 12,
      n_inner: 3072,
    },
  ])('see what follows and cache nothing: $model_type', (file) => {
    const { layers } = read(file).architecture;
    const attention = layers[0]?.parts.find(({ kind }) => kind === 'attention');
    expect(attention).toMatchObject({ causal: false, cached: false });
  });
});
