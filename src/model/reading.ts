import type { Architecture } from './architecture.ts';
import type { RunFields } from './run.ts';

/** Something that nobody stated, and that was taken to be so. */
export type Assumption = {
  /** the key of the config or the field of the run */
  readonly field: string;
  readonly value: string;
  readonly reason: string;
};

/** Something wrong or noteworthy, in one sentence that says what to do. Its text may hold foreign words: escape on output. */
export type Problem = {
  readonly severity: 'error' | 'warning' | 'notice';
  readonly message: string;
  /** 1-based line of the config file */
  readonly line?: number;
  readonly key?: string;
};

/** A field of the config as it was written, for the diff of fields: its dotted path, its value as text, its line. */
export type StatedField = { readonly path: string; readonly value: string; readonly line?: number };

/** What a config file turned out to say. */
export type Reading =
  | {
      readonly kind: 'read';
      /** id of the format (`list formats`) */
      readonly format: string;
      readonly architecture: Architecture;
      /** what the file says of the run */
      readonly run: RunFields;
      readonly fields: readonly StatedField[];
      readonly assumptions: readonly Assumption[];
      readonly problems: readonly Problem[];
    }
  | {
      readonly kind: 'unread';
      /** undefined where no format recognised the text */
      readonly format?: string;
      /** It took too long to be told from what is no config: it is taken for one. */
      readonly late?: true;
      readonly problems: readonly Problem[];
    };

/** What is kept of a reading once its cost is known: a thousand architectures would fill the memory. */
export type Told =
  | (Omit<Extract<Reading, { kind: 'read' }>, 'architecture'> & { readonly family: string })
  | Extract<Reading, { kind: 'unread' }>;
