import type { Tower } from '../../model/architecture.ts';
import type { Fields } from '../fields.ts';
import type { Shape } from './build.ts';

/**
 * Gemma 4's audio tower: two strided convolutions, Conformer layers (Gulati et al. 2020, arXiv:2005.08100), one matrix to the
 * tower's own output and one to the text. Letters: D width, k kernel, H width of the text.
 *
 * Source: transformers 5.18.0, models/gemma4/modeling_gemma4.py.
 */
export function gemma4Audio(outer: Fields, { hiddenSize: H }: Shape): readonly Tower[] {
  const described = (outer.raw('audio_config')?.value ?? null) !== null;
  // The published models with per-layer inputs (E2B, E4B) have this tower; some copies of their configs lost its description.
  const lost =
    outer.states('vision_config') && outer.nested('text_config').integerOr('hidden_size_per_layer_input', 0) > 0;
  if (!described && !lost) return [];
  if (!described)
    outer.assume('audio_config', "the class's own", 'published models with per-layer inputs have an audio tower');
  const audio = outer.nested('audio_config', {
    hidden_size: 1024,
    num_hidden_layers: 12,
    num_attention_heads: 8,
    subsampling_conv_channels: [128, 32],
    conv_kernel_size: 5,
    output_proj_dims: 1536,
    use_clipped_linears: true,
  });
  const D = audio.integer('hidden_size');
  const k = audio.integer('conv_kernel_size');
  const out = audio.integer('output_proj_dims');
  const [first = 128, second = 32] = (audio.list('subsampling_conv_channels') ?? []).filter(
    (channels): channels is number => typeof channels === 'number' && Number.isInteger(channels) && channels > 0,
  );
  const subsampling = 9 * first + first + 9 * first * second + second + Math.floor(first / 4) * second * D;
  const feedForward = 8 * D * D + 2 * D;
  // Query, key, value, output; keys of relative positions; one scale for each channel of a head.
  const attention = 5 * D * D + Math.floor(D / audio.integer('num_attention_heads'));
  const convolution = 3 * D * D + k * D + 2 * D;
  // Four bounds for each clipped matrix are stored with the weights: four of the feed-forwards, four of attention, two more.
  const bounds = audio.boolean('use_clipped_linears') ? 10 * 4 : 0;
  const layer = 2 * feedForward + attention + convolution + 3 * D + bounds;
  const parameters = subsampling + audio.integer('num_hidden_layers', 0) * layer + out * D + out + out * H;
  return [{ name: 'audio', parameters, exact: true }];
}
