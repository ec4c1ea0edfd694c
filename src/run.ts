import { estimate } from './cost/engine.ts';
import { compare } from './gate/compare.ts';
import { judge } from './gate/judge.ts';
import type { Comparison, Review, Side } from './gate/review.ts';
import { settleRun } from './model/settle.ts';
import { readConfig } from './read/config.ts';
import type { Settings } from './settings.ts';
import type { Changes, ConfigPair, ConfigSide } from './world.ts';

/** The action's version: numbers may move with it (CHANGELOG). */
export const version = '0.1.0';

/** The story of one run: read both sides of each config, estimate what could be read, compare, judge. */
export function review(
  changes: Changes,
  settings: Settings,
  today: string,
  progress: (message: string) => void = () => {},
): Review {
  const comparisons: Comparison[] = [];
  for (const [index, pair] of changes.pairs.entries()) {
    if (changes.pairs.length > 20 && index % 20 === 0) progress(`${index} of ${changes.pairs.length} configs`);
    const comparison = comparePair(pair, settings);
    if (comparison !== undefined) comparisons.push(comparison);
  }
  return {
    comparisons,
    verdict: judge(comparisons, settings.budgetsFor, today),
    ...(changes.base === undefined ? {} : { base: changes.base }),
    ...(changes.head === undefined ? {} : { head: changes.head }),
    settings: settings.shown,
    notes: changes.notes,
    version,
  };
}

/** undefined where neither side is a model config and the user did not name the file. */
function comparePair(pair: ConfigPair, settings: Settings): Comparison | undefined {
  const base = pair.base && readSide(pair.base, pair.previousPath ?? pair.path, settings);
  const head = pair.head && readSide(pair.head, pair.path, settings);
  const named = settings.named(pair.path);
  const recognised = [base, head].some((side) => side?.reading.format !== undefined);
  if (!recognised && !named) return undefined;
  return compare({
    path: pair.path,
    named,
    ...(pair.previousPath === undefined ? {} : { previousPath: pair.previousPath }),
    ...(base === undefined ? {} : { base }),
    ...(head === undefined ? {} : { head }),
  });
}

/** One side: the text read, its run settled, its cost estimated. What cannot be is a sentence, and the rest goes on. */
export function readSide(side: ConfigSide, path: string, settings: Pick<Settings, 'sourcesFor'>): Side {
  if (side.kind === 'refused')
    return { reading: { kind: 'unread', problems: [{ severity: 'error', message: side.reason }] } };
  const reading = readConfig(side.bytes, path);
  if (reading.kind === 'unread') return { reading };
  const settling = settleRun(settings.sourcesFor(path, reading.run), reading.architecture);
  if (settling.kind === 'unsettled') {
    return {
      reading: { kind: 'unread', format: reading.format, problems: [...settling.problems, ...reading.problems] },
    };
  }
  const found = estimate(reading.architecture, settling.settled);
  return {
    reading,
    estimate: {
      ...found,
      assumptions: [...reading.assumptions, ...settling.assumptions, ...found.assumptions],
      problems: [...settling.problems, ...found.problems],
    },
  };
}
