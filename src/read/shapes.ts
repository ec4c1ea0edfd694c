/** Sizes that frameworks derive from others, each by its own rule. */

export const roundedUp = (value: number, multiple: number): number =>
  multiple > 0 ? Math.ceil(value / multiple) * multiple : value;

/** Rows of a token table that is padded so that each tensor-parallel rank has a multiple (Megatron, GPT-NeoX, nanotron). */
export const paddedVocabulary = (tokens: number, divisibleBy: number, tensor: number): number =>
  roundedUp(tokens, Math.max(1, divisibleBy) * Math.max(1, tensor));
