import type { Tower } from '../../model/architecture.ts';
import type { Fields } from '../fields.ts';
import type { Shape } from './build.ts';

/**
 * Vision towers with their projectors, counted from `vision_config`. Letters: D width, L layers, F feed-forward width,
 * P elements of a patch. A LayerNorm has 2D, an RMSNorm D.
 */
type Counter = (outer: Fields, shape: Shape) => readonly Tower[];

const tower = (parameters: number): readonly Tower[] => [{ name: 'vision', parameters, exact: true }];

/** A ViT layer with biases: two LayerNorms, four projections, two matrices of the feed-forward (Dosovitskiy et al. 2021). */
const vitLayer = (D: number, F: number) => 4 * D + 4 * (D * D + D) + 2 * D * F + F + D;

const linear = (rows: number, columns: number) => rows * columns + columns;

/** SigLIP as Gemma 3 has it: positions are learned, no class token, no head; a norm and a matrix lead to the text. */
export const siglip: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    hidden_size: 1152,
    num_hidden_layers: 27,
    intermediate_size: 4304,
    patch_size: 14,
    image_size: 896,
    num_channels: 3,
  });
  const D = vision.integer('hidden_size');
  const patch = vision.integer('patch_size');
  const positions = Math.floor(vision.integer('image_size') / patch) ** 2;
  const layers = vision.integer('num_hidden_layers') * vitLayer(D, vision.integer('intermediate_size'));
  return tower(
    linear(vision.integer('num_channels') * patch * patch, D) +
      positions * D +
      layers +
      2 * D +
      D * shape.hiddenSize +
      D,
  );
};

/** CLIP as LLaVA 1.5 has it: a class token, norms before and after, and two matrices to the text. */
export const clip: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    hidden_size: 1024,
    num_hidden_layers: 24,
    intermediate_size: 4096,
    patch_size: 14,
    image_size: 336,
    num_channels: 3,
  });
  const D = vision.integer('hidden_size');
  const patch = vision.integer('patch_size');
  const positions = Math.floor(vision.integer('image_size') / patch) ** 2 + 1;
  const layers = vision.integer('num_hidden_layers') * vitLayer(D, vision.integer('intermediate_size'));
  const projector = linear(D, shape.hiddenSize) + linear(shape.hiddenSize, shape.hiddenSize);
  return tower(D + vision.integer('num_channels') * patch * patch * D + positions * D + layers + 4 * D + projector);
};

/** Qwen2-VL: patches over two frames, LayerNorms, four patches merged by two matrices. */
export const qwen2Vision: Counter = (outer, shape) => {
  const vision = outer.nested('vision_config', {
    depth: 32,
    embed_dim: 1280,
    mlp_ratio: 4,
    patch_size: 14,
    temporal_patch_size: 2,
    spatial_merge_size: 2,
    in_channels: 3,
  });
  const D = vision.integer('embed_dim');
  const merged = D * vision.integer('spatial_merge_size') ** 2;
  const patch = 3 * vision.integer('temporal_patch_size') * vision.integer('patch_size') ** 2 * D;
  return tower(
    patch +
      vision.integer('depth') * vitLayer(D, D * vision.integer('mlp_ratio')) +
      2 * D +
      linear(merged, merged) +
      linear(merged, shape.hiddenSize),
  );
};

/** Qwen2.5-VL: RMSNorms and a gated feed-forward with biases. */
export const qwen25Vision: Counter = (outer, shape) => {
  const vision = outer.nested('vision_config', {
    depth: 32,
    hidden_size: 3584,
    intermediate_size: 3420,
    patch_size: 14,
    temporal_patch_size: 2,
    spatial_merge_size: 2,
  });
  const D = vision.integer('hidden_size');
  const F = vision.integer('intermediate_size');
  const merged = D * vision.integer('spatial_merge_size') ** 2;
  const layer = 2 * D + 4 * (D * D + D) + 3 * D * F + 2 * F + D;
  const patch = 3 * vision.integer('temporal_patch_size') * vision.integer('patch_size') ** 2 * D;
  return tower(patch + vision.integer('depth') * layer + D + linear(merged, merged) + linear(merged, shape.hiddenSize));
};

/** Qwen3-VL and Qwen3.5: learned positions, a merger, and one more for each layer that feeds the text directly (deepstack). The class defaults hold where the config has no tower. */
export const qwen3Vision: Counter = (outer, shape) => {
  const vision = outer.nested('vision_config', {
    depth: 27,
    hidden_size: 1152,
    intermediate_size: 4304,
    patch_size: 16,
    temporal_patch_size: 2,
    spatial_merge_size: 2,
    num_position_embeddings: 2304,
  });
  const D = vision.integer('hidden_size');
  const merged = D * vision.integer('spatial_merge_size') ** 2;
  const out = outer.states('vision_config') ? vision.integerOr('out_hidden_size', shape.hiddenSize, 1) : 3584;
  const patch = linear(3 * vision.integer('temporal_patch_size') * vision.integer('patch_size') ** 2, D);
  const merger = (norm: number) => 2 * norm + linear(merged, merged) + linear(merged, out);
  const stacked = vision.list('deepstack_visual_indexes')?.length ?? 0;
  return tower(
    patch +
      vision.integer('num_position_embeddings') * D +
      vision.integer('depth') * vitLayer(D, vision.integer('intermediate_size')) +
      merger(D) +
      stacked * merger(merged),
  );
};

/** Llama 4: a class token, pixel shuffle with two matrices, one matrix to the text. The class defaults hold where the config has no tower. */
export const llama4Vision: Counter = (outer, shape) => {
  const vision = outer.nested('vision_config', {
    hidden_size: 768,
    num_hidden_layers: 34,
    intermediate_size: 5632,
    patch_size: 14,
    image_size: 448,
    num_channels: 3,
    projector_input_dim: 4096,
    projector_output_dim: 4096,
    vision_output_dim: 7680,
  });
  const D = vision.integer('hidden_size');
  const F = vision.integer('intermediate_size');
  const patch = vision.integer('patch_size');
  const positions = Math.floor(vision.integer('image_size') / patch) ** 2 + 1;
  const adapter =
    F * vision.integer('projector_input_dim') +
    vision.integer('projector_input_dim') * vision.integer('projector_output_dim');
  const layers = vision.integer('num_hidden_layers') * vitLayer(D, F);
  return tower(
    vision.integer('num_channels') * patch * patch * D +
      D +
      positions * D +
      4 * D +
      layers +
      adapter +
      vision.integer('vision_output_dim') * shape.hiddenSize,
  );
};

/** GLM-4.1V and 4.5V: no biases in the layers, a gated feed-forward as wide as the text, a convolution that halves the grid. */
export const glm4Vision: Counter = (outer, shape) => {
  const vision = outer.nested('vision_config', {
    depth: 24,
    hidden_size: 1536,
    intermediate_size: 13696,
    patch_size: 14,
    temporal_patch_size: 2,
    spatial_merge_size: 2,
    image_size: 336,
  });
  const D = vision.integer('hidden_size');
  const out = vision.integerOr('out_hidden_size', shape.hiddenSize, 1);
  const patch = vision.integer('patch_size');
  const positions = Math.floor(vision.integer('image_size') / patch) ** 2;
  const layer = 2 * D + 4 * D * D + 3 * D * out;
  const merger = out * out + 2 * out + 3 * out * vision.integer('intermediate_size');
  const downsample = linear(vision.integer('spatial_merge_size') ** 2 * D, out);
  return tower(
    linear(3 * vision.integer('temporal_patch_size') * patch * patch, D) +
      positions * D +
      2 * D +
      vision.integer('depth') * layer +
      merger +
      downsample,
  );
};

/** Pixtral as Mistral 3 has it: Llama's layers, four patches merged, two matrices to the text. */
export const pixtral: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    hidden_size: 1024,
    num_hidden_layers: 24,
    intermediate_size: 4096,
    patch_size: 16,
    num_channels: 3,
  });
  const D = vision.integer('hidden_size');
  const merge = outer.integerOr('spatial_merge_size', 2, 1);
  const bias = outer.boolean('multimodal_projector_bias');
  const layer = 2 * D + 4 * D * D + 3 * D * vision.integer('intermediate_size');
  const projector =
    D + merge ** 2 * D * D + D * shape.hiddenSize + shape.hiddenSize ** 2 + (bias ? 2 * shape.hiddenSize : 0);
  return tower(
    vision.integer('num_channels') * vision.integer('patch_size') ** 2 * D +
      D +
      vision.integer('num_hidden_layers') * layer +
      projector,
  );
};

/** MoonViT as Kimi K2.5 has it: learned positions, a norm, four patches merged by two matrices. */
export const moonvit: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    vt_hidden_size: 1152,
    vt_num_hidden_layers: 27,
    vt_intermediate_size: 4304,
    patch_size: 14,
    init_pos_emb_height: 64,
    init_pos_emb_width: 64,
  });
  const D = vision.integer(['vt_hidden_size', 'hidden_size']);
  const merged = 4 * D;
  const layers =
    vision.integer(['vt_num_hidden_layers', 'num_hidden_layers']) *
    vitLayer(D, vision.integer(['vt_intermediate_size', 'intermediate_size']));
  const positions = vision.integer('init_pos_emb_height') * vision.integer('init_pos_emb_width');
  return tower(
    linear(3 * vision.integer('patch_size') ** 2, D) +
      positions * D +
      layers +
      2 * D +
      2 * D +
      linear(merged, merged) +
      linear(merged, shape.hiddenSize),
  );
};

/** Gemma 4: Llama-like layers with query and key norms, positions for rows and columns, and one matrix to the text. */
export const gemma4Vision: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    hidden_size: 1152,
    num_hidden_layers: 27,
    intermediate_size: 4304,
    patch_size: 16,
    position_embedding_size: 10240,
    head_dim: 72,
  });
  const D = vision.integer('hidden_size');
  const layers = vision.integer('num_hidden_layers');
  const layer = 4 * D * D + 2 * vision.integer('head_dim') + 4 * D + 3 * D * vision.integer('intermediate_size');
  const patch = 3 * vision.integer('patch_size') ** 2 * D;
  // Means and deviations that standardise the output, and four bounds for each clipped matrix, are stored with the weights.
  const buffers =
    (vision.states('standardize') && vision.boolean('standardize') ? 2 * D : 0) +
    (vision.states('use_clipped_linears') && vision.boolean('use_clipped_linears') ? layers * 7 * 4 : 0);
  const whole =
    patch + 2 * vision.integer('position_embedding_size') * D + layers * layer + D * shape.hiddenSize + buffers;
  return tower(whole);
};

/** Llama 3.2 Vision: 32 layers and 8 gated ones, positions and tiles learned for each of 8 aspect ratios, one matrix to the text. */
export const mllamaVision: Counter = (outer, shape) => {
  if (!outer.states('vision_config')) return [];
  const vision = outer.nested('vision_config', {
    hidden_size: 1280,
    num_hidden_layers: 32,
    num_global_layers: 8,
    intermediate_size: 5120,
    patch_size: 14,
    image_size: 560,
    max_num_tiles: 4,
    vision_output_dim: 7680,
    num_channels: 3,
  });
  const D = vision.integer('hidden_size');
  const F = vision.integer('intermediate_size');
  const patch = vision.integer('patch_size');
  const positions = Math.floor(vision.integer('image_size') / patch) ** 2 + 1;
  const tiles = vision.integer('max_num_tiles');
  const ratios = (vision.list('supported_aspect_ratios')?.length ?? 8) + 1;
  const layer = 4 * D + 4 * D * D + 2 * D * F + F + D;
  const gated = vision.integer('num_global_layers');
  const tileTable = ratios * tiles * D + 1;
  const positionTables = 1 + positions * D + ratios * tiles * positions * D;
  const layers = (vision.integer('num_hidden_layers') + gated) * layer + 2 * gated;
  return tower(
    vision.integer('num_channels') * patch * patch * D +
      D +
      positionTables +
      2 * tileTable +
      4 * D +
      layers +
      linear(vision.integer('vision_output_dim'), shape.hiddenSize),
  );
};
