/**
 * Patterns of paths, matched in time that grows with the length of the path and of the pattern and no faster: a pull request
 * chooses the names, and backtracking takes seconds for one of four thousand characters.
 *
 * `*` stands for characters within a folder, `**` across folders, `?` for one character, `[a-z]` and `[!a-z]` for one of a set or
 * none of it, `{a,b}` for either; `\` takes the meaning from what follows it. A leading dot is a character like any other.
 */
export type Glob = {
  readonly matches: (path: string) => boolean;
  /** What every path that it matches begins with. */
  readonly prefix: string;
  /** It matches whatever begins with this, where it ends in `**` and has no other sign. */
  readonly folder?: string;
};

type Test = (character: number) => boolean;
type Piece =
  | { readonly kind: 'one'; readonly test: Test; readonly literal?: string }
  | { readonly kind: 'many'; readonly test: Test }
  | { readonly kind: 'either'; readonly choices: readonly (readonly Piece[])[] };

const slash = '/'.charCodeAt(0);
const any: Test = () => true;
const inside: Test = (character) => character !== slash;
const across: Piece = { kind: 'many', test: any };
const literal = (text: string): Piece => {
  const code = text.charCodeAt(0);
  return { kind: 'one', test: (character) => character === code, literal: text };
};
const either = (...choices: readonly (readonly Piece[])[]): Piece => ({ kind: 'either', choices });
/** `a/**` names the file `a` too. */
const below = either([], [literal('/'), across]);

/** A pattern as something that matches in time linear in the path. */
export function compile(pattern: string): Glob {
  // Many `**` in a row say no more than one.
  const pieces = parse(pattern.replace(/^\.\//, '').replace(/(?<=^|\/)(?:\*\*\/)+(?=\*\*(?:\/|$))/g, ''), true);
  const fixed = pieces.findIndex((piece) => piece.kind !== 'one' || piece.literal === undefined);
  const letters = fixed < 0 ? pieces : pieces.slice(0, fixed);
  const prefix = letters.map((piece) => ('literal' in piece ? piece.literal : '')).join('');
  const rest = fixed < 0 ? [] : pieces.slice(fixed);
  const start = machine(pieces);
  return {
    prefix,
    ...(rest[0] === across ? { folder: prefix } : rest[0] === below ? { folder: `${prefix}/` } : {}),
    // A name that has a bracket of its own is named by writing it down.
    matches: (path) => path === pattern || (path.startsWith(prefix) && accepts(start, path)),
  };
}

// --- From text to pieces ----------------------------------------------------------------------------------------------

/** @param whole false for what stands in braces */
function parse(text: string, whole: boolean): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < text.length) {
    const { piece, length } = pieceAt(text, at, whole);
    pieces.push(...piece);
    at += length;
  }
  return pieces;
}

type Parsed = { readonly piece: readonly Piece[]; readonly length: number };

function pieceAt(text: string, at: number, whole: boolean): Parsed {
  const character = text.charAt(at);
  switch (character) {
    case '\\':
      return { piece: [literal(text.charAt(at + 1) || character)], length: 2 };
    case '?':
      return { piece: [{ kind: 'one', test: inside }], length: 1 };
    case '*':
      return starsAt(text, at, whole);
    case '[':
      return setAt(text, at) ?? { piece: [literal(character)], length: 1 };
    case '{':
      return bracesAt(text, at) ?? { piece: [literal(character)], length: 1 };
    case '/':
      if (whole && text.slice(at) === '/**') return { piece: [below], length: 3 };
  }
  return { piece: [literal(character)], length: 1 };
}

/** `**` as a whole segment goes across folders, or through none where a `/` follows; else stars stay within one. */
function starsAt(text: string, at: number, whole: boolean): Parsed {
  const length = /^\*+/.exec(text.slice(at))?.[0].length ?? 1;
  const starts = at === 0 || text.charAt(at - 1) === '/';
  const ends = at + length === text.length || text.charAt(at + length) === '/';
  // `**.json` has always meant the files of all folders.
  const extension = whole && /^\*\*\.\w+$/.test(text);
  if (length === 1 || !starts || !(ends || extension)) return { piece: [{ kind: 'many', test: inside }], length };
  const folders = text.charAt(at + length) === '/' && (whole || at > 0);
  return folders ? { piece: [either([], [across, literal('/')])], length: length + 1 } : { piece: [across], length };
}

function setAt(text: string, at: number): Parsed | undefined {
  const found = /^\[([!^]?)(\]?(?:\\[\s\S]|[^\\\]])*)\]/.exec(text.slice(at));
  const [all = '', not = '', body = ''] = found ?? [];
  if (body === '') return undefined;
  const ranges = [...body.matchAll(/(\\?[\s\S])(?:-(\\?[\s\S]))?/g)].map(([, from = '', to = from]) => [
    from.charCodeAt(from.length - 1),
    to.charCodeAt(to.length - 1),
  ]);
  const has: Test = (character) => ranges.some(([from = 0, to = 0]) => from <= character && character <= to);
  const test: Test = (character) => character !== slash && has(character) !== (not !== '');
  return { piece: [{ kind: 'one', test }], length: all.length };
}

/** Braces with a comma of their own; others are characters. */
function bracesAt(text: string, at: number): Parsed | undefined {
  const choices: string[] = [];
  let depth = 0;
  let from = at + 1;
  for (let here = at; here < text.length; here += 1) {
    const character = text.charAt(here);
    if (character === '\\') here += 1;
    else if (character === '{') depth += 1;
    else if (character === '}') depth -= 1;
    if (depth === 0 || (depth === 1 && character === ',')) {
      choices.push(text.slice(from, here));
      from = here + 1;
    }
    if (depth > 0) continue;
    if (choices.length === 1) return undefined;
    return { piece: [either(...choices.map((choice) => parse(choice, false)))], length: here + 1 - at };
  }
  return undefined;
}

// --- From pieces to an answer -----------------------------------------------------------------------------------------

/** A state waits for a character, or leads on at once where it has no test. */
type State = { readonly test?: Test; readonly next: State[]; enteredIn?: readonly State[] };

const end: State = { next: [] };

function machine(pieces: readonly Piece[], after: State = end): State {
  return pieces.reduceRight((next, piece) => stateOf(piece, next), after);
}

function stateOf(piece: Piece, next: State): State {
  switch (piece.kind) {
    case 'one':
      return { test: piece.test, next: [next] };
    case 'many': {
      const fork: State = { next: [next] };
      fork.next.push({ test: piece.test, next: [fork] });
      return fork;
    }
    case 'either':
      return { next: piece.choices.map((choice) => machine(choice, next)) };
  }
}

/** Follows all ways through a pattern at once, one character after the other. */
function accepts(start: State, path: string): boolean {
  let states: State[] = [];
  enter(start, states);
  for (let at = 0; at < path.length && states.length > 0; at += 1) {
    const character = path.charCodeAt(at);
    const following: State[] = [];
    for (const { test, next } of states) if (test?.(character)) for (const one of next) enter(one, following);
    states = following;
  }
  return states.includes(end);
}

/** Each state once a step, by whatever ways it is reached. */
function enter(state: State, states: State[]): void {
  if (state.enteredIn === states) return;
  state.enteredIn = states;
  if (state.test !== undefined || state === end) states.push(state);
  else for (const next of state.next) enter(next, states);
}
