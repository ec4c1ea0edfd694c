import {
  activationOf,
  convolution,
  dimensions,
  type Encoded,
  type Encoder,
  headsOf,
  inStages,
  layer,
  layerNorm,
  linear,
  pair,
  vit,
  width,
} from './tower-pieces.ts';
import { type EncoderLayer, layersStage, patchStage } from './tower-stages.ts';

/** Encoders of sound; those of Whisper's kind are written out, of the others the weights alone are counted. */

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
export const whisper =
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
export const omniAudio: Encoder = (part) => {
  const { parameters, width: D } = whisper(false)(part);
  const out = part.integer('output_dim');
  return { parameters: parameters + 2 * out + linear(D, out), width: out };
};

/** Qwen3-Omni: three convolutions over time and frequency, layers with biases everywhere. */
export const omni3Audio =
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
export const glmAsr: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const ears = convolution(part.integer('num_mel_bins'), D, 3, true, 1) + convolution(D, D, 3, true, 1);
  return { parameters: ears + L * layer({ D, F: width(part), attentionBias: 3 * D }) + layerNorm(D), width: D };
};

/** Voxtral Realtime: causal convolutions, RMSNorms, a gated feed-forward with a bias on its output, heads of their own width. */
export const voxtralRealtime: Encoder = (part) => {
  const { D, L } = dimensions(part);
  const F = width(part);
  const heads = part.integer('num_attention_heads') * part.integer('head_dim');
  const ears = convolution(part.integer('num_mel_bins'), D, 3, true, 1) + convolution(D, D, 3, true, 1);
  const one =
    layer({ D, F, attention: 4 * D * heads, attentionBias: 2 * heads + D, norm: 'rms', gated: true, bias: false }) + D;
  return { parameters: ears + L * one + D, width: D };
};

/** Granite Speech's Conformer (Gulati et al. 2020), with the head that predicts characters half-way. */
export const graniteSpeech: Encoder = (part) => {
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
export const gemma3nAudio: Encoder = (part) => {
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
export const gemma4Audio: Encoder = (part) => {
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
export const phi4Audio: Encoder = (part) => {
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
