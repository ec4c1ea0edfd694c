import { arithmetic, expandWord } from './shell-expansion.ts';
import type { Machine } from './shell-machine.ts';
import { needsOf, unknown } from './shell-open.ts';
import type { Token } from './shell-words.ts';

/** Conditions of a shell script: known where its text decides them. */

export type Truth =
  | { readonly kind: 'known'; readonly value: boolean }
  | { readonly kind: 'open'; readonly needs: readonly string[] };
const known = (value: boolean): Truth => ({ kind: 'known', value });

/** The condition of an `if`: tests joined by `&&` and `||`, from the left. */
export function test(tokens: readonly Token[], machine: Machine): Truth {
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
  let open = 0;
  for (const word of [...words, ';']) {
    open += word === '(' ? 1 : word === ')' ? -1 : 0;
    if (open > 0 || !['&&', '||', ';', '-a', '-o'].includes(word)) {
      one.push(word);
      continue;
    }
    if (one.some((part) => part !== '[' && part !== '[[' && part !== ']' && part !== ']]')) {
      const next = simple(
        one.filter((part) => !['[', '[[', ']', ']]', 'test'].includes(part)),
        machine,
      );
      truth = truth === undefined ? next : joined(truth, join, next);
    }
    join = word === '-a' ? '&&' : word === '-o' ? '||' : word;
    one = [];
  }
  return truth ?? { kind: 'open', needs: ['<a condition>'] };
}

function joined(one: Truth, join: string, other: Truth): Truth {
  const decides = join === '||';
  for (const truth of [one, other]) if (truth.kind === 'known' && truth.value === decides) return truth;
  return one.kind === 'open' ? one : other.kind === 'open' ? other : known(!decides);
}

/** An arithmetic command: what it assigns, and whether its value is other than 0. */
export function compute(text: string, machine: Machine): Truth {
  const [, name, operator = '', right = ''] = /^\s*([A-Za-z_]\w*)\s*(\+\+|--|[-+*/%]?=(?!=))\s*(.*)$/s.exec(text) ?? [];
  const sum = operator.length === 2 && right === '' ? `${operator[0]} 1` : `${operator.slice(0, -1)} (${right})`;
  const value = arithmetic(name === undefined ? text : operator === '=' ? right : `${name} ${sum}`, machine);
  // An assignment within the expression is not followed.
  for (const [, inner = ''] of text.matchAll(/([A-Za-z_]\w{0,100})\s{0,20}(?:\+\+|--|[-+*/%]?=(?!=))/g))
    machine.scope.set(inner, { list: false, text: inner === name ? value : unknown(inner, machine) });
  const needs = needsOf(value, machine);
  return needs.length > 0 ? { kind: 'open', needs } : known(value !== '0');
}

function simple(words: readonly string[], machine: Machine): Truth {
  if (words[0] === '!') {
    const truth = simple(words.slice(1), machine);
    return truth.kind === 'known' ? known(!truth.value) : truth;
  }
  if (words[0] === '(' && words[1] === '(') return compute(words.slice(2, -2).join(' '), machine);
  const [a = '', operator = '', b = ''] = words;
  // A variable that is stated nowhere is taken as not set, as it is for a default (`${A:-1}`).
  if (words.length === 2 && /^-[zn]$/.test(a) && isVariable(operator, machine)) return known(a === '-z');
  const needs = words.flatMap((word) => needsOf(word, machine));
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
      return { kind: 'open', needs: [`<[ ${words.join(' ').slice(0, 60)} ]>`] };
  }
}

/** Whether a text is the open value of one variable. */
const isVariable = (text: string, machine: Machine): boolean =>
  text.length === 1 && /^[A-Za-z_]\w*$/.test(needsOf(text, machine)[0] ?? '');

/** A text against a pattern with `*`, in linear time for each star. */
export function isLike(text: string, pattern: string): boolean {
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
