import { z } from 'zod';
import type { Range } from './changes.ts';
import { compareCommits, Unrelated } from './compare.ts';
import { tipOf } from './pulls.ts';
import type { Remote } from './remote.ts';

/** What was pushed. */
export type Push = {
  readonly head: string;
  readonly label: string;
  /** What the branch was before; absent for one that is new, and for tags, which are points on a branch. */
  readonly before?: string;
  /** The default branch, where another one was pushed. */
  readonly onto?: string;
};

/**
 * What a push is compared with: what was there before, or, for what is new and where a forced push left nothing of it, where
 * the commit left the default branch: nobody should answer for configs that were there already.
 *
 * @returns undefined where there is nothing to compare with, so that everything is looked at
 */
export async function rangeOf(remote: Remote, push: Push): Promise<Range | undefined> {
  const { before, head, label, onto } = push;
  if (before !== undefined && (await isThere(remote, before)))
    return { base: before, head, label, from: 'before', direct: true };
  const tip = onto === undefined ? undefined : await tipOf(remote, onto);
  if (onto === undefined || tip === undefined) return undefined;
  try {
    const { mergeBase } = await compareCommits(remote, tip, head);
    return { base: mergeBase, head, label, from: `merge base with ${onto}`, direct: false };
  } catch (error) {
    if (error instanceof Unrelated) return undefined;
    throw error;
  }
}

async function isThere({ api, repository }: Remote, commit: string): Promise<boolean> {
  const data: unknown = await api.graphql(
    'query ($owner: String!, $name: String!, $oid: GitObjectID!) { repository(owner: $owner, name: $name) { object(oid: $oid) { __typename } } }',
    { owner: repository.owner, name: repository.repo, oid: commit },
  );
  const object = z.object({ __typename: z.string() }).nullable();
  return z.object({ repository: z.object({ object }) }).parse(data).repository.object !== null;
}
