import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { bothSides, dense, experts, fullBias, grouped, normOf } from './pieces.ts';
import { always, denseFirst, each } from './plan.ts';
import {
  alwaysOn,
  biasBy,
  denseWith,
  flag,
  fourTimes,
  groupedWith,
  headNorm,
  inputBiasBy,
  layerNorms,
  multiHead,
  ofWidth,
  withOwnHeads,
} from './vocabulary.ts';

/** Families whose code comes with the checkpoint and is in no release of transformers. */

/** A list of whole numbers, one for each layer. */
function perLayer(fields: Fields, key: string, layers: number): readonly number[] {
  const listed = fields.list(key);
  if (listed === undefined) throw fields.missing(key);
  const numbers = listed.filter((value): value is number => typeof value === 'number' && value > 0);
  if (numbers.length < layers)
    throw fields.wrong(key, `must list a number for each of ${layers} layers`, listed.length);
  return numbers;
}

/** The first layers dense; experts with a correction bias where `moe_router_enable_expert_bias` asks for one. */
const lingFeedForward: NonNullable<Family['feedForward']> = (shape, fields, mlp) => {
  if (mlp.kind === 'dense')
    return dense(shape.hiddenSize, shape.width, { bias: bothSides(fields.boolean('use_bias')) });
  const width = fields.integer('moe_intermediate_size');
  const count = fields.count(['num_shared_experts', 'n_shared_experts']);
  const shared = count * fields.integerOr('moe_shared_expert_intermediate_size', width, 1);
  return experts(shape, fields, {
    width,
    correctionBias: fields.boolean('moe_router_enable_expert_bias'),
    ...alwaysOn(shared),
  });
};

/** Ling 2.0: a norm on each head's query and key, experts with a correction bias, the first layers dense. */
const ling2: Family = {
  source: 'inclusionAI/Ling-mini-2.0 modeling_bailing_moe_v2.py',
  attention: (shape, fields) =>
    grouped(shape, {
      bias: { ...inputBiasBy(fields, 'use_qkv_bias'), output: fields.boolean('use_bias') },
      fused: true,
      ...(fields.boolean('use_qk_norm') ? { queryKeyNorm: headNorm } : {}),
    }),
  mlps: denseFirst,
  feedForward: lingFeedForward,
  tied: false,
};

/** Phi-3 small: a feed-forward whose up matrix holds both factors, biases everywhere, block-sparse attention. */
const phi3Small: Family = {
  source: 'microsoft/Phi-3-small-8k-instruct modeling_phi3_small.py',
  norm: layerNorms,
  attention: groupedWith({ bias: fullBias, fused: true }),
  feedForward: denseWith({ activation: 'gelu', bias: bothSides(true), fused: true }),
  tied: true,
};

/** Grok-1: norms in front of and behind both blocks, eight experts with a gate. */
const grok: Family = {
  source: 'hpcai-tech/grok-1 modeling_grok1.py',
  norms: 'sandwich',
  mlps: always('experts'),
  feedForward: (shape, fields) => experts(shape, fields, { activation: 'gelu' }),
  tied: true,
};

/** Snowflake Arctic: a dense feed-forward as wide as the stream beside 128 experts. */
const arctic: Family = {
  source: 'Snowflake/snowflake-arctic-base modeling_arctic.py',
  defaults: { moe_layer_frequency: 2 },
  attention: groupedWith(),
  mlps: (shape, fields) => {
    const every = fields.every('moe_layer_frequency');
    return each(shape, (index) => ((index + 1) % every === 0 ? 'experts' : 'dense'));
  },
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const { hiddenSize: D } = shape;
    if (mlp.kind === 'dense') return [dense(D, shape.width)];
    const beside = fields.boolean('parallel_attn_mlp_res') || fields.boolean('use_residual');
    const block = experts(shape, fields, { width: shape.width });
    return beside ? [dense(D, D), normOf(arctic, 'norm.experts', D), block] : [block];
  },
  tied: false,
};

/** OpenELM: heads and feed-forward grow from layer to layer. */
const openElm: Family = {
  source: 'apple/OpenELM modeling_openelm.py',
  defaults: { ffn_dim_divisor: 256, ffn_with_glu: true },
  listsHeads: true,
  mixers: (shape, fields) => {
    const keyValue = perLayer(fields, 'num_kv_heads', shape.layers);
    return perLayer(fields, 'num_query_heads', shape.layers).map((heads, index) => {
      const keyValueHeads = keyValue[index] ?? heads;
      return { kind: 'full', heads, keyValueHeads, label: `heads ${heads} ${keyValueHeads}` };
    });
  },
  mlps: (shape, fields) => {
    const divisor = fields.integer('ffn_dim_divisor');
    return perLayer(fields, 'ffn_multipliers', shape.layers).map((multiple) =>
      ofWidth(divisible(multiple * shape.hiddenSize, divisor)),
    );
  },
  attention: (shape, fields, mixer) => {
    const { heads = shape.heads, keyValueHeads = shape.keyValueHeads } = mixer;
    const norm = fields.boolean('normalize_qk_projections') ? { queryKeyNorm: headNorm } : {};
    return grouped({ ...shape, heads, keyValueHeads }, { fused: true, ...norm });
  },
  feedForward: (shape, fields, mlp) =>
    dense(shape.hiddenSize, mlp.width ?? shape.width, {
      gated: fields.boolean('ffn_with_glu'),
      fused: true,
    }),
  tiedKeys: ['share_input_output_layers'],
  tied: true,
};

/** The nearest multiple of `divisor`, but not more than a tenth below (MobileNet's `make_divisible`). */
function divisible(value: number, divisor: number): number {
  const rounded = Math.max(divisor, Math.floor((value + divisor / 2) / divisor) * divisor);
  return rounded < 0.9 * value ? rounded + divisor : rounded;
}

/** JAIS and BTLM: GPT-2 with a gated feed-forward and ALiBi instead of learned positions. */
const jais: Family = {
  source: 'inceptionai/jais-13b modeling_jais.py',
  norm: layerNorms,
  attention: multiHead({ bias: fullBias, rotary: false, fused: true }),
  feedForward: (shape, fields) => {
    const gated = fields.string('activation_function') === 'swiglu';
    return dense(shape.hiddenSize, shape.width, { gated, activation: gated ? 'silu' : 'gelu', bias: bothSides(true) });
  },
  embedding: (shape, fields): readonly Part[] =>
    fields.string('position_embedding_type') === 'alibi'
      ? []
      : [
          {
            kind: 'table',
            path: 'embedding.position',
            rows: fields.integer(['n_positions', 'n_ctx', 'max_position_embeddings']),
            columns: shape.hiddenSize,
            used: 1,
          },
        ],
  tied: true,
};

/** DeciLM: Llama whose layers have key/value heads of their own count. */
const deci: Family = {
  source: 'Deci/DeciLM-7B modeling_decilm.py',
  mixers: (shape, fields) =>
    perLayer(fields, 'num_key_value_heads_per_layer', shape.layers).map((keyValueHeads) => ({
      kind: 'full',
      keyValueHeads,
      label: `group ${keyValueHeads}`,
    })),
  attention: withOwnHeads,
};

/** InternLM 3: Llama with a bias on query, key and value by one key, on all else by another. */
const internlm3: Family = {
  source: 'internlm/internlm3-8b-instruct modeling_internlm3.py',
  attention: (shape, fields) =>
    grouped(shape, {
      bias: { ...inputBiasBy(fields, 'qkv_bias'), output: fields.boolean('bias') },
    }),
  feedForwardBias: flag('bias'),
  tied: false,
};

/** Falcon as first published: a key for the groups of keys and values says that there are two norms. */
const refinedWeb: Family = {
  source: 'tiiuae/falcon-40b modelling_RW.py (first revision)',
  defaults: { parallel_attn: true, multi_query: true },
  norm: layerNorms,
  norms: (fields) => (fields.states('n_head_kv') ? 'double' : fields.boolean('parallel_attn') ? 'single' : 'pre'),
  attention: (shape, fields) => {
    const one = fields.boolean('multi_query') ? 1 : shape.heads;
    const keyValueHeads = fields.integerOr('n_head_kv', one, 1);
    return grouped({ ...shape, keyValueHeads }, { bias: biasBy(fields, 'bias'), fused: true });
  },
  gated: false,
  activation: 'gelu',
  feedForwardBias: flag('bias'),
  width: fourTimes(),
  tied: true,
};

/** TeleChat: biases on the attention's output and the feed-forward's last matrix, keys and values in one. */
const telechat: Family = {
  source: 'Tele-AI/Telechat models/7B/modeling_telechat.py, Tele-AI/TeleChat2 model/115B/modeling_telechat.py',
  defaults: { hidden_size: 4096, n_layer: 30, n_head: 32, vocab_size: 160_256, ffn_hidden_size: 12_288 },
  attention: (shape) => grouped(shape, { bias: { query: false, key: false, value: false, output: true } }),
  feedForward: denseWith({ bias: { up: false, down: true } }),
  embedding: ({ hiddenSize: D }, fields) =>
    fields.boolean('embed_layernorm') ? [normOf({ source: '' }, 'norm.embedding', D)] : [],
  tied: true,
};

export const remoteFamilies: Readonly<Record<string, Family>> = {
  bailing_moe_v2: ling2,
  // Ling 2.0 that fills in one block of the text after another (arXiv:2512.15745).
  llada2_moe: {
    ...ling2,
    source: 'inclusionAI/LLaDA2.0-mini modeling_llada2_moe.py',
    defaults: { use_bias: true, use_qk_norm: true, moe_router_enable_expert_bias: true },
    // Its bias is the attention's alone.
    feedForward: (shape, fields, mlp) =>
      mlp.kind === 'dense' ? dense(shape.hiddenSize, shape.width) : lingFeedForward(shape, fields, mlp),
    assumes: [
      {
        field: 'attention',
        value: 'causal',
        reason: 'tokens of a block see each other, and blocks only those before them: a block counts as one token does',
      },
    ],
  },
  phi3small: phi3Small,
  'grok-1': grok,
  arctic,
  openelm: openElm,
  jais,
  btlm: { ...jais, source: 'cerebras/btlm-3b-8k-base modeling_btlm.py' },
  deci,
  internlm3,
  RefinedWeb: refinedWeb,
  RefinedWebModel: refinedWeb,
  telechat,
  telechat2: telechat,
};

const llamaNames = [
  'hidden_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'intermediate_size',
  'vocab_size',
  'max_position_embeddings',
] as const;
const lingNames = [
  ...llamaNames,
  ...['head_dim', 'num_experts', 'n_routed_experts', 'num_experts_per_tok', 'moe_intermediate_size'],
];
const gptNames = ['n_embd', 'n_layer', 'n_head', 'n_inner', 'n_positions', 'vocab_size'] as const;
/** GPT-2's aliases (`attribute_map`). */
const gptAliases = ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'max_position_embeddings'] as const;
const falconNames = ['hidden_size', 'n_layer', 'n_head', 'n_head_kv', 'vocab_size'] as const;
const falconAliases = ['num_hidden_layers', 'num_attention_heads'] as const;
const rwkvNames = ['hidden_size', 'num_hidden_layers', 'intermediate_size', 'vocab_size'] as const;
const telechatNames = [
  ...['hidden_size', 'n_layer', 'n_head', 'ffn_hidden_size', 'num_key_value_heads', 'vocab_size', 'seq_length'],
  // Aliases (`attribute_map`), and the width as its smaller models have it.
  ...['num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'max_position_embeddings'],
];
const bertNames = [
  ...['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'vocab_size'],
  'max_position_embeddings',
];
const flaNames = [...llamaNames, 'num_heads', 'num_kv_heads', 'head_dim'] as const;

/**
 * Types whose code is in no release of Transformers, with what that code reads of the names that families share
 * (`names` in `shape.ts`). Other keys of theirs are those that their rows ask for.
 */
export const namesOfRemoteCode: Readonly<Record<string, readonly string[]>> = {
  Dream: llamaNames,
  RefinedWeb: [...falconNames, ...falconAliases],
  RefinedWebModel: [...falconNames, ...falconAliases],
  Yi: llamaNames,
  aquila: llamaNames,
  aquila2: llamaNames,
  arctic: [...llamaNames, 'num_local_experts', 'num_experts_per_tok'],
  baichuan: [...llamaNames, 'model_max_length'],
  bailing_hybrid: lingNames,
  bailing_moe: lingNames,
  bailing_moe_linear: lingNames,
  bailing_moe_v2: lingNames,
  btlm: [...gptNames, ...gptAliases],
  chatglm1: [
    ...['hidden_size', 'num_layers', 'num_hidden_layers', 'num_attention_heads', 'vocab_size'],
    'max_sequence_length',
  ],
  chatglm: [
    ...['hidden_size', 'num_layers', 'num_hidden_layers', 'num_attention_heads', 'kv_channels', 'ffn_hidden_size'],
    ...['multi_query_group_num', 'padded_vocab_size', 'vocab_size', 'seq_length'],
  ],
  deci: llamaNames,
  deepseek: [...llamaNames, 'n_routed_experts', 'num_experts_per_tok', 'moe_intermediate_size'],
  delta_net: flaNames,
  exaone: [...llamaNames, 'num_layers', 'head_dim'],
  gated_deltanet: flaNames,
  gla: flaNames,
  hgrn2: flaNames,
  glm1: ['hidden_size', 'num_layers', 'num_attention_heads', 'vocab_size', 'max_sequence_length'],
  grok2: [...llamaNames, 'head_dim', 'num_local_experts', 'num_experts_per_tok', 'moe_intermediate_size'],
  huginn_raven: [
    ...['n_embd', 'hidden_size', 'n_heads', 'num_attention_heads', 'num_key_value_heads', 'intermediate_size'],
    ...['vocab_size', 'padded_vocab_size'],
  ],
  hunyuan: [...llamaNames, 'num_experts', 'moe_topk'],
  'grok-1': [...llamaNames, 'num_experts', 'num_experts_per_tok'],
  internlm: llamaNames,
  internlm2: llamaNames,
  internlm3: [...llamaNames, 'head_dim'],
  jais: [...gptNames, ...gptAliases],
  jina_bert: bertNames,
  jina_xlm_roberta: bertNames,
  llada: [...llamaNames, 'd_model', 'n_layers', 'n_heads', 'n_kv_heads', 'max_sequence_length'],
  llada_moe: [...llamaNames, 'num_experts', 'num_experts_per_tok', 'expert_intermediate_size'],
  llada2_moe: lingNames,
  llama_moe: [...llamaNames, 'num_experts'],
  molmo: llamaNames,
  mimo: [...llamaNames, 'head_dim'],
  minicpm: llamaNames,
  minicpm_moe: [...llamaNames, 'num_experts', 'num_experts_per_tok'],
  kimi_k2: [...llamaNames, 'n_routed_experts', 'num_experts_per_tok', 'moe_intermediate_size'],
  minimax_m1: [...llamaNames, 'head_dim', 'num_local_experts', 'num_experts_per_tok'],
  minimax_text_01: [...llamaNames, 'head_dim', 'num_local_experts', 'num_experts_per_tok'],
  'mixformer-sequential': [...gptNames, ...gptAliases, 'n_head_kv'],
  'nemotron-nas': llamaNames,
  new: bertNames,
  nomic_bert: [...bertNames, ...gptNames, 'num_experts', 'moe_top_k'],
  openelm: ['model_dim', 'num_transformer_layers', 'num_kv_heads', 'head_dim', 'vocab_size', 'max_context_length'],
  orion: llamaNames,
  ouro: [...llamaNames, 'head_dim'],
  'phi-msft': [...gptNames, ...gptAliases, 'n_head_kv'],
  phixtral: [...gptNames, ...gptAliases, 'n_head_kv', 'num_local_experts', 'num_experts_per_tok'],
  phi3small: [...llamaNames, 'ff_intermediate_size'],
  qwen: [...llamaNames, 'kv_channels', 'seq_length'],
  retnet: flaNames,
  rwkv5: rwkvNames,
  rwkv6: rwkvNames,
  rwkv7: flaNames,
  skywork: llamaNames,
  solar: llamaNames,
  stablelm_epoch: llamaNames,
  telechat: telechatNames,
  telechat2: telechatNames,
  transformer: flaNames,
  xverse: llamaNames,
  yuan: [
    ...['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'vocab_size'],
    ...['model_max_length', 'max_position_embeddings'],
    ...['moe_num_experts', 'moe_top_k', 'ffn_hidden_size'],
  ],
};
