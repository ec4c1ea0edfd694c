import type { Scheme } from '../../model/architecture.ts';
import { type Dictionary, isDictionary, own } from '../../text/fields.ts';

/** How quantisers store one matrix: what shares a scale, and what stands beside the weights. */

/** One fp32 scale for each 128 x 128 block: DeepSeek-V3's checkpoint layout. */
export const blockFp8 = (block: readonly [number, number]): Scheme => ({
  bits: 8,
  shares: 'block',
  block,
  scaleBytes: 4,
});

/** One scale for the whole matrix, and one for what it reads where that is not found at run time. */
export const matrixFp8 = (fixed: boolean, scaleBytes: number): Scheme => ({
  bits: 8,
  shares: 'matrix',
  scaleBytes,
  matrixBytes: fixed ? scaleBytes : 0,
});

/** One 8-bit scale for 32 weights of 4 bits: OCP Microscaling (MX) v1.0. */
export const mxfp4: Scheme = { bits: 4, shares: 'group', group: 32, scaleBytes: 1 };

/** One fp8 scale for 16 weights of 4 bits, one fp32 scale of them and one of the input: NVIDIA ModelOpt. */
export const nvfp4: Scheme = { bits: 4, shares: 'group', group: 16, scaleBytes: 1, matrixBytes: 8 };

/** Weights and zero points packed into 32-bit words, fp16 scales, an index of the inputs: AutoGPTQ. AWQ has no index. */
export const gptq = (bits: number, group: number | undefined, index: boolean): Scheme => ({
  bits,
  ...(group === undefined ? { shares: 'output' } : { shares: 'group', group }),
  scaleBytes: 2,
  zeroBits: bits,
  ...(index ? { inputBytes: 4 } : {}),
});

/**
 * bitsandbytes (Dettmers et al. 2023, arXiv:2305.14314, 3): blocks of 64 in NF4 with an 8-bit scale each, 256 of those with an
 * fp32 one, and the two tables; or fp32 scales where not quantised twice. In 8 bits: one fp32 scale for each output.
 */
export const nf4 = (twice: boolean): Scheme =>
  twice
    ? { bits: 4 + 8 / 64 + 32 / (64 * 256), shares: 'matrix', scaleBytes: 0, matrixBytes: 16 * 4 + 256 * 4 }
    : { bits: 4 + 32 / 64, shares: 'matrix', scaleBytes: 0, matrixBytes: 16 * 4 };
export const int8: Scheme = { bits: 8, shares: 'output', scaleBytes: 4, matrixBytes: 1 };

export const whole = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 2 ** 20 ? value : undefined;

export function blockOf(value: unknown): readonly [number, number] | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [high, wide] = [whole(value[0]), whole(value[1])];
  return high === undefined || wide === undefined ? undefined : [high, wide];
}

/** A group of compressed-tensors or ModelOpt: bits, kind and what shares a scale. */
export function groupScheme(group: Dictionary, format: string): Scheme | undefined {
  const weights = own(group, 'weights');
  if (!isDictionary(weights)) return undefined;
  const bits = whole(own(weights, 'num_bits')) ?? 8;
  const size = whole(own(weights, 'group_size'));
  const block = blockOf(own(weights, 'block_structure'));
  const inputs = own(group, 'input_activations');
  const fixed = isDictionary(inputs) && own(inputs, 'dynamic') === false;
  const itsFormat = typeof own(group, 'format') === 'string' ? String(own(group, 'format')) : format;
  if (itsFormat.includes('mxfp4')) return mxfp4;
  const floats = own(weights, 'type') === 'float';
  if (bits === 4 && floats) return size === 32 ? mxfp4 : { ...nvfp4, matrixBytes: fixed ? 8 : 4 };
  if (bits === 8 && block) return blockFp8(block);
  const strategy = own(weights, 'strategy') ?? (size === undefined ? 'tensor' : 'group');
  // Packed integers store the shape of the matrix beside it, as two 64-bit numbers.
  const shape = itsFormat.includes('pack') ? { matrixBytes: 16 } : {};
  const zero = own(weights, 'symmetric') === false ? { zeroBits: bits } : {};
  if (strategy === 'group' && size !== undefined)
    return { bits, shares: 'group', group: size, scaleBytes: 2, ...shape, ...zero };
  if (strategy === 'channel') return { bits, shares: 'output', scaleBytes: 2, ...shape, ...zero };
  return floats ? matrixFp8(fixed, 4) : { bits, shares: 'matrix', scaleBytes: 2, ...shape, ...zero };
}

/**
 * MLX (`mlx.core.quantize`): a scale and a bias in the model's 16 bits for each group, or one 8-bit scale in the formats that others
 * define. It keeps a matrix whose inputs its groups do not divide (`mlx_lm.utils.quantize_model`).
 */
export function mlx(from: Dictionary): Scheme | undefined {
  const mode = own(from, 'mode') ?? 'affine';
  const bits = whole(own(from, 'bits'));
  const group = whole(own(from, 'group_size'));
  if (bits === undefined || group === undefined) return undefined;
  const scaleBytes = mode === 'affine' ? 4 : mode === 'mxfp4' || mode === 'mxfp8' || mode === 'nvfp4' ? 1 : undefined;
  return scaleBytes === undefined ? undefined : { bits, shares: 'group', group, scaleBytes, dividing: true };
}

/** AutoRound: GPTQ's or AWQ's packing of integers without an index, or the blocks of MX and NVFP4. 16 bits and more keep a matrix. */
export function autoRound(from: Dictionary): Scheme | 'kept' | undefined {
  const bits = whole(own(from, 'bits'));
  if (bits === undefined) return undefined;
  if (bits >= 16) return 'kept';
  const type = own(from, 'data_type') ?? 'int';
  const packing = own(from, 'packing_format');
  if (type === 'int' && !(typeof packing === 'string' && packing.includes('llm_compressor')))
    return gptq(bits, whole(own(from, 'group_size')), false);
  if (typeof type !== 'string') return undefined;
  if (type.startsWith('mx_fp')) return { bits, shares: 'group', group: 32, scaleBytes: 1 };
  if (type.startsWith('nv_fp') && bits === 4) {
    const input = own(from, 'act_data_type');
    return { ...nvfp4, matrixBytes: typeof input === 'string' && input.includes('static') ? 8 : 4 };
  }
  return undefined;
}
