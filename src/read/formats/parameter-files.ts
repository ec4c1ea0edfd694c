import type { Statement } from '../../model/statement.ts';
import { isDictionary, textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { llamaWidth, roundedUp } from '../shapes.ts';
import { type Stating, stating } from '../stating.ts';

/** Meta's `params.json`: Llama's sizes, with the width derived. */
export const metaParams: Format = {
  id: 'meta-params',
  title: "Meta's params.json",
  syntaxes: ['json'],
  signature: {
    has: ['dim', 'n_layers', 'n_heads'],
    some: [[1, ['multiple_of', 'ffn_dim_multiplier']]],
    not: ['model_type', 'architectures', 'hidden_dim', 'moe_inter_dim'],
  },
  states: (file) => states(file, metaParams.id, meta, ofMeta),
};

/** Mistral's `params.json`, where `hidden_dim` is the feed-forward's width. */
export const mistralParams: Format = {
  id: 'mistral-params',
  title: "Mistral's params.json",
  syntaxes: ['json'],
  signature: {
    has: ['dim', 'n_layers', 'n_heads', 'hidden_dim'],
    some: [[1, ['head_dim', 'n_kv_heads', 'norm_eps']]],
    not: ['model_type', 'architectures', 'multiple_of', 'moe_inter_dim'],
  },
  states: (file) => states(file, mistralParams.id, mistral, ofMistral),
};

/** The JSON of DeepSeek's own inference code. */
export const deepseekInference: Format = {
  id: 'deepseek-inference',
  title: "DeepSeek's inference JSON",
  syntaxes: ['json'],
  signature: { has: ['dim', 'n_layers', 'n_heads', 'moe_inter_dim'], not: ['model_type', 'architectures'] },
  states: (file) => states(file, deepseekInference.id, deepseek),
};

function states(file: ParsedFile, id: string, sizes: (say: Stating) => void, known?: ReadonlySet<string>): Statement {
  const say = stating(file, id);
  sizes(say);
  if (known !== undefined) noteUnread(say, file, known);
  return say.statement();
}

/** Keys of both labs that say a size that is read here, or nothing of a size. */
const ofBoth = [
  ...['dim', 'n_layers', 'n_heads', 'n_kv_heads', 'head_dim', 'vocab_size', 'norm_eps', 'rope_theta', 'max_seq_len'],
  ...['max_batch_size', 'model_parallel_size', 'lora_args', 'quantization_args'],
];
const ofMeta: ReadonlySet<string> = new Set([
  ...ofBoth,
  ...['multiple_of', 'ffn_dim_multiplier', 'moe_args', 'ffn_exp', 'attention_chunk_size', 'nope_layer_interval'],
  ...['rope_scaling_factor', 'rope_high_freq_factor', 'attn_scale', 'floor_scale'],
]);
const ofMistral: ReadonlySet<string> = new Set([
  ...ofBoth,
  ...['hidden_dim', 'moe', 'sliding_window', '_sliding_window', 'max_position_embeddings', 'rope_scaling', 'yarn'],
  ...['q_lora_rank', 'kv_lora_rank', 'qk_nope_head_dim', 'qk_rope_head_dim', 'v_head_dim', 'llama_4_scaling'],
]);

const mostNamed = 5;

/** Names what the file says beyond the language model's sizes, without which no count of it is exact: an encoder, say. */
function noteUnread(say: Stating, file: ParsedFile, known: ReadonlySet<string>): void {
  const value = file.source.value;
  const unread = Object.entries(isDictionary(value) ? value : {}).filter(
    ([key, one]) => !known.has(key) && ((typeof one === 'number' && one > 1) || isDictionary(one)),
  );
  for (const [key] of unread.slice(0, mostNamed)) {
    say.modelIs('approximate', true, key);
    say.warn(`${key} is not counted: the figures are those of the language model.`, key);
  }
}

function common(say: Stating): void {
  say.model('hidden_size', 'dim');
  say.model('num_hidden_layers', 'n_layers');
  say.model('num_attention_heads', 'n_heads');
  say.model('num_key_value_heads', ['n_kv_heads', 'n_heads']);
  say.model('max_position_embeddings', ['max_seq_len', 'max_position_embeddings']);
}

function meta(say: Stating): void {
  const dim = say.number('dim') ?? 0;
  const multipleOf = say.number('multiple_of') ?? 256;
  const multiplier = say.number('ffn_dim_multiplier');
  const experts = say.number('moe_args.num_experts');
  say.modelIs('model_type', experts === undefined ? 'llama' : 'llama4_text');
  common(say);
  const width = llamaWidth(dim, multipleOf, multiplier);
  say.modelIs('tie_word_embeddings', dim <= 3072 && (say.number('vocab_size') ?? 0) > 100_000);
  say.modelIs('intermediate_size', width, 'dim');
  if (experts !== undefined) {
    const active = say.number('moe_args.top_k') ?? 1;
    // The experts that a token goes through, the shared one among them, are together as wide as a dense block.
    const each = Math.floor(Math.floor((multiplier ?? 1) * Math.floor((8 * dim) / 3)) / (active + 1));
    say.modelIs('intermediate_size', roundedUp(each, multipleOf), 'ffn_dim_multiplier');
    say.modelIs('intermediate_size_mlp', width, 'ffn_dim_multiplier');
    say.modelIs('num_local_experts', experts, 'moe_args.num_experts');
    say.modelIs('num_experts_per_tok', active, 'moe_args.top_k');
    say.modelIs('interleave_moe_layer_step', say.number('moe_args.interleave_moe_layer_step') ?? 1);
  }
  if ((say.number('vocab_size') ?? -1) > 0) say.model('vocab_size', 'vocab_size');
  else {
    say.modelIs('vocab_size', 32_000, 'vocab_size');
    say.assume('vocab_size', '32000', 'the file leaves it to the tokenizer; Llama 1 and 2 have 32,000 entries');
  }
}

function mistral(say: Stating): void {
  common(say);
  say.model('intermediate_size', 'hidden_dim');
  say.model('vocab_size', 'vocab_size');
  say.modelIs('tie_word_embeddings', say.flag('tied_embeddings') ?? false, 'tied_embeddings');
  if (say.number('kv_lora_rank') === undefined) mistralGrouped(say);
  else mistralLatent(say);
}

function mistralGrouped(say: Stating): void {
  say.modelIs('model_type', say.number('moe.num_experts') === undefined ? 'llama' : 'mixtral');
  say.model('head_dim', 'head_dim');
  say.model('num_local_experts', 'moe.num_experts');
  say.model('num_experts_per_tok', 'moe.num_experts_per_tok');
  for (const key of ['moe.expert_hidden_dim', 'moe.num_shared_experts', 'moe.first_k_dense_replace']) {
    if (say.number(key) === undefined) continue;
    say.modelIs('approximate', true, key);
    say.warn(`${key} is not read: no model that this tool knows has it beside grouped attention.`, key);
  }
}

/** Mistral Large 3, whose blocks are DeepSeek's (`mistral4` in Transformers). */
function mistralLatent(say: Stating): void {
  say.modelIs('model_type', 'deepseek_v2', 'kv_lora_rank');
  for (const key of ['kv_lora_rank', 'qk_nope_head_dim', 'qk_rope_head_dim', 'v_head_dim']) say.model(key, key);
  say.modelIs('q_lora_rank', say.number('q_lora_rank') || null, 'q_lora_rank');
  say.model('n_routed_experts', 'moe.num_experts');
  say.model('num_experts_per_tok', 'moe.num_experts_per_tok');
  say.model('moe_intermediate_size', 'moe.expert_hidden_dim');
  say.modelIs('n_shared_experts', say.number('moe.num_shared_experts') ?? 0, 'moe.num_shared_experts');
  say.modelIs('first_k_dense_replace', say.number('moe.first_k_dense_replace') ?? 0, 'moe.first_k_dense_replace');
}

/** What the inference code takes for a key that is left out: the sizes of the 16 B model. */
const of16B = [
  ['vocab_size', 'vocab_size', 102_400],
  ['hidden_size', 'dim', 2048],
  ['intermediate_size', 'inter_dim', 10_944],
  ['moe_intermediate_size', 'moe_inter_dim', 1408],
  ['num_hidden_layers', 'n_layers', 27],
  ['first_k_dense_replace', 'n_dense_layers', 1],
  ['num_attention_heads', 'n_heads', 16],
  ['n_routed_experts', 'n_routed_experts', 64],
  ['n_shared_experts', 'n_shared_experts', 2],
  ['num_experts_per_tok', 'n_activated_experts', 6],
  ['kv_lora_rank', 'kv_lora_rank', 512],
  ['qk_nope_head_dim', 'qk_nope_head_dim', 128],
  ['qk_rope_head_dim', 'qk_rope_head_dim', 64],
  ['v_head_dim', 'v_head_dim', 128],
] as const;

function deepseek(say: Stating): void {
  // Only DeepSeek-V3's gate, at the width of 7168, corrects its choice by a learned bias.
  const third = say.number('dim') === 7168;
  say.modelIs('model_type', third ? 'deepseek_v3' : 'deepseek_v2', 'dim');
  for (const [canonical, key, absent] of of16B) {
    const stated = say.number(key);
    say.modelIs(canonical, stated ?? absent, key);
    if (stated === undefined)
      say.assume(key, textOf(absent), "what DeepSeek's inference/model.py takes where the file does not say");
  }
  say.model('num_key_value_heads', 'n_heads');
  say.modelIs('q_lora_rank', say.number('q_lora_rank') || null, 'q_lora_rank');
  say.modelIs('tie_word_embeddings', false);
  if (third) say.modelIs('num_nextn_predict_layers', 0);
}
