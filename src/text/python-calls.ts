import {
  isRoutine,
  keep,
  lineAt,
  lookUp,
  type Machine,
  nested,
  type Routine,
  type Scope,
  sourceOf,
} from './python-machine.ts';
import { pythonLimits } from './python-result.ts';
import { childrenOf, type Node } from './python-tree.ts';
import { builtin, isTable, type Table, table, Unknown, type Value } from './python-values.ts';

/** Calls of a Python file: what its own functions return, the few of Python's own that are computed, and objects for all others. */

/** What a call gives; `spread` is a list or a dictionary with stars that the file does not show. */
export type Given = {
  readonly positional: readonly Value[];
  readonly keywords: ReadonlyMap<string, { readonly value: Value; readonly line: number }>;
  readonly spread: Value | undefined;
};

/** What a call comes to: an object of what it gives, where what is called is not in the file. */
export function apply(of: Machine, node: Node, callee: Node, given: Given, scope: Scope): Value {
  const { positional, keywords, spread } = given;
  const name = sourceOf(of, callee);
  const routine = callee.name === 'VariableName' ? lookUp(name, scope) : undefined;
  if (isRoutine(routine)) return call(of, routine, given);
  if (routine === undefined && spread === undefined && keywords.size === 0) {
    const plain = builtin(name, positional, sourceOf(of, node));
    if (plain !== undefined) return plain;
  }
  const isDict = name === 'dict' && routine === undefined;
  if (isDict && positional.length > 0 && !isTable(positional[0])) return new Unknown(sourceOf(of, node));
  const made = table();
  if (isDict) Object.assign(made, positional[0]);
  else {
    made['()'] = nameOf(of, callee, scope, made);
    for (const [index, value] of positional.slice(0, 50).entries()) {
      made[String(index)] = value;
      keep(of, made, String(index), lineAt(of, node));
    }
  }
  for (const [key, { value, line }] of keywords) {
    made[key] = value;
    keep(of, made, key, line);
  }
  if (spread !== undefined) made['**'] = spread;
  return made;
}

/** What is called, as a dotted name; a method of another call keeps that call under `self`. */
function nameOf(of: Machine, callee: Node, scope: Scope, made: Table): string {
  const property = callee.name === 'MemberExpression' ? callee.getChild('PropertyName') : null;
  const owner = property === null || callee.firstChild === null ? undefined : of.evaluate(of, callee.firstChild, scope);
  if (property === null || !isTable(owner)) return sourceOf(of, callee);
  made['self'] = owner;
  keep(of, made, 'self', lineAt(of, callee));
  return `.${sourceOf(of, property)}`;
}

/** What a function of the file returns: its statements in order, with its own default arguments. */
export function call(of: Machine, routine: Routine, given: Given): Value {
  const { node, needs, name } = routine;
  const body = node.getChild('Body');
  const deep = of.running.length >= pythonLimits.calls || of.running.includes(routine);
  if (needs !== undefined || body === null || deep) return new Unknown(needs ?? `${name}()`);
  const scope: Scope = { names: new Map(), outer: of.global };
  of.running.push(routine);
  try {
    bind(of, node.getChild('ParamList'), scope, given);
    const ending = nested(of, () => of.run(of, body, scope));
    if (ending.kind === 'return') return ending.value;
    return ending.kind === 'raise' ? new Unknown(`${name}()`) : null;
  } finally {
    of.running.pop();
  }
}

/** Gives the parameters of a function their values: what a call gives, or their defaults. */
function bind(of: Machine, list: Node | null, scope: Scope, { positional, keywords, spread }: Given): void {
  const parts = list === null ? [] : childrenOf(list).filter(({ name }) => name !== 'TypeDef');
  const rest = new Map(keywords);
  let place = 0;
  for (let index = 0; index < parts.length; index += 1) {
    const part = parts[index];
    if (part?.name === '*') {
      place = Number.POSITIVE_INFINITY;
      const all = parts[index + 1];
      if (all?.name === 'VariableName') scope.names.set(sourceOf(of, all), []);
      if (all?.name === 'VariableName') index += 1;
    } else if (part?.name === '**') {
      const extra = table();
      for (const [key, { value }] of rest) extra[key] = value;
      index += 1;
      scope.names.set(sourceOf(of, parts[index] ?? part), extra);
    } else if (part?.name === 'VariableName') {
      const name = sourceOf(of, part);
      const fallback = parts[index + 1]?.name === 'AssignOp' ? parts[index + 2] : undefined;
      if (fallback !== undefined) index += 2;
      const stated = rest.get(name)?.value ?? positional[place];
      rest.delete(name);
      place += 1;
      scope.names.set(name, stated ?? spread ?? (fallback ? of.evaluate(of, fallback, of.global) : new Unknown(name)));
    }
  }
}
