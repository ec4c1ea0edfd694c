import { expect, it } from 'vitest';
import { moves } from '../scripts/freeze.ts';

/** A change that moves numbers on purpose writes them down (`npm run freeze -- --write`) and says so in CHANGELOG.md. */
it('moves no report unless it says so', () => {
  expect(moves().slice(0, 20)).toEqual([]);
});
