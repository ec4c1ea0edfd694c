import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { readSide } from '../../src/run.ts';

/** Small files that would take seconds to hours if what they multiply were computed: each ends in a count or in a sentence. */
const fixture = (name: string) => readFileSync(new URL(`../fixtures/exhausting/${name}.json`, import.meta.url));

const settings = settingsOf({});
const sideOf = (bytes: Uint8Array) => readSide({ kind: 'bytes', bytes }, 'config.json', settings);

/** Far more than any takes on a busy machine, and far less than they took. */
const patience = 20_000;

describe('names of modules times lists of them', () => {
  const counted = (name: string) => {
    const { reading, estimate } = sideOf(fixture(name));
    const said = reading.kind === 'read' ? reading.assumptions : [];
    return {
      bytes: estimate?.parameters.checkpoint,
      said: said.filter(({ field }) => field === 'quantization_config').map(({ reason }) => reason),
    };
  };

  it('six roots of five hundred layers are asked about', { timeout: patience }, () => {
    expect(counted('quantization-six-roots')).toEqual({ bytes: 16_329_525_248, said: [] });
  });

  it('ten groups with a name each are, too', { timeout: patience }, () => {
    expect(counted('quantization-groups-10')).toEqual({ bytes: 61_872_181_248, said: [] });
  });

  it('forty groups are refused in a sentence', { timeout: patience }, () => {
    expect(counted('quantization-groups-40')).toEqual({
      bytes: 61_872_181_248,
      said: ['40 groups are more than the 32 that are read: its bytes are those of 16 bits'],
    });
  });

  const kept = (modules_to_not_convert: readonly string[]) => {
    const config = { ...JSON.parse(fixture('quantization-six-roots').toString()) };
    const text = JSON.stringify({ ...config, quantization_config: { quant_method: 'gptq', modules_to_not_convert } });
    const { reading } = sideOf(Buffer.from(text));
    return reading.kind === 'read' ? reading.assumptions.map(({ reason }) => reason).join('\n') : '';
  };

  it('patterns are counted by their pieces before any is tried', { timeout: patience }, () => {
    expect(kept(Array.from({ length: 9 }, (_, index) => `${index}${'*a'.repeat(140)}`))).toContain(
      '9 patterns are too many to hold against the modules',
    );
  });

  it('alternatives that are not followed are told', () => {
    expect(kept([`re:(${'a|'.repeat(60)}b)`])).toContain('1 of its expressions have too many alternatives');
  });
});

describe('layers that all differ', () => {
  const sentence = (config: object) => {
    const { reading } = sideOf(Buffer.from(JSON.stringify(config)));
    return reading.kind === 'unread' ? reading.problems[0]?.message : 'read';
  };
  const count = (most: number) => Array.from({ length: most }, (_, index) => index + 1);
  const gemma = (layers: number) => ({
    model_type: 'gemma3n_text',
    num_hidden_layers: layers,
    hidden_size: 256,
    num_kv_shared_layers: 0,
    intermediate_size: count(layers),
    activation_sparsity_pattern: count(layers).map(() => 0),
    layer_types: count(layers).map(() => 'full_attention'),
  });
  const blocks = (layers: number) => ({
    model_type: 'nemotron-nas',
    num_hidden_layers: layers,
    hidden_size: 4096,
    num_attention_heads: 32,
    vocab_size: 32_000,
    block_configs: count(layers).map((index) => ({
      attention: { n_heads_in_group: 8 },
      ffn: { ffn_mult: index / 64 },
    })),
  });
  const openelm = {
    model_type: 'openelm',
    num_transformer_layers: 4_000,
    model_dim: 2048,
    vocab_size: 32_000,
    head_dim: 64,
    num_query_heads: count(4_000),
    num_kv_heads: count(4_000),
    ffn_multipliers: count(4_000).map((index) => index / 64),
  };

  it.each([
    ['4,000 widths of Gemma 3n', gemma(4_000), 4_000],
    ['4,000 layers of OpenELM', openelm, 4_000],
    ['10,000 blocks of Nemotron-NAS', blocks(10_000), 10_000],
  ])('%s are refused in a sentence', { timeout: patience }, (_, config, layers) => {
    expect(sentence(config)).toBe(
      `More than 256 of the config's ${layers} layers differ from each other, which no model has.`,
    );
  });

  it.each([
    ['Gemma 3n', gemma(200)],
    ['Nemotron-NAS', blocks(200)],
  ])('200 of %s are read', { timeout: patience }, (_, config) => {
    expect(sentence(config)).toBe('read');
  });
});
