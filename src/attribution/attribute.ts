import type { Calibrations } from '../cost/calibrations.ts';
import { estimate } from '../cost/engine.ts';
import { findMetric } from '../gate/metrics.ts';
import type { Attribution, Comparison, Share } from '../gate/review.ts';
import type { Estimate } from '../model/estimate.ts';
import { readAgain } from '../read/config.ts';
import { settleRun } from '../setup/settle.ts';
import { type Job, type Mixed, mixed, nameOf, type Setting, settingsBetween } from './changes.ts';
import { mostPlayers, type Part, partsOf } from './shapley.ts';

/** How many more estimates a run may take for this: those of a thousand configs would take minutes. */
export type Allowance = { left: number };

/** Settings are tried one by one up to this many; of more, those of the model move together, and those of the run. */
const mostTried = 40;

/**
 * What each changed setting moves: its part of the difference in every metric, averaged over the orders in which the settings can
 * be changed one after another. The parts add up to the difference.
 *
 * @param comparison of two sides that were read and estimated
 * @param measured what scales the projections of both
 */
export function attribute(
  { changes, fields }: Pick<Comparison, 'changes' | 'fields'>,
  base: Job,
  head: Job,
  allowance: Allowance,
  measured: Calibrations,
): Attribution {
  const settings = settingsBetween(base, head, fields);
  if (settings.length === 0) return without('nothing that is counted was set otherwise');
  if (allowance.left < estimatesFor(settings.length)) return without('too many configs changed at once');
  allowance.left -= estimatesFor(settings.length);
  const known = knownIn(changes);
  const worth = remembered((taken) => mixed(base, head, taken), known, measured);
  if (!same(worth([]), known, 'before') || !same(worth(settings), known, 'after'))
    return without('the two sides are not read in the same way');
  const players = playersOf(settings, worth);
  const parts = partsOf(players.length, (moved) =>
    worth(players.flatMap((members, index) => ((moved >> index) & 1 ? members : []))),
  );
  return {
    kind: 'shares',
    grouped: players.length < settings.length,
    shares: exactly(parts, known).map((part) => shareOf(part, players, known)),
  };
}

const without = (reason: string): Attribution => ({ kind: 'none', reason });

const estimatesFor = (settings: number): number =>
  2 ** Math.min(settings, mostPlayers) + (settings > mostPlayers && settings <= mostTried ? 2 * settings : 0);

/** A metric that is known on both sides. */
type Known = { readonly id: string; readonly before: number; readonly after: number };

const knownIn = (changes: Comparison['changes']): readonly Known[] =>
  changes.flatMap(({ metric: id, before, after }) =>
    before === undefined || after === undefined ? [] : [{ id, before, after }],
  );

/** The metrics of the base with some settings of the head; undefined where the engine refuses such a model. */
type Worth = (taken: readonly Setting[]) => readonly number[] | undefined;

/** Each combination is estimated once, and so is each model and run that several come to. */
function remembered(mix: (taken: readonly Setting[]) => Mixed, known: readonly Known[], measured: Calibrations): Worth {
  const found = new Map<string, readonly number[] | undefined>();
  const costs = new Map<string, readonly number[]>();
  return (taken) => {
    const names = taken.map(nameOf).toSorted().join('\n');
    if (!found.has(names)) found.set(names, worthOf(mix(taken), known, measured, costs));
    return found.get(names);
  };
}

function worthOf(
  { keys, sources }: Mixed,
  known: readonly Known[],
  measured: Calibrations,
  costs: Map<string, readonly number[]>,
): readonly number[] | undefined {
  const architecture = readAgain(keys);
  if (architecture === undefined) return undefined;
  const settling = settleRun(sources, architecture);
  if (settling.kind === 'unsettled') return undefined;
  const { settled } = settling;
  const all = JSON.stringify([architecture, settled]);
  const before = costs.get(all);
  if (before !== undefined) return before;
  const cost: Estimate = { ...estimate(architecture, settled, measured, false), assumptions: [], problems: [] };
  const values = known.map(({ id }) => findMetric(id)?.take(cost) ?? Number.NaN);
  if (!values.every(Number.isFinite)) return undefined;
  costs.set(all, values);
  return values;
}

/** What rounding adds to sums of many terms. */
const rounding = 1e-9;

const same = (values: readonly number[] | undefined, known: readonly Known[], side: 'before' | 'after'): boolean =>
  values?.every((value, index) => Math.abs(value - (known[index]?.[side] ?? 0)) <= rounding * Math.abs(value)) === true;

// --- Too many settings for all orders -------------------------------------------------------------------------------------

/** So many settings have a part of their own where not all can: those that move most by themselves. */
const apart = mostPlayers - 1;

/** Settings that move together, in the order of the settings. */
function playersOf(settings: readonly Setting[], worth: Worth): readonly (readonly Setting[])[] {
  if (settings.length <= mostPlayers) return settings.map((one) => [one]);
  if (settings.length > mostTried)
    return [settings.filter(({ run }) => run.length === 0), settings.filter(({ run }) => run.length > 0)].filter(
      (members) => members.length > 0,
    );
  const moves = new Map(settings.map((one) => [one, movedAlone(one, settings, worth)]));
  const largest = settings.toSorted((a, b) => (moves.get(b) ?? 0) - (moves.get(a) ?? 0)).slice(0, apart);
  const rest = settings.filter((one) => !largest.includes(one));
  return [...settings.filter((one) => largest.includes(one)).map((one) => [one]), rest];
}

/** The largest relative move of a metric when a setting is the first to change, or the last; endless where neither can be. */
function movedAlone(one: Setting, settings: readonly Setting[], worth: Worth): number {
  const others = settings.filter((other) => other !== one);
  const moves = [
    [worth([]), worth([one])],
    [worth(others), worth(settings)],
  ].flatMap(([from, to]) => (from === undefined || to === undefined ? [] : [furthest(from, to)]));
  return moves.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...moves);
}

const furthest = (from: readonly number[], to: readonly number[]): number =>
  from.reduce(
    (most, value, index) => Math.max(most, Math.abs((to[index] ?? value) - value) / (Math.abs(value) || 1)),
    0,
  );

// --- Sums ---------------------------------------------------------------------------------------------------------------

/** What rounding left over goes to the largest part, so that the parts add up to the difference that the table shows. */
function exactly(parts: readonly Part[], known: readonly Known[]): readonly Part[] {
  const left = known.map(({ before, after }, index) => {
    const size = ({ moved }: Part) => Math.abs(moved[index] ?? 0);
    const largest = parts.reduce((one, other) => (size(other) > size(one) ? other : one));
    return { largest, rest: after - before - parts.reduce((sum, { moved }) => sum + (moved[index] ?? 0), 0) };
  });
  return parts.map((part) => ({
    ...part,
    moved: part.moved.map((value, index) => (left[index]?.largest === part ? value + (left[index]?.rest ?? 0) : value)),
  }));
}

const shareOf = (
  { players: members, moved }: Part,
  players: readonly (readonly Setting[])[],
  known: readonly Known[],
): Share => ({
  fields: members.flatMap((member) => players[member]?.flatMap((one) => one.fields) ?? []),
  moved: Object.fromEntries(known.map(({ id }, index) => [id, moved[index] ?? 0])),
});
