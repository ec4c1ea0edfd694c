import { existsSync } from 'node:fs';
import { type OtherRules, proposed } from '../settings/proposal.ts';
import { type Documents, filesNamedBy, type Inputs, policyPath } from '../settings/settings.ts';
import type { ConfigSide } from '../world.ts';
import { Usage } from './arguments.ts';
import { readSide } from './files.ts';
import { type Range, readAt } from './git.ts';

/** What the options --run and --policy name. The run description is the user's own file, and is read as it is now. */
type Named = { readonly run: string | undefined; readonly policy: string | undefined };

type Read = (path: string) => ConfigSide | undefined;

const fromDisk: Read = (path) => (existsSync(path) ? readSide(path) : undefined);

/** The rules for files that the user names: the policy of this folder, where it has one. */
export function rulesHere({ run, policy }: Named): Documents {
  const found = policyFrom(fromDisk, policy ?? policyPath);
  if (policy !== undefined && found.policy === undefined) throw new Usage(`${policy}: there is no such file.`);
  return { ...found, ...described(run) };
}

/**
 * The rules for a comparison of revisions: the policy as the merge base has it, so that a change is not judged by what it brings
 * itself. A policy that only exists on the disk is taken on trial, and the reader is told.
 */
export function rulesOf(
  inputs: Inputs,
  { run, policy }: Named,
  range: Range,
): { readonly held: Documents; readonly others: readonly OtherRules[]; readonly notes: readonly string[] } {
  const name = policy ?? policyPath;
  const at = (commit: string | undefined) => policyFrom((path) => readAt(range.top, commit, path), name);
  const held = at(range.base.commit);
  if (policy !== undefined && held.policy === undefined)
    return {
      held: rulesHere({ run, policy }),
      others: [],
      notes: [
        `The policy ${policy} does not exist at ${range.base.commit.slice(0, 12)}; the file as it is now was tried.`,
      ],
    };
  const other = proposed(inputs, held, at(range.head.commit), 'once it is the base');
  return {
    held: { ...held, ...described(run), commit: range.base.commit },
    others: other === undefined ? [] : [other],
    notes: [],
  };
}

function described(name: string | undefined): Pick<Documents, 'run'> {
  if (name === undefined) return {};
  const side = readSide(name);
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
