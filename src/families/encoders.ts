import type { Activation, GroupedAttention, Norm, Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { encoderAlone } from './classes.ts';
import type { Family } from './family.ts';
import { bothSides, dense, fullBias, grouped, noBias, table } from './pieces.ts';
import { always, each } from './plan.ts';
import type { Shape } from './shape.ts';
import { biasBy, fourTimes, modeling } from './vocabulary.ts';

/**
 * Models that read a whole text at once (BERT and its kin), and models with an encoder and a decoder (T5, BART, Whisper).
 * Their attention has no causal mask where they read; the decoder's has one.
 */

export const layerNorm = (path: string, width: number): Norm => ({
  kind: 'norm',
  path,
  width,
  style: 'layer',
  weight: true,
  bias: true,
});

const rmsNorm = (path: string, width: number): Norm => ({ ...layerNorm(path, width), style: 'rms', bias: false });

/** Attention over the whole text, of which generation keeps nothing. */
export const bidirectional = (shape: Shape, changes: Partial<GroupedAttention> = {}): GroupedAttention =>
  grouped(
    { ...shape, keyValueHeads: shape.heads },
    { causal: false, cached: false, rotary: false, bias: fullBias, ...changes },
  );

const matrix = (path: string, rows: number, columns: number): Part => ({
  kind: 'linear',
  path,
  rows,
  columns,
  bias: true,
  component: 'other',
});

const activations: Readonly<Record<string, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_tanh',
  silu: 'silu',
  swish: 'silu',
};

/** The activation function that a config names; the fallback where the name is not in the table. */
export const activationOf = (fields: Fields, keys: readonly string[], fallback: Activation): Activation => {
  const name = fields.string(keys) ?? '';
  return (Object.hasOwn(activations, name) ? activations[name] : undefined) ?? fallback;
};

// --- encoders alone ---------------------------------------------------------------------------------------------------------

/** What the class on top of the encoder is, told from its name in `architectures`. */
type Task = 'model' | 'masked' | 'pretraining' | 'sequence' | 'token' | 'answers' | 'choice' | 'next';

const tasks: readonly (readonly [RegExp, Task])[] = [
  [/ForMaskedLM$|LMHeadModel$|ForCausalLM$/, 'masked'],
  [/ForPreTraining$/, 'pretraining'],
  [/ForSequenceClassification$/, 'sequence'],
  [/ForTokenClassification$/, 'token'],
  [/ForQuestionAnswering$/, 'answers'],
  [/ForMultipleChoice$/, 'choice'],
  [/ForNextSentencePrediction$/, 'next'],
  [/Model$/, 'model'],
];

/** What stands on an encoder’s body, by the class that the config names; a masked language model where it names none, which is assumed. */
export function taskOf(fields: Fields): Task {
  const name = fields.list('architectures')?.find((one): one is string => typeof one === 'string');
  const known = tasks.find(([pattern]) => pattern.test(name ?? ''))?.[1];
  if (known !== undefined) return known;
  fields.assume('architectures', 'a masked language model', 'the config names no class that this tool knows');
  return 'masked';
}

/** Outputs of a classifier: the labels that the config names, two where it names none. */
function labelsOf(fields: Fields): number {
  const named = fields.raw('id2label')?.value;
  if (typeof named === 'object' && named !== null) return Object.keys(named).length;
  return fields.integer(['num_labels', '_num_labels']);
}

type Heads = {
  readonly pooler: boolean;
  /** The body alone has no pooler; classes that read one add it. */
  readonly bare?: true;
  /** The classifier of a whole text: a matrix in front of it where it has one, and whether it reads the pooler. */
  readonly classifier: { readonly dense: boolean; readonly pooled: boolean };
};

/** The output over the vocabulary: a matrix and a norm, then the tied table with a bias of its own. */
export const masked = (shape: Shape, tied: boolean, width = shape.hiddenSize): readonly Part[] => [
  matrix('transform', shape.hiddenSize, width),
  layerNorm('norm.transform', width),
  { kind: 'output', rows: width, columns: shape.vocabularySize, tied, bias: true },
];

export const encoderHead =
  ({ pooler, bare, classifier }: Heads) =>
  (shape: Shape, fields: Fields, tied: boolean): readonly Part[] => {
    const { hiddenSize: D } = shape;
    const pool = pooler ? [matrix('pooler', D, D)] : [];
    const classify = (labels: number) => [matrix('classifier', D, labels)];
    const task = taskOf(fields);
    switch (task) {
      case 'model':
        return bare ? [] : pool;
      case 'masked':
        return masked(shape, tied);
      case 'pretraining':
        return [...pool, ...masked(shape, tied), ...classify(2)];
      case 'sequence':
        return [
          ...(classifier.pooled ? pool : []),
          ...(classifier.dense ? [matrix('classifier_dense', D, D)] : []),
          ...classify(labelsOf(fields)),
        ];
      case 'token':
      case 'answers':
        return classify(labelsOf(fields));
      case 'choice':
        return [...(pooler ? pool : [matrix('classifier_dense', D, D)]), ...classify(1)];
      case 'next':
        return [...pool, ...classify(2)];
    }
  };

/** Said beside every figure, since the bands of memory and time come from decoders. */
const unmeasured = 'no measured run of such a model stands behind its memory and time';

export const wholeText = {
  field: 'attention',
  value: 'not causal',
  reason: `an encoder reads the whole text: every token attends to all others, and nothing is cached; ${unmeasured}`,
} as const;

/** BERT (Devlin et al. 2018, arXiv:1810.04805): learned positions and segments, a norm behind each block. */
export const bert: Family = {
  source: modeling('bert'),
  ownClasses: true,
  norms: 'own',
  tied: true,
  assumes: [wholeText],
  embedding: (shape, fields) => [
    table('embedding.position', fields.integer('max_position_embeddings'), shape.hiddenSize),
    table('embedding.segment', fields.integer('type_vocab_size', 0), shape.hiddenSize),
    layerNorm('norm.embedding', shape.hiddenSize),
  ],
  mixers: always('encoder'),
  attention: (shape, fields) => {
    const causal = fields.boolean('is_decoder');
    const self = bidirectional(shape, { causal, cached: causal });
    const own: readonly Part[] = [self, layerNorm('norm.attention', shape.hiddenSize)];
    if (!fields.boolean('add_cross_attention')) return own;
    const cross = bidirectional(shape, { path: 'cross_attention', cached: true });
    return [...own, cross, layerNorm('norm.cross_attention', shape.hiddenSize)];
  },
  feedForward: (shape, fields): readonly Part[] => [
    dense(shape.hiddenSize, shape.width, {
      gated: false,
      activation: activationOf(fields, ['hidden_act', 'activation'], 'gelu'),
      bias: bothSides(true),
    }),
    layerNorm('norm.feed_forward', shape.hiddenSize),
  ],
  head: encoderHead({ pooler: true, classifier: { dense: false, pooled: true } }),
};

const roberta: Family = {
  ...bert,
  source: modeling('roberta'),
  head: encoderHead({ pooler: true, classifier: { dense: true, pooled: false } }),
};

const distilbert: Family = {
  ...bert,
  source: modeling('distilbert'),
  width: fourTimes('hidden_dim'),
  embedding: (shape, fields) => [
    table('embedding.position', fields.integer('max_position_embeddings'), shape.hiddenSize),
    layerNorm('norm.embedding', shape.hiddenSize),
  ],
  head: encoderHead({ pooler: false, classifier: { dense: true, pooled: false } }),
};

/** ELECTRA (Clark et al. 2020, arXiv:2003.10555): a narrower table, a discriminator with one output for each token. */
const electra: Family = {
  ...bert,
  source: modeling('electra'),
  tableWidth: (fields, D) => fields.integerOr('embedding_size', D, 1),
  embedding: (shape, fields) => {
    const width = fields.integerOr('embedding_size', shape.hiddenSize, 1);
    return [
      table('embedding.position', fields.integer('max_position_embeddings'), width),
      table('embedding.segment', fields.integer('type_vocab_size', 0), width),
      layerNorm('norm.embedding', width),
      ...(width === shape.hiddenSize ? [] : [matrix('embedding.projection', width, shape.hiddenSize)]),
    ];
  },
  head: (shape, fields, tied) => {
    const { hiddenSize: D } = shape;
    switch (taskOf(fields)) {
      case 'masked':
        return masked(shape, tied, fields.integerOr('embedding_size', D, 1));
      case 'pretraining':
        return [matrix('discriminator_dense', D, D), matrix('discriminator', D, 1)];
      default:
        return encoderHead({ pooler: false, classifier: { dense: true, pooled: false } })(shape, fields, tied);
    }
  },
};

/** ALBERT (Lan et al. 2019, arXiv:1909.11942): a narrow table, and groups of layers that share their weights. */
const albert: Family = {
  ...electra,
  source: modeling('albert'),
  embedding: (shape, fields) => {
    const width = fields.integer('embedding_size');
    return [
      table('embedding.position', fields.integer('max_position_embeddings'), width),
      table('embedding.segment', fields.integer('type_vocab_size', 0), width),
      layerNorm('norm.embedding', width),
      matrix('embedding.projection', width, shape.hiddenSize),
    ];
  },
  // A group holds `inner_group_num` layers, each its own; the groups are spread evenly over the depth.
  layers: (fields) => fields.integer('num_hidden_layers', 0) * fields.integer('inner_group_num'),
  mixers: (shape, fields) => {
    const inner = fields.integer('inner_group_num');
    const groups = fields.integer('num_hidden_groups');
    const outer = shape.layers / inner;
    const met = new Set<string>();
    return each(shape, (index) => {
      const name = `${Math.floor(Math.floor(index / inner) / (outer / groups))} ${index % inner}`;
      const again = met.has(name);
      met.add(name);
      return again ? { kind: 'encoder', again, label: 'again' } : 'encoder';
    });
  },
  mlps: always('none'),
  attention: (shape, fields, mixer) => [
    {
      kind: 'shared',
      holds: !mixer.again,
      parts: [
        bidirectional(shape),
        layerNorm('norm.attention', shape.hiddenSize),
        dense(shape.hiddenSize, shape.width, {
          gated: false,
          activation: activationOf(fields, ['hidden_act'], 'gelu_new'),
          bias: bothSides(true),
        }),
        layerNorm('norm.feed_forward', shape.hiddenSize),
      ],
    },
  ],
  head: (shape, fields, tied) => {
    const { hiddenSize: D } = shape;
    const pool = matrix('pooler', D, D);
    const width = fields.integer('embedding_size');
    switch (taskOf(fields)) {
      case 'masked':
        return masked(shape, tied, width);
      case 'pretraining':
        return [pool, ...masked(shape, tied, width), matrix('classifier', D, labelsOf(fields))];
      case 'model':
        return [pool];
      case 'sequence':
        return [pool, matrix('classifier', D, labelsOf(fields))];
      case 'choice':
        return [pool, matrix('classifier', D, 1)];
      case 'token':
      case 'answers':
      case 'next':
        return [matrix('classifier', D, labelsOf(fields))];
    }
  },
};

/** ModernBERT (Warner et al. 2024, arXiv:2412.13663): rotary positions, local attention in two of three layers, a gate. */
const modernbert: Family = {
  source: modeling('modernbert'),
  ownClasses: true,
  norms: 'own',
  tied: true,
  assumes: [wholeText],
  embedding: (shape, fields) => [modernNorm('norm.embedding', shape, fields)],
  mixers: (shape, fields) => {
    const types = fields.list('layer_types');
    const period = fields.integer('global_attn_every_n_layers');
    return each(shape, (index) => {
      const sliding = types === undefined ? index % period !== 0 : types[index] === 'sliding_attention';
      const kind = sliding ? 'sliding' : 'full';
      return index === 0 ? { kind, first: true, label: `first ${kind}` } : kind;
    });
  },
  attention: (shape, fields, mixer) => {
    const bias = biasBy(fields, 'attention_bias');
    const tokens = fields.integer('local_attention');
    const core = bidirectional(shape, {
      bias,
      rotary: true,
      fused: true,
      ...(mixer.kind === 'sliding' ? { span: { kind: 'window', tokens } as const } : {}),
    });
    // The first layer reads what the embedding's norm gave.
    return mixer.first ? [core] : [modernNorm('norm.attention', shape, fields), core];
  },
  feedForward: (shape, fields): readonly Part[] => [
    modernNorm('norm.feed_forward', shape, fields),
    dense(shape.hiddenSize, shape.width, {
      activation: activationOf(fields, ['hidden_activation'], 'gelu'),
      bias: bothSides(fields.boolean('mlp_bias')),
      fused: true,
    }),
  ],
  head: (shape, fields, tied) => {
    const { hiddenSize: D } = shape;
    const final = modernNorm('norm.final', shape, fields);
    const task = taskOf(fields);
    if (task === 'model') return [final];
    const transform: readonly Part[] = [
      final,
      { ...matrix('transform', D, D), bias: fields.boolean('classifier_bias') } as Part,
      modernNorm('norm.transform', shape, fields),
    ];
    if (task !== 'masked') return [...transform, matrix('classifier', D, task === 'choice' ? 1 : labelsOf(fields))];
    const bias = fields.boolean('decoder_bias');
    return [...transform, { kind: 'output', rows: D, columns: shape.vocabularySize, tied, bias }];
  },
};

const modernNorm = (path: string, shape: Shape, fields: Fields): Norm => ({
  ...layerNorm(path, shape.hiddenSize),
  bias: fields.boolean('norm_bias'),
});

// --- an encoder and a decoder ------------------------------------------------------------------------------------------------

const twoTexts = {
  field: 'sequence_length',
  value: 'of both',
  reason: `encoder and decoder are taken to read as many tokens each, and a token of the figures is one of both; ${unmeasured}`,
} as const;

const decoderOf = (path: string, shape: Shape, changes: Partial<GroupedAttention>): readonly Part[] => [
  bidirectional(shape, { causal: true, cached: true, ...changes }),
  layerNorm(path, shape.hiddenSize),
];

/** The decoder's layers follow the encoder's. */
const twoStacks = (encoder: number, decoder: number): readonly ('encoder' | 'decoder')[] => [
  ...Array.from({ length: encoder }, () => 'encoder' as const),
  ...Array.from({ length: decoder }, () => 'decoder' as const),
];

/** T5 (Raffel et al. 2019, arXiv:1910.10683): RMSNorm in front, no biases, positions as a table of each head's biases. */
const t5: Family = {
  source: modeling('t5'),
  norms: 'own',
  twoStacks: true,
  answersByLabels: true,
  // Version 1.1 and its kin (Flan, mT5) keep an output matrix of their own and say so; transformers 5.17 and later ties it all the same.
  tied: true,
  assumes: (fields) => [t5EncoderAlone(fields) ? wholeText : twoTexts],
  layers: (fields) => t5Layers(fields).encoder + t5Layers(fields).decoder,
  mixers: (_, fields) => twoStacks(t5Layers(fields).encoder, t5Layers(fields).decoder),
  // One table for the encoder, one for the decoder.
  embedding: (_, fields) => [positionBiases(fields, t5EncoderAlone(fields) ? 1 : 2)],
  attention: (shape, fields, mixer) => {
    const heads = fields.integer('num_heads');
    const sizes = { ...shape, heads, headDim: fields.integer('d_kv') };
    const self = rmsNorm('norm.attention', shape.hiddenSize);
    if (mixer.kind === 'encoder') return [self, bidirectional(sizes, { bias: noBias })];
    return [
      self,
      bidirectional(sizes, { bias: noBias, causal: true, cached: true }),
      rmsNorm('norm.cross_attention', shape.hiddenSize),
      bidirectional(sizes, { bias: noBias, cached: true, path: 'cross_attention' }),
    ];
  },
  feedForward: (shape, fields): readonly Part[] => {
    const kind = fields.string('feed_forward_proj') ?? 'relu';
    const gated = kind.startsWith('gated-');
    return [
      rmsNorm('norm.feed_forward', shape.hiddenSize),
      dense(shape.hiddenSize, shape.width, {
        gated,
        activation: gated ? 'gelu_new' : ((Object.hasOwn(activations, kind) ? activations[kind] : undefined) ?? 'relu'),
      }),
    ];
  },
  head: (shape, fields, tied) => [
    rmsNorm('norm.encoder', shape.hiddenSize),
    ...(t5EncoderAlone(fields) ? [] : [rmsNorm('norm.final', shape.hiddenSize)]),
    { kind: 'output', rows: shape.hiddenSize, columns: shape.vocabularySize, tied, bias: false },
  ],
};

/** Its encoder model and its tagger have no decoder. */
const t5EncoderAlone = (fields: Fields): boolean => encoderAlone(fields, ['encoder', 'token']);

const t5Layers = (fields: Fields) => {
  const encoder = fields.integer(['num_layers', 'num_hidden_layers'], 0);
  return { encoder, decoder: t5EncoderAlone(fields) ? 0 : fields.integerOr('num_decoder_layers', encoder) };
};

const positionBiases = (fields: Fields, tables: number): Part => ({
  kind: 'vector',
  path: 'attention.position_biases',
  elements: tables * fields.integer('relative_attention_num_buckets') * fields.integer('num_heads'),
  component: 'attention',
});

/** Whisper's audio classifier has no decoder. */
const bartEncoderAlone = (fields: Fields): boolean => encoderAlone(fields, ['encoder', 'audio']);

const bartStacks = (fields: Fields) => ({
  encoder: fields.integer('encoder_layers', 0),
  decoder: bartEncoderAlone(fields) ? 0 : fields.integer('decoder_layers', 0),
});

/** BART (Lewis et al. 2019, arXiv:1910.13461): learned positions for each stack, a norm behind each block. */
const bart: Family = {
  source: modeling('bart'),
  norms: 'own',
  twoStacks: true,
  tied: true,
  assumes: [twoTexts],
  layers: (fields) => bartStacks(fields).encoder + bartStacks(fields).decoder,
  mixers: (_, fields) => twoStacks(bartStacks(fields).encoder, bartStacks(fields).decoder),
  mlps: (_, fields) => twoStacks(bartStacks(fields).encoder, bartStacks(fields).decoder),
  embedding: (shape, fields) => {
    // The table has two rows for padding in front of the first position.
    const rows = fields.integer('max_position_embeddings') + 2;
    return ['encoder', 'decoder'].flatMap((stack): readonly Part[] => [
      table(`embedding.${stack}_position`, rows, shape.hiddenSize),
      layerNorm(`norm.${stack}_embedding`, shape.hiddenSize),
    ]);
  },
  attention: (shape, fields, mixer) => {
    const heads = fields.integer(`${mixer.kind}_attention_heads`);
    const sizes = { ...shape, heads, headDim: Math.floor(shape.hiddenSize / heads) };
    if (mixer.kind === 'encoder') return [bidirectional(sizes), layerNorm('norm.attention', shape.hiddenSize)];
    return [
      ...decoderOf('norm.attention', sizes, {}),
      ...decoderOf('norm.cross_attention', sizes, { causal: false, path: 'cross_attention' }),
    ];
  },
  feedForward: (shape, fields, mlp): readonly Part[] => [
    dense(shape.hiddenSize, fields.integer(`${mlp.kind}_ffn_dim`), {
      gated: false,
      activation: activationOf(fields, ['activation_function'], 'gelu'),
      bias: bothSides(true),
    }),
    layerNorm('norm.feed_forward', shape.hiddenSize),
  ],
  head: (shape, _, tied) => [
    { kind: 'output', rows: shape.hiddenSize, columns: shape.vocabularySize, tied, bias: false },
  ],
};

/** mBART: norms in front, and one more at the end of each stack. */
const mbart: Family = {
  ...bart,
  source: modeling('mbart'),
  head: (shape, fields, tied) => [
    layerNorm('norm.encoder', shape.hiddenSize),
    ...(bartEncoderAlone(fields) ? [] : [layerNorm('norm.final', shape.hiddenSize)]),
    { kind: 'output', rows: shape.hiddenSize, columns: shape.vocabularySize, tied, bias: false },
  ],
};

/** A table of fixed positions for each stack, stored with the weights. */
const fixedPositions = (shape: Shape, fields: Fields): readonly Part[] =>
  ['encoder', 'decoder'].map((stack) =>
    table(`embedding.${stack}_position`, fields.integer('max_position_embeddings'), shape.hiddenSize),
  );

/** Whisper (Radford et al. 2022, arXiv:2212.04356): two convolutions over the spectrum, fixed positions, keys without bias. */
const whisper: Family = {
  ...mbart,
  source: modeling('whisper'),
  assumes: (fields) => [
    bartEncoderAlone(fields)
      ? wholeText
      : {
          field: 'sequence_length',
          value: 'of both',
          reason: `the encoder is taken to read as many positions of sound as the decoder reads tokens; ${unmeasured}`,
        },
  ],
  embedding: (shape, fields): readonly Part[] => {
    const { hiddenSize: D } = shape;
    return [
      { ...matrix('embedding.convolution', 3 * fields.integer('num_mel_bins'), D), component: 'embedding' } as Part,
      { ...matrix('embedding.second_convolution', 3 * D, D), component: 'embedding' } as Part,
      table('embedding.encoder_position', fields.integer('max_source_positions'), D),
      ...(bartEncoderAlone(fields)
        ? []
        : [table('embedding.decoder_position', fields.integer('max_target_positions'), D)]),
    ];
  },
  attention: (shape, fields, mixer) => {
    const heads = fields.integer(`${mixer.kind}_attention_heads`);
    const sizes = { ...shape, heads, headDim: Math.floor(shape.hiddenSize / heads) };
    const bias = { ...fullBias, key: false };
    if (mixer.kind === 'encoder')
      return [bidirectional(sizes, { bias }), layerNorm('norm.attention', shape.hiddenSize)];
    return [
      ...decoderOf('norm.attention', sizes, { bias }),
      ...decoderOf('norm.cross_attention', sizes, { bias, causal: false, path: 'cross_attention' }),
    ];
  },
};

export const encoderFamilies: Readonly<Record<string, Family>> = {
  bert,
  roberta,
  'xlm-roberta': { ...roberta, source: modeling('xlm_roberta') },
  camembert: { ...roberta, source: modeling('camembert') },
  distilbert,
  mpnet: {
    ...roberta,
    source: modeling('mpnet'),
    embedding: (shape, fields) => [
      table('embedding.position', fields.integer('max_position_embeddings'), shape.hiddenSize),
      layerNorm('norm.embedding', shape.hiddenSize),
      {
        kind: 'vector',
        path: 'attention.position_biases',
        elements: fields.integer('relative_attention_num_buckets') * shape.heads,
        component: 'attention',
      },
    ],
  },
  electra,
  albert,
  modernbert,
  t5,
  mt5: { ...t5, source: modeling('mt5') },
  umt5: {
    ...t5,
    source: modeling('umt5'),
    // Every layer has its table.
    embedding: (shape, fields) => [positionBiases(fields, shape.layers)],
  },
  bart,
  mbart,
  pegasus: { ...mbart, source: modeling('pegasus'), embedding: fixedPositions },
  // Its positions are computed.
  m2m_100: { ...mbart, source: modeling('m2m_100'), embedding: () => [] },
  marian: { ...bart, source: modeling('marian'), embedding: fixedPositions },
  whisper,
};
