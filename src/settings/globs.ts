import picomatch from 'picomatch';

/** Bounded patterns: no pattern of a user can take exponential time over a path. */
const matcher = (patterns: readonly string[]): ((path: string) => boolean) => {
  // git takes line breaks in names: `s` lets a wildcard stand for them too, or such a file would not be looked at.
  const all = patterns.map((pattern) => picomatch(pattern.slice(0, 500), { dot: true, noextglob: true, flags: 's' }));
  return (path) => all.some((matches) => matches(path));
};

/** Paths that some pattern names and none with a leading `!` takes away. */
export type Globs = {
  readonly names: (path: string) => boolean;
  readonly excludes: (path: string) => boolean;
  /** Some pattern names something. */
  readonly positive: boolean;
};

export function globs(patterns: readonly string[]): Globs {
  const positive = patterns.filter((pattern) => !pattern.startsWith('!'));
  const among = matcher(positive);
  const excludes = matcher(patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1)));
  return { positive: positive.length > 0, excludes, names: (path) => among(path) && !excludes(path) };
}
