// Every table of src/facts with the facts that its numbers are. For the page that counts them and the test that walks them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bases, type Fact, factsOf } from '../src/facts/basis.ts';

const folder = join(import.meta.dirname, '..', 'src', 'facts');

export type Table = {
  readonly file: string;
  readonly name: string;
  readonly value: unknown;
  /** undefined where the table was written down as bare numbers */
  readonly facts: readonly (readonly [path: string, fact: Fact])[] | undefined;
};

/** What each file of src/facts exports, types and functions left out. */
export async function tablesOfFacts(): Promise<readonly Table[]> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const modules = await Promise.all(
    files.map(async (file) => [file, await import(pathToFileURL(join(folder, file)).href)] as const),
  );
  return modules.flatMap(([file, exported]) =>
    Object.entries(exported as Readonly<Record<string, unknown>>)
      .filter(([, value]) => typeof value !== 'function')
      .map(([name, value]) => ({
        file,
        name,
        value,
        facts: typeof value === 'object' && value !== null ? factsOf(value) : undefined,
      })),
  );
}

/** The numbers in a value, by their paths. */
export function* numbersIn(value: unknown, path = ''): Generator<readonly [path: string, number: number]> {
  if (typeof value === 'number') yield [path, value];
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) yield* numbersIn(child, path === '' ? name : `${path}.${name}`);
}

/** How many constants of each file rest on what, in the order of `bases`; a constant that several rows share is counted once. */
export async function countByBasis(): Promise<
  readonly { readonly file: string; readonly counts: readonly number[] }[]
> {
  const files = new Map<string, Set<Fact>>();
  for (const { file, facts = [] } of await tablesOfFacts()) {
    const own = files.get(file) ?? new Set();
    for (const [, fact] of facts) own.add(fact);
    if (own.size > 0) files.set(file, own);
  }
  return [...files].map(([file, own]) => ({
    file,
    counts: bases.map((basis) => [...own].filter((fact) => fact.basis === basis).length),
  }));
}
