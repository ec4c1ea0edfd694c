import type { Statement } from '../../model/statement.ts';
import { statingArguments } from '../arguments.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
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
import { hfTrainingArgs } from './hf-training-args.ts';

/** Scripts that start a trainer with a file that says the rest: `llamafactory-cli train x.yaml`. */
export const launchScript: Format = {
  id: 'launch-script',
  title: 'launch script that names a training file',
  syntaxes: ['shell'],
  signature: {
    has: ['configs.*'],
    not: [
      ...['actor_rollout_ref', 'data'].map((name) => `sections.${name}`),
      ...[
        'per_device_train_batch_size',
        'model_name_or_path',
        'model',
        'num-layers',
        'num_layers',
        'seq-length',
        'micro-batch-size',
        'micro_batch_size',
        'tensor-model-parallel-size',
        'rollout-batch-size',
      ].map((name) => `arguments.${name}`),
    ],
    like: [
      [
        'program',
        /^(?:\S+\s+){0,8}?(?:\S*\/)?(?:llamafactory-cli|axolotl|accelerate|torchrun|deepspeed|tune|trl|oumi|automodel|litgpt|python3?)\b/,
      ],
    ],
  },
  states,
};

function states(script: ParsedFile, beside: Beside): Statement {
  const flags = spelled(flagsOf(script));
  const say = statingArguments(script, launchScript.id, launched(script, beside));
  sayLaunch(say);
  referToConfigs(say, script, beside);
  const { run, ...rest } = hfTrainingArgs.states(asFile(script, flags), beside, wordsOf(script, 'program'));
  // What the command line leaves out the file says, not the framework.
  const stated = Object.entries(run).filter(([, one]) => one.kind === 'open' || one.by !== 'framework');
  const inner: Statement = { ...rest, run: Object.fromEntries(stated), assumptions: [] };
  return { ...joinedStatements(say.statement(), inner), format: launchScript.id };
}
