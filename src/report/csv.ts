import { plain } from './markdown.ts';

/** A value of a table of comma-separated values; what is not known is an empty cell. */
export type Cell = string | number | null | undefined;

/** Rows as RFC 4180 has them, the first one the heading. */
export const csv = (rows: readonly (readonly Cell[])[]): string =>
  rows.map((row) => `${row.map(written).join(',')}\r\n`).join('');

/** What begins so is computed by a spreadsheet, unless an apostrophe stands before it. */
const formula = /^[=+\-@]/;

function written(cell: Cell): string {
  if (typeof cell === 'number') return String(cell);
  const text = plain(cell ?? '', 1_000).replace(formula, "'$&");
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
