import type { Activation, TowerInput, TowerShape, TowerStage } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import {
  type EncoderLayer,
  gatedStage,
  heldBy,
  layersStage,
  matrixStage,
  patchStage,
  twoMatricesStage,
} from './tower-stages.ts';

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

// --- pieces -----------------------------------------------------------------------------------------------------------------

/** A matrix, with its bias unless told otherwise. */
export const linear = (rows: number, columns: number, bias = true) => rows * columns + (bias ? columns : 0);

/** A LayerNorm: weight and bias. */
export const layerNorm = (width: number) => 2 * width;

/** A convolution over a square of `size` (or `size` ticks of time, with `dimensions` 1), with its bias unless told otherwise. */
export const convolution = (inputs: number, outputs: number, size: number, bias = true, dimensions = 2) =>
  linear(inputs * size ** dimensions, outputs, bias);

/** Two numbers, written as one or as a list. */
function pair(part: Fields, key: string): readonly [number, number] {
  const [first, second] = part.list(key) ?? [];
  if (typeof first === 'number' && typeof second === 'number') return [first, second];
  const both = part.integer(key);
  return [both, both];
}

const patches = (part: Fields): number => {
  const [height, width] = pair(part, 'image_size');
  const [down, across] = pair(part, 'patch_size');
  return Math.floor(height / down) * Math.floor(width / across);
};

/** Red, green and blue, which a class without a key for it reads. */
export const colors = 3;

const pixels = (part: Fields): number => {
  const [down, across] = pair(part, 'patch_size');
  return part.integerOr(['num_channels', 'in_channels', 'in_chans'], colors, 1) * down * across;
};

type VisionLayer = {
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
function layer({
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

const vit = (D: number, F: number, L: number) => L * layer({ D, F });

// --- how it is computed ---------------------------------------------------------------------------------------------------------

const activations: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_pytorch_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  relu: 'relu',
};

/** What the config names, else what the class has. */
const activationOf = (part: Fields, usual: Activation): Activation => {
  const stated = part.string(['hidden_act', 'hidden_activation', 'activation_function']) ?? '';
  return (Object.hasOwn(activations, stated) ? activations[stated] : undefined) ?? usual;
};

/** No count asks for the heads, so a file may be without them: then its weights alone are counted. */
const headsOf = (part: Fields): number =>
  part.optionalInteger(['num_attention_heads', 'num_heads', 'encoder_attention_heads'], 1) ?? 0;

/** Images of one size, cut into patches. */
const fixed = (part: Fields, count = patches(part)): TowerInput => ({
  kind: 'image',
  patches: count,
  patch: pair(part, 'patch_size')[0],
  merge: 1,
});

/** Images of any size, of which so many patches on a side become one token of text. */
const anySize = (part: Fields, merge: number): TowerInput => ({
  kind: 'image',
  patch: pair(part, 'patch_size')[0],
  merge,
});

/** An encoder that is written out: what stands `beside` its stages (positions, tokens, norms at its ends), and its features' width. */
type Ends = { readonly beside: number; readonly width: number };

/** A matrix that reads pixels, and layers that read patches. */
const computing = (
  ends: Ends,
  reads: TowerInput,
  patch: TowerStage,
  layers: { readonly L: number; readonly layer: EncoderLayer; readonly extra?: number },
  ...behind: readonly TowerStage[]
): Encoded =>
  inStages(ends, reads, layers.layer, [patch, layersStage(layers.L, layers.layer, layers.extra), ...behind]);

/** It holds what its stages hold and what stands beside them. Without heads that divide it, its weights alone are counted. */
const inStages = (
  { beside, width }: Ends,
  reads: TowerInput,
  { D, heads }: EncoderLayer,
  stages: readonly TowerStage[],
): Encoded => ({
  parameters: beside + heldBy(stages),
  width,
  ...(heads > 0 && heads <= D ? { computes: { reads, stages } } : {}),
});

const dimensions = (part: Fields) => ({
  D: part.integer(['hidden_size', 'd_model', 'embed_dim']),
  L: part.integer(['num_hidden_layers', 'depth', 'encoder_layers'], 0),
});

const width = (part: Fields) => part.integer(['intermediate_size', 'mlp_dim']);

// --- vision -----------------------------------------------------------------------------------------------------------------

/** SigLIP (Zhai et al. 2023): a patch matrix with bias, learned positions, which some scale to an image's size, a norm behind. */
const siglipLike =
  (positions: (part: Fields) => number, scales = false): Encoder =>
  (part) => {
    const { D, L } = dimensions(part);
    const F = width(part);
    const learned = positions(part);
    const layer = { D, F, heads: headsOf(part), activation: activationOf(part, 'gelu_tanh'), rotary: learned === 0 };
    const reads = learned === 0 || scales ? anySize(part, 2) : fixed(part, learned);
    const beside = learned * D + layerNorm(D);
    return computing({ beside, width: D }, reads, patchStage(pixels(part), D), { L, layer });
  };

/** SigLIP with its head, unless the config goes without: one learned query attends to all patches. */
const siglipWithHead =
  (positions: (part: Fields) => number): Encoder =>
  (part) => {
    const body = siglipLike(positions)(part);
    const { width: D, computes } = body;
    if (!part.boolean('vision_use_head')) return body;
    const F = width(part);
    // Of the head, keys and values are made of all patches; one query reads them.
    const keys = matrixStage(D, 2 * D, true);
    const query = D + 2 * linear(D, D) + layerNorm(D) + linear(D, F) + linear(F, D);
    return {
      ...body,
      parameters: body.parameters + query + heldBy([keys]),
      ...(computes === undefined ? {} : { computes: { ...computes, stages: [...computes.stages, keys] } }),
    };
  };

/** CLIP (Radford et al. 2021): a class token, norms before and behind. */
const clip: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const positions = patches(part) + 1;
  const layer = { D, F, heads: headsOf(part), activation: activationOf(part, 'quick_gelu') };
  const beside = D + positions * D + 2 * layerNorm(D);
  const patch = patchStage(pixels(part), D, false);
  return computing({ beside, width: D }, fixed(part), patch, { L, layer, extra: 1 });
};

/** BLIP-2's ViT-g: a class token, a norm behind. */
const blip2: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const bias = part.boolean('qkv_bias') ? 'all' : 'output';
  const one: EncoderLayer = { D, F, heads: headsOf(part), attentionBias: bias, fused: true };
  const beside = D + (patches(part) + 1) * D + layerNorm(D);
  return computing({ beside, width: D }, fixed(part), patchStage(pixels(part), D), { L, layer: one, extra: 1 });
};

/** Pixtral (Mistral 2024): Llama's layers without biases, rotary positions, a norm before. */
const pixtral: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const written: EncoderLayer = {
    ...{ D, F, heads: headsOf(part), attentionBias: 'none', norm: 'rms', gated: true, bias: false, rotary: true },
    activation: activationOf(part, 'silu'),
  };
  const patch = patchStage(pixels(part), D, false);
  return computing({ beside: D, width: D }, anySize(part, 2), patch, { L, layer: written });
};

/** InternViT: a class token, layer scales, biases on query, key and value where `attention_bias` says so. */
const internvl: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const layerNorms = part.string('norm_type') === 'layer_norm';
  const inputs = part.boolean(['attention_bias', 'qkv_bias']);
  const written: EncoderLayer = {
    ...{ D, F: width(part), heads: headsOf(part), attentionBias: inputs ? 'all' : 'output', scaled: true },
    norm: layerNorms ? 'layer' : 'rms',
    ...(part.boolean(['use_qk_norm', 'qk_normalization']) ? { queryKeyNorm: 'width', queryKeyStyle: 'rms' } : {}),
    activation: activationOf(part, 'gelu'),
  };
  const positions = part.boolean('use_absolute_position_embeddings') ? patches(part) + 1 : 0;
  const ends = D + (part.boolean('use_mask_token') ? D : 0) + (part.boolean('use_mean_pooling') ? 0 : layerNorm(D));
  const beside = ends + positions * D;
  return computing({ beside, width: D }, fixed(part), patchStage(pixels(part), D), { L, layer: written, extra: 1 });
};

/** Qwen2-VL: patches over two frames, LayerNorms, and a merger of four patches by two matrices to the text's width. */
const qwen2Vision: Encoder = (part) => {
  const D = part.integer('embed_dim');
  const out = part.integer('hidden_size');
  const merge = part.integer('spatial_merge_size');
  const merged = D * merge ** 2;
  const read = pixels(part) * part.integer('temporal_patch_size');
  const F = D * part.integer('mlp_ratio');
  const L = part.integer('depth', 0);
  const activation = activationOf(part, 'quick_gelu');
  const layer = { D, F, heads: headsOf(part), rotary: true, fused: true, byHead: true, activation };
  const merger = qwenMerger(D, merged, out, 'layer');
  return computing({ beside: 0, width: out }, anySize(part, merge), patchStage(read, D, false), { L, layer }, merger);
};

/** Patches merged by two matrices behind a norm over each of them. */
const qwenMerger = (D: number, merged: number, out: number, style: 'layer' | 'rms'): TowerStage =>
  twoMatricesStage({ inputs: merged, inner: merged, outputs: out, norm: { style, width: D } }, merged / D);

/** Qwen2.5-VL: RMSNorms, a gated feed-forward with biases, the same merger. */
const qwen25Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const heads = part.integer('num_heads');
  const keyValue = Math.floor(D / heads) * part.integerOr('num_key_value_heads', heads, 1);
  const out = part.integer('out_hidden_size');
  const merge = part.integer('spatial_merge_size');
  const merged = D * merge ** 2;
  const read = pixels(part) * part.integer('temporal_patch_size');
  const F = width(part);
  const written: EncoderLayer = {
    ...{ D, F, heads, keyValueHeads: keyValue / Math.floor(D / heads), norm: 'rms', gated: true },
    ...{ rotary: true, byHead: true, fused: keyValue === D, activation: activationOf(part, 'silu') },
  };
  return inStages({ beside: 0, width: out }, anySize(part, merge), written, [
    patchStage(read, D, false),
    ...windowed(part, L, written),
    qwenMerger(D, merged, out, 'rms'),
  ]);
};

/** Attention within windows of so many pixels, and over the whole image in the layers that the config names. */
function windowed(part: Fields, L: number, layer: EncoderLayer): readonly TowerStage[] {
  const pixels = part.optionalInteger('window_size', 1);
  if (pixels === undefined) return [layersStage(L, layer)];
  const listed = part.list('fullatt_block_indexes') ?? [];
  const full = listed.filter((index) => typeof index === 'number' && index < L).length;
  const side = Math.max(1, Math.floor(pixels / part.integer('patch_size')));
  const within = layersStage(L - full, { ...layer, span: { kind: 'chunk', tokens: side * side } });
  return [{ ...within, name: 'windowed' }, layersStage(full, layer)];
}

/** Qwen3-VL and Qwen3.5: learned positions, a merger, and one more for each layer that feeds the text directly (deepstack). */
const qwen3Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const out = part.integer('out_hidden_size');
  const merge = part.integer('spatial_merge_size');
  const merged = D * merge ** 2;
  const read = pixels(part) * part.integer('temporal_patch_size');
  const F = width(part);
  const stacked = part.list('deepstack_visual_indexes')?.length ?? 0;
  const positions = part.integer('num_position_embeddings') * D;
  const activation = activationOf(part, 'gelu_tanh');
  const layer = { D, F, heads: headsOf(part), rotary: true, fused: true, byHead: true, activation };
  const deep = { ...qwenMerger(merged, merged, out, 'layer'), merged: merge ** 2, count: stacked };
  return computing(
    { beside: positions, width: out },
    anySize(part, merge),
    patchStage(read, D),
    { L, layer },
    qwenMerger(D, merged, out, 'layer'),
    ...(stacked > 0 ? [deep] : []),
  );
};

/** GLM-4.1V and 4.5V: a gated feed-forward as wide as the text, a convolution that halves the grid, a gated merger. */
const glm4Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const out = part.integer('out_hidden_size');
  const F = width(part);
  const inputs = part.boolean('attention_bias');
  const read = pixels(part) * part.integer('temporal_patch_size');
  const merge = part.integer('spatial_merge_size');
  const written: EncoderLayer = {
    ...{ D, F: out, heads: headsOf(part), norm: 'rms', gated: true, bias: false, rotary: true, fused: true },
    ...{ byHead: true, attentionBias: inputs ? 'all but output' : 'none', activation: activationOf(part, 'silu') },
  };
  return computing(
    { beside: patches(part) * D + 2 * D + layerNorm(out), width: out },
    anySize(part, merge),
    patchStage(read, D),
    { L, layer: written },
    ...glmMerging(D, merge, out, F, written),
  );
};

/** A convolution that makes one of several patches, a matrix, and a gated feed-forward. */
const glmMerging = (
  D: number,
  merge: number,
  out: number,
  F: number,
  { activation }: EncoderLayer,
): readonly TowerStage[] => [
  matrixStage(merge ** 2 * D, out, true, merge ** 2),
  matrixStage(out, out, false, merge ** 2),
  gatedStage(out, F, activation ?? 'silu', merge ** 2),
];

/** GLM-OCR: query and key norms, biases in the feed-forward, no learned positions. */
const glmOcrVision =
  (merger: (part: Fields, out: number) => number): Encoder =>
  (part) => {
    const { D, L } = dimensions(part);
    const out = part.integer('out_hidden_size');
    const bias = part.boolean('attention_bias');
    const read = pixels(part) * part.integer('temporal_patch_size');
    const merge = part.integer('spatial_merge_size');
    const written: EncoderLayer = {
      ...{ D, F: width(part), heads: headsOf(part), norm: 'rms', gated: true, bias, rotary: true, fused: true },
      ...{ byHead: true, attentionBias: bias ? 'all' : 'none', queryKeyNorm: 'head' },
      activation: activationOf(part, 'silu'),
    };
    return computing(
      { beside: D + layerNorm(out), width: out },
      anySize(part, merge),
      patchStage(read, D),
      { L, layer: written },
      ...glmMerging(D, merge, out, merger(part, out), written),
    );
  };

/** ERNIE 4.5 VL: a patch matrix without bias, a norm behind. */
const ernieVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const written = {
    D,
    F,
    heads: headsOf(part),
    rotary: true,
    fused: true,
    activation: activationOf(part, 'quick_gelu'),
  };
  const patch = patchStage(pixels(part), D, false);
  const ends = { beside: layerNorm(D), width: D };
  return computing(ends, anySize(part, 2), patch, { L, layer: { ...written, byHead: true } });
};

/** Llama 4: a class token, pixel shuffle with two matrices. */
const llama4Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const inner = part.integer('projector_input_dim');
  const out = part.integer('projector_output_dim');
  // The pixels that are shuffled into one are as wide as the feed-forward by the class's own arithmetic.
  const beside = D + (patches(part) + 1) * D + 2 * layerNorm(D);
  const written = { D, F, heads: headsOf(part), rotary: true, activation: activationOf(part, 'gelu') };
  const shuffled = { inputs: F, inner, outputs: out, bias: false };
  return computing(
    { beside, width: part.integer('vision_output_dim') },
    fixed(part),
    patchStage(pixels(part), D, false),
    { L, layer: written, extra: 1 },
    twoMatricesStage(shuffled, F / D),
  );
};

/** Llama 3.2 Vision: layers and gated layers, positions and tiles learned for each aspect ratio. */
const mllamaVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const positions = patches(part) + 1;
  const tiles = part.integer('max_num_tiles');
  const ratios = part.listed('supported_aspect_ratios').length + 1;
  const gated = part.integer('num_global_layers', 0);
  const tileTable = ratios * tiles * D + 1;
  const positionTables = 1 + positions * D + ratios * tiles * positions * D;
  const ends = D + 2 * layerNorm(D) + positionTables + 2 * tileTable;
  const heads = part.optionalInteger(['attention_heads', 'num_attention_heads'], 1) ?? 0;
  const written: EncoderLayer = {
    D,
    F: width(part),
    heads,
    attentionBias: 'none',
    activation: activationOf(part, 'gelu'),
  };
  // Tiles are filled up to a multiple of eight tokens, and read together.
  const read = tiles * 8 * Math.ceil(positions / 8);
  const patch = patchStage(pixels(part), D, false, read / (tiles * (positions - 1)));
  const beside = { beside: ends + 2 * gated, width: part.integer('vision_output_dim') };
  return computing(beside, fixed(part, read), patch, { L: L + gated, layer: written });
};

/** MiniMax-M3: CLIP's layers over two frames, a norm before. */
const minimaxVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const patch = pixels(part) * part.integer('temporal_patch_size') * D;
  return { parameters: patch + layerNorm(D) + vit(D, width(part), L), width: D };
};

/** MoonViT (Kimi-VL, arXiv:2504.07491): learned positions that are interpolated, a norm behind. */
export const moonvit: Encoder = (part) => {
  if (part.states('merge_kernel_size') && pair(part, 'merge_kernel_size').some((side) => side !== 2))
    throw part.wrong(
      'merge_kernel_size',
      'must be [2, 2], which every published model has',
      part.raw('merge_kernel_size')?.value,
    );
  const D = part.integer(['vt_hidden_size', 'hidden_size']);
  const L = part.integer(['vt_num_hidden_layers', 'num_hidden_layers'], 0);
  const F = part.integer(['vt_intermediate_size', 'intermediate_size']);
  const positions =
    part.integer(['init_pos_emb_height', 'pos_emb_height']) * part.integer(['init_pos_emb_width', 'pos_emb_width']);
  const heads = part.optionalInteger(['vt_num_attention_heads', 'num_attention_heads'], 1) ?? 0;
  const layer = { D, F, heads, rotary: true, byHead: true, activation: activationOf(part, 'gelu_tanh') };
  const beside = positions * D + layerNorm(D);
  return computing({ beside, width: D }, anySize(part, 2), patchStage(pixels(part), D), { L, layer });
};

/** VideoLLaMA 3: SigLIP with rotary positions. */
const videoLlama3Vision = siglipLike(() => 0);

/** Janus: SigLIP with the feed-forward given as a ratio. */
const janusVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = Math.trunc(D * part.number('mlp_ratio'));
  const written: EncoderLayer = {
    ...{ D, F, heads: headsOf(part), attentionBias: part.boolean('attention_bias') ? 'all' : 'output' },
    ...(part.boolean('use_qk_norm') ? { queryKeyNorm: 'width' } : {}),
    activation: activationOf(part, 'gelu'),
  };
  const beside = patches(part) * D + layerNorm(D);
  return computing({ beside, width: D }, fixed(part), patchStage(pixels(part), D), { L, layer: written });
};

/** AIMv2 as Ovis 2 has it: RMSNorms, a gated feed-forward, and a head that turns each patch into a mix of visual words. */
const ovis2Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const attentionBias = part.boolean('qkv_bias') ? 4 * D : 0;
  const one = layer({ D, F: width(part), attentionBias, norm: 'rms', gated: true, bias: part.boolean('mlp_bias') });
  const words = part.integer('vocab_size');
  const named = words - part.integer('num_visual_indicator_tokens', 0);
  const stride = part.integer('hidden_stride') ** 2;
  const head = linear(D * stride, named, false) + layerNorm(named);
  return { parameters: linear(pixels(part), D) + patches(part) * D + D + L * one + D + head, width: words };
};

/** SAM's encoder (Kirillov et al. 2023): relative positions in windows and in a few global layers, and a neck of convolutions. */
const sam: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = part.optionalInteger('mlp_dim', 1) ?? Math.trunc(D * part.number('mlp_ratio'));
  const d = Math.floor(D / part.integer('num_attention_heads'));
  const side = Math.floor(part.integer('image_size') / part.integer('patch_size'));
  const window = part.integer('window_size', 0);
  const listed = part.listed('global_attn_indexes').filter((index) => typeof index === 'number' && index < L);
  const global = window === 0 ? L : listed.length;
  const relative = (tokens: number) => 2 * (2 * tokens - 1) * d;
  const tables = part.boolean('use_rel_pos') ? global * relative(side) + (L - global) * relative(window) : 0;
  const attentionBias = part.boolean('qkv_bias') ? 4 * D : D;
  const out = part.integer('output_channels');
  const positions = part.boolean('use_abs_pos') ? side * side * D : 0;
  const layers = L * layer({ D, F, attentionBias }) + tables;
  return { parameters: linear(pixels(part), D) + positions + layers + samNeck(D, out), width: out };
};

/** Parameters of the neck of SAM’s encoder, from width D to `out` channels. */
export const samNeck = (D: number, out: number) =>
  D * out + layerNorm(out) + convolution(out, out, 3, false) + layerNorm(out);

/** Step-3.5's encoder: layer scales, learned positions, two convolutions that halve the grid. */
const stepVision: Encoder = (part) => {
  const D = part.integer(['width', 'hidden_size']);
  const L = part.integer(['layers', 'num_hidden_layers'], 0);
  const positions = patches(part) * D;
  const F = Math.trunc(D * part.number('mlp_ratio'));
  const layers = L * layer({ D, F, more: 2 * D });
  const down = convolution(D, 2 * D, 3) + convolution(2 * D, 4 * D, 3);
  return { parameters: pixels(part) * D + positions + layerNorm(D) + layers + down, width: 4 * D };
};

/** MiniCPM-V 4.6: SigLIP with one merging layer between: attention in windows, then two matrices from four patches to one. */
const minicpmVision: Encoder = (part) => {
  const counted = siglipLike(patches)(part);
  const D = counted.width;
  const [down, across] = pair(part, 'window_kernel_size');
  const merged = D * down * across;
  const F = width(part) * down * across;
  const merger = 4 * linear(D, D) + layerNorm(D) + layerNorm(merged) + linear(merged, F) + linear(F, D);
  return { parameters: counted.parameters + merger, width: D };
};

/** Muse: positions learned on a grid, norms before and behind. */
const museVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const patch = pixels(part) * part.integer('patch_temporal') * D;
  const positions = part.integer('pos_emb_height') * part.integer('pos_emb_width') * D;
  return { parameters: patch + positions + vit(D, width(part), L) + 2 * layerNorm(D), width: D };
};

/** C-RADIO: registers, one patch matrix for images and one for video, layer scales. */
const radio: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = Math.trunc(D * part.number('mlp_ratio'));
  const side = Math.floor(part.integer('max_img_size') / part.integer('patch_size'));
  const tokens = part.integer('num_cls_tokens', 0) + part.integer('num_registers', 0);
  const frames = part.optionalInteger('video_temporal_patch_size', 1);
  const patch = pixels(part) * D * (1 + (frames ?? 0));
  const attentionBias = part.boolean('qkv_bias') ? 4 * D : D;
  const layers = L * layer({ D, F, attentionBias, more: 2 * D });
  return { parameters: patch + side * side * D + tokens * D + layers, width: D };
};

/** Gemma 4: Llama-like layers with query and key norms, positions for rows and columns. */
const gemma4Vision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const heads = part.integer('num_attention_heads');
  const keyValueHeads = part.integerOr('num_key_value_heads', heads, 1);
  // Means and deviations that standardise the output, and four bounds for each clipped matrix, are stored with the weights.
  const buffers = (part.boolean('standardize') ? 2 * D : 0) + (part.boolean('use_clipped_linears') ? L * 7 * 4 : 0);
  const positions = 2 * part.integer('position_embedding_size') * D;
  const written: EncoderLayer = {
    ...{ D, F: width(part), heads, headDim: part.integer('head_dim'), keyValueHeads },
    ...{
      attentionBias: part.boolean('attention_bias') ? 'all' : 'none',
      norm: 'rms',
      gated: true,
      bias: false,
      sandwich: true,
    },
    ...{
      queryKeyNorm: 'head',
      valueNormed: true,
      upcast: 'weight',
      rotary: true,
      activation: activationOf(part, 'gelu_tanh'),
    },
  };
  const patch = patchStage(pixels(part), D, false);
  const reads = anySize(part, part.integer('pooling_kernel_size'));
  return computing({ beside: positions + buffers, width: D }, reads, patch, { L, layer: written });
};

/** HunyuanOCR: positions for every patch of the longest image and one more, and a merger of two convolutions. */
const hunyuanVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const out = part.integer('out_hidden_size');
  const side = Math.floor(part.integer('max_image_size') / part.integer('patch_size'));
  const merge = part.integer('spatial_merge_size');
  const merger = convolution(D, 2 * D, merge) + linear(2 * D, 4 * D) + linear(4 * D, out) + 4 * D + 3 * out + D + out;
  const embedding = linear(pixels(part), D) + (side * side + 1) * D;
  return { parameters: embedding + vit(D, width(part), L) + merger, width: out };
};

/** Models of timm 1.0.29, by architecture: what one holds without its classifier, and the width of its features. */
const timmModels: Readonly<Record<string, { readonly parameters: number; readonly width: number }>> = {
  mobilenetv5_300m_enc: { parameters: 294_126_912, width: 2048 },
  // As built for inference: branches of training folded into one convolution.
  fastvit_mci3: { parameters: 122_749_920, width: 3072 },
};

/** The Perception Encoder (Bolya et al. 2025, arXiv:2504.13181) by size: CLIP's layers, with scales where it was tuned for language. */
const perceptionSizes: Readonly<Record<string, { D: number; L: number; F: number; image: number; tuned: boolean }>> = {
  vit_pe_core_large_patch14_336: { D: 1024, L: 24, F: 4096, image: 336, tuned: false },
  vit_pe_core_gigantic_patch14_448: { D: 1536, L: 50, F: 8960, image: 448, tuned: false },
  vit_pe_lang_large_patch14_448: { D: 1024, L: 23, F: 4096, image: 448, tuned: true },
  vit_pe_lang_gigantic_patch14_448: { D: 1536, L: 47, F: 8960, image: 448, tuned: true },
};

/** One of them without its pooling, as `model_args` changes it. */
function perception(architecture: string, part: Fields): Encoded | undefined {
  const size = Object.hasOwn(perceptionSizes, architecture) ? perceptionSizes[architecture] : undefined;
  const changes = part.nested('model_args');
  if (size === undefined || (!size.tuned && changes.string('global_pool') !== '')) return undefined;
  const D = changes.integerOr('embed_dim', size.D, 1);
  const L = changes.integerOr('depth', size.L);
  const side = Math.floor((changes.list('img_size') ? pair(changes, 'img_size')[0] : size.image) / 14);
  const token = size.D === 1024 ? 1 : 0;
  const scales = changes.states('init_values') || size.tuned ? 2 * D : 0;
  const behind = changes.booleanOr('use_post_transformer_norm', !size.tuned) ? layerNorm(D) : 0;
  const layers = L * layer({ D, F: size.F, more: scales });
  return { parameters: token * D + 588 * D + (side * side + token) * D + layerNorm(D) + layers + behind, width: D };
}

/** A model of timm, whose sizes are in the name of its architecture. */
const timm: Encoder = (part) => {
  const architecture = part.string('architecture') ?? '';
  const known = Object.hasOwn(timmModels, architecture) ? timmModels[architecture] : undefined;
  const unknown = `the architecture ${architecture.slice(0, 60)} of timm`;
  if (known) return { ...known, width: part.integerOr('hidden_size', known.width, 1) };
  return perception(architecture, part) ?? { parameters: 0, width: 0, unknown };
};

// --- audio ------------------------------------------------------------------------------------------------------------------

/** Two convolutions of three frames each, a hundred frames a second, of which the second takes every other; then layers. */
const hears = ({
  beside,
  bins,
  D,
  L,
  layer,
  window,
}: {
  readonly bins: number;
  readonly D: number;
  readonly L: number;
  readonly layer: EncoderLayer;
  readonly beside: number;
  readonly window?: number;
}): Encoded =>
  inStages({ beside, width: D }, { kind: 'sound', perSecond: 50, ...(window === undefined ? {} : { window }) }, layer, [
    patchStage(3 * bins, D, true, 0.5),
    { ...patchStage(3 * D, D), name: 'every second frame' },
    layersStage(L, layer),
  ]);

/** Whisper's encoder (Radford et al. 2022): two convolutions over time, layers whose keys have no bias, a norm behind. */
const whisper =
  (positions: boolean): Encoder =>
  (part) => {
    const { D, L } = dimensions(part);
    const F = part.integer(['encoder_ffn_dim', 'intermediate_size']);
    const learned = positions ? part.integer('max_source_positions') * D : 0;
    const bins = part.integer('num_mel_bins');
    const written: EncoderLayer = {
      ...{ D, F, heads: headsOf(part), attentionBias: 'all but key', byHead: true },
      activation: activationOf(part, 'gelu'),
    };
    const beside = learned + layerNorm(D);
    return hears({ beside, bins, D, L, layer: written, ...(positions ? { window: 30 } : {}) });
  };

/** Qwen2.5-Omni: Whisper without stored positions, two learned tokens and a matrix to the text. */
const omniAudio: Encoder = (part) => {
  const { parameters, width: D } = whisper(false)(part);
  const out = part.integer('output_dim');
  return { parameters: parameters + 2 * out + linear(D, out), width: out };
};

/** Qwen3-Omni: three convolutions over time and frequency, layers with biases everywhere. */
const omni3Audio =
  (projects: boolean): Encoder =>
  (part) => {
    const { D, L } = dimensions(part);
    const channels = part.integer('downsample_hidden_size');
    const out = part.integer('output_dim');
    // Three convolutions of stride 2 halve the bins, rounded up each time.
    const bins = [0, 0, 0].reduce((left) => Math.floor((left + 1) / 2), part.integer('num_mel_bins'));
    const ears = convolution(1, channels, 3) + 2 * convolution(channels, channels, 3) + channels * bins * D;
    const projector = projects ? linear(D, D) + linear(D, out) : 0;
    const layers = vit(D, part.integer('encoder_ffn_dim'), L);
    return { parameters: ears + layers + layerNorm(D) + projector, width: projects ? out : D };
  };

/** GLM-ASR: Whisper with rotary positions. */
const glmAsr: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const ears = convolution(part.integer('num_mel_bins'), D, 3, true, 1) + convolution(D, D, 3, true, 1);
  return { parameters: ears + L * layer({ D, F: width(part), attentionBias: 3 * D }) + layerNorm(D), width: D };
};

/** Voxtral Realtime: causal convolutions, RMSNorms, a gated feed-forward with a bias on its output, heads of their own width. */
const voxtralRealtime: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const heads = part.integer('num_attention_heads') * part.integer('head_dim');
  const ears = convolution(part.integer('num_mel_bins'), D, 3, true, 1) + convolution(D, D, 3, true, 1);
  const one =
    layer({ D, F, attention: 4 * D * heads, attentionBias: 2 * heads + D, norm: 'rms', gated: true, bias: false }) + D;
  return { parameters: ears + L * one + D, width: D };
};

/** Granite Speech's Conformer (Gulati et al. 2020), with the head that predicts characters half-way. */
const graniteSpeech: Encoder = (part) => {
  const D = part.integer('hidden_dim');
  const L = part.integer('num_layers', 0);
  const d = part.states('dim_head') ? part.integer('dim_head') : Math.floor(D / part.integer('num_heads'));
  const heads = part.integer('num_heads') * d;
  const out = part.integer('output_dim');
  const inner = D * part.integer('conv_expansion_factor');
  const F = D * part.integer('feedforward_mult');
  const feedForward = layerNorm(D) + linear(D, F) + linear(F, D);
  const relative = (2 * part.integer('max_pos_emb') + 1) * d;
  const attention = layerNorm(D) + D * heads + D * 2 * heads + linear(heads, D) + relative;
  // A batch norm stores its mean and variance with its weight and bias.
  const batchNorm = 4 * inner;
  const convolutions =
    layerNorm(D) + linear(D, 2 * inner) + inner * part.integer('conv_kernel_size') + batchNorm + linear(inner, D);
  const one = 2 * feedForward + attention + convolutions + layerNorm(D);
  return { parameters: linear(part.integer('input_dim'), D) + L * one + linear(D, out) + linear(out, D), width: D };
};

/** The Universal Speech Model's Conformer as Gemma 3n has it. */
const gemma3nAudio: Encoder = (part) => {
  const D = part.integer('hidden_size');
  const L = part.integer('conf_num_hidden_layers', 0);
  const d = Math.floor(D / part.integer('conf_num_attention_heads'));
  const feedForward = 2 * D + 2 * D * 4 * D;
  const attention = 2 * D + d + 5 * D * D;
  const convolutions = 2 * D + 2 * D * D + D * part.integer('conf_conv_kernel_size') + D * D;
  const channels = pair(part, 'sscp_conv_channel_size');
  const ears =
    convolution(1, channels[0], 3, false) + channels[0] + convolution(channels[0], channels[1], 3, false) + channels[1];
  // Two convolutions of stride 2 halve the bins.
  const flat = channels[1] * Math.floor(part.integer('input_feat_size') / 4);
  return { parameters: ears + flat * D + L * (2 * feedForward + attention + convolutions + D), width: D };
};

/** Gemma 4's Conformer: the same with clipped matrices, whose bounds are stored, and an output matrix. */
const gemma4Audio: Encoder = (part) => {
  const D = part.integer('hidden_size');
  const L = part.integer('num_hidden_layers', 0);
  const d = Math.floor(D / part.integer('num_attention_heads'));
  const out = part.integer('output_proj_dims');
  const feedForward = 2 * D + 2 * D * 4 * D;
  const attention = 2 * D + d + 5 * D * D;
  const convolutions = 2 * D + 2 * D * D + D * part.integer('conv_kernel_size') + D * D;
  // Four bounds for each of ten matrices.
  const bounds = part.boolean('use_clipped_linears') ? 40 : 0;
  const channels = pair(part, 'subsampling_conv_channels');
  const ears =
    convolution(1, channels[0], 3, false) + channels[0] + convolution(channels[0], channels[1], 3, false) + channels[1];
  // A quarter of the bands of sound is left, which the class takes to be as many as the first channels.
  const flat = channels[1] * Math.floor(channels[0] / 4);
  return {
    parameters: ears + flat * D + L * (2 * feedForward + attention + convolutions + D + bounds) + linear(D, out),
    width: out,
  };
};

/** Phi-4's Conformer (Gulati et al. 2020, arXiv:2005.08100) behind strided convolutions. */
const phi4Audio: Encoder = (part) => {
  const D = part.integer('hidden_size');
  const F = width(part);
  const channels = part.integer('nemo_conv_channels');
  const outer = part.integer('ext_pw_out_channel');
  const separable = part.integer('depthwise_separable_out_channel');
  const inner = D * part.integer('depthwise_multiplier');
  const halvings = Math.floor(Math.log2(part.integer('time_reduction')));
  const halve = (bands: number) => Math.floor((bands - 1) / 2 + 1);
  const bands = Array.from({ length: halvings }).reduce<number>(halve, part.integer('input_size'));
  const ears =
    convolution(1, channels, 3) + (halvings - 1) * (convolution(1, channels, 3) + linear(channels, channels));
  const distances = part.integer('bias_max_distance') * (part.boolean('bias_symmetric') ? 1 : 2);
  const feedForward = layerNorm(D) + linear(D, 2 * F) + linear(F, D);
  const convolutions =
    layerNorm(D) +
    linear(D, 2 * outer) +
    2 * outer +
    linear(part.integer('kernel_size'), inner) +
    linear(inner, separable);
  const one = 2 * feedForward + 4 * linear(D, D) + convolutions + linear(D, outer) + 2 * layerNorm(D);
  const relative = distances * part.integer('num_attention_heads');
  // The means and deviations of the bins are stored with the weights.
  const statistics = 2 * part.integer('input_size');
  const parameters = ears + linear(channels * bands, D) + relative + part.integer('num_blocks', 0) * one + statistics;
  return { parameters, width: D };
};

/** Prime factors, the largest first. */
function primes(number: number): readonly number[] {
  const found: number[] = [];
  let rest = number;
  for (let prime = 2; prime * prime <= rest; prime += prime === 2 ? 1 : 2)
    for (; rest % prime === 0; rest /= prime) found.unshift(prime);
  return rest > 1 ? [rest, ...found] : found;
}

type Scale = { readonly time: number; readonly side: number; readonly channels: number };

/** Of the scales those whose patches grow most evenly from a pixel to the whole: the nearest for each layer, or the best set. */
function evenly(scales: readonly Scale[], elements: number, layers: number): readonly Scale[] {
  const cost = (wanted: number, { time, side }: Scale): number =>
    Math.abs((wanted * Math.log(elements)) / layers - Math.log(time * side * side));
  const wanted = Array.from({ length: layers + 1 }, (_, index) => index);
  const nearest = (layer: number) =>
    scales.reduce((best, one) => (cost(layer, one) < cost(layer, best) ? one : best), scales[0] as Scale);
  const chosen = layers >= scales.length ? wanted.map(nearest) : cheapest(scales, wanted, cost);
  return [scales[0], ...chosen.slice(1, -1), scales.at(-1)].flatMap((one) => one ?? []);
}

/** As many scales as layers want one, in order, for the smallest sum of costs. */
function cheapest(
  scales: readonly Scale[],
  wanted: readonly number[],
  cost: (layer: number, scale: Scale) => number,
): readonly Scale[] {
  type Choice = { readonly cost: number; readonly scales: readonly Scale[] };
  const none: Choice = { cost: Number.POSITIVE_INFINITY, scales: [] };
  // One for each number of scales that may be chosen from.
  let best: readonly Choice[] = [...scales, undefined].map(() => ({ cost: 0, scales: [] }));
  for (const layer of wanted) {
    const next = [none];
    scales.forEach((scale, index) => {
      const before = best[index] ?? none;
      const taken = { cost: before.cost + cost(layer, scale), scales: [...before.scales, scale] };
      const left = next[index] ?? none;
      next.push(taken.cost < left.cost ? taken : left);
    });
    best = next;
  }
  return best.at(-1)?.scales ?? [];
}

/** Inkling's: no attention; each layer folds neighbouring patches into one. The last, which writes the text's width, is the projector. */
const inklingVision: Encoder = (part) => {
  const patch = part.integer('patch_size');
  const channels = part.integer('num_channels');
  const scales: Scale[] = [{ time: 1, side: 1, channels }];
  let side = 1;
  for (const prime of primes(patch)) {
    side *= prime;
    scales.push({ time: 1, side, channels: Math.ceil((side * side * channels) / 64) * 64 });
  }
  let time = 1;
  for (const prime of primes(part.integer('temporal_patch_size'))) {
    time *= prime;
    scales.push({ time, side, channels: side * side * channels * time * 64 });
  }
  const layers = part.integer(['n_layers', 'num_hidden_layers']);
  if (layers > 1000) throw part.wrong('n_layers', 'must be at most 1000', layers);
  const steps = evenly(scales, patch * patch * time * channels, layers);
  const folds = steps.slice(1).map((end, index) => {
    const start = steps[index] ?? end;
    const read = start.channels * Math.floor(end.time / start.time) * Math.floor(end.side / start.side) ** 2;
    return { read, written: end.channels };
  });
  const parameters = folds.slice(0, -1).reduce((sum, { read, written }) => sum + (read + 1) * written, 0);
  return { parameters, width: folds.at(-1)?.read ?? 0 };
};

/** Every encoder, by the `model_type` of its part. */
export const encoders: Readonly<Record<string, Encoder>> = {
  blip_2_vision_model: blip2,
  clip_vision_model: clip,
  cohere_compass_vision: qwen3Vision,
  cosmos3_edge_vision: siglipLike((part) => part.integer('num_patches')),
  ernie4_5_vl_moe_vision: ernieVision,
  exaone4_5_vision: qwen25Vision,
  gemma3n_audio: gemma3nAudio,
  gemma3n_vision: timm,
  gemma4_audio: gemma4Audio,
  gemma4_vision: gemma4Vision,
  git_vision_model: clip,
  glm4v_moe_vision: glm4Vision,
  glm4v_vision: glm4Vision,
  glm5_next_vision: glmOcrVision((part) => part.integer('projection_intermediate_size')),
  glm_ocr_vision: glmOcrVision((part, out) => out * part.integer('in_channels')),
  glmasr_encoder: glmAsr,
  'got_ocr2.vision_config': sam,
  granite_speech_encoder: graniteSpeech,
  granite_speech_plus_encoder: graniteSpeech,
  hunyuan_vl_vision: hunyuanVision,
  inkling_vision: inklingVision,
  idefics2_vision: siglipLike(patches),
  idefics3_vision: siglipLike(patches),
  instructblip_vision_model: blip2,
  instructblipvideo_vision_model: blip2,
  intern_vit_6b: internvl,
  internvl_vision: internvl,
  janus_vision_model: janusVision,
  kimi_k25_vision: moonvit,
  kosmos_2_vision_model: clip,
  llama4_vision_model: llama4Vision,
  minicpmv4_6_vision: minicpmVision,
  minicpmv4_7_vision: minicpmVision,
  minimax_m3_vl_vision: minimaxVision,
  mllama_vision_model: mllamaVision,
  moonvit,
  muse_glimmer_vision: museVision,
  'ovis2.vision_config': ovis2Vision,
  paddleocr_vl_vision: siglipLike(patches, true),
  phi4_multimodal_audio: phi4Audio,
  phi4_multimodal_vision: siglipWithHead(patches),
  pixtral,
  'pp_chart2table.vision_config': sam,
  qianfan_ocr_vision: internvl,
  qwen2_5_omni_audio_encoder: omniAudio,
  qwen2_5_omni_vision_encoder: qwen25Vision,
  qwen2_5_vl_vision: qwen25Vision,
  qwen2_audio_encoder: whisper(true),
  qwen2_vl_vision: qwen2Vision,
  qwen3_5_moe_vision: qwen3Vision,
  qwen3_5_vision: qwen3Vision,
  qwen3_asr_encoder: omni3Audio(false),
  qwen3_omni_moe_audio_encoder: omni3Audio(true),
  qwen3_omni_moe_vision_encoder: qwen3Vision,
  qwen3_vl_moe_vision: qwen3Vision,
  qwen3_vl_vision: qwen3Vision,
  qwen4_exp_vision: qwen3Vision,
  radio,
  sam_vision_model: sam,
  siglip: siglipLike(patches),
  siglip2_vision_model: siglipWithHead((part) => part.integer('num_patches')),
  siglip_vision_model: siglipWithHead(patches),
  smolvlm_vision: siglipLike(patches),
  step3p5_vision: stepVision,
  timm_wrapper: timm,
  video_llama_3_vision: videoLlama3Vision,
  voxtral_encoder: whisper(true),
  voxtral_realtime_encoder: voxtralRealtime,
};
