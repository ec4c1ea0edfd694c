import { type Dictionary, isDictionary, own, textOf, Unreadable } from '../text/fields.ts';
import type { ParsedFile } from './format.ts';

/** A result that is a call of a class by its dotted name. */
export const isCallOf =
  (name: RegExp) =>
  (value: Dictionary): boolean =>
    name.test(textOf(own(value, '()') ?? ''));

/**
 * The one function of a Python file whose result is a recipe, as a file of what it returns.
 *
 * @throws Unreadable where there are several: each is a job of its own, by its name
 */
export function recipeOf(file: ParsedFile, is: (value: Dictionary) => boolean): ParsedFile & { readonly name: string } {
  const value = isDictionary(file.source.value) ? file.source.value : {};
  const found = Object.entries(value).flatMap(([name, one]) =>
    isDictionary(one) && Object.hasOwn(one, '->') && is(one) ? [{ name, one }] : [],
  );
  const [first, second] = found;
  if (first === undefined) throw new Unreadable('No function of the file returns a recipe that its text alone says.');
  if (second !== undefined)
    throw new Unreadable(
      `The file has ${found.length} recipes; name one as ${file.path.split('/').at(-1)?.slice(0, 100)}#${first.name}.`,
      file.source.lines.get(first.name),
    );
  const start = `${first.name}.`;
  const lines = [...file.source.lines].flatMap(([path, line]) =>
    path.startsWith(start) ? [[path.slice(start.length), line] as const] : [],
  );
  return { path: file.path, name: first.name, source: { ...file.source, value: first.one, lines: new Map(lines) } };
}
