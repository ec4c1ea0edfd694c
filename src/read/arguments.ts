import type { Place } from '../model/place.ts';
import { isDictionary } from '../text/fields.ts';
import { type ParsedFile, placeOf } from './format.ts';
import { type Stating, stating } from './stating.ts';

/** Arguments of programs, as a command line or the dictionary of a file states them. */

/** One argument as somebody wrote it, and what must be known before it is; null stands for none. */
export type Argument = { readonly value: unknown; readonly at: Place; readonly needs?: readonly string[] };

/** Arguments by their names in code: `--num-layers` is `num_layers`. */
export type Arguments = ReadonlyMap<string, Argument>;

/** `--num-layers`, `num-layers` and `num_layers` are one. */
export const argumentName = (word: string): string => word.replace(/^-{1,2}/, '').replaceAll('-', '_');

/** Arguments out of the dictionary at a path of a file; nested dictionaries are sections without a meaning of their own. */
export function argumentsAt(file: ParsedFile, value: unknown, path: string, depth = 0): Arguments {
  const found = new Map<string, Argument>();
  if (!isDictionary(value)) return found;
  for (const [word, given] of Object.entries(value)) {
    const key = path === '' ? word : `${path}.${word}`;
    if (isDictionary(given)) {
      if (depth < 4) for (const [name, argument] of argumentsAt(file, given, key, depth + 1)) found.set(name, argument);
      continue;
    }
    found.set(argumentName(word), { value: given, at: placeOf(file, key) });
  }
  return found;
}

/** The later ones over the earlier ones. */
export const joined = (...all: readonly Arguments[]): Arguments => new Map(all.flatMap((one) => [...one]));

/** Starts a statement that asks for arguments by their names and tells of them as they were written. */
export function statingArguments(file: ParsedFile, format: string, given: Arguments): Stating {
  const value: Record<string, unknown> = Object.create(null);
  const lines = new Map<string, number>();
  const open = new Map<string, readonly string[]>();
  const places = new Map<string, Place>();
  for (const [name, { value: one, at, needs }] of given) {
    value[name] = one;
    if (needs !== undefined) open.set(name, needs);
    places.set(name, at);
    if (at.line !== undefined && at.file === file.path) lines.set(name, at.line);
  }
  return stating({ path: file.path, source: { value, lines, open, problems: file.source.problems } }, format, places);
}
