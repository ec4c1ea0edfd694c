import { type Piece, ShellTooLarge, shellTokens, type Token } from './shell-words.ts';

/**
 * A launch script read as the commands that it would start, by following its assignments, never by running anything. What the
 * text alone does not say (environment, positional arguments, output of commands) stays open, with the names that it needs.
 */
export type Script = {
  readonly commands: readonly Command[];
  /** `#SBATCH --nodes=4` and its kin, without the dashes. */
  readonly directives: ReadonlyMap<string, string>;
  /** What variables hold at the end, as far as that is one text. */
  readonly variables: ReadonlyMap<string, string>;
  /** Files that it reads in (`source x.sh`), as written. */
  readonly sourced: readonly string[];
  /** Texts that it writes to files, by the file's name: a DeepSpeed config that a script makes. */
  readonly written: ReadonlyMap<string, string>;
};

export type Command = {
  readonly words: readonly Word[];
  readonly line: number;
  /** What the environment tells launchers at that place: `NPROC_PER_NODE`, `CUDA_VISIBLE_DEVICES`. */
  readonly environment?: ReadonlyMap<string, string>;
};

/** A word of a command; `needs` names what must be known before its text is. */
export type Word = { readonly text: string; readonly needs: readonly string[]; readonly line: number };

/** Values of variables and of positional arguments ("1") that the user gives. */
export type Inputs = Readonly<Record<string, string>>;

export type Sources = (path: string) => string | undefined;

/** Work that one script may cost: statements, how deep they nest, characters of one value and of all words that come of them. */
const limits = { statements: 20_000, calls: 8, depth: 40, value: 20_000, list: 2_000, spent: 2_000_000 } as const;

/** Stands in a text for what is not known: the names between two marks. */
const mark = '\uE000';
const unknown = (name: string) => `${mark}${name.replaceAll(mark, '').slice(0, 60)}${mark}`;
const marked = /\uE000([^\uE000]*)\uE000/g;
const needsOf = (text: string): readonly string[] => [
  ...new Set([...text.matchAll(marked)].map(([, name = '']) => name)),
];

type Value =
  | { readonly list: false; readonly text: string }
  | { readonly list: true; readonly items: readonly string[] };
type Scope = Map<string, Value>;

type Machine = {
  scope: Scope;
  readonly functions: Map<string, readonly Token[]>;
  readonly commands: Command[];
  readonly sourced: string[];
  readonly written: Map<string, string>;
  readonly files: Sources;
  positional: readonly string[];
  steps: number;
  calls: number;
  depth: number;
  spent: number;
};

/**
 * @param files text of a file that the script reads in; undefined where it is not known
 * @throws ShellTooLarge
 */
export function readScript(text: string, files: Sources = () => undefined, inputs: Inputs = {}): Script {
  const directives = directivesOf(text);
  const machine: Machine = {
    scope: new Map(Object.entries(inputs).map(([name, value]) => [name, { list: false, text: value }])),
    functions: new Map(),
    commands: [],
    sourced: [],
    written: new Map(),
    files,
    positional: [],
    steps: 0,
    calls: 0,
    depth: 0,
    spent: 0,
  };
  for (const [name, value] of slurmVariables(directives)) machine.scope.set(name, { list: false, text: value });
  run(shellTokens(text), machine);
  const variables = new Map(
    [...machine.scope].flatMap(([name, value]): [string, string][] => {
      const joined = value.list ? value.items.join(' ') : value.text;
      return joined.includes(mark) ? [] : [[name, joined]];
    }),
  );
  return { commands: machine.commands, directives, variables, sourced: machine.sourced, written: machine.written };
}

/** What Slurm tells a job about itself follows from its directives. */
function slurmVariables(directives: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  const nodes = directives.get('nodes') ?? directives.get('N');
  const gpus = gpusOfNode(directives);
  return [
    ...(nodes === undefined
      ? []
      : ['SLURM_NNODES', 'SLURM_JOB_NUM_NODES', 'SLURM_JOB_NODES'].map((name) => [name, nodes] as const)),
    ...(gpus === undefined ? [] : ['SLURM_GPUS_ON_NODE', 'SLURM_GPUS_PER_NODE'].map((name) => [name, gpus] as const)),
  ];
}

/** GPUs of a node by Slurm's directives: `--gres=gpu:a100:8`, `--gpus-per-node=8`. */
export function gpusOfNode(directives: ReadonlyMap<string, string>): string | undefined {
  const gres = directives.get('gres');
  const stated = directives.get('gpus-per-node') ?? (gres?.startsWith('gpu') === true ? gres : undefined);
  return /(?:^|:)(\d{1,4})$/.exec(stated ?? '')?.[1];
}

function directivesOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const row of text.split('\n', 5_000)) {
    if (!row.startsWith('#SBATCH') || row.length > 500) continue;
    const [, name = '', value = ''] = /^#SBATCH\s+-{1,2}([\w-]+)[=\s]*([^#]*)/.exec(row) ?? [];
    if (name !== '') found.set(name, value.trim());
  }
  return found;
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

const plain = (token: Token | undefined): string | undefined => {
  if (token?.kind !== 'word' || token.pieces.length !== 1) return undefined;
  const [piece] = token.pieces;
  return piece?.kind === 'text' && !piece.quoted ? piece.text : undefined;
};
const isSign = (token: Token | undefined, ...signs: readonly string[]) =>
  token?.kind === 'sign' && signs.includes(token.sign);

/** @throws ShellTooLarge */
function run(tokens: readonly Token[], machine: Machine): void {
  deeper(machine, () => statements(tokens, machine));
}

/** Blocks within blocks and defaults within defaults are followed so far and no further. */
function deeper<Result>(machine: Machine, work: () => Result): Result {
  machine.depth += 1;
  if (machine.depth > limits.depth) throw new ShellTooLarge(`The script nests deeper than ${limits.depth} levels.`);
  const result = work();
  machine.depth -= 1;
  return result;
}

function statements(tokens: readonly Token[], machine: Machine): void {
  for (let at = 0; at < tokens.length; ) {
    machine.steps += 1;
    if (machine.steps > limits.statements)
      throw new ShellTooLarge(`The script takes more than ${limits.statements} steps.`);
    const token = tokens[at];
    const word = plain(token);
    const opens = word !== undefined && Object.hasOwn(blocks, word);
    if (token === undefined || token.kind === 'sign' || token.kind === 'document') at += 1;
    else if (opens) {
      const end = blockEnd(tokens, at, blocks[word] ?? '');
      block(word, tokens.slice(at + 1, end), machine);
      at = end + 1;
    } else if (word === 'function' || definesFunction(tokens, at)) {
      at = define(tokens, at, machine);
    } else at = command(tokens, at, machine);
  }
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

/** The place of a word of this block itself, not of one within it. */
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
  const before = machine.scope;
  const ends = branches.map((branch) => {
    machine.scope = new Map(before);
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
        ),
      );
  }
  machine.scope = merged;
}

/** Lists keep what all branches begin with, and what follows is open. */
function uncertain(values: readonly (Value | undefined)[], needs: readonly string[], name: string): Value {
  const open = unknown(needs[0] ?? name);
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
  if (subject.needs.length > 0) {
    const branches = arms.map((arm) => (into: Machine) => run(arm.body, into));
    either([...branches, () => {}], subject.needs, machine);
    return;
  }
  const taken = arms.find(({ patterns }) => patterns.some((pattern) => isLike(subject.text, pattern)));
  if (taken !== undefined) run(taken.body, machine);
}

/** A loop over words takes the first of them, and its variable is open where there are several; other loops are not followed. */
function loop(kind: string, tokens: readonly Token[], machine: Machine): void {
  const begins = split(tokens, ['do']);
  const body = tokens.slice(begins + 1);
  const maybe = (needs: string) => either([(into) => run(body, into), () => {}], [needs], machine);
  if (kind !== 'for') {
    maybe(`the ${kind} loop`);
    return;
  }
  const name = plain(tokens[0]) ?? '';
  const within = tokens.findIndex((token) => plain(token) === 'in');
  const items = expandAll(tokens.slice(within + 1, begins), machine);
  const [first] = items;
  if (first === undefined || within === -1 || within >= begins) {
    maybe(name);
    return;
  }
  machine.scope.set(name, { list: false, text: items.length === 1 ? first.text : unknown(name) });
  run(body, machine);
}

// --- Commands -----------------------------------------------------------------------------------------------------------

const assignment = /^([A-Za-z_]\w*)(\+?)=/;

/** One simple command with what it assigns; where the next statement begins. */
function command(tokens: readonly Token[], from: number, machine: Machine): number {
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
  // What stands before a command holds for it alone.
  if (words.length > 0 && !exported)
    for (const [name, value] of before)
      if (value === undefined) machine.scope.delete(name);
      else machine.scope.set(name, value);
  return at + 1;
}

/**
 * An assignment at a token: `X=`, `X+=`, `X=( ... )`; where it ends, or the same place where it is none.
 *
 * @param before gets what the name held until now
 */
function assign(
  tokens: readonly Token[],
  at: number,
  machine: Machine,
  before: Map<string, Value | undefined>,
): number {
  const token = tokens[at];
  const [first] = token?.kind === 'word' ? token.pieces : [];
  const found = first?.kind === 'text' && !first.quoted ? assignment.exec(first.text) : null;
  if (token?.kind !== 'word' || found === null || first?.kind !== 'text') return at;
  const [all, name = '', more] = found;
  const rest: readonly Piece[] = [{ ...first, text: first.text.slice(all.length) }, ...token.pieces.slice(1)];
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
  words: readonly Word[],
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
  if (document?.kind === 'document') {
    const text = expandText(document.pieces, machine);
    const file = target?.kind === 'word' ? expandText(target.pieces, machine) : undefined;
    if (file !== undefined) machine.written.set(file, text);
    // `read -r -d '' X <<EOF` keeps a command in a variable, to be started later.
    else if (name === 'read') machine.scope.set(words.at(-1)?.text ?? '', { list: false, text });
  }
  const inner = textCommand(words);
  if (inner !== undefined && machine.calls < limits.calls) {
    machine.calls += 1;
    spend(4 * inner.length, machine);
    run(shellTokens(inner), machine);
    machine.calls -= 1;
  } else if (words.length > 1 && words.length <= limits.list)
    machine.commands.push({ words, line, environment: environmentOf(machine) });
}

/** Variables by which launchers are told how much to start. */
const telling = ['NPROC_PER_NODE', 'NNODES', 'NUM_NODES', 'CUDA_VISIBLE_DEVICES', 'ASCEND_RT_VISIBLE_DEVICES'] as const;

function environmentOf({ scope }: Machine): ReadonlyMap<string, string> {
  return new Map(
    telling.flatMap((name): [string, string][] => {
      const value = scope.get(name);
      return value === undefined || value.list ? [] : [[name, value.text.replaceAll(marked, '$$$1')]];
    }),
  );
}

/** The command that `srun ... bash -c "..."` or `eval "..."` gives as text. */
function textCommand(words: readonly Word[]): string | undefined {
  const at = words.findIndex(({ text }, index) => text === '-c' && /(^|\/)(ba)?sh$/.test(words[index - 1]?.text ?? ''));
  const rest = words[0]?.text === 'eval' ? words.slice(1) : at === -1 ? [] : words.slice(at + 1, at + 2);
  const text = rest.map((word) => word.text).join(' ');
  return /\s--?\w/.test(text) ? text : undefined;
}

function call(body: readonly Token[], words: readonly Word[], machine: Machine): void {
  if (machine.calls >= limits.calls) return;
  const { positional } = machine;
  machine.calls += 1;
  machine.positional = words.map(({ text }) => text);
  run(body, machine);
  machine.positional = positional;
  machine.calls -= 1;
}

function readIn(file: Word, machine: Machine): void {
  // A folder that nobody knows is mostly the script's own.
  const path = file.text.replace(/^\$[^/]{0,80}\//, '').replace(/^\/+/, '');
  if (path === '' || machine.sourced.length >= 8) return;
  machine.sourced.push(path);
  const text = machine.files(path);
  if (text !== undefined && machine.calls < limits.calls) {
    machine.calls += 1;
    run(shellTokens(text), machine);
    machine.calls -= 1;
  }
}

// --- Words --------------------------------------------------------------------------------------------------------------

function expandAll(tokens: readonly Token[], machine: Machine): readonly Word[] {
  const words: Word[] = [];
  for (const token of tokens) {
    if (token.kind !== 'word' || words.length > limits.list) continue;
    for (const text of expandWord(token.pieces, machine)) {
      spend(text.length, machine);
      words.push({ text: text.replaceAll(marked, '$$$1'), needs: needsOf(text), line: token.line });
    }
  }
  return words;
}

function spend(characters: number, machine: Machine): void {
  machine.spent += characters + 1;
  if (machine.spent > limits.spent)
    throw new ShellTooLarge(`The script comes to more than ${limits.spent} characters.`);
}

/** A word is several where an unquoted variable has spaces, or is a list. */
function expandWord(pieces: readonly Piece[], machine: Machine): readonly string[] {
  const [only] = pieces;
  if (pieces.length === 1 && only?.kind === 'variable') {
    const list = listOf(only.inside, machine);
    if (list !== undefined) return list;
  }
  const words: string[] = [''];
  for (const piece of pieces) {
    const text = expandText([piece], machine);
    const parts = piece.kind === 'variable' && !piece.quoted ? text.split(/\s+/) : [text];
    const [first = '', ...rest] = parts;
    words[words.length - 1] += first;
    words.push(...rest);
  }
  if (pieces.some((piece) => piece.kind === 'text' && piece.quoted)) return words;
  return words.filter((word) => word !== '');
}

/** `${A[@]}`: all of a list. */
function listOf(inside: string, machine: Machine): readonly string[] | undefined {
  const name = /^(\w+)\[[@*]\]$/.exec(inside)?.[1] ?? (inside === '@' || inside === '*' ? '@' : undefined);
  if (name === undefined) return undefined;
  if (name === '@') return machine.positional.length === 0 ? [unknown('$@')] : machine.positional;
  const value = machine.scope.get(name);
  if (value === undefined) return [unknown(name)];
  return value.list ? value.items : value.text.split(/\s+/).filter((word) => word !== '');
}

function expandText(pieces: readonly Piece[], machine: Machine): string {
  let text = '';
  for (const piece of pieces) {
    text +=
      piece.kind === 'text'
        ? piece.text
        : piece.kind === 'variable'
          ? variable(piece.inside, machine)
          : piece.kind === 'arithmetic'
            ? arithmetic(piece.inside, machine)
            : output(piece.inside, machine);
    if (text.length > limits.value) return text.slice(0, limits.value);
  }
  return text;
}

function lookup(name: string, machine: Machine): string | undefined {
  const place = /^[1-9]$/.test(name) ? Number(name) : 0;
  if (place > 0 && machine.positional[place - 1] !== undefined) return machine.positional[place - 1];
  if (name === '@' || name === '*') return machine.positional.length === 0 ? undefined : machine.positional.join(' ');
  const value = machine.scope.get(name);
  if (value === undefined) return undefined;
  return value.list ? (value.items[0] ?? '') : value.text;
}

/** `${X}`, with a default, a part taken away or replaced, or one of a list. */
function variable(inside: string, machine: Machine): string {
  const [, length, name = '', place, rest = ''] =
    /^(#?)(\w+|[@*#?!$-])(\[[^\]]{0,40}\])?(:?[-=+?%#/^,].*|:\d.*)?$/s.exec(inside) ?? [];
  if (name === '') return unknown(inside);
  const whole = place === '[@]' || place === '[*]';
  const value = whole
    ? listOf(`${name}[@]`, machine)?.join(' ')
    : place === undefined
      ? lookup(name, machine)
      : item(name, place, machine);
  if (length === '#') return value === undefined || value.includes(mark) ? unknown(name) : String(value.length);
  const operator = /^(:?[-=+?]|%%?|##?|\/\/?|\^\^?|,,?)/.exec(rest)?.[0] ?? '';
  const word = rest === '' ? '' : deeper(machine, () => expandText(inner(rest.slice(operator.length)), machine));
  switch (operator) {
    case '':
      return value ?? unknown(name);
    case ':-':
    case '-':
    case ':=':
    case '=': {
      const empty = value === undefined || (operator.startsWith(':') && value === '');
      if (empty && operator.endsWith('=')) machine.scope.set(name, { list: false, text: word });
      return empty ? word : value;
    }
    case ':+':
    case '+':
      return value === undefined || (operator === ':+' && value === '') ? '' : word;
    case '%':
    case '%%':
    case '#':
    case '##':
      return value === undefined ? unknown(name) : value.includes(mark) ? value : trimmed(value, operator, word);
    case '/':
    case '//': {
      const [from = '', to = ''] = word.split('/', 2);
      if (value === undefined) return unknown(name);
      return from === '' ? value : operator === '//' ? value.replaceAll(from, to) : value.replace(from, () => to);
    }
    case '^':
    case '^^':
      return (value ?? unknown(name)).toUpperCase();
    case ',':
    case ',,':
      return (value ?? unknown(name)).toLowerCase();
    default:
      return value ?? unknown(name);
  }
}

function item(name: string, place: string, machine: Machine): string | undefined {
  const value = machine.scope.get(name);
  const index = Number(arithmetic(place.slice(1, -1), machine));
  return value?.list === true ? value.items[index] : undefined;
}

const inner = (text: string): readonly Piece[] => {
  const [token] = shellTokens(`"${text.replaceAll('"', '')}"`);
  return token?.kind === 'word' ? token.pieces : [];
};

/** Takes what a pattern matches from an end; only `*` and literals, as launch scripts use them. */
function trimmed(value: string, operator: string, pattern: string): string {
  const literal = pattern.replaceAll('*', '');
  const [front, greedy] = [operator.startsWith('#'), operator.length === 2];
  if (!pattern.includes('*'))
    return front
      ? value.startsWith(pattern)
        ? value.slice(pattern.length)
        : value
      : value.endsWith(pattern)
        ? value.slice(0, value.length - pattern.length)
        : value;
  const at = front === greedy ? value.lastIndexOf(literal) : value.indexOf(literal);
  if (at === -1 || literal === '') return value;
  return front ? value.slice(at + literal.length) : value.slice(0, at);
}

/** Output of the few commands that compute: `echo`, `expr`, arithmetic through `bc`. */
function output(inside: string, machine: Machine): string {
  const text = inside.trim();
  const sum = /^(?:echo|expr)\s+"?([^|"]{1,200})"?(?:\s*\|\s*bc(?:\s+-l)?)?$/.exec(text)?.[1];
  if (sum !== undefined) {
    const expanded = expandText(inner(sum), machine).replaceAll('\\*', '*');
    return /\|\s*bc|^expr/.test(text) ? arithmetic(expanded, machine) : expanded;
  }
  if (/^(dirname|basename|pwd|realpath|cd)\b/.test(text)) return text.startsWith('dirname') ? '.' : unknown('a path');
  return unknown(`$(${text.slice(0, 40)})`);
}

// --- Tests and arithmetic -------------------------------------------------------------------------------------------------

type Truth =
  | { readonly kind: 'known'; readonly value: boolean }
  | { readonly kind: 'open'; readonly needs: readonly string[] };
const known = (value: boolean): Truth => ({ kind: 'known', value });

/** The condition of an `if`: tests joined by `&&` and `||`, from the left. */
function test(tokens: readonly Token[], machine: Machine): Truth {
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'sign') words.push(token.sign);
    else if (token.kind === 'word') {
      const expanded = expandWord(token.pieces, machine);
      words.push(...(expanded.length === 0 ? [''] : expanded));
    }
  }
  let truth: Truth | undefined;
  let join = '';
  let one: string[] = [];
  for (const word of [...words, ';']) {
    if (!['&&', '||', ';', '-a', '-o'].includes(word)) {
      one.push(word);
      continue;
    }
    if (one.some((part) => part !== '[' && part !== '[[' && part !== ']' && part !== ']]')) {
      const next = simple(one.filter((part) => !['[', '[[', ']', ']]', 'test'].includes(part)));
      truth = truth === undefined ? next : joined(truth, join, next);
    }
    join = word === '-a' ? '&&' : word === '-o' ? '||' : word;
    one = [];
  }
  return truth ?? { kind: 'open', needs: ['a condition'] };
}

function joined(one: Truth, join: string, other: Truth): Truth {
  const decides = join === '||';
  for (const truth of [one, other]) if (truth.kind === 'known' && truth.value === decides) return truth;
  return one.kind === 'open' ? one : other.kind === 'open' ? other : known(!decides);
}

function simple(words: readonly string[]): Truth {
  if (words[0] === '!') {
    const truth = simple(words.slice(1));
    return truth.kind === 'known' ? known(!truth.value) : truth;
  }
  const [a = '', operator = '', b = ''] = words;
  // As with a default (`${A:-1}`), a variable that is stated nowhere is taken as not set.
  if (words.length === 2 && /^-[zn]$/.test(a) && /^\uE000\w+\uE000$/.test(operator) && !/^\uE000\d/.test(operator))
    return known(a === '-z');
  const needs = words.flatMap(needsOf);
  if (needs.length > 0) return { kind: 'open', needs };
  if (words.length === 2 && a === '-z') return known(operator === '');
  if (words.length === 2 && a === '-n') return known(operator !== '');
  if (words.length === 1 && (a === 'true' || a === 'false')) return known(a === 'true');
  switch (operator) {
    case '=':
    case '==':
      return known(isLike(a, b));
    case '!=':
      return known(!isLike(a, b));
    case '-eq':
      return known(Number(a) === Number(b));
    case '-ne':
      return known(Number(a) !== Number(b));
    case '-gt':
      return known(Number(a) > Number(b));
    case '-ge':
      return known(Number(a) >= Number(b));
    case '-lt':
      return known(Number(a) < Number(b));
    case '-le':
      return known(Number(a) <= Number(b));
    default:
      return { kind: 'open', needs: [words.join(' ').slice(0, 60)] };
  }
}

/** A text against a pattern with `*`, in linear time for each star. */
function isLike(text: string, pattern: string): boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  if (parts.length === 1) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const [index, part] of rest.entries()) {
    if (index === rest.length - 1) return text.length - part.length >= at && text.endsWith(part);
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return true;
}

/** Whole-number arithmetic as bash does it; what it needs where a name is not known. */
function arithmetic(inside: string, machine: Machine): string {
  const text = expandText(inner(inside), machine);
  const needs = needsOf(text);
  if (needs.length > 0) return unknown(needs[0] ?? '');
  const parts = /^[\s\d\w+\-*/%()<>=!&|?:]{1,400}$/.test(text)
    ? (text.match(/\d+|\w+|<=|>=|==|!=|&&|\|\||\*\*|[+\-*/%()<>?:!]/g) ?? [])
    : [];
  if (parts.length === 0) return unknown('arithmetic');
  const calculator: Calculator = { parts, at: 0, machine, missing: undefined, depth: 0 };
  const value = choiceOf(calculator);
  if (calculator.missing !== undefined) return unknown(calculator.missing);
  return calculator.at === parts.length && Number.isFinite(value) ? String(value) : unknown('arithmetic');
}

type Calculator = {
  readonly parts: readonly string[];
  at: number;
  readonly machine: Machine;
  missing: string | undefined;
  depth: number;
};

function choiceOf(of: Calculator): number {
  const condition = binary(of, 0);
  if (of.parts[of.at] !== '?') return condition;
  of.at += 1;
  const yes = choiceOf(of);
  of.at += 1;
  const no = choiceOf(of);
  return condition === 0 ? no : yes;
}

const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['+', '-'],
  ['*', '/', '%'],
  ['**'],
];

function binary(of: Calculator, level: number): number {
  const operators = levels[level];
  if (operators === undefined) return unary(of);
  let value = binary(of, level + 1);
  for (
    let operator = of.parts[of.at];
    operator !== undefined && operators.includes(operator);
    operator = of.parts[of.at]
  ) {
    of.at += 1;
    value = applied(value, operator, binary(of, level + 1));
  }
  return value;
}

function applied(a: number, operator: string, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return Math.trunc(a / b);
    case '%':
      return a % b;
    case '**':
      return a ** Math.min(b, 64);
    case '<':
      return Number(a < b);
    case '>':
      return Number(a > b);
    case '<=':
      return Number(a <= b);
    case '>=':
      return Number(a >= b);
    case '==':
      return Number(a === b);
    case '!=':
      return Number(a !== b);
    case '&&':
      return Number(a !== 0 && b !== 0);
    default:
      return Number(a !== 0 || b !== 0);
  }
}

function unary(of: Calculator): number {
  const part = of.parts[of.at] ?? '';
  of.at += 1;
  of.depth += 1;
  if (of.depth > 200) return Number.NaN;
  if (part === '-') return -unary(of);
  if (part === '+') return unary(of);
  if (part === '!') return Number(unary(of) === 0);
  if (part === '(') {
    const value = choiceOf(of);
    of.at += 1;
    return value;
  }
  if (/^\d/.test(part)) return Number(part);
  const value = /^\w+$/.test(part) ? lookup(part, of.machine) : undefined;
  if (value === undefined || value.includes(mark)) of.missing ??= needsOf(value ?? '')[0] ?? part;
  return Number(value);
}
