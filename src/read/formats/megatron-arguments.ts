import type { Statement } from '../../model/statement.ts';
import { type Arguments, statingArguments } from '../arguments.ts';
import type { ParsedFile } from '../format.ts';
import { stateModel } from './megatron-model.ts';
import { stateRun } from './megatron-run.ts';

/**
 * What a dictionary of Megatron's arguments states, with the defaults of Megatron's own command line. Every format that speaks
 * Megatron is a front end of this: scripts, `MODEL_ARGS`, Primus, FlagScale, NeMo.
 */
export function statementOf(file: ParsedFile, format: string, given: Arguments): Statement {
  const say = statingArguments(file, format, given);
  stateModel(say);
  stateRun(say);
  return say.statement();
}

/** The same without what Megatron takes by default, for files that leave it to others to say. */
export const withoutDefaults = (statement: Statement): Statement => ({
  ...statement,
  run: Object.fromEntries(
    Object.entries(statement.run).filter(
      ([field, stated]) => field === 'framework' || stated.kind !== 'value' || stated.by !== 'framework',
    ),
  ),
});
