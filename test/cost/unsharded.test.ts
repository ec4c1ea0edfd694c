import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { unshardedOf } from '../../src/cost/memory/unsharded.ts';
import { stages } from '../../src/cost/placement.ts';
import { costOf, hidden, modelOf, small } from './estimates.ts';

/** Elements of a layer, of the table, and of the output with the last norm. */
const layer = hidden / 4 + 2 * 512;
const table = 1000 * 512;
const head = 1000 * 512 + 512;
const [gathered, reduced] = [2, 4];

/** What FSDP2 over four GPUs gathers of the small model in bf16. */
function gatheredBy(more: object) {
  const { run } = costOf(small, {
    framework: 'fsdp',
    sharding: 'full',
    gpus: 4,
    precision: 'bf16',
    weights_dtype: 'fp32',
    ...more,
  }).run;
  const operations = expand(modelOf(small));
  const [stage] = stages(operations, run);
  if (stage === undefined) throw new Error('no stage');
  return unshardedOf(operations, run, stage);
}

describe('weights that FSDP2 gathers', () => {
  it('are freed layer by layer', () => {
    const { atLoss, inBackward, inReduction } = gatheredBy({});
    expect(atLoss).toBe(gathered * head);
    expect(inBackward(3)).toBe(gathered * layer + reduced * head);
    expect(inBackward(1)).toBe(gathered * layer + reduced * layer);
    expect(inReduction(1)).toBe((gathered + reduced) * layer);
  });

  it('stay for the backward pass where they are not resharded', () => {
    const { atLoss, inBackward, inReduction } = gatheredBy({ reshard_after_forward: false });
    expect(atLoss).toBe(gathered * (table + 4 * layer + head));
    expect(inBackward(3)).toBe(gathered * (table + 4 * layer) + reduced * head);
    expect(inBackward(1)).toBe(gathered * (table + 2 * layer) + reduced * layer);
    expect(inReduction(1)).toBe(gathered * (table + layer) + (gathered + reduced) * layer);
  });
});
