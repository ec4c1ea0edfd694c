import type { Missed } from '../world.ts';
import type { Finding } from './review.ts';
import type { Budgets } from './rules.ts';

/** What a run could not look at, in words: each kind has some, or it is not compiled. */
const reasons: Readonly<Record<Missed['kind'], (most: number) => string>> = {
  count: (most) => `a run reads at most ${most} files`,
  bytes: (most) => `a run reads at most ${most / 2 ** 20} MiB of configs`,
  blobs: (most) => `a run reads at most ${most} configs that are not UTF-8 or over 512,000 bytes`,
  folders: (most) => `GitHub does not list so large a repository at once, and a run looks into at most ${most} folders`,
};

const remedy =
  'Name the configs by the input `configs`, list what is not a config under `ignore` in the policy, or split the change.';

/** What was not looked at is never green: it fails, unless nothing does. */
export function missedFinding(
  { kind, most, paths }: Missed,
  failOnOf: (path: string) => Budgets['failOn'],
): readonly Finding[] {
  const [path] = paths;
  if (path === undefined) return [];
  const thing = kind === 'folders' ? 'folder that may hold model configs' : 'file that could be a model config';
  const subject =
    paths.length === 1 ? `This ${thing} was` : `${paths.length} ${plural(thing)}, of which this is the first, were`;
  return [
    {
      code: 'not-looked-at',
      path,
      severity: paths.some((one) => failOnOf(one) !== 'never') ? 'fail' : 'warn',
      message: `${subject} not looked at: ${reasons[kind](most)}. ${remedy}`,
    },
  ];
}

const plural = (thing: string): string =>
  thing.replace(/^(file|folder) /, '$1s ').replace('be a model config', 'be model configs');

/** `1,100 files were not looked at`, for a heading; empty where nothing was missed. */
export function missedText(missed: readonly Missed[]): string {
  const count = (folders: boolean) =>
    missed.filter(({ kind }) => (kind === 'folders') === folders).reduce((sum, { paths }) => sum + paths.length, 0);
  const parts = [
    { amount: count(false), word: 'file' },
    { amount: count(true), word: 'folder' },
  ].filter(({ amount }) => amount > 0);
  const total = parts.reduce((sum, { amount }) => sum + amount, 0);
  const things = parts.map(({ amount, word }) => `${amount} ${word}${amount === 1 ? '' : 's'}`);
  return total === 0 ? '' : `${things.join(' and ')} ${total === 1 ? 'was' : 'were'} not looked at`;
}
