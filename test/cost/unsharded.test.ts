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
function gatheredBy(more: object, config: object = small) {
  const { run } = costOf(config, {
    framework: 'fsdp',
    sharding: 'full',
    gpus: 4,
    precision: 'bf16',
    weights_dtype: 'fp32',
    ...more,
  }).run;
  const operations = expand(modelOf(config));
  const [stage] = stages(operations, run);
  if (stage === undefined) throw new Error('no stage');
  return unshardedOf(operations, run, stage);
}

describe('weights that FSDP1 and DeepSpeed gather', () => {
  it('two layers as flat tensors, and the root, which is not quantised', () => {
    const of = (more: object) => gatheredBy({ framework: 'transformers', ...more }).atLoss;
    expect(of({})).toBe(2 * 2 * layer + 2 * (table + head));
    expect(of({ precision: 'fp32' })).toBe(2 * 4 * layer + 4 * (table + head));
    expect(of({ lora: { rank: 8, targets: ['q_proj'], base_bits: 8 } })).toBe(2 * 1 * layer + 2 * (table + head));
  });

  it('over two GPUs as over four, and nothing on one', () => {
    const of = (framework: string, gpus: number) => gatheredBy({ framework, gpus }).atLoss;
    for (const framework of ['transformers', 'deepspeed']) {
      expect(of(framework, 2)).toBe(of(framework, 4));
      expect(of(framework, 1)).toBe(0);
    }
  });

  it('all weights, up to a billion elements that are needed again soon (stage3_max_live_parameters)', () => {
    const of = (config: object) => gatheredBy({ framework: 'deepspeed' }, config).atLoss;
    expect(of(small)).toBe(2 * (table + 4 * layer + head));
    const wide = { ...small, hidden_size: 8192, intermediate_size: 28_672 };
    expect(of(wide)).toBe(2 * (1e9 + 5e7));
  });
});

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

  it('are reduced only where they are trained', () => {
    const { inBackward, inReduction } = gatheredBy({ lora: { rank: 8, targets: ['q_proj'] } });
    expect(inBackward(1)).toBe(gathered * layer);
    expect(inReduction(1)).toBe(0);
  });

  it('stand in the buffers of two groups that follow each other', () => {
    expect(gatheredBy({}).buffers).toBe(gathered * 2 * layer);
    expect(gatheredBy({}, { ...small, num_hidden_layers: 1 }).buffers).toBe(gathered * (layer + head));
    // Between a table and an output that are each wider than all layers stands the layer.
    const wide = { ...small, num_hidden_layers: 1, vocab_size: 100_000 };
    expect(gatheredBy({}, wide).buffers).toBe(gathered * (layer + 100_000 * 512 + 512));
  });
});
