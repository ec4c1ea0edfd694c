import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Game, mostPlayers, partsOf } from '../../src/attribution/shapley.ts';

const everybody = (players: number) => 2 ** players - 1;
const game =
  (worth: readonly (number | undefined)[]): Game =>
  (moved) => {
    const value = worth[moved];
    return value === undefined ? undefined : [value];
  };
const movedBy = (parts: ReturnType<typeof partsOf>) =>
  Object.fromEntries(parts.map(({ players, moved }) => [players.join(), moved[0]]));

/** Any number for each state; halfway, some are worth nothing. */
const games = fc.integer({ min: 1, max: mostPlayers }).chain((players) =>
  fc
    .array(fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined, freq: 4 }), {
      minLength: 2 ** players,
      maxLength: 2 ** players,
    })
    .map((worth) => ({
      players,
      worth: worth.map((value, state) => (state === 0 || state === everybody(players) ? (value ?? 0) : value)),
    })),
);

describe('the parts of a game', () => {
  it('are what the textbook says', () => {
    // The first alone is worth 1, the second 2, both together 10: what only both bring is halved.
    expect(movedBy(partsOf(2, game([0, 1, 2, 10])))).toEqual({ 0: 4.5, 1: 5.5 });
  });

  it('add up to the difference between nobody and everybody', () => {
    fc.assert(
      fc.property(games, ({ players, worth }) => {
        const parts = partsOf(players, game(worth));
        const sum = parts.reduce((all, { moved }) => all + (moved[0] ?? 0), 0);
        expect(sum).toBeCloseTo((worth[everybody(players)] ?? 0) - (worth[0] ?? 0), 6);
        expect(parts.flatMap((part) => part.players).toSorted()).toEqual([...Array(players).keys()]);
      }),
    );
  });

  it('give nothing to who does nothing', () => {
    fc.assert(
      fc.property(games, ({ players, worth }) => {
        // One more player, with whom every state is worth what it is without.
        const parts = partsOf(Math.min(players, mostPlayers - 1) + 1, (moved) =>
          game(worth)(moved & everybody(Math.min(players, mostPlayers - 1))),
        );
        const idle = parts.find((part) => part.players.includes(Math.min(players, mostPlayers - 1)));
        if (idle?.players.length === 1) expect(idle.moved).toEqual([0]);
      }),
    );
  });

  it('are the same for players who do the same', () => {
    const counted = fc.array(fc.integer({ min: -1000, max: 1000 }), {
      minLength: mostPlayers + 1,
      maxLength: mostPlayers + 1,
    });
    fc.assert(
      fc.property(counted, (byCount) => {
        const parts = partsOf(mostPlayers, (moved) => [byCount[moved.toString(2).replaceAll('0', '').length] ?? 0]);
        for (const { moved } of parts) expect(moved[0]).toBeCloseTo(parts[0]?.moved[0] ?? 0, 9);
      }),
    );
  });

  it('do not depend on who is named first', () => {
    fc.assert(
      fc.property(games, fc.integer(), ({ players, worth }, seed) => {
        const turned = (player: number) => (player + (Math.abs(seed) % players)) % players;
        const back = (moved: number) =>
          [...Array(players).keys()].reduce((mask, one) => (moved & (1 << turned(one)) ? mask | (1 << one) : mask), 0);
        const whole = worth.map((value) => value ?? 0);
        const [one, other] = [partsOf(players, game(whole)), partsOf(players, (moved) => game(whole)(back(moved)))];
        for (const player of Array(players).keys())
          expect(other[turned(player)]?.moved[0]).toBeCloseTo(one[player]?.moved[0] ?? 0, 6);
      }),
    );
  });
});

describe('a game that is worth nothing halfway', () => {
  it('counts only the orders in which every step is worth something', () => {
    // The second can only move after the first.
    expect(movedBy(partsOf(2, game([0, 1, undefined, 10])))).toEqual({ 0: 1, 1: 9 });
  });

  it('gives one part to those who can only move together', () => {
    expect(movedBy(partsOf(2, game([0, undefined, undefined, 10])))).toEqual({ '0,1': 10 });
  });

  it('leaves the others their own', () => {
    const worth = Array.from({ length: 8 }, (_, moved) =>
      (moved & 3) === 1 || (moved & 3) === 2 ? undefined : (moved & 3 ? 10 : 0) + (moved & 4 ? 5 : 0),
    );
    expect(movedBy(partsOf(3, game(worth)))).toEqual({ '0,1': 10, '2': 5 });
  });
});
