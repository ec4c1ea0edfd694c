import type { Part, StateSpace } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { matrix, projection, scan, scanNorm } from './mixers.ts';
import { grouped, inputBias, noBias } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { headNorm } from './vocabulary.ts';

/**
 * Linear attention as flash-linear-attention trains it: one file of layers, one block around each, and full attention in the
 * layers that `attn` lists. Letters as in `mixers.ts`.
 *
 * Source: fla-org/flash-linear-attention 0.5.2, fla/layers, fla/models, fla/modules/mlp.py.
 */

/** Tokens of a chunk in the library's kernels. */
const chunk = 64;

type Linear = {
  readonly style: StateSpace['style'];
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly values: number;
  /** Width of what the output gate and the way out read. */
  readonly out: number;
  readonly headValues: number;
  readonly gate: boolean;
  /** Whether it convolves where the config wants it to. */
  readonly convolution: boolean;
  /** What else reads the stream: decays, strengths. */
  readonly more: readonly Part[];
  readonly parameters?: number;
  readonly norm?: boolean;
  /** Its norm is over all heads at once. */
  readonly normOfAll?: boolean;
};

function mixer(D: number, fields: Fields, one: Linear): readonly Part[] {
  const channels = one.queries + one.keys + one.values;
  const kernel = fields.integer('conv_size');
  const convolved = one.convolution && fields.boolean('use_short_conv');
  return [
    projection('query_key_value', D, channels),
    ...(one.gate ? [projection('gate', D, one.out)] : []),
    ...one.more,
    scan({
      style: one.style,
      heads: one.heads,
      keyDim: Math.floor(one.queries / one.heads),
      valueDim: one.headValues,
      ...(one.style === 'lightning' ? { chunk } : {}),
      ...(convolved ? { convolution: { channels, kernel } } : {}),
      parameters: (convolved ? channels * kernel : 0) + (one.parameters ?? 0),
      inputElements: (convolved ? 2 : 1) * channels + (one.gate ? one.out : 0) + chunk * one.heads,
      outputElements: one.out,
    }),
    one.normOfAll === true
      ? scanNorm(one.out, { weight: one.norm ?? true })
      : scanNorm(one.headValues, { repeat: Math.floor(one.out / one.headValues), weight: one.norm ?? true }),
    matrix('out', one.out, D),
  ];
}

/** Gated linear attention (Yang et al. 2023, arXiv:2312.06635) and retention (Sun et al. 2023, arXiv:2307.08621). */
function expanded(shape: Shape, fields: Fields, decay: boolean) {
  const { hiddenSize: D } = shape;
  const heads = fields.integer('num_heads');
  const groups = Math.max(1, Math.floor(heads / fields.integerOr('num_kv_heads', heads, 1)));
  const queries = Math.trunc(D * fields.number('expand_k'));
  const out = Math.trunc(D * fields.number('expand_v'));
  const keys = Math.floor(queries / groups);
  return mixer(D, fields, {
    style: 'lightning',
    heads,
    queries,
    keys,
    values: Math.floor(out / groups),
    out,
    headValues: Math.floor(out / heads),
    gate: fields.boolean('use_output_gate'),
    // Retention takes the key and leaves it unread.
    convolution: decay,
    more: decay ? [projection('decay_down', D, 16), matrix('decay_up', 16, keys, true)] : [],
    norm: fields.boolean('elementwise_affine'),
  });
}

/** HGRN 2 (Qin et al. 2024, arXiv:2404.07904): its keys are what its forget gate leaves. */
function hgrn2(shape: Shape, fields: Fields): readonly Part[] {
  const { hiddenSize: D } = shape;
  const ratio = fields.optionalInteger('expand_ratio', 1);
  // The ratio says how many heads there are, unless it is null.
  const heads = ratio === undefined ? fields.integer('num_heads') : Math.floor(D / ratio);
  const states = heads * (ratio ?? Math.floor(D / heads));
  return mixer(D, fields, {
    ...{ style: 'lightning', heads, queries: states, keys: states, values: D, out: D },
    ...{ headValues: Math.floor(D / heads), gate: false, convolution: true, more: [], normOfAll: true },
    norm: fields.boolean('elementwise_affine'),
  });
}

/** The delta rule without a decay (Yang et al. 2024, arXiv:2406.06484). */
function delta(shape: Shape, fields: Fields): readonly Part[] {
  const { hiddenSize: D } = shape;
  const heads = fields.integer('num_heads');
  const keys = Math.trunc(D * fields.number('expand_k'));
  const out = Math.trunc(D * fields.number('expand_v'));
  return mixer(D, fields, {
    style: 'gated_delta',
    heads,
    queries: keys,
    keys,
    values: out,
    out,
    headValues: Math.floor(out / heads),
    gate: fields.boolean('use_gate'),
    convolution: true,
    more: fields.boolean('use_beta') ? [projection('beta', D, heads)] : [],
  });
}

function gatedDelta(shape: Shape, fields: Fields): readonly Part[] {
  const heads = fields.integer('num_heads');
  const valueHeads = fields.integerOr('num_v_heads', heads, 1);
  const headDim = fields.integer('head_dim');
  const headValues = Math.trunc(headDim * fields.number('expand_v'));
  return mixer(shape.hiddenSize, fields, {
    style: 'gated_delta',
    heads: valueHeads,
    // The state has a query and a key for each value head, which heads of keys share.
    queries: heads * headDim,
    keys: heads * headDim,
    values: valueHeads * headValues,
    out: valueHeads * headValues,
    headValues,
    gate: fields.boolean('use_gate'),
    convolution: true,
    more: [projection('beta_alpha', shape.hiddenSize, 2 * valueHeads)],
    parameters: 2 * valueHeads,
  });
}

/** Full attention, as wide as the stream, by the keys of `config`: those of `attn`, or of the file. */
function full(shape: Shape, config: Fields): readonly Part[] {
  const heads = config.integer('num_heads');
  const tokens = config.optionalInteger('window_size', 1);
  return [
    grouped(
      {
        ...shape,
        heads,
        keyValueHeads: config.integerOr('num_kv_heads', heads, 1),
        headDim: Math.floor(shape.hiddenSize / heads),
      },
      {
        bias: config.boolean('qkv_bias') ? inputBias : noBias,
        ...(config.boolean('qk_norm') ? { queryKeyNorm: headNorm } : {}),
        ...(tokens === undefined ? {} : { span: { kind: 'window', tokens } as const }),
      },
    ),
  ];
}

/** Where no width is stated: two thirds of the ratio, rounded up to a multiple of 256. */
const gatedWidth = (fields: Fields, D: number): number =>
  fields.optionalInteger('intermediate_size', 1) ??
  256 * Math.ceil(Math.trunc((D * fields.number('hidden_ratio') * 2) / 3) / 256);

const family = (linear: (shape: Shape, fields: Fields) => readonly Part[]): Family => ({
  source: 'fla-org/flash-linear-attention 0.5.2, fla/layers and fla/models',
  tied: false,
  mixers: (shape, fields) => {
    const listed = new Set(fields.nested('attn').list('layers') ?? []);
    return each(shape, (index) => (listed.has(index) ? 'full' : 'linear'));
  },
  attention: (shape, fields, mixer) =>
    mixer.kind === 'full' ? full(shape, fields.nested('attn')) : linear(shape, fields),
  width: gatedWidth,
});

/** The library's plain transformer, which its training framework starts from. */
const transformer: Family = {
  source: 'fla-org/flash-linear-attention 0.5.2, fla/layers/attn.py and fla/models/transformer',
  defaults: {
    ...{ hidden_size: 2048, num_hidden_layers: 24, num_heads: 32, vocab_size: 32_000, hidden_ratio: 4 },
    max_position_embeddings: 2048,
  },
  tied: false,
  attention: full,
  width: gatedWidth,
};

export const linearFamilies: Readonly<Record<string, Family>> = {
  gla: family((shape, fields) => expanded(shape, fields, true)),
  retnet: family((shape, fields) => expanded(shape, fields, false)),
  delta_net: family(delta),
  gated_deltanet: family(gatedDelta),
  hgrn2: {
    ...family(hgrn2),
    defaults: {
      ...{
        hidden_size: 2048,
        num_hidden_layers: 24,
        vocab_size: 32_000,
        max_position_embeddings: 2048,
        hidden_ratio: 4,
      },
      ...{ conv_size: 4, expand_ratio: 128, use_short_conv: false, use_lower_bound: true, elementwise_affine: true },
    },
    // How little each layer may forget, learned for all of them together.
    embedding: ({ hiddenSize: D }, fields) =>
      fields.boolean('use_lower_bound')
        ? [
            {
              kind: 'vector',
              path: 'lower_bounds',
              elements: fields.integer('num_hidden_layers') * D,
              component: 'state_space',
            },
          ]
        : [],
  },
  transformer,
};
