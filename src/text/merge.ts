import { type Dictionary, isDictionary, own } from './fields.ts';
import { parse, type Syntax, syntaxOf } from './syntax.ts';

/** Two versions of a file put together over the one that both began from. */
export type Merged =
  | {
      readonly kind: 'merged';
      readonly bytes: Uint8Array;
      /** Dotted paths of the keys that both changed, where ours was taken. */
      readonly conflicts: readonly string[];
    }
  | { readonly kind: 'unmerged'; readonly reason: string };

const absent = Symbol('absent');

/**
 * A three-way merge key by key, as two changes of different keys go together whatever lines they stand on. Lists are values.
 * The result is written as JSON, which YAML's readers take, too.
 */
export function mergeTexts(path: string, base: Uint8Array, ours: Uint8Array, theirs: Uint8Array): Merged {
  const syntax = syntaxOf(path);
  if (syntax !== 'json' && syntax !== 'yaml')
    return { kind: 'unmerged', reason: 'only JSON and YAML are merged key by key' };
  const [old, one, other] = [base, ours, theirs].map((bytes) => contentOf(bytes, syntax));
  if (old === undefined || one === undefined || other === undefined)
    return { kind: 'unmerged', reason: 'one of the versions cannot be read' };
  const conflicts: string[] = [];
  const value = mergeValues(old.value, one.value, other.value, '', conflicts);
  return { kind: 'merged', bytes: new TextEncoder().encode(JSON.stringify(value)), conflicts };
}

function contentOf(bytes: Uint8Array, syntax: Syntax): { readonly value: unknown } | undefined {
  const parsed = parse(bytes, syntax);
  return parsed.kind === 'parsed' ? parsed : undefined;
}

function mergeValues(base: unknown, ours: unknown, theirs: unknown, path: string, conflicts: string[]): unknown {
  if (same(ours, theirs) || same(base, theirs)) return ours;
  if (same(base, ours)) return theirs;
  if (isDictionary(ours) && isDictionary(theirs))
    return mergeTables(isDictionary(base) ? base : {}, ours, theirs, path, conflicts);
  conflicts.push(path === '' ? 'the whole file' : path);
  return ours;
}

function mergeTables(
  base: Dictionary,
  ours: Dictionary,
  theirs: Dictionary,
  path: string,
  conflicts: string[],
): Dictionary {
  const at = (table: Dictionary, key: string) => (Object.hasOwn(table, key) ? table[key] : absent);
  const entries = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].map((key) => {
    const inside = path === '' ? key : `${path}.${key}`;
    return [key, mergeValues(at(base, key), at(ours, key), at(theirs, key), inside, conflicts)] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== absent));
}

/** Equal as data, whatever order their keys stand in. */
function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((value, index) => same(value, other[index]));
  if (!isDictionary(one) || !isDictionary(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]))
  );
}

/** Keys of the second over those of the first, object by object. */
export function overlaid(below: Dictionary, above: Dictionary): Dictionary {
  const result: Record<string, unknown> = Object.assign(Object.create(null), below);
  for (const [key, value] of Object.entries(above)) {
    const old = own(result, key);
    result[key] = isDictionary(value) && isDictionary(old) ? overlaid(old, value) : value;
  }
  return result;
}
