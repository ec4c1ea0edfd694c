import type { Reading, Unread } from '../model/reading.ts';
import type { Missed } from '../world.ts';
import type { Comparison, Side } from './review.ts';

/** Every reason why a file of a change may have no exact number; `test/gate/exits.test.ts` tries each. */
export type Exit = Unread | Missed['kind'] | 'unknown' | 'approximate';

export type UnreadSide = { readonly reading: Extract<Reading, { readonly kind: 'unread' }> };

/**
 * What the gate does for each reason why a file has no estimate. `passed` was looked at and is not a model config; all others are
 * reported. A file counts as a config where a format says so (`config`), or where its name or first bytes do (`looks`). A file
 * that the run had no time or room for always fails (`always`), since other files of the same change may have used them up.
 */
const meaning: Readonly<Record<Unread, 'passed' | 'told' | 'looks' | 'config' | 'always'>> = {
  symlink: 'looks',
  submodule: 'looks',
  folder: 'looks',
  'lfs-pointer': 'looks',
  'too-large': 'looks',
  unopened: 'looks',
  // Nobody gives a file such a name by accident.
  lost: 'config',
  'over-bytes': 'always',
  'over-blobs': 'always',
  late: 'always',
  'long-name': 'looks',
  broken: 'looks',
  'no-config': 'passed',
  component: 'passed',
  'unknown-model': 'looks',
  'other-model': 'told',
  // Accelerate and DeepSpeed files are part of other jobs, and those jobs are judged.
  'no-model': 'passed',
  'unknown-name': 'told',
  impossible: 'config',
  'run-unread': 'config',
};

/** Whether a file at the head without an estimate gets a finding for this reason. */
export const isTold = (way: Unread): boolean => meaning[way] !== 'passed';

/** Whether an unread file must be taken for a model config. */
export const isConfig = (way: Unread, byItsLooks: boolean): boolean =>
  ['config', 'always'].includes(meaning[way]) || (meaning[way] === 'looks' && byItsLooks);

/**
 * An unreadable head fails where the user named it, where this change made it so, and where it is new and says that it is a
 * config: hiding a whole file must not be easier than hiding one value. What could not be read before either only warns.
 */
export function failsUnread({ named, base, head }: Pick<Comparison, 'named' | 'base' | 'head'>): boolean {
  if (head === undefined) return false;
  if (named || isRead(base) || crowdedOut(head)) return true;
  const wasUnreadable = base?.claimed === true && !crowdedOut(base);
  return head.claimed === true && !wasUnreadable;
}

const crowdedOut = ({ reading }: Side): boolean => reading.kind === 'unread' && meaning[reading.way] === 'always';

/** The side was read as a job and has its figures. */
export const isRead = (side: Side | undefined): boolean => side?.estimate !== undefined;
