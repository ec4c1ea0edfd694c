import type { LinearPart, Part } from '../model/architecture.ts';
import { type Fields, isDictionary, own, Unreadable } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { Mixer } from './layer.ts';
import { dense, experts, grouped, llamaAttention, normOf, spanOf, table } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { biasBy, flag, headNorm, modeling, ofWidth, withOwnHeads } from './vocabulary.ts';

/** Families whose layers differ one by one: each layer's plan says its sizes. */

// --- Nemotron-NAS: pruned Llama, block by block ---------------------------------------------------------------------------

type Block = { readonly group: number | undefined; readonly multiple: number | undefined };

/** `block_configs`: heads that share one key and the feed-forward's multiple, or no such block at all. */
function blocks(fields: Fields): readonly Block[] {
  const listed = fields.list('block_configs');
  if (listed === undefined) throw fields.missing('block_configs');
  return listed.map((entry, index) => {
    const attention = isDictionary(entry) ? own(entry, 'attention') : undefined;
    const forward = isDictionary(entry) ? own(entry, 'ffn') : undefined;
    if (!isDictionary(attention) || !isDictionary(forward))
      throw new Unreadable(`block_configs.${index} must have attention and ffn.`);
    const group = own(attention, 'n_heads_in_group');
    const multiple = own(forward, 'ffn_mult');
    return {
      group:
        own(attention, 'no_op') === true || own(attention, 'replace_with_linear') === true || typeof group !== 'number'
          ? undefined
          : group,
      multiple: own(forward, 'no_op') === true || typeof multiple !== 'number' ? undefined : multiple,
    };
  });
}

/** Two thirds of twice the multiple, rounded up to 256 (the model's own code). */
const nasWidth = (multiple: number, D: number) => Math.ceil(Math.trunc((2 * multiple * D) / 3) / 256) * 256;

const nemotronNas: Family = {
  source: 'nvidia/Llama-3_3-Nemotron-Super-49B-v1 modeling_decilm.py',
  defaultsOf: 'llama',
  mixers: (shape, fields) =>
    blocks(fields).map(({ group }) => {
      if (group === undefined) return 'none';
      const keyValueHeads = Math.max(1, Math.floor(shape.heads / Math.max(1, group)));
      return { kind: 'full', keyValueHeads, label: `group ${group}` };
    }),
  mlps: (shape, fields) =>
    blocks(fields).map(({ multiple }) =>
      multiple === undefined ? 'none' : ofWidth(nasWidth(multiple, shape.hiddenSize)),
    ),
  attention: withOwnHeads,
  feedForward: (shape, _, mlp) => dense(shape.hiddenSize, mlp.width ?? shape.width),
};

// --- Gemma 3n and Gemma 4 -----------------------------------------------------------------------------------------------

/** The last `num_kv_shared_layers` layers read the keys and values of an earlier one. */
const shares = (shape: Shape, fields: Fields, index: number) =>
  index >= shape.layers - fields.count('num_kv_shared_layers');

/** A table with an input for every layer in each token's row, and a projection that makes such inputs from the embedding. */
function perLayerInputs(shape: Shape, fields: Fields): readonly Part[] {
  const width = fields.count('hidden_size_per_layer_input');
  if (width === 0) return [];
  const all = shape.layers * width;
  return [
    table('embedding.per_layer', fields.integerOr('vocab_size_per_layer_input', shape.vocabularySize, 1), all),
    {
      kind: 'linear',
      path: 'embedding.per_layer_projection',
      rows: shape.hiddenSize,
      columns: all,
      bias: false,
      component: 'embedding',
    },
    { kind: 'vector', path: 'norm.per_layer_embedding', elements: width, component: 'norm' },
  ];
}

/** A gate and a projection for the layer's own input, with a norm. */
function perLayerBlock(shape: Shape, fields: Fields): readonly Part[] {
  const { hiddenSize: D } = shape;
  const width = fields.count('hidden_size_per_layer_input');
  if (width === 0) return [];
  return [
    { kind: 'linear', path: 'per_layer.gate', rows: D, columns: width, bias: false, component: 'other' },
    { kind: 'linear', path: 'per_layer.projection', rows: width, columns: D, bias: false, component: 'other' },
    { kind: 'vector', path: 'norm.per_layer', elements: D, component: 'norm' },
  ];
}

const valueNorm = { over: 'head', style: 'rms', weight: true, bias: false, value: true } as const;

const sharedOrNot = (type: string, shape: Shape, fields: Fields, index: number): Mixer => {
  const kind = type === 'full_attention' ? 'full' : 'sliding';
  return shares(shape, fields, index) ? { kind, sharedKeyValue: true, label: `${kind} shared` } : { kind };
};

/** A width for each layer, or one for all. */
const widthOf = (fields: Fields, index: number): number => {
  const listed = fields.list('intermediate_size');
  const width = listed ? listed[index] : fields.integer('intermediate_size');
  if (typeof width !== 'number' || !Number.isInteger(width) || width < 1)
    throw fields.wrong('intermediate_size', 'must be a whole number, or one for each layer', width);
  return width;
};

const linear = (path: string, rows: number, columns: number): LinearPart => ({
  kind: 'linear',
  path,
  rows,
  columns,
  bias: false,
  component: 'other',
});

const router = { ...linear('streams.router', 0, 0), role: 'router' } as const;

/** Gemma 3n: n residual streams of which a layer computes one and predicts the others (AltUp, arXiv:2301.13310). */
const gemma3n: Family = {
  source: modeling('gemma3n'),
  norm: { style: 'rms' },
  norms: 'sandwich',
  activation: 'gelu_tanh',
  tied: true,
  width: (fields) => widthOf(fields, 0),
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    return each(shape, (index) =>
      sharedOrNot(
        types ? String(types[index]) : (index + 1) % 5 === 0 ? 'full_attention' : 'sliding_attention',
        shape,
        fields,
        index,
      ),
    );
  },
  attention: (shape, fields, mixer) => {
    const rank = fields.integer('laurel_rank');
    const { hiddenSize: D } = shape;
    return {
      ...llamaAttention(shape, fields, mixer),
      queryKeyNorm: valueNorm,
      ...(mixer.sharedKeyValue ? { sharedKeyValue: true } : {}),
      // A low-rank pair beside the attention (LAuReL, arXiv:2411.07501).
      extra: [
        { kind: 'linear', path: 'laurel.down', rows: D, columns: rank, bias: false, component: 'other' },
        { kind: 'linear', path: 'laurel.up', rows: rank, columns: D, bias: false, component: 'other' },
        { kind: 'norm', path: 'norm.laurel', width: D, style: 'rms', weight: true, bias: false },
      ],
    };
  },
  mlps: (shape, fields) => each(shape, (index) => ofWidth(widthOf(fields, index))),
  feedForward: (shape, _, mlp) => dense(shape.hiddenSize, mlp.width ?? shape.width, { activation: 'gelu_tanh' }),
  layerExtras: (shape, fields): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const n = fields.integer('altup_num_inputs', 1);
    return [
      // Once to predict the streams, once to correct them by what the layer made.
      { ...router, rows: D, columns: n },
      { ...router, rows: D, columns: n, tied: true },
      linear('streams.predict', n, n * n),
      linear('streams.correct', n, n),
      { kind: 'vector', path: 'streams.scale', elements: D, component: 'other', flopsPerToken: 2 * n * n * D },
      { kind: 'vector', path: 'norm.streams', elements: D, component: 'norm' },
      ...perLayerBlock(shape, fields),
    ];
  },
  embedding: (shape, fields): readonly Part[] => [
    ...perLayerInputs(shape, fields),
    ...otherStreams('embedding.streams', shape, fields),
  ],
  beforeOutput: (shape, fields) => otherStreams('output_streams', shape, fields),
};

/** A matrix for each stream but the first. */
const otherStreams = (path: string, { hiddenSize: D }: Shape, fields: Fields): readonly Part[] => {
  const count = fields.integer('altup_num_inputs', 1) - 1;
  return Array.from({ length: count }, () => linear(path, D, D));
};

/** What `per_layer_config` says otherwise of single layers, by index. */
function ownSizes(fields: Fields, index: number): Pick<Mixer, 'headDim' | 'keyValueHeads'> {
  const all = fields.nested('per_layer_config');
  const key = [String(index), String(index).padStart(2, '0'), String(index).padStart(3, '0')].find((name) =>
    all.states(name),
  );
  if (key === undefined) return {};
  const one = all.nested(key);
  const headDim = one.optionalInteger('head_dim', 1);
  const keyValueHeads = one.optionalInteger('num_key_value_heads', 1);
  return {
    ...(headDim === undefined ? {} : { headDim }),
    ...(keyValueHeads === undefined ? {} : { keyValueHeads }),
  };
}

/** A mixer with sizes of its own, which its name says: ` d512`, ` k2`. */
function sized(mixer: Mixer, own: Pick<Mixer, 'headDim' | 'keyValueHeads'>): Mixer {
  const { headDim, keyValueHeads } = own;
  if (headDim === undefined && keyValueHeads === undefined) return mixer;
  const words = [headDim === undefined ? '' : ` d${headDim}`, keyValueHeads === undefined ? '' : ` k${keyValueHeads}`];
  return { ...mixer, ...own, label: `${mixer.label ?? mixer.kind}${words.join('')}` };
}

const gemma4: Family = {
  source: modeling('gemma4'),
  norm: { style: 'rms' },
  norms: 'sandwich',
  activation: 'gelu_tanh',
  tied: true,
  // The last layer is always full.
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    return each(shape, (index) => {
      const full = types ? types[index] === 'full_attention' : (index + 1) % 6 === 0;
      const type = full || index + 1 === shape.layers ? 'full_attention' : 'sliding_attention';
      return sized(sharedOrNot(type, shape, fields, index), ownSizes(fields, index));
    });
  },
  mlps: (shape, fields) =>
    each(shape, (index) =>
      fields.boolean('enable_moe_block')
        ? 'experts'
        : fields.boolean('use_double_wide_mlp') && shares(shape, fields, index)
          ? 'double'
          : 'dense',
    ),
  attention: (shape, fields, mixer) => {
    const global = mixer.kind === 'full' && !fields.states('per_layer_config');
    const equal = mixer.kind === 'full' && fields.boolean('attention_k_eq_v');
    const headDim = mixer.headDim ?? (global ? fields.integer('global_head_dim') : shape.headDim);
    const keyValueHeads =
      mixer.keyValueHeads ??
      (global && equal ? fields.integerOr('num_global_key_value_heads', shape.keyValueHeads, 1) : shape.keyValueHeads);
    return grouped(
      { ...shape, headDim, keyValueHeads },
      {
        bias: biasBy(fields, 'attention_bias'),
        span: spanOf(mixer, fields),
        queryKeyNorm: valueNorm,
        ...(equal ? { valueIsKey: true } : {}),
        ...(mixer.sharedKeyValue ? { sharedKeyValue: true } : {}),
      },
    );
  },
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const plain = dense(D, mlp.kind === 'double' ? 2 * shape.width : shape.width, { activation: 'gelu_tanh' });
    if (mlp.kind !== 'experts') return [plain];
    const norm = (path: string, place: 'input' | 'output') => normOf(gemma4, path, D, place);
    const block = experts(shape, fields, {
      width: fields.integer(['moe_intermediate_size', 'expert_intermediate_size']),
      activation: 'gelu_tanh',
    });
    return [
      plain,
      norm('norm.feed_forward_dense_output', 'output'),
      norm('norm.experts', 'input'),
      block,
      { kind: 'vector', path: 'router.scales', elements: D + block.experts, component: 'router' },
      norm('norm.experts_output', 'output'),
    ];
  },
  // Every layer ends with one learned scale.
  layerExtras: (shape, fields): readonly Part[] => [
    ...perLayerBlock(shape, fields),
    { kind: 'vector', path: 'layer_scale', elements: 1, component: 'other' },
  ],
  embedding: perLayerInputs,
};

/** Gemma 4 12B: no inputs for single layers, and no tower: patches and sound frames are projected as they are. */
const gemma4Unified: Family = {
  ...gemma4,
  source: modeling('gemma4_unified'),
};

// --- HRM-Text: two stacks that run again and again ------------------------------------------------------------------------

const cycle = (kind: 'fast' | 'slow', again: boolean): Mixer =>
  again ? { kind, again, label: `${kind} again` } : { kind };

/** A slow and a fast stack of layers: the fast one runs `L_cycles` times in each of the slow one's `H_cycles`. */
const hrmText: Family = {
  source: modeling('hrm_text'),
  norm: { style: 'rms', weight: false, bias: false },
  feedForwardBias: flag('mlp_bias'),
  layers: (fields) => stackLayers(fields) * fields.integer('H_cycles') * (fields.integer('L_cycles') + 1),
  mixers: (_, fields) => {
    fields.assume('L_bp_cycles', 'every cycle', 'the backward pass is counted for all cycles; the model may skip some');
    const stack = stackLayers(fields);
    const cycles = Array.from({ length: fields.integer('H_cycles') }, (_none, high) => [
      ...Array.from({ length: fields.integer('L_cycles') }, (_never, low) => cycle('fast', high + low > 0)),
      cycle('slow', high > 0),
    ]).flat();
    return cycles.flatMap((mixer) => Array.from({ length: stack }, () => mixer));
  },
  repeats: true,
  attention: (shape, fields, mixer) => ({
    ...llamaAttention({ ...shape, keyValueHeads: shape.heads }, fields, mixer),
    outputGate: 'element',
  }),
  embedding: ({ hiddenSize: D }) => [
    { kind: 'vector', path: 'embedding.fast_start', elements: D, component: 'embedding' },
  ],
  finalNorm: false,
};

/** Files saved by the class itself count every run of a layer in `num_hidden_layers`. */
const stackLayers = (fields: Fields): number =>
  fields.optionalInteger('num_layers_per_stack', 1) ?? fields.integer('num_hidden_layers');

// --- Llama 3.2 Vision: layers that attend to the image -------------------------------------------------------------------

const mllama: Family = {
  source: modeling('mllama'),
  // The composite's class has no such key, so nothing is tied.
  tiedKeys: [],
  // The token table has eight rows for image tokens that the output lacks.
  embedding: (shape) => [table('embedding.image', 8, shape.hiddenSize)],
  mixers: (shape, fields) => {
    const cross = new Set(fields.listed('cross_attention_layers'));
    return each(shape, (index) => (cross.has(index) ? 'cross' : 'full'));
  },
  attention: (shape, _, mixer) =>
    mixer.kind === 'cross'
      ? grouped(shape, {
          rotary: false,
          causal: false,
          queryKeyNorm: headNorm,
        })
      : grouped(shape),
  layerExtras: (_shape, _fields, mixer) =>
    mixer.kind === 'cross'
      ? [{ kind: 'vector', path: 'cross_attention.gates', elements: 2, component: 'attention' }]
      : [],
};

export const plannedFamilies: Readonly<Record<string, Family>> = {
  'nemotron-nas': nemotronNas,
  gemma3n_text: gemma3n,
  gemma4_text: gemma4,
  gemma4_unified_text: gemma4Unified,
  hrm_text: hrmText,
  mllama_text_model: mllama,
};
