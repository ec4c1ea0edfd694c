import type { Fields } from '../text/fields.ts';
import { siglipLike } from './image-encoders.ts';
import {
  convolution,
  dimensions,
  type Encoded,
  type Encoder,
  layer,
  layerNorm,
  linear,
  pair,
  patches,
  pixels,
  vit,
  width,
} from './tower-pieces.ts';

/** Image encoders of which the weights alone are counted: how they compute is not written out. */

/** MiniMax-M3: CLIP's layers over two frames, a norm before. */
export const minimaxVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const patch = pixels(part) * part.integer('temporal_patch_size') * D;
  return { parameters: patch + layerNorm(D) + vit(D, width(part), L), width: D };
};

/** AIMv2 as Ovis 2 has it: RMSNorms, a gated feed-forward, and a head that turns each patch into a mix of visual words. */
export const ovis2Vision: Encoder = (part) => {
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
export const sam: Encoder = (part) => {
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
export const stepVision: Encoder = (part) => {
  const D = part.integer(['width', 'hidden_size']);
  const L = part.integer(['layers', 'num_hidden_layers'], 0);
  const positions = patches(part) * D;
  const F = Math.trunc(D * part.number('mlp_ratio'));
  const layers = L * layer({ D, F, more: 2 * D });
  const down = convolution(D, 2 * D, 3) + convolution(2 * D, 4 * D, 3);
  return { parameters: pixels(part) * D + positions + layerNorm(D) + layers + down, width: 4 * D };
};

/** MiniCPM-V 4.6: SigLIP with one merging layer between: attention in windows, then two matrices from four patches to one. */
export const minicpmVision: Encoder = (part) => {
  const counted = siglipLike(patches)(part);
  const D = counted.width;
  const [down, across] = pair(part, 'window_kernel_size');
  const merged = D * down * across;
  const F = width(part) * down * across;
  const merger = 4 * linear(D, D) + layerNorm(D) + layerNorm(merged) + linear(merged, F) + linear(F, D);
  return { parameters: counted.parameters + merger, width: D };
};

/** Muse: positions learned on a grid, norms before and behind. */
export const museVision: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const patch = pixels(part) * part.integer('patch_temporal') * D;
  const positions = part.integer('pos_emb_height') * part.integer('pos_emb_width') * D;
  return { parameters: patch + positions + vit(D, width(part), L) + 2 * layerNorm(D), width: D };
};

/** C-RADIO: registers, one patch matrix for images and one for video, layer scales. */
export const radio: Encoder = (part) => {
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

/** HunyuanOCR: positions for every patch of the longest image and one more, and a merger of two convolutions. */
export const hunyuanVision: Encoder = (part) => {
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
export const timm: Encoder = (part) => {
  const architecture = part.string('architecture') ?? '';
  const known = Object.hasOwn(timmModels, architecture) ? timmModels[architecture] : undefined;
  const unknown = `the architecture ${architecture.slice(0, 60)} of timm`;
  if (known) return { ...known, width: part.integerOr('hidden_size', known.width, 1) };
  return perception(architecture, part) ?? { parameters: 0, width: 0, unknown };
};
