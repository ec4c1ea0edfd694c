import type { Refusal } from '../world.ts';
import type { Architecture } from './architecture.ts';
import type { RunSource } from './run.ts';
import type { Keys, Names } from './statement.ts';

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
  /** The rule of `setup/startable.ts` that the run breaks. */
  readonly rule?: string;
};

/** A field of the config as it was written, for the diff of fields: its dotted path, its value as text, its line. */
export type StatedField = { readonly path: string; readonly value: string; readonly line?: number };

/**
 * Every way in which a file goes without an estimate. What the gate makes of each stands in one table (`gate/unread.ts`), so
 * that a new way is not compiled before it says what tells of it.
 */
export type Unread =
  | Refusal
  /** A name longer than patterns are held against. */
  | 'long-name'
  /** It was read, and how its side says that it is trained cannot be. */
  | 'run-unread'
  /** It took longer than a config, or the configs of a run together, may take. */
  | 'late'
  /** Not a text of its syntax. */
  | 'broken'
  /** Looked at, and it has nothing of a language model. */
  | 'no-config'
  /** Looked at, and it says that it is a part of a folder of sentence-transformers or diffusers which is no language model. */
  | 'component'
  /** It names a model, and none of the keys that are read. */
  | 'unknown-model'
  /** A model of a kind that is known and not counted, like an image encoder. */
  | 'other-model'
  /** A part of a run that names no model: it is judged with the jobs that use it. */
  | 'no-model'
  /** It names a model that is in no table. */
  | 'unknown-name'
  /** A format recognises it, and what it says leads to no model, run or number. */
  | 'impossible';

/** What an architecture was read from, so that it can be read again with some keys of another. */
export type ModelKeys = {
  readonly reader: 'huggingface' | 'mamba';
  /** under canonical keys */
  readonly config: Keys;
  readonly names: Names;
  /** The name that stands for the sizes, where the file names a published model or another config. */
  readonly named?: { readonly key: string; readonly name: string };
};

/** What a config file turned out to say. */
export type Reading =
  | {
      readonly kind: 'read';
      /** id of the format (`list formats`) */
      readonly format: string;
      readonly architecture: Architecture;
      readonly keys: ModelKeys;
      /** what the files say of the run, the strongest first */
      readonly run: readonly RunSource[];
      readonly fields: readonly StatedField[];
      readonly assumptions: readonly Assumption[];
      readonly problems: readonly Problem[];
    }
  | {
      readonly kind: 'unread';
      readonly way: Unread;
      /** undefined where no format recognised the text */
      readonly format?: string;
      readonly problems: readonly Problem[];
    };

/** What is kept of a reading once its cost is known: a thousand architectures would fill the memory. */
export type Told =
  | (Omit<Extract<Reading, { kind: 'read' }>, 'architecture' | 'keys'> & { readonly family: string })
  | Extract<Reading, { kind: 'unread' }>;
