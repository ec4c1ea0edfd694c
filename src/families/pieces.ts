import type { DenseFeedForward, Experts, GroupedAttention, Norm, Span, TablePart } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Family } from './family.ts';
import type { Mixer } from './layer.ts';
import { names, type Shape } from './shape.ts';

/** An embedding of `rows` x `columns`, of which a token uses `used` rows. */
export const table = (path: string, rows: number, columns: number, used = 1): TablePart => ({
  kind: 'table',
  path,
  rows,
  columns,
  used,
});

/** A family’s norm over `width` features. */
export function normOf(family: Family, path: string, width: number, place: 'input' | 'output' = 'input'): Norm {
  const { style = 'rms', weight = true, bias = style === 'layer', upcast } = family.norm ?? {};
  return {
    kind: 'norm',
    path,
    width,
    style,
    weight,
    bias,
    ...(upcast === undefined ? {} : { upcast }),
    ...(place === 'output' ? { place } : {}),
  };
}

export const noBias = { query: false, key: false, value: false, output: false } as const;
export const fullBias = { query: true, key: true, value: true, output: true } as const;
export const inputBias = { query: true, key: true, value: true, output: false } as const;

/** Grouped attention with the shape's dimensions; `changes` are what the family does otherwise. */
export function grouped(shape: Shape, changes: Partial<GroupedAttention> = {}): GroupedAttention {
  return {
    kind: 'attention',
    inputWidth: shape.hiddenSize,
    heads: shape.heads,
    keyValueHeads: shape.keyValueHeads,
    headDim: shape.headDim,
    bias: noBias,
    span: { kind: 'full' },
    causal: true,
    rotary: true,
    ...changes,
  };
}

/** Biases on all four projections where `attention_bias` says so; a sliding window where the layer has one. */
export const llamaAttention = (shape: Shape, fields: Fields, mixer: Mixer): GroupedAttention =>
  grouped(shape, { bias: fields.boolean('attention_bias') ? fullBias : noBias, span: spanOf(mixer, fields) });

/** How many tokens back a mixer’s attention sees. */
export function spanOf(mixer: Mixer, fields: Fields): Span {
  const tokens = fields.optionalInteger(['sliding_window', 'sliding_window_size', 'attention_chunk_size']);
  // Some configs write no window as 0.
  if (tokens === undefined || tokens === 0) return { kind: 'full' };
  if (mixer.kind === 'chunked') return { kind: 'chunk', tokens };
  return mixer.kind === 'sliding' ? { kind: 'window', tokens } : { kind: 'full' };
}

/** Biases on both products of a feed-forward, or on neither. */
export const bothSides = (bias: boolean) => ({ up: bias, down: bias });

/** A gated feed-forward without biases; `changes` are what the family does otherwise. */
export function dense(inputWidth: number, width: number, changes: Partial<DenseFeedForward> = {}): DenseFeedForward {
  return { kind: 'dense', inputWidth, width, gated: true, activation: 'silu', bias: bothSides(false), ...changes };
}

/** A mixture of experts with the config's counts; `changes` are what the family does otherwise. */
export function experts(shape: Shape, fields: Fields, changes: Partial<Experts> = {}): Experts {
  const count = fields.integer(names.experts);
  const active = changes.active ?? fields.integer(names.activeExperts);
  if (active > count) throw fields.wrong('num_experts_per_tok', `must be at most the ${count} experts`, active);
  return {
    kind: 'experts',
    inputWidth: shape.hiddenSize,
    experts: count,
    active,
    width: changes.width ?? fields.integer(names.expertWidth),
    gated: true,
    activation: 'silu',
    bias: { router: false, up: false, down: false },
    ...changes,
  };
}
