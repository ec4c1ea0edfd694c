import { describe, expect, it } from 'vitest';
import { batchOf, stagesOf } from '../../src/setup/relations.ts';

describe('the layers of each pipeline stage', () => {
  it.each([
    // Moonlight's 27 layers on four stages, as NeMo RL lays them out.
    [{ firstStageLayers: 7, lastStageLayers: 6 }, 4, 27, [7, 7, 7, 6]],
    [{ lastStageLayers: 13 }, 2, 27, [14, 13]],
    [{ firstStageLayers: 3 }, 2, 8, [3, 5]],
    [{ firstStageLayers: 4, lastStageLayers: 4 }, 2, 8, [4, 4]],
    // Llama's 126 layers, so that the embedding and the loss come out even with them.
    [{ embeddingAsLayers: 1, lossAsLayers: 1 }, 8, 126, [15, 16, 16, 16, 16, 16, 16, 15]],
    [{ lossAsLayers: 1 }, 4, 31, [8, 8, 8, 7]],
    // A stage that is stated goes before one that is made even.
    [{ lastStageLayers: 2, embeddingAsLayers: 1 }, 3, 8, [3, 3, 2]],
  ])('with %j of %i stages and %i layers', (relations, pipeline, layers, stages) => {
    expect(stagesOf(relations, pipeline, layers)).toEqual(stages);
  });

  it.each([
    [{}, 4, 32],
    [{ firstStageLayers: 7 }, 1, 28],
    [{ firstStageLayers: 7 }, 4, 27],
    [{ firstStageLayers: 30 }, 4, 27],
    [{ lossAsLayers: 1 }, 4, 32],
  ])('are not known with %j of %i stages and %i layers', (relations, pipeline, layers) => {
    expect(stagesOf(relations, pipeline, layers)).toBeUndefined();
  });
});

describe('a batch that is accumulated to a number of sequences', () => {
  const batch = (micro: number | undefined, dataParallel: number) =>
    batchOf({ micro, global: undefined }, { accumulatedTo: 16 }, dataParallel, dataParallel, 2048).global;

  it('is made of whole micro-batches, and of one at least', () => {
    expect([batch(1, 8), batch(4, 4), batch(7, 7), batch(3, 2)]).toEqual([16, 16, 49, 18]);
  });

  it('is not what is accumulated where the file says how often', () => {
    const relations = { accumulatedTo: 16, gradientAccumulation: 1 };
    expect(batchOf({ micro: 2, global: undefined }, relations, 2, 2, 2048).global).toBe(4);
  });
});
