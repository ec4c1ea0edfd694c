import type { Reading, Unread } from '../model/reading.ts';
import type { Missed } from '../world.ts';
import type { Comparison, Side } from './review.ts';

/** Every way in which something that a change holds goes without an exact number: `test/gate/exits.test.ts` walks them. */
export type Exit = Unread | Missed['kind'] | 'unknown' | 'approximate';

export type UnreadSide = { readonly reading: Extract<Reading, { readonly kind: 'unread' }> };

/**
 * What the gate makes of each way in which a file goes without an estimate: `passed` was looked at and is no model config;
 * the rest is told. It counts as a config where a format says so (`config`), or its name or first bytes (`looks`). What a
 * run had no more time or room for fails whatever it was before (`always`), since both sides may have been crowded out.
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
  'unknown-model': 'looks',
  'other-model': 'told',
  // Accelerate and DeepSpeed files stand beside every training; the jobs that use them are judged.
  'no-model': 'passed',
  'unknown-name': 'told',
  'too-far': 'config',
  impossible: 'config',
  'run-unread': 'config',
};

/** A file at the head that went without an estimate in this way gets a finding. */
export const isTold = (way: Unread): boolean => meaning[way] !== 'passed';

/** An unread file that is a model config by all that can be known. */
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

export const isRead = (side: Side | undefined): boolean => side?.estimate !== undefined;
