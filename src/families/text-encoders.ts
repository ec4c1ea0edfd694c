import type { Activation, DenseFeedForward, Part, VectorPart } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { debertaV2 } from './deberta.ts';
import { activationOf, bert, bidirectional, encoderHead, layerNorm, taskOf } from './encoders.ts';
import type { Family } from './family.ts';
import { bigBird, longformer } from './long-encoders.ts';
import { dense, experts, fullBias, noBias, table } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { biasBy, flag, modeling } from './vocabulary.ts';

/** Encoders after BERT that embed texts: rotary or linear positions, gated feed-forwards, a norm behind each block. */

/** What the text's tokens are told apart by, and learned positions where the model has no others. */
const embedding = (shape: Shape, fields: Fields, learned: boolean): readonly Part[] => {
  const { hiddenSize: D } = shape;
  const segments = fields.count('type_vocab_size');
  return [
    ...(learned ? [table('embedding.position', fields.integer(['max_position_embeddings', 'n_positions']), D)] : []),
    ...(segments === 0 ? [] : [table('embedding.segment', segments, D)]),
    layerNorm('norm.embedding', D),
  ];
};

const normed = (block: Part | readonly Part[], path: string, D: number): readonly Part[] => [
  ...('kind' in block ? [block] : block),
  layerNorm(path, D),
];

// --- GTE (Zhang et al. 2024, arXiv:2407.19669) -------------------------------------------------------------------------------

const gte: Family = {
  ...bert,
  source: modeling('gte'),
  embedding: (shape, fields) =>
    embedding(shape, fields, (fields.string('position_embedding_type') ?? 'rope') === 'absolute'),
  attention: (shape, fields) =>
    normed(
      bidirectional(shape, { rotary: (fields.string('position_embedding_type') ?? 'rope') === 'rope', fused: true }),
      'norm.attention',
      shape.hiddenSize,
    ),
  feedForward: (shape, fields) =>
    normed(
      dense(shape.hiddenSize, shape.width, {
        activation: activationOf(fields, ['hidden_act'], 'gelu'),
        bias: { up: false, down: true },
        fused: true,
      }),
      'norm.feed_forward',
      shape.hiddenSize,
    ),
  head: encoderHead({ pooler: true, bare: true, classifier: { dense: false, pooled: true } }),
};

// --- Nomic (Nussbaum et al. 2024, arXiv:2402.01613; with experts: 2025, arXiv:2502.07972) ------------------------------------

/** The keys of its own code are GPT-2's; the class of Transformers has BERT's, no biases and always a gate. */
const ownCode = (fields: Fields): boolean => fields.states('n_embd') || fields.states('n_layer');

const gates: Readonly<Record<string, Activation>> = { swiglu: 'silu', geglu: 'gelu', glu: 'none' };

function nomicMlp(shape: Shape, fields: Fields): DenseFeedForward {
  const own = ownCode(fields);
  const bias = { up: fields.booleanOr('mlp_fc1_bias', own), down: fields.booleanOr('mlp_fc2_bias', own) };
  const named = own ? (fields.string('activation_function') ?? '') : 'swiglu';
  const gate = Object.hasOwn(gates, named) ? gates[named] : undefined;
  if (gate === undefined) return dense(shape.hiddenSize, shape.width, { gated: false, activation: 'gelu', bias });
  // The gated one is as wide as the next multiple of 256.
  const width = own ? 256 * Math.ceil(shape.width / 256) : shape.width;
  return dense(shape.hiddenSize, width, { activation: gate, bias });
}

/** Experts without a gate, which share one bias behind them. */
const nomicExperts = (shape: Shape, fields: Fields): readonly Part[] => [
  experts(shape, fields, {
    active: fields.integer('moe_top_k'),
    width: shape.width,
    gated: false,
    activation: 'gelu',
  }),
  { kind: 'vector', path: 'experts.bias', elements: shape.hiddenSize, component: 'experts' },
];

const nomic: Family = {
  ...bert,
  source: `${modeling('nomic_bert')}; nomic-ai/contrastors modeling_hf_nomic_bert.py`,
  // Without the key the class of Transformers holds, which turns every query and key.
  embedding: (shape, fields) =>
    embedding(shape, fields, fields.states('rotary_emb_fraction') && fields.number('rotary_emb_fraction') === 0),
  vocabulary: (fields) => {
    const multiple = fields.every('pad_vocab_size_multiple');
    return multiple * Math.ceil(fields.integer('vocab_size') / multiple);
  },
  attention: (shape, fields) => {
    const bias = fields.booleanOr('qkv_proj_bias', ownCode(fields)) ? fullBias : noBias;
    return normed(bidirectional(shape, { bias, rotary: true, fused: true }), 'norm.attention', shape.hiddenSize);
  },
  // Every n-th layer has experts, the last of each n.
  mlps: (shape, fields) => {
    const every = fields.count('num_experts') > 0 ? fields.every('moe_every_n_layers') : 0;
    return each(shape, (index) => (every > 0 && (index + 1) % every === 0 ? 'experts' : 'dense'));
  },
  feedForward: (shape, fields, mlp) =>
    normed(
      mlp.kind === 'experts' ? nomicExperts(shape, fields) : nomicMlp(shape, fields),
      'norm.feed_forward',
      shape.hiddenSize,
    ),
  head: (shape, fields, tied) => {
    const bias = !fields.states('mlp_fc1_bias') || fields.boolean('mlp_fc1_bias');
    const { hiddenSize: D, vocabularySize: columns } = shape;
    // Both of its classes for masked tokens have the same head.
    if (['masked', 'pretraining'].includes(taskOf(fields)))
      return [
        { kind: 'linear', path: 'transform', rows: D, columns: D, bias, component: 'other' },
        layerNorm('norm.transform', D),
        { kind: 'output', rows: D, columns, tied, bias },
      ];
    return encoderHead({ pooler: true, bare: true, classifier: { dense: false, pooled: true } })(shape, fields, tied);
  },
};

// --- Jina (Günther et al. 2023, arXiv:2310.19923) -----------------------------------------------------------------------------

/** The second edition norms queries and keys, and leaves out the bias of the first matrix where nothing gates. */
const secondEdition = (fields: Fields): boolean =>
  JSON.stringify(fields.ofFile('auto_map') ?? '').includes('qk-post-norm');

const wholeNorm = { over: 'width', style: 'layer', weight: true, bias: true } as const;

const jinaBert: Family = {
  ...bert,
  source: 'jinaai/jina-bert-implementation and jinaai/jina-bert-v2-qk-post-norm modeling_bert.py',
  defaultsOf: 'bert',
  embedding: (shape, fields) => embedding(shape, fields, fields.string('position_embedding_type') !== 'alibi'),
  attention: (shape, fields) =>
    normed(
      bidirectional(shape, secondEdition(fields) ? { queryKeyNorm: wholeNorm } : {}),
      'norm.attention',
      shape.hiddenSize,
    ),
  feedForward: (shape, fields) => {
    const { hiddenSize: D } = shape;
    const type = fields.string('feed_forward_type') ?? 'original';
    const gated = type.endsWith('glu');
    const up = !gated && !secondEdition(fields);
    const activation = type === 'reglu' ? 'relu' : activationOf(fields, ['hidden_act'], 'gelu');
    const block = dense(D, shape.width, {
      gated,
      activation,
      bias: { up, down: true },
      ...(gated ? { fused: true } : {}),
    });
    return normed(block, 'norm.feed_forward', D);
  },
};

// --- Jina 3 (Sturua et al. 2024, arXiv:2409.10173) ---------------------------------------------------------------------------

/** Elements of one task's adapters on matrices that together read and write so much. */
const adapted = (fields: Fields, widths: number): number =>
  (fields.list('lora_adaptations')?.length ?? 0) * fields.integer('lora_rank') * widths;

const adapters = (fields: Fields, widths: number): readonly VectorPart[] => {
  // Its other classes have none.
  const elements = taskOf(fields) === 'model' ? adapted(fields, widths) : 0;
  return elements === 0 ? [] : [{ kind: 'vector', path: 'adapters', elements, component: 'other' }];
};

/** XLM-RoBERTa whose adapters, a pair for each task, stand on every matrix, the tables and the pooler too. */
const jinaXlmRoberta: Family = {
  ...bert,
  source: 'jinaai/xlm-roberta-flash-implementation modeling_xlm_roberta.py and modeling_lora.py',
  defaultsOf: 'xlm-roberta',
  defaults: { lora_rank: 4 },
  embedding: (shape, fields) => {
    const { hiddenSize: D, vocabularySize } = shape;
    const tables = vocabularySize + D + fields.count('type_vocab_size') + D;
    return [
      ...embedding(shape, fields, fields.string('position_embedding_type') !== 'rotary'),
      ...adapters(fields, tables + 2 * D),
    ];
  },
  attention: (shape, fields) =>
    normed(
      bidirectional(shape, { rotary: fields.string('position_embedding_type') === 'rotary', fused: true }),
      'norm.attention',
      shape.hiddenSize,
    ),
  layerExtras: ({ hiddenSize: D, width }, fields) => adapters(fields, 4 * D + 2 * D + 2 * (D + width)),
  head: encoderHead({ pooler: true, classifier: { dense: true, pooled: false } }),
};

// --- EuroBERT (Boizard et al. 2025, arXiv:2503.05500): Llama's layers without a causal mask ------------------------------------

const eurobert: Family = {
  source: modeling('eurobert'),
  ownClasses: true,
  assumes: bert.assumes ?? [],
  attention: (shape, fields) =>
    bidirectional(shape, { keyValueHeads: shape.keyValueHeads, bias: biasBy(fields, 'attention_bias'), rotary: true }),
  feedForwardBias: flag('mlp_bias'),
  head: (shape, fields, tied) => {
    const { hiddenSize: D, vocabularySize: columns } = shape;
    const final = { ...layerNorm('norm.final', D), style: 'rms', bias: false } as const;
    if (taskOf(fields) === 'masked')
      return [final, { kind: 'output', rows: D, columns, tied, bias: fields.boolean('mlp_bias') }];
    return [final, ...encoderHead({ pooler: false, classifier: { dense: true, pooled: false } })(shape, fields, tied)];
  },
};

export const textEncoderFamilies: Readonly<Record<string, Family>> = {
  big_bird: bigBird,
  'deberta-v2': debertaV2,
  eurobert,
  longformer,
  gte,
  new: { ...gte, source: 'Alibaba-NLP/new-impl modeling.py', defaultsOf: 'gte' },
  nomic_bert: nomic,
};

/** Rows of variants: `variants.ts` says which files are theirs. */
export const textEncoderVariants: Readonly<Record<string, Family>> = {
  jina_bert: jinaBert,
  jina_xlm_roberta: jinaXlmRoberta,
};
