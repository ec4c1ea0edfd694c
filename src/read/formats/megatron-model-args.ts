import type { Statement } from '../../model/statement.ts';
import { isDictionary, own } from '../../text/fields.ts';
import { type Argument, argumentsAt, joined } from '../arguments.ts';
import { type Format, type ParsedFile, placeOf } from '../format.ts';
import { statementOf } from './megatron-arguments.ts';

const sections = ['MODEL_ARGS', 'model_args'] as const;

/** Megatron's arguments as its own tests and its model zoo keep them: `MODEL_ARGS:` with the flags of the command line as keys. */
export const megatronModelArgs: Format = {
  id: 'megatron-model-args',
  title: 'Megatron-LM MODEL_ARGS YAML',
  syntaxes: ['yaml'],
  signature: {
    some: [
      [
        1,
        ['--num-layers', '--seq-length', '--micro-batch-size', '--tensor-model-parallel-size', '--hidden-size'].flatMap(
          (flag) => sections.map((section) => `${section}.${flag}`),
        ),
      ],
    ],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const { value } = file.source;
  const section = sections.find((name) => isDictionary(value) && Object.hasOwn(value, name)) ?? sections[0];
  const given = argumentsAt(file, isDictionary(value) ? own(value, section) : undefined, section);
  return statementOf(file, megatronModelArgs.id, joined(given, allocator(file)));
}

/** How PyTorch's allocator is set, which stands in the environment beside the arguments. */
function allocator(file: ParsedFile): ReadonlyMap<string, Argument> {
  const { value } = file.source;
  const variables = isDictionary(value) ? own(value, 'ENV_VARS') : undefined;
  const setting = isDictionary(variables) ? own(variables, 'PYTORCH_CUDA_ALLOC_CONF') : undefined;
  if (typeof setting !== 'string') return new Map();
  const at = placeOf(file, 'ENV_VARS.PYTORCH_CUDA_ALLOC_CONF');
  return new Map([['expandable_segments', { value: /expandable_segments:true/i.test(setting), at }]]);
}
