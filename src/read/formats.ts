import { type Format, type ListedFormat, testOf } from './format.ts';
import { accelerate } from './formats/accelerate.ts';
import { automodel } from './formats/automodel.ts';
import { axolotl } from './formats/axolotl.ts';
import { deepspeed } from './formats/deepspeed.ts';
import { flagscale, flagscaleExperiment } from './formats/flagscale.ts';
import { gptNeox } from './formats/gpt-neox.ts';
import { hfTrainingArgs } from './formats/hf-training-args.ts';
import { launchScript } from './formats/launch-script.ts';
import { levanter } from './formats/levanter.ts';
import { lingua } from './formats/lingua.ts';
import { litgpt, litgptModel } from './formats/litgpt.ts';
import { llamafactory } from './formats/llamafactory.ts';
import { llmFoundry } from './formats/llm-foundry.ts';
import { maxtext } from './formats/maxtext.ts';
import { megatronBridge } from './formats/megatron-bridge.ts';
import { megatronBridgePy } from './formats/megatron-bridge-py.ts';
import { megatronModelArgs } from './formats/megatron-model-args.ts';
import { megatronShell } from './formats/megatron-shell.ts';
import { megatronYaml } from './formats/megatron-yaml.ts';
import { modalities } from './formats/modalities.ts';
import { nanogpt } from './formats/nanogpt.ts';
import { nanotron } from './formats/nanotron.ts';
import { nemo } from './formats/nemo.ts';
import { nemoRl } from './formats/nemo-rl.ts';
import { olmo } from './formats/olmo.ts';
import { olmoCorePy } from './formats/olmo-core-py.ts';
import { openrlhf } from './formats/openrlhf.ts';
import { oumi } from './formats/oumi.ts';
import { deepseekInference, metaParams, mistralParams } from './formats/parameter-files.ts';
import { peft } from './formats/peft.ts';
import { plain } from './formats/plain.ts';
import { prime } from './formats/prime.ts';
import { primus, primusModel } from './formats/primus.ts';
import { slime } from './formats/slime.ts';
import { torchtitan } from './formats/torchtitan.ts';
import { torchtitanPy } from './formats/torchtitan-py.ts';
import { torchtune } from './formats/torchtune.ts';
import { trainerScript } from './formats/trainer-script.ts';
import { verl, verlShell } from './formats/verl.ts';

/** Every format of training files. Exactly one has the signature of a file; a test holds them against every sample. */
export const trainingFormats: readonly ListedFormat[] = [
  accelerate,
  automodel,
  axolotl,
  deepspeed,
  flagscale,
  flagscaleExperiment,
  gptNeox,
  hfTrainingArgs,
  levanter,
  lingua,
  litgpt,
  litgptModel,
  llamafactory,
  llmFoundry,
  maxtext,
  megatronBridge,
  megatronBridgePy,
  megatronModelArgs,
  megatronShell,
  megatronYaml,
  modalities,
  nanogpt,
  nanotron,
  nemo,
  olmo,
  olmoCorePy,
  oumi,
  metaParams,
  mistralParams,
  deepseekInference,
  peft,
  prime,
  primus,
  primusModel,
  torchtitan,
  torchtitanPy,
  torchtune,
  nemoRl,
  openrlhf,
  slime,
  verl,
  verlShell,
  trainerScript,
  launchScript,
  plain,
].map((format: Format) => ({ ...format, recognises: testOf(format.signature) }));
