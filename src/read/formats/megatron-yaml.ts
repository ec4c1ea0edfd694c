import type { Statement } from '../../model/statement.ts';
import { isDictionary, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { argumentsAt, joined } from '../arguments.ts';
import type { Format, ParsedFile } from '../format.ts';
import { statementOf } from './megatron-arguments.ts';

/** The file that Megatron's `--yaml-cfg` takes: the sections of its configuration classes, the rest at the top. */
export const megatronYaml: Format = {
  id: 'megatron-yaml',
  title: 'Megatron-LM --yaml-cfg',
  syntaxes: ['yaml'],
  signature: {
    has: ['language_model', 'model_parallel'],
    some: [[1, ['language_model.num_layers', 'language_model.hidden_size']]],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const sections = ['language_model', 'model_parallel'];
  const top = Object.fromEntries(Object.entries(root).filter(([key]) => !sections.includes(key)));
  // What stands at the top wins: `swiglu: True` over the section's `gated_linear_unit: False`.
  const given = sections.map((section) => argumentsAt(file, own(root, section), section));
  return statementOf(file, megatronYaml.id, joined(...given, argumentsAt(file, top, '')));
}
