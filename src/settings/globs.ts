import { fileOf } from '../text/job-name.ts';
import { compile, type Glob } from './glob.ts';

/** Paths that some pattern names and none with a leading `!` takes away. */
export type Globs = {
  readonly names: (path: string) => boolean;
  readonly excludes: (path: string) => boolean;
  /** As `names`, of a list that takes away: a path too long to be matched is only covered where that needs no matching. */
  readonly covers: (path: string) => boolean;
  /** Some pattern names something. */
  readonly positive: boolean;
};

/** Configs with longer names are not read, and their names not matched: what a pattern may name is then named by it. */
export const longestPath = 1_024;

type Doubt = 'may' | 'must';

const some = (all: readonly Glob[], path: string, doubt: Doubt): boolean =>
  all.some(({ matches, prefix, folder }) => {
    // A pattern names a file with all its recipes, or one of them.
    if (path.length <= longestPath) return matches(path) || (fileOf(path) !== path && matches(fileOf(path)));
    const begins = doubt === 'may' ? prefix : folder;
    return begins !== undefined && path.startsWith(begins);
  });

/** Patterns of which those with `!` take out again. */
export function globs(patterns: readonly string[]): Globs {
  const positive = patterns.filter((pattern) => !pattern.startsWith('!')).map(compile);
  const negative = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => compile(pattern.slice(1)));
  const excludes = (path: string) => some(negative, path, 'must');
  return {
    positive: positive.length > 0,
    excludes,
    names: (path) => some(positive, path, 'may') && !excludes(path),
    covers: (path) => some(positive, path, 'must') && !some(negative, path, 'may'),
  };
}

/** Paths whose answers are kept: more than one run looks at. */
const mostKept = 8_192;

/** The same answers, each found once. */
export function remembered<Answer>(of: (path: string) => Answer): (path: string) => Answer {
  const known = new Map<string, { readonly answer: Answer }>();
  return (path) => {
    const found = known.get(path) ?? { answer: of(path) };
    if (known.size >= mostKept) known.clear();
    known.set(path, found);
    return found.answer;
  };
}
