import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { MixerPlan, MlpKind } from './layer.ts';
import { lightning, mamba1, mamba2 } from './mixers.ts';
import { dense, experts, grouped, llamaAttention } from './pieces.ts';
import { always, each, sparseByStep } from './plan.ts';
import { depths, predictor } from './prediction.ts';
import type { Shape } from './shape.ts';
import { alwaysOn, denseOrExperts, gatedDeltaByKeys, headNorm, modeling } from './vocabulary.ts';

/** A number where the config states one, else what follows from its other keys (`auto`, null, absent). */
export function stated(fields: Fields, key: string, derived: number): number {
  const value = fields.states(key) ? fields.raw(key)?.value : undefined;
  return typeof value === 'number' ? fields.integer(key, 1) : derived;
}

/** Three layers of linear attention to one of full attention, unless the config lists them. */
const linearPlan = (shape: Shape, fields: Fields): MixerPlan => {
  const listed = fields.list('layer_types');
  if (listed) return listed.map((type) => (type === 'linear_attention' ? 'linear' : 'full'));
  const interval = fields.every('full_attention_interval');
  return each(shape, (index) => ((index + 1) % interval === 0 ? 'full' : 'linear'));
};

const qwen3Next: Family = {
  source: modeling('qwen3_next'),
  mixers: linearPlan,
  attention: (shape, fields, mixer) =>
    mixer.kind === 'linear'
      ? gatedDeltaByKeys(shape, fields)
      : { ...llamaAttention(shape, fields, mixer), queryKeyNorm: headNorm, outputGate: 'element' as const },
  mlps: sparseByStep,
  feedForward: denseOrExperts({ shared: { width: 'shared_expert_intermediate_size', gate: true } }),
};

/** Multi-token prediction: one layer of full attention for each depth, behind one matrix and in front of one norm. */
const nextTokens =
  (mlp: MlpKind): NonNullable<Family['prediction']> =>
  (shape, fields, layer) => {
    const depth = depths(fields, 'mtp_num_hidden_layers');
    const layers = Array.from({ length: depth }, () => layer('full', mlp)).flat();
    return { depth, parts: depth === 0 ? [] : predictor({ source: '' }, shape.hiddenSize, layers) };
  };

const qwen35: Family = {
  ...qwen3Next,
  source: modeling('qwen3_5'),
  mlps: always('dense'),
  prediction: nextTokens('dense'),
};

const mambaFamily: Family = {
  source: modeling('mamba'),
  tied: true,
  mixers: always('mamba'),
  mlps: always('none'),
  attention: ({ hiddenSize: D }, fields) => {
    // A stated width wins over `expand`; 0 is no width.
    const d = fields.optionalInteger('intermediate_size') || Math.floor(fields.number('expand') * D);
    return mamba1(D, {
      inner: d,
      states: fields.integer('state_size'),
      kernel: fields.integer('conv_kernel'),
      rank: stated(fields, 'time_step_rank', Math.ceil(D / 16)),
      bias: { projection: fields.boolean('use_bias'), convolution: fields.boolean('use_conv_bias') },
    });
  },
};

const minimax: Family = {
  source: modeling('minimax'),
  mixers: (shape, fields) => {
    const listed = fields.list(['layer_types', 'attn_type_list']);
    if (listed) return listed.map((type) => (type === 'linear_attention' || type === 0 ? 'linear' : 'full'));
    return each(shape, (index) => (index % 2 === 0 ? 'full' : 'linear'));
  },
  attention: (shape, fields, mixer) =>
    mixer.kind === 'linear'
      ? lightning(shape.hiddenSize, {
          heads: shape.heads,
          headDim: shape.headDim,
          chunk: fields.integer('block_size'),
        })
      : grouped(shape),
  mlps: always('experts'),
  feedForward: (shape, fields) => experts(shape, fields),
};

/** MiniMax's own code: a key for the width of an always-on expert, which is then as wide as the others, whatever the key says. */
const minimaxOwn: Family = {
  ...minimax,
  source: 'MiniMax-AI/MiniMax-M1 modeling_minimax_m1.py',
  defaultsOf: 'minimax',
  feedForward: (shape, fields) => {
    const beside = fields.count('shared_intermediate_size') > 0;
    return experts(shape, fields, alwaysOn(beside ? shape.width : 0, { gate: true }));
  },
};

/** The heads that fill the inner width, where the config leaves their number out, as flash-linear-attention takes them. */
const mamba2Heads = (D: number, fields: Fields): number => {
  if (fields.states('num_heads')) return fields.integer('num_heads');
  const heads = (fields.number('expand') * D) / fields.integer('head_dim');
  return Number.isInteger(heads) && heads > 0 ? heads : fields.integer('num_heads');
};

export const recurrentFamilies: Readonly<Record<string, Family>> = {
  qwen3_next: qwen3Next,
  qwen3_5_text: qwen35,
  qwen3_5_moe_text: {
    ...qwen35,
    source: modeling('qwen3_5_moe'),
    mlps: always('experts'),
    prediction: nextTokens('experts'),
  },
  mamba: mambaFamily,
  falcon_mamba: { ...mambaFamily, source: modeling('falcon_mamba') },
  mamba2: {
    ...mambaFamily,
    source: modeling('mamba2'),
    tied: false,
    attention: ({ hiddenSize: D }, fields) => {
      const bias = fields.boolean('use_bias');
      return mamba2(D, {
        heads: mamba2Heads(D, fields),
        headDim: fields.integer('head_dim'),
        groups: fields.integer('n_groups'),
        states: fields.integer('state_size'),
        kernel: fields.integer('conv_kernel'),
        chunk: fields.integer('chunk_size'),
        bias: { in: bias, out: bias, convolution: fields.boolean('use_conv_bias') },
      });
    },
  },
  jamba: {
    source: modeling('jamba'),
    mixers: (shape, fields) => {
      const period = fields.integer('attn_layer_period');
      const offset = fields.integer('attn_layer_offset', 0);
      return each(shape, (index) => (index % period === offset ? 'attention' : 'mamba'));
    },
    attention: (shape, fields, mixer) => {
      if (mixer.kind === 'attention') return grouped(shape, { rotary: false });
      const { hiddenSize: D } = shape;
      return mamba1(D, {
        inner: fields.integer('mamba_expand') * D,
        states: fields.integer('mamba_d_state'),
        kernel: fields.integer('mamba_d_conv'),
        rank: stated(fields, 'mamba_dt_rank', Math.ceil(D / 16)),
        bias: { projection: fields.boolean('mamba_proj_bias'), convolution: fields.boolean('mamba_conv_bias') },
        norms: true,
      });
    },
    mlps: (shape, fields) => {
      const period = fields.integer('expert_layer_period');
      const offset = fields.integer('expert_layer_offset', 0);
      return each(shape, (index) =>
        // One expert is a dense layer without a router.
        index % period === offset && fields.integer('num_experts') > 1 ? 'experts' : 'dense',
      );
    },
    feedForward: (shape, fields, mlp) =>
      mlp.kind === 'dense' ? dense(shape.hiddenSize, shape.width) : experts(shape, fields),
  },
  minimax,
  minimax_m1: minimaxOwn,
  minimax_text_01: minimaxOwn,
};
