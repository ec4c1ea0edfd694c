import { decoderType } from '../../families/decoder.ts';
import type { Place } from '../../model/place.ts';
import type { Keys, Statement } from '../../model/statement.ts';
import { isDictionary, own, textOf } from '../../text/fields.ts';
import { overlaid } from '../../text/merge.ts';
import { type Beside, type Format, type ParsedFile, placeOf } from '../format.ts';
import { pathInside } from '../gather.ts';
import { optimizerOf } from '../spellings.ts';
import { numeric, type Stating, stating } from '../stating.ts';

const source = 'MaxText e591f30c, configs/base.yml';

const axes = ['data', 'fsdp', 'fsdp_transpose', 'tensor', 'expert', 'pipeline', 'context', 'sequence'] as const;

/** MaxText's YAML: a run, a model of `configs/models`, or both. */
export const maxtext: Format = {
  id: 'maxtext',
  title: 'MaxText YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: {
    some: [
      [
        1,
        [
          'base_emb_dim',
          'base_num_decoder_layers',
          'remat_policy',
          'max_target_length',
          'per_device_batch_size',
          ...axes.flatMap((axis) => [`ici_${axis}_parallelism`, `dcn_${axis}_parallelism`]),
        ],
      ],
      [1, ['base_emb_dim', 'base_num_decoder_layers', 'model_name', 'base_config']],
    ],
    not: ['model', 'trainer', 'modules', 'model_type'],
  },
  states,
};

function states(file: ParsedFile, beside: Beside): Statement {
  const stated = isDictionary(file.source.value) ? file.source.value : {};
  const base = baseOf(file, stated, beside, 0);
  const name = nameOf(overlaid(base.keys, stated));
  const model = name === undefined ? {} : modelFile(name, base.folders, beside);
  // What the file says of the sizes itself changes those of a named model; a base only fills what the model leaves out.
  const all = overlaid(overlaid(base.keys, model), stated);
  const named = name !== undefined && Object.keys(model).length === 0;
  const say = stating({ path: file.path, source: { ...file.source, value: all } }, maxtext.id, base.places);
  if (named) {
    say.named(`maxtext:${name}`, 'model_name');
    changes(say, stated);
  } else sizes(say);
  mesh(say);
  batch(say);
  memory(say);
  return say.statement();
}

const nameOf = (keys: Keys): string | undefined => {
  const name = own(keys, 'model_name');
  return typeof name === 'string' && name !== '' && name !== 'default' ? name : undefined;
};

type Base = {
  readonly keys: Keys;
  readonly places: ReadonlyMap<string, Place>;
  readonly folders: readonly string[];
};

/** Files under this one, as far as the repository has them: `base_config` beside the file, or in a folder above it. */
function baseOf(file: ParsedFile, stated: Keys, beside: Beside, depth: number): Base {
  const folders = foldersAbove(file.path);
  const named = own(stated, 'base_config');
  if (typeof named !== 'string' || depth > 3) return { keys: {}, places: new Map(), folders };
  for (const folder of folders) {
    const path = pathInside(`./${named}`, `${folder}file`);
    const found = path === undefined || path === file.path ? undefined : beside(path);
    const keys = found?.source.value;
    if (found === undefined || !isDictionary(keys)) continue;
    const below = baseOf(found, keys, beside, depth + 1);
    return {
      keys: overlaid(below.keys, keys),
      places: new Map([...below.places, ...placesOf(found, keys)].filter(([key]) => !Object.hasOwn(stated, key))),
      folders: [...new Set([...folders, ...below.folders])],
    };
  }
  return { keys: {}, places: new Map(), folders };
}

const placesOf = (file: ParsedFile, keys: Keys): readonly (readonly [string, Place])[] =>
  Object.keys(keys).map((key) => [key, placeOf(file, key)]);

/** The file's folder and those above it, nearest first, each with its slash. */
function foldersAbove(path: string): readonly string[] {
  const steps = path.split('/').slice(0, -1);
  const all = steps.map((_, index) => `${steps.slice(0, steps.length - index).join('/')}/`);
  return [...all, ''].slice(0, 3);
}

function modelFile(name: string, folders: readonly string[], beside: Beside): Keys {
  for (const folder of folders.slice(0, 4)) {
    const path = pathInside(`./models/${name}.yml`, `${folder}file`);
    const value = path === undefined ? undefined : beside(path)?.source.value;
    if (isDictionary(value)) return value;
  }
  return {};
}

// --- model ------------------------------------------------------------------------------------------------------------

/** The class of Hugging Face's that a decoder block of MaxText is the same as. */
const blocks: Readonly<Record<string, string>> = {
  llama2: 'llama',
  default: 'llama',
  mistral: 'llama',
  mixtral: 'mixtral',
  gemma: 'gemma',
  gemma2: 'gemma2',
  gemma3: 'gemma3_text',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  qwen3_moe: 'qwen3_moe',
  olmo2: 'olmo2',
  olmo3: 'olmo3',
  gpt_oss: 'gpt_oss',
  llama4: 'llama4_text',
  deepseek: 'deepseek_v3',
  deepseek4: 'deepseek_v4',
  gpt3: decoderType,
};

/** Classes of which some layers see a window. */
const windowed = /^(gemma[23]|gpt_oss|olmo3|deepseek_v4)/;

const scaled = [
  ['hidden_size', 'base_emb_dim', 2048],
  ['num_attention_heads', 'base_num_query_heads', 16],
  ['num_key_value_heads', 'base_num_kv_heads', 16],
  ['intermediate_size', 'base_mlp_dim', 7168],
  ['num_hidden_layers', 'base_num_decoder_layers', 16],
] as const;

function sizes(say: Stating): void {
  const block = say.text('decoder_block') ?? 'llama2';
  const experts = say.number('num_experts') ?? 1;
  const known = Object.hasOwn(blocks, block) ? blocks[block] : undefined;
  if (known === undefined)
    throw say.refuse(
      `decoder_block is "${block.slice(0, 40)}", which is not read; state the model as a config.json.`,
      'decoder_block',
    );
  say.modelIs('model_type', known === 'llama' && experts > 1 ? 'mixtral' : known, 'decoder_block');
  for (const [canonical, key, absent] of scaled) size(say, canonical, key, absent, block);
  say.modelIs('head_dim', say.number('head_dim') ?? 128, 'head_dim');
  say.modelIs('vocab_size', say.number('vocab_size') ?? 32_000, 'vocab_size');
  say.modelIs('tie_word_embeddings', say.flag('logits_via_embedding') ?? false, 'logits_via_embedding');
  say.model('max_position_embeddings', ['max_position_embeddings', 'max_target_length']);
  say.model('attention_bias', 'attention_bias');
  say.model('mlp_bias', 'mlp_bias');
  if (windowed.test(known)) say.model('sliding_window', 'sliding_window_size');
  if (known === decoderType) gpt3(say);
  if (experts > 1) mixture(say, known);
  latent(say, known);
}

/** A size as the scale of the whole model leaves it: powers of two, first to layers, then to the width, then to heads. */
function size(say: Stating, canonical: string, key: string, absent: number, block: string): void {
  const power = Math.log2(Math.max(1, say.number('global_parameter_scale') ?? 1));
  const whole = Math.floor(power / 3);
  const rest = Math.round(power) % 3;
  const doubled = { base_num_decoder_layers: 0, base_emb_dim: rest > 1 ? 1 : 0 }[key] ?? (rest > 0 ? 1 : 0);
  const stated = say.number(key);
  if (stated === undefined)
    say.assume(key, textOf(absent), `what MaxText takes where the file does not say (${source})`);
  const value = (stated ?? absent) * 2 ** (whole + doubled);
  // A layer of Gemma 2 there is a pair: one with a window, one without.
  const pairs = block === 'gemma2' && key === 'base_num_decoder_layers' ? 2 : 1;
  if (pairs === 2)
    say.assume(key, `${2 * value} layers`, 'a layer of MaxText’s gemma2 block is one with a window and one without');
  say.modelIs(canonical, value * pairs, key);
}

function gpt3(say: Stating): void {
  say.modelIs('normalization', 'layer');
  const table = say.number('trainable_position_size') ?? -1;
  say.modelIs('positions', table > 0 ? 'learned' : 'rope', 'trainable_position_size');
  if (table > 0) say.modelIs('max_position_embeddings', table, 'trainable_position_size');
  const activations = say.at('mlp_activations');
  say.modelIs('gated', !Array.isArray(activations) || activations.length > 1, 'mlp_activations');
  say.modelIs('hidden_act', 'gelu', 'mlp_activations');
  say.modelIs('mlp_bias', true);
  say.modelIs('attention_bias', true);
}

function mixture(say: Stating, type: string): void {
  const width = say.number('base_moe_mlp_dim') ?? -1;
  const each = width > 0 ? width : (say.number('base_mlp_dim') ?? 7168);
  const key = width > 0 ? 'base_moe_mlp_dim' : 'base_mlp_dim';
  const counts = { qwen3_moe: 'num_experts', deepseek_v3: 'n_routed_experts', deepseek_v4: 'n_routed_experts' };
  say.model(own(counts, type) === undefined ? 'num_local_experts' : textOf(own(counts, type)), 'num_experts');
  say.model('num_experts_per_tok', 'num_experts_per_tok');
  if (type === 'llama4_text') {
    say.modelIs('intermediate_size_mlp', say.number('base_mlp_dim'), 'base_mlp_dim');
    say.modelIs('intermediate_size', each, key);
    say.model('interleave_moe_layer_step', 'interleave_moe_layer_step');
    return;
  }
  say.modelIs('moe_intermediate_size', each, key);
  say.model('n_shared_experts', 'shared_experts');
}

/** Multi-head latent attention and its relatives keep their names. */
function latent(say: Stating, type: string): void {
  if (type !== 'deepseek_v3' && type !== 'deepseek_v4') return;
  say.modelIs('first_k_dense_replace', say.number('first_num_dense_layers') ?? 0, 'first_num_dense_layers');
  say.modelIs('num_nextn_predict_layers', say.number('mtp_num_layers') ?? 0, 'mtp_num_layers');
  say.modelIs('q_lora_rank', say.number('q_lora_rank') || null, 'q_lora_rank');
  if (type === 'deepseek_v4') {
    sparse(say);
    return;
  }
  for (const [key, absent] of [
    ['kv_lora_rank', 512],
    ['qk_nope_head_dim', 128],
    ['qk_rope_head_dim', 64],
    ['v_head_dim', 128],
  ] as const)
    say.modelIs(key, say.number(key) ?? absent, key);
  // DeepSeek-V2's router has no correction of its choice.
  if (say.flag('routed_bias') !== true) say.modelIs('model_type', 'deepseek_v2', 'routed_bias');
}

function sparse(say: Stating): void {
  for (const [canonical, key] of [
    ['hc_mult', 'mhc_expansion_rate'],
    ['num_hash_layers', 'first_num_hash_layers'],
    ['index_head_dim', 'indexer_head_dim'],
    ['index_n_heads', 'indexer_n_heads'],
    ['index_topk', 'indexer_topk'],
    ['qk_rope_head_dim', 'qk_rope_head_dim'],
    ['o_groups', 'o_groups'],
    ['o_lora_rank', 'o_lora_rank'],
    ['compress_ratios', 'compress_ratios'],
  ] as const)
    say.model(canonical, key);
}

/** Sizes that the file itself states over those of a published model. */
function changes(say: Stating, stated: Keys): void {
  for (const [canonical, key] of [...scaled, ['head_dim', 'head_dim'], ['vocab_size', 'vocab_size']] as const)
    if (typeof numeric(own(stated, key)) === 'number') say.model(canonical, key);
}

// --- run --------------------------------------------------------------------------------------------------------------

/** Devices along an axis: within a slice times between slices; undefined where one of the two is what is left. */
function along(say: Stating, axis: string): number | undefined {
  const inside = say.number(`ici_${axis}_parallelism`) ?? 1;
  const between = say.number(`dcn_${axis}_parallelism`) ?? 1;
  return inside < 1 || between < 1 ? undefined : inside * between;
}

function mesh(say: Stating): void {
  const product = (...names: readonly string[]) => names.reduce((all, axis) => all * (along(say, axis) ?? 1), 1);
  const put = (field: Parameters<Stating['run']>[0], axis: string, ...others: readonly string[]) => {
    const size = product(axis, ...others);
    if (size > 1) say.runIs(field, size, `ici_${axis}_parallelism`);
  };
  put('parallelism.tensor', 'tensor', 'tensor_sequence', 'tensor_transpose');
  put('parallelism.pipeline', 'pipeline');
  put('parallelism.context', 'context', 'sequence');
  put('parallelism.expert', 'expert');
  const rest = axes.flatMap((axis) => [`ici_${axis}_parallelism`, `dcn_${axis}_parallelism`]);
  const open = rest.find((key) => say.number(key) === -1);
  const all = product(...axes, 'tensor_sequence', 'tensor_transpose');
  if (open !== undefined) say.runIs('gpus', -1, open);
  // Where the file leaves fsdp to MaxText, it takes all devices that are left, however many there are.
  else if (say.number('ici_fsdp_parallelism') !== undefined)
    say.byDefault('gpus', all, `the product of the axes of the mesh that the file states (${source})`);
  const fsdp = product('fsdp', 'fsdp_transpose');
  const copies = along(say, 'data') ?? 1;
  if (fsdp > 1 && copies > 1) say.runIs('shard_group', fsdp, 'ici_fsdp_parallelism');
  if (fsdp === 1 && along(say, 'fsdp') === 1 && say.at('ici_fsdp_parallelism') !== undefined)
    say.runIs('sharding', 'none', 'ici_fsdp_parallelism');
  say.byDefault('sharding', 'full', `ici_fsdp_parallelism of MaxText takes what is left (${source})`);
  say.byDefault('framework', 'fsdp', 'the nearest framework to MaxText, which shards weights over its fsdp axis');
}

function batch(say: Stating): void {
  say.run('sequence_length', 'max_target_length');
  say.run('batch_per_gpu', 'per_device_batch_size');
  say.run('gradient_accumulation', 'gradient_accumulation_steps');
  say.run('train_steps', 'steps');
  say.run('optimizer', 'opt_type', (type) => optimizerOf(type));
  say.byDefault('sequence_length', 2048, `max_target_length of MaxText (${source})`);
  say.byDefault('batch_per_gpu', 12, `per_device_batch_size of MaxText (${source})`);
  say.byDefault('gradient_accumulation', 1, `gradient_accumulation_steps of MaxText (${source})`);
  say.byDefault('optimizer', 'adamw', `opt_type of MaxText (${source})`);
}

function memory(say: Stating): void {
  // Every named policy but `full` keeps some products and computes the rest again.
  say.run('recompute', 'remat_policy', (policy) => (policy === 'full' ? 'full' : 'selective'));
  say.byDefault('recompute', 'full', `remat_policy of MaxText (${source})`);
  say.run('offload', ['optimizer_memory_host_offload'], (on) => (on === true ? 'optimizer' : undefined));
  say.run('offload', ['parameter_memory_host_offload'], (on) => (on === true ? 'parameters' : undefined));
  say.run('offload', ['remat_policy'], (policy) => (/offload/.test(textOf(policy)) ? 'activations' : undefined));
  const quantization = say.text('quantization') ?? '';
  if (/fp8/.test(quantization)) say.runIs('precision', 'fp8', 'quantization');
  else if (/int/.test(quantization))
    say.warn(`quantization is "${quantization.slice(0, 30)}"; integer products are counted as bf16.`, 'quantization');
  say.run('precision', 'dtype', (dtype) => (dtype === 'float32' ? 'fp32' : 'bf16'));
  say.byDefault('precision', 'bf16', `dtype of MaxText (${source})`);
  if (say.text('weight_dtype') === 'bfloat16') {
    say.runIs('weights_dtype', 'bf16', 'weight_dtype');
    say.runIs('master_weights', false, 'weight_dtype');
  }
  say.run('flash_attention', 'attention', (kind) => kind !== 'dot_product');
  say.byDefault('compile', true, 'XLA compiles the whole step');
}
