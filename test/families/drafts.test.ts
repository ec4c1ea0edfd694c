import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { readConfig } from '../../src/read/config.ts';

const read = (config: object) => readConfig(Buffer.from(JSON.stringify(config)), 'config.json');

const total = (config: object) => {
  const reading = read(config);
  if (reading.kind === 'unread') return reading.problems[0]?.message;
  return countParameters(reading.architecture, expand(reading.architecture)).total;
};

const eagle3 = {
  architectures: ['LlamaForCausalLMEagle3'],
  model_type: 'llama',
  hidden_size: 4096,
  num_hidden_layers: 1,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  intermediate_size: 14336,
  vocab_size: 128256,
  draft_vocab_size: 32000,
  tie_word_embeddings: false,
};

const dflash = {
  architectures: ['DFlashDraftModel'],
  model_type: 'qwen3',
  hidden_size: 4096,
  num_hidden_layers: 5,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  intermediate_size: 12288,
  vocab_size: 151936,
  tie_word_embeddings: false,
  dflash_config: { target_layer_ids: [1, 9, 17, 25, 33] },
  num_target_layers: 36,
};

const built: readonly { variant: string; config: object; total: number }[] = JSON.parse(
  readFileSync(new URL('../oracle/drafts.json', import.meta.url), 'utf8'),
);

describe('a draft for speculative decoding', () => {
  it.each(built)("$variant counts as SpecForge's own code builds it", ({ config, total: expected }) => {
    const reading = read(config);
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    const counted = countParameters(reading.architecture, expand(reading.architecture));
    expect(counted).toMatchObject({ total: expected, exact: true, restsOn: 'authors-code' });
  });

  // Summed from the shapes of specforge/modeling/draft/llama3_eagle.py and dflash.py.
  it('of EAGLE-3 holds the target table, three joined states and its own output', () => {
    expect(total(eagle3)).toBe(950_026_240);
    const { draft_vocab_size: _, ...whole } = eagle3;
    expect(total(whole)).toBe(950_026_240 + (128_256 - 32_000) * 4096);
  });

  it('of EAGLE 3.1 has a norm for each of the joined states', () => {
    expect(total({ ...eagle3, fc_norm: true, target_hidden_size: 2048 })).toBe(
      950_026_240 + 3 * 2048 - 3 * 2048 * 4096,
    );
  });

  it('of DFlash holds its layers and what joins the states', () => {
    expect(total(dflash)).toBe(1_048_626_432);
  });

  it.each([
    { ...eagle3, num_hidden_layers: 2 },
    { ...eagle3, eagle_config: { eagle_aux_hidden_state_layer_ids: [1, 4] } },
    { ...eagle3, architectures: ['LlamaForCausalLMEagle'] },
    { ...eagle3, attention_bias: true },
    { ...eagle3, architectures: ['MedusaModel'], model_type: 'medusa', medusa_num_heads: 4 },
    { ...dflash, architectures: ['DSparkDraftModel'] },
  ])('of another kind is refused in a sentence', (config) => {
    expect(total(config)).toContain('is a draft for speculative decoding');
  });

  it('is wrong where its own vocabulary is no number', () => {
    expect(total({ ...eagle3, draft_vocab_size: 'many' })).toContain('draft_vocab_size must be a whole number');
  });
});
