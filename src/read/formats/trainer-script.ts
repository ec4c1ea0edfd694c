import type { Statement } from '../../model/statement.ts';
import { OtherModel } from '../../text/fields.ts';
import { type Arguments, joined, statingArguments } from '../arguments.ts';
import { type Beside, type Format, matches, type ParsedFile } from '../format.ts';
import {
  asFile,
  flagsOf,
  joinedStatements,
  launched,
  referToConfigs,
  sayLaunch,
  spelled,
  wordsOf,
} from '../scripts.ts';
import type { Stating } from '../stating.ts';
import { sayDefaultsOfSwift, swiftRead, swiftTuners } from '../swift.ts';
import { stateTrainer, trainerArguments } from './hf-training-args.ts';
import { llamafactory } from './llamafactory.ts';

const asArgument = (name: string) => `arguments.${name}`;

/** Scripts that start Hugging Face's Trainer with its arguments as flags: LLaVA, TRL, LLaMA-Factory, ms-swift, run_clm.py. */
export const trainerScript: Format = {
  id: 'trainer-script',
  title: 'launch script of Hugging Face’s Trainer',
  syntaxes: ['shell'],
  signature: {
    some: [
      [1, ['per_device_train_batch_size', 'model_name_or_path', 'model'].map(asArgument)],
      [2, trainerArguments.map(asArgument)],
    ],
    not: ['micro_batch_size', 'tensor_model_parallel_size', 'micro_train_batch_size'].map(asArgument),
  },
  states,
};

const swiftProgram = /(^|[\s/])swift\s+(sft|pt|rlhf)(\s|$)/;

/** ms-swift trains adapters unless it is told to train all. */
function tuned(script: ParsedFile): Arguments {
  const flags = spelled(flagsOf(script));
  if (swiftTuners.some((name) => flags.has(name)) || !swiftProgram.test(wordsOf(script, 'program'))) return flags;
  return new Map([...flags, ['tuner_type', { value: 'lora', at: { file: script.path, key: '--tuner_type' } }]]);
}

/** What ms-swift takes where Trainer and TRL take something else. */
function saySwift(say: Stating): void {
  sayDefaultsOfSwift(say, 'full');
  if (say.at('gradient_accumulation_steps') === undefined)
    say.byDefault('accumulated_to', 16, `ms-swift accumulates to 16 sequences or more (${swiftRead})`);
  say.byDefault('weights_dtype', 'bf16', 'ms-swift takes the dtype of the model, mostly bf16');
}

function states(script: ParsedFile, beside: Beside): Statement {
  const flags = tuned(script);
  const file = asFile(script, flags);
  if (matches(llamafactory.signature, file.source.value)) return ofFactory(script, file, beside);
  const say = statingArguments(script, trainerScript.id, joined(flags, launched(script, beside)));
  sayLaunch(say);
  if (say.flag('tune_mm_mlp_adapter') === true || say.flag('freeze_backbone') === true)
    throw say.refuse(
      'The script trains only a projector between two models, which is not counted.',
      'model_name_or_path',
      OtherModel,
    );
  if (say.at('vision_tower') !== undefined)
    say.warn(
      'The vision tower and its projector are not in the figures, which are of the language model.',
      'vision_tower',
    );
  if (swiftProgram.test(wordsOf(script, 'program'))) saySwift(say);
  stateTrainer(say, script.path, beside, wordsOf(script, 'program'));
  referToConfigs(say, script, beside);
  return say.statement();
}

/** LLaMA-Factory's arguments mean on a command line what they mean in its files. */
function ofFactory(script: ParsedFile, file: ParsedFile, beside: Beside): Statement {
  const say = statingArguments(script, trainerScript.id, launched(script, beside));
  sayLaunch(say);
  referToConfigs(say, script, beside);
  return { ...joinedStatements(say.statement(), llamafactory.states(file, beside)), format: trainerScript.id };
}
