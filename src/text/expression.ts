/**
 * Regular expressions of strangers, held against a text in time that is bounded by both: all states of an automaton advance together
 * (Thompson 1968), so that nothing is tried twice. What the language has beyond that (looking around, references back, `\b`) is refused.
 */
export type Expression = {
  /** States of the automaton: each character of a text costs at most so many steps. */
  readonly states: number;
  /** The characters that every text that it fits begins with. */
  readonly prefix: string;
  /** Python's `re.match`: the text begins with it. */
  readonly begins: (text: string) => boolean;
};

type Test = (character: string) => boolean;
type Node =
  | { readonly kind: 'one'; readonly test: Test; readonly literal?: string }
  | { readonly kind: 'edge'; readonly at: 'start' | 'end' }
  | { readonly kind: 'row'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly ways: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly least: number; readonly most: number };

const longest = 500;
const mostStates = 1000;
const mostDepth = 20;

/** @returns undefined where it is none of those that can be held against a text here */
export function expression(pattern: string): Expression | undefined {
  if (pattern.length > longest) return undefined;
  const parsed = choice({ text: pattern, at: 0 }, 0);
  if (parsed === undefined || parsed.at < pattern.length || statesOf(parsed.node) > mostStates) return undefined;
  const states: State[] = [];
  const end = push(states, { next: [] });
  const start = build(states, parsed.node, end);
  return { states: states.length, prefix: prefixOf(parsed.node), begins: (text) => runs(states, start, end, text) };
}

// --- parsing ------------------------------------------------------------------------------------------------------------------

type Cursor = { readonly text: string; readonly at: number };
type Parsed = { readonly node: Node; readonly at: number } | undefined;

function choice(cursor: Cursor, depth: number): Parsed {
  if (depth > mostDepth) return undefined;
  const ways: Node[] = [];
  let { at } = cursor;
  for (;;) {
    const way = row({ text: cursor.text, at }, depth);
    if (way === undefined) return undefined;
    ways.push(way.node);
    at = way.at;
    if (cursor.text[at] !== '|') break;
    at += 1;
  }
  return { node: ways.length === 1 && ways[0] !== undefined ? ways[0] : { kind: 'choice', ways }, at };
}

function row({ text, at: start }: Cursor, depth: number): Parsed {
  const parts: Node[] = [];
  let at = start;
  while (at < text.length && text[at] !== '|' && text[at] !== ')') {
    const atom = atomOf({ text, at }, depth);
    if (atom === undefined) return undefined;
    const times = timesOf({ text, at: atom.at });
    if (times === undefined) return undefined;
    parts.push(repeated(atom.node, times));
    at = times.at;
  }
  return { node: { kind: 'row', parts }, at };
}

const repeated = (node: Node, { least, most }: { readonly least: number; readonly most: number }): Node =>
  least === 1 && most === 1 ? node : { kind: 'repeat', node, least, most };

function atomOf({ text, at }: Cursor, depth: number): Parsed {
  const character = text[at] ?? '';
  switch (character) {
    case '(':
      return group({ text, at: at + 1 }, depth);
    case '[':
      return classOf({ text, at: at + 1 });
    case '^':
      return { node: { kind: 'edge', at: 'start' }, at: at + 1 };
    case '$':
      return { node: { kind: 'edge', at: 'end' }, at: at + 1 };
    case '.':
      return { node: { kind: 'one', test: (one) => one !== '\n' }, at: at + 1 };
    case '\\': {
      const test = escaped(text[at + 1] ?? '');
      return test === undefined ? undefined : { node: { kind: 'one', ...test }, at: at + 2 };
    }
    case '*':
    case '+':
    case '?':
      return undefined;
    default:
      return { node: { kind: 'one', ...literal(character) }, at: at + 1 };
  }
}

const literal = (character: string) => ({ test: (one: string) => one === character, literal: character });

function group({ text, at }: Cursor, depth: number): Parsed {
  const plain = text[at] !== '?';
  if (!plain && text[at + 1] !== ':') return undefined;
  const inner = choice({ text, at: plain ? at : at + 2 }, depth + 1);
  return inner === undefined || text[inner.at] !== ')' ? undefined : { node: inner.node, at: inner.at + 1 };
}

const digit: Test = (one) => one >= '0' && one <= '9';
const word: Test = (one) => /^\w$/.test(one);
const space: Test = (one) => /^\s$/.test(one);
const not =
  (test: Test): Test =>
  (one) =>
    !test(one);

/** What stands behind a backslash: a class, or a character that is no letter and no digit. */
function escaped(character: string): { readonly test: Test; readonly literal?: string } | undefined {
  const classes: Readonly<Record<string, Test>> = {
    d: digit,
    D: not(digit),
    w: word,
    W: not(word),
    s: space,
    S: not(space),
  };
  const test = Object.hasOwn(classes, character) ? classes[character] : undefined;
  if (test !== undefined) return { test };
  return character === '' || /[a-z0-9]/i.test(character) ? undefined : literal(character);
}

/** `[0-9_]`, `[^.]`. */
function classOf({ text, at: start }: Cursor): Parsed {
  const negated = text[start] === '^';
  const first = negated ? start + 1 : start;
  const tests: Test[] = [];
  let at = first;
  while (at < text.length && (text[at] !== ']' || at === first)) {
    const low = member({ text, at });
    if (low === undefined) return undefined;
    at = low.at;
    const high = text[at] === '-' && text[at + 1] !== ']' ? member({ text, at: at + 1 }) : undefined;
    if (high === undefined) tests.push(low.test);
    else {
      const [from, to] = [low.literal, high.literal];
      if (from === undefined || to === undefined) return undefined;
      tests.push((one) => one >= from && one <= to);
      at = high.at;
    }
  }
  const any: Test = (one) => tests.some((test) => test(one));
  return at < text.length ? { node: { kind: 'one', test: negated ? not(any) : any }, at: at + 1 } : undefined;
}

function member({
  text,
  at,
}: Cursor): { readonly test: Test; readonly literal?: string; readonly at: number } | undefined {
  if (text[at] !== '\\') return { ...literal(text[at] ?? ''), at: at + 1 };
  const one = escaped(text[at + 1] ?? '');
  return one === undefined ? undefined : { ...one, at: at + 2 };
}

/** `*`, `+`, `?`, `{2}`, `{1,}`, `{1,3}`, lazy or not, which is the same for whether it fits. */
function timesOf({
  text,
  at,
}: Cursor): { readonly least: number; readonly most: number; readonly at: number } | undefined {
  const signs: Readonly<Record<string, readonly [number, number]>> = {
    '*': [0, Infinity],
    '+': [1, Infinity],
    '?': [0, 1],
  };
  const counted = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(text.slice(at, at + 10));
  const sign = signs[text[at] ?? ''];
  if (counted === null && sign === undefined) return { least: 1, most: 1, at };
  const [whole = '', least = '', open, most] = counted ?? [];
  const [low, high] = sign ?? [
    Number(least),
    open === undefined ? Number(least) : most === undefined ? Infinity : Number(most),
  ];
  const after = at + (sign === undefined ? whole.length : 1);
  const end = text[after] === '?' ? after + 1 : after;
  return low > high || '*+?'.includes(text[end] ?? ' ') ? undefined : { least: low, most: high, at: end };
}

/** The characters that it begins with, as far as they stand alone. */
function prefixOf(node: Node): string {
  let prefix = '';
  for (const part of node.kind === 'row' ? node.parts : [node]) {
    if (part.kind === 'edge') continue;
    if (part.kind !== 'one' || part.literal === undefined) break;
    prefix += part.literal;
  }
  return prefix;
}

// --- the automaton ------------------------------------------------------------------------------------------------------------

/** `test` takes one character; `at` none, at the start or the end of the text; without either it takes none. */
type State = { readonly test?: Test; readonly at?: 'start' | 'end'; readonly next: number[] };

function statesOf(node: Node): number {
  switch (node.kind) {
    case 'one':
    case 'edge':
      return 1;
    case 'row':
      return node.parts.reduce((sum, part) => sum + statesOf(part), 0);
    case 'choice':
      return node.ways.reduce((sum, way) => sum + statesOf(way), 1);
    case 'repeat':
      return (statesOf(node.node) + 1) * (node.most === Infinity ? node.least + 1 : node.most);
  }
}

function push(states: State[], state: State): number {
  states.push(state);
  return states.length - 1;
}

/** The state that the node begins in, where what follows it begins in `next`. */
function build(states: State[], node: Node, next: number): number {
  switch (node.kind) {
    case 'one':
      return push(states, { test: node.test, next: [next] });
    case 'edge':
      return push(states, { at: node.at, next: [next] });
    case 'row':
      return node.parts.reduceRight((following, part) => build(states, part, following), next);
    case 'choice':
      return push(states, { next: node.ways.map((way) => build(states, way, next)) });
    case 'repeat':
      return repeat(states, node, next);
  }
}

function repeat(states: State[], { node, least, most }: Extract<Node, { kind: 'repeat' }>, next: number): number {
  let start = next;
  if (most === Infinity) {
    const after: number[] = [next];
    start = push(states, { next: after });
    after.push(build(states, node, start));
  } else
    for (let time = least; time < most; time += 1) start = push(states, { next: [next, build(states, node, start)] });
  for (let time = 0; time < least; time += 1) start = build(states, node, start);
  return start;
}

function runs(states: readonly State[], start: number, end: number, text: string): boolean {
  let current = reached(states, [start], text, 0);
  for (let at = 0; at < text.length && current.size > 0 && !current.has(end); at += 1) {
    const character = text[at] ?? '';
    const next = [...current].flatMap((index) =>
      states[index]?.test?.(character) === true ? (states[index]?.next ?? []) : [],
    );
    current = reached(states, next, text, at + 1);
  }
  return current.has(end);
}

/** All states that are reached without a character. */
function reached(states: readonly State[], from: readonly number[], text: string, at: number): ReadonlySet<number> {
  const found = new Set<number>();
  const open = [...from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (found.has(index)) continue;
    const state = states[index];
    if (state?.at === 'start' && at > 0) continue;
    if (state?.at === 'end' && at < text.length) continue;
    found.add(index);
    if (state !== undefined && state.test === undefined) open.push(...state.next);
  }
  return found;
}
