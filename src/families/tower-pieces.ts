import type { Activation, TowerInput, TowerShape, TowerStage } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { type EncoderLayer, heldBy, layersStage } from './tower-stages.ts';

/**
 * Vision and audio encoders, each counted from its own part of the config, by the part's `model_type`. Letters: D width, L layers,
 * F feed-forward width. Source: the modelling code of transformers 5.18.0, `models/<family>/modeling_<family>.py`, and what it
 * builds (`test/oracle/multimodal.json`).
 */
export type Encoder = (part: Fields) => Encoded;

/** What an encoder holds, and the width of its features; `unknown` names what this tool cannot count of it. */
export type Encoded = {
  readonly parameters: number;
  readonly width: number;
  readonly unknown?: string;
  /** How it is computed; absent where its weights alone are counted. */
  readonly computes?: TowerShape;
};

/** A matrix, with its bias unless told otherwise. */
export const linear = (rows: number, columns: number, bias = true) => rows * columns + (bias ? columns : 0);

/** A LayerNorm: weight and bias. */
export const layerNorm = (width: number) => 2 * width;

/** A convolution over a square of `size` (or `size` ticks of time, with `dimensions` 1), with its bias unless told otherwise. */
export const convolution = (inputs: number, outputs: number, size: number, bias = true, dimensions = 2) =>
  linear(inputs * size ** dimensions, outputs, bias);

/** Two numbers, written as one or as a list. */
export function pair(part: Fields, key: string): readonly [number, number] {
  const [first, second] = part.list(key) ?? [];
  if (typeof first === 'number' && typeof second === 'number') return [first, second];
  const both = part.integer(key);
  return [both, both];
}

export const patches = (part: Fields): number => {
  const [height, width] = pair(part, 'image_size');
  const [down, across] = pair(part, 'patch_size');
  return Math.floor(height / down) * Math.floor(width / across);
};

/** Red, green and blue, which a class without a key for it reads. */
export const colors = 3;

export const pixels = (part: Fields): number => {
  const [down, across] = pair(part, 'patch_size');
  return part.integerOr(['num_channels', 'in_channels', 'in_chans'], colors, 1) * down * across;
};

export type VisionLayer = {
  readonly D: number;
  readonly F: number;
  /** Biases of the attention's projections: how many elements. Default one for each output of the four. */
  readonly attentionBias?: number;
  readonly attention?: number;
  readonly norm?: 'layer' | 'rms';
  readonly gated?: boolean;
  readonly bias?: boolean;
  /** Further elements of one layer: query and key norms, layer scales. */
  readonly more?: number;
};

/** A ViT layer (Dosovitskiy et al. 2021): two norms, four projections, two matrices (three where gated). */
export function layer({
  D,
  F,
  attentionBias = 4 * D,
  attention = 4 * D * D,
  norm = 'layer',
  gated,
  bias,
  more = 0,
}: VisionLayer) {
  const norms = norm === 'layer' ? 4 * D : 2 * D;
  const feedForward = (gated ? 3 : 2) * D * F + (bias === false ? 0 : (gated ? 2 : 1) * F + D);
  return norms + attention + attentionBias + feedForward + more;
}

export const vit = (D: number, F: number, L: number) => L * layer({ D, F });

export const activations: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_pytorch_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  relu: 'relu',
};

/** What the config names, else what the class has. */
export const activationOf = (part: Fields, usual: Activation): Activation => {
  const stated = part.string(['hidden_act', 'hidden_activation', 'activation_function']) ?? '';
  return (Object.hasOwn(activations, stated) ? activations[stated] : undefined) ?? usual;
};

/** No count asks for the heads, so a file may be without them: then its weights alone are counted. */
export const headsOf = (part: Fields): number =>
  part.optionalInteger(['num_attention_heads', 'num_heads', 'encoder_attention_heads'], 1) ?? 0;

/** Images of one size, cut into patches. */
export const fixed = (part: Fields, count = patches(part)): TowerInput => ({
  kind: 'image',
  patches: count,
  patch: pair(part, 'patch_size')[0],
  merge: 1,
});

/** Images of any size, of which so many patches on a side become one token of text. */
export const anySize = (part: Fields, merge: number): TowerInput => ({
  kind: 'image',
  patch: pair(part, 'patch_size')[0],
  merge,
});

/** An encoder that is written out: what stands `beside` its stages (positions, tokens, norms at its ends), and its features' width. */
export type Ends = { readonly beside: number; readonly width: number };

/** A matrix that reads pixels, and layers that read patches. */
export const computing = (
  ends: Ends,
  reads: TowerInput,
  patch: TowerStage,
  layers: { readonly L: number; readonly layer: EncoderLayer; readonly extra?: number },
  ...behind: readonly TowerStage[]
): Encoded =>
  inStages(ends, reads, layers.layer, [patch, layersStage(layers.L, layers.layer, layers.extra), ...behind]);

/** It holds what its stages hold and what stands beside them. Without heads that divide it, its weights alone are counted. */
export const inStages = (
  { beside, width }: Ends,
  reads: TowerInput,
  { D, heads }: EncoderLayer,
  stages: readonly TowerStage[],
): Encoded => ({
  parameters: beside + heldBy(stages),
  width,
  ...(heads > 0 && heads <= D ? { computes: { reads, stages } } : {}),
});

export const dimensions = (part: Fields) => ({
  D: part.integer(['hidden_size', 'd_model', 'embed_dim']),
  L: part.integer(['num_hidden_layers', 'depth', 'encoder_layers'], 0),
});

export const width = (part: Fields) => part.integer(['intermediate_size', 'mlp_dim']);
