import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, OtherModel, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { overlaid } from '../../text/merge.ts';
import { type Argument, type Arguments, argumentsAt, joined, statingArguments } from '../arguments.ts';
import { type Beside, type Format, type ParsedFile, placeOf } from '../format.ts';
import { pathInside } from '../gather.ts';
import { flagOf } from '../stating.ts';
import { stateModel } from './megatron-model.ts';
import { stateRun } from './megatron-run.ts';

const source = 'NeMo 28ccec72 (2024-06), nlp/models/language_modeling';

/** NeMo 1's Hydra YAML for language models, its launcher's included. */
export const nemo: Format = {
  id: 'nemo',
  title: 'NeMo 1 YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: {
    has: ['trainer', 'model'],
    some: [[1, ['model.tensor_model_parallel_size', 'model.encoder_seq_length', 'model.megatron_amp_O2']]],
    not: ['language_model', 'modules'],
  },
  states,
};

function states(file: ParsedFile, beside: Beside): Statement {
  const stated = isDictionary(file.source.value) ? withDefaults(file.source.value, file.path, beside) : {};
  // The launcher puts the file under `training`, and its references begin there.
  const root = interpolated(stated, { roots: ['training'] });
  const say = statingArguments(file, nemo.id, argumentsOf(file, root));
  if (isDictionary(at(root, 'model.mm_cfg')) || at(root, 'model.img_h') !== undefined)
    throw say.refuse(
      'NeMo’s models with an encoder of images are not read yet; state the model as a config.json.',
      'mm_cfg',
      OtherModel,
    );
  if (isDictionary(at(root, 'model.encoder')))
    throw say.refuse(
      'NeMo’s models with encoder and decoder are not read yet; state the model as a config.json.',
      'encoder',
      OtherModel,
    );
  if (say.at('num_layers') === undefined && say.at('restore_from_path') !== undefined)
    say.warn(
      'restore_from_path names a checkpoint, whose sizes are not in the file; put the model’s config.json beside it (`with:` in the policy).',
      'restore_from_path',
    );
  stateModel(say);
  statePrecision(say);
  stateSharding(say);
  stateAdapters(say);
  stateRun(say);
  return say.statement();
}

/** Whole files that Hydra's defaults name (`- megatron_gpt_config`), under the file's own words unless `_self_` stands first. */
function withDefaults(root: Dictionary, from: string, beside: Beside): Dictionary {
  const listed = own(root, 'defaults');
  const names = Array.isArray(listed) ? listed.slice(0, 20).filter((one) => typeof one === 'string') : [];
  let below: Dictionary = {};
  for (const name of names) {
    const path = name === '_self_' || /[@$: ]/.test(name) ? undefined : pathInside(`./${name}.yaml`, from);
    const value = path === undefined ? undefined : beside(path)?.source.value;
    if (isDictionary(value)) below = overlaid(below, value);
  }
  return names[0] === '_self_' && names.length > 1 ? overlaid(root, below) : overlaid(below, root);
}

function at(root: Dictionary, path: string): unknown {
  let here: unknown = root;
  for (const step of path.split('.')) here = isDictionary(here) ? own(here, step) : undefined;
  return here ?? undefined;
}

/** NeMo's words as Megatron's. What they share passes as it is; sections of the model say nothing of its sizes. */
function argumentsOf(file: ParsedFile, root: Dictionary): Arguments {
  const found = new Map<string, Argument>();
  const put = (name: string, key: string, value: unknown) => {
    if (value === undefined || value === null) return;
    found.set(name, { value, at: placeOf(file, key) });
  };
  const take = (name: string, key: string, convert: (value: unknown) => unknown = (value) => value) => {
    const value = at(root, key);
    if (value !== undefined) put(name, key, convert(value));
  };
  take('num_nodes', 'trainer.num_nodes');
  take('nproc_per_node', 'trainer.devices', (devices) => (Array.isArray(devices) ? devices.length : devices));
  take('train_iters', 'trainer.max_steps');
  take('trainer_precision', 'trainer.precision');
  take('peft_scheme', 'model.peft.peft_scheme');
  take('lora_rank', 'model.peft.lora_tuning.adapter_dim');
  take('lora_targets', 'model.peft.lora_tuning.target_modules');
  take('restore_from_path', 'restore_from_path');
  take('restore_from_path', 'model.restore_from_path');
  take('add_bias_linear', 'model.bias');
  take('normalization', 'model.normalization', (name) => (/rms/i.test(String(name)) ? 'RMSNorm' : 'LayerNorm'));
  take('group_query_attention', 'model.num_query_groups', () => true);
  take('recompute_granularity', 'model.activations_checkpoint_granularity');
  take('recompute_method', 'model.activations_checkpoint_method');
  take('recompute_num_layers', 'model.activations_checkpoint_num_layers');
  take('vocab_size', 'model.override_vocab_size');
  take('optimizer_name', 'model.optim.name');
  take('optimizer', 'model.optim.name', (name) => (/adam|mcore_distributed/i.test(String(name)) ? 'adam' : name));
  takeActivation(String(at(root, 'model.activation') ?? 'gelu'), put);
  const hidden = at(root, 'model.hidden_size');
  if (at(root, 'model.ffn_hidden_size') === undefined && typeof hidden === 'number')
    put('ffn_hidden_size', 'model.hidden_size', 4 * hidden);
  takeTokenizer(root, put);
  const engine = flagOf(at(root, 'model.transformer_engine')) === true || flagOf(at(root, 'model.mcore_gpt')) === true;
  if (!engine) put('transformer_impl', 'model.transformer_engine', 'local');
  take('use_flash_attn', 'model.use_flash_attention');
  return joined(scalars(file, root), found);
}

/** Keys of `model` itself. */
function scalars(file: ParsedFile, root: Dictionary): Arguments {
  const model = at(root, 'model');
  const flat = Object.entries(isDictionary(model) ? model : {}).filter(([, value]) => !isDictionary(value));
  const words = ['activation', 'normalization', 'optimizer', 'name', 'precision'];
  return argumentsAt(file, Object.fromEntries(flat.filter(([key]) => !words.includes(key))), 'model');
}

type Put = (name: string, key: string, value: unknown) => void;

function takeActivation(activation: string, put: Put): void {
  const key = 'model.activation';
  if (/swiglu$/.test(activation)) put('swiglu', key, true);
  else if (/glu$/.test(activation)) {
    put('gated_linear_unit', key, true);
    put('activation_func', key, 'gelu');
  } else if (activation === 'squared-relu') put('squared_relu', key, true);
}

function takeTokenizer(root: Dictionary, put: Put): void {
  const library = at(root, 'model.tokenizer.library');
  const type = at(root, 'model.tokenizer.type');
  const model = at(root, 'model.tokenizer.model');
  if (typeof type === 'string')
    put(library === 'huggingface' ? 'tokenizer_model' : 'tokenizer_type', 'model.tokenizer.type', type);
  if (typeof model === 'string') put('tokenizer_model', 'model.tokenizer.model', model);
  else if (library === 'sentencepiece' && typeof type !== 'string')
    put('tokenizer_type', 'model.tokenizer.library', 'sentencepiece');
}

type Say = ReturnType<typeof statingArguments>;

/** `trainer.precision`, and without O2 weights in fp32 under autocast. */
function statePrecision(say: Say): void {
  const key = 'trainer_precision';
  const precision = String(say.at(key) ?? '');
  const dtype = /^bf16/.test(precision)
    ? 'bf16'
    : /^(fp)?16/.test(precision)
      ? 'fp16'
      : /^(fp)?32/.test(precision)
        ? 'fp32'
        : undefined;
  if (say.flag('fp8') !== true && dtype !== undefined) say.runIs('precision', dtype, key);
  if (dtype === undefined || dtype === 'fp32') return;
  say.byDefault('gradients_dtype', 'fp32', `gradients are accumulated in fp32 (${source})`);
  if (say.flag('megatron_amp_O2') === true) return;
  const stated = say.at('megatron_amp_O2') !== undefined;
  for (const [field, value] of [
    ['weights_dtype', 'fp32'],
    ['master_weights', false],
  ] as const) {
    if (stated) say.runIs(field, value, 'megatron_amp_O2');
    else say.byDefault(field, value, `weights stay in fp32 unless megatron_amp_O2 says otherwise (${source})`);
  }
}

function stateSharding(say: Say): void {
  if (say.flag('fsdp') === true) {
    const strategy = say.text('fsdp_sharding_strategy');
    say.runIs(
      'sharding',
      strategy === 'grad' ? 'gradients' : 'full',
      strategy === undefined ? 'fsdp' : 'fsdp_sharding_strategy',
    );
    say.runIs('framework', 'fsdp', 'fsdp');
  }
  say.run('sharding', 'optimizer_name', (name) => shardedBy[String(name)] ?? 'none');
  say.byDefault('framework', 'megatron', 'NeMo builds on Megatron');
}

/** NeMo's distributed Adam divides gradients too: it reduces them into the shard that a rank updates. */
const shardedBy: Readonly<Record<string, string>> = {
  distributed_fused_adam: 'gradients',
  mcore_distributed_optim: 'optimizer',
};

/** Words of NeMo's for the matrices that adapters stand beside. */
const adapted: Readonly<Record<string, readonly string[]>> = {
  attention_qkv: ['q_proj', 'k_proj', 'v_proj'],
  attention_dense: ['o_proj'],
  mlp_fc1: ['gate_proj', 'up_proj'],
  mlp_fc2: ['down_proj'],
  attention: ['q_proj', 'k_proj', 'v_proj', 'o_proj'],
  mlp: ['gate_proj', 'up_proj', 'down_proj'],
  all: ['all-linear'],
};

function stateAdapters(say: Say): void {
  if (say.text('peft_scheme') !== 'lora' || !((say.number('lora_rank') ?? 0) > 0)) return;
  say.run('lora.rank', 'lora_rank');
  const words = say.at('lora_targets');
  const targets = Array.isArray(words) ? words.flatMap((word) => adapted[String(word)] ?? []) : [];
  if (targets.length > 0) say.runIs('lora.targets', targets, 'lora_targets');
  say.byDefault(
    'lora.targets',
    adapted['attention_qkv'],
    `LoRA is on the joint query, key and value projection (${source})`,
  );
}
