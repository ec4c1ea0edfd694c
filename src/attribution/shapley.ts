/** What a game is worth when some of its players have moved (bit i for player i): a number for each quantity, or nothing. */
export type Game = (moved: number) => readonly number[] | undefined;

/** Players that share one part, and that part: a number for each quantity. */
export type Part = { readonly players: readonly number[]; readonly moved: readonly number[] };

/** With more players than this the orders are too many. */
export const mostPlayers = 6;

/**
 * What each player moves, averaged over the orders in which they can move one after another (Shapley 1953). The parts add up to
 * the difference between nobody's move and everybody's.
 *
 * Where a game is worth nothing halfway, only the orders count in which every step is worth something. Players that have no such
 * order move together: they share a part, and as few as possible do.
 *
 * @param players at most `mostPlayers`
 */
export function partsOf(players: number, game: Game): readonly Part[] {
  const worth = Array.from({ length: 2 ** players }, (_, moved) => game(moved));
  const blocks = finestBlocks(players, worth);
  const steps = blocks.map((members) => members.reduce((mask, player) => mask | (1 << player), 0));
  const states = statesOf(steps, worth);
  const orders = states.at(-1)?.before ?? 0;
  return blocks.map((members, block) => ({
    players: members,
    moved: added(
      states.flatMap(({ before, worth: from }, state) => {
        const next = states[state | (1 << block)];
        if ((state & (1 << block)) !== 0 || from === undefined || next?.worth === undefined) return [];
        const weight = (before * next.after) / orders;
        return [next.worth.map((value, index) => weight * (value - (from[index] ?? 0)))];
      }),
      worth[0]?.length ?? 0,
    ),
  }));
}

const added = (rows: readonly (readonly number[])[], length: number): readonly number[] =>
  Array.from({ length }, (_, index) => rows.reduce((sum, row) => sum + (row[index] ?? 0), 0));

type State = {
  readonly worth: readonly number[] | undefined;
  /** orders that lead from the start to here, and from here to the end */
  before: number;
  after: number;
};

/** The states between nobody's move and everybody's, by which blocks moved. */
function statesOf(steps: readonly number[], worth: readonly (readonly number[] | undefined)[]): readonly State[] {
  const last = 2 ** steps.length - 1;
  const states: readonly State[] = Array.from({ length: last + 1 }, (_, state) => ({
    worth: worth[steps.reduce((mask, step, block) => ((state & (1 << block)) === 0 ? mask : mask | step), 0)],
    before: state === 0 ? 1 : 0,
    after: state === last ? 1 : 0,
  }));
  const neighbours = (state: number, bit: 0 | 1) =>
    steps.flatMap((_, block) => (((state >> block) & 1) === bit ? (states[state ^ (1 << block)] ?? []) : []));
  const sum = (of: readonly State[], count: 'before' | 'after') => of.reduce((all, one) => all + one[count], 0);
  for (const [state, one] of states.entries())
    if (state > 0 && one.worth !== undefined) one.before = sum(neighbours(state, 1), 'before');
  for (const [state, one] of [...states.entries()].reverse())
    if (state < last && one.worth !== undefined) one.after = sum(neighbours(state, 0), 'after');
  return states;
}

/** The division into most blocks that can move one after another; of several the first, by the order of the players. */
function finestBlocks(
  players: number,
  worth: readonly (readonly number[] | undefined)[],
): readonly (readonly number[])[] {
  const movable = (blocks: readonly (readonly number[])[]) =>
    (statesOf(
      blocks.map((members) => members.reduce((mask, player) => mask | (1 << player), 0)),
      worth,
    ).at(-1)?.before ?? 0) > 0;
  const finestFirst = divisions(players).toSorted((a, b) => b.length - a.length);
  return finestFirst.find(movable) ?? [Array.from({ length: players }, (_, player) => player)];
}

/** Every way to divide players into blocks. */
function divisions(players: number): readonly (readonly (readonly number[])[])[] {
  let all: readonly (readonly (readonly number[])[])[] = [[]];
  for (let player = 0; player < players; player++)
    all = all.flatMap((blocks) => [
      [...blocks, [player]],
      ...blocks.map((_, into) => blocks.map((block, index) => (index === into ? [...block, player] : block))),
    ]);
  return all;
}
