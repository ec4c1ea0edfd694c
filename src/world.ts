/**
 * What a door brings in from the outside: the configs to look at, with their text on both sides. GitHub's API, a git
 * repository and two files on a disk are three doors to the same story (`run.ts`).
 */
export type Changes = {
  readonly pairs: readonly ConfigPair[];
  readonly base?: Commit;
  readonly head?: Commit;
  /** Every path that differs between the sides, configs or not: one may be a part of a job. */
  readonly touched?: readonly string[];
  /** The tip of the base branch, where it has moved on since the base; `label` is the branch. */
  readonly tip?: Commit;
  readonly missed: readonly Missed[];
  /** What a reader should know besides, in sentences. */
  readonly notes: readonly string[];
};

/** Files that could be configs, or folders that may hold some, and that a run did not look at since it may do so much only. */
export type Missed = {
  readonly kind: 'count' | 'bytes' | 'blobs' | 'folders';
  /** How much a run may do. */
  readonly most: number;
  readonly paths: readonly string[];
};

export type Commit = { readonly sha: string; readonly label: string };

/**
 * One config on both sides; a side that is absent did not exist. Where its own text did not change, and only how it is trained
 * did, both sides are the same object.
 */
export type ConfigPair = {
  readonly path: string;
  /** Its name at the base, where it was renamed. */
  readonly previousPath?: string;
  readonly base?: ConfigSide;
  readonly head?: ConfigSide;
  /** What the base branch has by now, where that is not what the change began from. */
  readonly tip?: ConfigSide | { readonly kind: 'absent' };
  /** Files that the job of each side refers to, as that side has them. */
  readonly beside?: { readonly base: Files; readonly head: Files };
  /** Those among them that the base branch has otherwise by now, as it has them. */
  readonly besideTip?: Files;
};

/** Files of one revision by path; undefined for one that does not exist. */
export type Files = ReadonlyMap<string, ConfigSide | undefined>;

export type ConfigSide =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'refused';
      readonly why: Refusal;
      /** In a sentence. */
      readonly reason: string;
      /** How the text begins, where that is known: it may say that the file is a config. */
      readonly start?: Uint8Array;
    };

/** Why a door has no whole text of a file that is there. */
export type Refusal =
  | 'symlink'
  | 'submodule'
  | 'folder'
  | 'lfs-pointer'
  | 'too-large'
  /** Listed and not found: git takes names that no request can carry. */
  | 'lost'
  | 'unopened'
  /** A run reads so much and no more: of bytes, and of files that come one by one. */
  | 'over-bytes'
  | 'over-blobs';

/**
 * Work whose length a stranger's text decides, done or stopped: how long it may take is the door's to say, which has a clock.
 * `reason` is what follows a name: "takes longer than 5 s to evaluate".
 */
export type InTime = <Result>(
  work: () => Result,
) => { readonly kind: 'done'; readonly result: Result } | { readonly kind: 'late'; readonly reason: string };

/** No clock: all work is done. */
export const untimed: InTime = (work) => ({ kind: 'done', result: work() });
