/** What a terminal shows: how wide it is, where that is known, and whether it may be in colour. */
export type Screen = { readonly columns: number | undefined; readonly colour: boolean };

/** Narrower than this a table cannot be read however it is folded. */
const narrowest = 20;

/** A text report as a terminal shows it best: lines folded at spaces under their own indent, verdicts in their colour. */
export function onScreen(text: string, { columns, colour }: Screen): string {
  return text
    .split('\n')
    .flatMap((line) => {
      const rows = columns === undefined || columns < narrowest ? [line] : folded(line, columns);
      return colour ? rows.map((row, index) => (index === 0 ? coloured(row) : row)) : rows;
    })
    .join('\n');
}

function folded(line: string, columns: number): readonly string[] {
  if (line.length <= columns) return [line];
  if (/^─+$/.test(line)) return [line.slice(0, columns)];
  const indent = `${/^ */.exec(line)?.[0].slice(0, columns / 4) ?? ''}    `;
  const rows: string[] = [];
  let rest = line;
  while (rest.length > columns) {
    const space = rest.lastIndexOf(' ', columns);
    const end = space > indent.length ? space : columns;
    rows.push(rest.slice(0, end).trimEnd());
    rest = `${indent}${rest.slice(end).trimStart()}`;
  }
  return [...rows, rest];
}

const red = 31;
const green = 32;
const yellow = 33;

const colours: readonly (readonly [RegExp, number])[] = [
  [/^verdict: fail|^FAIL(?= )|^ {2}error(?=:| \()/, red],
  [/^verdict: warn|^WARN(?= )|^ {2}warning(?=:| \()/, yellow],
  [/^verdict: pass/, green],
];

function coloured(line: string): string {
  const found = colours.find(([pattern]) => pattern.test(line));
  if (found === undefined) return line;
  const [pattern, code] = found;
  return line.replace(pattern, (word) => `\u001b[${code}m${word}\u001b[0m`);
}
