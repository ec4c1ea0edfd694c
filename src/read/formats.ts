import type { Format } from './format.ts';
import { gptNeox } from './formats/gpt-neox.ts';
import { megatronModelArgs } from './formats/megatron-model-args.ts';
import { nanotron } from './formats/nanotron.ts';
import { olmo } from './formats/olmo.ts';

/** Every format of training files. Exactly one has the signature of a file; a test holds them against every sample. */
export const trainingFormats: readonly Format[] = [nanotron, gptNeox, olmo, megatronModelArgs];
