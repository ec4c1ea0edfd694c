import { acceleratorIds } from '../facts/accelerators.ts';
import type { Budgets, Limit } from '../gate/rules.ts';
import type { RunSource } from '../model/run.ts';
import { couldBeConfig } from '../read/config.ts';
import type { JobContext } from '../read/job.ts';
import { dollars, exact, gib } from '../report/format.ts';
import { beginningWith, didYouMean } from '../text/nearest.ts';
import { parseAmount } from './amounts.ts';
import { calibrate } from './calibrate.ts';
import { claimsOf, type Described, type Description, describe, statedBy, withClaims } from './describe.ts';
import { type Globs, globs, remembered } from './globs.ts';
import { draftPolicy, type Hardware, type NamedFile, type Policy, type PolicyReading } from './policy.ts';
import { coversAll, reaches } from './reach.ts';

/** What the user wants of a run of the gate, with where each value came from. */
export type Settings = {
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
  readonly failOn: Budgets['failOn'];
  readonly baseline: string;
  readonly comment: CommentMode;
  readonly commentKey: string;
  readonly overrideLabel: string | undefined;
  readonly dryRun: boolean;
  readonly shown: readonly { readonly name: string; readonly value: string; readonly origin: string }[];
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

export type CommentMode = 'changes' | 'always' | 'failures' | 'never';

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

export type Inputs = Readonly<Record<string, string>>;

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

export const policyPath = '.github/model-cost.yml';

/** Every input with its default, for `action.yml`, the README and the check of names. */
export const inputDefaults: Readonly<Record<string, string>> = {
  policy: policyPath,
  configs: 'every changed file that a format recognises by content',
  run: '',
  accelerator: 'h100-sxm-80gb',
  gpus: '8',
  'memory-budget': '100%',
  'fail-on': 'over-budget',
  baseline: 'merge-base',
  comment: 'changes',
  'comment-key': 'default',
  'override-label': '',
  'dry-run': 'false',
};

/** Other files that a policy names, to be read beside it; none where it cannot be read. */
export function filesNamedBy(policy: NamedFile): readonly string[] {
  const draft = draftPolicy(policy);
  return draft.kind === 'draft' ? draft.files : [];
}

const one = <Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
  wrong: string[],
): Choice | undefined => {
  const found = choices.find((choice) => choice === value);
  if (found === undefined)
    wrong.push(
      `The input ${name} is "${value.slice(0, 60)}", but must be one of ${choices.join(', ')}.${didYouMean(value, choices)}`,
    );
  return found;
};

/**
 * Raw inputs and the files they name to settings. An input wins over the policy, the policy over the default. The run of a
 * config is put together from the inputs `accelerator` and `gpus`, the input `run`, the policy's entries for it, what the
 * config itself states, and the policy's defaults, in this order.
 *
 * @throws WrongSettings with one sentence for each mistake
 */
export function settingsFrom(inputs: Inputs, documents: Documents = {}): Settings {
  const wrong: string[] = [...(documents.missing ?? [])];
  if (wrong.length > 0) throw new WrongSettings(wrong);
  const policy = policyIn(documents);
  const shown: { name: string; value: string; origin: string }[] = [];
  const given = (name: string, policyValue?: string, input = inputs[name]?.trim() ?? '') => {
    const value = input !== '' ? input : policyValue;
    const origin = input !== '' ? 'input' : value !== undefined ? 'policy' : 'default';
    if (inputDefaults[name] !== '' || value !== undefined)
      shown.push({ name, value: value ?? inputDefaults[name] ?? '', origin });
    return value;
  };
  const input = (name: string) => inputs[name]?.trim() || undefined;
  if (policy !== undefined)
    shown.push({
      name: 'policy',
      value: policy.name + (documents.commit === undefined ? '' : ` at ${documents.commit.slice(0, 12)}`),
      origin: input('policy') === undefined ? 'default' : 'input',
    });
  const machine = policy?.defaults.hardware;
  const patternList = (given('configs') ?? '').split('\n').flatMap((pattern) => pattern.trim() || []);
  const patterns = globs(patternList);
  const ignored = globs(policy?.ignore ?? []);
  if (policy !== undefined && policy.ignore.length > 0)
    shown.push({ name: 'ignore', value: policy.ignore.join(', '), origin: 'policy' });
  const entries = (policy?.entries ?? []).map((entry) => ({ ...entry, globs: globs(entry.match) }));
  const stated = input('accelerator');
  const accelerator = stated === undefined ? undefined : acceleratorOf(stated);
  given('accelerator', machine?.fields.accelerator, accelerator);
  if (accelerator !== undefined && !acceleratorIds.some((id) => id === accelerator)) {
    wrong.push(
      `The input accelerator is "${accelerator.slice(0, 60)}", which is not in the table.${didYouMean(accelerator, acceleratorIds) || ' See `model-cost list accelerators`.'}`,
    );
  }
  given('gpus', machine?.fields.gpus?.toString());
  const gpusText = input('gpus');
  const gpus = gpusText === undefined ? undefined : Number(gpusText);
  if (gpus !== undefined && !(Number.isInteger(gpus) && gpus >= 1 && gpus <= 1e7))
    wrong.push(`The input gpus is "${gpusText?.slice(0, 60)}", but must be a whole number from 1 on.`);
  const calibrations = calibrationsOf(policy, wrong);
  if (machine !== undefined)
    shown.push({ name: 'hardware', value: machineText(machine, calibrations.get(machine.name)), origin: 'policy' });
  given('memory-budget', memoryText(policy?.defaults.limits));
  const memoryInput = input('memory-budget');
  const memory = memoryInput === undefined ? undefined : memoryLimit(memoryInput, wrong);
  const failOnInput = input('fail-on');
  const failOnShown = given('fail-on', policy?.defaults.failOn);
  const failOn =
    one('fail-on', failOnShown ?? 'over-budget', ['over-budget', 'increase', 'never'], wrong) ?? 'over-budget';
  const baseline = given('baseline', policy?.defaults.baseline) ?? 'merge-base';
  if (!['merge-base', 'base-tip'].includes(baseline) && !/^[0-9a-f]{7,40}$/i.test(baseline))
    wrong.push(`The input baseline is "${baseline.slice(0, 60)}", but must be merge-base, base-tip or a commit.`);
  const comment =
    one(
      'comment',
      given('comment', policy?.defaults.comment) ?? 'changes',
      ['changes', 'always', 'failures', 'never'],
      wrong,
    ) ?? 'changes';
  const commentKey = given('comment-key') ?? 'default';
  if (!/^[\w.-]{1,60}$/.test(commentKey))
    wrong.push('The input comment-key may have letters, digits, ".", "_" and "-" only, at most 60.');
  const overrideLabel = given('override-label', policy?.defaults.overrideLabel);
  const dryRun = one('dry-run', given('dry-run') ?? 'false', ['true', 'false'], wrong) === 'true';
  const own = describe(documents.run, policy);
  if (own.kind === 'wrong') wrong.push(...own.sentences);
  if (wrong.length > 0 || own.kind === 'wrong') throw new WrongSettings(wrong);

  const strongest: RunSource = {
    origin: 'input',
    fields: { ...(accelerator === undefined ? {} : { accelerator }), ...(gpus === undefined ? {} : { gpus }) },
  };
  const matching = remembered((path) => entries.filter(({ globs }) => globs.names(path)));
  // Run descriptions and the policy are not model configs, even where a pattern matches them.
  const rules = new Set([...own.files, documents.policy?.name]);
  const looked = remembered((path) => !ignored.covers(path) && !rules.has(path));
  const named = remembered((path) => looked(path) && (patterns.names(path) || matching(path).length > 0));
  const waivers = (policy?.waivers ?? []).map((waiver) => ({ ...waiver, globs: globs(waiver.match) }));
  return {
    matches: remembered((path) => looked(path) && matchesPatterns(path, patterns, matching(path).length > 0)),
    named,
    reach: (folder) => {
      if (coversAll(policy?.ignore ?? [], folder)) return 'none';
      const wanted = patterns.positive ? patternList : entries.flatMap(({ match }) => match);
      const positive = wanted.filter((pattern) => !pattern.startsWith('!'));
      if (reaches(positive, folder)) return 'named';
      return !patterns.positive && couldBeConfig(`${folder}config.json`) ? 'possible' : 'none';
    },
    sourcesFor: (path, stated, described = own) => {
      const machineOf = matching(path).findLast(({ hardware }) => hardware !== undefined)?.hardware;
      const sources = (of: Description): readonly RunSource[] =>
        ofOneMachine([
          strongest,
          ...statedBy(of, path),
          ...machineSource(machineOf, calibrations),
          ...stated,
          { origin: 'policy', fields: of.defaults },
          ...(machineOf === undefined ? machineSource(machine, calibrations) : []),
        ]);
      const foreign = described.judged && claimsOf(described) !== claimsOf(own);
      return foreign ? withClaims(sources(described), sources(own)) : sources(described);
    },
    jobOf: (path, described = own) => ({
      baseModels: described.baseModels,
      beside: described.beside(path),
      inputs: described.inputs(path),
    }),
    budgetsFor: (path) => {
      const scopes = matching(path);
      return {
        limits: merged([
          builtIn,
          ...(policy?.defaults.limits ?? []),
          ...scopes.flatMap(({ limits }) => limits),
          ...(memory === undefined ? [] : [memory]),
        ]),
        failOn:
          failOnInput !== undefined ? failOn : (scopes.findLast(({ failOn: stated }) => stated)?.failOn ?? failOn),
        waivers: waivers.filter(({ globs }) => globs.names(path)),
      };
    },
    failOn,
    baseline,
    comment,
    commentKey,
    overrideLabel,
    dryRun,
    shown,
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

// --- Limits -----------------------------------------------------------------------------------------------------------

/** The default limit: the accelerator's usable memory. */
const builtIn: Limit = {
  metric: 'memory',
  bound: 'max',
  amount: { kind: 'share', share: 1 },
  severity: 'fail',
  origin: 'default',
};

/** The only accelerator of a family may be named by it: `h200` for `h200-sxm-141gb`. */
function acceleratorOf(word: string): string {
  const wanted = word.toLowerCase();
  if (acceleratorIds.some((id) => id === wanted)) return wanted;
  const [only, ...others] = beginningWith(word, acceleratorIds);
  return only === undefined || others.length > 0 ? word : only;
}

/** One limit for each metric, bound and severity: the last that is stated. */
const merged = (limits: readonly Limit[]): readonly Limit[] => [
  ...new Map(limits.map((limit) => [`${limit.metric} ${limit.bound} ${limit.severity}`, limit])).values(),
];

function memoryText(limits: readonly Limit[] = []): string | undefined {
  const amount = limits.find(
    ({ metric, bound, severity }) => metric === 'memory' && bound === 'max' && severity === 'fail',
  )?.amount;
  if (amount === undefined) return undefined;
  return amount.kind === 'share' ? `${Number((100 * amount.share).toFixed(2))}%` : gib(amount.value);
}

/** `80GB`, `72GiB`, `90%` of the accelerator's usable memory. */
function memoryLimit(text: string, wrong: string[]): Limit {
  const amount = parseAmount(text, 'bytes', 'value');
  if (amount !== undefined && (amount.kind === 'share' ? amount.share : amount.value) > 0)
    return { ...builtIn, amount, origin: 'input' };
  wrong.push(
    `The input memory-budget is "${text.slice(0, 60)}", but must be an amount like 80GB or 72GiB, or a share like 90%, at most 100%.`,
  );
  return builtIn;
}

// --- Machines ---------------------------------------------------------------------------------------------------------

type Calibrations = ReadonlyMap<
  string,
  { readonly ratio: number; readonly measured: number; readonly projected: number }
>;

/** What the measured runs of the machines that some config uses say of the projections. */
function calibrationsOf(policy: Policy | undefined, wrong: string[]): Calibrations {
  const found = new Map<string, { ratio: number; measured: number; projected: number }>();
  for (const { hardware } of policy === undefined ? [] : [policy.defaults, ...policy.entries]) {
    if (hardware === undefined || found.has(hardware.name)) continue;
    const calibration = calibrate(hardware);
    if (calibration?.kind === 'ratio') found.set(hardware.name, calibration);
    if (calibration?.kind === 'wrong') wrong.push(calibration.sentence);
  }
  return found;
}

function machineSource(machine: Hardware | undefined, calibrations: Calibrations): readonly RunSource[] {
  if (machine === undefined) return [];
  const calibration = calibrations.get(machine.name)?.ratio;
  const fields = { ...machine.fields, ...(calibration === undefined ? {} : { calibration }) };
  return [{ origin: 'policy', fields, machine: true }];
}

/** A machine's price, network and calibration belong to its accelerator, so they are dropped where a stronger source names another one. */
function ofOneMachine(sources: readonly RunSource[]): readonly RunSource[] {
  const accelerator = sources.find(({ fields }) => fields.accelerator !== undefined)?.fields.accelerator;
  return sources.filter(({ machine, fields }) => machine !== true || fields.accelerator === accelerator);
}

function machineText(machine: Hardware, calibration: ReturnType<Calibrations['get']>): string {
  const { pricePerGpuHour: price, powerCapWatts: cap } = machine.fields;
  const stated = machine.fields.calibration;
  return [
    machine.name,
    ...(price === undefined ? [] : [`${dollars(price)} per GPU and hour`]),
    ...(cap === undefined ? [] : [`capped at ${cap} W`]),
    ...(stated === undefined ? [] : [`calibrated by ${stated}`]),
    ...(calibration === undefined
      ? []
      : [
          `calibrated by ${calibration.ratio.toFixed(2)} (${exact(calibration.measured)} tokens/s measured, ${exact(calibration.projected)} projected)`,
        ]),
  ].join('; ');
}
