import { describe, expect, it } from 'vitest';
import { costOf, hidden, mixture, others, small } from './estimates.ts';

const psi = hidden + others;
const [D, L, T] = [512, 4, 4096];
const parts = (run: object, config: object = small) =>
  costOf(config, { sequence_length: T, micro_batch_size: 1, ...run }).throughput.parts;

/** Benchmarked on H100 (ai-dynamo/aiconfigurator 095f58a): seconds to start and for each further rank, bytes/s, bytes of its ramp. */
const h100 = {
  gather: [4.5e-6, 0.84e-6, 340e9, 5e6],
  scatter: [4.9e-6, 0.73e-6, 315e9, 2.2e6],
  reduce: [4.5e-6, 1.55e-6, 398e9, 5.8e6],
  exchange: [7.4e-6, 0.1e-6, 360e9, 6e6],
} as const;
const card = 50e9;

/** Within a node a ring moves (n - 1) / n of what is gathered, a reduction twice as much. */
function near(kind: keyof typeof h100, bytes: number, n: number): number {
  const [start, each, rate, ramp] = h100[kind];
  const volume = ((bytes * (n - 1)) / n) * (kind === 'reduce' ? 2 : 1);
  return start + each * (n - 1) + (volume + Math.sqrt(volume * ramp)) / rate;
}

/** Beyond it the cards of a node's ranks together, 85 % of their rate, and a hop for each further node. */
function far(kind: keyof typeof h100, bytes: number, n: number, network = card): number {
  const local = 8;
  const [start, each, rate, ramp] = h100[kind];
  const twice = kind === 'reduce' ? 2 : 1;
  const volume = ((bytes * (n - 1)) / n) * twice;
  const across = Math.min(rate, local * network * 0.85);
  return start + each * (local - 1) + (volume + Math.sqrt(4 * volume * ramp)) / across + 6e-6 * (n / local - 1) * twice;
}

describe('tensor parallelism: two blocks in a layer', () => {
  const bytes = 2 * D * T;
  const [gather, scatter, reduce] = [near('gather', bytes, 8), near('scatter', bytes, 8), near('reduce', bytes, 8)];

  // Korthikanti et al. 2022, 4.2.2: a gather and a scatter each way, and one more gather for the weight gradients, half hidden.
  it.each([
    [{ sequence_parallel: true }, {}, 0.88 * (2 * (gather + scatter) + 0.5 * gather)],
    [{ sequence_parallel: false }, {}, 0.88 * 2 * reduce],
    [{ sequence_parallel: true }, { overlap_tensor_parallel: true }, 0.2 * (2 * (gather + scatter) + 0.5 * gather)],
    [{ sequence_parallel: true }, { precision: 'fp8' }, 0.2 * (2 * (gather + scatter) + 0.5 * gather)],
  ])('%j %j', (parallelism, run, block) => {
    const { exposed_tensor } = parts({ gpus: 8, parallelism: { tensor: 8, ...parallelism }, ...run });
    expect(exposed_tensor / (L * 2 * block)).toBeCloseTo(1, 9);
  });
});

describe('context parallelism', () => {
  it.each([
    [2, 131_072],
    [8, 131_072],
  ])(
    'gathers keys and values over %d ranks: 40 % is seen where attention takes longer, twice backward',
    (context, S) => {
      const gather = near('gather', 2 * 2 * D * S, context);
      const { exposed_context } = parts({ gpus: context, sequence_length: S, parallelism: { context } });
      expect(exposed_context / (L * 3 * 0.4 * gather)).toBeCloseTo(1, 9);
    },
  );
});

describe('the exchange of experts', () => {
  const row = 2 * D * T;
  const [start, , rate] = h100.exchange;

  it('within a node: k (1 - 1 / n) of a token leave its rank', () => {
    const once = 2 * start + (row * 2 * (1 - 1 / 8)) / rate;
    const { exposed_expert } = parts({ gpus: 8, parallelism: { expert: 8 } }, mixture);
    // There and back, forward and backward, of which half is seen.
    expect(exposed_expert / (L * 2 * 2 * 0.5 * once)).toBeCloseTo(1, 9);
  });

  it('never more than one copy for each rank', () => {
    const [n, k] = [8, 6];
    const once = 2 * start + (row * n * (1 - (1 - 1 / n) ** k)) / rate;
    const config = { ...mixture, num_experts_per_tok: k };
    const { exposed_expert } = parts({ gpus: 8, parallelism: { expert: n } }, config);
    const plain = 2 * start + (row * k * (1 - 1 / n)) / rate;
    expect(exposed_expert / (L * 2 * 2 * 0.5 * Math.min(once, plain))).toBeCloseTo(1, 9);
  });

  it('beyond it once for each node that a token visits (DeepEP), at 95 % of a card, the shorter way 30 % seen', () => {
    const config = { ...mixture, num_local_experts: 64 };
    const fast = (row * 2 * (1 - 1 / 8)) / rate;
    const slow = (row * 7 * (1 - (1 - 1 / 8) ** 2)) / (0.95 * card);
    const once = 2 * start + slow + 0.3 * fast;
    const { exposed_expert } = parts({ gpus: 64, parallelism: { expert: 64 } }, config);
    expect(exposed_expert / (L * 2 * 2 * 0.5 * once)).toBeCloseTo(1, 9);
  });
});

describe('data parallelism', () => {
  // Long sequences leave time enough beside the backward pass: a quarter of what can be hidden is seen.
  const long = { sequence_length: 65_536 };

  it.each([
    ['megatron', 'none', 0.25 * near('reduce', 4 * psi, 8)],
    ['megatron', 'optimizer', 0.25 * (near('scatter', 4 * psi, 8) + near('gather', 2 * psi, 8))],
    ['deepspeed', 'none', 0.25 * near('reduce', 2 * psi, 8)],
    ['deepspeed', 'optimizer', 0.25 * near('scatter', 2 * psi, 8) + near('gather', 2 * psi, 8)],
    ['fsdp', 'none', 0.25 * near('reduce', 4 * psi, 8)],
    ['transformers', 'none', 0.25 * near('reduce', 2 * psi, 8)],
  ])('%s, sharding %s', (framework, sharding, seconds) => {
    expect(parts({ ...long, gpus: 8, framework, sharding }).exposed_data / seconds).toBeCloseTo(1, 9);
  });

  it('16-bit gradients halve it where they are stated, and a network slows it down', () => {
    const run = { ...long, framework: 'megatron', sharding: 'none' };
    const half = 0.25 * near('reduce', 2 * psi, 8);
    expect(parts({ ...run, gpus: 8, gradients_dtype: 'bf16' }).exposed_data / half).toBeCloseTo(1, 9);
    const wide = 0.25 * far('reduce', 4 * psi, 64);
    expect(parts({ ...run, gpus: 64 }).exposed_data / wide).toBeCloseTo(1, 9);
  });

  it('what 80 % of the backward pass cannot hide is seen', () => {
    const run = { framework: 'megatron', sharding: 'none', gpus: 64, inter_node_gbps_per_gpu: 10 };
    const { exposed_data, ...rest } = parts(run);
    const work = Object.entries(rest).reduce(
      (sum, [name, seconds]) => sum + (['optimizer', 'jitter'].includes(name) ? 0 : seconds),
      0,
    );
    expect(exposed_data / (far('reduce', 4 * psi, 64, 1.25e9) - 0.8 * work)).toBeCloseTo(1, 9);
  });

  it('nodes wait for the slowest: 1.1 % times the expected maximum of Gaussians', () => {
    for (const nodes of [2, 16]) {
      const all = parts({ gpus: 8 * nodes });
      const work = Object.values(all).reduce((sum, seconds) => sum + seconds, 0) - all.jitter;
      expect(all.jitter / work).toBeCloseTo(0.011 * Math.sqrt(2 * Math.log(nodes)), 12);
    }
    expect(parts({ gpus: 8 }).jitter).toBe(0);
  });
});

describe('FSDP, layer by layer', () => {
  const wide = { ...small, hidden_size: 4096, intermediate_size: 14_336 };
  const layer = 4 * 4096 * 4096 + 3 * 4096 * 14_336 + 2 * 4096;
  /** Weights gathered in 16 bits, gradients scattered in fp32, and bytes copied for each parameter out of flat buffers and into them. */
  const [gathered, scattered] = [2 * layer, 4 * layer];
  const copies = (gathers: number) => ((4 * gathers + 6) * layer) / (0.85 * 3352e9);
  const gather = near('gather', gathered, 8);
  const scatter = near('scatter', scattered, 8);
  /** Seconds of one layer more, with all that is exposed of it. */
  const ofLayer = (run: object) => {
    const seconds = (num_hidden_layers: number) => {
      const all = parts({ framework: 'fsdp', gpus: 8, ...run }, { ...wide, num_hidden_layers });
      return Object.entries(all).reduce(
        (sum, [name, one]) => sum + (['optimizer', 'jitter'].includes(name) ? 0 : one),
        0,
      );
    };
    return seconds(L + 1) - seconds(L);
  };

  it('of short sequences collectives are all that is seen, 14 % slower than in a benchmark', () => {
    const tiny = { sequence_length: 16, cuda_graphs: true };
    expect(ofLayer({ ...tiny, sharding: 'full' }) / (1.138 * (2 * gather + scatter) + copies(2))).toBeCloseTo(1, 9);
    // Weights that stay are gathered once.
    const kept = { ...tiny, sharding: 'gradients' };
    expect(ofLayer(kept) / (1.138 * (gather + scatter) + copies(1))).toBeCloseTo(1, 9);
  });

  it('each micro-batch gathers and scatters again', () => {
    const run = { sequence_length: 16, cuda_graphs: true, sharding: 'full' };
    const once = ofLayer({ ...run, global_batch_size: 8 });
    const accumulated = ofLayer({ ...run, global_batch_size: 24 });
    expect(accumulated / (3 * once)).toBeCloseTo(1, 9);
  });

  it('of hybrid sharding, shards of gradients are reduced between the groups, one card for each', () => {
    const run = { sequence_length: 16, cuda_graphs: true, sharding: 'full', gpus: 64, shard_group: 8 };
    const [start, , rate, ramp] = h100.reduce;
    const volume = 2 * (7 / 8) * (scattered / 8);
    const between = start + (volume + Math.sqrt(4 * volume * ramp)) / Math.min(rate, 0.85 * card) + 6e-6 * 7 * 2;
    expect(ofLayer(run) / (1.138 * (2 * gather + scatter + between) + copies(2))).toBeCloseTo(1, 9);
  });

  it('beside long work they take 16 of 132 multiprocessors while they last, and bandwidth for what they move', () => {
    const long = { sequence_length: 65_536 };
    const moved = (2 * gathered + scattered) / h100.gather[2];
    const slowed = (16 / 132) * (2 * gather + scatter) + 0.17 * moved + copies(2);
    const without = { ...long, sharding: 'none', gpus: 1, global_batch_size: 1 };
    expect((ofLayer({ ...long, sharding: 'full' }) - ofLayer(without)) / slowed).toBeCloseTo(1, 6);
  });
});

describe('transfers between pipeline stages', () => {
  const sent = 2 * D * T;
  it.each([
    [{ pipeline: 4 }, 4, 2 * (1e-5 + sent / 340e9)],
    [{ pipeline: 4, virtual_pipeline: 2 }, 4, 0.5 * 2 * 2 * (1e-5 + sent / 340e9)],
    [{ pipeline: 4, tensor: 2, sequence_parallel: false }, 8, 2 * (1e-5 + sent / 2 / 340e9)],
    [{ pipeline: 4, tensor: 8 }, 32, 2 * (1e-5 + sent / 8 / (0.8 * card))],
  ])('%j: each micro-batch there and back', (parallelism, gpus, seconds) => {
    const { exposed_pipeline } = parts(
      { gpus, global_batch_size: 16, parallelism },
      { ...small, num_hidden_layers: 8 },
    );
    expect(exposed_pipeline / (16 * seconds)).toBeCloseTo(1, 9);
  });
});
