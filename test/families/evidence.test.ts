import { expect, it } from 'vitest';
import { counted } from '../../scripts/evidence.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { evidenceOf } from '../../src/facts/evidence.ts';
import { familyNames } from '../../src/families/registry.ts';
import { decoderVariants } from '../../src/families/remote-decoders.ts';
import { textEncoderVariants } from '../../src/families/text-encoders.ts';
import { readConfig } from '../../src/read/config.ts';

const kinds = ['official-code', 'authors-code', 'published'] as const;
const types = [...familyNames, ...Object.keys(decoderVariants), ...Object.keys(textEncoderVariants)];

it.each(types)('what counts of %s rest on is what the oracle has', (type) => {
  expect(evidenceOf(type)).toBe(kinds.find((kind) => counted[kind].has(type)) ?? 'by-rule');
});

it.each([
  ['llama', {}, 'official-code'],
  ['gla', {}, 'authors-code'],
  ['ouro', {}, 'published'],
  ['skywork', {}, 'by-rule'],
  ['minicpm', {}, 'authors-code'],
  ['minicpm', { num_experts: 8, num_experts_per_tok: 2 }, 'by-rule'],
  ['llama', { num_experts: 8 }, 'by-rule'],
  ['llama', { architectures: ['LlamaRewardModel'] }, 'by-rule'],
  ['phi-msft', { num_local_experts: 2, num_experts_per_tok: 1 }, 'published'],
  ['nobody_knows_it', {}, 'by-keys'],
])('a count of %s %j rests on %s', (model_type, more, evidence) => {
  const sizes = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100 };
  const config = { model_type, ...sizes, intermediate_size: 128, ...more };
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  expect(countParameters(reading.architecture, expand(reading.architecture)).restsOn).toBe(evidence);
});

it.each(types.filter((type) => evidenceOf(type) === 'by-rule'))(
  'a count of %s is approximate, and says why',
  (type) => {
    const variants: Readonly<Record<string, object>> = {
      grok2: { model_type: 'git', architectures: ['Grok1ForCausalLM'], num_local_experts: 8, num_experts_per_tok: 2 },
      minicpm_moe: { model_type: 'minicpm', num_experts: 8, num_experts_per_tok: 2 },
    };
    const sizes = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100, n_embd: 64 };
    const own = {
      num_key_value_heads_per_layer: [4, 4],
      n_layer: 2,
      n_head: 4,
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: 32,
      n_positions: 64,
    };
    const config = { model_type: type, ...sizes, intermediate_size: 128, ...own, ...variants[type] };
    const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
    if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
    expect(reading.architecture.exact).toBe(false);
    expect(reading.assumptions.map(({ reason }) => reason)).toContainEqual(expect.stringContaining('counted by rule'));
  },
);
