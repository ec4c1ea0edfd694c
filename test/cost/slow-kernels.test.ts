import { describe, expect, it } from 'vitest';
import { costOf, small } from './estimates.ts';

const trainer = { framework: 'transformers', accelerator: 'h200-sxm-141gb', gpus: 1, sequence_length: 4096 };
const parts = (run: object, config: object = {}) =>
  costOf({ ...small, ...config }, { ...trainer, ...run }).throughput.parts;

describe('matrices whose rows do not begin at multiples of 16 bytes', () => {
  const products = (vocabulary: number, run: object = {}) => parts(run, { vocab_size: vocabulary }).matrix_products;
  const aligned = products(50_304);

  it.each([
    ['an odd number of tokens', 50_257, {}],
    ['a multiple of four in 16 bits', 50_308, {}],
    ['FSDP runs the matrix as it is', 50_257, { framework: 'fsdp' }],
  ])('are slower: %s', (_, vocabulary, run) => {
    expect(products(vocabulary, run) / products(50_304, run)).toBeGreaterThan(2);
  });

  it('three times the output, and nothing else', () => {
    const layers = parts({}, { vocab_size: 64 }).matrix_products;
    expect((products(50_257) - layers) / (aligned - layers)).toBeCloseTo(3, 1);
  });

  it.each([
    ['a multiple of eight', 50_264, {}],
    ['a multiple of four in fp32', 50_308, { precision: 'fp32', flash_attention: false }],
    ['Megatron pads the vocabulary', 50_257, { framework: 'megatron' }],
    ['kernels of other vendors', 50_257, { accelerator: 'mi300x' }],
  ])('are not: %s', (_, vocabulary, run) => {
    expect(products(vocabulary, run) / products(50_304, run)).toBeCloseTo(1, 2);
  });
});
