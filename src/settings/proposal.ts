import { type Changes, type InTime, untimed } from '../world.ts';
import { claimsOf, differs as describesOtherwise } from './describe.ts';
import type { Inputs } from './inputs.ts';
import { type Documents, describedBy, policyIn, type ReadSettings, type Settings, WrongSettings } from './settings.ts';

/**
 * Rules other than those of the merge base: those that the change itself would bring, which are only shown, and those that the
 * base branch has now, which bind too. `settings` is undefined where they cannot be read.
 */
export type OtherRules = {
  readonly kind: 'proposed' | 'moved';
  /** The file that differs. */
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly sentence: string;
  readonly settings: Settings | undefined;
  readonly problem?: string;
  readonly line?: number;
  /** Every config of the head, where the change itself touches none: what the rules would say of them. */
  readonly configs?: Changes;
};

/** The rules after this change, or undefined where it does not change them. */
export function proposed(
  read: ReadSettings,
  inputs: Inputs,
  held: Documents,
  now: Documents,
  when: string,
  inTime: InTime = untimed,
): OtherRules | undefined {
  const differing = differs(held, now);
  if (differing === undefined) return undefined;
  const { name, change } = differing;
  const verb = { added: 'adds', changed: 'edits', removed: 'removes' }[change];
  return {
    kind: 'proposed',
    ...differing,
    sentence: `This change ${verb} ${name}. That takes effect ${when}: here the rules of the base hold.${runsDiffer(held, now) ? ' How models are trained is read from the change itself.' : ''}`,
    ...tried(read, inputs, now, inTime),
  };
}

/** The rules of the base branch's tip, where they changed after the merge base. */
export function moved(
  read: ReadSettings,
  inputs: Inputs,
  held: Documents,
  tip: Documents,
  branch: string,
): OtherRules | undefined {
  const differing = differs(held, tip);
  if (differing === undefined) return undefined;
  const outcome = tried(read, inputs, tip);
  const consequence =
    outcome.settings === undefined
      ? `to rules that cannot be followed, so that those from before hold alone: ${outcome.problem}`
      : 'and the limits of both are enforced.';
  return {
    kind: 'moved',
    ...differing,
    sentence: `${differing.name} has changed on ${branch} since this branch left it, ${consequence}`,
    ...outcome,
  };
}

/** Rules from a pull request are untrusted text, so they are read under the deadline. */
function tried(
  read: ReadSettings,
  inputs: Inputs,
  documents: Documents,
  inTime: InTime = untimed,
): Pick<OtherRules, 'settings' | 'problem' | 'line'> {
  try {
    const timed = inTime(() => read(inputs, documents));
    if (timed.kind === 'done') return { settings: timed.result };
    return { settings: undefined, problem: `${documents.policy?.name ?? 'What they say'} ${timed.reason}.` };
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    const { line } = error;
    return { settings: undefined, problem: error.message, ...(line === undefined ? {} : { line }) };
  }
}

function runsDiffer(before: Documents, after: Documents): boolean {
  const [old, now] = [describedBy(before), describedBy(after)];
  return old.kind === 'read' && now.kind === 'read' && describesOtherwise(old, now);
}

/**
 * The judging part of a version of the rules as text, to compare versions. How models are trained is left out, since each side says that for itself.
 * undefined where it cannot be followed.
 */
function judging(documents: Documents): string | undefined {
  const described = describedBy(documents);
  if (described.kind === 'wrong') return undefined;
  const policy = policyIn(documents);
  const judges = policy && {
    ...policy,
    name: '',
    runFiles: [],
    defaults: { ...policy.defaults, run: {} },
    entries: policy.entries.map((entry) => ({ ...entry, run: {}, with: [], inputs: {} })),
  };
  return JSON.stringify([judges ?? 'none', claimsOf(described)], (_, value: unknown) =>
    value instanceof Uint8Array ? new TextDecoder('latin1').decode(value) : value,
  );
}

/** The first file that differs between two versions of the rules, where they judge otherwise. */
function differs(before: Documents, after: Documents): Pick<OtherRules, 'name' | 'change'> | undefined {
  const judged = judging(before);
  if (judged !== undefined && judged === judging(after)) return undefined;
  const [old, now] = [filesOf(before), filesOf(after)];
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(name), now.get(name)];
    if (was === undefined && is !== undefined) return { name, change: 'added' };
    if (was !== undefined && is === undefined) return { name, change: 'removed' };
    if (was !== undefined && is !== undefined && !same(was, is)) return { name, change: 'changed' };
  }
  return undefined;
}

/** The policy first, since its name says most. */
const filesOf = ({ policy, run, files }: Documents): ReadonlyMap<string, Uint8Array> =>
  new Map([
    ...[policy, run].flatMap((file): [string, Uint8Array][] => (file === undefined ? [] : [[file.name, file.bytes]])),
    ...(files ?? []),
  ]);

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);
