import type { OpenValues } from './shell-open.ts';
import { ShellTooLarge, type Token } from './shell-words.ts';

/** What following a shell script works on: what variables hold, what came of it so far, and how much work that was. */

export type Command = {
  readonly words: readonly Word[];
  readonly line: number;
  /** What the environment tells launchers at that place: `NPROC_PER_NODE`, `CUDA_VISIBLE_DEVICES`. */
  readonly environment?: ReadonlyMap<string, string>;
};

/** A text as people see it; `needs` is what must be known before it is. */
export type Told = { readonly text: string; readonly needs: readonly string[] };

/** A word of a command. Its pieces are cut at its blanks, but for those in the name of an open value. */
export type Word = Told & { readonly line: number; readonly pieces: readonly Told[] };

/** Values of variables and of positional arguments ("1") that the user gives. */
export type Inputs = Readonly<Record<string, string>>;

export type Sources = (path: string) => string | undefined;

/** What one script may cost: statements, how deep they nest, turns of all loops, characters of one value and of all words together. */
export const limits = {
  statements: 20_000,
  calls: 8,
  depth: 40,
  value: 20_000,
  list: 2_000,
  turns: 256,
  spent: 2_000_000,
} as const;

export type Value =
  | { readonly list: false; readonly text: string }
  | { readonly list: true; readonly items: readonly string[] };
export type Scope = Map<string, Value>;

export type Machine = {
  scope: Scope;
  readonly open: OpenValues;
  readonly functions: Map<string, readonly Token[]>;
  readonly commands: Command[];
  readonly sourced: string[];
  readonly written: Map<string, string>;
  readonly files: Sources;
  /** The folder of the file that is being read, seen from that of the script. */
  folder: string;
  positional: readonly string[];
  steps: number;
  turns: number;
  calls: number;
  depth: number;
  spent: number;
  /** Statements have commands, and commands start functions, which are statements. */
  readonly run: (tokens: readonly Token[], machine: Machine) => unknown;
};

/** Does something one level deeper: blocks within blocks, defaults within defaults. */
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
