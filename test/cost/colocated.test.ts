import { describe, expect, it } from 'vitest';
import { findAccelerator } from '../../src/facts/accelerators.ts';
import { costOf, hidden, others, small } from './estimates.ts';

const all = hidden + others;
const fsdp = { framework: 'fsdp', sharding: 'full', gpus: 4, accelerator: 'h100-sxm-80gb', sequence_length: 128 };
const memory = (run: object) => costOf(small, run).memory;
const heldBy = (run: object) => memory(run).roles?.held ?? {};

describe('models of other roles', () => {
  it('are absent where nobody states them', () => {
    expect(memory(fsdp)).not.toHaveProperty('roles');
  });

  it.each([
    // FSDP2 divides over 4 GPUs; fp32 weights have 4 bytes, and AdamW two states of 4.
    [fsdp, { reference: {} }, { reference: all }],
    [fsdp, { reference: { dtype: 'bf16' } }, { reference: (2 * all) / 4 }],
    [fsdp, { critic: { holds: 'states' } }, { critic: ((4 + 8) * all) / 4 }],
    [fsdp, { critic: { holds: 'states', parameters: all / 2 } }, { critic: ((4 + 8) * all) / 8 }],
    // ZeRO 2 leaves weights whole.
    [
      { ...fsdp, framework: 'deepspeed', sharding: 'gradients' },
      { reference: { dtype: 'bf16' }, reward_model: { dtype: 'bf16' } },
      { reference: 2 * all, reward_model: 2 * all },
    ],
  ])('keep under %j with %j %j bytes', (run, colocated, held) => {
    expect(heldBy({ weights_dtype: 'fp32', ...run, colocated })).toEqual(held);
  });

  it('are allocated in every phase of the update', () => {
    const before = memory(fsdp);
    const after = memory({ ...fsdp, colocated: { reference: { dtype: 'bf16' } } });
    expect(after.phase).toBe(before.phase);
    expect(after.allocated - before.allocated).toBe((2 * all) / 4);
    expect(after.basis).toContain('several models on one GPU');
  });
});

describe('an inference engine', () => {
  const usable = findAccelerator('h100-sxm-80gb')?.usable ?? 0;
  const rollout = (more: object = {}) => memory({ ...fsdp, weights_dtype: 'fp32', rollout: { share: 0.5, ...more } });
  const engine = usable / 2;

  it.each([
    ['states', ((4 + 8) * all) / 4],
    ['weights', all],
    ['nothing', 0],
  ])('is beside %s of the trained model, %d bytes', (beside, staying) => {
    const { phase, allocated, parts } = rollout({ beside });
    expect(phase).toBe('rollout');
    expect(parts.lines['rollout_engine']).toBeCloseTo(engine, 0);
    expect(allocated - (parts.lines['library_workspaces'] ?? 0)).toBeCloseTo(engine + staying, 0);
  });

  it('gives its memory back for the update, unless it does not sleep', () => {
    const asleep = rollout();
    const awake = rollout({ sleeps: false });
    expect(asleep.roles?.update).toBe(memory({ ...fsdp, weights_dtype: 'fp32' }).device);
    expect((awake.roles?.update ?? 0) - (asleep.roles?.update ?? 0)).toBeCloseTo(engine, 0);
    expect(awake.device).toBe(awake.roles?.update);
    expect(awake.roles?.rollout).toBe(asleep.roles?.rollout);
  });

  it('decides the peak only where it is the larger', () => {
    const tiny = memory({ ...fsdp, rollout: { share: 0.0001, beside: 'nothing' } });
    expect(tiny.phase).not.toBe('rollout');
    expect(tiny.device).toBe(memory(fsdp).device);
  });
});

it('pairs cost what a batch of twice as many sequences costs', () => {
  const pairs = costOf(small, { ...fsdp, micro_batch_size: 2, global_batch_size: 16, sequences_per_sample: 2 });
  const single = costOf(small, { ...fsdp, micro_batch_size: 4, global_batch_size: 32 });
  const { savings: _, ...memoryOfSingle } = single.memory;
  expect(pairs.memory).toMatchObject(memoryOfSingle);
  expect(pairs.throughput).toEqual(single.throughput);
});
