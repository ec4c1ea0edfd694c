import { z } from 'zod';
import { GitHubProblem } from './api.ts';
import { type Asked, type Pull, pullAt, readPull } from './pulls.ts';
import type { Remote } from './remote.ts';
import type { ChangedFile } from './trees.ts';

export const file = z.object({ filename: z.string(), status: z.string(), previous_filename: z.string().optional() });

/** What GitHub lists of a comparison at most. */
export const mostCompared = 300;

export type Compared = { readonly base: string; readonly mergeBase: string; readonly files: readonly ChangedFile[] };

/** Two commits with no history in common. */
export class Unrelated extends GitHubProblem {}

/** @throws GitHubProblem where the two commits have no history in common, or one does not exist */
export async function compareCommits({ api, repository }: Remote, base: string, head: string): Promise<Compared> {
  const schema = z.object({
    base_commit: z.object({ sha: z.string() }),
    merge_base_commit: z.object({ sha: z.string() }),
    files: z.array(file).optional(),
  });
  try {
    const basehead = `${base}...${head}`;
    const { data } = await api.rest.repos.compareCommitsWithBasehead({ ...repository, basehead, per_page: 1 });
    const { base_commit, merge_base_commit, files = [] } = schema.parse(data);
    return { base: base_commit.sha, mergeBase: merge_base_commit.sha, files };
  } catch (error) {
    const missing = typeof error === 'object' && error !== null && 'status' in error && error.status === 404;
    if (!missing) throw error;
    const [from, to] = [base.slice(0, 12), head.slice(0, 12)];
    if (/No common ancestor/i.test(String(error)))
      throw new Unrelated(
        `${from} and ${to} have no history in common, so there is no merge base; set baseline to base-tip or to a commit.`,
      );
    throw new GitHubProblem(
      `GitHub cannot compare ${from} with ${to}: one of them is not to be found with this token, which needs contents: read.`,
    );
  }
}

/**
 * The pull request as it is now, and beside it the judged commit compared with the base branch by its name. A name may be that of
 * another base than the one of today, or of a tag, so whoever uses the comparison looks at the commit that it began from.
 */
export async function pullWithComparison(
  remote: Remote,
  { number, head, onto }: Asked,
): Promise<{ readonly pull: Pull; readonly compared: Compared | undefined }> {
  const [pull, compared] = await Promise.all([
    readPull(remote, number),
    onto === undefined ? undefined : comparedByName(remote, onto, head),
  ]);
  return { pull: pullAt(pull, head), compared };
}

/** undefined where that name leads nowhere. */
async function comparedByName(remote: Remote, branch: string, head: string): Promise<Compared | undefined> {
  try {
    return await compareCommits(remote, branch, head);
  } catch (error) {
    if (error instanceof GitHubProblem) return undefined;
    throw error;
  }
}

/** What a head is compared with, and what changed since, where GitHub has listed all of it. */
export type Baseline = { readonly commit: string; readonly files?: readonly ChangedFile[] };

/**
 * The commit that the pull request is compared with: the merge base, unless the user wants the tip or a commit.
 *
 * @param known a comparison with the judged commit that was made already
 */
export async function baseline(
  remote: Remote,
  wanted: string,
  pull: Pull,
  known: Compared | undefined,
): Promise<Baseline> {
  if (wanted === 'base-tip') return { commit: pull.base };
  const from = wanted === 'merge-base' ? pull.base : wanted;
  const { base, mergeBase, files } = known?.base === from ? known : await compareCommits(remote, from, pull.head);
  if (wanted !== 'merge-base') return { commit: base };
  return files.length < mostCompared ? { commit: mergeBase, files } : { commit: mergeBase };
}
