/**
 * Shell text cut into words and signs. Nothing is looked up and nothing is run: what a word would become is left to
 * `text/shell.ts`.
 */

/** A piece of a word: text, a variable with what is done to it, arithmetic, or the output of a command, which nobody knows. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean }
  | { readonly kind: 'variable'; readonly inside: string; readonly quoted: boolean }
  | { readonly kind: 'arithmetic'; readonly inside: string }
  | { readonly kind: 'command'; readonly inside: string };

export type Token =
  | { readonly kind: 'word'; readonly pieces: readonly Piece[]; readonly line: number }
  /** `;` stands for an end of line too. */
  | { readonly kind: 'sign'; readonly sign: string; readonly line: number }
  | { readonly kind: 'document'; readonly pieces: readonly Piece[]; readonly line: number };

/** Words of one script; real launch scripts have some hundreds. */
const mostTokens = 20_000;
const deepest = 20;

/** `>`, `2>`, `&>>`, `2>&1`. */
const redirection = /^[\d&]?>>?(?:&\d)?/;

/** A script that has more words or nests deeper than any that launches a training. */
export class ShellTooLarge extends Error {}

const signs = ['&&', '||', ';;', ';', '|', '&', '(', ')', '<<<', '>>', '>', '<'] as const;

/** Reads a text from the front: where it is, the word that it is in, and here-documents whose lines are still to come. */
type Lexer = {
  readonly text: string;
  at: number;
  line: number;
  readonly tokens: Token[];
  pieces: Piece[];
  began: number;
  readonly documents: {
    readonly end: string;
    readonly plain: boolean;
    readonly indented: boolean;
    readonly at: number;
  }[];
};

/**
 * @throws ShellTooLarge
 */
export function shellTokens(text: string): readonly Token[] {
  const of: Lexer = { text, at: 0, line: 1, tokens: [], pieces: [], began: 1, documents: [] };
  while (of.at < text.length) next(of);
  flush(of);
  push(of, { kind: 'sign', sign: ';', line: of.line });
  return of.tokens;
}

function push({ tokens }: Lexer, token: Token): void {
  if (tokens.length >= mostTokens) throw new ShellTooLarge(`The script has more than ${mostTokens} words.`);
  tokens.push(token);
}

/** Ends the word that was begun. */
function flush(of: Lexer): void {
  if (of.pieces.length > 0) push(of, { kind: 'word', pieces: of.pieces, line: of.began });
  of.pieces = [];
}

/** Adds pieces to the word, and goes on behind them. */
function add(of: Lexer, pieces: readonly Piece[], until: number): void {
  if (of.pieces.length === 0) of.began = of.line;
  of.pieces.push(...pieces);
  of.line += breaks(of.text, of.at, until);
  of.at = until;
}

function next(of: Lexer): void {
  const { text, at } = of;
  const letter = text[at] ?? '';
  switch (letter) {
    case '\\':
      escaped(of);
      return;
    case '\n':
      endLine(of);
      return;
    case "'": {
      const end = text.indexOf("'", at + 1);
      const until = end === -1 ? text.length : end;
      add(of, [{ kind: 'text', text: text.slice(at + 1, until), quoted: true }], until + 1);
      return;
    }
    case '"': {
      const until = closing(text, at + 1);
      const inside = insideQuotes(text.slice(at + 1, until), 0);
      add(of, inside.length === 0 ? [{ kind: 'text', text: '', quoted: true }] : inside, until + 1);
      return;
    }
    case '$':
    case '`': {
      const found = expansion(text, at, false, 0);
      add(of, [found.piece], found.next);
      return;
    }
    default:
      unquoted(of, letter);
  }
}

function unquoted(of: Lexer, letter: string): void {
  const { text, at } = of;
  if (/\s/.test(letter)) {
    flush(of);
    of.at += 1;
  } else if (letter === '#' && of.pieces.length === 0) {
    const end = text.indexOf('\n', at);
    of.at = end === -1 ? text.length : end;
  } else if (!redirected(of) && !documented(of) && !signed(of)) {
    const run = /^[^\s\\'"$`;|&()<>]+/.exec(text.slice(at, at + 2_000))?.[0] ?? letter;
    add(of, [{ kind: 'text', text: run, quoted: false }], at + run.length);
  }
}

function escaped(of: Lexer): void {
  const { text, at } = of;
  // A blank behind the backslash that joins two lines is a slip that nobody sees: bash does not join them, but people mean it.
  const joined = /^\\[ \t]*\r?\n/.exec(text.slice(at, at + 80))?.[0];
  if (joined === undefined) add(of, [{ kind: 'text', text: text[at + 1] ?? '', quoted: true }], at + 2);
  else {
    of.line += 1;
    of.at += joined.length;
  }
}

/** The end of a line ends a statement, and the here-documents that were named on the line follow. */
function endLine(of: Lexer): void {
  flush(of);
  push(of, { kind: 'sign', sign: ';', line: of.line });
  of.at += 1;
  of.line += 1;
  for (const { end, plain, indented, at } of of.documents.splice(0)) {
    const body = documentBody(of.text, of.at, end, indented);
    const pieces: readonly Piece[] = plain
      ? [{ kind: 'text', text: body.text, quoted: true }]
      : insideQuotes(body.text, 0);
    of.tokens[at] = { kind: 'document', pieces, line: of.line };
    of.line += body.lines;
    of.at = body.next;
  }
}

function redirected(of: Lexer): boolean {
  const found = of.pieces.length === 0 ? redirection.exec(of.text.slice(of.at, of.at + 6))?.[0] : undefined;
  if (found === undefined) return false;
  // `2>&1` names no file.
  if (!/&\d$/.test(found)) push(of, { kind: 'sign', sign: '>', line: of.line });
  of.at += found.length;
  return true;
}

/** `<<EOF`, whose lines begin with the next one. */
function documented(of: Lexer): boolean {
  if (!/^<<-?(?!<)/.test(of.text.slice(of.at, of.at + 4))) return false;
  flush(of);
  const [all = '', dash = '', quote = '', end = ''] =
    /^<<(-?)\s*(['"]?)(\w+)\2/.exec(of.text.slice(of.at, of.at + 100)) ?? [];
  if (all === '') of.at += 2;
  else {
    of.documents.push({ end, plain: quote !== '', indented: dash !== '', at: of.tokens.length });
    push(of, { kind: 'document', pieces: [], line: of.line });
    of.at += all.length;
  }
  return true;
}

function signed(of: Lexer): boolean {
  const sign = signs.find((one) => of.text.startsWith(one, of.at));
  if (sign === undefined) return false;
  flush(of);
  push(of, { kind: 'sign', sign, line: of.line });
  of.at += sign.length;
  return true;
}

const breaks = (text: string, from: number, until: number): number => {
  let count = 0;
  for (let at = text.indexOf('\n', from); at !== -1 && at < until; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
};

function documentBody(text: string, from: number, end: string, indented: boolean) {
  let lines = 0;
  for (let at = from; at <= text.length; ) {
    const stop = text.indexOf('\n', at);
    const until = stop === -1 ? text.length : stop;
    const row = text.slice(at, until);
    lines += 1;
    if ((indented ? row.trim() : row.trimEnd()) === end) return { text: text.slice(from, at), lines, next: until + 1 };
    if (stop === -1) break;
    at = until + 1;
  }
  return { text: text.slice(from), lines, next: text.length };
}

/** Where a double-quoted text ends. */
function closing(text: string, from: number): number {
  let at = from;
  for (; at < text.length && text[at] !== '"'; at++) {
    if (text[at] === '\\') at += 1;
    // Quotes inside of a command are its own.
    else if (text.startsWith('$(', at)) at = matching(text, at + 2, '(', ')', 1);
  }
  return Math.min(at, text.length);
}

/** The pieces of what stands between double quotes. */
function insideQuotes(text: string, depth: number): readonly Piece[] {
  const pieces: Piece[] = [];
  let plain = '';
  const flush = () => {
    if (plain !== '') pieces.push({ kind: 'text', text: plain, quoted: true });
    plain = '';
  };
  for (let at = 0; at < text.length; ) {
    const letter = text[at] ?? '';
    if (letter === '\\') {
      const next = text[at + 1] ?? '';
      plain += next === '\n' ? '' : /["\\$`]/.test(next) ? next : `\\${next}`;
      at += 2;
    } else if (letter === '$' || letter === '`') {
      flush();
      const found = expansion(text, at, true, depth);
      pieces.push(found.piece);
      at = found.next;
    } else {
      plain += letter;
      at += 1;
    }
  }
  flush();
  return pieces;
}

type Expansion = { readonly piece: Piece; readonly next: number };

/** `$X`, `${...}`, `$(...)`, `$((...))`, `$[...]` or a backquoted command. */
function expansion(text: string, at: number, quoted: boolean, depth: number): Expansion {
  if (depth > deepest) throw new ShellTooLarge(`The script nests deeper than ${deepest} levels.`);
  if (text[at] === '`') {
    const end = text.indexOf('`', at + 1);
    const until = end === -1 ? text.length : end;
    return { piece: { kind: 'command', inside: text.slice(at + 1, until) }, next: until + 1 };
  }
  if (text.startsWith('$((', at)) {
    const until = matching(text, at + 3, '(', ')', 2);
    return { piece: { kind: 'arithmetic', inside: text.slice(at + 3, until - 1) }, next: until + 1 };
  }
  if (text.startsWith('$(', at)) {
    const until = matching(text, at + 2, '(', ')', 1);
    return { piece: { kind: 'command', inside: text.slice(at + 2, until) }, next: until + 1 };
  }
  if (text.startsWith('$[', at)) {
    const until = matching(text, at + 2, '[', ']', 1);
    return { piece: { kind: 'arithmetic', inside: text.slice(at + 2, until) }, next: until + 1 };
  }
  if (text.startsWith('${', at)) {
    const until = matching(text, at + 2, '{', '}', 1);
    return { piece: { kind: 'variable', inside: text.slice(at + 2, until), quoted }, next: until + 1 };
  }
  const name = /^\$(\w+|[@*#?$!-])/.exec(text.slice(at, at + 200))?.[1];
  if (name === undefined) return { piece: { kind: 'text', text: '$', quoted: true }, next: at + 1 };
  const inside = /^\d{2,}$/.test(name) ? (name[0] ?? '') : name;
  return { piece: { kind: 'variable', inside, quoted }, next: at + 1 + inside.length };
}

/** The most characters of one expansion: an open bracket must not cost a walk through the whole script each time. */
const longest = 3_000;

/** Where the open brackets close; where they never do, as far as one expansion may reach. */
function matching(text: string, from: number, open: string, close: string, opened: number): number {
  let depth = opened;
  const until = Math.min(text.length, from + longest);
  for (let at = from; at < until; at++) {
    const letter = text[at];
    if (letter === '\\') at += 1;
    else if ((letter === "'" || letter === '"') && open === '(') at = quotesEnd(text, at, until);
    else if (letter === open) depth += 1;
    else if (letter === close) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return until;
}

/** Where the quotes at a place close; the place itself where they do not close before `until`. */
function quotesEnd(text: string, from: number, until: number): number {
  for (let at = from + 1; at < until; at++) {
    if (text[at] === text[from]) return at;
    if (text[at] === '\\' && text[from] === '"') at += 1;
  }
  return from;
}

/** The text of a word that is one unquoted text. */
export const plain = (token: Token | undefined): string | undefined => {
  if (token?.kind !== 'word' || token.pieces.length !== 1) return undefined;
  const [piece] = token.pieces;
  return piece?.kind === 'text' && !piece.quoted ? piece.text : undefined;
};

/** Whether a token is one of these signs. */
export const isSign = (token: Token | undefined, ...signs: readonly string[]) =>
  token?.kind === 'sign' && signs.includes(token.sign);
