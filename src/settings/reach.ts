/** Signs that stand for more than themselves; those in the second expression may also stand for a `/`. */
const magic = /[*?[\]]/;
const crossing = /\*\*|[{}()!+@\\]/;

/** Some path below a folder may match one of the patterns. What is not sure is true, so that the folder is looked into. */
export function reaches(patterns: readonly string[], folder: string): boolean {
  const names = folder.split('/').filter((name) => name !== '');
  return patterns.some((pattern) => {
    const steps = pattern.replace(/^(\.?\/)+/, '').split('/');
    for (const [at, name] of names.entries()) {
      const step = steps[at] ?? '';
      if (crossing.test(step)) return true;
      // The last step is of files.
      if (at >= steps.length - 1) return false;
      if (!magic.test(step) && step !== name) return false;
    }
    return true;
  });
}

/** Every path below a folder matches `some/folder/**`, and none is taken out again. */
export const coversAll = (patterns: readonly string[], folder: string): boolean =>
  patterns.every((pattern) => !pattern.startsWith('!')) &&
  patterns.some((pattern) => {
    const fixed = /^(?:\.\/)?([^*?[\]{}()!+@\\]+\/)\*\*$/.exec(pattern)?.[1];
    return fixed !== undefined && folder.startsWith(fixed);
  });
