import { calculated, type Known } from './shell-arithmetic.ts';
import { deeper, limits, type Machine, spend } from './shell-machine.ts';
import { isOpen, needsOf, unknown } from './shell-open.ts';
import { type Piece, shellTokens, type Token } from './shell-words.ts';

/** What words of a shell script become, as far as its text says it. */

/** A word of a command, with the characters of open values in it. */
export type Expanded = { readonly text: string; readonly line: number };

export function expandAll(tokens: readonly Token[], machine: Machine): readonly Expanded[] {
  const words: Expanded[] = [];
  for (const token of tokens) {
    if (token.kind !== 'word' || words.length > limits.list) continue;
    for (const text of expandWord(token.pieces, machine)) {
      spend(text.length, machine);
      words.push({ text, line: token.line });
    }
  }
  return words;
}

/** What one word becomes: several, where an unquoted variable has blanks or is a list. */
export function expandWord(pieces: readonly Piece[], machine: Machine): readonly string[] {
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
  if (name === '@') return machine.positional.length === 0 ? [unknown('$@', machine)] : machine.positional;
  const value = machine.scope.get(name);
  if (value === undefined) return [unknown(name, machine)];
  return value.list ? value.items : value.text.split(/\s+/).filter((word) => word !== '');
}

/** The same for one text that is not split into words. */
export function expandText(pieces: readonly Piece[], machine: Machine): string {
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

/** What `${X...}` names: its value as far as it is known, and what stands for it where that is not. */
type Named = {
  readonly name: string;
  readonly value: string | undefined;
  readonly open: () => string;
  readonly machine: Machine;
};

/** `${X}`, with a default, a part taken away or replaced, or one of a list. */
function variable(inside: string, machine: Machine): string {
  const [, length, name = '', place, rest = ''] =
    /^(#?)(\w+|[@*#?!$-])(\[[^\]]{0,40}\])?(:?[-=+?%#/^,].*|:\d.*)?$/s.exec(inside) ?? [];
  if (name === '') return unknown(`\${${inside}}`, machine);
  const value = valueAt(name, place, machine);
  const open = () => unknown(needsOf(value ?? '', machine)[0] ?? name, machine);
  if (length === '#') {
    const items = place === '[@]' || place === '[*]' ? listOf(`${name}[@]`, machine) : undefined;
    return value === undefined || isOpen(value) ? open() : String((items ?? value).length);
  }
  if (rest === '') return value ?? open();
  const operator = /^(:?[-=+?]|%%?|##?|\/\/?|\^\^?|,,?)/.exec(rest)?.[0] ?? '';
  const word = deeper(machine, () => expandText(inner(rest.slice(operator.length)), machine));
  const apply = Object.hasOwn(operators, operator) ? operators[operator] : undefined;
  return apply === undefined ? (part(value, rest) ?? open()) : apply({ name, value, open, machine }, word, operator);
}

function valueAt(name: string, place: string | undefined, machine: Machine): string | undefined {
  if (place === undefined) return lookup(name, machine);
  if (place !== '[@]' && place !== '[*]') return item(name, place, machine);
  return listOf(`${name}[@]`, machine)?.join(place === '[*]' ? (lookup('IFS', machine)?.[0] ?? ' ') : ' ');
}

type Operator = (named: Named, word: string, operator: string) => string;

const orWord: Operator = ({ name, value, machine }, word, operator) => {
  if (value !== undefined && !(operator.startsWith(':') && value === '')) return value;
  if (operator.endsWith('=')) machine.scope.set(name, { list: false, text: word });
  return word;
};

const wordWhereSet: Operator = ({ value }, word, operator) =>
  value === undefined || (operator === ':+' && value === '') ? '' : word;

const withoutEnd: Operator = ({ value, open }, word, operator) =>
  value === undefined ? open() : isOpen(value) ? value : trimmed(value, operator, word);

const replaced: Operator = ({ value, open }, word, operator) => {
  const [from = '', to = ''] = word.split('/', 2);
  // Patterns, and texts that must stand at the start or the end (`#`, `%`), are not followed.
  if (value === undefined || isOpen(from) || /^[#%]|[*?[\\]/.test(from)) return open();
  return from === '' ? value : operator === '//' ? value.replaceAll(from, () => to) : value.replace(from, () => to);
};

const orFails: Operator = ({ value, open }) => value ?? open();

/** What stands behind the name in braces; `^` and `,`, which change one letter, are not followed. */
const operators: Readonly<Record<string, Operator>> = {
  ':-': orWord,
  '-': orWord,
  ':=': orWord,
  '=': orWord,
  ':+': wordWhereSet,
  '+': wordWhereSet,
  '%': withoutEnd,
  '%%': withoutEnd,
  '#': withoutEnd,
  '##': withoutEnd,
  '/': replaced,
  '//': replaced,
  '^^': ({ value, open }) => (value ?? open()).toUpperCase(),
  ',,': ({ value, open }) => (value ?? open()).toLowerCase(),
  ':?': orFails,
  '?': orFails,
};

/** `:2:3`: three letters from the second on. */
function part(value: string | undefined, rest: string): string | undefined {
  const [found, from, length] = /^:(\d{1,5})(?::(\d{1,5}))?$/.exec(rest) ?? [];
  if (found === undefined || value === undefined || isOpen(value)) return undefined;
  return value.slice(Number(from), length === undefined ? undefined : Number(from) + Number(length));
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

/** Takes what a pattern matches away from an end. Patterns have only `*` and literals, as in launch scripts. */
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

/** `cd "$(dirname "${BASH_SOURCE[0]}")" && pwd` */
const ownFolder =
  /^cd\s+(?:--\s+)?"?\$\(dirname\s+(?:--\s+)?"?\$\{?BASH_SOURCE[^)]{0,10}\)"?\s*(?:(?:&|[12])?>\S+\s*){0,2}&&\s*pwd$/;

/** Output of the few commands that compute: `echo`, `printf`, `expr`, arithmetic through `bc`. Any other is one open value. */
function output(inside: string, machine: Machine): string {
  const text = inside.trim();
  const command = `$(${text.replaceAll(/(?:\\\r?\n|\s)+/g, ' ')})`;
  const given = machine.scope.get(command);
  if (given?.list === false) return given.text;
  const sum = /^(?:echo|expr)\s+"?([^|"]{1,200})"?(?:\s*\|\s*bc(?:\s+-l)?)?$/.exec(text)?.[1];
  const [, separator, rest = ''] = /^(IFS=\S*?(?:'[^']*'|"[^"]*")?)\s*;\s*(echo\s.*)$/s.exec(text) ?? [];
  if (separator !== undefined) return separated(separator, rest, machine);
  if (text.startsWith('printf '))
    return formatted(expandAll(shellTokens(text), machine).slice(1), machine) ?? unknown(command, machine);
  if (sum !== undefined) {
    const expanded = expandText(inner(sum), machine).replaceAll('\\*', '*');
    return /\|\s*bc|^expr/.test(text) ? arithmetic(expanded, machine) : expanded;
  }
  // A file that is read in says by this where it is itself; where the script is, nothing of it follows.
  if (machine.folder !== '.' && ownFolder.test(text)) return machine.folder;
  if (/^(dirname|basename|pwd|realpath|cd)\b/.test(text))
    return text.startsWith('dirname')
      ? /BASH_SOURCE/.test(text)
        ? machine.folder
        : '.'
      : unknown('<a path>', machine);
  return unknown(command, machine);
}

/** What a command prints where lists are joined by another sign: `IFS=','; echo "${LIST[*]}"`. */
function separated(assignment: string, command: string, machine: Machine): string {
  const { scope } = machine;
  const [token] = shellTokens(assignment.slice('IFS='.length));
  const text = token?.kind === 'word' ? expandText(token.pieces, machine) : '';
  machine.scope = new Map([...scope, ['IFS', { list: false, text }]]);
  const printed = output(command, machine);
  machine.scope = scope;
  return printed;
}

/** What `printf` makes of a format with `%s` and `%d` and a word for each; undefined for other formats. */
export function formatted(words: readonly Expanded[], machine: Machine): string | undefined {
  const [format, ...values] = words.map(({ text }) => text);
  if (format === undefined || (format.match(/%./g) ?? []).some((sign) => !['%s', '%d', '%%'].includes(sign)))
    return undefined;
  const places = format.match(/%[sd]/g)?.length ?? 0;
  if (values.length > places) return undefined;
  spend(values.join('').length, machine);
  return format.replace(/%[sd%]/g, (sign) => (sign === '%%' ? '%' : (values.shift() ?? ''))).replace(/\\n$/, '');
}

/** The value of arithmetic as text, or an open value. */
export function arithmetic(inside: string, machine: Machine): string {
  const text = expandText(inner(inside), machine);
  const [needed] = needsOf(text, machine);
  const value: Known = needed === undefined ? calculated(text, (name) => numberOf(name, machine)) : { needs: needed };
  return typeof value === 'number' ? String(value) : unknown(value.needs, machine);
}

function numberOf(name: string, machine: Machine): Known {
  const text = lookup(name, machine);
  return text === undefined || isOpen(text) ? { needs: needsOf(text ?? '', machine)[0] ?? name } : Number(text);
}
