import type { DenseFeedForward, Experts, GroupedAttention, Part } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import type { Mixer, Mlp } from './layer.ts';
import { gatedDelta } from './mixers.ts';
import {
  bothSides,
  dense,
  experts,
  fullBias,
  grouped,
  inputBias,
  llamaAttention,
  noBias,
  spanOf,
  table,
} from './pieces.ts';
import type { Shape } from './shape.ts';

type SharedExperts = NonNullable<Experts['shared']>;

/** Words that rows are written in: what a key says, norms by name, and attention that differs from Llama's in one thing. */

/** Where the modelling code of a class of Transformers stands. */
export const modeling = (folder: string) => `transformers 5.18.0, models/${folder}/modeling_${folder}.py`;

/** A switch of the config. */
export const flag = (key: string) => (fields: Fields) => fields.boolean(key);
/** A whole number of the config, under the first of the keys that it has. */
export const size = (keys: string | readonly string[]) => (fields: Fields) => fields.integer(keys);

/** LayerNorms with a bias, in place of a decoder's RMSNorms. */
export const layerNorms = { style: 'layer', bias: true } as const;

/** A norm on the query and key of each head, or on the whole projection. */
export const headNorm = { over: 'head', style: 'rms', weight: true, bias: false } as const;
export const widthNorm = { over: 'width', style: 'rms', weight: true, bias: false } as const;
export const fp32HeadNorm = { ...headNorm, upcast: 'weight' } as const;
export const fp32WidthNorm = { ...widthNorm, upcast: 'weight' } as const;
export const headLayerNorm = { over: 'head', style: 'layer', weight: true, bias: true } as const;

/** Biases on all four projections where the key says so. */
export const biasBy = (fields: Fields, key: string) => (fields.boolean(key) ? fullBias : noBias);
/** Biases on query, key and value where the key says so. */
export const inputBiasBy = (fields: Fields, key: string) => (fields.boolean(key) ? inputBias : noBias);

/** Llama's attention but for `changes`. */
export const llamaWith = (changes: Partial<GroupedAttention>) => (shape: Shape, fields: Fields, mixer: Mixer) => ({
  ...llamaAttention(shape, fields, mixer),
  ...changes,
});

/** Grouped attention with biases on all projections where the key says so. */
export const groupedBy = (key: string) => (shape: Shape, fields: Fields) =>
  grouped(shape, { bias: biasBy(fields, key) });

/** Grouped attention but for `changes`; where a config has a window, full all the same. */
export const groupedWith =
  (changes: Partial<GroupedAttention> = {}) =>
  (shape: Shape) =>
    grouped(shape, changes);

/** Grouped attention but for `changes`, within a window where the layer has one. */
export const windowed =
  (changes: Partial<GroupedAttention> = {}) =>
  (shape: Shape, fields: Fields, mixer: Mixer) =>
    grouped(shape, { ...changes, span: spanOf(mixer, fields) });

/** Attention whose heads have each a key and a value of their own. */
export const multiHead = (changes: Partial<GroupedAttention>) => (shape: Shape) =>
  grouped({ ...shape, keyValueHeads: shape.heads }, changes);

/** Grouped attention with the key/value heads of the layer itself. */
export const withOwnHeads = (shape: Shape, _: Fields, { keyValueHeads = shape.keyValueHeads }: Mixer) =>
  grouped({ ...shape, keyValueHeads });

/** A gated feed-forward of the shape's width but for `changes`. */
export const denseWith = (changes: Partial<DenseFeedForward>) => (shape: Shape) =>
  dense(shape.hiddenSize, shape.width, changes);

/** A feed-forward four times as wide as the stream, unless a key says otherwise. */
export const fourTimes =
  (keys?: string | readonly string[]) =>
  (fields: Fields, hiddenSize: number): number =>
    keys === undefined ? 4 * hiddenSize : fields.integerOr(keys, 4 * hiddenSize);

/** A table of learned positions, some with rows for padding in front of the first. */
export const learnedPositions =
  (keys: string | readonly string[], padding = 0) =>
  (shape: Shape, fields: Fields): readonly Part[] => [
    table('embedding.position', fields.integer(keys) + padding, shape.hiddenSize),
  ];

/** One of two answers, by a switch. */
export const either =
  <Answer extends string>(key: string, on: Answer, off: Answer) =>
  (fields: Fields): Answer =>
    fields.boolean(key) ? on : off;

/** A feed-forward as wide as its layer says. */
export const ofWidth = (width: number): Mlp => ({ kind: 'dense', width, label: `width ${width}` });

/** Experts that every token goes through, as one feed-forward of their width; none of width 0. */
export const alwaysOn = (width: number, changes: Partial<SharedExperts> = {}): { readonly shared?: SharedExperts } =>
  width === 0 ? {} : { shared: { width, gate: false, ...changes } };

type Keys = string | readonly string[];

/** Which keys say how wide a layer's experts are, and the always-on ones beside them. */
type ExpertKeys = {
  /** Of one routed expert. Default `moe_intermediate_size`. */
  readonly width?: Keys;
  /** Always-on experts: so many times as wide as a routed one, or of a width of their own, which may have a gate. */
  readonly shared?: { readonly times: Keys } | { readonly width: Keys; readonly gate?: boolean };
  /** The router adds a learned bias to what it chooses by. */
  readonly correctionBias?: boolean;
  /** Whether dense layers and always-on experts have biases. */
  readonly bias?: string;
};

/** A mixture of experts by its keys; a gated feed-forward of the shape's width in the layers that are dense. */
export const denseOrExperts =
  ({ width = 'moe_intermediate_size', shared, correctionBias = false, bias }: ExpertKeys = {}) =>
  (shape: Shape, fields: Fields, mlp: Mlp) => {
    const biases = bias === undefined ? {} : { bias: bothSides(fields.boolean(bias)) };
    if (mlp.kind === 'dense') return dense(shape.hiddenSize, shape.width, biases);
    const one = fields.integer(width);
    const always =
      shared === undefined
        ? {}
        : 'times' in shared
          ? alwaysOn(one * fields.count(shared.times), biases)
          : alwaysOn(fields.count(shared.width), { gate: shared.gate ?? false, ...biases });
    return experts(shape, fields, { width: one, correctionBias, ...always });
  };

/** A gated delta net by the keys that Qwen3-Next and its successors share. */
export const gatedDeltaByKeys = (shape: Shape, fields: Fields) =>
  gatedDelta(shape.hiddenSize, {
    keyHeads: fields.integer('linear_num_key_heads'),
    valueHeads: fields.integer('linear_num_value_heads'),
    keyDim: fields.integer('linear_key_head_dim'),
    valueDim: fields.integer('linear_value_head_dim'),
    kernel: fields.integer('linear_conv_kernel_dim'),
  });

/** Experts in a stream narrower than the model's (LatentMoE): a matrix leads in, perhaps with a norm behind it, another leads out. */
export function throughLatent(
  hiddenSize: number,
  block: Experts,
  { bias = false, norm = false }: { readonly bias?: boolean; readonly norm?: boolean } = {},
): readonly Part[] {
  const { inputWidth: latent } = block;
  const project = (path: string, rows: number, columns: number): Part => ({
    kind: 'linear',
    path: `experts.${path}`,
    rows,
    columns,
    bias,
    component: 'experts',
  });
  const normed: readonly Part[] = norm
    ? [{ kind: 'vector', path: 'experts.latent_norm', elements: latent, component: 'norm' }]
    : [];
  return [project('latent_down', hiddenSize, latent), ...normed, block, project('latent_up', latent, hiddenSize)];
}
