import type { PeakDtype } from './accelerators.ts';
import { definition, numbers } from './basis.ts';

const ieee = definition({ title: 'IEEE 754 binary32 and binary16, and bfloat16', date: '2026-11-25' });
const fp8 = definition({
  title: 'FP8 formats for deep learning, Micikevicius et al. 2022',
  url: 'https://arxiv.org/abs/2209.05433',
  date: '2026-11-25',
});
const microscaling = definition({
  title: 'Microscaling data formats, Rouhani et al. 2023: an 8-bit scale for each block of 32',
  url: 'https://arxiv.org/abs/2310.10537',
  date: '2026-11-25',
});
const nvfp4 = definition({
  title: 'Pretraining large language models with NVFP4, 2025: an 8-bit scale for each block of 16',
  url: 'https://arxiv.org/abs/2509.25149',
  date: '2026-11-25',
});
const qlora = definition({
  title: 'QLoRA, Dettmers et al. 2023, section 3: 4 bits and 0.127 bits of double-quantised scales',
  url: 'https://arxiv.org/abs/2305.14314',
  date: '2026-11-25',
});

/** Bytes of one element, its share of block scales included. */
export const bytesOf = numbers({
  fp32: ieee(4, 'byte/element'),
  fp16: ieee(2, 'byte/element'),
  bf16: ieee(2, 'byte/element'),
  fp8: fp8(1, 'byte/element'),
  int8: definition({ title: 'eight bits', date: '2026-11-25' })(1, 'byte/element'),
  fp4: nvfp4(0.5 + 1 / 16, 'byte/element'),
  nf4: qlora(0.5 + 0.127 / 8, 'byte/element'),
});

/** The peak that a matrix product of each precision is held against, and the bytes of an element of its operands. */
export const precisions = numbers({
  fp32: { peak: 'tf32', operand: ieee(4, 'byte/element') },
  fp16: { peak: 'fp16', operand: ieee(2, 'byte/element') },
  bf16: { peak: 'bf16', operand: ieee(2, 'byte/element') },
  fp8: { peak: 'fp8', operand: fp8(1, 'byte/element') },
  mxfp8: { peak: 'fp8', operand: microscaling(1 + 1 / 32, 'byte/element') },
  fp4: { peak: 'fp4', operand: nvfp4(0.5 + 1 / 16, 'byte/element') },
}) satisfies Readonly<Record<string, { readonly peak: PeakDtype; readonly operand: number }>>;
