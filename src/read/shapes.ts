/** Sizes that frameworks derive from others, each by its own rule. */

export const roundedUp = (value: number, multiple: number): number =>
  multiple > 0 ? Math.ceil(value / multiple) * multiple : value;

/**
 * Llama's feed-forward width: two thirds of 4 x dim, times a multiplier, rounded up; both products are cut to whole numbers
 * first (Meta's llama/model.py, and torchtitan, lingua, open_lm after it).
 */
export function llamaWidth(dim: number, multipleOf = 256, multiplier?: number): number {
  const twoThirds = Math.floor((2 * (4 * dim)) / 3);
  return roundedUp(multiplier === undefined ? twoThirds : Math.floor(multiplier * twoThirds), multipleOf);
}

/** Rows of a token table that is padded so that each tensor-parallel rank has a multiple (Megatron, GPT-NeoX, nanotron). */
export const paddedVocabulary = (tokens: number, divisibleBy: number, tensor: number): number =>
  roundedUp(tokens, Math.max(1, divisibleBy) * Math.max(1, tensor));
