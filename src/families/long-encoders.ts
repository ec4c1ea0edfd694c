import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { activationOf, bert, bidirectional, encoderHead, layerNorm, taskOf, wholeText } from './encoders.ts';
import type { Family } from './family.ts';
import { bothSides, dense, fullBias } from './pieces.ts';
import { each } from './plan.ts';
import type { Shape } from './shape.ts';
import { modeling } from './vocabulary.ts';

/** BERT for long texts: a token attends to those around it, and to a few others. */

/** The window of each layer: one number, or a list of them. */
function windows(shape: Shape, fields: Fields): readonly number[] {
  const listed = fields.list('attention_window');
  if (listed === undefined) return each(shape, () => fields.integer('attention_window'));
  const numbers = listed.filter((value): value is number => Number.isInteger(value) && Number(value) > 0);
  if (numbers.length !== listed.length || numbers.length < shape.layers)
    throw fields.wrong('attention_window', `must list a number for each of ${shape.layers} layers`, listed.length);
  return numbers;
}

/** Longformer (Beltagy et al. 2020, arXiv:2004.05150): a window in each layer, and projections of their own for tokens that see all. */
export const longformer: Family = {
  ...bert,
  source: modeling('longformer'),
  mixers: (shape, fields) =>
    windows(shape, fields).map((window) => ({ kind: 'sliding', window, label: `window ${window}` })),
  attention: (shape, fields, mixer) => {
    const { hiddenSize: D } = shape;
    const { window: tokens = fields.integer('max_position_embeddings') } = mixer;
    return [
      bidirectional(shape, {
        writtenOut: true,
        span: { kind: 'window', tokens },
        extra: [{ kind: 'vector', path: 'attention.global', elements: 3 * (D * D + D), component: 'attention' }],
      }),
      layerNorm('norm.attention', D),
    ];
  },
  head: encoderHead({ pooler: true, classifier: { dense: true, pooled: false } }),
  assumes: [
    {
      field: 'attention',
      value: 'in windows, not causal',
      reason:
        'a token attends to its window, and none to the whole text: tokens that a task lets see all of it, and their projections, are in no FLOPs, and the overlapping chunks that its code computes in neither FLOPs nor memory; no measured run of such a model stands behind its memory and time',
    },
  ],
};

/** BigBird's feed-forward. */
const wide = (shape: Shape, fields: Fields): Part =>
  dense(shape.hiddenSize, shape.width, {
    gated: false,
    activation: activationOf(fields, ['hidden_act'], 'gelu_new'),
    bias: bothSides(true),
  });

/** Heads of BigBird's classes: its finder of answers has a feed-forward of its own. */
const bigBirdHead: NonNullable<Family['head']> = (shape, fields, tied) => {
  const { hiddenSize: D } = shape;
  const task = taskOf(fields);
  if (task !== 'answers') {
    // These classes hold the body's pooler and do not read it.
    const pooler: readonly Part[] =
      task === 'masked' || task === 'token'
        ? [{ kind: 'vector', path: 'pooler', elements: D * D + D, component: 'other' }]
        : [];
    return [
      ...pooler,
      ...encoderHead({ pooler: true, classifier: { dense: true, pooled: true } })(shape, fields, tied),
    ];
  }
  const answers: Part = { kind: 'linear', path: 'classifier', rows: D, columns: 2, bias: true, component: 'other' };
  return [wide(shape, fields), layerNorm('norm.answers', D), answers];
};

const isSparse = (fields: Fields): boolean => fields.string('attention_type') !== 'original_full';

const inBlocks = {
  field: 'attention',
  value: 'in blocks, not causal',
  reason:
    'a token is counted with three blocks around it, the first, the last, and those at random, which was not held against its code, as whole attention was; no measured run of such a model stands behind its memory and time',
};

/** BigBird (Zaheer et al. 2020, arXiv:2007.14062): blocks at both ends, around, and at random. */
export const bigBird: Family = {
  ...bert,
  source: modeling('big_bird'),
  attention: (shape, fields) => {
    const { hiddenSize: D } = shape;
    const inputs = fields.boolean('use_bias');
    // Three blocks around the token's own, the first and the last, and some at random.
    const tokens = fields.integer('block_size') * (5 + fields.count('num_random_blocks'));
    const self = bidirectional(shape, {
      writtenOut: true,
      bias: { ...fullBias, query: inputs, key: inputs, value: inputs },
      ...(isSparse(fields) ? { span: { kind: 'selected', tokens } as const } : {}),
    });
    return [self, layerNorm('norm.attention', D)];
  },
  feedForward: (shape, fields) => [wide(shape, fields), layerNorm('norm.feed_forward', shape.hiddenSize)],
  head: bigBirdHead,
  assumes: (fields) => [isSparse(fields) ? inBlocks : wholeText],
};
