import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Inputs, policyPath } from '../settings/inputs.ts';
import { type OtherRules, proposed } from '../settings/proposal.ts';
import { type Documents, describedBy, filesNamedBy, type Runs, WrongSettings } from '../settings/settings.ts';
import type { ConfigSide } from '../world.ts';
import { standardInput, Usage } from './arguments.ts';
import { readSide, readStandardInput } from './files.ts';
import { inRepository, type Range, readAt } from './git.ts';
import { policyRoot } from './root.ts';

/** What the options --run, --base-run, --head-run and --policy name. */
type Named = {
  readonly run?: string | undefined;
  readonly baseRun?: string | undefined;
  readonly headRun?: string | undefined;
  readonly policy?: string | undefined;
};

type Read = (path: string) => ConfigSide | undefined;

const fromDisk: Read = (path) => (existsSync(path) ? readSide(path) : undefined);

/** The rules for files that the user names: the policy of this folder or of one above it in the repository. */
export function rulesHere({ run, policy }: Named): Documents {
  const root = policyRoot(policy !== undefined);
  const found = policyFrom(
    (path) => (path === policy ? undefined : fromDisk(join(root, path))) ?? fromDisk(path),
    policy ?? policyPath,
  );
  if (policy !== undefined && found.policy === undefined) throw new Usage(`${policy}: there is no such file.`);
  return { ...found, ...described(run) };
}

/** What a comparison of revisions is judged by, and how each side says that its configs are trained. */
type Rules = {
  readonly held: Documents;
  readonly runs: Runs;
  readonly others: readonly OtherRules[];
  readonly notes: readonly string[];
};

/**
 * The rules for a comparison of revisions: the policy as the merge base has it, so that a change is not judged by what it brings
 * itself. A policy that only exists on the disk is taken on trial, and the reader is told.
 */
export function rulesOf(inputs: Inputs, named: Named, range: Range): Rules {
  const { policy } = named;
  const described = descriptions(named, range);
  const path = policy === undefined ? policyPath : inRepository(range.top, policy);
  const at = (commit: string | undefined) =>
    path === undefined ? {} : policyFrom((name) => readAt(range.top, commit, name), path);
  const tried = policy !== undefined && at(range.base.commit).policy === undefined;
  const found = tried ? rulesHere({ policy }) : { ...at(range.base.commit), commit: range.base.commit };
  const held = { ...found, ...described.base };
  const now = { ...(tried ? found : at(range.head.commit)), ...described.head };
  const other = tried ? undefined : proposed(inputs, held, now, 'once it is the base');
  return {
    held,
    runs: { base: describedBy(held), head: describedBy(now, true) },
    others: other === undefined ? [] : [other],
    notes: [
      ...(tried
        ? [`The policy ${policy} does not exist at ${range.base.commit.slice(0, 12)}; the file as it is now was tried.`]
        : []),
      ...described.notes,
    ],
  };
}

type RunFile = Pick<Documents, 'run' | 'missing'>;

/**
 * The run descriptions of both sides. A file that the repository holds is read as each side has it; any other is the user's own,
 * and stands for both.
 */
function descriptions(
  { run, baseRun, headRun }: Named,
  range: Range,
): { readonly base: RunFile; readonly head: RunFile; readonly notes: readonly string[] } {
  const shared = run === undefined ? undefined : sharedRun(run, range);
  return {
    base: baseRun === undefined ? (shared?.base ?? {}) : described(baseRun),
    head: headRun === undefined ? (shared?.head ?? {}) : described(headRun),
    notes: baseRun === undefined || headRun === undefined ? (shared?.notes ?? []) : [],
  };
}

function sharedRun(name: string, { top, base, head }: Range): ReturnType<typeof descriptions> {
  const path = inRepository(top, name);
  const at = (commit: string | undefined) => (path === undefined ? undefined : readAt(top, commit, path));
  const [before, after] = [at(base.commit), at(head.commit)];
  const sideOf = (side: ConfigSide): RunFile =>
    side.kind === 'bytes' ? { run: { name, bytes: side.bytes } } : { missing: [side.reason] };
  if (before === undefined) {
    const both = after === undefined || head.commit === undefined ? described(name) : sideOf(after);
    const note = `The run description ${name} does not exist at ${base.commit.slice(0, 12)}; it stands for both sides.`;
    return { base: both, head: both, notes: path === undefined ? [] : [note] };
  }
  const gone = { missing: [`The run description ${name} does not exist at ${head.label}.`] };
  return { base: sideOf(before), head: after === undefined ? gone : sideOf(after), notes: [] };
}

/** The rules for two files, each with a run of its own where the user names one. */
export function rulesOfTwo(named: Named): { readonly held: Documents; readonly runs: Runs } {
  const rules = rulesHere(named);
  const side = (run: string | undefined) => ({ ...rules, ...described(run) });
  const base = named.baseRun === undefined ? rules : side(named.baseRun);
  const head = named.headRun === undefined ? rules : side(named.headRun);
  // Both files are the user's own, so what the second says of prices and measurements is taken at its word.
  const runs = { base: describedBy(base), head: describedBy(head) };
  if (runs.head.kind === 'wrong') throw new WrongSettings(runs.head.sentences);
  return { held: base, runs };
}

function described(name: string | undefined): Pick<Documents, 'run'> {
  if (name === undefined) return {};
  const side = name === standardInput ? readStandardInput() : readSide(name);
  if (side.kind === 'refused') throw new Usage(side.reason);
  return { run: { name, bytes: side.bytes } };
}

function policyFrom(read: Read, name: string): Documents {
  const side = read(name);
  if (side === undefined) return {};
  if (side.kind === 'refused') return { missing: [`${name}: ${side.reason}`] };
  const policy = { name, bytes: side.bytes };
  const files = new Map(
    filesNamedBy(policy).flatMap((path): [string, Uint8Array][] => {
      const found = read(path);
      return found?.kind === 'bytes' ? [[path, found.bytes]] : [];
    }),
  );
  return { policy, files };
}
