import { describe, expect, it } from 'vitest';
import { Patience } from '../../src/github/api.ts';

describe('how long a run waits in all', () => {
  it('counts pauses and tries that came to nothing, and ends', () => {
    const patience = new Patience(180);
    expect(patience.hasRoomFor(0, 60_000)).toBe(true);
    for (let hung = 0; hung < 8; hung++) patience.lose(30_000 * hung, 30_000 * hung + 20_000);
    expect(patience.hasRoomFor(240_000, 260_000)).toBe(true);
    expect(patience.hasRoomFor(240_000, 261_000)).toBe(false);
    patience.lose(240_000, 260_000);
    expect(patience.hasRoomFor(260_000, 261_000)).toBe(false);
  });

  it('counts once what requests beside each other lose at the same time', () => {
    const patience = new Patience(180);
    for (let request = 0; request < 4; request++) patience.lose(request, 60_000 + request);
    expect(patience.hasRoomFor(60_003, 180_000)).toBe(true);
    expect(patience.hasRoomFor(60_003, 180_001)).toBe(false);
    expect(patience.hasRoomFor(30_000, 180_000)).toBe(true);
  });
});
