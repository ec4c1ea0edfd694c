/**
 * The one place where text becomes HTML. Every text is escaped where it is written, and the only tags are those below, so that
 * whatever a text is mistaken for, it can do no more than they do: there is no link, no image and no attribute that text gets into.
 */

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** Text as HTML, for elements and for quoted attributes. */
export const escaped = (text: string): string =>
  text.toWellFormed().replace(/[&<>"']/g, (letter) => entities.get(letter) ?? letter);

export const element = (
  name: string,
  inner: string,
  attributes: Readonly<Record<string, string | number>> = {},
): string =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
    .join('')}>${inner}</${name}>`;

/** A part of our own reports, as they are written in markdown, as HTML. */
export function rendered(markdown: string): string {
  const lines = markdown.split('\n');
  const blocks: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? '';
    if (line === '') {
      at += 1;
      continue;
    }
    const kind = kinds.find(({ begins }) => begins.test(line)) ?? paragraph;
    const next = lines.findIndex((other, index) => index > at && !kind.goesOn(other));
    const end = next < 0 ? lines.length : next;
    blocks.push(kind.write(lines.slice(at, end)));
    at = end;
  }
  return blocks.join('\n');
}

type Kind = {
  readonly begins: RegExp;
  /** whether a line belongs to a block that began before it */
  readonly goesOn: (line: string) => boolean;
  readonly write: (lines: readonly string[]) => string;
};

const whileBegins = (begins: RegExp, write: Kind['write']): Kind => ({
  begins,
  goesOn: (line) => begins.test(line),
  write,
});

const kinds: readonly Kind[] = [
  { begins: /^## /, goesOn: () => false, write: ([line = '']) => element('h1', inline(line.slice(3))) },
  whileBegins(/^- /, (lines) => element('ul', lines.map((line) => element('li', inline(line.slice(2)))).join(''))),
  whileBegins(/^>/, (lines) =>
    element(
      'blockquote',
      lines
        .map((line) => line.replace(/^> ?/, ''))
        .filter((line) => line !== '')
        .map((line) => element('p', inline(line)))
        .join(''),
    ),
  ),
  whileBegins(/^\|/, tableOf),
];

const paragraph: Kind = {
  begins: /^/,
  goesOn: (line) => line !== '' && !kinds.some(({ begins }) => begins.test(line)),
  write: (lines) => element('p', inline(lines.join(' '))),
};

function tableOf([head = '', rule = '', ...rows]: readonly string[]): string {
  const right = cellsOf(rule).map((cell) => cell.endsWith('-:'));
  const row = (cells: readonly string[], name: 'th' | 'td') =>
    element(
      'tr',
      cells
        .map((cell, index) => element(name, inline(cell), right[index] === true ? { class: 'number' } : {}))
        .join(''),
    );
  const body = rows.map((line) => row(cellsOf(line), 'td')).join('');
  return element('div', element('table', element('thead', row(cellsOf(head), 'th')) + element('tbody', body)), {
    class: 'wide',
  });
}

/** Cells of a row. A bar with an odd number of backslashes before it is a bar, without the last of them. */
function cellsOf(row: string): readonly string[] {
  const cells: string[] = [];
  let cell = '';
  for (const [piece, slashes = '', bar] of row.slice(1).matchAll(/(\\*)(\|)|[^\\|]+|\\+/g)) {
    if (bar === undefined) cell += piece;
    else if (slashes.length % 2 === 1) cell += `${slashes.slice(1)}|`;
    else {
      cells.push(`${cell}${slashes}`.trim());
      cell = '';
    }
  }
  return cells;
}

/** Code, bold words, line ends and small print; all else is text. */
function inline(markdown: string): string {
  const open: string[] = [];
  let html = '';
  for (let at = 0; at < markdown.length; ) {
    const piece = pieceOf(markdown.slice(at), open);
    html += piece.html;
    at += piece.length;
  }
  return (
    html +
    open
      .toReversed()
      .map((name) => `</${name}>`)
      .join('')
  );
}

/** What a text begins with, as HTML, and how long that is. */
function pieceOf(rest: string, open: string[]): { readonly html: string; readonly length: number } {
  const [mark = ''] = /^(?:`+|\*\*|<br>|<\/?sub>)/.exec(rest) ?? [];
  const code = mark.startsWith('`') ? codeOf(rest, mark) : undefined;
  if (code !== undefined) return { html: element('code', escaped(code.text)), length: code.length };
  if (mark !== '' && !mark.startsWith('`')) return { html: tagOf(mark, open), length: mark.length };
  const text = mark || (/^(?:[^`*<]+|[*<])/.exec(rest)?.[0] ?? rest);
  return { html: escaped(text), length: text.length };
}

/** A mark of ours as a tag. One that ends what did not begin is left out, so that tags always pair. */
function tagOf(mark: string, open: string[]): string {
  if (mark === '<br>') return '<br>';
  const name = mark === '**' ? 'strong' : 'small';
  const ends = mark === '</sub>' || (mark === '**' && open.includes(name));
  if (!ends) {
    open.push(name);
    return `<${name}>`;
  }
  if (open.at(-1) !== name) return '';
  open.pop();
  return `</${name}>`;
}

/** A code span that begins a text: up to as many backticks as began it. */
function codeOf(rest: string, fence: string): { readonly text: string; readonly length: number } | undefined {
  const close = [...rest.slice(fence.length).matchAll(/`+/g)].find(([run]) => run === fence);
  if (close === undefined) return undefined;
  const text = rest.slice(fence.length, fence.length + close.index);
  const padded = text.startsWith(' ') && text.endsWith(' ') && text.trim() !== '';
  return { text: padded ? text.slice(1, -1) : text, length: 2 * fence.length + close.index };
}
