import { describe, expect, it } from 'vitest';
import { inParallel, partsOf } from '../../src/github/parallel.ts';

const turn = () => new Promise<void>((done) => setImmediate(done));

describe('work a few at a time', () => {
  it('gives the results in order, whichever comes first', async () => {
    const done = await inParallel([3, 1, 2, 0, 5, 4], async (turns) => {
      for (let waited = 0; waited < turns; waited++) await turn();
      return turns;
    });
    expect(done).toEqual([3, 1, 2, 0, 5, 4]);
    expect(await inParallel([], turn)).toEqual([]);
  });

  it('never has more than four under way', async () => {
    let [now, most] = [0, 0];
    await inParallel(Array.from({ length: 20 }), async () => {
      most = Math.max(most, ++now);
      await turn();
      now -= 1;
    });
    expect(most).toBe(4);
  });

  it('begins no more after one has failed, and fails as that one did', async () => {
    const begun: number[] = [];
    const work = async (index: number) => {
      begun.push(index);
      await turn();
      if (index === 1) throw new Error('the second');
    };
    await expect(inParallel([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], work)).rejects.toThrow('the second');
    for (let waited = 0; waited < 5; waited++) await turn();
    expect(begun.length).toBeLessThan(7);
  });

  it('is cut into parts', () => {
    expect(partsOf([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(partsOf([], 2)).toEqual([]);
  });
});
