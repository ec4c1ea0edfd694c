import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { misnamedPath, policyPath } from '../settings/inputs.ts';
import { type Documents, describedBy, filesNamedBy, type Runs, WrongSettings } from '../settings/settings.ts';
import type { ConfigSide } from '../world.ts';
import { standardInput, Usage } from './arguments.ts';
import { readSide, readStandardInput } from './files.ts';
import { policyRoot } from './root.ts';

/** What the options --run, --base-run, --head-run and --policy name. */
export type Named = {
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
  const misnamed = policy === undefined && existsSync(join(root, misnamedPath)) ? { misnamed: misnamedPath } : {};
  return { ...found, ...misnamed, ...described(run) };
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

export function described(name: string | undefined): Pick<Documents, 'run'> {
  if (name === undefined) return {};
  const side = name === standardInput ? readStandardInput() : readSide(name);
  if (side.kind === 'refused') throw new Usage(side.reason);
  return { run: { name, bytes: side.bytes } };
}

export function policyFrom(read: Read, name: string): Documents {
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
