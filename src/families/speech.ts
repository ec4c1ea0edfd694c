import type { Tower } from '../model/architecture.ts';
import type { Fields } from '../text/fields.ts';
import { convolution, layerNorm, linear } from './tower-pieces.ts';

/**
 * The parts with which a model speaks: a small language model that writes codes of sound (talker), and what makes sound of them
 * (vocoder). Letters: D width, L layers, F feed-forward width. Source: transformers 5.18.0, qwen2_5_omni and qwen3_omni_moe.
 */

const conv1d = (inputs: number, outputs: number, kernel: number, bias = true) =>
  convolution(inputs, outputs, kernel, bias, 1);

const numbers = (part: Fields, key: string): readonly number[] => {
  const listed = part.listed(key).filter((value): value is number => typeof value === 'number' && value > 0);
  if (listed.length === 0) throw part.wrong(key, 'must list numbers above 0', part.list(key));
  return listed;
};

/** Grouped attention's matrices: query, key, value and output. */
function attention(part: Fields, D: number, bias: boolean): { readonly parameters: number; readonly headDim: number } {
  const heads = part.integer('num_attention_heads');
  const headDim = part.integerOr('head_dim', Math.floor(D / heads), 1);
  const [query, key] = [heads * headDim, part.integerOr('num_key_value_heads', heads, 1) * headDim];
  return { parameters: linear(D, query, bias) + 2 * linear(D, key, bias) + query * D, headDim };
}

/** Qwen2.5-Omni: Qwen 2's layers over codes, a Diffusion Transformer (arXiv:2212.09748) and BigVGAN (arXiv:2206.04658). */
export function qwen25Speech(outer: Fields): readonly Tower[] {
  const talker = outer.nested('talker_config', {
    embedding_size: 3584,
    head_dim: 128,
    hidden_size: 3584,
    intermediate_size: 18944,
    num_attention_heads: 28,
    num_hidden_layers: 28,
    num_key_value_heads: 4,
    vocab_size: 8448,
  });
  const D = talker.integer('hidden_size');
  const E = talker.integer('embedding_size');
  const codes = talker.integer('vocab_size');
  const layer = attention(talker, D, true).parameters + 3 * D * talker.integer('intermediate_size') + 2 * D;
  const elements = codes * E + talker.integer('num_hidden_layers', 0) * layer + D + codes * D + linear(E, D);
  const sound = outer.nested('token2wav_config');
  return [
    { name: 'talker', parameters: elements, exact: true },
    { name: 'vocoder', parameters: diffusion(sound) + bigVgan(sound), exact: true },
  ];
}

function diffusion(sound: Fields): number {
  const part = sound.nested('dit_config', {
    emb_dim: 512,
    enc_attention_channels: 64,
    enc_channels: [256, 256, 256, 256, 768],
    enc_dim: 128,
    enc_emb_dim: 192,
    enc_kernel_sizes: [5, 3, 3, 3, 1],
    enc_res2net_scale: 2,
    enc_se_channels: 64,
    ff_mult: 2,
    head_dim: 64,
    hidden_size: 1024,
    mel_dim: 80,
    num_attention_heads: 16,
    num_embeds: 8193,
    num_hidden_layers: 22,
  });
  const D = part.integer('hidden_size');
  const mel = part.integer('mel_dim');
  const heads = part.integer('num_attention_heads') * part.integer('head_dim');
  const F = D * part.integer('ff_mult');
  const embedded = mel + part.integer('enc_dim') + part.integer('enc_emb_dim') + part.integer('emb_dim');
  const block = linear(D, 6 * D) + 3 * linear(D, heads) + linear(heads, D) + linear(D, F) + linear(F, D);
  const ends = linear(256, D) + linear(D, D) + linear(embedded, D) + linear(D, 2 * D) + linear(D, mel);
  const words = (part.integer('num_embeds') + 1) * part.integer('emb_dim');
  return words + ends + part.integer('num_hidden_layers', 0) * block + speaker(part, mel);
}

/** The speaker encoder: ECAPA-TDNN (Desplanques et al. 2020, arXiv:2005.07143). */
function speaker(part: Fields, mel: number): number {
  const channels = numbers(part, 'enc_channels');
  const kernels = numbers(part, 'enc_kernel_sizes');
  const scale = part.integer('enc_res2net_scale');
  const squeezed = part.integer('enc_se_channels');
  const attended = part.integer('enc_attention_channels');
  const [first = 1] = channels;
  const last = channels.at(-1) ?? 1;
  const inner = channels.slice(1, -1).reduce((sum, width, index) => {
    const before = channels[index] ?? width;
    const third = Math.floor(width / scale);
    const res2net = (scale - 1) * conv1d(third, third, kernels[index + 1] ?? 3);
    return (
      sum +
      conv1d(before, width, 1) +
      res2net +
      conv1d(width, width, 1) +
      conv1d(width, squeezed, 1) +
      conv1d(squeezed, width, 1)
    );
  }, 0);
  const pooled =
    conv1d(3 * last, attended, 1) + conv1d(attended, last, 1) + conv1d(2 * last, part.integer('enc_dim'), 1);
  return conv1d(mel, first, kernels[0] ?? 5) + inner + conv1d(last, last, kernels.at(-1) ?? 1) + pooled;
}

function bigVgan(sound: Fields): number {
  const part = sound.nested('bigvgan_config', {
    mel_dim: 80,
    resblock_kernel_sizes: [3, 7, 11],
    upsample_initial_channel: 1536,
    upsample_kernel_sizes: [11, 7, 4, 4, 4, 4],
  });
  const start = part.integer('upsample_initial_channel');
  const ups = numbers(part, 'upsample_kernel_sizes');
  const kernels = numbers(part, 'resblock_kernel_sizes');
  // Three dilations, two convolutions each, a learned snake in front of every one.
  const levels = ups.map((kernel, level) => {
    const width = Math.floor(start / 2 ** (level + 1));
    const blocks = kernels.reduce((sum, size) => sum + 6 * conv1d(width, width, size) + 6 * 2 * width, 0);
    return conv1d(2 * width, width, kernel) + blocks;
  });
  const last = Math.floor(start / 2 ** ups.length);
  return conv1d(part.integer('mel_dim'), start, 7) + levels.reduce((sum, one) => sum + one, 0) + 2 * last + last * 7;
}

/** Qwen3-Omni: a mixture of experts over codes, a predictor of the other codes of each moment, and convolutions to sound. */
export function qwen3Speech(outer: Fields): readonly Tower[] {
  const talker = outer.nested('talker_config', { num_code_groups: 32, thinker_hidden_size: 2048 });
  const part = talker.nested('text_config', {
    hidden_size: 1024,
    intermediate_size: 2048,
    moe_intermediate_size: 384,
    num_attention_heads: 16,
    num_experts: 128,
    num_hidden_layers: 20,
    num_key_value_heads: 2,
    vocab_size: 3072,
  });
  const D = part.integer('hidden_size');
  const experts = part.integer(['num_experts', 'num_local_experts']);
  const own = attention(part, D, false);
  const shared = part.count('shared_expert_intermediate_size');
  const feed = experts * (D + 3 * D * part.integer('moe_intermediate_size')) + 3 * D * shared + (shared > 0 ? D : 0);
  const layer = own.parameters + 2 * own.headDim + feed + 2 * D;
  const inner = part.integer('intermediate_size');
  const project = linear(talker.integer('thinker_hidden_size'), inner) + linear(inner, D);
  const elements = part.integer('num_hidden_layers', 0) * layer + D + 2 * part.integer('vocab_size') * D + 2 * project;
  return [
    { name: 'talker', parameters: elements + predictor(talker), exact: true },
    { name: 'vocoder', parameters: code2wav(outer), exact: true },
  ];
}

function predictor(talker: Fields): number {
  const part = talker.nested('code_predictor_config', {
    head_dim: 128,
    hidden_size: 1024,
    intermediate_size: 3072,
    num_attention_heads: 16,
    num_hidden_layers: 5,
    num_key_value_heads: 8,
    vocab_size: 2048,
  });
  const D = part.integer('hidden_size');
  const own = attention(part, D, false);
  const layer = own.parameters + 2 * own.headDim + 3 * D * part.integer('intermediate_size') + 2 * D;
  const groups = part.integerOr('num_code_groups', talker.integer('num_code_groups'), 1) - 1;
  return part.integer('num_hidden_layers', 0) * layer + D + 2 * groups * part.integer('vocab_size') * D;
}

function code2wav(outer: Fields): number {
  const part = outer.nested('code2wav_config', {
    codebook_size: 2048,
    decoder_dim: 1536,
    hidden_size: 1024,
    intermediate_size: 3072,
    num_attention_heads: 16,
    num_hidden_layers: 8,
    num_key_value_heads: 16,
    num_quantizers: 16,
    upsample_rates: [8, 5, 4, 3],
    upsampling_ratios: [2, 2],
  });
  const D = part.integer('hidden_size');
  // Two norms and two scales in each layer.
  const layer = attention(part, D, false).parameters + 3 * D * part.integer('intermediate_size') + 4 * D;
  const grow = numbers(part, 'upsampling_ratios').reduce(
    (sum, ratio) => sum + conv1d(D, D, ratio) + D + linear(7, D) + layerNorm(D) + linear(D, 4 * D) + linear(4 * D, D),
    0,
  );
  const start = part.integer('decoder_dim');
  const rates = numbers(part, 'upsample_rates');
  const levels = rates.reduce((sum, rate, level) => {
    const [before, width] = [Math.floor(start / 2 ** level), Math.floor(start / 2 ** (level + 1))];
    const units = 3 * (4 * width + conv1d(width, width, 7) + conv1d(width, width, 1));
    return sum + 2 * before + conv1d(before, width, 2 * rate) + units;
  }, 0);
  const last = Math.floor(start / 2 ** rates.length);
  const codes = part.integer('codebook_size') * part.integer('num_quantizers') * D;
  const layers = part.integer('num_hidden_layers', 0) * layer + D;
  return codes + layers + grow + conv1d(D, start, 7) + levels + 2 * last + conv1d(last, 1, 7);
}
