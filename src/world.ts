/**
 * The few things that a gate may ask of the outside. The action and the command line are two worlds over the same story
 * (`run.ts`); the tests' world is a third.
 */
export interface World {
  /** Inputs by their name in `action.yml`, as the user wrote them; absent where left out. */
  inputs(): Promise<Readonly<Record<string, string>>>;
  /** The text of a file as the merge base has it (the policy), or undefined where there is none. */
  trustedFile(path: string): Promise<Uint8Array | undefined>;
  /** The text of a file as the head has it, for telling a changed policy. */
  proposedFile(path: string): Promise<Uint8Array | undefined>;
  /** The files to look at, with their text on both sides. */
  changes(wanted: Wanted): Promise<Changes>;
  /** Progress, in a line; quiet where nobody watches. */
  progress(message: string): void;
}

/** Which files a run wants to see. */
export type Wanted = {
  /** True for a path that patterns, the policy or a format's file names let in. */
  readonly matches: (path: string) => boolean;
  /** True where patterns name the path, so that a file that cannot be read is an error and not a notice. */
  readonly named: (path: string) => boolean;
};

export type Changes = {
  readonly pairs: readonly ConfigPair[];
  readonly base?: Commit;
  readonly head?: Commit;
  /** What could not be looked at, and why, in sentences. */
  readonly notes: readonly string[];
};

export type Commit = { readonly sha: string; readonly label: string };

/** One config on both sides; a side that is absent did not exist. */
export type ConfigPair = {
  readonly path: string;
  /** Its name at the base, where it was renamed. */
  readonly previousPath?: string;
  readonly base?: ConfigSide;
  readonly head?: ConfigSide;
};

export type ConfigSide =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Not a text that can be read: a symlink, a submodule, an LFS pointer, too large. In a sentence. */
  | { readonly kind: 'refused'; readonly reason: string };
