import { judge } from './gate/judge.ts';
import type { Comparison, Finding } from './gate/review.ts';
import { isMoved, type Merged, mergedJob } from './read/merged.ts';
import { type Described, type Description, differs } from './settings/describe.ts';
import type { OtherRules } from './settings/proposal.ts';
import type { Runs, Settings } from './settings/settings.ts';
import { fileOf } from './text/job-name.ts';
import type { Changes, Commit, ConfigPair, ConfigSide, Files, InTime } from './world.ts';

/** What the base branch's tip adds to a verdict on a branch that began before it. */
export type Standing = {
  readonly findings: readonly Finding[];
  /** Configs that only the tip's rules look at. */
  readonly comparisons: readonly Comparison[];
  readonly notes: readonly string[];
};

export type CompareAll = (changes: Changes, settings: Settings, inTime: InTime) => readonly Comparison[];

/**
 * Judges a change by the base branch as it is now. The rules of its tip bind as well as those of the merge base, since both are
 * trusted; where both sides changed the same job, the merge of both is judged. Findings that the merge base's rules already gave
 * are not repeated.
 *
 * @param held what was found by the rules of the merge base
 */
export function heldAgainstTip(
  changes: Changes,
  settings: Settings,
  others: readonly OtherRules[],
  held: { readonly comparisons: readonly Comparison[]; readonly findings: readonly Finding[] },
  today: string,
  inTime: InTime,
  compareAll: CompareAll,
): Standing {
  const { tip } = changes;
  if (tip === undefined) return { findings: [], comparisons: [], notes: [] };
  const runs = settings.runs && runsAtTip(settings.runs);
  const at = (by: Settings): Settings => (runs === undefined ? by : { ...by, runs });
  const rules = others.find(({ kind }) => kind === 'moved')?.settings;
  const byTip = rules === undefined ? [] : compareAll(lookedAt(changes, rules), at(rules), inTime);
  const configs = configsOf([...held.comparisons, ...byTip]);
  const files = new Set([...configs].map(fileOf));
  const pairs = changes.pairs.filter(({ path }) => files.has(path));
  const merge = mergeOf({ ...changes, pairs }, settings, runs, tip, inTime);
  const verdicts = [settings, ...(rules === undefined ? [] : [rules])].flatMap((by) => {
    const merged = compareAll(lookedAt({ ...changes, pairs: merge.pairs }, by), at(by), inTime);
    return judge(merged, by.budgetsFor, today).findings.map((finding) => mergedWith(finding, tip));
  });
  const strict = rules === undefined ? [] : judge(byTip, rules.budgetsFor, today).findings;
  const all = [...strict.map((finding) => ruledBy(finding, tip)), ...verdicts, ...merge.unmerged];
  return {
    findings: unsaid(all, held.findings),
    comparisons: byTip.filter(({ path }) => !configsOf(held.comparisons).has(path)),
    notes: merge.notes,
  };
}

/** The name under which a change found a file, which the tip may still have. */
export const beganAs = ({ path, previousPath }: ConfigPair): string => previousPath ?? path;

/** The files of a pair that the tip may have otherwise: its own, and those that its job refers to. */
export const filesOf = (pair: ConfigPair): readonly string[] => [beganAs(pair), ...partsOf(pair)];

const partsOf = ({ beside }: ConfigPair): readonly string[] => [
  ...new Set([...(beside?.base.keys() ?? []), ...(beside?.head.keys() ?? [])]),
];

/**
 * The changes with what the tip has of each file, where that is not what the change began from or what it comes to.
 *
 * @param theirs what the tip has of the files that changed there, by path; undefined where one is gone
 */
export function withTheirs(changes: Changes, theirs: Files): Changes {
  const moved = (path: string, base: ConfigSide | undefined, head: ConfigSide | undefined) =>
    theirs.has(path) && !same(theirs.get(path), base) && !same(theirs.get(path), head);
  const pairs = changes.pairs.map((pair): ConfigPair => {
    const { base, head, beside } = pair;
    const own = beganAs(pair);
    const parts = partsOf(pair).filter((path) => moved(path, beside?.base.get(path), beside?.head.get(path)));
    return {
      ...pair,
      ...(moved(own, base, head) ? { tip: theirs.get(own) ?? { kind: 'absent' } } : {}),
      ...(parts.length === 0 ? {} : { besideTip: new Map(parts.map((path) => [path, theirs.get(path)])) }),
    };
  });
  return { ...changes, pairs };
}

function same(one: ConfigSide | undefined, other: ConfigSide | undefined): boolean {
  if (one?.kind === 'bytes' && other?.kind === 'bytes') return Buffer.compare(one.bytes, other.bytes) === 0;
  if (one?.kind === 'refused' && other?.kind === 'refused') return one.reason === other.reason;
  return one === other;
}

const configsOf = (comparisons: readonly Comparison[]): ReadonlySet<string> =>
  new Set(comparisons.map(({ path }) => path));

/** The files of a change that the given rules look at. */
export const lookedAt = (changes: Changes, settings: Settings): Changes => ({
  ...changes,
  pairs: changes.pairs.filter((pair) => matchesEither(pair, settings)),
});

/** The patterns match the path or the one that it was renamed from. */
export const matchesEither = ({ path, previousPath }: ConfigPair, { matches }: Settings): boolean =>
  matches(path) || (previousPath !== undefined && matches(previousPath));

/** How models are trained once the change is merged: as the tip says, unless the change says otherwise. */
function runsAtTip(runs: Runs): Runs {
  const { base, head, tip } = runs;
  if (!otherwise(base, tip)) return runs;
  return { base: tip ?? base, head: otherwise(base, head) ? head : (tip ?? head) };
}

const otherwise = (one: Described, other: Described | undefined): boolean =>
  one.kind === 'read' && other?.kind === 'read' && differs(one, other);

/** Findings that were not reported yet; for each limit only the first of the highest severity. */
function unsaid(findings: readonly Finding[], said: readonly Finding[]): readonly Finding[] {
  const key = ({ path, metric, code, limit, severity }: Finding) =>
    JSON.stringify([path, metric ?? code, limit, severity]);
  const known = new Set(said.map(key));
  return findings.filter((finding) => {
    const fresh = !known.has(key(finding));
    known.add(key(finding));
    return fresh;
  });
}

const short = ({ sha, label }: Commit) => `${label} at ${sha.slice(0, 12)}`;

const ruledBy = (finding: Finding, tip: Commit): Finding => ({
  ...finding,
  from: { what: 'tip', commit: tip.sha },
  message: `${finding.message} This rule is of ${short(tip)}, and stricter than where this branch began.`,
});

const mergedWith = ({ line: _, ...finding }: Finding, tip: Commit): Finding => ({
  ...finding,
  from: { what: 'merge', commit: tip.sha },
  message: `Merged with ${short(tip)}, which changed the same job: ${finding.message}`,
});

type Merge = {
  readonly pairs: readonly ConfigPair[];
  readonly unmerged: readonly Finding[];
  readonly notes: readonly string[];
};

/** Each job that both sides changed, as the merge would leave it, compared with the tip. */
function mergeOf(changes: Changes, settings: Settings, runs: Runs | undefined, tip: Commit, inTime: InTime): Merge {
  const retrained = trained(settings, settings.runs?.base, runs?.base);
  const touched = new Set(changes.touched);
  const described = runs?.head.kind === 'read' ? runs.head : undefined;
  const parts = changes.pairs.map((pair): Merge => {
    if (!isMoved(pair, retrained(beganAs(pair)))) return nothing;
    const timed = inTime(() => {
      const merged = mergedJob(pair, retrained(beganAs(pair)), touched, (path) => settings.jobOf(path, described));
      return mergeFrom(merged, pair.path, tip);
    });
    return timed.kind === 'done' ? timed.result : unmerged(pair.path, tip, `it ${timed.reason}`);
  });
  return {
    pairs: parts.flatMap(({ pairs }) => pairs),
    unmerged: parts.flatMap(({ unmerged }) => unmerged),
    notes: parts.flatMap(({ notes }) => notes),
  };
}

/** Whether two descriptions train a config differently. */
export function trained(
  { sourcesFor, jobOf }: Settings,
  one: Described | undefined,
  other: Described | undefined,
): (path: string) => boolean {
  if (one?.kind !== 'read' || other?.kind !== 'read' || !differs(one, other)) return () => false;
  const fields = (path: string, described: Description) => {
    const { beside, inputs } = jobOf(path, described);
    return JSON.stringify([sourcesFor(path, [], described).map(({ fields: stated }) => stated), beside, inputs]);
  };
  return (path) => fields(path, one) !== fields(path, other);
}

const nothing: Merge = { pairs: [], unmerged: [], notes: [] };

const unmerged = (path: string, tip: Commit, reason: string): Merge => ({
  ...nothing,
  unmerged: [
    {
      code: 'not-merged',
      path,
      severity: 'warn',
      from: { what: 'merge', commit: tip.sha },
      message: `${short(tip)} changed this job, too, and what both changes cost together was not looked at: ${reason}.`,
    },
  ],
});

function mergeFrom(merged: Merged, path: string, tip: Commit): Merge {
  if (merged.kind === 'alike') return nothing;
  if (merged.kind === 'unmerged') return unmerged(path, tip, merged.reason);
  const both = merged.conflicts.slice(0, 5).join(', ');
  return {
    ...nothing,
    pairs: [merged.pair],
    notes:
      both === ''
        ? []
        : [`${path}: ${short(tip)} and this change both set ${both}; the merge is judged with this change's values.`],
  };
}
