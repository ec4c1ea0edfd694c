import { describe, expect, it } from 'vitest';
import { Patience } from '../../src/github/api.ts';

describe('how long a run waits in all', () => {
  it('counts pauses and tries that came to nothing, and ends', () => {
    const patience = new Patience(180);
    expect(patience.hasRoomFor(60)).toBe(true);
    for (let hung = 0; hung < 8; hung++) patience.lose(20);
    expect(patience.hasRoomFor(20)).toBe(true);
    expect(patience.hasRoomFor(21)).toBe(false);
    patience.lose(20);
    expect(patience.hasRoomFor(1)).toBe(false);
  });
});
