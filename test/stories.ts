import { settingsOf } from '../src/calibrate.ts';
import type { Review } from '../src/gate/review.ts';
import { review } from '../src/run.ts';
import { type Inputs, policyPath } from '../src/settings/inputs.ts';
import { proposed } from '../src/settings/proposal.ts';
import { type Documents, describedBy, type Settings, withRuns } from '../src/settings/settings.ts';

/** The day of every story. */
export const today = '2026-11-24';

const bytes = (text: string) => Buffer.from(text);
const file = (name: string, text: string) => ({ name, bytes: bytes(text) });

/** One config on both sides; either may be absent. */
export type Pair = {
  readonly base?: string;
  readonly head?: string;
  readonly path?: string;
  readonly previousPath?: string;
};

/** A review of one config out of two texts, as the action makes it; or of several. */
export function reviewOf(
  texts: Pair & { readonly named?: boolean; readonly pairs?: readonly Pair[] },
  inputs: Inputs = {},
  rules: {
    readonly run?: string;
    readonly newRun?: string;
    readonly policy?: string;
    readonly newPolicy?: string;
  } = {},
): { readonly review: Review; readonly settings: Settings } {
  const run = rules.run === undefined ? {} : { run: file('run.yml', rules.run) };
  const held: Documents = {
    ...run,
    ...(rules.policy === undefined ? {} : { policy: file(policyPath, rules.policy) }),
  };
  const now: Documents = {
    ...held,
    ...(rules.newRun === undefined ? {} : { run: file('run.yml', rules.newRun) }),
    ...(rules.newPolicy === undefined ? {} : { policy: file(policyPath, rules.newPolicy) }),
  };
  const runs = { base: describedBy(held), head: describedBy(now, true) };
  const given = withRuns(settingsOf(inputs, held), runs);
  const settings = texts.named === undefined ? given : { ...given, named: () => texts.named === true };
  const others = [proposed(settingsOf, inputs, held, now, 'after merge')]
    .filter((one) => one !== undefined)
    .map((one) => (one.settings === undefined ? one : { ...one, settings: withRuns(one.settings, runs) }));
  const side = (text: string) => ({ kind: 'bytes', bytes: bytes(text) }) as const;
  const commit = (letter: string, label: string) => ({ sha: letter.repeat(40), label });
  const changes = {
    pairs: (texts.pairs ?? [texts]).map(({ path = 'config.json', previousPath, base, head }) => ({
      path,
      ...(previousPath === undefined ? {} : { previousPath }),
      ...(base === undefined ? {} : { base: side(base) }),
      ...(head === undefined ? {} : { head: side(head) }),
    })),
    base: commit('a', 'merge base with main'),
    head: commit('b', 'feature'),
    missed: [],
    notes: [],
  };
  return { settings, review: { ...review(changes, settings, today, undefined, others), version: 'test' } };
}
