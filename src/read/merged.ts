import { mergeTexts } from '../text/merge.ts';
import type { ConfigPair, ConfigSide, Files } from '../world.ts';
import { readFile } from './config.ts';
import type { JobContext } from './job.ts';
import { recipePairs } from './recipes.ts';

/** What a merge with the base branch's tip makes of a job. */
export type Merged =
  /** The tip changed nothing of it. */
  | { readonly kind: 'alike' }
  /** `pair` is the job at the tip and as the merge leaves it; conflicts are keys that both set, and this change's value stays. */
  | { readonly kind: 'merged'; readonly pair: ConfigPair; readonly conflicts: readonly string[] }
  | { readonly kind: 'unmerged'; readonly reason: string };

type Unmerged = Extract<Merged, { readonly kind: 'unmerged' }>;
type Sides = { readonly base?: ConfigSide; readonly head: ConfigSide; readonly conflicts: readonly string[] };

const not = (reason: string): Unmerged => ({ kind: 'unmerged', reason });

/**
 * A job with its own file and the files that it refers to, each merged key by key where both sides changed it.
 *
 * @param retrained the tip describes otherwise how it is trained
 * @param touched the paths that this change changes
 */
export function mergedJob(
  pair: ConfigPair,
  retrained: boolean,
  touched: ReadonlySet<string>,
  contextOf: (path: string) => Omit<JobContext, 'known'>,
): Merged {
  const { head, besideTip: moved = new Map() } = pair;
  if (head?.kind !== 'bytes' || !isMoved(pair, retrained)) return { kind: 'alike' };
  const own = mergedOwn(pair, head);
  if ('kind' in own) return own;
  const parts = mergedParts(pair, moved, touched);
  if ('kind' in parts) return parts;
  const { conflicts, ...sides } = own;
  const merged: ConfigPair = { path: pair.path, ...sides, beside: { base: parts.base, head: parts.head } };
  if (isIncomplete(merged, contextOf)) return not('together they refer to files that were not read');
  return { kind: 'merged', pair: merged, conflicts: [...conflicts, ...parts.conflicts] };
}

/** Whether the tip changed something of a job. */
export const isMoved = ({ base, tip, besideTip }: ConfigPair, retrained: boolean): boolean =>
  tip !== undefined || besideTip !== undefined || (retrained && base !== undefined);

/** The job's own file. */
function mergedOwn({ path, base, tip }: ConfigPair, head: Extract<ConfigSide, { kind: 'bytes' }>): Sides | Unmerged {
  if (tip === undefined) return { ...(base === undefined ? {} : { base }), head, conflicts: [] };
  if (tip.kind === 'absent') return not('it was removed or renamed there');
  if (tip.kind === 'refused' || base?.kind === 'refused') return not('one of the versions cannot be read');
  if (base === undefined) return not('both added it');
  const merged = mergeTexts(path, base.bytes, head.bytes, tip.bytes);
  if (merged.kind === 'unmerged') return merged;
  return { base: tip, head: { kind: 'bytes', bytes: merged.bytes }, conflicts: merged.conflicts };
}

type Parts = { readonly base: Files; readonly head: Files; readonly conflicts: readonly string[] };

/** The files that the job refers to. */
function mergedParts({ beside }: ConfigPair, moved: Files, touched: ReadonlySet<string>): Parts | Unmerged {
  const conflicts: string[] = [];
  const head = new Map(beside?.head);
  for (const [path, theirs] of moved) {
    if (!touched.has(path)) {
      head.set(path, theirs);
      continue;
    }
    const [old, ours] = [beside?.base.get(path), head.get(path)];
    if (old?.kind !== 'bytes' || ours?.kind !== 'bytes' || theirs?.kind !== 'bytes')
      return not(`both changed ${path}, of which one of the versions cannot be read`);
    const merged = mergeTexts(path, old.bytes, ours.bytes, theirs.bytes);
    if (merged.kind === 'unmerged') return not(`both changed ${path}, and ${merged.reason}`);
    head.set(path, { kind: 'bytes', bytes: merged.bytes });
    conflicts.push(...merged.conflicts.map((key) => `${path}: ${key}`));
  }
  return { base: new Map([...(beside?.base ?? []), ...moved]), head, conflicts };
}

/** Whether a side refers to a file that nobody read, as where the tip names another one than both sides of the change. */
function isIncomplete(pair: ConfigPair, contextOf: (path: string) => Omit<JobContext, 'known'>): boolean {
  const lacks = (path: string, side: ConfigSide | undefined, known: Files = new Map()) =>
    side?.kind === 'bytes' && readFile(side.bytes, path, { known, ...contextOf(path) }).kind === 'needs';
  return recipePairs(pair).some(
    ({ path, base, head, beside }) => lacks(path, base, beside?.base) || lacks(path, head, beside?.head),
  );
}
