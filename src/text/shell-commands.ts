import { type Expanded, expandAll, expandText, formatted } from './shell-expansion.ts';
import { limits, type Machine, spend, type Told, type Value, type Word } from './shell-machine.ts';
import { isOpen, needsOf, shown, unknown, withoutOpen } from './shell-open.ts';
import { compute } from './shell-tests.ts';
import { isSign, type Piece, plain, shellTokens, type Token } from './shell-words.ts';

/** Commands of a shell script: what they assign, and what they would start. */

/** The beginning of a word that assigns. */
export const assignment = /^([A-Za-z_]\w*)(\+?)=/;

/** Follows one simple command with what it assigns, and says where the next statement begins. */
export function command(tokens: readonly Token[], from: number, machine: Machine): number {
  let at = from;
  while (['export', 'local', 'declare', 'readonly', 'typeset'].includes(plain(tokens[at]) ?? '')) {
    at += 1;
    while (/^-\w+$/.test(plain(tokens[at]) ?? '')) at += 1;
  }
  const exported = at > from;
  const before = new Map<string, Value | undefined>();
  for (let next = assign(tokens, at, machine, before); next > at; next = assign(tokens, at, machine, before)) at = next;
  const begins = at;
  let target: Token | undefined;
  const words: Token[] = [];
  let document: Token | undefined;
  for (; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === undefined) break;
    if (isSign(token, '>', '>>', '<', '<<<')) {
      target = isSign(token, '>', '>>') ? tokens[at + 1] : target;
      at += 1;
    } else if (token.kind === 'sign') break;
    else if (token.kind === 'document') document = token;
    else words.push(token);
  }
  if (words.length > 0) start(expandAll(words, machine), document, target, tokens[begins]?.line ?? 0, machine);
  // Assignments in front of a command hold for that command alone.
  if (words.length > 0 && !exported)
    for (const [name, value] of before)
      if (value === undefined) machine.scope.delete(name);
      else machine.scope.set(name, value);
  return at;
}

/** The variable that a word assigns to, whether it adds to it (`+=`), and the value. */
export function assignmentOf(token: Token | undefined) {
  const [first] = token?.kind === 'word' ? token.pieces : [];
  const found = first?.kind === 'text' && !first.quoted ? assignment.exec(first.text) : null;
  if (token?.kind !== 'word' || found === null || first?.kind !== 'text') return undefined;
  const [all, name = '', more = ''] = found;
  const rest: readonly Piece[] = [{ ...first, text: first.text.slice(all.length) }, ...token.pieces.slice(1)];
  return { name, more, rest };
}

/**
 * Makes the assignment at a token (`X=`, `X+=`, `X=( ... )`), and says where it ends: at the same place where there is none.
 *
 * @param before gets what the name held until now
 */
function assign(
  tokens: readonly Token[],
  at: number,
  machine: Machine,
  before: Map<string, Value | undefined>,
): number {
  const assigned = assignmentOf(tokens[at]);
  if (assigned === undefined) return at;
  const { name, more, rest } = assigned;
  const old = machine.scope.get(name);
  if (!before.has(name)) before.set(name, old);
  if (
    rest.every((piece) => piece.kind === 'text' && piece.text === '' && !piece.quoted) &&
    isSign(tokens[at + 1], '(')
  ) {
    let end = at + 2;
    while (end < tokens.length && !isSign(tokens[end], ')')) end += 1;
    const items = expandAll(
      tokens.slice(at + 2, end).filter(({ kind }) => kind === 'word'),
      machine,
    ).map(({ text }) => text);
    const kept = more === '' ? [] : old?.list === true ? old.items : old === undefined ? [] : [old.text];
    machine.scope.set(name, { list: true, items: [...kept, ...items].slice(0, limits.list) });
    return end + 1;
  }
  const text = expandText(rest, machine);
  const kept = more === '' || old === undefined ? '' : old.list ? old.items.join(' ') : old.text;
  machine.scope.set(name, { list: false, text: (kept + text).slice(0, limits.value) });
  return at + 1;
}

function start(
  words: readonly Expanded[],
  document: Token | undefined,
  target: Token | undefined,
  line: number,
  machine: Machine,
): void {
  const [first, second] = words;
  const name = first?.text ?? '';
  const body = machine.functions.get(name);
  if ((name === 'source' || name === '.') && second !== undefined) {
    readIn(second, machine);
    return;
  }
  if (body !== undefined) {
    call(body, words.slice(1), machine);
    return;
  }
  if (document === undefined && changesVariables(words, machine)) return;
  if (document?.kind === 'document') {
    const text = expandText(document.pieces, machine);
    const file = target?.kind === 'word' ? expandText(target.pieces, machine) : undefined;
    if (file !== undefined) machine.written.set(shown(file, machine), shown(text, machine));
    // `read -r -d '' X <<EOF` keeps a command in a variable, to be started later.
    else if (name === 'read') machine.scope.set(words.at(-1)?.text ?? '', { list: false, text });
  }
  const inner = textCommand(words);
  if (inner !== undefined && machine.calls < limits.calls) {
    machine.calls += 1;
    spend(4 * inner.length, machine);
    machine.run(shellTokens(inner), machine);
    machine.calls -= 1;
  } else if (words.length > 1 && words.length <= limits.list)
    machine.commands.push({
      words: words.map((word) => wordOf(word, machine)),
      line,
      environment: environmentOf(machine),
    });
}

const told = (text: string, machine: Machine): Told => ({ text: shown(text, machine), needs: needsOf(text, machine) });

/** A text cut at its blanks. */
export const piecesOf = (text: string, machine: Machine): readonly Told[] =>
  text
    .trim()
    .split(/\s+/)
    .map((piece) => told(piece, machine));

function wordOf({ text, line }: Expanded, machine: Machine): Word {
  const word = told(text, machine);
  return { ...word, line, pieces: /\s/.test(text) ? piecesOf(text, machine) : [word] };
}

const variableName = /^[A-Za-z_]\w*$/;

/** Commands of the shell that change variables; one that a command reads into is open. */
function changesVariables(words: readonly Expanded[], machine: Machine): boolean {
  const [name = '', ...rest] = words.map(({ text }) => text);
  const names = rest.filter((word) => variableName.test(word));
  if (name === 'unset') for (const one of names) machine.scope.delete(one);
  else if (name === 'let') for (const one of rest) compute(one, machine);
  else if (name === 'shift') machine.positional = machine.positional.slice(Number(rest[0] ?? 1));
  else if (name === 'set' && rest[0] === '--') machine.positional = rest.slice(1);
  else if (name === 'printf' && rest[0] === '-v') print(words.slice(2), machine);
  else if (['read', 'mapfile', 'readarray'].includes(name))
    for (const one of names) machine.scope.set(one, { list: false, text: unknown(one, machine) });
  else return false;
  return true;
}

/** `printf -v NAME FORMAT ...` */
function print([target, ...words]: readonly Expanded[], machine: Machine): void {
  const name = target?.text ?? '';
  if (!variableName.test(name)) return;
  machine.scope.set(name, { list: false, text: formatted(words, machine) ?? unknown(name, machine) });
}

/** Variables that tell launchers how many processes to start. */
const telling = ['NPROC_PER_NODE', 'NNODES', 'NUM_NODES', 'CUDA_VISIBLE_DEVICES', 'ASCEND_RT_VISIBLE_DEVICES'] as const;

function environmentOf(machine: Machine): ReadonlyMap<string, string> {
  return new Map(
    telling.flatMap((name): [string, string][] => {
      const value = machine.scope.get(name);
      return value === undefined || value.list ? [] : [[name, shown(value.text, machine)]];
    }),
  );
}

/** The command that `srun ... bash -c "..."` or `eval "..."` gives as text. */
function textCommand(words: readonly Expanded[]): string | undefined {
  const at = words.findIndex(({ text }, index) => text === '-c' && /(^|\/)(ba)?sh$/.test(words[index - 1]?.text ?? ''));
  const rest = words[0]?.text === 'eval' ? words.slice(1) : at === -1 ? [] : words.slice(at + 1, at + 2);
  const text = rest.map((word) => word.text).join(' ');
  return /\s--?\w/.test(text) ? text : undefined;
}

function call(body: readonly Token[], words: readonly Expanded[], machine: Machine): void {
  if (machine.calls >= limits.calls) return;
  const { positional } = machine;
  machine.calls += 1;
  machine.positional = words.map(({ text }) => text);
  machine.run(body, machine);
  machine.positional = positional;
  machine.calls -= 1;
}

function readIn(file: Expanded, machine: Machine): void {
  // An unknown folder (`$DIR/model.sh`) is mostly the script's own.
  const path = isOpen(file.text[0] ?? '') ? file.text.replace(/^[^/]*\/+/, '') : file.text;
  if (path === '' || isOpen(path) || machine.sourced.length >= 8) return;
  machine.sourced.push(path);
  const text = machine.files(path);
  if (text !== undefined && machine.calls < limits.calls) {
    const { folder } = machine;
    machine.folder = path.replace(/\/?[^/]*$/, '') || '.';
    machine.calls += 1;
    machine.run(shellTokens(withoutOpen(text)), machine);
    machine.calls -= 1;
    machine.folder = folder;
  }
}
