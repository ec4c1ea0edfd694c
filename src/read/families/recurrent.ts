import type { Part } from '../../model/architecture.ts';
import type { Fields } from '../fields.ts';
import { dense, experts, type Family, grouped, llamaAttention, noBias, type Shape } from './build.ts';
import { llama4Vision, qwen3Vision } from './towers.ts';

const from = (folder: string) => `transformers 5.18.0, models/${folder}/modeling_${folder}.py`;

const matrix = (path: string, rows: number, columns: number, bias = false): Part => ({
  kind: 'linear',
  path: `state_space.${path}`,
  rows,
  columns,
  bias,
  component: 'state_space',
});

/** Multiply-adds of a selective scan for each element of its state, as Megatron-LM counts them. */
const scanFlops = 7;

/** Mamba (Gu and Dao 2023, arXiv:2312.00752): d inner channels, n states each, a low-rank time step. */
function mamba1(
  D: number,
  d: number,
  n: number,
  kernel: number,
  rank: number,
  bias: { projection: boolean; convolution: boolean },
  norms = false,
): readonly Part[] {
  const inner: readonly Part[] = norms
    ? [{ kind: 'vector', path: 'state_space.norms', elements: rank + 2 * n, component: 'norm' }]
    : [];
  return [
    matrix('in', D, 2 * d, bias.projection),
    {
      kind: 'state_space',
      path: 'state_space.scan',
      style: 'mamba1',
      stateElements: d * n,
      convolutionState: d * (kernel - 1),
      flopsPerToken: 2 * kernel * d + scanFlops * d * n,
      parameters: d * kernel + (bias.convolution ? d : 0) + d * n + d,
      inputElements: 2 * d,
      outputElements: d,
    },
    matrix('selection', d, rank + 2 * n),
    ...inner,
    matrix('time_step', rank, d, true),
    matrix('out', d, D, bias.projection),
  ];
}

/** Mamba-2 (Dao and Gu 2024, arXiv:2405.21060): H heads of p channels, g groups of n states. */
function mamba2(
  D: number,
  H: number,
  p: number,
  g: number,
  n: number,
  kernel: number,
  bias: { projection: boolean; convolution: boolean },
): readonly Part[] {
  const d = H * p;
  const channels = d + 2 * g * n;
  return [
    matrix('in', D, d + channels + H, bias.projection),
    {
      kind: 'state_space',
      path: 'state_space.scan',
      style: 'mamba2',
      stateElements: d * n,
      convolutionState: channels * (kernel - 1),
      flopsPerToken: 2 * kernel * channels + scanFlops * d * n,
      parameters: channels * kernel + (bias.convolution ? channels : 0) + 3 * H,
      inputElements: channels + d,
      outputElements: d,
    },
    { kind: 'norm', path: 'norm.state_space', width: d, style: 'rms', weight: true, bias: false },
    matrix('out', d, D, bias.projection),
  ];
}

/** Gated delta net (Yang et al. 2024, arXiv:2412.06464) as Qwen3-Next has it. */
function gatedDelta(shape: Shape, fields: Fields): readonly Part[] {
  const { hiddenSize: D } = shape;
  const valueHeads = fields.integer('linear_num_value_heads');
  const keys = fields.integer('linear_num_key_heads') * fields.integer('linear_key_head_dim');
  const valueDim = fields.integer('linear_value_head_dim');
  const values = valueHeads * valueDim;
  const kernel = fields.integer('linear_conv_kernel_dim');
  const channels = 2 * keys + values;
  return [
    matrix('query_key_value', D, channels),
    matrix('gate', D, values),
    matrix('beta_alpha', D, 2 * valueHeads),
    {
      kind: 'state_space',
      path: 'state_space.scan',
      style: 'gated_delta',
      stateElements: valueHeads * fields.integer('linear_key_head_dim') * valueDim,
      convolutionState: channels * (kernel - 1),
      flopsPerToken: 2 * kernel * channels + 8 * valueHeads * valueDim * valueDim,
      parameters: channels * kernel + 2 * valueHeads,
      inputElements: channels + values,
      outputElements: values,
    },
    {
      kind: 'norm',
      path: 'norm.state_space',
      width: valueDim,
      repeat: valueHeads,
      style: 'rms',
      weight: true,
      bias: false,
    },
    matrix('out', values, D),
  ];
}

/** Lightning attention (MiniMax-01, arXiv:2501.08313): linear attention with a norm and an output gate. */
function lightning(shape: Shape): readonly Part[] {
  const { hiddenSize: D, heads: H, headDim: d } = shape;
  return [
    matrix('query_key_value', D, 3 * H * d),
    matrix('gate', D, H * d),
    {
      kind: 'state_space',
      path: 'state_space.scan',
      style: 'lightning',
      stateElements: H * d * d,
      convolutionState: 0,
      flopsPerToken: 4 * H * d * d,
      parameters: 0,
      inputElements: 3 * H * d,
      outputElements: H * d,
    },
    { kind: 'norm', path: 'norm.state_space', width: H * d, style: 'rms', weight: true, bias: false },
    matrix('out', H * d, D),
  ];
}

const headNorm = { over: 'head', style: 'rms', weight: true, bias: false } as const;

/** Three layers of linear attention to one of full attention, unless the config lists them. */
const linearPlan = (shape: Shape, fields: Fields): readonly string[] => {
  const listed = fields.list('layer_types');
  if (listed) return listed.map((type) => (type === 'linear_attention' ? 'linear' : 'full'));
  const interval = Math.max(1, fields.integerOr('full_attention_interval', 4));
  return Array.from({ length: shape.layers }, (_, index) => ((index + 1) % interval === 0 ? 'full' : 'linear'));
};

const qwen3Next: Family = {
  source: from('qwen3_next'),
  mixers: linearPlan,
  attention: (shape, fields, mixer) =>
    mixer === 'linear'
      ? gatedDelta(shape, fields)
      : { ...llamaAttention(shape, fields, mixer), queryKeyNorm: headNorm, outputGate: 'element' as const },
  feeds: (shape, fields) => {
    const step = Math.max(1, fields.integerOr('decoder_sparse_step', 1));
    const only = new Set(fields.list('mlp_only_layers') ?? []);
    return Array.from({ length: shape.layers }, (_, index) =>
      !only.has(index) && (index + 1) % step === 0 ? 'experts' : 'dense',
    );
  },
  feedForward: (shape, fields, feed) =>
    feed === 'dense'
      ? dense(shape.hiddenSize, shape.width)
      : experts(shape, fields, {
          width: fields.integer('moe_intermediate_size'),
          shared: { width: fields.integer('shared_expert_intermediate_size'), gate: true },
        }),
};

const qwen35: Family = {
  ...qwen3Next,
  source: from('qwen3_5'),
  feeds: (shape) => Array.from({ length: shape.layers }, () => 'dense'),
  textKey: 'text_config',
  towers: qwen3Vision,
};

const mambaFamily: Family = {
  source: from('mamba'),
  tied: true,
  mixers: (shape) => Array.from({ length: shape.layers }, () => 'mamba'),
  feeds: (shape) => Array.from({ length: shape.layers }, () => 'none'),
  attention: ({ hiddenSize: D }, fields) => {
    const d = fields.integerOr('intermediate_size', fields.integerOr('expand', 2, 1) * D, 1);
    const stated = fields.states('time_step_rank') ? fields.raw('time_step_rank')?.value : undefined;
    const rank = typeof stated === 'number' ? fields.integer('time_step_rank') : Math.ceil(D / 16);
    const bias = {
      projection: fields.states('use_bias') && fields.boolean('use_bias'),
      convolution: !fields.states('use_conv_bias') || fields.boolean('use_conv_bias'),
    };
    return mamba1(D, d, fields.integerOr('state_size', 16, 1), fields.integerOr('conv_kernel', 4, 1), rank, bias);
  },
};

/** One letter or word for each layer: M mamba, * attention, - feed-forward, E experts. */
const nemotronPlan = (shape: Shape, fields: Fields): readonly string[] => {
  const words: Readonly<Record<string, string>> = {
    M: 'mamba',
    '*': 'attention',
    '-': 'mlp',
    E: 'moe',
    mamba: 'mamba',
    attention: 'attention',
    mlp: 'mlp',
    moe: 'moe',
  };
  const listed = fields.list('layers_block_type') ?? [...(fields.string('hybrid_override_pattern') ?? '')];
  const plan = listed.map((word) => words[String(word)] ?? 'mamba');
  return plan.length > 0 ? plan : Array.from({ length: shape.layers }, () => 'mamba');
};

const nemotronH: Family = {
  source: from('nemotron_h'),
  layers: (fields) =>
    fields.states('num_hidden_layers')
      ? undefined
      : (fields.list('layers_block_type')?.length ?? fields.string('hybrid_override_pattern')?.length),
  gated: false,
  activation: 'relu2',
  mixers: (shape, fields) =>
    nemotronPlan(shape, fields).map((word) => (word === 'mamba' || word === 'attention' ? word : 'none')),
  feeds: (shape, fields) =>
    nemotronPlan(shape, fields).map((word) => (word === 'mlp' ? 'dense' : word === 'moe' ? 'experts' : 'none')),
  attention: (shape, fields, mixer) =>
    mixer === 'mamba'
      ? mamba2(
          shape.hiddenSize,
          fields.integer('mamba_num_heads'),
          fields.integer('mamba_head_dim'),
          fields.integerOr('n_groups', 8, 1),
          fields.integerOr('ssm_state_size', 128, 1),
          fields.integerOr('conv_kernel', 4, 1),
          {
            projection: fields.states('use_bias') && fields.boolean('use_bias'),
            convolution: !fields.states('use_conv_bias') || fields.boolean('use_conv_bias'),
          },
        )
      : grouped(shape, { rotary: false, bias: noBias }),
  feedForward: (shape, fields, feed): readonly Part[] => {
    const { hiddenSize: D } = shape;
    if (feed === 'dense') return [dense(D, shape.width, { gated: false, activation: 'relu2' })];
    const latent = fields.optionalInteger('moe_latent_size', 1);
    const shared = fields.integerOr('moe_shared_expert_intermediate_size', 0);
    const block = experts(shape, fields, {
      inputWidth: latent ?? D,
      routerWidth: D,
      width: fields.integer('moe_intermediate_size'),
      gated: false,
      activation: 'relu2',
      correctionBias: true,
      ...(shared === 0 ? {} : { shared: { width: shared, gate: false, inputWidth: D } }),
    });
    if (latent === undefined) return [block];
    const project = (path: string, rows: number, columns: number): Part => ({
      kind: 'linear',
      path: `experts.${path}`,
      rows,
      columns,
      bias: false,
      component: 'experts',
    });
    return [project('latent_down', D, latent), block, project('latent_up', latent, D)];
  },
};

export const recurrentFamilies: Readonly<Record<string, Family>> = {
  qwen3_next: qwen3Next,
  qwen3_5: { ...qwen35, defaultsOf: 'qwen3_5_text' },
  qwen3_5_text: qwen35,
  qwen3_5_moe_text: {
    ...qwen35,
    source: from('qwen3_5_moe'),
    feeds: (shape) => Array.from({ length: shape.layers }, () => 'experts'),
  },
  qwen3_5_moe: {
    ...qwen35,
    defaultsOf: 'qwen3_5_moe_text',
    source: from('qwen3_5_moe'),
    feeds: (shape) => Array.from({ length: shape.layers }, () => 'experts'),
  },
  mamba: mambaFamily,
  falcon_mamba: { ...mambaFamily, source: from('falcon_mamba') },
  mamba2: {
    ...mambaFamily,
    source: from('mamba2'),
    tied: false,
    attention: ({ hiddenSize: D }, fields) =>
      mamba2(
        D,
        fields.integerOr('num_heads', 128, 1),
        fields.integerOr('head_dim', 64, 1),
        fields.integerOr('n_groups', 8, 1),
        fields.integerOr('state_size', 128, 1),
        fields.integerOr('conv_kernel', 4, 1),
        {
          projection: fields.states('use_bias') && fields.boolean('use_bias'),
          convolution: !fields.states('use_conv_bias') || fields.boolean('use_conv_bias'),
        },
      ),
  },
  jamba: {
    source: from('jamba'),
    mixers: (shape, fields) => {
      const period = fields.integerOr('attn_layer_period', 8, 1);
      const offset = fields.integerOr('attn_layer_offset', 4);
      return Array.from({ length: shape.layers }, (_, index) => (index % period === offset ? 'attention' : 'mamba'));
    },
    attention: (shape, fields, mixer) => {
      if (mixer === 'attention') return grouped(shape, { rotary: false });
      const { hiddenSize: D } = shape;
      const rank = fields.integerOr('mamba_dt_rank', Math.ceil(D / 16), 1);
      const bias = {
        projection: fields.states('mamba_proj_bias') && fields.boolean('mamba_proj_bias'),
        convolution: !fields.states('mamba_conv_bias') || fields.boolean('mamba_conv_bias'),
      };
      return mamba1(
        D,
        fields.integerOr('mamba_expand', 2, 1) * D,
        fields.integerOr('mamba_d_state', 16, 1),
        fields.integerOr('mamba_d_conv', 4, 1),
        rank,
        bias,
        true,
      );
    },
    feeds: (shape, fields) => {
      const period = fields.integerOr('expert_layer_period', 2, 1);
      const offset = fields.integerOr('expert_layer_offset', 1);
      return Array.from({ length: shape.layers }, (_, index) => (index % period === offset ? 'experts' : 'dense'));
    },
    feedForward: (shape, fields, feed) =>
      feed === 'dense' ? dense(shape.hiddenSize, shape.width) : experts(shape, fields),
  },
  minimax: {
    source: from('minimax'),
    mixers: (shape, fields) => {
      const listed = fields.list(['layer_types', 'attn_type_list']);
      if (listed) return listed.map((type) => (type === 'linear_attention' || type === 0 ? 'linear' : 'full'));
      return Array.from({ length: shape.layers }, (_, index) => ((index + 1) % 2 === 0 ? 'full' : 'linear'));
    },
    attention: (shape, _fields, mixer) => (mixer === 'linear' ? lightning(shape) : grouped(shape)),
    feeds: (shape) => Array.from({ length: shape.layers }, () => 'experts'),
    feedForward: (shape, fields) => experts(shape, fields),
  },
  nemotron_h: nemotronH,
  llama4: {
    source: from('llama4'),
    textKey: 'text_config',
    towers: llama4Vision,
    feeds: (shape, fields) => {
      const step = fields.integerOr('interleave_moe_layer_step', 1, 1);
      const listed = fields.list('moe_layers');
      const sparse = new Set(
        listed ?? Array.from({ length: shape.layers }, (_, index) => index).filter((index) => (index + 1) % step === 0),
      );
      return Array.from({ length: shape.layers }, (_, index) => (sparse.has(index) ? 'experts' : 'dense'));
    },
    feedForward: (shape, fields, feed) => {
      if (feed === 'dense') return dense(shape.hiddenSize, fields.integerOr('intermediate_size_mlp', 16384, 1));
      const width = fields.integer('intermediate_size');
      return experts(shape, fields, { width, shared: { width, gate: false } });
    },
  },
};
