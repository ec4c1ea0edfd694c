import { isTable, type Table, table, Unknown, type Value } from './python-values.ts';

export const pythonLimits = {
  /** signs of structure; the parser takes a second for so many brackets */
  marks: 60_000,
  /** expressions and statements that are looked at, in all functions together */
  steps: 400_000,
  /** nested expressions and calls */
  depth: 150,
  calls: 8,
  functions: 500,
  /** values of the result */
  values: 100_000,
  levels: 32,
  notes: 100,
} as const;

/** Thrown where a file does more than is followed; its sentence ends up in the reading. */
export class TooMuch extends Error {}

/** A value as plain data, with the line of each key by its path. */
export class Result {
  private readonly lineOf: WeakMap<object, ReadonlyMap<string, number>>;
  private readonly lines: Map<string, number>;
  private values = 0;

  constructor(lineOf: WeakMap<object, ReadonlyMap<string, number>>, lines: Map<string, number>) {
    this.lineOf = lineOf;
    this.lines = lines;
  }

  plain(value: Value, path: string, level = 0): Value {
    this.values += 1;
    if (this.values > pythonLimits.values) throw new TooMuch(`The file makes more than ${pythonLimits.values} values.`);
    if (level > pythonLimits.levels) throw new TooMuch(`The file nests deeper than ${pythonLimits.levels} levels.`);
    if (value instanceof Unknown) return `\${${value.needs}}`;
    if (Array.isArray(value)) return value.map((item: Value, index) => this.plain(item, `${path}.${index}`, level + 1));
    if (!isTable(value)) return value;
    const name = value['()'];
    // A call without arguments of a name in small letters makes a value, not a config.
    if (typeof name === 'string' && Object.keys(value).length === 1 && /^[a-z_.\d]+$/.test(name))
      return `\${${name}()}`;
    return this.table(value, path, level);
  }

  table(value: Table, path: string, level = 0): Table {
    const made = table();
    const lines = this.lineOf.get(value);
    for (const [key, one] of Object.entries(value)) {
      const inner = `${path}.${key}`;
      const line = lines?.get(key);
      if (line !== undefined && inner.length <= 400) this.lines.set(inner, line);
      made[key] = this.plain(one, inner.slice(0, 400), level + 1);
    }
    return made;
  }
}
