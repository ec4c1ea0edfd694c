import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countFlops } from '../../src/cost/count/flops.ts';
import { forwardFlops, meanContext } from '../../src/cost/count/forward.ts';
import { mainNetwork } from '../../src/cost/count/weights.ts';
import { expand } from '../../src/cost/expand/model.ts';
import type { Architecture } from '../../src/model/architecture.ts';
import type { FlopConvention } from '../../src/model/estimate.ts';
import type { RunFields } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

const architectureOf = (config: object): Architecture => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading.architecture;
};
const committed = (name: string): object =>
  JSON.parse(readFileSync(new URL(`../../configs/${name}.json`, import.meta.url), 'utf8'));

const flopsOf = (config: object, run: RunFields) => {
  const architecture = architectureOf(config);
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...run } }], architecture);
  if (settling.kind === 'unsettled') throw new Error('unsettled');
  return countFlops(expand(architecture), settling.settled.run);
};

type TextEncoder = { readonly config: { readonly model_type: string; readonly hidden_size: number } } & {
  readonly tokens: number;
  readonly flops: number;
};
const textEncoders: readonly TextEncoder[] = JSON.parse(
  readFileSync(new URL('../oracle/text-encoders.json', import.meta.url), 'utf8'),
);

// Longformer computes overlapping chunks of its windows, which its assumption says.
it.each(textEncoders.filter(({ config }) => config.model_type !== 'longformer'))(
  "PyTorch's FlopCounterMode on the layers of an encoder: $config.model_type",
  ({ config, tokens, flops }) => {
    const { layers, order } = expand(architectureOf(config));
    const ofLayers = order.map((index) =>
      (layers[index]?.operations ?? []).reduce((sum, operation) => sum + forwardFlops(operation, tokens) * tokens, 0),
    );
    // The pooler of these reads the first token of a text.
    const pooler = ['bert', 'big_bird'].includes(config.model_type) ? 2 * config.hidden_size ** 2 : 0;
    expect(ofLayers.reduce((sum, one) => sum + one, 0) + pooler).toBe(flops);
  },
);

describe("PyTorch's FlopCounterMode on the official models, 4,096 tokens, full attention", () => {
  // torch 2.13.0, transformers 5.18.0, meta device. The counter adds the rotary tables' small products, which we leave out.
  it.each([
    ['llama-3.1-8b', committed('llama-3.1-8b'), 70_274_255_421_440],
    ['llama-3.1-70b', committed('llama-3.1-70b'), 613_338_510_262_272],
    ['mistral-7b', committed('mistral-7b'), 67_044_440_014_848],
    ['qwen3-8b', committed('qwen3-8b'), 71_893_458_092_032],
    ['gemma-2-9b', committed('gemma-2-9b'), 87_247_966_699_520],
    ['gpt2', { model_type: 'gpt2' }, 1_630_449_696_768],
    [
      'pythia-6.9b',
      {
        model_type: 'gpt_neox',
        hidden_size: 4096,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        intermediate_size: 16_384,
        vocab_size: 50_432,
      },
      63_264_868_401_152,
    ],
    [
      'opt-6.7b',
      {
        model_type: 'opt',
        hidden_size: 4096,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        ffn_dim: 16_384,
        word_embed_proj_dim: 4096,
        vocab_size: 50_272,
      },
      63_259_499_560_960,
    ],
    [
      'command-r',
      {
        model_type: 'cohere',
        hidden_size: 8192,
        num_hidden_layers: 40,
        num_attention_heads: 64,
        num_key_value_heads: 64,
        intermediate_size: 22_528,
        vocab_size: 256_000,
      },
      308_550_451_068_928,
    ],
    [
      'starcoder2-15b',
      {
        model_type: 'starcoder2',
        hidden_size: 6144,
        num_hidden_layers: 40,
        num_attention_heads: 48,
        num_key_value_heads: 4,
        intermediate_size: 24_576,
        vocab_size: 49_152,
      },
      144_723_218_530_304,
    ],
  ] as const)('%s', (_, config, counted) => {
    const S = 4096;
    let total = 0;
    for (const { operation, times } of mainNetwork(expand(architectureOf(config))))
      total += times * forwardFlops(operation, S, 'full');
    expect(Math.abs((total * S) / counted - 1)).toBeLessThan(1e-7);
  });
});

/**
 * One model of one publication: the median of its TFLOP/s over tokens/s. `tolerance` where the columns are rounded to whole
 * numbers. `differs` where the publisher counts otherwise than its own convention says, or otherwise than we do.
 */
type Published = {
  readonly model: string;
  readonly config: string | object;
  readonly sequence_length: number;
  readonly mtp?: boolean;
  readonly convention: FlopConvention;
  readonly gigaflops_per_token: { readonly median: number; readonly rows: number };
  readonly tolerance?: number;
  readonly differs?: { readonly ours_over_published: number; readonly reason: string };
  readonly source: string;
};
const published = JSON.parse(
  readFileSync(new URL('../oracle/published-flops.json', import.meta.url), 'utf8'),
) as readonly Published[];

describe('published TFLOP/s over published tokens/s', () => {
  it.each(published)('$model at $sequence_length, $convention: $source', (row) => {
    const { config, gigaflops_per_token: stated, mtp, tolerance = 1e-3, differs } = row;
    const { conventions } = flopsOf(typeof config === 'string' ? committed(config) : config, {
      sequenceLength: row.sequence_length,
      ...(mtp === undefined ? {} : { mtp }),
    });
    const error = conventions[row.convention] / 1e9 / stated.median - 1;
    expect(Math.abs(error - (differs?.ours_over_published ?? 0))).toBeLessThan(tolerance);
  });
});

describe('closed forms', () => {
  it("PaLM's 6N + 12LHQT for GPT-2", () => {
    const config = committed('gpt2-xl');
    const { palm } = flopsOf(config, { sequenceLength: 1024 }).conventions;
    expect(palm).toBe(6 * 1_557_611_200 + 12 * 48 * 1600 * 1024);
  });

  it('the keys that a causal query meets', () => {
    expect(meanContext({ kind: 'full' }, true, 4096)).toBe(2048);
    expect(meanContext({ kind: 'full' }, false, 4096)).toBe(4096);
    expect(meanContext({ kind: 'window', tokens: 1024 }, true, 4096)).toBe(1024 - 1024 ** 2 / 8192);
    expect(meanContext({ kind: 'window', tokens: 8192 }, true, 4096)).toBe(2048);
    expect(meanContext({ kind: 'chunk', tokens: 1024 }, true, 4096)).toBe(512);
    expect(meanContext({ kind: 'selected', tokens: 2048 }, true, 2048)).toBe(1024);
    // 512 of 1,024 groups of four tokens, and the last 128 tokens besides (DeepSeek-V4's compressed attention).
    const compressed = { kind: 'selected', tokens: 512, ratio: 4, window: 128 } as const;
    expect(meanContext(compressed, true, 4096)).toBe(512 - 512 ** 2 / 2048 + (128 - 128 ** 2 / 8192));
    expect(meanContext(compressed, false, 4096)).toBe(512 + 128);
  });
});

describe('what training executes', () => {
  const config = committed('llama-7b');
  const plain = flopsOf(config, { sequenceLength: 2048 });

  it('is three times the forward pass; full recompute adds the layers once more', () => {
    expect(plain.training).toBeCloseTo(3 * plain.forward.total, 0);
    expect(plain.hardware).toBe(plain.training);
    const full = flopsOf(config, { sequenceLength: 2048, recompute: 'full' });
    expect(full.training).toBe(plain.training);
    expect(full.hardware - full.training).toBeCloseTo(plain.forward.total - (plain.forward.lines['output'] ?? 0), 0);
  });

  it('frozen weights need no weight gradient, and nothing before the first adapter a backward pass', () => {
    const lora = flopsOf(config, {
      sequenceLength: 2048,
      lora: { rank: 16, targets: ['q_proj', 'v_proj'], baseBits: 16 },
    });
    const core = plain.parts.lines['layers.attention.core'] ?? 0;
    const adapters = 3 * 2 * 32 * 2 * 16 * (4096 + 4096);
    // Layer 0: no input gradient of query, key and value, nor of the adapters' first factors, nor the keys' part of the core.
    const spared = 3 * 2 * 4096 * 4096 + 2 * 2 * 16 * 4096 + core / 32 / 2;
    expect(lora.training).toBeCloseTo(2 * (plain.forward.total - core) + 3 * core + adapters - spared, 0);
  });
});

describe('properties', () => {
  it('more of anything never costs less', () => {
    const keys = ['num_hidden_layers', 'intermediate_size', 'vocab_size'] as const;
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.integer({ min: 1, max: 64 }), (key, more) => {
        const small = {
          model_type: 'llama',
          hidden_size: 256,
          num_hidden_layers: 2,
          num_attention_heads: 4,
          intermediate_size: 512,
          vocab_size: 1000,
        };
        const before = flopsOf(small, { sequenceLength: 512 });
        const after = flopsOf({ ...small, [key]: small[key] + more }, { sequenceLength: 512 });
        expect(after.training).toBeGreaterThan(before.training);
      }),
      { numRuns: 100 },
    );
  });

  it('attention is the only part that grows with the sequence', () => {
    const { growth } = flopsOf(committed('llama-3.1-8b'), { sequenceLength: 4096 });
    const rest = growth.map(({ attention, total }) => total - attention);
    for (const amount of rest) expect(amount).toBeCloseTo(rest[0] ?? 0, 0);
    expect((growth[3]?.attention ?? 0) / (growth[2]?.attention ?? 1)).toBeCloseTo(2, 6);
  });
});
