/** Values of a Python file as its literals give them, with Python's own arithmetic. Sizes are bounded, since a short text can multiply to gigabytes. */

/** What an expression needs that the file alone does not say: the name, or the expression's own text. */
export class Unknown {
  readonly needs: string;
  constructor(needs: string) {
    this.needs = needs
      .replaceAll(/[\s${}]+/g, ' ')
      .trim()
      .slice(0, 100);
  }
}

/** A dictionary, or an object by its attributes; what was called to make it stands under `()`. */
export type Table = { [key: string]: Value };

export type Value = number | string | boolean | null | Unknown | readonly Value[] | Table;

export const most = {
  /** characters of a text, and items of a list, that repetition and concatenation may make */
  text: 10_000,
  items: 10_000,
  number: 2 ** 60,
} as const;

/** An empty dictionary without a prototype. */
export const table = (): Table => Object.create(null);

/** A dictionary of Python’s. */
export const isTable = (value: Value | undefined): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Unknown);

/** Python's truth of a value; undefined where the file does not say it. */
export function truth(value: Value): boolean | undefined {
  if (value instanceof Unknown) return undefined;
  if (Array.isArray(value)) return value.length > 0;
  if (isTable(value)) return Object.hasOwn(value, '()') ? undefined : Object.keys(value).length > 0;
  return Boolean(value);
}

const isNumber = (value: Value): value is number | boolean => typeof value === 'number' || typeof value === 'boolean';

const bounded = (value: number, text: string): Value =>
  Number.isFinite(value) && Math.abs(value) <= most.number ? value : new Unknown(`${text}, which is too large`);

/** The result of an operation; where an operand is unknown, that operand. */
export function operate(operator: string, left: Value, right: Value, text: string): Value {
  const open = [left, right].find((value) => value instanceof Unknown);
  if (open !== undefined) return open;
  if (isNumber(left) && isNumber(right)) {
    const result = arithmetic[operator]?.(Number(left), Number(right));
    return result === undefined ? new Unknown(text) : bounded(result, text);
  }
  if (operator === '+') return joined(left, right, text);
  if (operator === '*')
    return isNumber(right) ? repeated(left, Number(right), text) : repeated(right, Number(left), text);
  if (operator === '|' && isTable(left) && isTable(right)) return Object.assign(table(), left, right);
  return new Unknown(text);
}

const whole = (left: number, right: number, result: number): number | undefined =>
  Number.isInteger(left) && Number.isInteger(right) && Math.abs(right) <= 60 ? result : undefined;

const arithmetic: Readonly<Record<string, (left: number, right: number) => number | undefined>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => (right === 0 ? undefined : left / right),
  '//': (left, right) => (right === 0 ? undefined : Math.floor(left / right)),
  // Python's remainder has the sign of the divisor.
  '%': (left, right) => (right === 0 ? undefined : left - right * Math.floor(left / right)),
  '**': (left, right) => left ** right,
  '<<': (left, right) => whole(left, right, left * 2 ** right),
  '>>': (left, right) => whole(left, right, Math.floor(left / 2 ** right)),
};

function joined(left: Value, right: Value, text: string): Value {
  if (typeof left === 'string' && typeof right === 'string' && left.length + right.length <= most.text)
    return left + right;
  if (Array.isArray(left) && Array.isArray(right) && left.length + right.length <= most.items)
    return [...left, ...right];
  return new Unknown(text);
}

function repeated(value: Value, times: number, text: string): Value {
  const count = Math.max(0, times);
  if (!Number.isInteger(count)) return new Unknown(text);
  if (typeof value === 'string' && value.length * count <= most.text) return value.repeat(count);
  if (Array.isArray(value) && value.length * count <= most.items)
    return Array.from({ length: count }, (): readonly Value[] => value).flat();
  return new Unknown(text);
}

/** A comparison; undefined where the values do not say it. */
export function compared(operator: string, left: Value, right: Value): boolean | undefined {
  if (left instanceof Unknown || right instanceof Unknown) return undefined;
  const plain = (value: Value) => typeof value !== 'object' || value === null;
  if (operator === 'in' || operator === 'not in') {
    const found = within(left, right);
    return found === undefined ? undefined : found === (operator === 'in');
  }
  if (!plain(left) || !plain(right)) return identity(operator, left, right);
  const [a, b] = [isNumber(left) ? Number(left) : left, isNumber(right) ? Number(right) : right];
  if (operator === '==' || operator === 'is') return a === b;
  if (operator === '!=' || operator === 'is not') return a !== b;
  if (typeof a === 'number' && typeof b === 'number') return ordered[operator]?.(a, b);
  return undefined;
}

const ordered: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
};

/** An object is never None; more is not known of objects. */
function identity(operator: string, left: Value, right: Value): boolean | undefined {
  if (left !== null && right !== null) return undefined;
  if (operator === 'is' || operator === '==') return false;
  return operator === 'is not' || operator === '!=' ? true : undefined;
}

function within(left: Value, right: Value): boolean | undefined {
  if (typeof left === 'string' && typeof right === 'string') return right.includes(left);
  if (Array.isArray(right) && right.every((item) => typeof item !== 'object')) return right.includes(left);
  if (isTable(right) && typeof left === 'string' && !Object.hasOwn(right, '()')) return Object.hasOwn(right, left);
  return undefined;
}

/** Functions of Python's own whose results are plain; undefined where it is none of them. */
export function builtin(name: string, given: readonly Value[], text: string): Value | undefined {
  if (!Object.hasOwn(builtins, name)) return undefined;
  const open = given.find((value) => value instanceof Unknown);
  return open ?? builtins[name]?.(given) ?? new Unknown(text);
}

const builtins: Readonly<Record<string, (given: readonly Value[]) => Value | undefined>> = {
  int: ([value = 0]) => (isNumber(value) ? Math.trunc(Number(value)) : undefined),
  float: ([value = 0]) => (isNumber(value) ? Number(value) : undefined),
  round: ([value = 0, digits]) =>
    isNumber(value) && digits === undefined && Math.abs(Number(value) % 1) !== 0.5
      ? Math.round(Number(value))
      : undefined,
  bool: ([value = false]) => truth(value),
  abs: ([value]) => (value !== undefined && isNumber(value) ? Math.abs(Number(value)) : undefined),
  len: ([value]) =>
    Array.isArray(value) || typeof value === 'string'
      ? value.length
      : isTable(value) && !Object.hasOwn(value, '()')
        ? Object.keys(value).length
        : undefined,
  min: (given) => extreme(given, Math.min),
  max: (given) => extreme(given, Math.max),
  list: ([value = []]) => (Array.isArray(value) ? [...value] : undefined),
  tuple: ([value = []]) => (Array.isArray(value) ? [...value] : undefined),
};

function extreme(given: readonly Value[], choose: (...numbers: number[]) => number): number | undefined {
  const [first] = given;
  const numbers = given.length === 1 && Array.isArray(first) ? (first as readonly Value[]) : given;
  return numbers.length > 0 && numbers.length <= 1_000 && numbers.every((value) => typeof value === 'number')
    ? choose(...numbers)
    : undefined;
}

/** A number as Python writes it; undefined for a complex one. */
export function numberOf(text: string): number | undefined {
  const plain = text.replaceAll('_', '');
  if (!/^(0[xX][\da-fA-F]{1,15}|0[oO][0-7]{1,20}|0[bB][01]{1,60}|[\d.][\d.eE+-]{0,40})$/.test(plain)) return undefined;
  const number = Number(plain);
  return Number.isFinite(number) ? number : undefined;
}

/** A string literal without its quotes; undefined for bytes. Escapes that no config needs stay as they are written. */
export function stringOf(text: string): string | undefined {
  const prefix = /^[a-zA-Z]{0,2}/.exec(text)?.[0].toLowerCase() ?? '';
  if (prefix.includes('b')) return undefined;
  const body = text.slice(prefix.length);
  const quotes = body.startsWith('"""') || body.startsWith("'''") ? 3 : 1;
  const inner = body.slice(quotes, Math.max(quotes, body.length - quotes));
  if (prefix.includes('r')) return inner.slice(0, most.text);
  return inner
    .slice(0, most.text)
    .replace(/\\(["'\\nt])/g, (_, letter: string) => ({ n: '\n', t: '\t' })[letter] ?? letter);
}
