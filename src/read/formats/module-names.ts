import { expression } from '../../text/expression.ts';

/** A pattern as it is held against a name. */
type Pattern = {
  /** What every name that it fits begins with. */
  readonly prefix: string;
  readonly fits: (name: string) => boolean;
  readonly effort: number;
};

/** What a list of modules says of a name, without running a stranger's pattern: names, `*` between literal pieces, expressions. */
export type Names = {
  readonly exact: ReadonlySet<string>;
  readonly patterns: readonly Pattern[];
  /** How many pieces of patterns one name is compared with. */
  readonly effort: number;
  /** Expressions that are not followed: they have too many alternatives, or say more than an automaton can. */
  readonly unread: number;
};

/** The most texts that one pattern's alternatives may give. */
const mostWays = 16;

/** No module's name comes near this; a longer entry names none. */
const longestName = 300;

/** `(a|b)` written out; undefined where that gives more ways than are followed. */
function ways(pattern: string): readonly string[] | undefined {
  let open = [pattern];
  for (let round = 0; round < 4; round += 1) {
    if (open.some((text) => choicesOf(text).length > mostWays)) return undefined;
    open = open.flatMap(choicesOf);
    if (open.length > mostWays) return undefined;
  }
  return open;
}

function choicesOf(text: string): readonly string[] {
  const start = text.indexOf('(');
  const end = text.indexOf(')', start);
  if (start < 0 || end < 0) return [text];
  const choices = text
    .slice(start + 1, end)
    .replace(/^\?:/, '')
    .split('|');
  return choices.map((choice) => text.slice(0, start) + choice + text.slice(end + 1));
}

/** A regular expression of compressed-tensors as pieces between wildcards: anchored in front, open behind unless it says `$`. */
function pieces(regular: string): readonly string[] {
  const text = regular.replace(/^\^/, '').replaceAll('.*', '*').replaceAll('.+', '*').replaceAll('\\.', '.');
  const closed = text.endsWith('$') ? text.slice(0, -1) : `${text}*`;
  return closed.replaceAll(/\*+/g, '*').split('*');
}

const wildcard = (parts: readonly string[]): Pattern => ({
  prefix: parts[0] ?? '',
  fits: (name) => fits(name, parts),
  effort: Math.max(1, parts.length - 1),
});

/** A state of an automaton takes about as long for a name as four pieces do. */
const effortOfState = 4;

/** Expressions that say no more than wildcards and one level of alternatives do, which are held against names as such. */
function isPlain(regular: string): boolean {
  const rest = regular
    .replace(/^\^/, '')
    .replace(/\$$/, '')
    .replaceAll('(?:', '(')
    .replaceAll(/\.[*+]|\\\./g, '');
  const outside = rest.replaceAll(/\([^)]*\)/g, '');
  return !/[[\]{}+?\\^$*]/.test(rest) && !/\([^)]*\(/.test(rest) && !outside.includes('|');
}

/** The patterns of a regular expression; undefined where it is not followed. */
function patternsOf(regular: string): readonly (readonly [string, Pattern])[] | undefined {
  if (isPlain(regular)) return ways(regular)?.map((way) => [`re:${way}`, wildcard(pieces(way))] as const);
  const found = expression(regular);
  if (found === undefined) return undefined;
  return [[`re:${regular}`, { prefix: found.prefix, fits: found.begins, effort: effortOfState * found.states }]];
}

export function namesOf(listed: readonly unknown[]): Names {
  const exact = new Set<string>();
  const patterns = new Map<string, Pattern>();
  let unread = 0;
  for (const entry of listed) {
    if (typeof entry !== 'string') continue;
    if (entry.startsWith('re:')) {
      const found = entry.length > longestName ? undefined : patternsOf(entry.slice(3));
      if (found === undefined) unread += 1;
      for (const [name, pattern] of found ?? []) patterns.set(name, pattern);
    } else if (entry.length > longestName) continue;
    else if (entry.includes('*')) patterns.set(entry, wildcard(entry.replaceAll(/\*+/g, '*').split('*')));
    else exact.add(entry);
  }
  const all = [...patterns.values()];
  return { exact, patterns: all, effort: all.reduce((sum, { effort }) => sum + effort, 0), unread };
}

/** Some name or pattern begins with this root. */
export function speaksOf({ exact, patterns }: Names, root: string): boolean {
  for (const name of exact) if (name.startsWith(root)) return true;
  return patterns.some(({ prefix }) => prefix.startsWith(root));
}

/** Literal pieces in order, the first at the start and the last at the end. */
function fits(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return name === first;
  if (!name.startsWith(first)) return false;
  const last = rest.at(-1) ?? '';
  let at = first.length;
  for (const piece of rest.slice(0, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** Names by their parts; `list` is the first of the lists that has the name which ends here. */
type Node = { readonly next: Map<string, Node>; list: number };

/**
 * Which of several lists is the first to name a module, given by its parts: as it is, by any of its parts in a row (`lm_head`,
 * `self_attn`), or by a pattern. However many lists there are, a name is walked through once.
 */
export function indexOf(lists: readonly Names[]): (name: readonly string[]) => number | undefined {
  const none = lists.length;
  const root: Node = { next: new Map(), list: none };
  for (const [list, { exact }] of lists.entries()) for (const name of exact) insert(root, name.split('.'), list);
  const patterns = lists.flatMap((names, list) => names.patterns.map((pattern) => ({ pattern, list })));
  return (name) => {
    const found = Math.min(none, ...name.map((_, start) => walk(root, name, start)));
    const whole = patterns.length === 0 ? '' : name.join('.');
    // Patterns stand in the order of their lists: those after what was found cannot be first.
    const matching = patterns.find(({ pattern, list }) => list >= found || pattern.fits(whole))?.list ?? none;
    const first = Math.min(found, matching);
    return first === none ? undefined : first;
  };
}

function insert(root: Node, parts: readonly string[], list: number): void {
  let node = root;
  for (const part of parts) {
    const next = node.next.get(part) ?? { next: new Map(), list: Number.POSITIVE_INFINITY };
    node.next.set(part, next);
    node = next;
  }
  node.list = Math.min(node.list, list);
}

/** The first list that has a name beginning at this part. */
function walk(root: Node, name: readonly string[], start: number): number {
  let first = Number.POSITIVE_INFINITY;
  let node = root.next.get(name[start] ?? '');
  for (let at = start + 1; node !== undefined; at += 1) {
    first = Math.min(first, node.list);
    node = at < name.length ? node.next.get(name[at] ?? '') : undefined;
  }
  return first;
}
