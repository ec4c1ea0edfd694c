import type { Part } from '../../model/architecture.ts';
import { type Fields, isDictionary, own, Unreadable } from '../fields.ts';
import { gemma4Audio } from './audio.ts';
import { dense, experts, type Family, grouped, normOf, type Shape, spanOf, table } from './build.ts';
import { gemma4Vision, mllamaVision } from './towers.ts';

/** Families whose layers differ one by one: each layer's plan is a word that says its sizes. */

const from = (folder: string) => `transformers 5.18.0, models/${folder}/modeling_${folder}.py`;

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
  mixers: (_, fields) => blocks(fields).map(({ group }) => (group === undefined ? 'none' : `group ${group}`)),
  feeds: (shape, fields) =>
    blocks(fields).map(({ multiple }) =>
      multiple === undefined ? 'none' : `width ${nasWidth(multiple, shape.hiddenSize)}`,
    ),
  attention: (shape, _, mixer) => {
    const group = Number(mixer.slice('group '.length));
    return grouped({ ...shape, keyValueHeads: Math.max(1, Math.floor(shape.heads / Math.max(1, group))) });
  },
  feedForward: (shape, _, feed) => dense(shape.hiddenSize, Number(feed.slice('width '.length))),
};

// --- Gemma 4 ------------------------------------------------------------------------------------------------------------

/** The last `num_kv_shared_layers` layers read the keys and values of an earlier one. */
const shares = (shape: Shape, fields: Fields, index: number) =>
  index >= shape.layers - fields.integerOr('num_kv_shared_layers', 0);

const gemma4: Family = {
  source: from('gemma4'),
  norm: { style: 'rms' },
  norms: 'sandwich',
  activation: 'gelu_tanh',
  tied: true,
  textKey: 'text_config',
  towers: (outer, shape) => [...gemma4Vision(outer, shape), ...gemma4Audio(outer, shape)],
  mixers: (shape, fields) => {
    const types =
      fields.list('layer_types') ??
      Array.from({ length: shape.layers }, (_, index) =>
        (index + 1) % 6 === 0 ? 'full_attention' : 'sliding_attention',
      );
    return types.map(
      (type, index) =>
        `${type === 'full_attention' ? 'full' : 'sliding'}${shares(shape, fields, index) ? ' shared' : ''}`,
    );
  },
  feeds: (shape, fields) =>
    Array.from({ length: shape.layers }, (_, index) =>
      fields.boolean('enable_moe_block')
        ? 'experts'
        : fields.boolean('use_double_wide_mlp') && shares(shape, fields, index)
          ? 'double'
          : 'dense',
    ),
  attention: (shape, fields, mixer) => {
    const global = mixer.startsWith('full');
    const sharedKeyValue = mixer.endsWith('shared');
    const equal = global && fields.boolean('attention_k_eq_v');
    const headDim = global ? fields.integerOr('global_head_dim', 512, 1) : shape.headDim;
    const keyValueHeads = equal
      ? fields.integerOr('num_global_key_value_heads', shape.keyValueHeads, 1)
      : shape.keyValueHeads;
    return grouped(
      { ...shape, headDim, keyValueHeads },
      {
        span: spanOf(mixer, fields),
        queryKeyNorm: { over: 'head', style: 'rms', weight: true, bias: false, value: true },
        ...(equal ? { valueIsKey: true } : {}),
        ...(sharedKeyValue ? { sharedKeyValue: true } : {}),
      },
    );
  },
  feedForward: (shape, fields, feed): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const plain = dense(D, feed === 'double' ? 2 * shape.width : shape.width, { activation: 'gelu_tanh' });
    if (feed !== 'experts') return [plain];
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
  // Every layer ends with one learned scale; with per-layer inputs, a gate and a projection come before it.
  layerExtras: (shape, fields): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const scale: Part = { kind: 'vector', path: 'layer_scale', elements: 1, component: 'other' };
    const width = fields.integerOr('hidden_size_per_layer_input', 0);
    if (width === 0) return [scale];
    return [
      { kind: 'linear', path: 'per_layer.gate', rows: D, columns: width, bias: false, component: 'other' },
      { kind: 'linear', path: 'per_layer.projection', rows: width, columns: D, bias: false, component: 'other' },
      { kind: 'vector', path: 'norm.per_layer', elements: D, component: 'norm' },
      scale,
    ];
  },
  embedding: (shape, fields): readonly Part[] => {
    const width = fields.integerOr('hidden_size_per_layer_input', 0);
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
  },
};

// --- Llama 3.2 Vision: layers that attend to the image -------------------------------------------------------------------

const mllama: Family = {
  source: from('mllama'),
  textKey: 'text_config',
  towers: mllamaVision,
  // The token table has eight rows for image tokens that the output lacks.
  embedding: (shape) => [table('embedding.image', 8, shape.hiddenSize)],
  mixers: (shape, fields) => {
    const cross = new Set(fields.list('cross_attention_layers') ?? [3, 8, 13, 18, 23, 28, 33, 38]);
    return Array.from({ length: shape.layers }, (_, index) => (cross.has(index) ? 'cross' : 'full'));
  },
  attention: (shape, _, mixer) =>
    mixer === 'cross'
      ? grouped(shape, {
          rotary: false,
          causal: false,
          queryKeyNorm: { over: 'head', style: 'rms', weight: true, bias: false },
        })
      : grouped(shape),
  layerExtras: (_shape, _fields, mixer) =>
    mixer === 'cross' ? [{ kind: 'vector', path: 'cross_attention.gates', elements: 2, component: 'attention' }] : [],
};

export const plannedFamilies: Readonly<Record<string, Family>> = {
  'nemotron-nas': nemotronNas,
  gemma4,
  gemma4_text: gemma4,
  mllama,
};
