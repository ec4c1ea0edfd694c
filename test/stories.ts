import { compare } from '../src/gate/compare.ts';
import { judge } from '../src/gate/judge.ts';
import type { Review } from '../src/gate/review.ts';
import { readSide } from '../src/run.ts';
import { type Inputs, type Settings, settingsFrom } from '../src/settings.ts';

/** A review of one config out of two texts, as the action makes it; either side may be absent. */
export function reviewOf(
  texts: { readonly base?: string; readonly head?: string; readonly path?: string; readonly named?: boolean },
  inputs: Inputs = {},
  run?: string,
): { readonly review: Review; readonly settings: Settings } {
  const settings = settingsFrom(inputs, run === undefined ? undefined : { name: 'run.yml', bytes: Buffer.from(run) });
  const path = texts.path ?? 'config.json';
  const side = (text: string) => readSide({ kind: 'bytes', bytes: Buffer.from(text) }, path, settings);
  const comparison = compare({
    path,
    named: texts.named ?? false,
    ...(texts.base === undefined ? {} : { base: side(texts.base) }),
    ...(texts.head === undefined ? {} : { head: side(texts.head) }),
  });
  const commit = (letter: string, label: string) => ({ sha: letter.repeat(40), label });
  return {
    settings,
    review: {
      comparisons: [comparison],
      verdict: judge([comparison], settings.budgetsFor, '2026-11-24'),
      base: commit('a', 'merge base with main'),
      head: commit('b', 'feature'),
      settings: settings.shown,
      notes: [],
      version: 'test',
    },
  };
}
