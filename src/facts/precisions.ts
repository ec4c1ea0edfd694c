import type { PeakDtype } from './accelerators.ts';

/** Bytes of one element. `nf4`: 4 bits and double-quantised scales (Dettmers et al. 2023, arXiv:2305.14314, section 3). */
export const bytesOf = {
  fp32: 4,
  fp16: 2,
  bf16: 2,
  fp8: 1,
  int8: 1,
  fp4: 0.5 + 1 / 16,
  nf4: 0.5 + 0.127 / 8,
} as const;

/** The peak that a matrix product of each precision is held against, and the bytes of its operands. */
export const precisions = {
  fp32: { peak: 'tf32', operand: 4 },
  fp16: { peak: 'fp16', operand: 2 },
  bf16: { peak: 'bf16', operand: 2 },
  fp8: { peak: 'fp8', operand: 1 },
  mxfp8: { peak: 'fp8', operand: 1 + 1 / 32 },
  fp4: { peak: 'fp4', operand: 0.5 + 1 / 16 },
} as const satisfies Readonly<Record<string, { readonly peak: PeakDtype; readonly operand: number }>>;
