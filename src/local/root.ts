import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { policyPath } from '../settings/inputs.ts';

/**
 * The folder from which a policy names its files and globs. It is looked for upwards as git looks for its root: the nearest
 * folder that has a policy, else the root of the repository. Outside a repository only this folder counts.
 *
 * @param named a policy was named, so that none is looked for
 */
export function policyRoot(named: boolean): string {
  const all = upwards(resolve('.'));
  const end = all.findIndex((folder) => existsSync(join(folder, '.git')));
  const inside = end === -1 ? all.slice(0, 1) : all.slice(0, end + 1);
  const nearest = named ? undefined : inside.find((folder) => existsSync(join(folder, policyPath)));
  return nearest ?? inside.at(-1) ?? resolve('.');
}

function upwards(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...upwards(parent)];
}

/** A path as the globs of a policy see it. */
export function pathFrom(root: string, path: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? path : inside.replaceAll(sep, '/');
}
