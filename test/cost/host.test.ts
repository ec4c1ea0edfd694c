import { describe, expect, it } from 'vitest';
import { expand } from '../../src/cost/expand/model.ts';
import { contextOf } from '../../src/cost/time/context.ts';
import { hostSeconds, launchSeconds } from '../../src/cost/time/host.ts';
import { kernelsOf } from '../../src/facts/kernels.ts';
import { launches, stepFacts } from '../../src/facts/steps.ts';
import { costOf, mixture, modelOf, small } from './estimates.ts';

const latent = { model_type: 'deepseek_v3', num_hidden_layers: 1, first_k_dense_replace: 1 };

/** Seconds in which the host launches the first layer of a model, forward. */
function launched(config: object, more: object = {}) {
  const { run, machine } = costOf(config, { accelerator: 'h100-sxm-80gb', gpus: 8, ...more }).run;
  if (machine === undefined) throw new Error('no machine');
  const context = contextOf(run, machine, 1, { step: stepFacts, kernelsOf });
  return launchSeconds(expand(modelOf(config)).layers[0]?.operations ?? [], run, context);
}

describe('launching a layer', () => {
  // Kernels of a Llama layer in Transformer Engine: four products, attention, two norms, two sums, rotary position, activation.
  it('takes as long for each of its 11 kernels', () => {
    const gpt = { model_type: 'gpt2', n_embd: 512, n_head: 8, n_layer: 4 };
    // GPT has no rotary position.
    expect(launched(gpt) / launched(small)).toBeCloseTo(10 / 11, 9);
  });

  // Megatron-LM's CI at d98e8a6, small models on H100.
  it('takes two to three times as long with latent attention', () => {
    const times = launched(latent) / launched(small);
    expect(times).toBeGreaterThan(2);
    expect(times).toBeLessThan(3);
  });

  it('takes 3.4 to 4.5 ms longer there and back with experts, and longer with more of them on a GPU', () => {
    const apart = { parallelism: { expert: 8 } };
    const there = launched(mixture, apart) - launched(small);
    const both = there * (1 + launches.backward);
    expect(both).toBeGreaterThan(3.4e-3);
    expect(both).toBeLessThan(4.5e-3);
    expect(launched(mixture) - launched(mixture, apart)).toBeCloseTo(7 * 25e-6, 9);
  });

  it('takes longer on slower hosts', () => {
    expect(launched(small, { accelerator: 'a100-sxm-80gb' }) / launched(small)).toBeCloseTo(1.5, 9);
  });

  // NVIDIA's recipes replay CUDA graphs in 8 bits, of experts where a Grace CPU launches for Blackwell.
  it('is replayed from CUDA graphs in 8 bits, of experts on Grace Blackwell alone', () => {
    expect(launched(small, { precision: 'fp8' })).toBe(0);
    expect(launched(small, { precision: 'fp8', cuda_graphs: false })).toBe(launched(small));
    expect(launched(small, { cuda_graphs: true })).toBe(0);
    expect(launched(mixture, { precision: 'fp8' })).toBe(launched(mixture));
    const grace = { accelerator: 'gb200-nvl72', precision: 'fp8' };
    // Two fifths of the routing's 1.8 ms are left, and two launches for each expert, by a host that is 1.4 times as slow.
    expect(launched(mixture, grace)).toBeCloseTo(1.4 * (0.4 * 1.8e-3 + 8 * 25e-6), 9);
  });
});

describe('waiting for the host', () => {
  it('is what it takes longer than the GPU; where it waits for the GPU too, their root mean square', () => {
    expect(hostSeconds(3, 4, false)).toBe(1);
    expect(hostSeconds(4, 3, false)).toBe(0);
    expect(hostSeconds(3, 4, true)).toBe(2);
  });
});
