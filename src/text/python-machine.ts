import { pythonLimits, TooMuch } from './python-result.ts';
import type { Node } from './python-tree.ts';
import { isTable, type Table, table, Unknown, type Value } from './python-values.ts';

/** What following a Python file works on: its names, where things stand, and how much work it was so far. */
export type Machine = {
  readonly text: string;
  /** Offsets of the ends of lines. */
  readonly ends: readonly number[];
  readonly global: Scope;
  /** Lines of the keys of an object. */
  readonly lineOf: WeakMap<object, Map<string, number>>;
  readonly globalLines: Map<string, number>;
  readonly notes: Note[];
  /** What functions say that they return. */
  readonly annotations: Map<string, string>;
  /** The module that a name was imported from. */
  readonly imports: Table;
  classes: boolean;
  steps: number;
  depth: number;
  readonly running: Routine[];
  /** A call evaluates and runs, and both of them call. */
  readonly evaluate: (of: Machine, node: Node, scope: Scope) => Value;
  readonly run: (of: Machine, body: Node, scope: Scope) => Ending;
};

/** A machine for a text that has run nothing yet. */
export const machineOf = (text: string, { evaluate, run }: Pick<Machine, 'evaluate' | 'run'>): Machine => ({
  text,
  ends: [...text.matchAll(/\n/g)].map(({ index }) => index),
  global: { names: new Map() },
  lineOf: new WeakMap(),
  globalLines: new Map(),
  notes: [],
  annotations: new Map(),
  imports: table(),
  classes: false,
  steps: 0,
  depth: 0,
  running: [],
  evaluate,
  run,
});

/** What a reader should know of a line, and of which function, where it is in one. */
export type Note = { readonly message: string; readonly line: number; readonly within?: string };

/** Names of the file, or of one call of a function. */
export type Scope = {
  readonly names: Map<string, Value | Routine>;
  readonly outer?: Scope;
};

/** A function of the file. */
export type Routine = { readonly kind: 'routine'; readonly node: Node; readonly name: string; readonly needs?: string };

/** Whether a name stands for a function of the file. */
export const isRoutine = (value: Value | Routine | undefined): value is Routine =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'routine' && 'node' in value;

/** How a statement ends: the next one follows, the function returns, or an error is raised. */
export type Ending =
  | { readonly kind: 'next' }
  | { readonly kind: 'raise' }
  | { readonly kind: 'return'; readonly value: Value };

/** How a piece of the file is written, up to 200 characters of it. */
export function sourceOf(of: Machine, node: { readonly from: number; readonly to: number }): string {
  return of.text.slice(node.from, Math.min(node.to, node.from + 200));
}

/** The line of a piece of the file (1-based). */
export function lineAt(of: Machine, node: { readonly from: number }): number {
  let [low, high] = [0, of.ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((of.ends[middle] ?? 0) < node.from) low = middle + 1;
    else high = middle;
  }
  return low + 1;
}

/** Tells a reader something of a line: once for a line and a function. */
export function note(of: Machine, message: string, node: Node): void {
  const line = lineAt(of, node);
  const within = of.running[0]?.name;
  if (of.notes.length >= pythonLimits.notes) return;
  if (of.notes.some((one) => one.line === line && one.within === within)) return;
  of.notes.push({ message, line, ...(within === undefined ? {} : { within }) });
}

/** @throws TooMuch where the file has done all that one may do */
export function step(of: Machine): void {
  of.steps += 1;
  if (of.steps > pythonLimits.steps) throw new TooMuch('The file does more than is followed without running it.');
}

/**
 * Does something one level deeper.
 *
 * @throws TooMuch where that is too deep
 */
export function nested<Result>(of: Machine, what: () => Result): Result {
  of.depth += 1;
  if (of.depth > pythonLimits.depth) throw new TooMuch(`The file nests deeper than ${pythonLimits.depth} expressions.`);
  try {
    return what();
  } finally {
    of.depth -= 1;
  }
}

/** What a name stands for: in a function, the function's own names go before the file's. */
export function lookUp(name: string, scope: Scope): Value | Routine | undefined {
  for (let one: Scope | undefined = scope; one; one = one.outer) {
    const found = one.names.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A name gets a value. */
export function setName(of: Machine, word: Node, value: Value, scope: Scope): void {
  const name = sourceOf(of, word);
  scope.names.set(name, value);
  if (scope === of.global) of.globalLines.set(name, lineAt(of, word));
}

/** Keeps the line of a key of an object. */
export function keep(of: Machine, owner: object, key: string, line: number): void {
  const known = of.lineOf.get(owner) ?? new Map<string, number>();
  known.set(key, line);
  of.lineOf.set(owner, known);
}

/** The value that a name stands for. */
export function valueNamed(of: Machine, name: string, scope: Scope): Value {
  const value = lookUp(name, scope);
  if (value === undefined || isRoutine(value)) return new Unknown(name);
  // A function that changes a constant of the module must not change it for the others.
  return scope !== of.global && !scope.names.has(name) ? copied(of, value) : value;
}

function copied(of: Machine, value: Value): Value {
  step(of);
  if (Array.isArray(value)) return nested(of, () => value.map((item: Value) => copied(of, item)));
  if (!isTable(value)) return value;
  const copy = table();
  nested(of, () => {
    for (const [key, one] of Object.entries(value)) copy[key] = copied(of, one);
  });
  const lines = of.lineOf.get(value);
  if (lines !== undefined) of.lineOf.set(copy, new Map(lines));
  return copy;
}
