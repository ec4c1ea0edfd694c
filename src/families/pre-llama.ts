import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import { bothSides, dense, fullBias, grouped, noBias, table } from './pieces.ts';
import { each } from './plan.ts';
import { biasBy, denseWith, flag, layerNorms, learnedPositions, modeling, multiHead } from './vocabulary.ts';

/** Models from before Llama: LayerNorm, biases, learned or fixed positions, no gate. */

/** Attention with biases and without rotary positions, and a feed-forward of two matrices with biases. */
const early: Pick<Family, 'norm' | 'attention' | 'gated' | 'feedForward' | 'tied'> = {
  norm: layerNorms,
  attention: multiHead({ bias: fullBias, rotary: false }),
  gated: false,
  feedForward: denseWith({ gated: false, activation: 'gelu', bias: bothSides(true) }),
  tied: true,
};

/** CPM-Ant counts its prompts as tokens of their own, and learns one bias for each bucket of distance and head. */
const cpmant: Family = {
  source: modeling('cpmant'),
  norm: { style: 'rms' },
  attention: multiHead({ rotary: false }),
  feedForward: denseWith({ activation: 'gelu' }),
  // The token table has rows for prompts, so the output, which has none, is a matrix of its own in spite of the key.
  tiedKeys: [],
  embedding: (shape, fields) => {
    const prompts = fields.integer('prompt_types') * fields.integer('prompt_length');
    const segments = fields.integer('segment_types');
    const buckets = segments ** 2 + fields.integer('position_bias_num_buckets');
    return [
      table('embedding.prompt', prompts, shape.hiddenSize, 0),
      table('embedding.segment', segments, shape.hiddenSize),
      { kind: 'vector', path: 'attention.position_bias', elements: buckets * shape.heads, component: 'attention' },
    ];
  },
};

/** ModernBERT's decoder (Ettin): no norm before the first attention, and a dense layer with a norm before the output. */
const modernNorm = (fields: Fields, path: string, width: number): Part => ({
  kind: 'norm',
  path,
  width,
  style: 'layer',
  weight: true,
  bias: fields.boolean('norm_bias'),
});

const modernBert: Family = {
  source: modeling('modernbert_decoder'),
  norm: layerNorms,
  normBias: flag('norm_bias'),
  norms: (_, mixer) => (mixer.first ? 'own' : 'pre'),
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    const every = fields.integer('global_attn_every_n_layers');
    return each(shape, (index) => {
      const full = types ? types[index] === 'full_attention' : index % every === 0;
      const kind = full ? 'full' : 'sliding';
      return index === 0 ? { kind, first: true, label: `${kind} first` } : kind;
    });
  },
  attention: (shape, fields, mixer) =>
    grouped(
      { ...shape, keyValueHeads: shape.heads },
      {
        bias: biasBy(fields, 'attention_bias'),
        // The key states both sides of a bidirectional window.
        span:
          mixer.kind === 'full'
            ? { kind: 'full' }
            : { kind: 'window', tokens: Math.max(1, Math.floor(fields.integer('local_attention') / 2)) },
      },
    ),
  mlps: (shape) => each(shape, (index) => (index === 0 ? { kind: 'dense', first: true, label: 'first' } : 'dense')),
  feedForward: (shape, fields, mlp): readonly Part[] => {
    const block = dense(shape.hiddenSize, shape.width, {
      activation: 'gelu',
      fused: true,
      bias: bothSides(fields.boolean('mlp_bias')),
    });
    return mlp.first ? [modernNorm(fields, 'norm.feed_forward', shape.hiddenSize), block] : [block];
  },
  embedding: (shape, fields) => [modernNorm(fields, 'norm.embedding', shape.hiddenSize)],
  finalNorm: false,
  beforeOutput: ({ hiddenSize: D }, fields) => [
    modernNorm(fields, 'norm.final', D),
    {
      kind: 'linear',
      path: 'output.dense',
      rows: D,
      columns: D,
      bias: fields.boolean('classifier_bias'),
      component: 'output',
    },
    modernNorm(fields, 'norm.output', D),
  ],
  outputBias: flag('decoder_bias'),
  tied: true,
};

export const legacyFamilies: Readonly<Record<string, Family>> = {
  'openai-gpt': {
    ...early,
    source: modeling('openai'),
    norms: 'post',
    finalNorm: false,
    attention: multiHead({ bias: fullBias, rotary: false, fused: true }),
    feedForward: ({ hiddenSize: D }) =>
      dense(D, 4 * D, { gated: false, activation: 'gelu_new', bias: bothSides(true) }),
    embedding: learnedPositions(['n_positions', 'max_position_embeddings']),
  },
  ctrl: {
    ...early,
    source: modeling('ctrl'),
    feedForward: denseWith({ gated: false, activation: 'relu', bias: bothSides(true) }),
    outputBias: () => true,
  },
  biogpt: {
    ...early,
    source: modeling('biogpt'),
    // Two rows for padding stand in front of the first position, as in OPT.
    embedding: learnedPositions('max_position_embeddings', 2),
  },
  xglm: { ...early, source: modeling('xglm') },
  gpt_neox_japanese: {
    source: modeling('gpt_neox_japanese'),
    norm: layerNorms,
    tied: true,
    width: (fields, D) => D * fields.integer('intermediate_multiple_size'),
    gated: false,
    activation: 'gelu',
    // The only bias is on the attention output of the last layer.
    mixers: (shape) => each(shape, (index) => (index + 1 === shape.layers ? 'last' : 'full')),
    attention: (shape, _, mixer) =>
      grouped(
        { ...shape, keyValueHeads: shape.heads },
        { bias: { ...noBias, output: mixer.kind === 'last' }, fused: true },
      ),
  },
  cpmant,
  'modernbert-decoder': modernBert,
};
