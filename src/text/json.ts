import { joined, limits, tooDeep, tooMany } from './limits.ts';

/**
 * JSON and JSON5 in one pass, with the line of each key, that stops at what is too deep or too much. A library
 * (`@humanwhocodes/momoa`) was tried: brackets and comments without end exhaust its stack, and it takes ten times the time.
 */
export type Json = {
  readonly value: unknown;
  /** Where each key stands (1-based), by dotted path; the last one of those that stand twice. */
  readonly lines: ReadonlyMap<string, number>;
  /** Keys that stand twice in one object, up to `limits.duplicates` of them. */
  readonly duplicates: readonly { readonly key: string; readonly line: number }[];
  /** Whether all of it is JSON, and nothing JSON5's alone (comments, trailing commas, other quotes). */
  readonly strict: boolean;
};

/** Why a text is not JSON; the line is 1-based. */
export class NotJson extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** A text that nests deeper or has more values than any config. */
export class JsonTooLarge extends Error {}

type Reader = {
  readonly text: string;
  at: number;
  line: number;
  strict: boolean;
  values: number;
  readonly lines: Map<string, number>;
  readonly duplicates: { key: string; line: number }[];
};

/**
 * @throws NotJson with a reason that quotes one character at most
 * @throws JsonTooLarge with a sentence
 */
export function readJson(text: string): Json {
  const of: Reader = { text, at: 0, line: 1, strict: true, values: 0, lines: new Map(), duplicates: [] };
  const value = read(of, '', 0);
  space(of);
  if (of.at < text.length) throw unexpected(of);
  const { lines, duplicates, strict } = of;
  return { value, lines, duplicates, strict };
}

/** The error that something else stands here than must stand here. */
function unexpected({ text, at, line }: Reader, expected?: string): NotJson {
  if (at >= text.length) return new NotJson('Unexpected end of JSON input', line);
  const letter = String.fromCodePoint(text.codePointAt(at) ?? 0);
  return new NotJson(expected ?? `Unexpected token '${letter}'`, line);
}

/** @param prefix of the dotted paths of what lies within */
function read(of: Reader, prefix: string | undefined, depth: number): unknown {
  of.values += 1;
  if (of.values > limits.nodes) throw new JsonTooLarge(tooMany);
  space(of);
  const letter = of.text[of.at];
  if (letter === '{' || letter === '[') {
    if (depth > limits.depth) throw new JsonTooLarge(tooDeep);
    of.at += 1;
    return letter === '{' ? objectOf(of, prefix, depth) : arrayOf(of, prefix, depth);
  }
  if (letter === '"' || letter === "'") return stringOf(of);
  for (const [word, value] of words) if (taken(of, word)) return value;
  return numberOf(of);
}

const words = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const;

/** Takes a word or a sign if it comes next, and says whether it did. */
function taken(of: Reader, word: string): boolean {
  const found = of.text.startsWith(word, of.at);
  if (found) of.at += word.length;
  return found;
}

function objectOf(of: Reader, prefix: string | undefined, depth: number): object {
  const object: Record<string, unknown> = {};
  eachOf(of, '}', "Expected ',' or '}' after property value", () => {
    const { line } = of;
    const key = keyOf(of);
    const path = joined(prefix, key);
    if (path !== undefined) note(of, path, line, Object.hasOwn(object, key));
    space(of);
    if (!taken(of, ':')) throw unexpected(of, "Expected ':' after property name");
    const value = read(of, joined(path, '.'), depth + 1);
    // An assignment to this key would set the object's prototype.
    if (key === '__proto__')
      Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
    else object[key] = value;
  });
  return object;
}

function arrayOf(of: Reader, prefix: string | undefined, depth: number): readonly unknown[] {
  const items: unknown[] = [];
  eachOf(of, ']', "Expected ',' or ']' after array element", () => {
    items.push(read(of, joined(prefix, `${items.length}.`), depth + 1));
  });
  return items;
}

/** Reads one item after the other up to the closing bracket. */
function eachOf(of: Reader, close: string, expected: string, item: () => void): void {
  space(of);
  while (!taken(of, close)) {
    item();
    space(of);
    if (taken(of, ',')) {
      space(of);
      if (of.text[of.at] === close) of.strict = false;
    } else if (of.text[of.at] !== close) throw unexpected(of, expected);
  }
}

function note({ lines, duplicates }: Reader, path: string, line: number, twice: boolean): void {
  if (twice && duplicates.length < limits.duplicates) duplicates.push({ key: path, line });
  lines.set(path, line);
}

/** Takes what a sticky pattern matches next; undefined where it does not match. */
function match(of: Reader, sticky: RegExp): string | undefined {
  sticky.lastIndex = of.at;
  const found = sticky.exec(of.text)?.[0];
  if (found !== undefined) of.at += found.length;
  return found;
}

const identifier = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;

function keyOf(of: Reader): string {
  const letter = of.text[of.at];
  if (letter === '"' || letter === "'") return stringOf(of);
  const name = match(of, identifier);
  if (name === undefined) throw unexpected(of);
  of.strict = false;
  return name;
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y;
const otherNumber =
  /[+-]?(?:Infinity|NaN|0[xX][\da-fA-F]+|(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])/y;

function numberOf(of: Reader): number {
  const digits = match(of, number);
  if (digits !== undefined) return Number(digits);
  const other = match(of, otherNumber);
  if (other === undefined) throw unexpected(of);
  of.strict = false;
  // `Number` knows no sign before hexadecimal digits.
  const size = Number(other.replace(/^[+-]/, ''));
  return other.startsWith('-') ? -size : size;
}

/** A stretch of a string without escapes, by its quotes. */
const stretches = { '"': /[^"\\\n\r]*/y, "'": /[^'\\\n\r]*/y } as const;
const control = /[^ -\uffff]/;

function stringOf(of: Reader): string {
  const quote = of.text[of.at] === '"' ? '"' : "'";
  of.at += 1;
  let text = '';
  for (;;) {
    const plain = match(of, stretches[quote]) ?? '';
    if (quote === "'" || control.test(plain)) of.strict = false;
    text += plain;
    if (taken(of, quote)) return text;
    if (!taken(of, '\\')) throw unexpected(of, 'A string does not end on its line');
    text += escaped(of);
  }
}

const escapes: ReadonlyMap<string, string> = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }),
);
const digits = { u: /[\da-fA-F]{4}/y, x: /[\da-fA-F]{2}/y } as const;
const brokenLine = /\r?\n|[\r\u2028\u2029]/y;

/** Takes what follows a backslash, and gives what it stands for. */
function escaped(of: Reader): string {
  const letter = of.text[of.at] ?? '';
  const simple = escapes.get(letter);
  if (simple !== undefined) {
    of.at += 1;
    return simple;
  }
  if (letter !== 'u') of.strict = false;
  const end = match(of, brokenLine);
  if (end !== undefined) {
    if (end.endsWith('\n')) of.line += 1;
    return '';
  }
  if (letter === '' || /[1-9]/.test(letter) || /^0\d/.test(of.text.slice(of.at, of.at + 2)))
    throw unexpected(of, badEscape);
  of.at += 1;
  if (letter === 'u' || letter === 'x') {
    const code = match(of, digits[letter]);
    if (code === undefined) throw unexpected(of, badEscape);
    return String.fromCharCode(Number.parseInt(code, 16));
  }
  return letter === 'v' ? '\v' : letter === '0' ? '\0' : letter;
}

const badEscape = 'Bad escaped character';

/** White space that JSON5 has and JSON does not. */
const otherSpace = /[\v\f\u00a0\ufeff\u2028\u2029\p{Zs}]+/uy;

/** Skips white space and comments. */
function space(of: Reader): void {
  for (;;) {
    const letter = of.text[of.at];
    if (letter === '\n') of.line += 1;
    if (letter === ' ' || letter === '\n' || letter === '\r' || letter === '\t') of.at += 1;
    else if (letter === '/' || (letter !== undefined && letter > '~') || letter === '\v' || letter === '\f') {
      if (match(of, otherSpace) === undefined && !comment(of)) return;
      of.strict = false;
    } else return;
  }
}

const lineEnd = /[\n\r\u2028\u2029]/g;

/** Skips a comment, and says whether there was one. */
function comment(of: Reader): boolean {
  const { text, at } = of;
  if (text.startsWith('//', at)) {
    lineEnd.lastIndex = at;
    of.at = lineEnd.exec(text)?.index ?? text.length;
    return true;
  }
  if (!text.startsWith('/*', at)) return false;
  const end = text.indexOf('*/', at + 2);
  of.at = end === -1 ? text.length : end + 2;
  for (let line = text.indexOf('\n', at); line !== -1 && line < of.at; line = text.indexOf('\n', line + 1))
    of.line += 1;
  if (end === -1) throw unexpected(of);
  return true;
}
