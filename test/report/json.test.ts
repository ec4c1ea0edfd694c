import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { sideReport } from '../../src/report/json.ts';
import { readSide } from '../../src/run.ts';

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
