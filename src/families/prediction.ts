import type { Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { MlpKind } from './layer.ts';
import { normOf } from './pieces.ts';
import type { Shape } from './shape.ts';

/**
 * Multi-token prediction as DeepSeek-V3 has it (arXiv:2412.19437, 2.2), for one depth: a norm on the embedding and one on the
 * hidden state, a matrix that joins them, layers of the model's own kind, a norm.
 */
export function predictor(family: Family, hiddenSize: number, layers: readonly Part[]): readonly Part[] {
  return [
    normOf(family, 'norm.embedding', hiddenSize),
    normOf(family, 'norm.hidden', hiddenSize),
    {
      kind: 'linear',
      path: 'join',
      role: 'join',
      rows: 2 * hiddenSize,
      columns: hiddenSize,
      bias: false,
      component: 'prediction',
    },
    ...layers,
    normOf(family, 'norm.final', hiddenSize),
  ];
}

/** Depths of multi-token prediction, bounded: a larger number is a mistake or an attack. */
export const depths = (fields: Fields, key: string): number =>
  fields.states(key) ? Math.min(fields.count(key), 16) : 0;

/**
 * Multi-token prediction as DeepSeek-V3 has it (arXiv:2412.19437, 2.2): two norms, a matrix that joins them, one more layer and
 * a norm, for each depth that `num_nextn_predict_layers` states.
 */
export function nextToken(
  mlp: MlpKind,
  changes: {
    /** Elements of the tables of which checkpoints store another copy with each depth. */
    readonly copies?: (shape: Shape) => number;
    /** Each depth ends with the model's final norm rather than one of its own. */
    readonly sharedNorm?: boolean;
    readonly joinBias?: (fields: Fields) => boolean;
  } = {},
): NonNullable<Family['prediction']> {
  return function (this: Family, shape, fields, layer) {
    const stated = fields.states('num_nextn_predict_layers') ? fields.count('num_nextn_predict_layers') : 0;
    const depth = Math.min(stated, 16);
    const { hiddenSize: D } = shape;
    const elements = changes.copies?.(shape) ?? 0;
    const copied: readonly Part[] =
      elements === 0 ? [] : [{ kind: 'vector', path: 'embedding_copy', elements, component: 'prediction' }];
    const bias = changes.joinBias?.(fields) ?? false;
    const one: readonly Part[] = [
      normOf(this, 'norm.embedding', D),
      normOf(this, 'norm.hidden', D),
      { kind: 'linear', path: 'join', role: 'join', rows: 2 * D, columns: D, bias, component: 'prediction' },
      ...layer('full', mlp),
      ...(changes.sharedNorm ? [] : [normOf(this, 'norm.final', D)]),
      ...copied,
    ];
    return { depth, parts: Array.from({ length: depth }, () => one).flat() };
  };
}
