import type { Estimate } from '../model/estimate.ts';
import type { Told } from '../model/reading.ts';
import type { Commit, Missed } from '../world.ts';

/** One side of a comparison: what the file says, and what it costs where it could be read. */
export type Side = {
  readonly reading: Told;
  readonly estimate?: Estimate;
  /** It cannot be read, and a format, its name or its first bytes say that it is a model config. */
  readonly claimed?: boolean;
};

export type Status = 'added' | 'removed' | 'changed' | 'unchanged' | 'unreadable';

/** One metric on both sides. `ratio` is after / before, absent where either is. */
export type Change = {
  readonly metric: string;
  readonly before?: number;
  readonly after?: number;
  readonly ratio?: number;
};

export type Comparison = {
  readonly path: string;
  readonly previousPath?: string;
  /** It was renamed, and for its old name other limits hold. */
  readonly otherLimits?: boolean;
  readonly status: Status;
  /** The user names this config (by pattern or policy), so being unreadable fails the gate. */
  readonly named: boolean;
  readonly base?: Side;
  readonly head?: Side;
  readonly changes: readonly Change[];
  /** Parameters and FLOPs by `Operation.path`, where they moved. */
  readonly parts: readonly {
    readonly part: string;
    readonly quantity: 'parameters' | 'flops';
    readonly before: number;
    readonly after: number;
  }[];
  /** Fields that changed, those of the config first. */
  readonly fields: readonly ChangedField[];
  /** What each change moved; absent where a side is. */
  readonly attribution?: Attribution;
  /** What the head's metrics may be at most or at least. */
  readonly limits?: readonly HeldLimit[];
  /** A run near to the head's; absent where none was found, or none was looked for. */
  readonly advice?: Advice;
};

/** A run that changes few fields of the one that was judged. */
export type Advice = {
  /** `fits`: that run is over the memory budget, and no other with fewer changes fits. `faster`: both fit. */
  readonly kind: 'fits' | 'faster';
  /** fields of the run as users write them, with their new values */
  readonly changes: readonly { readonly field: string; readonly value: string }[];
  /** bytes of the fullest GPU, and their relative error */
  readonly memory: number;
  readonly band: number;
  readonly mfu: number | null;
  /** tokens per second over those of the run that was judged, as a ratio */
  readonly speed: number;
  /** of the changed fields, those with whose new values no speed was ever measured */
  readonly unmeasured: readonly string[];
};

/** What a metric may be, in its own unit. */
export type HeldLimit = {
  readonly metric: string;
  readonly bound: 'max' | 'min';
  readonly severity: 'fail' | 'warn';
  readonly amount: number;
};

/** Settings that changed, and what each of them moved of the difference between both sides. */
export type Attribution =
  | {
      readonly kind: 'shares';
      /** There are too many for all orders, so that those that move less by themselves have one share together. */
      readonly grouped: boolean;
      readonly shares: readonly Share[];
    }
  | { readonly kind: 'none'; readonly reason: string };

/** What one setting moved; several share it where they can only be changed together, or are too many. */
export type Share = {
  readonly fields: readonly SetField[];
  /** by metric, in its unit; over all shares it adds up to the difference */
  readonly moved: Readonly<Record<string, number>>;
};

/** A setting of the model or of the run, by its name here, whatever file states it. */
export type SetField = ChangedField & {
  /** as that file calls it, where it is another word */
  readonly writtenAs?: string;
};

/** A field of the config as it is written, or one of the run as it was settled, where somebody states it. */
export type ChangedField = {
  readonly origin: 'architecture' | 'run';
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
  /** of the config */
  readonly line?: number;
};

/** Whether a field of a file, as it is written there, states a setting. */
export function states({ path: written }: ChangedField, { path, writtenAs }: SetField): boolean {
  const raw = plainName(written);
  return [path, writtenAs].some((name) => {
    const one = name === undefined ? '' : plainName(name);
    return (
      one !== '' && (raw === one || raw.endsWith(`.${one}`) || one.endsWith(`.${raw}`) || raw.startsWith(`${one}.`))
    );
  });
}

/** `--micro-batch-size`, `zero.json: a.b`: a name without what tells files and programs apart. */
const plainName = (name: string): string =>
  name
    .replace(/^.*: /, '')
    .split('.')
    .map((word) => word.replace(/^-+/, '').replaceAll('-', '_'))
    .join('.');

export type Severity = 'fail' | 'warn' | 'notice';

/** The findings that a waiver can name. An unreadable config cannot be waived, because its cost is unknown. */
export const waivable = [
  'memory-over-budget',
  'memory-worse',
  'memory-improved',
  'memory-already-over',
  'memory-unknown',
  'over-limit',
  'limit-worse',
  'limit-improved',
  'limit-already-over',
  'limit-unknown',
  'grows-too-much',
  'shrinks-too-much',
  'increase',
  'cannot-start',
] as const;

export const findingCodes = [
  ...waivable,
  'unreadable',
  'not-looked-at',
  'not-merged',
  'approximate',
  'budget-above-card',
  'policy-broken',
] as const;

/** Every reason for a finding. */
export type FindingCode = (typeof findingCodes)[number];

export type Finding = {
  readonly code: FindingCode;
  readonly path: string;
  readonly metric?: string;
  readonly severity: Severity;
  readonly before?: number;
  readonly after?: number;
  readonly limit?: number;
  readonly line?: number;
  readonly message: string;
  /** It comes from the tip of the base branch: from its rules, or from what the change would be merged with. */
  readonly from?: { readonly what: 'tip' | 'merge'; readonly commit: string };
  /** A waiver that covers it; one that ended leaves the severity as it is. */
  readonly waiver?: { readonly until: string; readonly reason: string; readonly holds: boolean };
};

export type Verdict = {
  readonly outcome: 'pass' | 'warn' | 'fail';
  readonly findings: readonly Finding[];
  /** Who turned a failure into a warning, and how. */
  readonly override?: { readonly label: string; readonly by?: string };
};

/** All that a run found: the one thing that words are made of. */
export type Review = {
  readonly comparisons: readonly Comparison[];
  readonly missed: readonly Missed[];
  readonly verdict: Verdict;
  readonly base?: Commit;
  readonly head?: Commit;
  /** Effective settings and where each came from, as shown. */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly origin: string }[];
  /** What this change does to the rules that it is judged by, which takes effect after it. */
  readonly proposal?: { readonly name: string; readonly change: 'added' | 'changed' | 'removed' };
  /** Sentences about the run as a whole, such as of a policy that takes effect after merge. */
  readonly notes: readonly string[];
  /** The action's version: numbers may move with it. */
  readonly version: string;
};

/** It says something of the change itself, so that it is commented. */
export const tellsOfChange = ({ comparisons, missed, proposal }: Review): boolean =>
  proposal !== undefined || missed.length > 0 || comparisons.some(({ status }) => status !== 'unchanged');

/**
 * It says more of the change than that metrics moved by less than a share of them: a finding that counts, a config that came, went or
 * could not be read, new rules, or a larger move.
 */
export const movesAtLeast = (review: Review, share: number): boolean =>
  review.verdict.outcome !== 'pass' ||
  review.proposal !== undefined ||
  review.missed.length > 0 ||
  review.comparisons.some(
    ({ status, changes }) =>
      (status !== 'changed' && status !== 'unchanged') ||
      (status === 'changed' && changes.some((change) => moveOf(change) >= share)),
  );

/** How far a metric moved, as a share of what it was; endless where one side is not known. */
function moveOf({ before, after }: Change): number {
  if (before === after) return 0;
  if (before === undefined || after === undefined || before === 0) return Number.POSITIVE_INFINITY;
  return Math.abs(after / before - 1);
}

/** Nothing was compared, and nothing else is worth a word. */
export const isEmpty = ({ comparisons, verdict, proposal }: Review): boolean =>
  comparisons.length === 0 && verdict.findings.length === 0 && proposal === undefined;
