import { ShellTooLarge, type Token } from './shell-words.ts';

/** What following a shell script works on: what variables hold, what came of it so far, and how much work that was. */

export type Command = {
  readonly words: readonly Word[];
  readonly line: number;
  /** What the environment tells launchers at that place: `NPROC_PER_NODE`, `CUDA_VISIBLE_DEVICES`. */
  readonly environment?: ReadonlyMap<string, string>;
};

/** A word of a command; `needs` names what must be known before its text is. */
export type Word = { readonly text: string; readonly needs: readonly string[]; readonly line: number };

/** Values of variables and of positional arguments ("1") that the user gives. */
export type Inputs = Readonly<Record<string, string>>;

export type Sources = (path: string) => string | undefined;

/** Work that one script may cost: statements, how deep they nest, characters of one value and of all words that come of them. */
export const limits = {
  statements: 20_000,
  calls: 8,
  depth: 40,
  value: 20_000,
  list: 2_000,
  spent: 2_000_000,
} as const;

/** Stands in a text for what is not known: the names between two marks. */
export const mark = '\uE000';
/** A space within marks, at which a word is not cut. */
const space = '\uE001';
/** Stands for a value that the script does not say. */
export const unknown = (name: string) =>
  `${mark}${name.replaceAll(mark, '').slice(0, 60).replaceAll(/\s/g, space)}${mark}`;
const marked = /\uE000([^\uE000]*)\uE000/g;
/** Names of the unknown values in a text. */
export const needsOf = (text: string): readonly string[] => [
  ...new Set([...text.matchAll(marked)].map(([, name = '']) => name.replaceAll(space, ' '))),
];
/** A text as people see it: what is not known is `$NAME`. */
export const shown = (text: string): string =>
  text.replaceAll(marked, (_, name: string) => (name.startsWith('$') ? name : `$${name}`)).replaceAll(space, ' ');

export type Value =
  | { readonly list: false; readonly text: string }
  | { readonly list: true; readonly items: readonly string[] };
export type Scope = Map<string, Value>;

export type Machine = {
  scope: Scope;
  readonly functions: Map<string, readonly Token[]>;
  readonly commands: Command[];
  readonly sourced: string[];
  readonly written: Map<string, string>;
  readonly files: Sources;
  positional: readonly string[];
  steps: number;
  calls: number;
  depth: number;
  spent: number;
};

/** Blocks within blocks and defaults within defaults are followed so far and no further. */
export function deeper<Result>(machine: Machine, work: () => Result): Result {
  machine.depth += 1;
  if (machine.depth > limits.depth) throw new ShellTooLarge(`The script nests deeper than ${limits.depth} levels.`);
  const result = work();
  machine.depth -= 1;
  return result;
}

/**
 * Counts characters against the bound of one script.
 *
 * @throws ShellTooLarge beyond it
 */
export function spend(characters: number, machine: Machine): void {
  machine.spent += characters + 1;
  if (machine.spent > limits.spent)
    throw new ShellTooLarge(`The script comes to more than ${limits.spent} characters.`);
}
