import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { jsonReport, sideReport } from '../../src/report/json.ts';
import { readSide } from '../../src/run.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

const report = (config: object) =>
  sideReport(
    'config.json',
    readSide({ kind: 'bytes', bytes: Buffer.from(JSON.stringify(config)) }, 'config.json', settingsOf({})),
  );

/** The sizes of google/embeddinggemma-300m: a text model without an output. */
const embedding = {
  architectures: ['Gemma3TextModel'],
  model_type: 'gemma3_text',
  hidden_size: 768,
  num_hidden_layers: 24,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 256,
  intermediate_size: 1152,
  vocab_size: 262_144,
  sliding_window: 512,
  use_bidirectional_attention: true,
};

describe('what a model does not have', () => {
  it('stands in the report as 0, not as an absent key', () => {
    const { flops, memory, parameters } = report(embedding);
    expect(flops?.components).toMatchObject({ embedding: 0, output: 0 });
    expect(flops?.components['attention']).toBeGreaterThan(0);
    expect(Object.keys(flops?.components ?? {})).toEqual(
      expect.arrayContaining(['embedding', 'attention', 'feed_forward', 'norm', 'output']),
    );
    expect(parameters?.components['output']).toBe(0);
    expect(memory?.parts['loss']).toBe(0);
  });

  it('leaves what there is as it is', () => {
    const { flops, memory } = report({ ...embedding, architectures: ['Gemma3ForCausalLM'] });
    expect(flops?.components['output']).toBe(2 * 262_144 * 768);
    expect(memory?.parts['loss']).toBeGreaterThan(0);
  });
});

it('says which version of a codebase a convention follows', () => {
  const sources = report(embedding).flops?.convention_sources;
  expect(sources?.['torchtitan']).toMatchObject({ title: expect.stringContaining('4300'), date: '2026-08-25' });
  expect(sources?.['megatron']).toMatchObject({ title: expect.stringContaining('d98e8a6'), date: '2026-08-22' });
});

/** The sizes of OLMoE-1B-7B, eight of whose 64 experts a token uses. */
const experts = {
  model_type: 'olmoe',
  hidden_size: 2048,
  intermediate_size: 1024,
  num_hidden_layers: 16,
  num_attention_heads: 16,
  vocab_size: 50_304,
  num_experts: 64,
  num_experts_per_tok: 8,
  max_position_embeddings: 4096,
};

it('has what a layer does, how it grows with the sequence, and what a token uses', () => {
  const { basis, flops, parameters } = report(experts);
  expect(basis).toBe('official-code');
  expect(parameters?.routing).toEqual({ active: 8, experts: 64 });
  // Two FLOPs a weight: four square matrices of attention, three of each expert, and the scores of half of 4,096 keys.
  expect(flops?.layers).toEqual([
    {
      name: 'experts',
      count: 16,
      attention: 2 * 4 * 2048 ** 2 + 2 * 2 * 2048 * (4096 / 2),
      feed_forward: 2 * 8 * 3 * 2048 * 1024,
      router: 2 * 2048 * 64,
      other: 0,
    },
  ]);
  const at = flops?.by_length.find(({ sequence_length: length }) => length === 4096);
  expect(at).toEqual({
    sequence_length: 4096,
    forward_per_token: flops?.forward_per_token,
    attention_scores_per_token: 16 * 2 * 2 * 2048 * (4096 / 2),
  });
  expect(report(embedding).parameters?.routing).toBeNull();
});

it('says of each changed field what it moved, where that is known of it alone', () => {
  const { review } = reviewOf({ base: config(), head: config({ num_hidden_layers: 80, rope_theta: 7 }) });
  const [one] = jsonReport(review).comparisons;
  const memory = one?.metrics.find(({ metric }) => metric === 'memory');
  const moved = Object.fromEntries(one?.changes.map(({ path, ...rest }) => [path, rest.moved?.['memory']]) ?? []);
  expect(moved['num_hidden_layers']).toBeCloseTo((memory?.after ?? 0) - (memory?.before ?? 0), 0);
  expect(moved['rope_theta']).toBe(0);
});
