/** What files say of a training job, before anything is decided. Plain data: `read/` makes it, `read/compose.ts` joins it. */

import type { NamesOf } from './names.ts';
import type { Place } from './place.ts';
import type { Lora, Parallelism, Relations, TrainingRun } from './run.ts';

/** Who says a value: the file itself, one that it includes, the framework by its default, or a published model. */
export type Teller = 'file' | 'include' | 'framework' | 'catalogue';

/** A value with who says it; or open: the key stands there and gives no number (`auto`, -1, an environment variable). */
export type Stated =
  | {
      readonly kind: 'value';
      readonly value: unknown;
      readonly by: Teller;
      readonly at?: Place;
      readonly reason?: string;
    }
  | { readonly kind: 'open'; readonly reason: string; readonly at: Place };

/** What a run reached: users state it, and no file of a training does. */
type Reached = 'calibration' | 'measuredTokensPerSecond' | 'memoryCalibration' | 'measuredDeviceBytes';

/** Fields of a run description, dotted where they are nested. */
export type RunFieldName =
  | NamesOf<Omit<TrainingRun, 'parallelism' | 'lora' | Reached>>
  | `parallelism.${NamesOf<Parallelism>}`
  | `lora.${NamesOf<Lora>}`;

export type RelationName = NamesOf<Relations>;

export type StatedRun = { readonly [Name in RunFieldName | RelationName]?: Stated };

/** An object of keys and values as a parser gives it. */
export type Keys = Readonly<Record<string, unknown>>;

/** How a file calls what families ask for by its canonical key: dotted canonical path to the file's own word and line. */
export type Names = ReadonlyMap<string, { readonly key: string; readonly line?: number }>;

/**
 * An architecture: described by its sizes under the keys of Hugging Face's `config.json` (or of our own `decoder`, see
 * `families/decoder.ts`), or named, with the keys that the file changes.
 */
export type ModelStatement =
  | { readonly kind: 'described'; readonly config: Keys; readonly names: Names }
  | {
      readonly kind: 'named';
      /** an id of the hub, a preset (`torchtitan:llama3/8B`), or a path in the repository */
      readonly name: string;
      readonly at: Place;
      /** what a script leaves the name to */
      readonly needs?: readonly string[];
      readonly changes?: { readonly config: Keys; readonly names: Names };
    };

/** A file that another names. `base`: keys that this file's own win over; `run`: more of the run; `model`: the architecture. */
export type Reference = {
  readonly role: 'base' | 'run' | 'model';
  /** from the root of the repository */
  readonly path: string;
  readonly at: Place;
  /** the command that starts a program with this file, whose name may be all that says what is trained */
  readonly program?: string;
};

/** What one file states. */
export type Statement = {
  readonly format: string;
  readonly model?: ModelStatement;
  readonly run: StatedRun;
  readonly refers: readonly Reference[];
  readonly assumptions: readonly { readonly field: string; readonly value: string; readonly reason: string }[];
  readonly problems: readonly {
    readonly severity: 'error' | 'warning' | 'notice';
    readonly message: string;
    readonly line?: number;
    readonly key?: string;
  }[];
};
