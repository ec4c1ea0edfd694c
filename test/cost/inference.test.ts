import { describe, expect, it } from 'vitest';
import { estimate } from '../../src/cost/engine.ts';
import type { RunFields } from '../../src/model/run.ts';
import { readConfig } from '../../src/read/config.ts';
import { settleRun } from '../../src/setup/settle.ts';

function inference(config: object, fields: RunFields = {}) {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  const settling = settleRun([{ origin: 'run', fields: { framework: 'megatron', ...fields } }], reading.architecture);
  if (settling.kind === 'unsettled') throw new Error(settling.problems[0]?.message);
  return estimate(reading.architecture, settling.settled).inference;
}

const llama = {
  model_type: 'llama',
  vocab_size: 128256,
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
};

describe('what serving keeps of a sequence', () => {
  it('grouped attention: a key and a value for each of its heads, in 16 bits', () => {
    const { cachePerToken, cachePerSequence } = inference(llama, { sequenceLength: 8192 });
    expect(cachePerToken).toBe(2 * 2 * 8 * 128 * 32);
    expect(cachePerSequence).toBe(8192 * cachePerToken);
  });

  it('latent attention: the compressed key and value and the rotated part, for all heads at once', () => {
    const config = { model_type: 'deepseek_v3', num_hidden_layers: 61 };
    expect(inference(config, { sequenceLength: 4096 }).cachePerToken).toBe(2 * (512 + 64) * 61);
  });

  it('a sliding window keeps its own tokens alone', () => {
    const config = {
      ...llama,
      model_type: 'mistral',
      sliding_window: 4096,
      head_dim: 128,
      max_position_embeddings: 32768,
    };
    const of = (sequenceLength: number) => inference(config, { sequenceLength }).cachePerSequence;
    expect(of(32768)).toBe(of(4096));
    expect(of(2048)).toBe(of(4096) / 2);
  });

  it('sparse attention keeps all tokens, compressed attention groups of them and a window besides', () => {
    // DeepSeek-V3.2: a key and value of 512 + 64 elements and the indexer's key of 128, for all tokens of which 2,048 are selected.
    const sparse = inference({ model_type: 'deepseek_v32' }, { sequenceLength: 4096 });
    expect(sparse.cachePerSequence).toBe(61 * 4096 * 2 * (512 + 64 + 128));
    // DeepSeek-V4: 23 layers keep one entry of 512 for 128 tokens, 20 one for 4 tokens and its indexer's key; all the last 128 tokens.
    const of = (S: number) => inference({ model_type: 'deepseek_v4' }, { sequenceLength: S }).cachePerSequence;
    const local = (S: number) => Math.min(S, 128);
    const heavy = (S: number) => 23 * 512 * (S / 128 + local(S));
    const light = (S: number) => 20 * (512 * (S / 4 + local(S)) + 128 * (S / 4));
    for (const S of [64, 4096]) expect(of(S)).toBe(2 * (heavy(S) + light(S)));
  });

  it('a recurrent state does not grow with the sequence', () => {
    const config = { model_type: 'mamba2', num_hidden_layers: 4, hidden_size: 512, num_heads: 16, head_dim: 64 };
    const of = (sequenceLength: number) => inference(config, { sequenceLength });
    expect(of(1024).cachePerToken).toBe(0);
    // Each head has a matrix of 64 x 128 in fp32, and the convolution the last three inputs of its 1,024 + 2 x 8 x 128 channels.
    expect(of(1024).cachePerSequence).toBe(4 * (4 * 16 * 64 * 128 + 2 * 3 * (1024 + 2 * 8 * 128)));
    expect(of(65536).cachePerSequence).toBe(of(1024).cachePerSequence);
  });

  it('the largest batch fills what the weights leave, and grows with the GPUs that share them', () => {
    const of = (tensor: number) =>
      inference(llama, { accelerator: 'h100-sxm-80gb', gpus: 8, sequenceLength: 8192, parallelism: { tensor } });
    const { weights, cachePerSequence, largestBatch } = of(1);
    expect(weights).toBe(2 * 8_030_261_248);
    expect(largestBatch).toBe(Math.floor((0.9 * 79.1 * 2 ** 30 - weights) / cachePerSequence));
    expect(of(8).largestBatch ?? 0).toBeGreaterThan(8 * (largestBatch ?? 0));
  });
});
