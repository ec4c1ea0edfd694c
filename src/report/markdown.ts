import { markdownTable } from 'markdown-table';
import { unbroken } from './format.ts';

/**
 * The one place where foreign text becomes markdown. Everything that a pull request can choose (paths, keys, values, messages)
 * goes through `code`, `tag` or `sentence`; nothing else may put it into a comment.
 *
 * GitHub looks for mentions, references and emoji in what markdown has become, so an entity or a backslash in front of `@` does
 * not help: only code does.
 */

/** Control characters, bidirectional controls, lone surrogates, fillers and others that show nothing or turn text around. */
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]+/gu;

/** More combining marks on one letter than any language has climb over the lines around them. */
const stacked = /(\p{M}{3})\p{M}+/gu;

/** Foreign text on one line, at most `longest` characters. What shows nothing is shown as `�`, so that it does not hide. */
export function plain(foreign: string, longest = 300): string {
  const clean = foreign
    .slice(0, 20 * longest)
    .replace(/[\s\u0085]+/gu, ' ')
    .replace(invisible, '\ufffd')
    .replace(stacked, '$1')
    .trim();
  return clean.length > longest ? `${clean.slice(0, longest - 1).replace(/[\ud800-\udbff]$/, '')}…` : clean;
}

/** Foreign text as a code span: GitHub makes no mention, link, reference or markup of it. */
export function code(foreign: string, longest = 300): string {
  const clean = plain(foreign, longest);
  if (clean === '') return '` `';
  const run = Math.max(0, ...[...clean.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(run + 1);
  const padded = clean.startsWith('`') || clean.endsWith('`') ? ` ${clean} ` : clean;
  return `${fence}${padded}${fence}`;
}

/** A figure of ours. A number stays with its unit when a line wraps; between two dollar signs GitHub reads a formula, but not within code. */
export const figure = (text: string): string => {
  const whole = unbroken(text);
  return text.includes('$') ? code(whole) : whole;
};

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Foreign text as code within a tag of ours, such as `<summary>`, where GitHub reads HTML and no markdown. */
export const tag = (foreign: string, longest = 300): string =>
  `<code>${plain(foreign, longest).replace(/[&<>"]/g, (letter) => entities[letter] ?? letter)}</code>`;

/** A word that no reader of markdown and none of GitHub's filters makes anything of. */
const harmless = /^(?:[+±-](?=\p{N}))?[\p{L}\p{N}]+(?:[-.,'’+%=±×/]+[\p{L}\p{N}]+)*[%+°]?$/u;
/** Unless it is read as an address, an issue or a commit. */
const reference = /www\.|gh-\d|(?<![a-z\d])(?=[a-f]*\d)(?=\d*[a-f])[\da-f]{7,40}(?![a-z\d])/i;
const signs = /^[-–—=+×→…%.,;:!?'"()]+$/u;

/**
 * A sentence of ours that quotes foreign words: every word that could be markup or a reference becomes code. What stands in
 * quotes, and each of `names`, is one piece, so that words within it do not read as ours.
 */
export function sentence(foreign: string, longest = 500, names: readonly string[] = []): string {
  return pieces(plain(foreign, longest), names)
    .map(({ text, name }, index) => (name ? code(text) : quoted(text) ? quote(text) : word(text, index === 0)))
    .join(' ');
}

function word(text: string, first: boolean): string {
  // What begins a line must not begin a list, a heading or a rule.
  if (signs.test(text)) return first ? code(text) : text;
  if (first && /^\d{1,9}[.)]$/.test(text)) return code(text);
  const [, before = '', core = '', after = ''] = /^(["'(]*)(.*?)([.,;:!?'")…]*)$/u.exec(text) ?? [];
  const safe = core === '' || (harmless.test(core) && !reference.test(core));
  return safe ? text : `${before}${code(core)}${after}`;
}

/** Several words in the quotes of JSON, and the signs after them. */
const inQuotes = /^(\(?")((?:[^"\\]|\\.)* (?:[^"\\]|\\.)*)("[.,;:)]*)(?= |$)/u;
const quoted = (text: string) => text.includes(' ') && inQuotes.test(text);
const quote = (text: string) => text.replace(inQuotes, (_, before, core, after) => `${before}${code(core)}${after}`);

type Piece = { readonly text: string; readonly name: boolean };

/** A text cut at its spaces, but for those within quotes and names. */
function pieces(text: string, names: readonly string[]): readonly Piece[] {
  const known = names.map((name) => plain(name)).filter((name) => name.includes(' '));
  const found: Piece[] = [];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const name = known.find((one) => rest === one || rest.startsWith(`${one} `));
    const next = name ?? inQuotes.exec(rest)?.[0] ?? rest.split(' ', 1)[0] ?? '';
    found.push({ text: next, name: name !== undefined });
    at += next.length + 1;
  }
  return found;
}

/** Cells are markdown already. The first row is the heading; `right` lists right-aligned columns. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const align = rows[0]?.map((_, index) => (right.includes(index) ? 'r' : 'l')) ?? [];
  return markdownTable(
    rows.map((row) => row.map(oneCell)),
    { align, alignDelimiters: false, padding: true },
  );
}

/** A bar ends a cell even within code, unless an odd number of backslashes stands before it. */
const oneCell = (cell: string): string =>
  cell.replace(/(\\*)\|/g, (_, slashes: string) => `${slashes}${slashes.length % 2 === 0 ? '\\' : '\\\\'}|`);

/** A fold; summary and body are markdown that is safe already. */
export const details = (summary: string, body: string): string =>
  `<details>\n<summary>${summary}</summary>\n\n${body}\n\n</details>`;
