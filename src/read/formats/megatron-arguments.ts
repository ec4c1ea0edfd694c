import { decoderType } from '../../families/decoder.ts';
import type { Place, Statement } from '../../model/statement.ts';
import { isDictionary, OpenModel, OtherModel } from '../../text/fields.ts';
import { listOf } from '../../text/list-expression.ts';
import { type ParsedFile, placeOf } from '../format.ts';
import { shardingOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';
import { stateHybrid } from './megatron-hybrid.ts';
import { type Sizes, stateVocabulary } from './megatron-vocabulary.ts';

/** One argument of Megatron's as somebody wrote it, and what must be known before it is; null stands for none. */
export type Argument = { readonly value: unknown; readonly at: Place; readonly needs?: readonly string[] };

/** Arguments by their names in Megatron's code: `--num-layers` is `num_layers`. */
export type Arguments = ReadonlyMap<string, Argument>;

const source = 'Megatron-LM 805f3b8d, megatron/training/arguments.py';

/** `--num-layers`, `num-layers` and `num_layers` are one. */
export const argumentName = (word: string): string => word.replace(/^-{1,2}/, '').replaceAll('-', '_');

/** Arguments out of the dictionary at a path of a file; nested dictionaries are sections without a meaning of their own. */
export function argumentsAt(file: ParsedFile, value: unknown, path: string, depth = 0): Arguments {
  const found = new Map<string, Argument>();
  if (!isDictionary(value)) return found;
  for (const [word, given] of Object.entries(value)) {
    const key = path === '' ? word : `${path}.${word}`;
    if (isDictionary(given)) {
      if (depth < 4) for (const [name, argument] of argumentsAt(file, given, key, depth + 1)) found.set(name, argument);
      continue;
    }
    found.set(argumentName(word), { value: given, at: placeOf(file, key) });
  }
  return found;
}

/** The later ones over the earlier ones. */
export const joined = (...all: readonly Arguments[]): Arguments => new Map(all.flatMap((one) => [...one]));

/** Starts a statement that asks for arguments by their names and tells of them as they were written. */
export function statingArguments(file: ParsedFile, format: string, given: Arguments): Stating {
  const value: Record<string, unknown> = Object.create(null);
  const lines = new Map<string, number>();
  const places = new Map<string, Place>();
  for (const [name, { value: one, at }] of given) {
    value[name] = one;
    places.set(name, at);
    if (at.line !== undefined && at.file === file.path) lines.set(name, at.line);
  }
  return stating({ path: file.path, source: { value, lines, problems: file.source.problems } }, format, places);
}

/**
 * What a dictionary of Megatron's arguments states, with the defaults of Megatron's own command line. Every format that speaks
 * Megatron is a front end of this: scripts, `MODEL_ARGS`, Primus, FlagScale, NeMo.
 */
export function statementOf(file: ParsedFile, format: string, given: Arguments): Statement {
  const say = statingArguments(file, format, given);
  stateModel(say);
  stateRun(say);
  return say.statement();
}

/** The same without what Megatron takes by default, for files that leave it to others to say. */
export const withoutDefaults = (statement: Statement): Statement => ({
  ...statement,
  run: Object.fromEntries(
    Object.entries(statement.run).filter(
      ([field, stated]) => field === 'framework' || stated.kind !== 'value' || stated.by !== 'framework',
    ),
  ),
});

// --- the model ------------------------------------------------------------------------------------------------------------

/** Arguments that give a layer something which no trait counts, with what it is. */
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

/** The architecture; nothing where the arguments are a run's alone. */
export function stateModel(say: Stating): void {
  const layers = ['num_layers', 'encoder_num_layers', 'decoder_num_layers'];
  const pattern = ['hybrid_override_pattern', 'hybrid_layer_pattern'].find((name) => say.at(name) !== undefined);
  if (pattern !== undefined && say.at('hidden_size') !== undefined) {
    stateHybrid(say, pattern);
    stateVocabulary(say, sizesOf(say, layers));
    return;
  }
  for (const [name, what] of uncounted) {
    const value = say.at(name);
    if (value !== undefined && value !== false && value !== 0)
      throw say.refuse(
        `${name} gives the model ${what}, which Megatron’s arguments are not read for yet; state the model as a config.json.`,
        name,
        OtherModel,
      );
  }
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

/** What a published model is known again by. */
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
    `${gated ? 'two thirds of four' : 'four'} times the hidden size (${source})`,
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
  if (key === undefined) say.assume('add_bias_linear', 'true', `linear layers have biases by default (${source})`);
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
    say.assume('num_query_groups', '1', `the default of Megatron’s command line (${source})`);
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
      say.assume(name, String(fallback), `the default of Megatron’s command line (${source})`);
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
    say.assume('untie_embeddings_and_output_weights', 'false', `embedding and output are tied by default (${source})`);
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
    say.assume('position_embedding_type', 'learned_absolute', `the default of Megatron’s command line (${source})`);
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
    say.assume('moe_router_topk', '2', `the default of Megatron’s command line (${source})`);
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

// --- the run --------------------------------------------------------------------------------------------------------------

/** How training is spread and what it keeps. */
export function stateRun(say: Stating): void {
  stateBatch(say);
  stateDegrees(say);
  statePipeline(say);
  stateSharding(say);
  stateRecompute(say);
  statePrecision(say);
  stateOptimizer(say);
  stateKernels(say);
  say.byDefault('framework', 'megatron', 'the arguments are Megatron’s');
}

function stateBatch(say: Stating): void {
  say.run('sequence_length', ['seq_length', 'encoder_seq_length']);
  say.run('micro_batch_size', 'micro_batch_size');
  say.run('global_batch_size', 'global_batch_size');
  const ramp = ['rampup_batch_size', 'step_batch_size_schedule'].find((name) => say.at(name) !== undefined);
  if (ramp !== undefined) say.assume(ramp, 'its end', 'the batch grows in training; figures are of its final size');
  const positive = (value: unknown) => (typeof value === 'number' && value > 0 ? value : undefined);
  say.run('train_steps', 'train_iters', positive);
  say.run('train_sequences', 'train_samples', positive);
  say.run('accelerator', 'accelerator');
  say.run('gpus', 'world_size');
  say.run('nodes', ['nnodes', 'num_nodes']);
  say.run('gpus_per_node', ['nproc_per_node', 'gpus_per_node']);
}

function stateDegrees(say: Stating): void {
  say.run('parallelism.tensor', ['tensor_model_parallel_size', 'model_parallel_size']);
  say.run('parallelism.pipeline', 'pipeline_model_parallel_size');
  say.run('parallelism.context', 'context_parallel_size');
  say.run('parallelism.expert', ['expert_model_parallel_size', 'moe_expert_parallel_size']);
  say.run('parallelism.expert_tensor', 'expert_tensor_parallel_size');
  const tensor = say.number('tensor_model_parallel_size');
  if ((say.at('num_experts') ?? say.at('num_moe_experts')) !== undefined && tensor !== undefined)
    say.byDefault('parallelism.expert_tensor', tensor, `experts are divided like the rest by default (${source})`);
  // Megatron switches it off where nothing is divided.
  say.run('parallelism.sequence_parallel', 'sequence_parallel', (on) => flagOf(on) === true && tensor !== 1);
  say.byDefault('parallelism.sequence_parallel', false, `off unless --sequence-parallel says so (${source})`);
  say.run('context_parallel_style', 'cp_comm_type', (type) => (/a2a/.test(String(type)) ? 'all_to_all' : 'ring'));
  say.run('overlap_tensor_parallel', ['tp_comm_overlap', 'ub_tp_comm_overlap'], flagOf);
  say.run('capacity_factor', 'moe_expert_capacity_factor', (factor) => (Number(factor) > 0 ? factor : undefined));
}

function statePipeline(say: Stating): void {
  say.run('parallelism.virtual_pipeline', [
    'num_virtual_stages_per_pipeline_rank',
    'virtual_pipeline_model_parallel_size',
  ]);
  say.run('layers_per_virtual_stage', 'num_layers_per_virtual_pipeline_stage');
  const stages = say.number('pipeline_model_parallel_size') ?? 1;
  const layers = say.number('num_layers');
  if (layers === undefined || stages < 2 || stages > 1_000) return;
  const layout = say.text('pipeline_model_parallel_layout');
  const sizes = layout === undefined ? unevenStages(say, layers, stages) : undefined;
  if (sizes !== undefined) say.runIs('layers_per_stage', sizes.list, sizes.key);
  if (layout === undefined) return;
  const laid = layoutOf(layout);
  if (laid === undefined || laid.length % stages !== 0) {
    say.warn(
      'pipeline_model_parallel_layout is not understood; layers are divided evenly.',
      'pipeline_model_parallel_layout',
    );
    return;
  }
  const each = Array.from({ length: stages }, (_, rank) =>
    laid.reduce((sum, count, stage) => sum + (stage % stages === rank ? count : 0), 0),
  );
  say.runIs('parallelism.virtual_pipeline', laid.length / stages, 'pipeline_model_parallel_layout');
  say.runIs('layers_per_stage', each, 'pipeline_model_parallel_layout');
}

/** Layers of each stage where the first or the last has other ones than the rest. */
function unevenStages(say: Stating, layers: number, stages: number) {
  const first = say.number('decoder_first_pipeline_num_layers');
  const last = say.number('decoder_last_pipeline_num_layers');
  const embedding = say.flag('account_for_embedding_in_pipeline_split') === true ? 1 : 0;
  const loss = say.flag('account_for_loss_in_pipeline_split') === true ? 1 : 0;
  if (first !== undefined || last !== undefined) {
    const others = stages - Number(first !== undefined) - Number(last !== undefined);
    const each = others === 0 ? 0 : (layers - (first ?? 0) - (last ?? 0)) / others;
    if (!Number.isInteger(each) || each < 0) return undefined;
    const list = [
      ...(first === undefined ? [] : [first]),
      ...Array<number>(others).fill(each),
      ...(last === undefined ? [] : [last]),
    ];
    return {
      list,
      key: first === undefined ? 'decoder_last_pipeline_num_layers' : 'decoder_first_pipeline_num_layers',
    };
  }
  const each = (layers + embedding + loss) / stages;
  if (embedding + loss === 0 || !Number.isInteger(each)) return undefined;
  const list = Array.from(
    { length: stages },
    (_, stage) => each - (stage === 0 ? embedding : 0) - (stage === stages - 1 ? loss : 0),
  );
  return {
    list,
    key: embedding === 1 ? 'account_for_embedding_in_pipeline_split' : 'account_for_loss_in_pipeline_split',
  };
}

/**
 * Decoder layers of each stage of a layout such as `Et*3|(tt|)*29m|L`: letters are layers, `|` ends a stage, `*n` repeats a
 * letter or a group.
 */
export function layoutOf(layout: string): readonly number[] | undefined {
  const text = layout.slice(0, 1_000).replace(/[\s,]/g, '');
  const groups = text.replace(/\(([^()]{0,200})\)\*(\d{1,3})/g, (_, group: string, times: string) =>
    group.repeat(Number(times)),
  );
  const flat =
    groups.length > 20_000
      ? '?'
      : groups.replace(/([A-Za-z|])\*(\d{1,3})/g, (_, letter: string, times: string) => letter.repeat(Number(times)));
  if (flat.length > 20_000 || !/^[A-Za-z|]*$/.test(flat)) return undefined;
  return flat.split('|').map((stage) => stage.split('t').length - 1);
}

const strategies: Readonly<Record<string, string>> = {
  no_shard: 'none',
  optim: 'optimizer',
  optim_grads: 'gradients',
  optim_grads_params: 'full',
};

function stateSharding(say: Stating): void {
  const fsdp = ['use_megatron_fsdp', 'use_custom_fsdp'].find((name) => say.flag(name) === true);
  if (fsdp !== undefined) {
    say.run('sharding', 'data_parallel_sharding_strategy', (strategy) => strategies[String(strategy)]);
    say.byDefault(
      'sharding',
      'full',
      'optim_grads_params, the default of --data-parallel-sharding-strategy in 2026; in 2025 it was no_shard',
    );
  }
  if (say.flag('use_torch_fsdp2') === true) say.runIs('sharding', 'full', 'use_torch_fsdp2');
  // Megatron-DeepSpeed's.
  say.run('sharding', 'zero_stage', shardingOf);
  if (say.flag('use_distributed_optimizer') === true) say.runIs('sharding', 'optimizer', 'use_distributed_optimizer');
  if (say.flag('use_distributed_optimizer') === false) say.runIs('sharding', 'none', 'use_distributed_optimizer');
  say.byDefault('sharding', 'none', `nothing is sharded unless --use-distributed-optimizer says so (${source})`);
  const instances = say.number('num_distributed_optimizer_instances') ?? 1;
  if (instances > 1)
    say.assume(
      'num_distributed_optimizer_instances',
      String(instances),
      'optimizer states are counted as divided over all replicas',
    );
}

function stateRecompute(say: Stating): void {
  say.run('recompute', 'recompute_granularity', (kind) => (kind === 'full' || kind === 'selective' ? kind : undefined));
  if (say.flag('recompute_activations') === true) say.runIs('recompute', 'selective', 'recompute_activations');
  if (say.flag('checkpoint_activations') === true) say.runIs('recompute', 'full', 'checkpoint_activations');
  say.byDefault('recompute', 'none', `nothing is recomputed unless the arguments say so (${source})`);
  const full = say.text('recompute_granularity') === 'full';
  if (full)
    say.run('recompute_method', 'recompute_method', (method) =>
      method === 'uniform' || method === 'block' ? method : undefined,
    );
  if (full) say.run('recompute_layers', 'recompute_num_layers', (count) => (Number(count) > 0 ? count : undefined));
  const modules = say.at('recompute_modules');
  if (say.text('recompute_granularity') === 'selective' && modules !== undefined)
    say.runIs(
      'recompute_modules',
      Array.isArray(modules) ? modules.map(String) : String(modules).split(/[\s,]+/),
      'recompute_modules',
    );
}

function statePrecision(say: Stating): void {
  const eight = ['fp8_format', 'fp8'].find((name) => typeof say.at(name) === 'string' && say.text(name) !== 'none');
  const four = ['fp4_format', 'fp4'].find((name) => typeof say.at(name) === 'string' && say.text(name) !== 'none');
  if (four !== undefined) say.runIs('precision', 'fp4', four);
  if (eight !== undefined) say.runIs('precision', /mxfp8/i.test(say.text('fp8_recipe') ?? '') ? 'mxfp8' : 'fp8', eight);
  if (say.flag('fp8') === true) say.runIs('precision', 'fp8', 'fp8');
  if (say.flag('bf16') === true) say.runIs('precision', 'bf16', 'bf16');
  if (say.flag('fp16') === true) say.runIs('precision', 'fp16', 'fp16');
  say.byDefault('precision', 'fp32', `neither --bf16 nor --fp16 is given (${source})`);
  if (say.flag('fp8_param_gather') === true && eight !== undefined)
    say.runIs('weights_dtype', 'fp8', 'fp8_param_gather');
  stateGradients(say);
}

function stateGradients(say: Stating): void {
  if (say.flag('use_precision_aware_optimizer') === true) {
    say.run('gradients_dtype', 'main_grads_dtype');
    say.run('optimizer_dtype', 'exp_avg_dtype');
  }
  if (say.flag('grad_reduce_in_bf16') === true) say.runIs('gradients_dtype', 'bf16', 'grad_reduce_in_bf16');
  const half = say.flag('fp16') === true && say.flag('accumulate_allreduce_grads_in_fp32') !== true;
  say.byDefault(
    'gradients_dtype',
    half ? 'fp16' : 'fp32',
    half
      ? `with --fp16 gradients are accumulated in fp16 (${source})`
      : `gradients are accumulated in fp32 (${source})`,
  );
}

/** Megatron's Adam is FusedAdam with decoupled weight decay. */
const optimizers: Readonly<Record<string, string>> = {
  adam: 'adamw',
  adamw: 'adamw',
  sgd: 'sgd',
  muon: 'muon',
  dist_muon: 'muon',
  lion: 'lion',
  hybridadam: 'adamw',
};

function stateOptimizer(say: Stating): void {
  say.run('optimizer', 'optimizer', (name) => optimizers[String(name)]);
  say.byDefault('optimizer', 'adamw', `Adam with decoupled weight decay is the default (${source})`);
  if (say.flag('optimizer_cpu_offload') === true) {
    say.runIs('offload', 'optimizer', 'optimizer_cpu_offload');
    const fraction = say.number('optimizer_offload_fraction') ?? 1;
    if (fraction < 1)
      say.assume('optimizer_offload_fraction', String(fraction), 'the optimizer is counted as offloaded whole');
  }
  if (say.flag('cpu_optimizer') === true) say.runIs('offload', 'optimizer', 'cpu_optimizer');
  if (say.flag('cpu_offloading') === true) say.runIs('offload', 'activations', 'cpu_offloading');
  if (say.flag('fine_grained_activation_offloading') === true)
    say.runIs('offload', 'activations', 'fine_grained_activation_offloading');
}

function stateKernels(say: Stating): void {
  // `auto` is the default, which leaves the choice to Transformer Engine.
  if (say.at('attention_backend') !== 'auto')
    say.run(
      'flash_attention',
      'attention_backend',
      (backend) => !/^(unfused|local)$/i.test(String(backend).split('.').at(-1) ?? ''),
    );
  if (say.text('transformer_impl') === 'local') say.run('flash_attention', 'use_flash_attn', flagOf);
  if (say.text('transformer_impl') === 'local')
    say.byDefault(
      'flash_attention',
      false,
      `the local implementation has none unless --use-flash-attn says so (${source})`,
    );
  say.byDefault('flash_attention', true, `Transformer Engine takes a fused attention (${source})`);
  say.run('fused_cross_entropy', 'cross_entropy_loss_fusion', flagOf);
  say.byDefault('fused_cross_entropy', false, `off unless --cross-entropy-loss-fusion says so (${source})`);
  say.run('expandable_segments', 'expandable_segments', flagOf);
  const graphs = ['enable_cuda_graph', 'external_cuda_graph', 'cuda_graph_impl'].find(
    (name) => say.at(name) !== undefined,
  );
  if (graphs !== undefined) say.runIs('cuda_graphs', flagOf(say.at(graphs)) ?? say.text(graphs) !== 'none', graphs);
  const dropouts = ['hidden_dropout', 'attention_dropout'];
  const stated = dropouts.filter((name) => say.number(name) !== undefined);
  if (stated.length > 0 && dropouts.every((name) => (say.number(name) ?? 0.1) === 0))
    say.runIs('dropout', false, stated[0] ?? '');
  else if (stated.some((name) => (say.number(name) ?? 0) > 0)) say.runIs('dropout', true, stated[0] ?? '');
  say.byDefault('dropout', true, `a tenth of the hidden state and of attention by default (${source})`);
}
