import type { TowerStage } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import {
  activationOf,
  anySize,
  computing,
  dimensions,
  type Encoder,
  fixed,
  headsOf,
  inStages,
  layerNorm,
  linear,
  pair,
  patches,
  pixels,
  width,
} from './tower-pieces.ts';
import {
  type EncoderLayer,
  gatedStage,
  heldBy,
  layersStage,
  matrixStage,
  patchStage,
  twoMatricesStage,
} from './tower-stages.ts';

/** Image encoders that are written out as operations: what they hold follows from their stages. */

/** SigLIP (Zhai et al. 2023): a patch matrix with bias, learned positions, which some scale to an image's size, a norm behind. */
export const siglipLike =
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
export const siglipWithHead =
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
export const clip: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const positions = patches(part) + 1;
  const layer = { D, F, heads: headsOf(part), activation: activationOf(part, 'quick_gelu') };
  const beside = D + positions * D + 2 * layerNorm(D);
  const patch = patchStage(pixels(part), D, false);
  return computing({ beside, width: D }, fixed(part), patch, { L, layer, extra: 1 });
};

/** BLIP-2's ViT-g: a class token, a norm behind. */
export const blip2: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const bias = part.boolean('qkv_bias') ? 'all' : 'output';
  const one: EncoderLayer = { D, F, heads: headsOf(part), attentionBias: bias, fused: true };
  const beside = D + (patches(part) + 1) * D + layerNorm(D);
  return computing({ beside, width: D }, fixed(part), patchStage(pixels(part), D), { L, layer: one, extra: 1 });
};

/** Pixtral (Mistral 2024): Llama's layers without biases, rotary positions, a norm before. */
export const pixtral: Encoder = (part) => {
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
export const internvl: Encoder = (part) => {
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
export const qwen2Vision: Encoder = (part) => {
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
export const qwen25Vision: Encoder = (part) => {
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
export const qwen3Vision: Encoder = (part) => {
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
export const glm4Vision: Encoder = (part) => {
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
export const glmOcrVision =
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
export const ernieVision: Encoder = (part) => {
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
export const llama4Vision: Encoder = (part) => {
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
export const mllamaVision: Encoder = (part) => {
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
export const videoLlama3Vision = siglipLike(() => 0);

/** Janus: SigLIP with the feed-forward given as a ratio. */
export const janusVision: Encoder = (part) => {
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

/** Gemma 4: Llama-like layers with query and key norms, positions for rows and columns. */
export const gemma4Vision: Encoder = (part) => {
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
