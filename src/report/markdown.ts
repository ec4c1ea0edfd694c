import { markdownTable } from 'markdown-table';

/**
 * The one place where foreign text becomes markdown. Everything that a pull request can choose (paths, keys, values, messages)
 * goes through `code` or `text`; nothing else may put it into a comment.
 */

/** Control characters, bidirectional controls, lone surrogates and others that show nothing or turn text around. */
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** Foreign text on one line, without anything invisible, at most `longest` characters. */
export function plain(foreign: string, longest = 300): string {
  const clean = foreign
    .replace(/[\r\n\t]+/g, ' ')
    .replace(invisible, '')
    .trim();
  return clean.length > longest ? `${[...clean].slice(0, longest - 1).join('')}…` : clean;
}

/** Foreign text as a code span: GitHub makes no mention, link, reference or markup of it, and no table breaks. */
export function code(foreign: string, longest = 300): string {
  const clean = plain(foreign, longest).replaceAll('|', '\\|');
  if (clean === '') return '` `';
  const run = Math.max(0, ...[...clean.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(run + 1);
  const padded = clean.startsWith('`') || clean.endsWith('`') ? ` ${clean} ` : clean;
  return `${fence}${padded}${fence}`;
}

const special: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Foreign text as text, for headings and summaries, where code spans do not work. */
export function text(foreign: string, longest = 300): string {
  return plain(foreign, longest)
    .replace(/[&<>]/g, (letter) => special[letter] ?? letter)
    .replace(/[\\`*_{}[\]()#+\-.!|~^$]/g, (letter) => `\\${letter}`)
    .replace(/[@:/]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** A sentence of ours that quotes foreign words: escaped as text but for what no markup begins with. */
export function sentence(foreign: string, longest = 500): string {
  return plain(foreign, longest)
    .replace(/[&<>]/g, (letter) => special[letter] ?? letter)
    .replace(/[\\`*_[\]|~^$#]/g, (letter) => `\\${letter}`)
    .replace(/@/g, '&#64;')
    .replace(/:\/\//g, '&#58;//')
    .replace(/\bwww\./gi, 'www&#46;')
    .replace(/^(\s*)([-+>]|\d+[.)])/, '$1\\$2');
}

/** Cells are markdown already. The first row is the heading; `right` lists right-aligned columns. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const align = rows[0]?.map((_, index) => (right.includes(index) ? 'r' : 'l')) ?? [];
  return markdownTable(
    rows.map((row) => [...row]),
    { align, alignDelimiters: false, padding: true },
  );
}

export const details = (summary: string, body: string): string =>
  `<details>\n<summary>${summary}</summary>\n\n${body}\n\n</details>`;
