import { call } from './python-calls.ts';
import { evaluate } from './python-expressions.ts';
import { isRoutine, lineAt, type Machine, machineOf, type Note, type Routine } from './python-machine.ts';
import { pythonLimits, Result, TooMuch } from './python-result.ts';
import { run } from './python-statements.ts';
import { treeOf } from './python-tree.ts';
import { isTable, type Table, table } from './python-values.ts';

/**
 * What a Python file says without being run: its constants, and what each of its functions returns when it is called without
 * arguments. What only a run would tell is the text `${name}`, so that it is open like a variable in YAML.
 *
 * A call of something that is not in the file is an object of its keywords; `()` is what was called, `0`, `1`, ... its
 * positional arguments, `self` the object whose method it was. A function's result has its annotation under `->`.
 */
export type PythonReading =
  | {
      readonly kind: 'read';
      readonly value: Table;
      readonly lines: ReadonlyMap<string, number>;
      readonly notes: readonly Note[];
    }
  | { readonly kind: 'broken'; readonly message: string };

/** Follows a Python file without running it; bounded in marks, steps and depth. */
export function readPython(text: string): PythonReading {
  const marks = text.match(/[,.[\]{}()=:@+*/%\-\n"']/g)?.length ?? 0;
  if (marks > pythonLimits.marks)
    return { kind: 'broken', message: `The file has more than ${pythonLimits.marks} lines and values.` };
  try {
    const machine = machineOf(text, { evaluate, run });
    run(machine, treeOf(text), machine.global);
    return resultOf(machine);
  } catch (error) {
    if (error instanceof TooMuch) return { kind: 'broken', message: error.message };
    throw error;
  }
}

function resultOf(of: Machine): PythonReading {
  const value = table();
  const lines = new Map<string, number>();
  const whole = new Result(of.lineOf, lines);
  for (const [name, one] of of.global.names) {
    if (isRoutine(one) || name.startsWith('__')) continue;
    value[name] = whole.plain(one, name);
    const line = of.globalLines.get(name);
    if (line !== undefined) lines.set(name, line);
  }
  const routines = [...of.global.names.values()].filter(isRoutine);
  for (const routine of recipesOf(routines)) {
    const returned = call(of, routine, { positional: [], keywords: new Map(), spread: undefined });
    if (!isTable(returned)) continue;
    value[routine.name] = { '->': of.annotations.get(routine.name) ?? '', ...whole.table(returned, routine.name) };
    lines.set(routine.name, lineAt(of, routine.node));
  }
  if (routines.length > 0) value['def'] = routines.map(({ name }) => name);
  if (of.classes) value['class'] = true;
  if (Object.keys(of.imports).length > 0) value['import'] = of.imports;
  return { kind: 'read', value, lines, notes: of.notes };
}

/** Functions that others may call. */
function recipesOf(routines: readonly Routine[]): readonly Routine[] {
  const recipes = routines.filter(({ name }) => !name.startsWith('_'));
  if (recipes.length > pythonLimits.functions)
    throw new TooMuch(`The file has more than ${pythonLimits.functions} functions.`);
  return recipes;
}
