import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { counted } from '../../scripts/evidence.ts';
import { published } from '../../scripts/published.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { evidenceOf } from '../../src/facts/evidence.ts';
import { originals } from '../../src/families/own-code.ts';
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

const built: readonly { readonly config: Readonly<Record<string, unknown>> }[] = JSON.parse(
  readFileSync(new URL('../oracle/remote.json', import.meta.url), 'utf8'),
);

/** The files that a config's `auto_map` names, each with the type that the config states. */
const filesOf = ({ model_type, auto_map }: Readonly<Record<string, unknown>>): readonly string[] =>
  typeof auto_map === 'object' && auto_map !== null
    ? Object.values(auto_map).map((code) => `${model_type} ${String(code).replace(/.*--/, '').split('.')[0]}`)
    : [];

it('code that was held against the row of a class of Transformers stands in a row of the oracle', () => {
  const held = new Set([...built, ...published].flatMap(({ config }) => filesOf(config)));
  const claimed = Object.entries(originals).flatMap(([type, { files }]) => files.map((file) => `${type} ${file}`));
  expect(claimed.filter((one) => !held.has(one))).toEqual([]);
});

const llama = { model_type: 'llama', hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100 };
const phi = { ...llama, model_type: 'phi3', architectures: ['Phi3ForCausalLM'] };
const deepseek = { ...llama, model_type: 'deepseek_v3', architectures: ['DeepseekV3ForCausalLM'] };
const v3 = 'modeling_deepseek.DeepseekV3ForCausalLM';
const by = (code: unknown) => ({ auto_map: { AutoConfig: 'configuration_x.XConfig', AutoModelForCausalLM: code } });

it.each([
  ['no code beside it', phi, true],
  ["its authors' code, which was counted", { ...phi, ...by('modeling_phi3.Phi3ForCausalLM') }, true],
  ['the same in another repository', { ...phi, ...by('someone/some.thing--modeling_phi3.Phi3ForCausalLM') }, true],
  ['a file that nobody counted', { ...phi, ...by('modeling_phi3_fast.Phi3ForCausalLM') }, false],
  ['a class of another name in it', { ...phi, ...by('modeling_phi3.Phi3WithMemory') }, false],
  ['a type that never had code of its own', { ...llama, ...by('modeling_llama.LlamaForCausalLM') }, false],
  ["code that Transformers' row does not follow", { ...deepseek, ...by(v3), moe_layer_freq: 2 }, false],
  ['the same with what both build alike', { ...deepseek, ...by(v3), moe_layer_freq: 1 }, true],
  ['code that the row was read from', { ...llama, model_type: 'minicpm', ...by('m.MiniCPMForCausalLM') }, true],
  ['a class that is not of that code', { ...llama, model_type: 'minicpm', ...by('m.MiniCPMSparse') }, false],
  ['a value that is no name of a class', { ...phi, ...by(7) }, true],
])('a file with %s is exact: %#', (_, config, exact) => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  expect(reading.architecture.exact).toBe(exact);
  expect(reading.assumptions.some(({ field }) => field === 'auto_map')).toBe(!exact);
});
