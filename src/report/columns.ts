import { plain } from './markdown.ts';

/** Rows of a table for a terminal; the first one, a heading say, has a cell for each column. */
export function aligned(table: readonly (readonly string[])[]): readonly string[] {
  const rows = table.map((row) => row.map((cell) => plain(cell, 200)));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
