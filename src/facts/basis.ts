/**
 * What stands behind a constant: the vendor's datasheet; a definition (of a number format, an algorithm, or a program's own code);
 * a measurement of the very thing; a benchmark of kernels that it was fitted on; whole training steps that it was fitted on; or
 * nobody's measurement, only judgement.
 */
export const bases = ['datasheet', 'definition', 'measured', 'benchmark', 'fitted', 'judged'] as const;
export type Basis = (typeof bases)[number];

export type Unit =
  | 'ratio'
  | 'log ratio'
  | 'exponent'
  | 'count'
  | 'element'
  | 'token'
  | 's'
  | 's/element'
  | 'byte'
  | 'MiB'
  | 'GiB'
  | 'byte/element'
  | 'byte/s'
  | 'FLOP/s'
  | 'W'
  | 'USD/h';

/** Where a constant comes from, and when somebody looked there last (or judged it). */
export type Source = { readonly title: string; readonly url?: string; readonly date: string };

/** One constant with all that is known of it. */
export type Fact = { readonly value: number; readonly unit: Unit; readonly basis: Basis; readonly source: Source };

/** A table of facts as it is written down; words and switches may stand among them. */
export type Facts = Fact | string | boolean | null | { readonly [name: string]: Facts };

/** The facts that a table of numbers is written down as. */
export type Sourced<Table> = Table extends number
  ? Fact
  : Table extends string | boolean | null
    ? Table
    : { readonly [Name in keyof Table]: Sourced<Table[Name]> };

/** The numbers of a table of facts, as formulas read them. */
export type Numbers<Rows> = Rows extends Fact
  ? number
  : Rows extends string | boolean | null
    ? Rows
    : { readonly [Name in keyof Rows]: Numbers<Rows[Name]> };

/** Says one value after another on the same basis: `fitted(runs)(1.05, 'ratio')`. */
export type Saying = (value: number, unit: Unit) => Fact;

const saying =
  (basis: Basis) =>
  (source: Source): Saying =>
  (value, unit) => ({ value, unit, basis, source });
export const datasheet = saying('datasheet');
export const definition = saying('definition');
export const measured = saying('measured');
export const benchmark = saying('benchmark');
export const fitted = saying('fitted');
/** @param why it was judged so, for what else is there to say */
export const judged = (why: string, date = '2026-11-25'): Saying => saying('judged')({ title: why, date });

const written = new WeakMap<object, Facts>();

/** The numbers of a table, which remember the facts that they are. */
export function numbers<const Rows extends { readonly [name: string]: Facts }>(rows: Rows): Numbers<Rows> {
  const table = Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, numberOf(row)]));
  written.set(table, rows);
  return table as Numbers<Rows>;
}

const isFact = (row: Facts): row is Fact => typeof row === 'object' && row !== null && 'basis' in row;

function numberOf(row: Facts): unknown {
  if (typeof row !== 'object' || row === null) return row;
  return isFact(row) ? row.value : numbers(row);
}

/** A table whose columns say what its numbers are, so that its rows stay numbers. */
export function withFacts<Table extends object>(table: Table, rows: Facts): Table {
  written.set(table, rows);
  return table;
}

/** Every fact that a table of numbers was written down as, by its path; undefined where it was written down as bare numbers. */
export function factsOf(table: object): readonly (readonly [path: string, fact: Fact])[] | undefined {
  const rows = written.get(table);
  return rows === undefined ? undefined : [...walk(rows, '')];
}

function* walk(row: Facts, path: string): Generator<readonly [string, Fact]> {
  if (typeof row !== 'object' || row === null) return;
  if (isFact(row)) yield [path, row];
  else for (const [name, child] of Object.entries(row)) yield* walk(child, path === '' ? name : `${path}.${name}`);
}
