import type { Format } from './format.ts';
import { accelerate } from './formats/accelerate.ts';
import { automodel } from './formats/automodel.ts';
import { axolotl } from './formats/axolotl.ts';
import { deepspeed } from './formats/deepspeed.ts';
import { gptNeox } from './formats/gpt-neox.ts';
import { hfTrainingArgs } from './formats/hf-training-args.ts';
import { llamafactory } from './formats/llamafactory.ts';
import { megatronModelArgs } from './formats/megatron-model-args.ts';
import { nanotron } from './formats/nanotron.ts';
import { olmo } from './formats/olmo.ts';
import { oumi } from './formats/oumi.ts';
import { peft } from './formats/peft.ts';

/** Every format of training files. Exactly one has the signature of a file; a test holds them against every sample. */
export const trainingFormats: readonly Format[] = [
  accelerate,
  automodel,
  axolotl,
  deepspeed,
  gptNeox,
  hfTrainingArgs,
  llamafactory,
  megatronModelArgs,
  nanotron,
  olmo,
  oumi,
  peft,
];
