import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { jobsOf } from '../jobs.ts';
import { recipePairs } from '../read/recipes.ts';
import type { Settings } from '../settings/settings.ts';
import { type ConfigPair, type ConfigSide, untimed } from '../world.ts';
import { Usage } from './arguments.ts';
import { readSide } from './files.ts';
import { named } from './named.ts';
import { policyRoot } from './root.ts';

/**
 * The one job that a word of the command line stands for.
 *
 * @throws Usage where its file has several
 */
export function jobNamed(word: string, settings: Settings): ConfigPair {
  const { path, side } = named(word);
  const given = besideOnDisk({ path, head: side }, settings);
  const jobs = recipePairs(given);
  if (jobs.length < 2) return jobs[0] ?? given;
  const few = jobs.slice(0, 3).map((job) => job.path);
  throw new Usage(
    `${path} has ${jobs.length} jobs; name one of them: ${few.join(', ')}${jobs.length > 3 ? ', ...' : ''}.`,
  );
}

/** A file that the user named, with those that its job refers to as they are on the disk. */
export function besideOnDisk(pair: ConfigPair, settings: Settings): ConfigPair {
  const root = policyRoot(false);
  const asking = jobsOf({ pairs: [pair], missed: [], notes: [] }, settings, untimed);
  let step = asking.next();
  while (step.done !== true) {
    const ask = step.value;
    step = asking.next(
      ask.kind === 'list'
        ? { kind: 'list', paths: [], missed: [] }
        : { kind: 'files', sides: ask.wanted.map(({ path }) => onDisk(path, root)) },
    );
  }
  return step.value.pairs[0] ?? pair;
}

/** A file beside a config: from this folder, where trainings are started, or from the policy's. */
function onDisk(path: string, root: string): ConfigSide | undefined {
  const where = [path, join(root, path)].find((one) => existsSync(one));
  return where === undefined ? undefined : readSide(where);
}
