import type { Tower } from '../../model/architecture.ts';
import type { Fields } from '../fields.ts';
import { dense, type Family, grouped, type Shape, spanOf } from './build.ts';

/** A matrix with a bias, or a convolution of one position. */
const linear = (rows: number, columns: number) => rows * columns + columns;

/** SigLIP with its pooling head, and two matrices to the text. Letters: D width, F feed-forward, P patch, H width of the text. */
function vision(outer: Fields, H: number): Tower {
  const config = outer.nested('vision_config', {
    hidden_size: 1152,
    intermediate_size: 4304,
    num_hidden_layers: 27,
    num_channels: 3,
    image_size: 448,
    patch_size: 14,
  });
  const D = config.integer('hidden_size');
  const F = config.integer('intermediate_size');
  const P = config.integer('patch_size');
  const attention = 4 * linear(D, D);
  const feedForward = linear(D, F) + linear(F, D);
  const embeddings =
    linear(config.integer('num_channels') * P * P, D) + Math.floor(config.integer('image_size') / P) ** 2 * D;
  const layers = config.integer('num_hidden_layers', 0) * (4 * D + attention + feedForward);
  // One learned query, its attention, a norm and a feed-forward.
  const head = D + attention + 2 * D + feedForward;
  const projector = linear(D, H) + linear(H, H) + 2 * D;
  return { name: 'vision', parameters: embeddings + layers + 2 * D + head + projector, exact: true };
}

/** A Conformer (Gulati et al. 2020, arXiv:2005.08100) behind strided convolutions, and two pairs of matrices to the text. */
function audio(outer: Fields, H: number): Tower {
  const config = outer.nested('audio_config', {
    hidden_size: 1024,
    intermediate_size: 1536,
    num_blocks: 24,
    num_attention_heads: 16,
    ext_pw_out_channel: 1024,
    depthwise_separable_out_channel: 1024,
    depthwise_multiplier: 1,
    kernel_size: 3,
    input_size: 80,
    time_reduction: 8,
    bias_max_distance: 1000,
    nemo_conv_channels: 1024,
    downsample_rate: 1,
  });
  const D = config.integer('hidden_size');
  const F = config.integer('intermediate_size');
  const C = config.integer('nemo_conv_channels');
  const E = config.integer('ext_pw_out_channel');
  const inner = D * config.integer('depthwise_multiplier');
  const halvings = Math.floor(Math.log2(config.integer('time_reduction')));
  const bands = Array.from({ length: halvings }).reduce<number>(
    (left) => Math.floor((left - 1) / 2 + 1),
    config.integer('input_size'),
  );
  const subsampling = 10 * C + (halvings - 1) * (10 * C + linear(C, C)) + linear(C * bands, D);
  const buckets = config.integer('bias_max_distance') * (config.boolean('bias_symmetric') ? 1 : 2);
  const feedForward = 2 * D + linear(D, 2 * F) + linear(F, D);
  const convolution =
    2 * D +
    linear(D, 2 * E) +
    2 * E +
    inner * config.integer('kernel_size') +
    inner +
    linear(inner, config.integer('depthwise_separable_out_channel')) +
    linear(D, E);
  const layer = 2 * feedForward + 4 * linear(D, D) + convolution + 4 * D;
  const projector = 2 * (linear(D * config.integer('downsample_rate'), H) + linear(H, H));
  return {
    name: 'audio',
    parameters:
      subsampling +
      buckets * config.integer('num_attention_heads') +
      config.integer('num_blocks', 0) * layer +
      projector,
    exact: true,
  };
}

/** Phi-3's block with both towers, which stand there even where the config does not describe them. */
const phi4Multimodal: Family = {
  source: 'transformers 5.18.0, models/phi4_multimodal/modeling_phi4_multimodal.py',
  attention: (shape, fields, mixer) => grouped(shape, { fused: true, span: spanOf(mixer, fields) }),
  feedForward: (shape) => dense(shape.hiddenSize, shape.width, { fused: true }),
  towers: (outer: Fields, { hiddenSize }: Shape) => [vision(outer, hiddenSize), audio(outer, hiddenSize)],
};

export const phi4Families: Readonly<Record<string, Family>> = { phi4_multimodal: phi4Multimodal };
