import type { Statement } from '../../model/statement.ts';
import { isDictionary, own } from '../../text/fields.ts';
import { type Beside, type Format, matches, type ParsedFile } from '../format.ts';
import { type Stating, stating } from '../stating.ts';
import { pathOf } from '../trainer.ts';
import { hfTrainingArgs } from './hf-training-args.ts';
import { llamafactory } from './llamafactory.ts';

const arguments_ = 'arguments';

/** A launch script with the Trainer's arguments on its command line, as LLaVA's and FastChat's users write it. */
export const trainerScript: Format = {
  id: 'trainer-script',
  title: 'launch script of Hugging Face’s Trainer',
  syntaxes: ['shell'],
  signature: {
    has: [`${arguments_}.model_name_or_path`],
    some: [
      [
        1,
        [
          'per_device_train_batch_size',
          'gradient_accumulation_steps',
          'gradient_checkpointing',
          'num_train_epochs',
          'max_steps',
          'learning_rate',
          'deepspeed',
        ].map((key) => `${arguments_}.${key}`),
      ],
    ],
  },
  states: (file, beside) => {
    const inner = commandLine(file);
    const isFactory = matches(llamafactory.signature, inner.source.value);
    const statement = (isFactory ? llamafactory : hfTrainingArgs).states(inner, beside);
    return launched(file, beside, trainerScript.id, statement);
  },
};

/** A launch script that only names the files: the trainer's YAML, and accelerate's. */
export const launchScript: Format = {
  id: 'launch-script',
  title: 'launch script that names a trainer’s YAML',
  syntaxes: ['shell'],
  signature: {
    has: ['program'],
    like: [['program', /\b(accelerate launch|llamafactory-cli train|axolotl train|axolotl\.cli\.train)\b/]],
    not: [`${arguments_}.model_name_or_path`, `${arguments_}.num-layers`],
  },
  states: (file, beside) => {
    const { run, ...inner } = hfTrainingArgs.states(commandLine(file), beside);
    // What the command line leaves out the YAML says, not the framework.
    const stated = Object.entries(run).filter(([, one]) => one.kind === 'open' || one.by !== 'framework');
    return launched(file, beside, launchScript.id, { ...inner, run: Object.fromEntries(stated), assumptions: [] });
  },
};

/** The arguments as if they were a file of keys. */
function commandLine(file: ParsedFile): ParsedFile {
  const flags = isDictionary(file.source.value) ? own(file.source.value, arguments_) : undefined;
  const value = isDictionary(flags) ? flags : {};
  const lines = new Map(
    [...file.source.lines].flatMap(([key, line]) =>
      key.startsWith(`${arguments_}.`) ? [[key.slice(arguments_.length + 1), line] as const] : [],
    ),
  );
  return { path: file.path, source: { ...file.source, value, lines } };
}

/** What the launcher says beside the trainer's arguments: GPUs, and files. */
function launched(file: ParsedFile, beside: Beside, format: string, inner?: Statement): Statement {
  const say = stating(file, format);
  say.run('gpus', 'launch.gpus');
  say.run('nodes', 'launch.nodes');
  say.run('gpus_per_node', 'launch.gpus_per_node');
  if (say.number('launch.gpus_per_node') !== undefined && say.at('launch.gpus') === undefined)
    say.byDefault('nodes', 1, 'launchers start one node unless they are told of more');
  for (const path of named(say)) {
    const found = pathOf(path, file.path, beside);
    if (found !== undefined) say.refer('run', found, 'program');
  }
  const launch = say.statement();
  return {
    ...launch,
    ...inner,
    format,
    run: { ...launch.run, ...inner?.run },
    refers: [...(inner?.refers ?? []), ...launch.refers],
    problems: inner?.problems ?? launch.problems,
  };
}

/** YAML files that the command line names: the trainer's first, then accelerate's. */
function named(say: Stating): readonly string[] {
  const words = (say.text('program') ?? '').split(' ').filter((word) => /\.ya?ml$/.test(word));
  const flags = ['config', 'config_file'].flatMap((key) => say.text(`${arguments_}.${key}`) ?? []);
  return [...words, ...flags].slice(0, 4);
}
