import type { Budgets } from '../gate/rules.ts';
import type { RunSource } from '../model/run.ts';
import { couldBeConfig } from '../read/config.ts';
import type { JobContext } from '../read/job.ts';
import { claimsOf, type Described, type Description, describe, statedBy, withClaims } from './describe.ts';
import { type Globs, globs, remembered } from './globs.ts';
import { type Choices, type Inputs, policyPath, type Read, readInputs, type Shown } from './inputs.ts';
import { builtIn, merged } from './limits.ts';
import { type Calibrate, machineSource, ofOneMachine } from './machines.ts';
import { draftPolicy, type NamedFile, type Policy, type PolicyReading } from './policy.ts';
import { coversAll, reaches } from './reach.ts';

/** What the user wants of a run of the gate, with where each value came from. */
export type Settings = Choices & {
  readonly matches: (path: string) => boolean;
  /** True where a pattern or the policy names the path: an unreadable file then fails the gate. */
  readonly named: (path: string) => boolean;
  /** Whether a folder may hold what a pattern or the policy names, what could be a config, or neither. */
  readonly reach: (folder: string) => Reach;
  /**
   * Sources of the run for a config, strongest first; the config's own fields come behind the run description.
   *
   * @param described how the config's own commit says that it is trained; without it, the files of the merge base decide
   */
  readonly sourcesFor: (path: string, stated: readonly RunSource[], described?: Description) => readonly RunSource[];
  /** What else belongs to the job of a config, by the same description. */
  readonly jobOf: (path: string, described?: Description) => Pick<JobContext, 'baseModels' | 'beside' | 'inputs'>;
  /** How each side of a comparison says that its configs are trained; without it, the files of the merge base decide. */
  readonly runs?: Runs;
  readonly budgetsFor: (path: string) => Budgets;
  /** The policy's machines, where none of them is the usual one. */
  readonly undecided: readonly string[];
  /** Every setting as it holds, with where it came from. */
  readonly shown: readonly Shown[];
};

export type Reach = 'named' | 'possible' | 'none';

/** How each side says that its configs are trained. */
export type Runs = {
  readonly base: Described;
  readonly head: Described;
  /** The tip of the base branch, where it is another commit than the base. */
  readonly tip?: Described;
};

/** The same rules over a comparison whose sides say for themselves how they are trained. */
export const withRuns = (settings: Settings, runs: Runs | undefined): Settings =>
  runs === undefined ? settings : { ...settings, runs };

/**
 * Two versions of the rules joined for two questions: which files are looked at, and which labels override a failure. Limits are
 * not joined; each version's are enforced by themselves.
 */
export const sterner = (one: Settings, other: Settings): Settings => ({
  ...one,
  matches: (path) => one.matches(path) || other.matches(path),
  named: (path) => one.named(path) || other.named(path),
  reach: (folder) => {
    const reached = [one.reach(folder), other.reach(folder)];
    return reached.find((reach) => reach === 'named') ?? reached.find((reach) => reach === 'possible') ?? 'none';
  },
  overrideLabel:
    one.overrideLabel?.toLowerCase() === other.overrideLabel?.toLowerCase() ? one.overrideLabel : undefined,
});

/** Settings that cannot be followed. Each sentence says what is allowed. */
export class WrongSettings extends Error {
  readonly sentences: readonly string[];
  /** Place of the first mistake, if it is in a file. */
  readonly line: number | undefined;
  constructor(sentences: readonly string[], line?: number) {
    super(sentences.join(' '));
    this.sentences = sentences;
    this.line = line;
  }
}

/** The files that settings are made of, as one commit has them. */
export type Documents = {
  /** The run description that the input `run` names or holds. */
  readonly run?: NamedFile;
  readonly policy?: NamedFile;
  /** A policy file with the ending that is not looked for (`.yaml` for `.yml`), so that the user can be told. */
  readonly misnamed?: string;
  /** The commit that the policy was read from, where it was one. */
  readonly commit?: string;
  /** What the policy names, by path. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Files that should be there and are not, or cannot be read, each in a sentence. */
  readonly missing?: readonly string[];
};

/** In a sentence, where a commit has its policy under a name that is not read: whoever wrote it takes it to hold. */
export const misnamedPolicy = (held: Documents, at: Documents | undefined): string | undefined =>
  held.policy !== undefined || at?.misnamed === undefined
    ? undefined
    : `${at.misnamed} is not read, so no policy holds: rename it to ${policyPath}, or name it by the input policy.`;

/** Other files that a policy names, to be read beside it; none where it cannot be read. */
export function filesNamedBy(policy: NamedFile): readonly string[] {
  const draft = draftPolicy(policy);
  return draft.kind === 'draft' ? draft.files : [];
}

/** Settings of raw inputs and the files that they name, whoever calibrates. */
export type ReadSettings = (inputs: Inputs, documents?: Documents) => Settings;

/**
 * Raw inputs and the files they name to settings. An input wins over the policy, the policy over the default. The run of a
 * config is put together from the inputs `accelerator` and `gpus`, the input `run`, the policy's entries for it, what the
 * config itself states, and the policy's defaults, in this order.
 *
 * @throws WrongSettings with one sentence for each mistake
 */
export function settingsFrom(inputs: Inputs, documents: Documents, calibrate: Calibrate): Settings {
  if (documents.missing !== undefined && documents.missing.length > 0) throw new WrongSettings(documents.missing);
  const policy = policyIn(documents);
  const read = readInputs(inputs, policy, documents.commit, calibrate);
  const own = describe(documents.run, policy);
  const wrong = [...read.wrong, ...(own.kind === 'wrong' ? own.sentences : [])];
  if (wrong.length > 0 || own.kind === 'wrong') throw new WrongSettings(wrong);
  const entries = (policy?.entries ?? []).map((entry) => ({ ...entry, globs: globs(entry.match) }));
  const matching: Matching = remembered((path) => entries.filter(({ globs }) => globs.names(path)));
  return {
    ...lookedAt(read.patterns, policy, matching, new Set([...own.files, documents.policy?.name])),
    sourcesFor: sourcesOf(read, policy, matching, own),
    jobOf: (path, described = own) => ({
      baseModels: described.baseModels,
      beside: described.beside(path),
      inputs: described.inputs(path),
    }),
    budgetsFor: budgetsOf(read, policy, matching),
    undecided: policy?.defaults.hardware === undefined ? (policy?.machines ?? []) : [],
    ...read.choices,
    shown: read.shown,
  };
}

type Entry = Policy['entries'][number];
/** The policy's entries for a path, in the order of the file. */
type Matching = (path: string) => readonly Entry[];

/** Which files and folders are looked at. */
function lookedAt(
  patternList: readonly string[],
  policy: Policy | undefined,
  matching: Matching,
  /** Run descriptions and the policy, which are not model configs even where a pattern matches them. */
  rules: ReadonlySet<string | undefined>,
): Pick<Settings, 'matches' | 'named' | 'reach'> {
  const patterns = globs(patternList);
  const ignored = globs(policy?.ignore ?? []);
  const entered = (policy?.entries ?? []).flatMap(({ match }) => match);
  const positive = (patterns.positive ? patternList : entered).filter((pattern) => !pattern.startsWith('!'));
  const looked = remembered((path) => !ignored.covers(path) && !rules.has(path));
  return {
    matches: remembered((path) => looked(path) && matchesPatterns(path, patterns, matching(path).length > 0)),
    named: remembered((path) => looked(path) && (patterns.names(path) || matching(path).length > 0)),
    reach: (folder) => {
      if (coversAll(policy?.ignore ?? [], folder)) return 'none';
      if (reaches(positive, folder)) return 'named';
      return !patterns.positive && couldBeConfig(`${folder}config.json`) ? 'possible' : 'none';
    },
  };
}

/** Who states the run of a config, strongest first; a description that the change brings is scaled as the judges' own is. */
function sourcesOf(
  { strongest, calibrations }: Read,
  policy: Policy | undefined,
  matching: Matching,
  own: Description,
): Settings['sourcesFor'] {
  const usual = policy?.defaults.hardware;
  return (path, stated, described = own) => {
    const machine = matching(path).findLast(({ hardware }) => hardware !== undefined)?.hardware;
    const sources = (of: Description): readonly RunSource[] =>
      ofOneMachine([
        strongest,
        ...statedBy(of, path),
        ...machineSource(machine, calibrations),
        ...stated,
        { origin: 'policy', fields: of.defaults },
        ...(machine === undefined ? machineSource(usual, calibrations) : []),
      ]);
    const foreign = described.judged && claimsOf(described) !== claimsOf(own);
    return foreign ? withClaims(sources(described), sources(own)) : sources(described);
  };
}

/** Limits and waivers of a config: an input wins over the entries, the last entry over those before it. */
function budgetsOf(
  { memory, failOnIsInput, choices }: Read,
  policy: Policy | undefined,
  matching: Matching,
): Settings['budgetsFor'] {
  const waivers = (policy?.waivers ?? []).map((waiver) => ({ ...waiver, globs: globs(waiver.match) }));
  return (path) => {
    const scopes = matching(path);
    const failOn = scopes.findLast(({ failOn: stated }) => stated)?.failOn ?? choices.failOn;
    return {
      limits: merged([
        builtIn,
        ...(policy?.defaults.limits ?? []),
        ...scopes.flatMap(({ limits }) => limits),
        ...(memory === undefined ? [] : [memory]),
      ]),
      failOn: failOnIsInput ? choices.failOn : failOn,
      waivers: waivers.filter(({ globs }) => globs.names(path)),
    };
  };
}

/**
 * How the files of one commit say that its configs are trained. A file that cannot be read is reported and not replaced by a default.
 *
 * @param judged they come with the change that is judged
 */
export function describedBy(documents: Documents, judged = false): Described {
  if (documents.missing !== undefined && documents.missing.length > 0)
    return { kind: 'wrong', sentences: documents.missing };
  try {
    return describe(documents.run, policyIn(documents), judged);
  } catch (error) {
    if (error instanceof WrongSettings) return { kind: 'wrong', sentences: error.sentences };
    throw error;
  }
}

/** @throws WrongSettings where it cannot be followed */
export const policyIn = ({ policy, files }: Documents): Policy | undefined =>
  policy === undefined ? undefined : policyOf(policy, files ?? new Map());

function policyOf(file: NamedFile, files: ReadonlyMap<string, Uint8Array>): Policy {
  const draft = draftPolicy(file);
  const reading: PolicyReading = draft.kind === 'draft' ? draft.finish(files) : draft;
  if (reading.kind === 'read') return reading.policy;
  throw new WrongSettings(
    reading.problems.map(({ message }) => message),
    reading.problems[0]?.line,
  );
}

/** A pattern of the user's decides alone; without one, what could be a config and what the policy names. */
const matchesPatterns = (path: string, patterns: Globs, byPolicy: boolean): boolean =>
  patterns.positive ? patterns.names(path) : (couldBeConfig(path) || byPolicy) && !patterns.excludes(path);
