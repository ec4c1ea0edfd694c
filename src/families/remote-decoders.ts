import type { GroupedAttention, Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { Mixer } from './layer.ts';
import { dense, experts, fullBias, grouped, inputBias, table } from './pieces.ts';
import { always, denseFirst, each } from './plan.ts';
import type { Shape } from './shape.ts';
import {
  alwaysOn,
  denseWith,
  flag,
  fourTimes,
  groupedWith,
  headNorm,
  layerNorms,
  multiHead,
  widthNorm,
} from './vocabulary.ts';

/** Decoders of their authors' own code whose blocks have something that no family of Transformers has. */

const matrix = (
  path: string,
  rows: number,
  columns: number,
  component: 'router' | 'attention' | 'embedding',
  bias = false,
): Part & { readonly kind: 'linear' } => ({ kind: 'linear', path, rows, columns, bias, component });

// --- GLM and ChatGLM before their second editions -----------------------------------------------------------------------------

/** ChatGLM-6B: LayerNorms, biases everywhere, a feed-forward without a gate, two positions for each token. */
const chatglm1: Family = {
  source: 'THUDM/chatglm-6b modeling_chatglm.py',
  defaults: { hidden_size: 4096, num_layers: 28, num_attention_heads: 32, vocab_size: 150_528 },
  norm: layerNorms,
  attention: multiHead({ bias: fullBias, fused: true }),
  width: fourTimes('inner_hidden_size'),
  gated: false,
  activation: 'gelu_tanh',
  feedForwardBias: true,
  tied: true,
};

/** GLM (Du et al. 2021, arXiv:2103.10360): learned positions within the text and within the span that is written. */
const glm1: Family = {
  source: 'THUDM/glm-10b modeling_glm.py',
  defaults: {
    hidden_size: 1024,
    num_layers: 24,
    num_attention_heads: 16,
    vocab_size: 30_592,
    max_sequence_length: 512,
  },
  norm: layerNorms,
  attention: multiHead({ bias: fullBias, rotary: false, fused: true }),
  width: fourTimes(),
  gated: false,
  activation: 'gelu_tanh',
  feedForwardBias: true,
  tied: true,
  embedding: ({ hiddenSize: D }, fields) => {
    const length = fields.integer('max_sequence_length');
    if (fields.states('block_position_encoding') && !fields.boolean('block_position_encoding'))
      return [table('embedding.position', length, D)];
    return [table('embedding.position', length + 1, D), table('embedding.block_position', length + 1, D)];
  },
  assumes: [
    {
      field: 'cache',
      value: 'keys and values',
      reason: "its own code keeps each layer's input instead, which is half as much",
    },
  ],
};

// --- experts beside what is dense -------------------------------------------------------------------------------------------

/** Grok 2: as Grok 1, with a dense feed-forward beside the experts. */
const grok2: Family = {
  source: 'sgl-project/sglang python/sglang/srt/models/grok.py',
  defaults: { head_dim: 128 },
  norms: 'sandwich',
  attention: groupedWith({ softcapped: true, fused: true }),
  mlps: always('experts'),
  feedForward: (shape, fields): readonly Part[] => [
    ...(fields.boolean('residual_moe')
      ? [dense(shape.hiddenSize, shape.width, { activation: 'gelu_tanh', fused: true })]
      : []),
    experts(shape, fields, {
      width: fields.integer(['moe_intermediate_size', 'intermediate_size']),
      activation: 'gelu_tanh',
    }),
  ],
  tied: false,
};

/** MiniCPM-MoE: a mixture in place of each feed-forward, each expert as wide as that of the dense model. */
const minicpmMoe: Family = {
  source: 'openbmb/MiniCPM-MoE-8x2B modeling_minicpm.py',
  defaultsOf: 'llama',
  attention: groupedWith(),
  mlps: always('experts'),
  feedForward: (shape, fields) => experts(shape, fields, { width: shape.width }),
  tied: true,
};

/** LLaMA-MoE (arXiv:2406.16554): Llama's feed-forward cut into experts, and a router of two matrices with a third for noise. */
const llamaMoe: Family = {
  source: 'llama-moe/LLaMA-MoE-v1-3_5B-4_16 modeling_llama_moe_hf.py',
  defaultsOf: 'llama',
  defaults: { num_experts: 16, num_selects: 4 },
  mlps: always('experts'),
  feedForward: (shape, fields): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const count = fields.integer('num_experts');
    const width = shape.width / count;
    if (!Number.isInteger(width))
      throw fields.wrong('num_experts', `must divide the feed-forward's width ${shape.width}`, count);
    const deep = (fields.string('gate_network') ?? 'mlp') === 'mlp';
    const noisy = !fields.states('gate_add_noise') || fields.boolean('gate_add_noise');
    return [
      experts(shape, fields, { active: fields.integer('num_selects'), width }),
      ...(deep ? [matrix('router.second', count, count, 'router')] : []),
      ...(noisy ? [matrix('router.noise', D, count, 'router')] : []),
    ];
  },
  tied: false,
};

/** Hunyuan-Large (arXiv:2411.02265): layers in between read the keys and values of the one before them. */
const hunyuan: Family = {
  source: 'tencent/Tencent-Hunyuan-Large modeling_hunyuan.py',
  defaults: { num_shared_expert: 1 },
  mixers: (shape, fields) => {
    const share = fields.boolean('use_cla') ? fields.every('cla_share_factor') : 1;
    return each(shape, (index): Mixer | 'full' =>
      index % share === 0 ? 'full' : { kind: 'full', sharedKeyValue: true, label: 'shared keys' },
    );
  },
  attention: (shape, fields, mixer) =>
    grouped(shape, {
      ...(fields.boolean('attention_bias') ? { bias: fullBias } : {}),
      ...(mixer.sharedKeyValue ? { sharedKeyValue: true } : {}),
      ...(fields.boolean('use_qk_norm') ? { queryKeyNorm: headNorm } : {}),
    }),
  // A layer that projects no keys holds the norm on them all the same.
  layerExtras: (shape, fields, mixer) =>
    mixer.sharedKeyValue && fields.boolean('use_qk_norm')
      ? [{ kind: 'vector', path: 'attention.key_norm', elements: shape.headDim, component: 'norm' }]
      : [],
  mlps: (shape, fields) => each(shape, () => (fields.count('num_experts') > 1 ? 'experts' : 'dense')),
  feedForward: (shape, fields, mlp) =>
    mlp.kind === 'dense'
      ? dense(shape.hiddenSize, shape.width)
      : experts(shape, fields, {
          active: fields.integer('moe_topk'),
          width: shape.width,
          ...(fields.boolean('use_mixed_mlp_moe') ? alwaysOn(shape.width * fields.integer('num_shared_expert')) : {}),
        }),
  tied: false,
};

// --- Yuan 2.0 (Wu et al. 2023, arXiv:2311.15786; M32: 2024, arXiv:2405.17976) -------------------------------------------------

/** In front of queries and keys two convolutions over each token and the one before it, through half the width, and a norm. */
const filter = (D: number): GroupedAttention['extra'] => [
  matrix('attention.filter_in', 2 * D, Math.floor(D / 2), 'attention', true),
  matrix('attention.filter_out', 2 * Math.floor(D / 2), D, 'attention', true),
  { kind: 'norm', path: 'attention.filter_norm', width: D, style: 'rms', weight: true, bias: false },
];

/** Experts are chosen by an attention among them: a query, a key and a value for each. */
function yuanExperts({ hiddenSize: D }: Shape, config: Fields): readonly Part[] {
  const count = config.integer('moe_num_experts');
  const active = config.integer('moe_top_k');
  if (active > count) throw config.wrong('moe_top_k', `must be at most the ${count} experts`, active);
  const gated = !config.states('gated_linear_unit') || config.boolean('gated_linear_unit');
  return [
    {
      kind: 'experts',
      inputWidth: D,
      experts: count,
      active,
      width: config.integer('ffn_hidden_size'),
      gated,
      activation: 'silu',
      bias: { router: false, up: false, down: false },
    },
    matrix('router.key_value', D, 2 * count, 'router'),
  ];
}

const yuan: Family = {
  source: 'IEITYuan/Yuan2-M32-hf yuan_moe_hf_model.py',
  attention: (shape, fields) => {
    if (fields.boolean('use_shareqk'))
      throw fields.wrong('use_shareqk', 'must be false: one matrix for queries and keys is not counted', true);
    const width = fields.optionalInteger('attention_projection_size', 1) ?? shape.hiddenSize;
    const sizes = { ...shape, keyValueHeads: shape.heads, headDim: Math.floor(width / shape.heads) };
    const extra = filter(shape.hiddenSize);
    return grouped(sizes, extra === undefined ? {} : { extra });
  },
  mlps: (shape, fields) =>
    each(shape, () => (fields.nested('moe_config').count('moe_num_experts') > 0 ? 'experts' : 'dense')),
  feedForward: (shape, fields, mlp) =>
    mlp.kind === 'dense' ? dense(shape.hiddenSize, shape.width) : yuanExperts(shape, fields.nested('moe_config')),
  tied: true,
};

// --- Huginn (Geiping et al. 2025, arXiv:2502.05171): a stack that runs again and again ---------------------------------------

const stacks = (fields: Fields) => ({
  prelude: fields.integer('n_layers_in_prelude', 0),
  core: fields.integer('n_layers_in_recurrent_block'),
  coda: fields.integer('n_layers_in_coda', 0),
  loops: fields.integer('mean_recurrence'),
});

/** The first layer of each loop joins what the prelude gave with what the loop before gave. */
const coreLayer = (loop: number, index: number): Mixer => {
  const first = index === 0 ? ({ first: true } as const) : {};
  const label = `loop${index === 0 ? ' start' : ''}`;
  return loop === 0
    ? { kind: 'recurrent', label, ...first }
    : { kind: 'recurrent', label: `${label} again`, again: true, ...first };
};

const huginn: Family = {
  source: 'tomg-group-umd/huginn-0125 raven_modeling_minimal.py',
  defaults: {
    ...{ n_embd: 5280, n_heads: 55, vocab_size: 65_536, intermediate_size: 17_920, padding_multiple: 4096 },
    ...{ n_layers_in_prelude: 2, n_layers_in_recurrent_block: 4, n_layers_in_coda: 2, mean_recurrence: 32 },
    qk_bias: true,
  },
  norms: 'sandwich',
  layers: (fields) => {
    const { prelude, core, coda, loops } = stacks(fields);
    return prelude + core * loops + coda;
  },
  mixers: (_, fields) => {
    const { prelude, core, coda, loops } = stacks(fields);
    const steps = Array.from({ length: loops * core }, (_none, step) =>
      coreLayer(Math.floor(step / core), step % core),
    );
    const around = (count: number): readonly 'full'[] => Array.from({ length: count }, () => 'full');
    return [...around(prelude), ...steps, ...around(coda)];
  },
  repeats: true,
  vocabulary: (fields) => {
    const multiple = fields.every('padding_multiple');
    return (
      fields.optionalInteger('padded_vocab_size', 1) ?? multiple * Math.ceil(fields.integer('vocab_size') / multiple)
    );
  },
  attention: groupedWith({ fused: true }),
  feedForward: denseWith({ fused: true }),
  layerStart: ({ hiddenSize: D }, fields, mixer) =>
    mixer.first ? [matrix('adapter', 2 * D, D, 'embedding', fields.boolean('bias'))] : [],
  layerExtras: (shape, fields) =>
    fields.boolean('qk_bias')
      ? [
          {
            kind: 'vector',
            path: 'attention.biases',
            elements: 2 * shape.heads * shape.headDim,
            component: 'attention',
          },
        ]
      : [],
  tiedKeys: ['tie_embeddings', 'tie_word_embeddings'],
  tied: true,
  assumes: [
    {
      field: 'mean_backprop_depth',
      value: 'every loop',
      reason:
        'the number of loops is drawn anew for each step: `mean_recurrence` is taken, and a backward pass through all of them; training stops it after some',
    },
  ],
};

// --- LLaDA (Nie et al. 2025, arXiv:2502.09992): a text that is filled in, not continued ----------------------------------------

const diffuses = {
  field: 'attention',
  value: 'not causal',
  reason: 'a masked diffusion model reads and fills in the whole text at once: nothing is cached',
} as const;

/** Norms have biases where the rest has, unless a key says otherwise. */
const biasedNorms = (fields: Fields): boolean =>
  fields.boolean(fields.states('bias_for_layer_norm') ? 'bias_for_layer_norm' : 'include_bias');

const lladaWidth = (fields: Fields, D: number): number => {
  const stated = fields.optionalInteger(['mlp_hidden_size', 'intermediate_size'], 1);
  // Files state the ratio beside a width that does not follow from it.
  if (stated !== undefined && fields.states('mlp_ratio')) return stated;
  return stated ?? Math.floor(D * fields.number('mlp_ratio'));
};

/** The one block and norm that its published models have. */
function refuseOtherBlocks(fields: Fields): void {
  const block = fields.string('block_type') ?? 'llama';
  if (block !== 'llama') throw fields.wrong('block_type', 'must be llama', block);
  const norm = fields.string('layer_norm_type') ?? 'rms';
  if (!/rms$/.test(norm)) throw fields.wrong('layer_norm_type', 'must be rms', norm);
}

const llada: Family = {
  source: 'GSAI-ML/LLaDA-8B-Base modeling_llada.py',
  defaults: { mlp_ratio: 4 },
  assumes: [diffuses],
  vocabulary: (fields) => fields.optionalInteger('embedding_size', 1) ?? fields.integer('vocab_size'),
  width: lladaWidth,
  normBias: biasedNorms,
  // The last norm's bias, which the layers' leave out.
  beforeOutput: ({ hiddenSize: D }, fields) =>
    biasedNorms(fields) ? [{ kind: 'vector', path: 'final_norm_bias', elements: D, component: 'norm' }] : [],
  attention: (shape, fields) => {
    refuseOtherBlocks(fields);
    const output = fields.boolean('include_bias');
    const inputs = output || fields.boolean('include_qkv_bias');
    const keyValueHeads = fields.boolean('multi_query_attention') ? 1 : shape.keyValueHeads;
    return grouped(
      { ...shape, keyValueHeads },
      {
        causal: false,
        cached: false,
        bias: { query: inputs, key: inputs, value: inputs, output },
        ...(fields.boolean('attention_layer_norm')
          ? { queryKeyNorm: { ...widthNorm, bias: biasedNorms(fields) } }
          : {}),
      },
    );
  },
  feedForwardBias: flag('include_bias'),
  // Where the output is the token table it has none.
  outputBias: (fields) =>
    fields.boolean('include_bias') && fields.states('weight_tying') && !fields.boolean('weight_tying'),
  tiedKeys: ['weight_tying'],
  tied: true,
};

const lladaMoe: Family = {
  source: 'inclusionAI/LLaDA-MoE-7B-A1B-Base modeling_lladamoe.py',
  assumes: [diffuses],
  width: (fields) => fields.integer('dense_intermediate_size'),
  attention: (shape, fields) =>
    grouped(shape, {
      causal: false,
      cached: false,
      ...(fields.boolean('attention_bias') ? { bias: fullBias } : {}),
      ...(fields.boolean('qk_layernorm') ? { queryKeyNorm: headNorm } : {}),
    }),
  mlps: denseFirst,
  feedForward: (shape, fields, mlp) =>
    mlp.kind === 'dense'
      ? dense(shape.hiddenSize, shape.width)
      : experts(shape, fields, {
          width: fields.integer('expert_intermediate_size'),
          correctionBias: fields.boolean('moe_router_enable_expert_bias'),
          ...alwaysOn(fields.count('shared_expert_intermediate_size')),
        }),
  tied: false,
};

// --- Molmo (Deitke et al. 2024, arXiv:2409.17146): the language model of it ---------------------------------------------------

const molmo: Family = {
  source: 'allenai/Molmo-7B-D-0924 modeling_molmo.py',
  norms: (fields) => (fields.boolean('norm_after') ? 'post' : 'pre'),
  vocabulary: (fields) => fields.optionalInteger('embedding_size', 1) ?? fields.integer('vocab_size'),
  // The stated width is that of gate and up together.
  width: (fields) => Math.floor(fields.integer('intermediate_size') / 2),
  attention: (shape, fields) => {
    const bias = fields.boolean('qkv_bias');
    return grouped(shape, {
      bias: { query: bias, key: bias, value: bias, output: false },
      fused: true,
      ...(fields.boolean('attention_layer_norm') ? { queryKeyNorm: widthNorm } : {}),
    });
  },
  feedForward: denseWith({ fused: true }),
  // Rows for what marks an image, which the output lacks.
  embedding: (shape, fields) => [
    table('embedding.additional', fields.integer('additional_vocab_size', 0), shape.hiddenSize),
  ],
  defaults: { additional_vocab_size: 128 },
  tiedKeys: ['weight_tying', 'tie_word_embeddings'],
  tied: true,
};

// --- Phixtral: experts that were feed-forwards of Phi 2 each ------------------------------------------------------------------

const phixtral: Family = {
  source: 'mlabonne/phixtral-4x2_8 modeling_phi.py',
  defaultsOf: 'phi',
  norm: layerNorms,
  norms: 'single',
  attention: multiHead({ bias: fullBias, rotaryJoined: true }),
  width: fourTimes('n_inner'),
  mlps: always('experts'),
  feedForward: (shape, fields) =>
    experts(shape, fields, {
      width: shape.width,
      gated: false,
      activation: 'gelu_new',
      bias: { router: false, up: true, down: true },
    }),
  outputBias: () => true,
};

// --- Ouro (Zhu et al. 2025, arXiv:2510.25741): all layers run again and again -------------------------------------------------

/** Each pass through the layers keeps keys and values of its own. */
const ouro: Family = {
  source: 'ByteDance/Ouro-1.4B modeling_ouro.py',
  defaults: { total_ut_steps: 4 },
  norms: 'sandwich',
  layers: (fields) => fields.integer('num_hidden_layers') * fields.integer('total_ut_steps'),
  mixers: (shape, fields) => {
    const each = fields.integer('num_hidden_layers');
    return Array.from({ length: shape.layers }, (_none, step): Mixer | 'full' =>
      step < each ? 'full' : { kind: 'full', label: 'again', again: true },
    );
  },
  repeats: true,
  attention: groupedWith(),
  // A token may leave after each pass.
  beforeOutput: ({ hiddenSize: D }) => [matrix('exit', D, 1, 'router', true)],
};

// --- Dream (Ye et al. 2025, arXiv:2508.15487): Qwen 2.5 that fills in masked tokens -------------------------------------------

const dream: Family = {
  source: 'Dream-org/Dream-v0-Instruct-7B modeling_dream.py',
  assumes: [diffuses],
  attention: groupedWith({ causal: false, cached: false, bias: inputBias }),
};

export const remoteDecoders: Readonly<Record<string, Family>> = {
  Dream: dream,
  huginn_raven: huginn,
  hunyuan,
  llada,
  llama_moe: llamaMoe,
  molmo,
  ouro,
  yuan,
};

/** Rows of variants: `variants.ts` says which files are theirs. */
export const decoderVariants: Readonly<Record<string, Family>> = {
  chatglm1,
  glm1,
  grok2,
  llada_moe: lladaMoe,
  minicpm_moe: minicpmMoe,
  phixtral,
};
