import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { argumentsAt, joined } from '../arguments.ts';
import type { Format, ParsedFile } from '../format.ts';
import { statementOf, withoutDefaults } from './megatron-arguments.ts';

const sections = ['train', 'model', 'optimizer', 'ddp', 'dist', 'mixed_precision', 'comm_overlap'] as const;

/** What a Megatron-Bridge run changes of the recipe that its command names. */
export const megatronBridge: Format = {
  id: 'megatron-bridge',
  title: 'Megatron-Bridge override YAML',
  syntaxes: ['yaml'],
  signature: {
    some: [
      [1, ['train.micro_batch_size', 'train.global_batch_size', 'train.train_iters']],
      [2, ['scheduler', 'logger', 'checkpoint', 'ddp', 'dist', 'rng', 'mixed_precision', 'comm_overlap']],
    ],
    not: ['trainer', 'system', 'policy', 'model_name', 'model.flavor'],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const given = joined(...sections.map((section) => argumentsAt(file, own(root, section), section)));
  // What the file leaves out is the recipe's to say, not Megatron's.
  const statement = withoutDefaults(statementOf(file, megatronBridge.id, given));
  if (statement.model !== undefined) return statement;
  return {
    ...statement,
    problems: [...statement.problems, { severity: 'notice', message: recipeMissing(root), key: 'model' }],
  };
}

const recipeMissing = (root: Dictionary): string =>
  `The file changes ${Object.keys(root).slice(0, 8).join(', ')} of a Megatron-Bridge recipe, which the command names and the file does not: put the model’s config.json beside it (\`with:\` in the policy).`;
