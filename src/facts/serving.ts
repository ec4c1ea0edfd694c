import { definition, numbers } from './basis.ts';
import { sources } from './sources.ts';

/** How inference engines use a GPU. */
export const serving = numbers({
  /** share of a GPU's memory that they fill with weights and cache */
  memoryShare: definition(sources.vllm)(0.9, 'ratio'),
});
