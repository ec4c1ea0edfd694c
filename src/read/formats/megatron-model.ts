import { decoderType } from '../../families/decoder.ts';
import { OpenModel, OtherModel } from '../../text/fields.ts';
import { listOf } from '../../text/list-expression.ts';
import type { Stating } from '../stating.ts';
import { stateHybrid } from './megatron-hybrid.ts';
import { type Sizes, stateVocabulary } from './megatron-vocabulary.ts';

/** The model of Megatron's arguments. */

export const megatronRead = 'Megatron-LM 805f3b8d, megatron/training/arguments.py';

/** Arguments that give a model something that is not counted, and what that is. */
const uncounted: readonly (readonly [name: string, what: string])[] = [
  ['is_hybrid_model', 'state-space layers'],
  ['hybrid_attention_ratio', 'state-space layers'],
  ['linear_attention_freq', 'linear attention'],
  ['experimental_attention_variant', 'another attention'],
  ['heterogeneous_layers_config_path', 'layers of different sizes'],
  ['heterogeneous_layers_config_encoded_json', 'layers of different sizes'],
  ['attention_output_gate', 'a gate on attention'],
  ['lfm_layer_types', 'layers of several kinds'],
  ['decoder_seq_length', 'an encoder beside its decoder'],
  ['retro_add_retriever', 'a retriever'],
  ['mm_cfg', 'an encoder of images'],
];

/** The first argument that gives the model something that is not counted, and what that is. */
export const uncountedIn = (say: Stating): readonly [name: string, what: string] | undefined =>
  uncounted.find(([name]) => ![undefined, false, 0].some((off) => say.at(name) === off));

/** The architecture; nothing where the arguments are a run's alone. */
export function stateModel(say: Stating): void {
  const layers = ['num_layers', 'encoder_num_layers', 'decoder_num_layers'];
  const pattern = ['hybrid_override_pattern', 'hybrid_layer_pattern'].find((name) => say.at(name) !== undefined);
  if (pattern !== undefined && say.at('hidden_size') !== undefined) {
    stateHybrid(say, pattern);
    stateVocabulary(say, sizesOf(say, layers));
    return;
  }
  const [name, what] = uncountedIn(say) ?? [];
  if (name !== undefined)
    throw say.refuse(
      `${name} gives the model ${what}, which Megatron’s arguments are not read for yet; state the model as a config.json.`,
      name,
      OtherModel,
    );
  if (layers.every((name) => say.at(name) === undefined) || say.at('hidden_size') === undefined) return;
  // Every Primus file has the sizes of images among its defaults; on a command line they are meant.
  if (say.at('img_h') !== undefined && /--img-h$/.test(say.place('img_h').key))
    throw say.refuse(
      '--img-h gives the model an encoder of images, which is not read yet; state the model as a config.json.',
      'img_h',
      OtherModel,
    );
  if (/^Bert/.test(say.text('tokenizer_type') ?? ''))
    throw say.refuse(
      'Megatron’s BERT is not read yet; state the model as a config.json.',
      'tokenizer_type',
      OtherModel,
    );
  if (say.text('model_type') === 'mamba')
    throw say.refuse(
      'Megatron’s Mamba models are not read yet; state the model as a config.json.',
      'model_type',
      OtherModel,
    );
  say.modelIs('model_type', decoderType);
  say.modelIs('name', 'megatron');
  say.model('num_hidden_layers', layers);
  say.model('hidden_size', 'hidden_size');
  say.model('num_attention_heads', 'num_attention_heads');
  stateFeedForward(say);
  stateAttention(say);
  stateEmbedding(say);
  stateExperts(say, layers);
  say.model('num_nextn_predict_layers', 'mtp_num_layers');
  stateVocabulary(say, sizesOf(say, layers));
}

/** The sizes by which a published model is recognised. */
const sizesOf = (say: Stating, layers: readonly string[]): Sizes => ({
  hidden: say.number('hidden_size'),
  layers: say.number(layers.find((name) => say.at(name) !== undefined) ?? ''),
  heads: say.number('num_attention_heads'),
  groups:
    (say.flag('group_query_attention') === true ? say.number('num_query_groups') : undefined) ??
    say.number('num_attention_heads'),
  width: say.number('ffn_hidden_size') ?? 4 * (say.number('hidden_size') ?? 0),
  experts: say.number('num_experts') ?? say.number('num_moe_experts'),
});

/** Arguments that choose an activation, and the key that says so. */
function activationOf(say: Stating): { readonly gated: boolean; readonly activation: string; readonly key?: string } {
  if (say.flag('swiglu') === true) return { gated: true, activation: 'silu', key: 'swiglu' };
  if (say.flag('quick_geglu') === true) return { gated: true, activation: 'gelu', key: 'quick_geglu' };
  if (say.flag('squared_relu') === true) return { gated: false, activation: 'relu2', key: 'squared_relu' };
  const gated =
    say.flag('gated_linear_unit') === true ||
    say.flag('glu_activation') === true ||
    say.text('glu_activation') !== undefined;
  const named = say.text('activation_func');
  if (named !== undefined)
    return {
      gated: gated || /glu$/i.test(named),
      activation: /swiglu|silu/i.test(named) ? 'silu' : 'gelu',
      key: 'activation_func',
    };
  return { gated, activation: say.flag('openai_gelu') === true ? 'gelu_tanh' : 'gelu' };
}

function stateFeedForward(say: Stating): void {
  const { gated, activation, key } = activationOf(say);
  say.modelIs('gated', gated, key);
  say.modelIs('hidden_act', activation, key);
  if (say.at('ffn_hidden_size') !== undefined) say.model('intermediate_size', 'ffn_hidden_size');
  else stateWidth(say, gated);
}

/** The feed-forward's width where no argument gives it. */
function stateWidth(say: Stating, gated: boolean): void {
  const hidden = say.number('hidden_size');
  if (hidden === undefined) return;
  const multiple = say.number('multiple_of');
  if (multiple !== undefined && multiple > 0) {
    // FlagScale's rule, which is Llama's.
    const width = Math.floor(Math.floor((4 * hidden * 2) / 3) * (say.number('hidden_dim_multiplier') ?? 1));
    say.modelIs('intermediate_size', Math.ceil(width / multiple) * multiple, 'multiple_of');
    return;
  }
  const width = gated ? Math.floor((4 * hidden * 2) / 3 / 64) * 64 : 4 * hidden;
  say.modelIs('intermediate_size', width, 'hidden_size');
  say.assume(
    'ffn_hidden_size',
    String(width),
    `${gated ? 'two thirds of four' : 'four'} times the hidden size (${megatronRead})`,
  );
}

/** Biases of linear layers are on unless they are switched off. */
const biased = (say: Stating): boolean =>
  say.flag('disable_bias_linear') !== true && (say.flag('add_bias_linear') ?? true);

function stateAttention(say: Stating): void {
  const bias = biased(say);
  const key = ['disable_bias_linear', 'add_bias_linear'].find((name) => say.at(name) !== undefined);
  say.modelIs('mlp_bias', bias, key);
  say.modelIs('attention_output_bias', bias, key);
  say.modelIs('attention_bias', bias || say.flag('add_qkv_bias') === true, bias ? key : 'add_qkv_bias');
  if (key === undefined)
    say.assume('add_bias_linear', 'true', `linear layers have biases by default (${megatronRead})`);
  say.model('head_dim', ['kv_channels']);
  const normalized =
    say.flag('qk_l2_norm') === true ? 'head_unlearned' : say.flag('qk_layernorm') === true ? 'head' : 'none';
  say.modelIs('qk_norm', normalized, 'qk_layernorm');
  if (say.flag('group_query_attention') === true) stateGroups(say);
  else if (say.at('num_key_value_heads') !== undefined) say.model('num_key_value_heads', 'num_key_value_heads');
  if (say.text('softmax_type') === 'learnable') say.modelIs('attention_sinks', true, 'softmax_type');
  stateWindow(say);
  if (say.flag('multi_latent_attention') === true) stateLatent(say);
}

/** The number of groups has a default of its own, which counts only with the flag. */
function stateGroups(say: Stating): void {
  if (say.at('num_query_groups') !== undefined) say.model('num_key_value_heads', 'num_query_groups');
  else {
    say.modelIs('num_key_value_heads', 1, 'group_query_attention');
    say.assume('num_query_groups', '1', `the default of Megatron’s command line (${megatronRead})`);
  }
}

function stateLatent(say: Stating): void {
  say.model('q_lora_rank', 'q_lora_rank');
  const sizes = [
    ['kv_lora_rank', 'kv_lora_rank', 32],
    ['qk_nope_head_dim', 'qk_head_dim', 128],
    ['qk_rope_head_dim', 'qk_pos_emb_head_dim', 64],
    ['v_head_dim', 'v_head_dim', 128],
  ] as const;
  for (const [canonical, name, fallback] of sizes) {
    if (say.at(name) !== undefined) say.model(canonical, name);
    else {
      say.modelIs(canonical, fallback);
      say.assume(name, String(fallback), `the default of Megatron’s command line (${megatronRead})`);
    }
  }
  if (say.flag('qk_layernorm') !== true)
    say.assume(
      'qk_layernorm',
      'true',
      'latent attention is counted with its norms, a few thousand elements of a layer',
    );
}

/** `window_size` is the tokens to the left and to the right: a pair, or `(128, 0)` as text. */
function stateWindow(say: Stating): void {
  const value = say.at('window_size');
  const left = Array.isArray(value) ? value[0] : typeof value === 'string' ? /\d{1,9}/.exec(value)?.[0] : value;
  const tokens = Number(left);
  if (left === undefined || !Number.isInteger(tokens) || tokens <= 0) return;
  say.modelIs('sliding_window', tokens, 'window_size');
  const layers = say.number('num_layers');
  const full = everyOf(say, 'window_attn_skip_freq', layers, 1);
  if (full !== undefined)
    say.modelIs(
      'layer_types',
      full.map((skip) => (skip === 1 ? 'full_attention' : 'sliding_attention')),
      'window_attn_skip_freq',
    );
}

/** A frequency of Megatron's: each n-th layer, or a list of 0 and 1 as an expression. `from`: the layer from which n counts. */
function everyOf(say: Stating, name: string, layers: number | undefined, from: 0 | 1): readonly number[] | undefined {
  const value = say.at(name);
  if (value === undefined || layers === undefined || layers > 10_000) return undefined;
  const every = say.number(name);
  if (every !== undefined)
    return every < 1 ? undefined : Array.from({ length: layers }, (_, index) => ((index + from) % every === 0 ? 1 : 0));
  const list = Array.isArray(value) ? value.map(Number) : listOf(String(value));
  if (list === undefined)
    throw say.refuse(
      `${name} is ${JSON.stringify(value).slice(0, 60)}, which is not a list of 0 and 1.`,
      name,
      OpenModel,
    );
  if (list.length !== layers)
    throw say.refuse(`${name} lists ${list.length} layers, but the model has ${layers}.`, name);
  return list;
}

function stateEmbedding(say: Stating): void {
  const normalization = say.text('normalization') ?? 'LayerNorm';
  say.modelIs('normalization', /rms/i.test(normalization) ? 'rms' : 'layer', 'normalization');
  const shared = say.flag('share_embeddings_and_output_weights');
  const untied = say.flag('untie_embeddings_and_output_weights') ?? (shared === undefined ? undefined : !shared);
  const key = shared === undefined ? 'untie_embeddings_and_output_weights' : 'share_embeddings_and_output_weights';
  say.modelIs('tie_word_embeddings', untied !== true, key);
  if (untied === undefined)
    say.assume(
      'untie_embeddings_and_output_weights',
      'false',
      `embedding and output are tied by default (${megatronRead})`,
    );
  say.model('max_position_embeddings', ['max_position_embeddings', 'seq_length', 'encoder_seq_length']);
  say.modelIs('positions', positionsOf(say), 'position_embedding_type');
  if (say.flag('embed_layernorm') === true) say.modelIs('embedding_norm', true, 'embed_layernorm');
}

function positionsOf(say: Stating): 'rope' | 'learned' | 'none' {
  const type = say.text('position_embedding_type');
  if (type === 'rope' || type === 'yarn' || type === 'mrope') return 'rope';
  if (say.flag('use_rotary_position_embeddings') === true) return 'rope';
  if (say.flag('enable_gpt_oss') === true) return 'rope';
  if (say.flag('no_position_embedding') === true) return 'none';
  if (type === undefined)
    say.assume(
      'position_embedding_type',
      'learned_absolute',
      `the default of Megatron’s command line (${megatronRead})`,
    );
  return type === undefined || type === 'learned_absolute' ? 'learned' : 'none';
}

function stateExperts(say: Stating, layers: readonly string[]): void {
  const name = ['num_experts', 'num_moe_experts'].find((one) => say.at(one) !== undefined);
  if (name === undefined) return;
  if (say.flag('enable_gpt_oss') === true) say.modelIs('router_bias', true, 'enable_gpt_oss');
  const value = say.at(name);
  const several = Array.isArray(value) ? [...new Set(value)] : [value];
  if (several.length > 1)
    throw say.refuse(`${name} gives layers different numbers of experts, which is not read yet.`, name);
  const [count] = several;
  // Megatron-DeepSpeed writes no experts as one.
  if (Number(count) === 1) return;
  say.modelIs('num_experts', count, name);
  const active = ['moe_router_topk', 'topk'].find((one) => say.number(one) !== undefined);
  say.modelIs('num_experts_per_tok', active === undefined ? 2 : say.number(active), active ?? 'moe_router_topk');
  const asked = say.at('moe_router_topk');
  if (active === undefined && asked !== undefined)
    say.warn(
      `moe_router_topk is ${JSON.stringify(asked).slice(0, 60)}, which is not a number; 2 is taken.`,
      'moe_router_topk',
    );
  if (say.at('moe_router_topk') === undefined)
    say.assume('moe_router_topk', '2', `the default of Megatron’s command line (${megatronRead})`);
  say.model('moe_intermediate_size', ['moe_ffn_hidden_size', 'ffn_hidden_size']);
  say.model('shared_expert_intermediate_size', 'moe_shared_expert_intermediate_size');
  if (say.flag('moe_shared_expert_gate') === true || say.flag('moe_use_shared_expert_gate') === true)
    say.modelIs('shared_expert_gate', true, 'moe_shared_expert_gate');
  say.model('moe_latent_size', 'moe_latent_size');
  if (say.flag('moe_router_enable_expert_bias') === true)
    say.modelIs('router_correction_bias', true, 'moe_router_enable_expert_bias');
  const depth = say.number(layers.find((one) => say.at(one) !== undefined) ?? '');
  const placed = everyOf(say, 'moe_layer_freq', depth, 0);
  if (placed !== undefined) say.modelIs('expert_layers', placed, 'moe_layer_freq');
}
