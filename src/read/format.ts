import type { Place } from '../model/place.ts';
import type { Keys, Statement } from '../model/statement.ts';
import { isDictionary, own, textOf } from '../text/fields.ts';
import type { Source } from '../text/syntax.ts';

/** A dotted path of keys; `*` stands for any one key. A key that itself has dots is one of the file's top level. */
export type KeyPath = string;

/** What a file must state to be of a format. Data, so that a test can hold all formats against every sample. */
export type Signature = {
  /** all of these */
  readonly has?: readonly KeyPath[];
  /** at least so many of these, for each entry */
  readonly some?: readonly (readonly [least: number, of: readonly KeyPath[]])[];
  /** none of these */
  readonly not?: readonly KeyPath[];
  /** The value at a path, as text, matches. */
  readonly like?: readonly (readonly [path: KeyPath, pattern: RegExp])[];
};

/** One file of a repository, parsed. */
export type ParsedFile = { readonly path: string; readonly source: Source };

/**
 * Where a key of a file stands.
 *
 * @param path of the key in the parsed file, where messages call it otherwise
 */
export function placeOf({ path: file, source }: ParsedFile, key: string, path: string = key): Place {
  const line = source.lines.get(path);
  return line === undefined ? { file, key } : { file, key, line };
}

/** Files that a format asked for, by path from the root of the repository; undefined where one does not exist. */
export type Beside = (path: string) => ParsedFile | undefined;

/** One format of training files: one file of `read/formats/`, one row in the list. */
export type Format = {
  readonly id: string;
  readonly title: string;
  readonly syntaxes: readonly ('json' | 'yaml' | 'toml' | 'shell' | 'python')[];
  readonly signature: Signature;
  /** Files of it are included by others of it, so a change of one may concern jobs whose own file is as it was. */
  readonly included?: true;
  /**
   * What the file states. Pure: a file that it includes it asks `beside` for, and is called again once that is there; a file that
   * has statements of its own it refers to.
   *
   * @param program the command of the launch script that names the file, if one does
   * @throws Unreadable with one sentence
   */
  readonly states: (file: ParsedFile, beside: Beside, program?: string) => Statement;
};

/** A format with the test of its signature. */
export type ListedFormat = Format & { readonly recognises: (value: unknown) => boolean };

/** Whether a parsed file has a format's signature. */
export const matches = (signature: Signature, value: unknown): boolean => testOf(signature)(value);

/** The test of a signature, made once: dozens of formats look at every file. */
export function testOf({ has = [], some = [], not = [], like = [] }: Signature): (value: unknown) => boolean {
  const all = has.map(presenceOf);
  const enough = some.map(([least, of]) => ({ least, of: of.map(presenceOf) }));
  const others = not.map(presenceOf);
  return (value) =>
    isDictionary(value) &&
    all.every((isThere) => isThere(value)) &&
    enough.every(({ least, of }) => of.filter((isThere) => isThere(value)).length >= least) &&
    others.every((isThere) => !isThere(value)) &&
    like.every(([path, pattern]) => valuesAt(value, path).some((one) => pattern.test(textOf(one).slice(0, 500))));
}

/** Whether there is a value at a path. Nearly always its first key is absent, which is cheap to see. */
function presenceOf(path: KeyPath): (value: Keys) => boolean {
  const [first = path] = path.split('.', 1);
  return (value) =>
    Object.hasOwn(value, path) || ((first === '*' || Object.hasOwn(value, first)) && valuesAt(value, path).length > 0);
}

/** The values at a path; several where it has a `*`. */
export function valuesAt(value: unknown, path: KeyPath): readonly unknown[] {
  if (isDictionary(value) && Object.hasOwn(value, path)) return [own(value, path)];
  let here: readonly unknown[] = [value];
  for (const step of path.split('.')) {
    here = here.flatMap((one) => {
      if (!isDictionary(one)) return [];
      if (step === '*') return Object.values(one).slice(0, 100);
      return Object.hasOwn(one, step) ? [own(one, step)] : [];
    });
    if (here.length === 0) return [];
  }
  return here;
}
