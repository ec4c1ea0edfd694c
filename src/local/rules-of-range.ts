import { settingsOf } from '../calibrate.ts';
import { type Inputs, misnamedPath, policyPath } from '../settings/inputs.ts';
import { moved, type OtherRules, proposed } from '../settings/proposal.ts';
import { type Documents, describedBy, misnamedPolicy, type Runs } from '../settings/settings.ts';
import type { ConfigSide } from '../world.ts';
import { inRepository, type Range, readAt } from './git.ts';
import { described, type Named, policyFrom, rulesHere } from './rules.ts';

/** What a comparison of revisions is judged by, and how each side says that its configs are trained. */
type Rules = {
  readonly held: Documents;
  readonly runs: Runs;
  readonly others: readonly OtherRules[];
  readonly notes: readonly string[];
};

/**
 * The rules for a comparison of revisions, as the action takes them: the policy as the merge base has it, so that a change is not
 * judged by what it brings itself, and that of the revision which the change would go into. A policy that only exists on the disk
 * is taken on trial, and the reader is told.
 */
export function rulesOf(inputs: Inputs, named: Named, range: Range): Rules {
  const { base, head, tip } = range;
  const { policy } = named;
  const run = descriptions(named, range);
  const path = policy === undefined ? policyPath : inRepository(range.top, policy);
  const read = (commit: string | undefined) => (name: string) => readAt(range.top, commit, name);
  const at = (commit: string | undefined) => (path === undefined ? {} : policyFrom(read(commit), path));
  const tried = policy !== undefined && at(base.commit).policy === undefined ? rulesHere({ policy }) : undefined;
  const held = { ...(tried ?? { ...at(base.commit), commit: base.commit }), ...run.base };
  const now = { ...(tried ?? at(head.commit)), ...run.head };
  const later = tip === undefined ? undefined : { ...(tried ?? at(tip.commit)), ...run.tip };
  const others = [
    tried === undefined ? proposed(settingsOf, inputs, held, now, 'once it is the base') : undefined,
    later === undefined || tip === undefined ? undefined : moved(settingsOf, inputs, held, later, tip.label),
  ];
  const misnamed =
    policy === undefined && read(head.commit)(misnamedPath) !== undefined
      ? misnamedPolicy(held, { misnamed: misnamedPath })
      : undefined;
  return {
    held,
    runs: {
      base: describedBy(held),
      head: describedBy(now, true),
      ...(later === undefined ? {} : { tip: describedBy(later) }),
    },
    others: others.filter((one) => one !== undefined),
    notes: [
      ...(misnamed === undefined ? [] : [misnamed]),
      ...(tried === undefined
        ? []
        : [`The policy ${policy} does not exist at ${base.commit.slice(0, 12)}; the file as it is now was tried.`]),
      ...run.notes,
    ],
  };
}

type RunFile = Pick<Documents, 'run' | 'missing'>;

/** The run description of each state, and what a reader should know of them. */
type RunFiles = {
  readonly base: RunFile;
  readonly head: RunFile;
  readonly tip: RunFile;
  readonly notes: readonly string[];
};

const unnamed: RunFiles = { base: {}, head: {}, tip: {}, notes: [] };

/**
 * The run descriptions of both sides. A file that the repository holds is read as each side has it; any other is the user's own,
 * and stands for both.
 */
function descriptions({ run, baseRun, headRun }: Named, range: Range): RunFiles {
  const shared = run === undefined ? unnamed : sharedRun(run, range);
  const base = baseRun === undefined ? undefined : described(baseRun);
  return {
    base: base ?? shared.base,
    head: headRun === undefined ? shared.head : described(headRun),
    tip: base ?? shared.tip,
    notes: baseRun === undefined || headRun === undefined ? shared.notes : [],
  };
}

function sharedRun(name: string, { top, base, head, tip }: Range): RunFiles {
  const path = inRepository(top, name);
  const at = (commit: string | undefined) => (path === undefined ? undefined : readAt(top, commit, path));
  const [before, after] = [at(base.commit), at(head.commit)];
  if (before === undefined) {
    const all = after === undefined || head.commit === undefined ? described(name) : fileAt(name, after, head.label);
    const note = `The run description ${name} does not exist at ${base.commit.slice(0, 12)}; it stands for both sides.`;
    return { base: all, head: all, tip: all, notes: path === undefined ? [] : [note] };
  }
  const began = fileAt(name, before, base.label);
  return {
    base: began,
    head: fileAt(name, after, head.label),
    tip: tip === undefined ? began : fileAt(name, at(tip.commit), tip.label),
    notes: [],
  };
}

function fileAt(name: string, side: ConfigSide | undefined, label: string): RunFile {
  if (side === undefined) return { missing: [`The run description ${name} does not exist at ${label}.`] };
  return side.kind === 'bytes' ? { run: { name, bytes: side.bytes } } : { missing: [side.reason] };
}
