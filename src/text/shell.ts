import { assignment, assignmentOf, command, piecesOf } from './shell-commands.ts';
import { expandAll, expandText } from './shell-expansion.ts';
import {
  type Command,
  deeper,
  type Inputs,
  limits,
  type Machine,
  type Scope,
  type Sources,
  type Value,
  type Word,
} from './shell-machine.ts';
import { needsOf, noOpenValues, unknown, withoutOpen } from './shell-open.ts';
import { compute, isLike, type Truth, test } from './shell-tests.ts';
import { isSign, plain, ShellTooLarge, shellTokens, type Token } from './shell-words.ts';
import { directivesOf, slurmVariables } from './slurm.ts';

/**
 * A launch script read as the commands that it would start, by following its assignments, never by running anything. What the
 * text alone does not say (environment, positional arguments, output of commands) stays open, with the names that it needs.
 */
export type Script = {
  readonly commands: readonly Command[];
  /** `#SBATCH --nodes=4` and its kin, without the dashes. */
  readonly directives: ReadonlyMap<string, string>;
  /** What variables with flags hold at the end, cut at blanks: arguments that are prepared for another script. */
  readonly prepared: readonly Word[];
  /** Files that it reads in (`source x.sh`), as written. */
  readonly sourced: readonly string[];
  /** Texts that it writes to files, by the file's name: a DeepSpeed config that a script makes. */
  readonly written: ReadonlyMap<string, string>;
};

/**
 * @param files text of a file that the script reads in; undefined where it is not known
 * @throws ShellTooLarge
 */
export function readScript(written: string, files: Sources = () => undefined, inputs: Inputs = {}): Script {
  const text = withoutOpen(written);
  const directives = directivesOf(text);
  const machine: Machine = {
    scope: new Map(Object.entries(inputs).map(([name, value]) => [name, { list: false, text: withoutOpen(value) }])),
    open: noOpenValues(),
    functions: new Map(),
    commands: [],
    sourced: [],
    written: new Map(),
    files,
    folder: '.',
    positional: [],
    steps: 0,
    turns: 0,
    calls: 0,
    depth: 0,
    spent: 0,
    run,
  };
  for (const [name, value] of slurmVariables(directives)) machine.scope.set(name, { list: false, text: value });
  run(shellTokens(text), machine);
  const { commands, sourced } = machine;
  return { commands, directives, prepared: preparedWords(machine), sourced, written: machine.written };
}

function preparedWords(machine: Machine): readonly Word[] {
  const words: Word[] = [];
  for (const value of machine.scope.values()) {
    const text = value.list ? value.items.join(' ') : value.text;
    if (words.length < limits.list && /(^|\s)--\w/.test(text))
      words.push(...piecesOf(text, machine).map((piece) => ({ ...piece, line: 1, pieces: [piece] })));
  }
  return words.slice(0, limits.list);
}

// --- Statements ---------------------------------------------------------------------------------------------------------

/** Words that open a block, and the word that closes it. */
const blocks: Readonly<Record<string, string>> = {
  if: 'fi',
  case: 'esac',
  for: 'done',
  while: 'done',
  until: 'done',
  select: 'done',
  '{': '}',
};

/** What the last statement came to: a condition, or undefined for a command, which mostly succeeds. */
type Outcome = Truth | undefined;

/** @throws ShellTooLarge */
function run(tokens: readonly Token[], machine: Machine): Outcome {
  return deeper(machine, () => statements(tokens, machine));
}

function statements(tokens: readonly Token[], machine: Machine): Outcome {
  let outcome: Outcome;
  for (let at = 0; at < tokens.length; ) {
    machine.steps += 1;
    if (machine.steps > limits.statements)
      throw new ShellTooLarge(`The script takes more than ${limits.statements} steps.`);
    if (isSign(tokens[at], '&&', '||')) {
      const end = statementEnd(tokens, at + 1);
      outcome = guarded(tokens.slice(at + 1, end), isSign(tokens[at], '&&'), outcome, machine);
      at = end;
    } else if (tokens[at]?.kind !== 'word' && !isSign(tokens[at], '(')) at += 1;
    else {
      const end = conditionEnd(tokens, at);
      outcome = end === undefined ? outcomeOf(tokens, at) : test(tokens.slice(at, end), machine);
      at = end ?? statement(tokens, at, machine);
    }
  }
  return outcome;
}

/** A statement of nothing but assignments succeeds. */
function outcomeOf(tokens: readonly Token[], from: number): Outcome {
  let at = from;
  while (tokens[at] !== undefined && assignmentOf(tokens[at]) !== undefined) at += 1;
  return at > from && (at >= tokens.length || tokens[at]?.kind === 'sign') ? { kind: 'known', value: true } : undefined;
}

/** Follows one statement that is not a condition, and says where it ends. */
function statement(tokens: readonly Token[], at: number, machine: Machine): number {
  const word = plain(tokens[at]);
  if (word !== undefined && Object.hasOwn(blocks, word)) {
    const end = blockEnd(tokens, at, blocks[word] ?? '');
    block(word, tokens.slice(at + 1, end), machine);
    return end + 1;
  }
  if (isSign(tokens[at], '(')) return inSubshell(tokens, at, machine);
  if (word === 'function' || definesFunction(tokens, at)) return define(tokens, at, machine);
  return command(tokens, at, machine);
}

/** Runs what follows `&&` or `||` if the statement before it turned out so; where that is not known, what it assigns is open. */
function guarded(body: readonly Token[], and: boolean, before: Outcome, machine: Machine): Outcome {
  if (before?.kind === 'known') return before.value === and ? run(body, machine) : before;
  if (before === undefined && and) return run(body, machine);
  either([(into) => run(body, into), () => {}], before?.needs ?? ['<a command>'], machine);
  return before;
}

/** Where the statement ends that follows a `&&` or `||`. */
function statementEnd(tokens: readonly Token[], from: number): number {
  let at = from;
  while (isSign(tokens[at], ';')) at += 1;
  const word = plain(tokens[at]);
  if (word !== undefined && Object.hasOwn(blocks, word)) return blockEnd(tokens, at, blocks[word] ?? '') + 1;
  for (let end = conditionEnd(tokens, at) ?? at; ; end++) {
    if (isSign(tokens[end], '(')) end = closing(tokens, end);
    else if (end >= tokens.length || isSign(tokens[end], ';', ';;', '&', '&&', '||', ')')) return end;
  }
}

/** Where the condition at a place ends: `[ ... ]`, `[[ ... ]]`, `(( ... ))`; undefined where there is none. */
function conditionEnd(tokens: readonly Token[], from: number): number | undefined {
  const at = plain(tokens[from]) === '!' ? from + 1 : from;
  if (isSign(tokens[at], '(') && isSign(tokens[at + 1], '(')) return closing(tokens, at) + 1;
  const word = plain(tokens[at]);
  const close = word === '[' ? ']' : word === '[[' ? ']]' : undefined;
  if (close === undefined) return undefined;
  let end = at + 1;
  while (end < tokens.length && plain(tokens[end]) !== close) end += 1;
  return Math.min(end + 1, tokens.length);
}

/** The place of the bracket that closes the one at a place. */
function closing(tokens: readonly Token[], from: number): number {
  let open = 0;
  for (let at = from; at < tokens.length; at++) {
    if (isSign(tokens[at], '(')) open += 1;
    else if (isSign(tokens[at], ')') && --open === 0) return at;
  }
  return tokens.length;
}

/** What a subshell assigns ends with it. */
function inSubshell(tokens: readonly Token[], from: number, machine: Machine): number {
  const end = closing(tokens, from);
  const { scope } = machine;
  machine.scope = new Map(scope);
  run(tokens.slice(from + 1, end), machine);
  machine.scope = scope;
  return end + 1;
}

/** `name()`, and not the empty list of `NAME=()`. */
const definesFunction = (tokens: readonly Token[], at: number): boolean =>
  isSign(tokens[at + 1], '(') && isSign(tokens[at + 2], ')') && !assignment.test(plain(tokens[at]) ?? '');

/** Where the block that begins at a word ends. */
function blockEnd(tokens: readonly Token[], from: number, close: string): number {
  const open: string[] = [close];
  let first = false;
  for (let at = from + 1; at < tokens.length; at++) {
    const word = plain(tokens[at]);
    if (word !== undefined && word === open.at(-1)) {
      open.pop();
      if (open.length === 0) return at;
    } else if (word !== undefined && first && Object.hasOwn(blocks, word)) open.push(blocks[word] ?? '');
    first = tokens[at]?.kind === 'sign' || ['then', 'do', 'else'].includes(word ?? '');
  }
  return tokens.length;
}

function define(tokens: readonly Token[], from: number, machine: Machine): number {
  const named = plain(tokens[from]) === 'function' ? from + 1 : from;
  const name = plain(tokens[named]) ?? '';
  let at = named + 1;
  while (at < tokens.length && plain(tokens[at]) !== '{') at += 1;
  const end = blockEnd(tokens, at, '}');
  machine.functions.set(name, tokens.slice(at + 1, end));
  return end + 1;
}

function block(kind: string, body: readonly Token[], machine: Machine): void {
  if (kind === 'if') conditional(body, machine);
  else if (kind === 'case') cases(body, machine);
  else if (kind === '{') run(body, machine);
  else loop(kind, body, machine);
}

/** The place of one of these words in the block itself, not in a block within it. */
function split(tokens: readonly Token[], words: readonly string[], from = 0): number {
  let first = true;
  for (let at = from; at < tokens.length; at++) {
    const word = plain(tokens[at]);
    if (first && word !== undefined && words.includes(word)) return at;
    if (first && word !== undefined && Object.hasOwn(blocks, word)) at = blockEnd(tokens, at, blocks[word] ?? '');
    first = tokens[at]?.kind === 'sign' || ['then', 'do', 'else'].includes(word ?? '');
  }
  return tokens.length;
}

function conditional(tokens: readonly Token[], machine: Machine): void {
  const then = split(tokens, ['then']);
  const next = split(tokens, ['elif', 'else'], then + 1);
  const truth = test(tokens.slice(0, then), machine);
  const yes = tokens.slice(then + 1, next);
  const rest = tokens.slice(next + 1);
  const otherwise =
    plain(tokens[next]) === 'elif' ? (into: Machine) => conditional(rest, into) : (into: Machine) => run(rest, into);
  if (truth.kind === 'known') {
    if (truth.value) run(yes, machine);
    else otherwise(machine);
  } else either([(into) => run(yes, into), otherwise], truth.needs, machine);
}

/** Branches whose condition is unknown: a variable that they set differently is left open. */
function either(branches: readonly ((machine: Machine) => void)[], needs: readonly string[], machine: Machine): void {
  const { scope: before, positional } = machine;
  const ends = branches.map((branch) => {
    machine.scope = new Map(before);
    machine.positional = positional;
    branch(machine);
    return machine.scope;
  });
  const [first = before, ...others] = ends;
  const merged: Scope = new Map();
  const names = new Set(ends.flatMap((scope) => [...scope.keys()]));
  for (const name of names) {
    const value = first.get(name);
    const same = others.every((scope) => JSON.stringify(scope.get(name)) === JSON.stringify(value));
    if (same && value !== undefined) merged.set(name, value);
    else
      merged.set(
        name,
        uncertain(
          ends.map((scope) => scope.get(name)),
          needs,
          name,
          machine,
        ),
      );
  }
  machine.scope = merged;
}

/** Lists keep what all branches begin with, and what follows is open. */
function uncertain(
  values: readonly (Value | undefined)[],
  needs: readonly string[],
  name: string,
  machine: Machine,
): Value {
  const open = unknown(needs[0] ?? name, machine);
  const [first] = values;
  if (first?.list !== true || values.some((value) => value?.list !== true)) return { list: false, text: open };
  const lists = values.flatMap((value) => (value?.list === true ? [value.items] : []));
  let common = 0;
  while (common < first.items.length && lists.every((items) => items[common] === first.items[common])) common += 1;
  return { list: true, items: [...first.items.slice(0, common), open] };
}

function cases(tokens: readonly Token[], machine: Machine): void {
  const within = tokens.findIndex((token) => plain(token) === 'in');
  const [subject] = expandAll(tokens.slice(0, within), machine);
  const needs = needsOf(subject?.text ?? '', machine);
  const arms: { readonly patterns: readonly string[]; readonly body: readonly Token[] }[] = [];
  for (let at = within + 1; at < tokens.length; ) {
    while (isSign(tokens[at], ';', '(')) at += 1;
    let close = at;
    while (close < tokens.length && !isSign(tokens[close], ')')) close += 1;
    if (close >= tokens.length) break;
    let end = close + 1;
    while (end < tokens.length && !isSign(tokens[end], ';;')) end += 1;
    const patterns = expandAll(
      tokens.slice(at, close).filter(({ kind }) => kind === 'word'),
      machine,
    );
    arms.push({ patterns: patterns.map(({ text }) => text), body: tokens.slice(close + 1, end) });
    at = end + 1;
  }
  if (subject === undefined) return;
  if (needs.length > 0) {
    const branches = arms.map((arm) => (into: Machine) => run(arm.body, into));
    either([...branches, () => {}], needs, machine);
    return;
  }
  const taken = arms.find(({ patterns }) => patterns.some((pattern) => isLike(subject.text, pattern)));
  if (taken !== undefined) run(taken.body, machine);
}

/**
 * A loop that counts (`for ((i = 0; i < n; i++))`) is followed to its end. One over words takes the first of them, and its variable
 * is open where there are several; other loops are not followed.
 */
function loop(kind: string, tokens: readonly Token[], machine: Machine): void {
  const begins = split(tokens, ['do']);
  const body = tokens.slice(begins + 1);
  const itself = `<the ${kind} loop>`;
  const maybe = () => either([(into) => run(body, into), () => {}], [itself], machine);
  if (kind !== 'for') {
    maybe();
    return;
  }
  if (isSign(tokens[0], '(')) {
    const before: Scope = new Map(machine.scope);
    if (counts(tokens.slice(0, begins), body, machine)) return;
    machine.scope = before;
    maybe();
    return;
  }
  const name = plain(tokens[0]) ?? '';
  const within = tokens.findIndex((token) => plain(token) === 'in');
  const items = expandAll(tokens.slice(within + 1, begins), machine);
  const [first] = items;
  if (first === undefined || within === -1 || within >= begins) {
    maybe();
    return;
  }
  machine.scope.set(name, { list: false, text: items.length === 1 ? first.text : unknown(itself, machine) });
  run(body, machine);
}

/** Goes through a counting loop; false where it cannot be told how often it runs, or where it is left from within. */
function counts(head: readonly Token[], body: readonly Token[], machine: Machine): boolean {
  const parts = head
    .slice(2, -1)
    .map((token) =>
      token.kind === 'sign' ? token.sign : token.kind === 'word' ? expandText(token.pieces, machine) : '',
    )
    .join('')
    .replace(/\)*;?$/, '')
    .split(';');
  const [first = '', condition = '', step = ''] = parts;
  if (parts.length !== 3 || body.some((token) => ['break', 'continue'].includes(plain(token) ?? ''))) return false;
  compute(first, machine);
  while (machine.turns < limits.turns) {
    const goesOn = compute(condition, machine);
    if (goesOn.kind === 'open') return false;
    if (!goesOn.value) return true;
    machine.turns += 1;
    run(body, machine);
    compute(step, machine);
  }
  return false;
}
