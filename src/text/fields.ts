import type { Assumption, Problem, StatedField, Unread } from '../model/reading.ts';
import { limits } from './limits.ts';
import type { Source } from './syntax.ts';

/** An object that a config holds; read by own properties only, so `__proto__` is a key like any other. */
export type Dictionary = Readonly<Record<string, unknown>>;

/** An object with keys, not a list. */
export const isDictionary = (value: unknown): value is Dictionary =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value of a key; undefined where it is not the object’s own, so that `constructor` is none. */
export const own = (from: Dictionary, key: string): unknown => (Object.hasOwn(from, key) ? from[key] : undefined);

/** A config that cannot be read further: its sentence is for the user. */
export class Unreadable extends Error {
  readonly way: Unread = 'impossible';
  readonly problem: Problem;
  constructor(message: string, line?: number, key?: string) {
    super(message);
    this.problem = {
      severity: 'error',
      message,
      ...(line === undefined ? {} : { line }),
      ...(key === undefined ? {} : { key }),
    };
  }
}

/** A scalar as text, '' for an object: one with a key `toString` of its own would throw. */
export const textOf = (value: unknown): string => (typeof value === 'object' && value !== null ? '' : String(value));

/** A config of a kind that is known, and that no number of this tool is about. */
export class OtherModel extends Unreadable {
  override readonly way = 'other-model';
}

/** A model whose sizes nobody in the repository states, until the policy does. */
export class OpenModel extends Unreadable {
  override readonly way = 'unknown-name';
}

/** Which keys of an object its reader takes notice of: those of a model's class, say. */
export type Reader = {
  /** As messages name it. */
  readonly name: string;
  readonly reads: (key: string) => boolean;
  /** Whether its official class has the key, so that a row that passes it over does so knowingly. */
  readonly declares?: (key: string) => boolean;
};

/** No dimension of a model is larger; what is larger is a mistake or an attack. */
const largest = 2 ** 40;

/** Each of what these keys count is written out, so an unbounded number would take unbounded time and memory. */
const repeated = /(?:layers?|cycles|blocks|inputs|stages|depths?)$/i;
const mostRepeated = 10_000;

/**
 * Asks one object of a config for named fields. A field that is absent gets the family's default, which is noted as an
 * assumption; one that is wrong is a sentence that names key and line. Absent and null are told apart.
 */
export class Fields {
  readonly assumptions: Assumption[] = [];
  readonly problems: Problem[] = [];
  private readonly from: Dictionary;
  private readonly source: Source;
  private readonly prefix: string;
  private readonly defaults: Dictionary;
  private readonly reader: Reader | undefined;
  private readonly assumed = new Set<string>();
  /** Paths of the keys that some view of the file asked for, and that its class reads. */
  private readonly asked = new Set<string>();

  /**
   * @param prefix dotted path of the object within the file, with a closing dot
   * @param defaults what the model's own code takes where a key is absent
   * @param reader whose keys these are; a key that it does not read counts as absent. Without one, every key is read
   */
  constructor(
    from: Dictionary,
    source: Source,
    prefix = '',
    defaults: Dictionary | undefined = {},
    reader: Reader | undefined = undefined,
  ) {
    this.from = from;
    this.source = source;
    this.prefix = prefix;
    this.defaults = defaults;
    this.reader = reader;
  }

  /** A view of a nested object, which is empty where it is absent. Its notes are this one's. */
  nested(key: string, defaults: Dictionary | undefined = {}, reader?: Reader): Fields {
    const value = own(this.from, key);
    if (value !== undefined && value !== null && !isDictionary(value))
      throw this.wrong(key, 'must be a mapping of keys to values', value);
    const fields = new Fields(isDictionary(value) ? value : {}, this.source, `${this.prefix}${key}.`, defaults, reader);
    this.ask(key);
    Object.assign(fields, { assumptions: this.assumptions, problems: this.problems, asked: this.asked });
    return fields;
  }

  /** The same object as a class reads it. Its notes are this one's. */
  withDefaults(defaults: Dictionary, reader?: Reader): Fields {
    const fields = new Fields(this.from, this.source, this.prefix, defaults, reader);
    Object.assign(fields, { assumptions: this.assumptions, problems: this.problems, asked: this.asked });
    return fields;
  }

  private ask(key: string): void {
    if (this.reads(key)) this.asked.add(this.prefix + key);
  }

  /** Keys of this object that nothing asked for, with their values. */
  unread(): readonly (readonly [key: string, value: unknown])[] {
    return Object.entries(this.from).filter(([key]) => !this.asked.has(this.prefix + key));
  }

  /** The values of the keys of this object that were asked for. */
  valuesRead(): ReadonlySet<unknown> {
    return new Set(
      Object.entries(this.from).flatMap(([key, value]) => (this.asked.has(this.prefix + key) ? [value] : [])),
    );
  }

  /** Keys that were asked for and do not stand in the file. */
  absent(): readonly string[] {
    const inside = [...this.asked].filter((path) => path.startsWith(this.prefix));
    return inside.map((path) => path.slice(this.prefix.length)).filter((key) => !Object.hasOwn(this.from, key));
  }

  /** A key of the file itself, wherever this view stands in it. */
  ofFile(key: string): unknown {
    this.asked.add(key);
    return isDictionary(this.source.value) ? own(this.source.value, key) : undefined;
  }

  line(key: string): number | undefined {
    return this.source.names?.get(this.prefix + key)?.line ?? this.source.lines.get(this.prefix + key);
  }

  /** A key as the file's own format calls it. */
  private named(key: string): string {
    return this.source.names?.get(this.prefix + key)?.key ?? this.prefix + key;
  }

  /** Stated in the file, null included. */
  states(key: string): boolean {
    this.ask(key);
    return Object.hasOwn(this.from, key) && this.reads(key);
  }

  private reads(key: string): boolean {
    return this.reader?.reads(key) ?? true;
  }

  /** Says which key of the file counts for nothing, and what holds in its place, unless that is the same. */
  private noteUnread(names: readonly string[], fallback: unknown, concerns: (value: unknown) => boolean): void {
    if (this.reader === undefined) return;
    const foreign = names.find((name) => !this.reads(name) && (own(this.from, name) ?? null) !== null);
    if (foreign === undefined || !concerns(own(this.from, foreign))) return;
    const known = names.find((name) => this.reads(name));
    const taken = names.find((name) => Object.hasOwn(this.defaults, name));
    const held = taken === undefined ? fallback : this.defaults[taken];
    if (written(held) === written(own(this.from, foreign))) return;
    const value = taken === undefined ? '' : `, so ${written(held).slice(0, 60)} is assumed`;
    this.warnOnce(
      `${this.prefix}${foreign} is not a key of ${this.reader.name}${
        known === undefined
          ? ', which does not read it.'
          : `; its class reads ${known}, which is not stated here${value}.`
      }`,
      foreign,
    );
  }

  /** The first of the names that the file states, else the family's default for the first that has one; noted if so. */
  raw(
    names: string | readonly string[],
    fallback?: unknown,
    concerns: (value: unknown) => boolean = () => true,
  ): { readonly key: string; readonly value: unknown; readonly stated: boolean } | undefined {
    const list = typeof names === 'string' ? [names] : names;
    for (const name of list) this.ask(name);
    const stated =
      list.find((name) => this.states(name) && own(this.from, name) !== undefined && own(this.from, name) !== null) ??
      list.find((name) => this.states(name));
    if (stated !== undefined) return { key: stated, value: own(this.from, stated), stated: true };
    this.noteUnread(list, fallback, concerns);
    const known = list.find((name) => Object.hasOwn(this.defaults, name));
    if (known === undefined) return undefined;
    const value = this.defaults[known];
    this.assume(known, value, "the default of the model's own code");
    return { key: known, value, stated: false };
  }

  assume(key: string, value: unknown, reason: string): void {
    if (this.assumed.has(key)) return;
    this.assumed.add(key);
    const note = {
      field: this.prefix + key,
      value: Array.isArray(value) ? `list of ${value.length}` : String(value),
      reason,
    };
    // Another view of the same object may have noted it.
    if (!this.assumptions.some(({ field, value: taken }) => field === note.field && taken === note.value))
      this.assumptions.push(note);
  }

  /** @param rule what a model breaks that does not run as it reads */
  warn(message: string, key?: string, rule?: string): void {
    const line = key === undefined ? undefined : this.line(key);
    this.problems.push({
      severity: 'warning',
      message,
      ...(line === undefined ? {} : { line }),
      ...(key === undefined ? {} : { key: this.named(key) }),
      ...(rule === undefined ? {} : { rule }),
    });
  }

  /** A whole number from `least` on; undefined where absent or null. */
  optionalInteger(names: string | readonly string[], least = 0, fallback?: number): number | undefined {
    const found = this.raw(names, fallback);
    if (found === undefined || found.value === null) return undefined;
    const { key, value } = found;
    const most = repeated.test(key) ? mostRepeated : largest;
    const number = this.numeric(key, value);
    // Configs switch a window off by -1.
    if (number === -1 && least === 0 && /window/.test(key)) return undefined;
    if (number !== undefined && Number.isInteger(number) && number >= least && number <= most) return number;
    const bounds = number !== undefined && number > most ? `from ${least} to ${most}` : `from ${least} on`;
    throw this.wrong(key, `must be a whole number ${bounds}`, value);
  }

  integer(names: string | readonly string[], least = 1): number {
    const value = this.optionalInteger(names, least);
    if (value !== undefined) return value;
    throw this.missing(names);
  }

  /**
   * A whole number that follows from other fields where it is absent or null, and so is not noted. A number that the model's own
   * code takes for granted belongs into the defaults, where it is noted.
   */
  integerOr(names: string | readonly string[], derived: number, least = 0): number {
    return this.optionalInteger(names, least, derived) ?? derived;
  }

  /** How many of something there are: none where the key is absent or null and the class has no default. */
  count(names: string | readonly string[]): number {
    return this.optionalInteger(names, 0, 0) ?? 0;
  }

  /** Every how many layers something stands: each one where the key is absent, null or 0 and the class has no default. */
  every(names: string | readonly string[]): number {
    return Math.max(1, this.optionalInteger(names, 0, 1) ?? 1);
  }

  number(names: string | readonly string[]): number {
    const value = this.optionalNumber(names);
    if (value !== undefined) return value;
    throw this.missing(names);
  }

  /** A number; undefined where absent or null. */
  optionalNumber(names: string | readonly string[], fallback?: number): number | undefined {
    const found = this.raw(names, fallback);
    if (found === undefined || found.value === null) return undefined;
    const number = this.numeric(found.key, found.value);
    if (number !== undefined && Math.abs(number) <= largest) return number;
    const bounds = number === undefined ? '' : ` from -${largest} to ${largest}`;
    throw this.wrong(found.key, `must be a number${bounds}`, found.value);
  }

  /** Whether the model has what the key switches on: not where it is absent and the class has no default; null is false, as in Python. */
  boolean(names: string | readonly string[]): boolean {
    return this.booleanOr(names, false);
  }

  /** A switch that follows from other fields where it is absent, and so is not noted; null is false, as in Python. */
  booleanOr(names: string | readonly string[], derived: boolean): boolean {
    const found = this.raw(names, derived);
    if (found === undefined) return derived;
    if (found.value === null) return found.stated ? false : derived;
    if (typeof found.value === 'boolean') return found.value;
    if (typeof found.value === 'string' && /^(true|false)$/i.test(found.value)) {
      this.warnOnce(`${this.named(found.key)} is written as text and read as ${found.value}.`, found.key);
      return /^true$/i.test(found.value);
    }
    throw this.wrong(found.key, 'must be true or false', found.value);
  }

  /** A finite number, also where it is written as text, which is said. */
  private numeric(key: string, value: unknown): number | undefined {
    if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
    if (typeof value !== 'string' || !/^\d{1,15}(\.\d{1,15})?$/.test(value)) return undefined;
    this.warnOnce(`${this.named(key)} is written as text and read as ${value}.`, key);
    return Number(value);
  }

  private warnOnce(message: string, key: string): void {
    if (!this.problems.some((problem) => problem.message === message)) this.warn(message, key);
  }

  string(names: string | readonly string[]): string | undefined {
    const value = this.raw(names, undefined, (given) => typeof given === 'string')?.value;
    return typeof value === 'string' ? value : undefined;
  }

  list(names: string | readonly string[]): readonly unknown[] | undefined {
    const value = this.raw(names, [], Array.isArray)?.value;
    return Array.isArray(value) ? value : undefined;
  }

  /** A list that must be there. */
  listed(names: string | readonly string[]): readonly unknown[] {
    const value = this.list(names);
    if (value !== undefined) return value;
    throw this.missing(names);
  }

  missing(names: string | readonly string[]): Unreadable {
    const list = typeof names === 'string' ? [names] : names;
    const [first = ''] = list;
    const also = list.length > 1 ? ` (or ${list.slice(1, 4).join(', ')})` : '';
    return new Unreadable(
      `The config lacks ${this.named(first)}${also}; add it to have this model counted.`,
      undefined,
      this.prefix + first,
    );
  }

  wrong(key: string, rule: string, value: unknown): Unreadable {
    const shown = written(value).slice(0, 60);
    return new Unreadable(`${this.named(key)} ${rule}, but is ${shown}.`, this.line(key), this.named(key));
  }
}

/** As a config has it; JSON has no word for what is not finite. */
const written = (value: unknown): string =>
  typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');

const mostStated = 2_000;

/** All scalars of a config with path and line, for the diff of fields. Bounded: the first 2,000. */
export function statedFields(source: Source): readonly StatedField[] {
  const stated: StatedField[] = [];
  const visit = (value: unknown, path: string): void => {
    if (stated.length >= mostStated || path.length > limits.path) return;
    if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) visit(child, path === '' ? key : `${path}.${key}`);
      return;
    }
    const line = source.lines.get(path);
    stated.push({
      path: path.slice(0, 200),
      value: written(value).slice(0, 200),
      ...(line === undefined ? {} : { line }),
    });
  };
  visit(source.value, '');
  return stated;
}
