import type { LinearPart, Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { latentAttention } from './latent.ts';
import type { MixerPlan } from './layer.ts';
import {
  gatedDelta,
  kimiDelta,
  lightning,
  type Mamba2,
  mamba1,
  mamba2,
  matrixLstm,
  recurrentGriffin,
  rwkv4,
  rwkv5,
  rwkv6,
  rwkv7,
  shortConvolution,
} from './mixers.ts';
import { bothSides, dense, experts, grouped, llamaAttention, noBias, normOf, spanOf } from './pieces.ts';
import { always, denseFirst, each } from './plan.ts';
import { depths, nextToken, predictor } from './prediction.ts';
import { stated } from './recurrent.ts';
import type { Shape } from './shape.ts';
import { alwaysOn, flag, fp32WidthNorm, headNorm, layerNorms, modeling, size, throughLatent } from './vocabulary.ts';

/** Mamba-2 by the keys that IBM's and TII's hybrids share. */
function namedMamba(shape: Shape, fields: Fields, changes: Partial<Mamba2> & { inner?: number } = {}): readonly Part[] {
  const { inner = Math.floor(fields.number('mamba_expand') * shape.hiddenSize), ...rest } = changes;
  const heads = fields.integer('mamba_n_heads');
  const bias = fields.boolean('mamba_proj_bias');
  if (inner % heads !== 0) throw fields.wrong('mamba_n_heads', `must divide the mixer's width of ${inner}`, heads);
  return mamba2(shape.hiddenSize, {
    heads,
    headDim: inner / heads,
    groups: fields.integer('mamba_n_groups'),
    states: fields.integer('mamba_d_state'),
    kernel: fields.integer('mamba_d_conv'),
    chunk: fields.integer('mamba_chunk_size'),
    bias: { in: bias, out: bias, convolution: fields.boolean('mamba_conv_bias') },
    ...rest,
  });
}

/** transformers renamed the kinds of layer: `mamba` and `linear_attention` are one, `attention` and `full_attention` too. */
const isLinear = (type: unknown): boolean => type === 'linear_attention' || type === 'mamba';

const listedIndices = (fields: Fields, key: string): ReadonlySet<unknown> => new Set(fields.list(key) ?? []);

const bamba: Family = {
  source: modeling('bamba'),
  mixers: (shape, fields) => {
    const attention = listedIndices(fields, 'attn_layer_indices');
    return each(shape, (index) => (attention.has(index) ? 'full' : 'mamba'));
  },
  attention: (shape, fields, mixer) =>
    mixer.kind === 'mamba' ? namedMamba(shape, fields) : llamaAttention(shape, fields, mixer),
  feedForwardBias: flag('mlp_bias'),
};

/** Every layer has both mixers side by side on one norm. */
const falconH1: Family = {
  source: modeling('falcon_h1'),
  mixers: always('hybrid'),
  attention: (shape, fields) => {
    const stated = fields.optionalInteger('mamba_d_ssm', 1);
    const bias = fields.boolean('mamba_proj_bias');
    return [
      ...namedMamba(shape, fields, {
        ...(stated === undefined ? {} : { inner: stated }),
        norm: fields.boolean('mamba_rms_norm'),
        bias: {
          in: bias,
          out: fields.boolean('projectors_bias'),
          convolution: fields.boolean('mamba_conv_bias'),
        },
      }),
      llamaAttention(shape, fields, { kind: 'full' }),
    ];
  },
  feedForwardBias: flag('mlp_bias'),
};

/** Granite 4: experts beside an always-on feed-forward, which is alone where there are no experts. */
const graniteHybrid: Family = {
  source: modeling('granitemoehybrid'),
  mixers: (shape, fields) => {
    const types = fields.list(['layer_types', 'layers_block_type']);
    return types?.map((type) => (isLinear(type) ? 'mamba' : 'full')) ?? each(shape, () => 'mamba');
  },
  attention: (shape, fields, mixer) =>
    mixer.kind === 'mamba'
      ? namedMamba(shape, fields)
      : { ...llamaAttention(shape, fields, mixer), rotary: fields.string('position_embedding_type') === 'rope' },
  mlps: (shape, fields) => each(shape, () => (fields.integer('num_local_experts', 0) === 0 ? 'dense' : 'experts')),
  feedForward: (shape, fields, mlp) => {
    const width = fields.integer('shared_intermediate_size', 0);
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, width, { fused: true });
    return experts(shape, fields, {
      width: fields.integer('intermediate_size'),
      ...alwaysOn(width),
    });
  },
};

// --- Nemotron-H: one block to a layer -------------------------------------------------------------------------------------

type Block = 'mamba' | 'attention' | 'mlp' | 'moe';

const blockWords: Readonly<Record<string, Block>> = {
  M: 'mamba',
  '*': 'attention',
  '-': 'mlp',
  E: 'moe',
  mamba: 'mamba',
  linear_attention: 'mamba',
  attention: 'attention',
  full_attention: 'attention',
  mlp: 'mlp',
  moe: 'moe',
};

function blockPlan(fields: Fields, listKeys: readonly string[], patternKey: string): readonly Block[] | undefined {
  const pattern = fields.states(patternKey) ? fields.string(patternKey) : undefined;
  const listed = fields.list(listKeys) ?? (pattern === undefined ? undefined : [...pattern]);
  return listed?.map((word) => {
    const known = Object.hasOwn(blockWords, String(word)) ? blockWords[String(word)] : undefined;
    if (known === undefined)
      throw fields.wrong(
        pattern === undefined ? (listKeys[0] ?? '') : patternKey,
        'names a layer that is none of mamba, attention, mlp and moe',
        word,
      );
    return known;
  });
}

const nemotronPlan = (fields: Fields): readonly Block[] =>
  blockPlan(fields, ['layers_block_type', 'layer_types'], 'hybrid_override_pattern') ?? [
    'mamba',
    'moe',
    'attention',
    'mlp',
  ];

const mixerOfBlock = (word: Block) => (word === 'mamba' || word === 'attention' ? word : 'none');
const mlpOfBlock = (word: Block) => (word === 'mlp' ? 'dense' : word === 'moe' ? 'experts' : 'none');

const nemotronH: Family = {
  source: modeling('nemotron_h'),
  tiedKeys: [],
  // The list says how many layers there are, whatever `num_hidden_layers` says.
  layers: (fields) => nemotronPlan(fields).length,
  gated: false,
  activation: 'relu2',
  mixers: (_, fields) => nemotronPlan(fields).map(mixerOfBlock),
  mlps: (_, fields) => nemotronPlan(fields).map(mlpOfBlock),
  attention: (shape, fields, mixer) => {
    if (mixer.kind !== 'mamba') return grouped(shape, { rotary: false, bias: noBias });
    const bias = fields.boolean('use_bias');
    return mamba2(shape.hiddenSize, {
      heads: fields.integer('mamba_num_heads'),
      headDim: fields.integer('mamba_head_dim'),
      groups: fields.integer(['mamba_n_groups', 'n_groups']),
      states: fields.integer('ssm_state_size'),
      kernel: fields.integer(['mamba_d_conv', 'conv_kernel']),
      chunk: fields.integer(['mamba_chunk_size', 'chunk_size']),
      bias: { in: bias, out: bias, convolution: fields.boolean(['mamba_conv_bias', 'use_conv_bias']) },
    });
  },
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const bias = fields.boolean('mlp_bias');
    if (mlp.kind === 'dense')
      return [dense(D, shape.width, { gated: false, activation: 'relu2', bias: bothSides(bias) })];
    const latent = fields.optionalInteger('moe_latent_size', 1);
    // A width of 0 means that none is stated: the always-on expert is then as wide as a dense layer.
    const shared = fields.optionalInteger('moe_shared_expert_intermediate_size') || shape.width;
    const block = experts(shape, fields, {
      inputWidth: latent ?? D,
      routerWidth: D,
      width: fields.integer('moe_intermediate_size'),
      gated: false,
      activation: 'relu2',
      correctionBias: true,
      shared: { width: shared, gate: false, inputWidth: D, bias: bothSides(bias) },
    });
    return latent === undefined ? [block] : throughLatent(D, block, { bias });
  },
  prediction: (shape, fields, layer) => {
    const depth = depths(fields, 'num_nextn_predict_layers');
    const plan = blockPlan(fields, ['mtp_layers_block_type'], 'mtp_hybrid_override_pattern') ?? ['attention', 'moe'];
    const layers = plan.flatMap((word) => layer(mixerOfBlock(word), mlpOfBlock(word)));
    const one = predictor({ source: '' }, shape.hiddenSize, layers);
    return { depth, parts: Array.from({ length: depth }, () => one).flat() };
  },
};

// --- Kimi Linear ------------------------------------------------------------------------------------------------------------

/** `linear_attn_config` names layers from 1 on. */
function kimiPlan(shape: Shape, fields: Fields): MixerPlan {
  const types = fields.list('layer_types');
  if (types) return types.map((type) => (type === 'full_attention' ? 'full' : 'delta'));
  const nested = fields.nested('linear_attn_config');
  const full = nested.list('full_attn_layers');
  if (full && nested.list('kda_layers')) {
    const set = new Set(full);
    return each(shape, (index) => (set.has(index + 1) ? 'full' : 'delta'));
  }
  return each(shape, (index) => (index > 0 && index % 4 === 0 ? 'full' : 'delta'));
}

const kimiLinear: Family = {
  source: modeling('kimi_linear'),
  tiedKeys: [],
  mixers: kimiPlan,
  attention: (shape, fields, mixer) => {
    const nested = fields.nested('linear_attn_config');
    if (mixer.kind === 'full') {
      const latent = latentAttention(shape, fields);
      const gate: LinearPart = {
        kind: 'linear',
        path: 'attention.gate',
        role: 'output_gate',
        rows: shape.hiddenSize,
        columns: latent.heads * latent.valueDim,
        bias: false,
        component: 'attention',
      };
      return fields.boolean('mla_use_output_gate') ? { ...latent, extra: [gate] } : latent;
    }
    return kimiDelta(shape.hiddenSize, {
      fullRankGate: nested.boolean('use_full_rank_gate'),
      heads: nested.integerOr('num_heads', fields.integer('linear_num_heads'), 1),
      headDim: nested.integerOr('head_dim', fields.integer('linear_head_dim'), 1),
      kernel: nested.integerOr('short_conv_kernel_size', fields.integer('linear_conv_kernel_dim'), 1),
    });
  },
  mlps: denseFirst,
  feedForward: (shape, fields, mlp) => {
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width);
    const { hiddenSize: D } = shape;
    const width = fields.integer('moe_intermediate_size');
    const shared = width * fields.integer(['n_shared_experts', 'num_shared_experts'], 0);
    const latent = fields.optionalInteger('routed_expert_hidden_size', 1);
    const block = experts(shape, fields, {
      inputWidth: latent ?? D,
      routerWidth: D,
      width,
      correctionBias: true,
      ...alwaysOn(shared, { inputWidth: D }),
    });
    return latent === undefined ? block : throughLatent(D, block, { norm: fields.boolean('latent_moe_use_norm') });
  },
  // Kimi K3 attends to what the blocks before gave: a norm and a query in front of both halves of a layer, and once at the end.
  layerExtras: (shape, fields) => attentionResidual(fields, 4 * shape.hiddenSize),
  beforeOutput: (shape, fields) => attentionResidual(fields, 2 * shape.hiddenSize),
};

const attentionResidual = (fields: Fields, elements: number): readonly Part[] =>
  fields.optionalInteger('attn_res_block_size', 1) === undefined
    ? []
    : [{ kind: 'vector', path: 'residual.attention', elements, component: 'other' }];

/** Ling and Ring, linear: lightning attention, and full or latent attention at the end of each group and in a last, shorter one. */
const bailingLinear: Family = {
  source: 'inclusionAI/Ring-mini-linear-2.0 modeling_bailing_moe_linear_v2.py',
  defaults: { layer_group_size: 1, use_qk_norm: true },
  tied: false,
  mixers: (shape, fields) => {
    const group = fields.integer('layer_group_size');
    const whole = Math.floor(shape.layers / group) * group;
    return each(shape, (index) => ((index + 1) % group === 0 || index >= whole ? 'full' : 'linear'));
  },
  attention: (shape, fields, mixer) => {
    const output = fields.boolean('use_bias');
    const bias = output || fields.boolean('use_qkv_bias');
    const queryKeyNorm = fields.boolean('use_qk_norm');
    if (mixer.kind === 'linear')
      return lightning(shape.hiddenSize, {
        heads: shape.heads,
        headDim: shape.headDim,
        // The block of its kernel; no key states it.
        chunk: 256,
        queryKeyNorm,
        bias: { in: bias, out: output },
      });
    if (fields.optionalInteger('kv_lora_rank', 1) !== undefined) return latentAttention(shape, fields);
    return grouped(shape, {
      bias: { query: bias, key: bias, value: bias, output },
      fused: true,
      ...(queryKeyNorm ? { queryKeyNorm: headNorm } : {}),
    });
  },
  mlps: denseFirst,
  feedForward: (shape, fields, mlp) => {
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width);
    const width = fields.integer('moe_intermediate_size');
    const one = fields.integerOr('moe_shared_expert_intermediate_size', width);
    const shared = one * fields.count('num_shared_experts');
    return experts(shape, fields, {
      width,
      correctionBias: fields.boolean('moe_router_enable_expert_bias'),
      ...alwaysOn(shared),
    });
  },
  prediction: nextToken('experts'),
};

// --- LFM2: short convolutions ------------------------------------------------------------------------------------------------

const lfm2: Family = {
  source: modeling('lfm2'),
  tiedKeys: ['tie_embedding', 'tie_word_embeddings'],
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    if (types) return types.map((type) => (type === 'full_attention' ? 'full' : 'conv'));
    const full = fields.list('full_attn_idxs');
    return each(shape, (index) => (full === undefined || full.includes(index) ? 'full' : 'conv'));
  },
  attention: (shape, fields, mixer) =>
    mixer.kind === 'conv'
      ? shortConvolution(shape.hiddenSize, fields.integer('conv_L_cache'), fields.boolean('conv_bias'))
      : grouped(shape, { queryKeyNorm: headNorm }),
  // Two thirds of the stated width, times a factor, rounded up to a multiple.
  width: (fields) => {
    const width = fields.integer(['block_ff_dim', 'intermediate_size']);
    if (!fields.boolean('block_auto_adjust_ff_dim')) return width;
    const factor = fields.optionalNumber('block_ffn_dim_multiplier');
    const narrowed = Math.trunc((2 * width) / 3);
    if (factor === undefined) return narrowed;
    const multiple = fields.integer('block_multiple_of');
    return multiple * Math.ceil(Math.trunc(factor * narrowed) / multiple);
  },
};

const lfm2Moe: Family = {
  ...lfm2,
  source: modeling('lfm2_moe'),
  width: size('intermediate_size'),
  mlps: (shape, fields) => {
    const first = fields.integer('num_dense_layers', 0);
    return each(shape, (index) => (index < first ? 'dense' : 'experts'));
  },
  feedForward: (shape, fields, mlp) =>
    mlp.kind === 'dense'
      ? dense(shape.hiddenSize, shape.width)
      : experts(shape, fields, {
          width: fields.integer('moe_intermediate_size'),
          correctionBias: fields.boolean('use_expert_bias'),
        }),
};

// --- OLMo Hybrid, RecurrentGemma, RWKV, xLSTM -------------------------------------------------------------------------------

/** Linear layers have norms before their blocks, as in Llama; attention layers have them after, as in OLMo 2. */
const olmoHybrid: Family = {
  source: modeling('olmo_hybrid'),
  norms: (_, mixer) => (mixer.kind === 'linear' ? 'pre' : 'post'),
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    if (types) return types.map((type) => (type === 'linear_attention' ? 'linear' : 'full'));
    const last = shape.layers - 1;
    return each(shape, (index) => (index % 4 === 3 || (last < 3 && index === last) ? 'full' : 'linear'));
  },
  attention: (shape, fields, mixer) => {
    if (mixer.kind !== 'linear')
      return {
        ...llamaAttention(shape, fields, mixer),
        queryKeyNorm: fp32WidthNorm,
      };
    const keyHeads = fields.integerOr('linear_num_key_heads', shape.heads, 1);
    const keyDim = fields.integerOr('linear_key_head_dim', Math.trunc((0.75 * shape.hiddenSize) / keyHeads), 1);
    return gatedDelta(shape.hiddenSize, {
      keyHeads,
      valueHeads: fields.integerOr('linear_num_value_heads', shape.heads, 1),
      keyDim,
      valueDim: fields.integerOr('linear_value_head_dim', 2 * keyDim, 1),
      kernel: fields.integer('linear_conv_kernel_dim'),
    });
  },
};

/** Griffin: two recurrent layers to one of local attention, unless the config lists them. */
const recurrentGemma: Family = {
  source: modeling('recurrent_gemma'),
  norm: { style: 'rms', upcast: 'weight' },
  tied: true,
  mixers: (shape, fields) => {
    const types = fields.listed('block_types');
    return each(shape, (index) => (types[index % types.length] === 'attention' ? 'sliding' : 'recurrent'));
  },
  attention: (shape, fields, mixer) => {
    const { hiddenSize: D, heads } = shape;
    if (mixer.kind === 'recurrent') {
      const width = fields.integerOr('lru_width', D, 1);
      return recurrentGriffin(D, width, heads, fields.integer('conv1d_width'));
    }
    const bias = fields.boolean('attention_bias');
    const tokens = fields.optionalInteger(['attention_window_size', 'sliding_window'], 1);
    return grouped(shape, {
      bias: { query: bias, key: bias, value: bias, output: true },
      span: tokens === undefined ? { kind: 'full' } : { kind: 'window', tokens },
    });
  },
  // The stated width is that of gate and up together.
  width: (fields) => Math.floor(fields.integer('intermediate_size') / 2),
  activation: 'gelu_tanh',
  feedForwardBias: true,
};

const rwkv: Family = {
  source: modeling('rwkv'),
  norm: layerNorms,
  embedding: (shape) => [normOf({ source: '', norm: layerNorms }, 'norm.embedding', shape.hiddenSize)],
  mixers: always('recurrent'),
  attention: (shape, fields) => rwkv4(shape.hiddenSize, fields.integerOr('attention_hidden_size', shape.hiddenSize, 1)),
  // Channel mixing: squared ReLU, and a receptance that gates what comes out.
  feedForward: (shape): readonly Part[] => channelMixing(shape.hiddenSize, shape.width, 2),
};

/** RWKV's feed-forward, with `mixes` vectors that mix in the token before. */
export const channelMixing = (D: number, width: number, mixes: number, receptance = true): readonly Part[] => [
  ...(receptance
    ? [
        {
          kind: 'linear',
          path: 'feed_forward.receptance',
          rows: D,
          columns: D,
          bias: false,
          component: 'feed_forward',
          reads: 'stream',
        } as const,
      ]
    : []),
  { kind: 'vector', path: 'feed_forward.mix', elements: mixes * D, component: 'feed_forward' },
  dense(D, width, { gated: false, activation: 'relu2' }),
];

/** RWKV-5 and 6 as their authors publish them for transformers: a feed-forward of three and a half widths. */
const rwkvWorld: Family = {
  ...rwkv,
  defaults: { head_size: 64 },
  tied: false,
  width: (fields, D) => fields.integerOr('intermediate_size', 32 * Math.floor(Math.trunc(3.5 * D) / 32), 1),
};

const receptanceOf = (shape: Shape, fields: Fields) => {
  const width = fields.integerOr('attention_hidden_size', shape.hiddenSize, 1);
  return { width, headDim: fields.integer(['head_size', 'head_dim']) };
};

const rwkvSeven: Family = {
  source: 'fla-org/flash-linear-attention, fla/layers/rwkv7.py and fla/models/rwkv7/modeling_rwkv7.py',
  norm: layerNorms,
  tied: false,
  embedding: rwkv.embedding ?? (() => []),
  // The first layer has no value of an earlier one to mix in.
  mixers: (shape) =>
    each(shape, (index) => (index === 0 ? { kind: 'recurrent', first: true, label: 'first recurrent' } : 'recurrent')),
  attention: (shape, fields, mixer) => {
    const { hiddenSize: D } = shape;
    const listed = fields.list('value_dim')?.[0];
    const values = typeof listed === 'number' ? listed : D;
    return rwkv7(
      D,
      { width: D, headDim: fields.integer(['head_dim', 'head_size']), values },
      {
        decay: fields.integer('decay_low_rank_dim'),
        rate: fields.integer('a_low_rank_dim'),
        gate: fields.integer('gate_low_rank_dim'),
        ...(mixer.first ? {} : { value: fields.integer('v_low_rank_dim') }),
      },
    );
  },
  width: (fields, D) => {
    const stated = fields.optionalInteger('intermediate_size', 1);
    return stated ?? 32 * Math.ceil((D * fields.number('hidden_ratio')) / 32);
  },
  feedForward: (shape): readonly Part[] => channelMixing(shape.hiddenSize, shape.width, 1, false),
};

const roundUp = (value: number, multiple: number) => multiple * Math.ceil(Math.trunc(value) / multiple);

const xlstm: Family = {
  source: modeling('xlstm'),
  tiedKeys: [],
  layers: (fields) => fields.optionalInteger('num_blocks', 1),
  normBias: flag('use_bias'),
  mixers: always('recurrent'),
  attention: (shape, fields) => {
    const { hiddenSize: D } = shape;
    return matrixLstm(D, {
      heads: fields.integer('num_heads'),
      keys: Math.trunc(D * fields.number('qk_dim_factor')),
      values: Math.trunc(D * fields.number('v_dim_factor')),
      chunk: fields.integer('chunk_size'),
      bias: fields.boolean('use_bias'),
    });
  },
  width: (fields, D) => roundUp(D * fields.number('ffn_proj_factor'), fields.integer('ffn_round_up_to_multiple_of')),
  feedForwardBias: flag('use_bias'),
};

// --- Zamba: transformer blocks that layers share ------------------------------------------------------------------------------

/** Layers with and without a shared block, of which the first `blocks` hold the weights that later ones use. */
const sharedPlan = (types: readonly unknown[], blocks: number): MixerPlan => {
  let met = 0;
  return types.map((type) => {
    if (type !== 'hybrid') return 'mamba';
    met += 1;
    return met <= blocks ? 'hybrid' : { kind: 'hybrid', again: true, label: 'hybrid again' };
  });
};

type Shared = {
  /** Width of what attention reads: twice the stream's. */
  readonly inputWidth: number;
  readonly width: number;
  readonly headDim: number;
  readonly bias: boolean;
  /** Rank of the low-rank pairs that each layer adds to the shared matrices, where it does. */
  readonly adapters?: { readonly rank: number; readonly attention: boolean };
};

/**
 * Attention on the stream beside the embeddings, then a feed-forward, then a matrix of the layer's own (Zamba, Glorioso et al.
 * 2024, arXiv:2405.16712, 2; with adapters: Zamba2, arXiv:2411.15242, 2.2). Its result is added to the input of the mamba.
 */
function sharedBlock(shape: Shape, holds: boolean, block: Shared): readonly Part[] {
  const { hiddenSize: D, heads: H } = shape;
  const { width: F, inputWidth: wide, adapters } = block;
  const pair = (path: string, rows: number, columns: number): readonly Part[] =>
    adapters === undefined
      ? []
      : [
          {
            kind: 'linear',
            path: `${path}_adapter_down`,
            rows,
            columns: adapters.rank,
            bias: false,
            component: 'attention',
            reads: 'stream',
          },
          {
            kind: 'linear',
            path: `${path}_adapter_up`,
            rows: adapters.rank,
            columns,
            bias: false,
            component: 'attention',
          },
        ].map((part) => ({ ...part, component: path.startsWith('feed') ? 'feed_forward' : 'attention' }) as Part);
  const own: readonly Part[] = adapters?.attention
    ? ['query', 'key', 'value'].flatMap((name) => pair(`attention.${name}`, wide, wide))
    : [];
  const norm = (path: string, width: number) => normOf({ source: '' }, path, width);
  return [
    { kind: 'shared', holds, parts: [norm('norm.attention', wide)] },
    ...own,
    {
      kind: 'shared',
      holds,
      parts: [
        grouped(
          { ...shape, headDim: block.headDim, heads: H },
          { inputWidth: wide, outputWidth: D, rotary: adapters !== undefined },
        ),
        norm('norm.feed_forward', D),
      ],
    },
    ...pair('feed_forward.gate_up', D, 2 * F),
    {
      kind: 'shared',
      holds,
      parts: [dense(D, F, { activation: 'gelu', bias: bothSides(block.bias), fused: adapters !== undefined })],
    },
    { kind: 'linear', path: 'shared_block.out', rows: D, columns: D, bias: false, component: 'other' },
  ];
}

const sharedSizes = (shape: Shape, fields: Fields) => ({
  width: shape.width,
  inputWidth: fields.optionalInteger('attention_hidden_size') || 2 * shape.hiddenSize,
  headDim:
    fields.optionalInteger(['attention_head_dim', 'head_dim']) || Math.floor((2 * shape.hiddenSize) / shape.heads),
});

const zamba: Family = {
  source: modeling('zamba'),
  tied: true,
  norms: (_, mixer) => (mixer.kind === 'mamba' ? 'pre' : 'own'),
  mixers: (shape, fields) => {
    const period = fields.integer('attn_layer_period');
    const offset = fields.integer('attn_layer_offset', 0);
    const plan = Array.from({ length: Math.max(0, shape.layers - 3) }, (_, index) =>
      index % period === offset ? 'hybrid' : 'mamba',
    );
    return sharedPlan(fields.list('layers_block_type') ?? ['mamba', 'mamba', 'hybrid', ...plan], 1);
  },
  mlps: always('none'),
  attention: (shape, fields, mixer) => {
    const { hiddenSize: D } = shape;
    const mamba = mamba1(D, {
      inner: fields.integer('mamba_expand') * D,
      states: fields.integer('mamba_d_state'),
      kernel: fields.integer('mamba_d_conv'),
      rank: stated(fields, 'mamba_dt_rank', Math.ceil(D / 16)),
      bias: { projection: fields.boolean('mamba_proj_bias'), convolution: fields.boolean('mamba_conv_bias') },
    });
    if (mixer.kind === 'mamba') return mamba;
    const block = sharedBlock(shape, !mixer.again, { ...sharedSizes(shape, fields), bias: false });
    return [...block, normOf({ source: '' }, 'norm.state_space_input', D), ...mamba];
  },
};

/** The list that the class has says how many layers there are, whatever `num_hidden_layers` says. */
const zamba2Types = (fields: Fields): readonly unknown[] => fields.listed('layers_block_type');

const zamba2: Family = {
  source: modeling('zamba2'),
  tied: true,
  norms: (_, mixer) => (mixer.kind === 'mamba' ? 'pre' : 'own'),
  layers: (fields) => zamba2Types(fields).length,
  width: (fields, D) => fields.optionalInteger('intermediate_size') || 4 * D,
  mixers: (_, fields) => sharedPlan(zamba2Types(fields), fields.integer('num_mem_blocks')),
  mlps: always('none'),
  attention: (shape, fields, mixer) => {
    const { hiddenSize: D } = shape;
    const heads = fields.integer('n_mamba_heads');
    const bias = fields.boolean('add_bias_linear');
    const inner = Math.floor(fields.number('mamba_expand') * D);
    if (inner % heads !== 0) throw fields.wrong('n_mamba_heads', `must divide the mixer's width of ${inner}`, heads);
    const mamba = mamba2(D, {
      heads,
      headDim: inner / heads,
      groups: fields.integer('mamba_ngroups'),
      states: fields.integer('mamba_d_state'),
      kernel: fields.integer('mamba_d_conv'),
      chunk: fields.integer('chunk_size'),
      bias: { in: bias, out: bias, convolution: true },
    });
    if (mixer.kind === 'mamba') return mamba;
    const block = sharedBlock(shape, !mixer.again, {
      ...sharedSizes(shape, fields),
      bias,
      adapters: {
        rank: fields.integer('adapter_rank'),
        attention: fields.boolean('use_shared_attention_adapter'),
      },
    });
    return [...block, normOf({ source: '' }, 'norm.state_space_input', D), ...mamba];
  },
};

// --- ZAYA1: compressed convolutional attention ---------------------------------------------------------------------------------

const zaya: Family = {
  source: modeling('zaya'),
  tied: true,
  embedding: (shape) => [
    { kind: 'vector', path: 'embedding.scale', elements: 2 * shape.hiddenSize, component: 'embedding' },
  ],
  mixers: (shape, fields) => {
    const types = fields.list('layer_types') ?? each(shape, () => 'hybrid');
    return types.map((type) => (type === 'hybrid_sliding' ? 'sliding' : 'full'));
  },
  attention: (shape, fields, mixer) => {
    const { heads: H, keyValueHeads: K, headDim: d } = shape;
    const bias = fields.boolean('attention_bias');
    const channels = (H + K) * d;
    return grouped(shape, {
      bias: { query: bias, key: bias, value: bias, output: bias },
      span: spanOf(mixer, fields),
      extra: [
        {
          kind: 'vector',
          path: 'attention.convolution',
          elements: channels * fields.integer('cca_time0') + channels,
          component: 'attention',
          flopsPerToken: 2 * channels * fields.integer('cca_time0'),
        },
        {
          kind: 'linear',
          path: 'attention.head_convolution',
          rows: d * fields.integer('cca_time1'),
          columns: d,
          bias: true,
          component: 'attention',
          copies: H + K,
          used: H + K,
        },
        { kind: 'vector', path: 'attention.temperature', elements: K, component: 'attention' },
      ],
    });
  },
  // The first router has no state of a router before it.
  mlps: (shape) =>
    each(shape, (index) => (index === 0 ? { kind: 'experts', first: true, label: 'first experts' } : 'experts')),
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const R = fields.integer('router_hidden_size');
    const layer = (path: string, rows: number): Part => ({
      kind: 'linear',
      path: `router.${path}`,
      rows,
      columns: R,
      bias: true,
      component: 'router',
      sharding: 'replicated',
      reads: 'stream',
    });
    return [
      layer('down', D),
      { kind: 'vector', path: 'router.scale', elements: mlp.first ? 0 : R, component: 'router' },
      { kind: 'vector', path: 'router.norm', elements: R, component: 'norm' },
      layer('first', R),
      layer('second', R),
      experts(shape, fields, {
        routerWidth: R,
        width: fields.integer('moe_intermediate_size'),
        correctionBias: true,
        // The router may also choose no expert at all.
        zeroExperts: 1,
      }),
    ];
  },
  layerExtras: (shape) => [
    { kind: 'vector', path: 'residual.scales', elements: 8 * shape.hiddenSize, component: 'other' },
  ],
  outputBias: flag('lm_head_bias'),
};

export const hybridFamilies: Readonly<Record<string, Family>> = {
  bamba,
  falcon_h1: falconH1,
  granitemoehybrid: graniteHybrid,
  nemotron_h: nemotronH,
  kimi_linear: kimiLinear,
  bailing_moe_linear: bailingLinear,
  bailing_hybrid: bailingLinear,
  lfm2,
  lfm2_moe: lfm2Moe,
  olmo_hybrid: olmoHybrid,
  recurrent_gemma: recurrentGemma,
  rwkv,
  rwkv5: {
    ...rwkvWorld,
    source: 'RWKV/rwkv-5-world modeling_rwkv5.py',
    attention: (shape, fields) => rwkv5(shape.hiddenSize, receptanceOf(shape, fields)),
  },
  rwkv6: {
    ...rwkvWorld,
    source: 'RWKV/rwkv-6-world modeling_rwkv6.py',
    attention: (shape, fields) => {
      const wide = shape.hiddenSize === 4096;
      const rank = { mix: wide ? 64 : 32, decay: wide ? 128 : 64 };
      return rwkv6(shape.hiddenSize, receptanceOf(shape, fields), rank);
    },
  },
  rwkv7: rwkvSeven,
  xlstm,
  zamba,
  zamba2,
  zaya,
};
