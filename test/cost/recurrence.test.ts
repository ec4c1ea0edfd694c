import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { published as models } from '../../scripts/published.ts';
import { countFlops } from '../../src/cost/count/flops.ts';
import { forwardFlops } from '../../src/cost/count/forward.ts';
import { estimateInference } from '../../src/cost/count/inference.ts';
import { adapterParameters } from '../../src/cost/count/lora.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { mainNetwork } from '../../src/cost/count/weights.ts';
import { expand } from '../../src/cost/expand/model.ts';
import type { Architecture } from '../../src/model/architecture.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';
import { bytes } from '../../src/units.ts';

const architectureOf = (config: object): Architecture => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return reading.architecture;
};

const read = (name: string) => JSON.parse(readFileSync(new URL(`../oracle/${name}.json`, import.meta.url), 'utf8'));
const oracle: readonly { model_type: string; variant: string; config: object }[] = read('transformers');

const built = (type: string, variant: string) =>
  architectureOf(oracle.find((row) => row.model_type === type && row.variant === variant)?.config ?? {});
const published = (name: string) => architectureOf(models.find(({ model }) => model === name)?.config ?? {});

const operationsOf = (architecture: Architecture) => [...mainNetwork(expand(architecture))];

describe("PyTorch's FlopCounterMode on the official models, matrix products of 64 tokens", () => {
  // torch 2.13.0, transformers 5.18.0: aten.mm, addmm and baddbmm. Models whose experts run in grouped products are left out.
  it.each([
    ['bamba', 'small', 2_738_880_512],
    ['bamba', 'wide', 8_761_245_696],
    ['falcon_h1', 'small', 3_697_278_976],
    ['falcon_h1', 'wide', 10_684_465_152],
    ['granitemoehybrid', 'wide', 5_440_536_576],
    ['lfm2', 'small', 2_583_691_264],
    ['lfm2', 'wide', 6_437_732_352],
    ['mamba', 'small', 1_945_108_480],
    ['mamba', 'wide', 4_021_813_248],
    ['mamba2', 'small', 1_382_023_168],
    ['mamba2', 'wide', 4_059_561_984],
    ['olmo_hybrid', 'small', 2_511_339_520],
    ['olmo_hybrid', 'wide', 8_163_164_160],
    ['recurrent_gemma', 'small', 1_621_098_496],
    ['recurrent_gemma', 'wide', 4_374_134_784],
    ['rwkv', 'small', 2_382_364_672],
    ['rwkv', 'wide', 8_048_345_088],
    ['xlstm', 'small', 2_549_088_256],
    ['zamba2', 'small', 3_727_163_392],
    ['zamba2', 'wide', 9_677_045_760],
  ] as const)('%s, %s', (type, variant, counted) => {
    const total = operationsOf(built(type, variant)).reduce(
      (sum, { operation, times }) => sum + (operation.kind === 'linear' ? times * forwardFlops(operation, 64) : 0),
      0,
    );
    expect(64 * total).toBe(counted);
  });
});

describe('published TFLOP/s over published tokens/s (NVIDIA Megatron-Bridge, 067f987), at 8,192 tokens', () => {
  // Its recipes train two depths of multi-token prediction (`mtp_num_layers=2`), one physical layer computed twice.
  it.each([
    ['nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4', 2, 28.146],
    ['nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8', 2, 84.733],
  ] as const)('%s with %i depths', (name, depths, gigaflops) => {
    const config = { ...models.find(({ model }) => model === name)?.config, num_nextn_predict_layers: depths };
    const architecture = architectureOf(config);
    const settling = settleRun(
      [{ origin: 'run', fields: { framework: 'megatron', sequenceLength: 8192 } }],
      architecture,
    );
    if (settling.kind === 'unsettled') throw new Error('unsettled');
    const { megatron } = countFlops(expand(architecture), settling.settled.run).conventions;
    expect(Math.abs(megatron / 1e9 / gigaflops - 1)).toBeLessThan(1e-3);
  });
});

describe('state updates', () => {
  const scanOf = (architecture: Architecture) => {
    const found = operationsOf(architecture).find(({ operation }) => operation.kind === 'scan')?.operation;
    if (found?.kind !== 'scan') throw new Error('no scan');
    return found;
  };

  it('Mamba-2 in chunks of Q: Q (g n + d) + 4 d n, whole chunks twice the first term, and the convolution', () => {
    const scan = scanOf(published('mistralai/Mamba-Codestral-7B-v0.1'));
    const [Q, g, n, d] = [256, 8, 128, 8192];
    const convolution = 2 * 4 * (d + 2 * g * n);
    expect(forwardFlops(scan, 4096)).toBe(Q * (g * n + d) + 4 * d * n + convolution);
    expect(forwardFlops(scan, 4096, 'full')).toBe(2 * Q * (g * n + d) + 4 * d * n + convolution);
  });

  it('the delta rule meets its state four times', () => {
    const scan = scanOf(published('allenai/Olmo-Hybrid-7B'));
    const convolution = 2 * 4 * (2 * 30 * 96 + 30 * 192);
    expect(forwardFlops(scan, 4096)).toBe(8 * 30 * 96 * 192 + convolution);
  });

  it('what a sequence keeps does not grow', () => {
    const kept = (name: string, sequenceLength: number) => {
      const architecture = published(name);
      const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', sequenceLength } }], architecture);
      if (settling.kind === 'unsettled') throw new Error('unsettled');
      return estimateInference(expand(architecture), settling.settled, bytes(0)).cachePerSequence;
    };
    // 128 heads of 64 channels with 128 states in fp32, three tokens of 10,240 channels in 16 bits, 64 layers.
    const codestral = 64 * (128 * 64 * 128 * 4 + 10_240 * 3 * 2);
    expect(kept('mistralai/Mamba-Codestral-7B-v0.1', 4096)).toBe(codestral);
    expect(kept('mistralai/Mamba-Codestral-7B-v0.1', 262_144)).toBe(codestral);
    // A matrix of 512 x 256, its normaliser and the largest exponent: 8 heads, 32 layers.
    expect(kept('NX-AI/xLSTM-7b', 4096)).toBe(32 * 8 * (256 * 512 + 256 + 1) * 4);
    // An encoder keeps nothing.
    expect(kept('google-bert/bert-base-uncased', 512)).toBe(0);
  });
});

describe('adapters', () => {
  const trained = (name: string, targets: readonly string[]) =>
    adapterParameters(expand(published(name)), { rank: 8, targets, baseBits: 16 });

  it('on the projections of Mamba, and on both attentions of a decoder', () => {
    // In: 4,096 to 8,192 + 10,240 + 128. Out: 8,192 to 4,096.
    expect(trained('mistralai/Mamba-Codestral-7B-v0.1', ['in_proj', 'out_proj'])).toBe(
      64 * 8 * (4096 + 18_560 + 8192 + 4096),
    );
    // Queries and values: 12 encoder layers with one attention, 12 decoder layers with two.
    expect(trained('google-t5/t5-base', ['q', 'v'])).toBe(36 * 2 * 8 * (768 + 768));
  });
});

describe('blocks that layers share', () => {
  it('are held once and computed in each layer', () => {
    const architecture = published('Zyphra/Zamba-7B-v1');
    const attention = operationsOf(architecture).filter(({ operation }) => operation.path.endsWith('attention.query'));
    const times = attention.reduce((sum, one) => sum + one.times, 0);
    const { parts } = countParameters(architecture, expand(architecture));
    expect(times).toBe(13);
    expect(parts.lines['layers.attention.query']).toBe(2 * 3712 * 16 * 464);
  });
});

describe('what a state update executes and keeps, by the papers that the counts name', () => {
  /** FLOPs of a convolution of so many channels, and what it keeps of the tokens before. */
  const convolution = (kernel: number, channels: number) => ({
    flops: 2 * kernel * channels,
    kept: (kernel - 1) * channels,
  });
  const none = { flops: 0, kept: 0 };
  const shift = (channels: number) => convolution(2, channels);

  // Defaults of the classes: channels d, states n, groups g, chunks Q; causal within a chunk, and with whole chunks.
  it.each([
    ['mamba', 7 * 1536 * 16, 0, 1536 * 16, convolution(4, 1536)],
    ['mamba2', 4 * 8192 * 128, 256 * (8 * 128 + 8192), 8192 * 128, convolution(4, 8192 + 2 * 8 * 128)],
    ['qwen3_next', 8 * 4096 * 128, 0, 4096 * 128, convolution(4, 2 * 16 * 128 + 32 * 128)],
    ['kimi_linear', 8 * 4096 * 128, 0, 4096 * 128, convolution(4, 3 * 4096)],
    // Tokens are mixed with the one before. Numerator, denominator and the largest exponent.
    ['rwkv', 11 * 4096, 0, 3 * 4096, shift(4096)],
    ['rwkv5', 7 * 2048 * 64, 0, 2048 * 64, shift(2048)],
    ['rwkv6', 7 * 2048 * 64, 0, 2048 * 64, shift(2048)],
    ['rwkv7', 10 * 2048 * 64, 0, 2048 * 64, shift(2048)],
    ['lfm2', 2 * 2560, 0, 0, convolution(3, 2560)],
    ['recurrent_gemma', 6 * 2560, 0, 2560, convolution(4, 2560)],
    ['minimax', 4 * 4096 * 128, 256 * (32 * 128 + 4096), 32 * 128 * 128, none],
    // Eight heads with a matrix of 512 x 256, its normaliser and the largest exponent.
    ['xlstm', 4 * 4096 * 256, 64 * (8 * 256 + 4096), 8 * (512 * 256 + 256 + 1), none],
  ])('%s', (model_type, update, within, state, { flops, kept }) => {
    // Some have no defaults of their own, and one's layers are of two kinds.
    const sizes = /^rwkv[56]$/.test(model_type)
      ? { hidden_size: 2048, head_size: 64, num_hidden_layers: 1, vocab_size: 1000 }
      : {};
    const kinds = model_type === 'lfm2' ? { layer_types: Array(32).fill('conv') } : {};
    const { layers } = expand(architectureOf({ model_type, ...sizes, ...kinds }));
    const [scan] = layers.flatMap(({ operations }) => operations.flatMap((one) => (one.kind === 'scan' ? [one] : [])));
    expect([scan?.flopsPerToken, scan?.fullFlopsPerToken, scan?.stateElements, scan?.convolutionState]).toEqual([
      update + within + flops,
      update + 2 * within + flops,
      state,
      kept,
    ]);
  });
});
