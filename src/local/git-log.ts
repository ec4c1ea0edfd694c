import { commitOf, git, mergeBaseOf, split, topOf } from './git.ts';

/** A commit as a list of commits shows it: its day (ISO date) and the first line of its message. */
export type LoggedCommit = { readonly sha: string; readonly date: string; readonly subject: string };

/** Where a history begins and ends. */
export type Span = { readonly top: string; readonly head: string; readonly since?: string };

/**
 * From a revision, exclusive, or the first commit to another.
 *
 * @throws GitProblem with one sentence
 */
export function gitSpan(folder: string, since: string | undefined, head: string): Span {
  const top = topOf(folder);
  const to = commitOf(top, head);
  if (since === undefined) return { top, head: to };
  return { top, head: to, since: mergeBaseOf(top, commitOf(top, since), to, `${since} and ${head}`) };
}

const spanned = ({ since, head }: Span): string => (since === undefined ? head : `${since}..${head}`);
const logFormat = '--format=%H%x1f%cs%x1f%s';

/**
 * The commits that changed one of the paths, newest first, at most so many; a merge counts as one change of the branch that it
 * was made on.
 */
export function commitsOf(span: Span, paths: readonly string[], most: number): readonly LoggedCommit[] {
  const words = ['log', '-z', '--first-parent', `--max-count=${most}`, logFormat, spanned(span), '--', ...paths];
  return split(git(span.top, words)).map(logged);
}

export const commitAt = (top: string, sha: string): LoggedCommit =>
  logged(git(top, ['log', '-z', '--max-count=1', logFormat, sha, '--']));

function logged(row: Buffer): LoggedCommit {
  const [sha = '', date = '', ...subject] = row.toString('utf8').replace(/\0$/, '').split('\u001f');
  return { sha, date, subject: subject.join(' ') };
}

/** How many commits changed one of the paths. */
export const countCommits = (span: Span, paths: readonly string[]): number =>
  Number(git(span.top, ['rev-list', '--count', '--first-parent', spanned(span), '--', ...paths]).toString());

/** The earlier names of a file, each with the commit that moved it, newest first. */
export function renamesOf(span: Span, path: string): readonly { readonly sha: string; readonly from: string }[] {
  const words = ['log', '-z', '--first-parent', '--follow', '-M', '--name-status', '--format=%x01%H'];
  const pieces = split(git(span.top, [...words, spanned(span), '--', path])).map((piece) => piece.toString('utf8'));
  let sha = '';
  return pieces.flatMap((piece, index) => {
    if (piece.startsWith('\u0001')) sha = piece.slice(1);
    return /^\nR\d+$/.test(piece) ? [{ sha, from: pieces[index + 1] ?? '' }] : [];
  });
}
