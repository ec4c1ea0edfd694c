import type { Fields } from '../text/fields.ts';
import { convolution, linear } from './tower-pieces.ts';

/**
 * Emu 3's image tokenizer: a VQ-GAN (Esser et al. 2021, arXiv:2012.09841) over frames, whose decoder's norms read the code
 * (MoVQ, arXiv:2209.09002). Source: transformers 5.18.0, models/emu3/modeling_emu3.py.
 */
export function emu3Tokenizer(part: Fields): number {
  const base = part.integer('base_channels');
  const widths = part.listed('channel_multiplier').map((multiple) => base * Number(multiple));
  const attended = new Set(part.listed('attn_resolutions'));
  const blocks = part.integer('num_res_blocks', 0);
  const latent = part.integer('latent_channels');
  const embed = part.integer('embed_dim');
  const last = widths.at(-1) ?? base;
  const first = widths[0] ?? base;
  const halvings = Math.floor(Math.log2(part.integer('temporal_downsample_factor')));
  const attention = 4 * linear(part.integer('hidden_size'), part.integer('hidden_size'));
  /** A norm has two elements for each channel; one that reads the code, two small matrices more. */
  const plain = 2;
  const reading = 2 + 2 * (embed + 1);
  const residual = (inputs: number, outputs: number, norm: number) =>
    norm * (inputs + outputs) +
    convolution(inputs, outputs, 3) +
    convolution(outputs, outputs, 3) +
    (inputs === outputs ? 0 : linear(inputs, outputs));
  const level = (index: number, before: number, count: number, norm: number) => {
    const width = widths[index] ?? base;
    const attends = attended.has(index) ? count * (attention + norm * width) : 0;
    const rest = Math.max(0, count - 1) * residual(width, width, norm);
    return (count > 0 ? residual(before, width, norm) : 0) + rest + attends;
  };
  const middle = (norm: number) => 2 * residual(last, last, norm) + attention + norm * last;
  const scaled = (from: readonly number[]) => from.reduce((sum, width) => sum + convolution(width, width, 3), 0);
  // Frames: batch norms store their statistics beside weight and bias.
  const frames = blocks * 2 * (4 * latent + linear(latent * 27, latent));
  const down = widths.reduce((sum, _, index) => sum + level(index, widths[index - 1] ?? base, blocks, plain), 0);
  const out = part.boolean('double_latent') ? 2 * latent : latent;
  const encoder =
    convolution(part.integer('in_channels'), base, 3) +
    down +
    scaled(widths.slice(0, -1)) +
    middle(plain) +
    plain * last +
    convolution(last, out, 3) +
    frames +
    halvings * linear(latent * 36, latent);
  const up = widths.reduce((sum, _, index) => sum + level(index, widths[index + 1] ?? last, blocks + 1, reading), 0);
  const decoder =
    frames +
    halvings * linear(latent * 27, latent) +
    convolution(latent, last, 3) +
    middle(reading) +
    up +
    scaled(widths.slice(1)) +
    reading * first +
    convolution(first, part.integer('out_channels'), 3);
  const codes = part.integer('codebook_size') * embed + linear(latent * 3, embed) + linear(embed * 3, latent);
  return encoder + decoder + codes;
}
