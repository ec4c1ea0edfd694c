import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { type MixerPlan, mixerOf } from './layer.ts';
import { bothSides, dense, experts, fullBias, grouped, llamaAttention, noBias, spanOf } from './pieces.ts';
import { always, denseFirst, denseUntil, each, everyNth, fullEvery, listedOr, pattern, slidingPlan } from './plan.ts';
import { nextToken } from './prediction.ts';
import { names, type Shape } from './shape.ts';
import {
  alwaysOn,
  denseOrExperts,
  flag,
  fp32WidthNorm,
  groupedBy,
  headNorm,
  inputBiasBy,
  llamaWith,
  modeling,
  size,
} from './vocabulary.ts';

/** Families whose feed-forward is a mixture of experts behind grouped attention. */

// --- Llama 4 ------------------------------------------------------------------------------------------------------------

/** Rotary layers attend within chunks, each fourth layer everywhere and without positions. */
const llama4Plan = (shape: Shape, fields: Fields): MixerPlan => {
  const rotary = fields.list('no_rope_layers');
  const every = fields.integer('no_rope_layer_interval');
  return each(shape, (index) =>
    (rotary !== undefined && rotary.length > 0 ? rotary[index] === 1 : (index + 1) % every !== 0) ? 'chunked' : 'full',
  );
};

const llama4: Family = {
  source: modeling('llama4'),
  mixers: listedOr(llama4Plan),
  // Queries and keys are normalised without weights, on layers with rotary positions.
  attention: (shape, fields, mixer) => ({
    ...llamaAttention(shape, fields, mixer),
    rotary: mixer.kind === 'chunked',
    ...(mixer.kind === 'chunked' && fields.boolean('use_qk_norm')
      ? { queryKeyNorm: { over: 'head', style: 'rms', weight: false, bias: false } as const }
      : {}),
  }),
  mlps: (shape, fields) => {
    const step = fields.integer('interleave_moe_layer_step', 0);
    const listed = fields.list('moe_layers');
    return each(shape, (index) =>
      (listed ? listed.includes(index) : step > 0 && (index + 1) % step === 0) ? 'experts' : 'dense',
    );
  },
  feedForward: (shape, fields, mlp) => {
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, fields.integer('intermediate_size_mlp'));
    const width = fields.integer('intermediate_size');
    return experts(shape, fields, { width, shared: { width, gate: false } });
  },
};

// --- MiMo-V2-Flash ------------------------------------------------------------------------------------------------------

/** A list of numbers or words for each layer, as older files have it. */
const flagged = <Kind>(fields: Fields, key: string, yes: Kind, no: Kind): readonly Kind[] | undefined =>
  fields.list(key)?.map((value) => (value === 1 || value === true ? yes : no));

const mimoV2: Family = {
  source: modeling('mimo_v2_flash'),
  mixers: (shape, fields) =>
    fields.list('layer_types')
      ? slidingPlan(shape, fields)
      : (flagged(fields, 'hybrid_layer_pattern', 'sliding', 'full') ??
        each(shape, (index) => (index === 0 || (index + 1) % 6 === 0 ? 'full' : 'sliding'))),
  // Layers with a window have twice as many key/value heads, and sinks; the class reads no key for either.
  attention: (shape, fields, mixer) => {
    const slides = mixer.kind === 'sliding';
    return grouped(
      { ...shape, keyValueHeads: slides ? 2 * shape.keyValueHeads : shape.keyValueHeads },
      {
        valueHeadDim: fields.integerOr('v_head_dim', shape.headDim, 1),
        bias: inputBiasBy(fields, 'attention_bias'),
        span: spanOf(mixer, fields),
        sinks: slides,
      },
    );
  },
  mlps: (shape, fields) =>
    fields.list(['mlp_layer_types', 'moe_layer_freq']) ? denseFirst(shape, fields) : denseUntil(() => 1)(shape, fields),
  feedForward: denseOrExperts({ shared: { times: 'n_shared_experts' }, correctionBias: true }),
};

// --- MiniMax-M3 ---------------------------------------------------------------------------------------------------------

/** Keys of an older file's `sparse_attention_config`, and what they are called now. */
const sparse = (fields: Fields, key: string, old: string): number => {
  const before = fields.nested('sparse_attention_config');
  return before.states(old) ? before.integer(old, 0) : fields.integer(key, 0);
};

/** Blocks of keys that a small indexer chooses for each query. */
const minimaxM3: Family = {
  source: modeling('minimax_m3_vl'),
  norm: { style: 'rms', upcast: 'weight' },
  activation: 'swiglu_oai',
  width: size(['dense_intermediate_size', 'intermediate_size']),
  mixers: (shape, fields) => {
    const listed = fields.list('layer_types');
    if (listed) return listed.map((type) => (type === 'minimax_m3_sparse' ? 'sparse' : 'full'));
    const frequency = fields.nested('sparse_attention_config').list('sparse_attention_freq');
    return frequency
      ? frequency.map((value) => (value === 0 || value === false ? 'full' : 'sparse'))
      : each(shape, () => 'full');
  },
  attention: (shape, fields, mixer) => {
    const norm = { ...headNorm, upcast: 'weight' } as const;
    if (mixer.kind === 'full') return grouped(shape, { queryKeyNorm: norm });
    const block = sparse(fields, 'index_block_size', 'sparse_block_size');
    const blocks = sparse(fields, 'index_topk_blocks', 'sparse_topk_blocks');
    return grouped(shape, {
      queryKeyNorm: norm,
      span: { kind: 'selected', tokens: block * blocks },
      indexer: {
        heads: sparse(fields, 'index_n_heads', 'sparse_num_index_heads'),
        headDim: sparse(fields, 'index_head_dim', 'sparse_index_dim'),
        norms: 'query and key',
        weighted: false,
      },
    });
  },
  mlps: (shape, fields) =>
    fields.list(['mlp_layer_types', 'moe_layer_freq']) ? denseFirst(shape, fields) : always('experts')(shape),
  feedForward: (shape, fields, mlp) => {
    const activation = 'swiglu_oai';
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width, { activation, fused: true });
    const shared = fields.count('shared_intermediate_size');
    return experts(shape, fields, {
      width: fields.integer('intermediate_size'),
      activation,
      correctionBias: true,
      ...alwaysOn(shared),
    });
  },
};

// --- Doge ---------------------------------------------------------------------------------------------------------------

/** Attention that keeps a window's worth of keys, chosen by their values; residuals with learned scales (arXiv:2412.11834). */
const doge: Family = {
  source: modeling('doge'),
  attention: (shape, fields) => {
    const bias = fields.boolean('attention_bias');
    return grouped(shape, {
      bias: bias ? fullBias : noBias,
      queryKeyNorm: headNorm,
      span: { kind: 'selected', tokens: fields.integer('keep_window_size') },
      extra: [
        {
          kind: 'linear',
          path: 'attention.time_step',
          rows: shape.keyValueHeads * shape.headDim,
          columns: shape.keyValueHeads,
          bias,
          component: 'attention',
        },
        { kind: 'vector', path: 'attention.decay', elements: shape.keyValueHeads, component: 'attention' },
      ],
    });
  },
  // Besides the feed-forward, single rows of two tables, found by two halves of a key (cross-domain experts).
  feedForward: (shape, fields): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const plain = dense(D, shape.width, { bias: bothSides(fields.boolean('mlp_bias')) });
    if (!fields.boolean('is_moe')) return [plain];
    const copies = fields.integer('num_experts');
    const used = fields.integer('num_experts_per_tok');
    const one = { kind: 'linear', bias: false } as const;
    const keys = 2 * Math.floor(Math.sqrt(copies));
    return [
      { ...one, path: 'router', role: 'router', rows: D, columns: keys, component: 'router', sharding: 'replicated' },
      {
        ...one,
        path: 'experts.down',
        role: 'down',
        rows: D,
        columns: 1,
        component: 'experts',
        copies,
        used,
        sharding: 'expert',
      },
      {
        ...one,
        path: 'experts.up',
        role: 'up',
        rows: 1,
        columns: D,
        component: 'experts',
        copies,
        used,
        sharding: 'expert',
      },
      plain,
    ];
  },
  layerExtras: ({ hiddenSize: D }) => [
    { kind: 'vector', path: 'residual_scales', elements: 2 * D, component: 'other' },
  ],
};

// --- Inkling ------------------------------------------------------------------------------------------------------------

/** A short convolution over `channels`: `kernel` weights for each. */
const convolution = (path: string, channels: number, kernel: number, component: 'attention' | 'feed_forward') =>
  ({
    kind: 'vector',
    path,
    elements: channels * kernel,
    component,
    flopsPerToken: 2 * channels * kernel,
  }) as const;

/** Attention whose positions are profiles of distance that each token mixes; short convolutions on keys, values and blocks. */
const inkling: Family = {
  source: modeling('inkling'),
  defaultsOf: 'inkling_text',
  tiedKeys: [],
  embedding: (shape) => [
    { kind: 'norm', path: 'norm.embedding', width: shape.hiddenSize, style: 'rms', weight: true, bias: false },
  ],
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    const local = fields.list('local_layer_ids');
    return each(shape, (index) =>
      (types ? types[index] === 'hybrid_sliding' : local ? local.includes(index) : (index + 1) % 6 !== 0)
        ? 'sliding'
        : 'full',
    );
  },
  attention: (shape, fields, mixer) => {
    const slides = mixer.kind === 'sliding';
    const window = fields.integer(['sliding_window_size', 'sliding_window']);
    const own: Shape = slides
      ? {
          ...shape,
          heads: fields.integer('swa_num_attention_heads'),
          keyValueHeads: fields.integer('swa_num_key_value_heads'),
          headDim: fields.integer('swa_head_dim'),
        }
      : shape;
    const kernel = fields.integer(['conv_kernel_size', 'sconv_kernel_size']);
    const profiles = fields.integer('d_rel');
    const extent = slides ? window : fields.integer('rel_extent');
    const keys = own.keyValueHeads * own.headDim;
    return grouped(own, {
      rotary: false,
      queryKeyNorm: headNorm,
      span: slides ? { kind: 'window', tokens: window } : { kind: 'full' },
      extra: [
        {
          kind: 'linear',
          path: 'attention.relative',
          rows: shape.hiddenSize,
          columns: own.heads * profiles,
          bias: false,
          component: 'attention',
        },
        {
          kind: 'vector',
          path: 'attention.distance_profiles',
          elements: profiles * extent,
          component: 'attention',
          flopsPerToken: 2 * own.heads * profiles * extent,
        },
        convolution('attention.key_convolution', keys, kernel, 'attention'),
        convolution('attention.value_convolution', keys, kernel, 'attention'),
      ],
    });
  },
  width: size(['dense_intermediate_size', 'intermediate_size']),
  mlps: denseUntil((fields) => fields.count('dense_mlp_idx')),
  feedForward: (shape, fields, mlp): readonly Part[] => {
    if (mlp.kind === 'dense')
      return [
        dense(shape.hiddenSize, shape.width),
        { kind: 'vector', path: 'feed_forward.scale', elements: 1, component: 'feed_forward' },
      ];
    const width = fields.integer('moe_intermediate_size');
    const count = fields.integer('n_shared_experts');
    return [
      // The router scores the shared experts too.
      experts(shape, fields, {
        width,
        correctionBias: true,
        shared: { width: count * width, gate: true, count },
      }),
      { kind: 'vector', path: 'router.scale', elements: 1, component: 'router' },
    ];
  },
  layerExtras: (shape, fields) => {
    const kernel = fields.integer(['conv_kernel_size', 'sconv_kernel_size']);
    return [
      convolution('attention.output_convolution', shape.hiddenSize, kernel, 'attention'),
      convolution('feed_forward.output_convolution', shape.hiddenSize, kernel, 'feed_forward'),
    ];
  },
};

// --- Hunyuan ------------------------------------------------------------------------------------------------------------

/** A number, or the first of a list with one for each layer. */
const firstOf = (fields: Fields, key: string): number => {
  const first = fields.list(key)?.[0];
  return typeof first === 'number' ? first : fields.integer(key);
};

const hunyuan: Family = {
  source: modeling('hunyuan_v1_dense'),
  attention: llamaWith({ queryKeyNorm: headNorm }),
};

export const expertFamilies: Readonly<Record<string, Family>> = {
  afmoe: {
    source: modeling('afmoe'),
    norms: 'sandwich',
    mixers: listedOr(fullEvery('global_attn_every_n_layers')),
    // Layers without a window have no positions.
    attention: (shape, fields, mixer) => ({
      ...llamaAttention(shape, fields, mixer),
      queryKeyNorm: headNorm,
      outputGate: 'element',
      gateBias: false,
      rotary: mixer.kind === 'sliding',
    }),
    mlps: denseUntil((fields) => fields.integer('num_dense_layers', 0)),
    feedForward: denseOrExperts({ shared: { times: 'num_shared_experts' }, correctionBias: true }),
  },
  aria_text: {
    source: modeling('aria'),
    mlps: always('experts'),
    feedForward: (shape, fields) => {
      const width = fields.integer('intermediate_size');
      return experts(shape, fields, {
        width,
        shared: {
          width: width * fields.integer('moe_num_shared_experts', 0),
          gate: false,
          bias: bothSides(fields.boolean('mlp_bias')),
        },
      });
    },
  },
  cohere2_moe: {
    source: modeling('cohere2_moe'),
    norm: { style: 'layer', bias: false },
    norms: 'single',
    tied: true,
    attention: (shape, fields, mixer) => ({
      ...llamaAttention(shape, fields, mixer),
      rotary: mixer.kind === 'sliding',
    }),
    mixers: listedOr((shape, fields) => {
      const first = Math.min(shape.layers, fields.count('first_k_dense_replace'));
      const prefix = fields.integer('prefix_dense_sliding_window_pattern');
      return [
        ...everyNth({ ...shape, layers: first }, prefix),
        ...everyNth({ ...shape, layers: shape.layers - first }, fields.integer('sliding_window_pattern')),
      ];
    }),
    mlps: denseFirst,
    feedForward: (shape, fields, mlp) =>
      mlp.kind === 'dense'
        ? dense(shape.hiddenSize, fields.integerOr('prefix_dense_intermediate_size', shape.width, 1))
        : denseOrExperts({ width: 'intermediate_size', shared: { times: 'num_shared_experts' } })(shape, fields, mlp),
  },
  ernie4_5_moe: {
    source: modeling('ernie4_5_moe'),
    attention: groupedBy('use_bias'),
    outputBias: flag('use_bias'),
    tied: true,
    // A dense layer (the class counts its layers from 0) and the model's own last norm: PaddlePaddle/ERNIE, MTPLayer.
    prediction: nextToken('dense', { sharedNorm: true, joinBias: (fields) => fields.boolean('use_bias') }),
    mlps: (shape, fields) => {
      const start = fields.integer('moe_layer_start_index', 0);
      const stated = fields.number('moe_layer_end_index');
      const end = stated === -1 ? shape.layers - 1 : stated;
      const interval = fields.integer('moe_layer_interval');
      return each(shape, (index) =>
        (index + 1) % interval === 0 && index >= start && index <= end ? 'experts' : 'dense',
      );
    },
    feedForward: denseOrExperts({
      shared: { times: 'moe_num_shared_experts' },
      correctionBias: true,
      bias: 'use_bias',
    }),
  },
  exaone_moe: {
    source: modeling('exaone_moe'),
    // Full layers have no positions where the model slides at all.
    attention: (shape, fields, mixer) =>
      grouped(shape, {
        queryKeyNorm: headNorm,
        span: spanOf(mixer, fields),
        rotary: mixer.kind === 'sliding' || fields.optionalInteger('sliding_window') === undefined,
      }),
    mixers: listedOr(pattern('sliding_window_pattern')),
    mlps: (shape, fields) =>
      flagged(fields, 'is_moe_layer', 'experts', 'dense') ??
      denseUntil((of) => of.integer(['first_k_dense_replace', 'first_last_k_dense_replace'], 0))(shape, fields),
    // One dense layer predicts the token after next (K-EXAONE technical report, arXiv:2601.01739).
    prediction: nextToken('dense'),
    feedForward: denseOrExperts({ shared: { times: 'num_shared_experts' }, correctionBias: true }),
  },
  flex_olmo: {
    source: modeling('flex_olmo'),
    norm: { style: 'rms', upcast: 'weight' },
    norms: 'post',
    attention: llamaWith({ queryKeyNorm: fp32WidthNorm }),
    mlps: always('experts'),
    feedForward: (shape, fields) => experts(shape, fields),
  },
  granitemoe_swa: {
    source: modeling('granitemoe_swa'),
    mixers: listedOr((shape) => each(shape, (index) => (index % 4 === 0 ? 'full' : 'sliding'))),
    attention: llamaWith({ sinks: true }),
    mlps: always('experts'),
    feedForward: (shape, fields) => {
      const width = fields.count('shared_intermediate_size');
      return experts(shape, fields, alwaysOn(width));
    },
  },
  hy_v3: {
    source: modeling('hy_v3'),
    attention: llamaWith({ queryKeyNorm: headNorm }),
    mlps: denseUntil((fields) => fields.integer('first_k_dense_replace', 0)),
    prediction: nextToken('experts'),
    feedForward: denseOrExperts({
      width: ['moe_intermediate_size', 'expert_hidden_dim'],
      shared: { times: 'num_shared_experts' },
      correctionBias: true,
      bias: 'mlp_bias',
    }),
  },
  laguna: {
    source: modeling('laguna'),
    // Each layer has its own count of query heads.
    mixers: (shape, fields) => {
      const types = fields.list('layer_types') ? slidingPlan(shape, fields) : [];
      const heads = fields.list('num_attention_heads_per_layer');
      return each(shape, (index) => {
        const mixer = mixerOf(types[index] ?? 'full');
        const own = Number(heads?.[index] ?? shape.heads);
        return { ...mixer, heads: own, label: `${mixer.label ?? mixer.kind} ${own}` };
      });
    },
    attention: (shape, fields, mixer) => {
      const { heads = shape.heads } = mixer;
      if (!Number.isInteger(heads) || heads < 1)
        throw fields.wrong(
          'num_attention_heads_per_layer',
          'must list whole numbers',
          fields.list('num_attention_heads_per_layer'),
        );
      const gating = fields.raw('gating')?.value;
      return {
        ...llamaAttention({ ...shape, heads }, fields, mixer),
        queryKeyNorm: headNorm,
        outputGate: gating === true || gating === 'per-head' ? 'head' : 'element',
        gateBias: false,
      };
    },
    mlps: denseUntil(() => 1),
    feedForward: denseOrExperts({ shared: { width: 'shared_expert_intermediate_size' }, correctionBias: true }),
  },
  doge,
  inkling_text: inkling,
  hunyuan_v1_dense: hunyuan,
  hunyuan_v1_moe: {
    ...hunyuan,
    source: modeling('hunyuan_v1_moe'),
    mlps: always('experts'),
    // One shared expert beside the routed ones, as wide as one of them.
    feedForward: (shape, fields) =>
      experts(shape, fields, {
        active: firstOf(fields, fields.states('moe_topk') ? 'moe_topk' : 'num_experts_per_tok'),
        width: shape.width,
        shared: { width: shape.width, gate: false },
      }),
  },
  dots1: {
    source: modeling('dots1'),
    attention: llamaWith({ queryKeyNorm: headNorm }),
    mlps: denseFirst,
    feedForward: denseOrExperts({ shared: { times: 'n_shared_experts' }, correctionBias: true }),
  },
  llama4_text: llama4,
  mimo_v2_flash: mimoV2,
  minimax_m3_vl_text: minimaxM3,
  jetmoe: {
    source: modeling('jetmoe'),
    tied: true,
    // Each expert has its own queries and output; keys and values are all experts' (mixture of attention heads).
    attention: (shape, fields) => {
      const active = fields.integer(names.activeExperts);
      return grouped(
        { ...shape, heads: shape.keyValueHeads * active },
        { experts: { count: fields.integer(names.experts), active }, fused: true },
      );
    },
    mlps: always('experts'),
    feedForward: (shape, fields): readonly Part[] => [
      experts(shape, fields),
      { kind: 'vector', path: 'experts.bias', elements: shape.hiddenSize, component: 'experts' },
      { kind: 'vector', path: 'attention.bias', elements: shape.hiddenSize, component: 'attention' },
    ],
  },
};
