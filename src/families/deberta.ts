import type { GroupedAttention, Part, VectorPart } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { bert, bidirectional, encoderHead, layerNorm, masked, taskOf } from './encoders.ts';
import type { Family } from './family.ts';
import { table } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { modeling } from './vocabulary.ts';

/** Words of a key that holds a list, or one text with bars between them. */
function words(fields: Fields, key: string): readonly string[] {
  const listed = fields.list(key);
  const text = listed === undefined ? (fields.string(key) ?? '').toLowerCase().split('|') : listed.map(String);
  return text.map((word) => word.trim());
}

/** How far apart two tokens may be told to be, either way. */
function distances(fields: Fields): number {
  const buckets = fields.integer('position_buckets', -1);
  if (buckets > 0) return buckets;
  const most = fields.integer('max_relative_positions', -1);
  return most > 0 ? most : fields.integer('max_position_embeddings');
}

const isRelative = (fields: Fields): boolean => fields.boolean('relative_attention');

/** Rows of the table of distances. */
const places = (fields: Fields): number => (isRelative(fields) ? 2 * distances(fields) : 0);

/** Which of the two scores besides that of the contents there are: content to place, place to content. */
const terms = (fields: Fields): readonly string[] =>
  isRelative(fields) ? ['c2p', 'p2c'].filter((term) => words(fields, 'pos_att_type').includes(term)) : [];

const embeddingWidth = (fields: Fields, D: number): number => fields.integerOr('embedding_size', D, 1);

/** A matrix over the table of distances, which a forward pass computes once for all tokens. */
const placeMatrix = (path: string, D: number): VectorPart => ({
  kind: 'vector',
  path,
  elements: D * D + D,
  component: 'attention',
});

function disentangled(shape: Shape, fields: Fields): GroupedAttention {
  const found = terms(fields);
  const own = fields.boolean('share_att_key')
    ? []
    : found.map((term) => placeMatrix(`attention.${term}`, shape.hiddenSize));
  return bidirectional(shape, {
    writtenOut: true,
    ...(found.length === 0 ? {} : { places: { count: places(fields), terms: found.length } }),
    ...(own.length === 0 ? {} : { extra: own }),
  });
}

/** A convolution beside the first layer, with a norm over what both give. */
function convolution({ hiddenSize: D }: Shape, fields: Fields): readonly Part[] {
  const size = fields.integer('conv_kernel_size', 0);
  if (size <= 0) return [];
  const rows = (size * D) / fields.integer('conv_groups');
  return [
    { kind: 'linear', path: 'convolution', rows, columns: D, bias: true, component: 'other' },
    layerNorm('norm.convolution', D),
  ];
}

/** DeBERTa 2 and 3 (He et al. 2020, arXiv:2006.03654): contents and distances have scores of their own. */
export const debertaV2: Family = {
  ...bert,
  source: modeling('deberta_v2'),
  tableWidth: embeddingWidth,
  embedding: (shape, fields) => {
    const { hiddenSize: D } = shape;
    const width = embeddingWidth(fields, D);
    const segments = fields.count('type_vocab_size');
    const far = places(fields);
    return [
      ...(fields.boolean('position_biased_input')
        ? [table('embedding.position', fields.integer('max_position_embeddings'), width)]
        : []),
      ...(segments === 0 ? [] : [table('embedding.segment', segments, width)]),
      ...(width === D
        ? []
        : [
            {
              kind: 'linear',
              path: 'embedding.projection',
              rows: width,
              columns: D,
              bias: false,
              component: 'embedding',
            } as const,
          ]),
      layerNorm('norm.embedding', D),
      ...(far === 0
        ? []
        : [{ kind: 'vector', path: 'embedding.distance', elements: far * D, component: 'embedding' } as const]),
      ...(words(fields, 'norm_rel_ebd').includes('layer_norm')
        ? [{ kind: 'vector', path: 'norm.distance', elements: 2 * D, component: 'norm' } as const]
        : []),
    ];
  },
  mixers: (shape) =>
    each(shape, (index) => (index === 0 ? { kind: 'encoder', first: true, label: 'first' } : 'encoder')),
  attention: (shape, fields) => [disentangled(shape, fields), layerNorm('norm.attention', shape.hiddenSize)],
  layerExtras: (shape, fields, mixer) => (mixer.first ? convolution(shape, fields) : []),
  // The later head has no matrix of its own: it reads the token table, tied or not.
  head: (shape, fields, tied) =>
    taskOf(fields) === 'masked'
      ? fields.boolean('legacy')
        ? masked(shape, tied, embeddingWidth(fields, shape.hiddenSize))
        : masked(shape, true)
      : encoderHead({ pooler: true, bare: true, classifier: { dense: false, pooled: true } })(shape, fields, tied),
  assumes: [
    ...(Array.isArray(bert.assumes) ? bert.assumes : []),
    {
      field: 'relative_attention',
      value: 'by token',
      reason: 'what a layer computes of its table of distances is the same for all tokens, and in no FLOPs',
    },
  ],
};
