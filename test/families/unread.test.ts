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

  it('is no mistyped one where the right one stands beside it', () => {
    expect(read({ ...llama, num_hiden_layers: 2, num_hidden_layers: 2 }).architecture.exact).toBe(true);
  });
});

const total = (config: object) => {
  const { architecture } = read(config);
  return { total: countParameters(architecture, expand(architecture)).total, exact: architecture.exact };
};

describe('variants that share a model_type', () => {
  // By hand: 40 (4 D^2 + 8 x 3 D F + 8 D + 2 D) + V D + D; openbmb/MiniCPM-MoE-8x2B.
  it('MiniCPM with experts has them', () => {
    const config = { model_type: 'minicpm', hidden_size: 2304, num_hidden_layers: 40, num_attention_heads: 36 };
    const more = { num_key_value_heads: 36, intermediate_size: 5760, vocab_size: 122753 };
    const sparse = { num_experts: 8, num_experts_per_tok: 2 };
    expect(total({ ...config, ...more, ...sparse })).toEqual({ total: 13_873_291_776, exact: true });
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
