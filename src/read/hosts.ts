import { isDictionary, own } from '../text/fields.ts';
import type { Beside, ParsedFile } from './format.ts';
import { pathOf } from './trainer.ts';

/** Machines that a file lists for a launcher (`--hostfile`, as DeepSpeed and MPI have it): the GPUs of each. */
export type Hosts = { readonly path: string; readonly slots: readonly number[] };

/** What a hostfile lists; undefined where it is not in the repository, or lists a machine without its slots. */
export function hostsIn(name: string, script: ParsedFile, beside: Beside): Hosts | undefined {
  const path = pathOf(name.replace(/^(\.\/)+/, ''), script.path, beside);
  const listed = path === undefined ? undefined : beside(path)?.source.value;
  if (path === undefined || !Array.isArray(listed) || listed.length === 0) return undefined;
  const slots = listed.map((one) => Number(isDictionary(one) ? own(one, 'slots') : undefined));
  return slots.every(Number.isInteger) ? { path, slots } : undefined;
}
