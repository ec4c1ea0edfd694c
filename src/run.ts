import { type Allowance, attribute } from './attribution/attribute.ts';
import type { Job } from './attribution/changes.ts';
import { type Calibrations, unusedMeasurements } from './cost/calibrations.ts';
import { adaptersOf } from './cost/count/lora.ts';
import { estimate } from './cost/engine.ts';
import { compare } from './gate/compare.ts';
import { judge } from './gate/judge.ts';
import { missedFinding, missedText } from './gate/missed.ts';
import type { Comparison, Finding, Review, Side, Verdict } from './gate/review.ts';
import { heldLimits } from './gate/rules.ts';
import { isConfig, isTold, type UnreadSide } from './gate/unread.ts';
import type { Architecture } from './model/architecture.ts';
import type { Unread } from './model/reading.ts';
import { adviceOn } from './plan/advice.ts';
import { memoryBudget } from './plan/question.ts';
import { claimsConfig, isCode, readConfig } from './read/config.ts';
import { recipePairs } from './read/recipes.ts';
import { type Described, differs } from './settings/describe.ts';
import { longestPath } from './settings/globs.ts';
import type { OtherRules } from './settings/proposal.ts';
import type { Settings } from './settings/settings.ts';
import { settleRun } from './setup/settle.ts';
import { hindrances } from './setup/startable.ts';
import { heldAgainstTip, lookedAt, matchesEither, trained } from './tip.ts';
import { type Changes, type ConfigPair, type ConfigSide, type Files, type InTime, untimed } from './world.ts';

/** The action's version: numbers may move with it (CHANGELOG). */
export const version = '0.1.0';

/**
 * The story of one run: read both sides of each config, estimate what could be read, compare, judge.
 *
 * @param others other versions of the rules: as this change would leave them, and as the base branch has them now
 * @param inTime the clock that bounds each config and the whole run
 */
export function review(
  changes: Changes,
  settings: Settings,
  today: string,
  progress: (message: string) => void = () => {},
  others: readonly OtherRules[] = [],
  inTime: InTime = untimed,
): Review {
  const moved = others.find(({ kind }) => kind === 'moved')?.settings;
  const parts: string[] = [];
  const judged = moved === undefined ? changes : lookedAt(changes, settings);
  const own = comparisonsOf(judged, settings, inTime, progress, {
    estimates: { left: mostEstimates },
    advice: { left: mostAdvised },
    parts,
  });
  const failOnOf = (path: string) =>
    [settings, ...(moved === undefined ? [] : [moved])]
      .map(({ budgetsFor }) => budgetsFor(path).failOn)
      .find((failOn) => failOn !== 'never') ?? 'never';
  const ofRun = [
    ...others.flatMap((rules) => brokenRules(rules, settings)),
    ...changes.missed.flatMap((missed) => missedFinding(missed, failOnOf)),
  ];
  const said = judge(own, settings.budgetsFor, today, ofRun).findings;
  const held = { comparisons: own, findings: said };
  const tip = heldAgainstTip(changes, settings, others, held, today, inTime, comparisonsOf);
  const comparisons = [...own, ...tip.comparisons];
  const verdict = judge(own, settings.budgetsFor, today, [...ofRun, ...tip.findings]);
  const proposal = others.find(({ kind }) => kind === 'proposed');
  return {
    comparisons,
    missed: changes.missed,
    verdict,
    ...(changes.base === undefined ? {} : { base: changes.base }),
    ...(changes.head === undefined ? {} : { head: changes.head }),
    settings: settings.shown,
    ...(proposal === undefined ? {} : { proposal: { name: proposal.name, change: proposal.change } }),
    notes: [
      ...changes.notes,
      ...tip.notes,
      ...others.flatMap((rules) => noteOn(rules, changes, verdict, settings, today, inTime)),
      ...comparisons.flatMap(noteOnMove),
      ...noteOnMachines(comparisons, settings),
      ...noteOnParts(parts),
    ],
    version,
  };
}

/**
 * A test for configs whose run the two sides describe differently, so that they are compared though their own text is the same.
 * undefined where neither side describes runs.
 */
export function trainedOtherwise(settings: Settings): ((path: string) => boolean) | undefined {
  const { runs } = settings;
  if (runs?.base.kind !== 'read' || runs.head.kind !== 'read' || !differs(runs.base, runs.head)) return undefined;
  return trained(settings, runs.base, runs.head);
}

function comparisonsOf(
  changes: Changes,
  settings: Settings,
  inTime: InTime,
  progress: (message: string) => void = () => {},
  allowances?: Allowances,
): readonly Comparison[] {
  const comparisons: Comparison[] = [];
  for (const [index, pair] of changes.pairs.entries()) {
    if (changes.pairs.length > 20 && index % 20 === 0) progress(`${index} of ${changes.pairs.length} configs`);
    for (const one of jobsIn(pair, inTime)) {
      const comparison = comparePair(one, settings, inTime, allowances);
      if (comparison !== undefined) comparisons.push(comparison);
    }
  }
  return comparisons;
}

/** The jobs that a pair of files states: a Python file may have a recipe for each of several. */
function jobsIn(pair: ConfigPair, inTime: InTime): readonly ConfigPair[] {
  // Setting a clock costs more than to see that there is but one.
  if (!isCode(pair.path)) return [pair];
  const timed = inTime(() => recipePairs(pair));
  return timed.kind === 'done' ? timed.result : [pair];
}

/** A change that breaks the policy fails, since every later change would fail. */
function brokenRules(rules: OtherRules, { failOn }: Settings): readonly Finding[] {
  if (rules.kind !== 'proposed' || rules.settings !== undefined) return [];
  return [
    {
      code: 'policy-broken',
      path: rules.name,
      severity: failOn === 'never' ? 'warn' : 'fail',
      ...(rules.line !== undefined && rules.problem?.startsWith(`${rules.name}:`) ? { line: rules.line } : {}),
      message: `This change leaves rules that cannot be followed: ${rules.problem}`,
    },
  ];
}

/** The verdict on the same configs under other rules, as a sentence, and the findings that differ. */
function noteOn(
  rules: OtherRules,
  changes: Changes,
  verdict: Verdict,
  held: Settings,
  today: string,
  inTime: InTime,
): readonly string[] {
  const { settings, configs } = rules;
  if (settings === undefined || rules.kind === 'moved') return [rules.sentence];
  const judged = (which: Changes, by: Settings) => {
    const pairs = inTime(() => which.pairs.filter((pair) => matchesEither(pair, by)));
    if (pairs.kind === 'late') return undefined;
    const comparisons = comparisonsOf({ ...which, pairs: pairs.result }, by, inTime);
    return { count: comparisons.length, verdict: judge(comparisons, by.budgetsFor, today) };
  };
  const here = judged(changes, settings);
  if (here === undefined) return [`${rules.sentence} What its globs mean for these configs takes too long to find.`];
  if (here.count > 0)
    return [`${rules.sentence} Under it ${outcomeText(here.verdict, verdict)}`, ...differing(here.verdict, verdict)];
  const all = configs && judged(configs, settings);
  if (configs === undefined || all === undefined || all.count === 0) return [rules.sentence];
  const now = judged(configs, held)?.verdict ?? verdict;
  const missed = missedText(configs.missed);
  const which = `${all.count === 1 ? 'the one model config' : `${missed === '' ? 'all ' : ''}${all.count} model configs`}`;
  return [
    `${rules.sentence} Held against ${which} of the head${missed === '' ? '' : ` (${missed})`}, ${outcomeText(all.verdict, now)}`,
    ...differing(all.verdict, now),
  ];
}

const outcomeText = (other: Verdict, now: Verdict) =>
  other.outcome === now.outcome
    ? `the verdict would be ${other.outcome} too.`
    : `the verdict would be ${other.outcome}, not ${now.outcome}.`;

/** Findings that other rules would add or change, in sentences. */
function differing(other: Verdict, now: Verdict): readonly string[] {
  const key = ({ path, severity, message }: Finding) => `${path}\n${severity}\n${message}`;
  const known = new Set(now.findings.map(key));
  const added = other.findings.filter((finding) => !known.has(key(finding)));
  const rest = added.length - mostDiffering;
  return [
    ...added.slice(0, mostDiffering).map(({ path, severity, message }) => `${severity}, ${path}: ${message}`),
    ...(rest > 0 ? [`and ${rest} more`] : []),
  ];
}

/** How many findings that other rules would add are named. */
const mostDiffering = 5;

/** A moved config is judged by the limits of its new path; a note says that other limits held for the old one. */
const noteOnMove = ({ path, previousPath, otherLimits }: Comparison): readonly string[] =>
  otherLimits === true ? [`${previousPath} is now ${path}, for which other limits hold than for its old name.`] : [];

/** A policy that has machines and leaves open which one is meant is told what was assumed instead. */
function noteOnMachines(comparisons: readonly Comparison[], { undecided }: Settings): readonly string[] {
  const assumed = comparisons.flatMap(({ path, head }) => {
    const settled = head?.estimate?.run;
    return settled?.origins['accelerator'] === 'default' ? [{ path, run: settled.run }] : [];
  });
  const [first, ...others] = assumed;
  if (undecided.length === 0 || first === undefined) return [];
  const configs = `${first.path}${others.length === 0 ? '' : ` and ${others.length} more`}`;
  return [
    `The policy has the machines ${undecided.slice(0, mostDiffering).join(', ')}${undecided.length > mostDiffering ? ', ...' : ''} and no defaults.hardware, so ${first.run.accelerator} was assumed for ${configs}: name the usual machine there, or one in an entry of configs.`,
  ];
}

/** A file that was named as a config and is none does not pass without a word. */
function noteOnParts(parts: readonly string[]): readonly string[] {
  const [first] = parts;
  if (first === undefined) return [];
  const subject = parts.length === 1 ? `${first} describes` : `${first} and ${parts.length - 1} more describe`;
  return [
    `${subject} a part of a folder of sentence-transformers or diffusers (a pooling, a list of modules, a scheduler) that is no language model: nothing was counted, although the file is named as a config.`,
  ];
}

function hasOtherLimits({ path, previousPath }: ConfigPair, { budgetsFor }: Settings): boolean {
  const limits = (name: string) => JSON.stringify(budgetsFor(name).limits);
  return previousPath !== undefined && limits(path) !== limits(previousPath);
}

/** undefined where the file was read, is not a model config, and the user did not name it. */
function comparePair(
  pair: ConfigPair,
  settings: Settings,
  inTime: InTime,
  allowances?: Allowances,
): Comparison | undefined {
  const { runs } = settings;
  // A run description is not a model config, unless it replaced one.
  if (pair.base === undefined && runs?.head.kind === 'read' && runs.head.files.includes(pair.path)) return undefined;
  const read = (
    side: ConfigSide,
    path: string,
    described: Described | undefined,
    files: Files,
    measured?: Calibrations,
  ): Whole => {
    const timed = inTime(() => readAs(side, path, settings, described, files, measured));
    return timed.kind === 'done' ? timed.result : { side: late(`The config ${timed.reason}.`) };
  };
  const { base: before, head: after } = pair.beside ?? { base: new Map(), head: new Map() };
  const old = pair.base && read(pair.base, pair.previousPath ?? pair.path, runs?.base, before);
  const measured = old?.side.estimate?.run.run ?? {};
  const now = pair.head && read(pair.head, pair.path, runs?.head, after, measured);
  const [base, head] = [old?.side, now?.side];
  // The change did not touch it, and it could not be read before either.
  const unreadable = base?.reading.kind === 'unread' && base.reading.way !== 'late';
  if (pair.base === pair.head && unreadable) return undefined;
  const named = settings.named(pair.path);
  // A pattern like **/config.json names such a part by accident.
  const component = head?.reading.kind === 'unread' && head.reading.way === 'component';
  if ((!named || component) && !concerns(base, head)) {
    if (named) allowances?.parts.push(pair.path);
    return undefined;
  }
  const comparison = compare({
    path: pair.path,
    named,
    ...(pair.previousPath === undefined ? {} : { previousPath: pair.previousPath }),
    ...(hasOtherLimits(pair, settings) ? { otherLimits: true } : {}),
    ...(base === undefined ? {} : { base }),
    ...(head === undefined ? {} : { head }),
    ...(head?.estimate === undefined
      ? {}
      : { limits: heldLimits(settings.budgetsFor(pair.path).limits, head.estimate) }),
  });
  if (allowances === undefined) return comparison;
  const advised = { ...comparison, ...adviceFor(comparison, now, settings, inTime, allowances.advice) };
  if (comparison.status !== 'changed' || old?.job === undefined || now?.job === undefined) return advised;
  const [from, to] = [old.job, now.job];
  const timed = inTime(() => attribute(comparison, from, to, allowances.estimates, measured));
  const attribution = timed.kind === 'done' ? timed.result : ({ kind: 'none', reason: 'it takes too long' } as const);
  return { ...advised, attribution };
}

/** A run near to the head's that fits, or is faster. Nobody is advised on a run that nobody described. */
function adviceFor(
  { path, status, head }: Comparison,
  now: Whole | undefined,
  settings: Settings,
  inTime: InTime,
  allowance: { left: number },
): Pick<Comparison, 'advice'> {
  const [architecture, cost] = [now?.architecture, head?.estimate];
  if (architecture === undefined || cost === undefined || status === 'unchanged' || allowance.left === 0) return {};
  const budget = memoryBudget(settings.budgetsFor(path).limits, cost);
  const described = (cost.run.origins['gpus'] ?? 'default') !== 'default';
  if (budget === undefined || !described) return {};
  allowance.left -= 1;
  const timed = inTime(() => adviceOn(architecture, cost, budget, settings.hints));
  return timed.kind === 'done' && timed.result !== undefined ? { advice: timed.result } : {};
}

/** So many estimates a run takes to say what each change moved: a hundred configs with six changed fields, some seconds. */
const mostEstimates = 6_400;

/** One side, and what it was estimated from where it could be. */
type Whole = { readonly side: Side; readonly job?: Job; readonly architecture?: Architecture };

/**
 * What a run may spend beyond its verdict: on what each change moved, and on searches for runs that are better. `parts` collects
 * the files that were named as configs and are parts of something else.
 */
type Allowances = { readonly estimates: Allowance; readonly advice: { left: number }; readonly parts: string[] };
/** So many configs get advice, the first ones; a search takes up to a second. */
const mostAdvised = 3;

const late = (message: string): Side =>
  unread({ kind: 'unread', way: 'late', problems: [{ severity: 'error', message }] }, true);

/** One side, under the run that its own commit describes. If that run cannot be read, the cost is unknown. */
function readAs(
  side: ConfigSide,
  path: string,
  settings: Settings,
  described: Described | undefined,
  files: Files,
  measured?: Calibrations,
): Whole {
  const description = described?.kind === 'read' ? described : undefined;
  const own: SideSettings = {
    sourcesFor: (name, stated) => settings.sourcesFor(name, stated, description),
    jobOf: (name) => settings.jobOf(name, description),
  };
  const found = readWhole(side, path, own, measured, files);
  const { reading } = found.side;
  if (described?.kind !== 'wrong' || reading.kind === 'unread') return found;
  const message = `How it is trained cannot be read: ${described.sentences.join(' ')}`;
  const problems = [{ severity: 'error' as const, message }];
  return { side: unread({ kind: 'unread', way: 'run-unread', format: reading.format, problems }, true) };
}

type SideSettings = Pick<Settings, 'sourcesFor' | 'jobOf'>;

/** Whether a pair is compared: a side is a model config, or the head could be one and cannot be read. */
function concerns(base: Side | undefined, head: Side | undefined): boolean {
  // A file that exceeded the deadline is treated as a config, so that slowness cannot hide one.
  const isOne = ({ reading }: Side) =>
    reading.kind === 'read' || (isTold(reading.way) && (reading.format !== undefined || reading.way === 'late'));
  if ([base, head].some((side) => side !== undefined && isOne(side))) return true;
  return head?.reading.kind === 'unread' && isTold(head.reading.way);
}

/**
 * Reads one side, settles its run and estimates its cost. What fails becomes a sentence, and the other configs go on.
 *
 * @param measured what scales the side that it is a change of; undefined where it is no change
 * @param files that its job refers to, as far as they are known
 */
export const readSide = (
  side: ConfigSide,
  path: string,
  settings: SideSettings,
  measured?: Calibrations,
  files: Files = new Map(),
): Side => readWhole(side, path, settings, measured, files).side;

function readWhole(
  side: ConfigSide,
  path: string,
  settings: SideSettings,
  measured: Calibrations | undefined,
  files: Files,
): Whole {
  const refused = (way: Unread, message: string, start?: Uint8Array) => {
    const claims = claimsConfig(path, start);
    const problems = [{ severity: 'error' as const, message }];
    return {
      side: unread({ kind: 'unread', way: isAnyCode(path, way, claims) ? 'no-config' : way, problems }, claims),
    };
  };
  if (side.kind === 'refused') return refused(side.why, side.reason, side.start);
  if (path.length > longestPath)
    return refused(
      'long-name',
      `Its name has ${path.length} characters; configs with names of more than ${longestPath} are not read.`,
      side.bytes,
    );
  const reading = readConfig(side.bytes, path, { known: files, ...settings.jobOf(path) });
  if (reading.kind === 'unread') return { side: unread(reading, claimsConfig(path, side.bytes)) };
  const sources = settings.sourcesFor(path, reading.run);
  const settling = settleRun(sources, reading.architecture);
  if (settling.kind === 'unsettled') {
    const problems = [...settling.problems, ...reading.problems];
    return { side: unread({ kind: 'unread', way: 'impossible', format: reading.format, problems }, true) };
  }
  const found = estimate(reading.architecture, settling.settled, measured);
  // NaN compares as false with every limit, so it would pass any budget.
  if (![found.memory.device, found.parameters.total, found.flops.training].every(Number.isFinite)) {
    const message = 'The cost of this config comes out as no number; its sizes do not go together.';
    const problems = [{ severity: 'error' as const, message }, ...reading.problems];
    return { side: unread({ kind: 'unread', way: 'impossible', format: reading.format, problems }, true) };
  }
  const { architecture, keys, ...told } = reading;
  return {
    architecture,
    job: { keys, sources, settled: settling.settled },
    side: {
      reading: { ...told, family: architecture.family },
      estimate: {
        ...found,
        assumptions: [...reading.assumptions, ...settling.assumptions],
        problems: [
          ...settling.problems,
          ...unusedMeasurements(found),
          ...hindrances(settling, reading.architecture, adaptersOf(found), reading.format, path),
        ],
      },
    },
  };
}

/** Code that could not be opened and that nothing marks as a training: a repository has thousands of such files. */
const isAnyCode = (path: string, way: Unread, claims: boolean): boolean =>
  isCode(path) && !claims && isConfig(way, true) && !isConfig(way, false);

const unread = (reading: UnreadSide['reading'], byItsLooks: boolean): Side => ({
  reading,
  ...(isConfig(reading.way, byItsLooks) ? { claimed: true } : {}),
});
