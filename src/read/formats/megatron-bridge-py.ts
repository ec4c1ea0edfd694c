import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, own, textOf } from '../../text/fields.ts';
import { type Arguments, argumentsAt, joined, statingArguments } from '../arguments.ts';
import type { Format, ParsedFile } from '../format.ts';
import { recipeOf } from '../recipe.ts';
import type { Stating } from '../stating.ts';
import { stateModel } from './megatron-model.ts';
import { stateRun } from './megatron-run.ts';

const source = 'Megatron-Bridge 067f987d, recipes/common.py';

const container = /\bConfigContainer\b/;

/** Megatron-Bridge's recipes: functions that return a `ConfigContainer`, named after what they run on. */
export const megatronBridgePy: Format = {
  id: 'megatron-bridge-py',
  title: 'Megatron-Bridge recipe in Python',
  syntaxes: ['python'],
  signature: { has: ['def', '*.model'], like: [['*.->', container]] },
  states,
};

function states(file: ParsedFile): Statement {
  const { name, ...recipe } = recipeOf(
    file,
    (value) => container.test(textOf(own(value, '->') ?? '')) && isDictionary(own(value, 'model')),
  );
  const root = isDictionary(recipe.source.value) ? recipe.source.value : {};
  const say = statingArguments(recipe, megatronBridgePy.id, argumentsOf(recipe, root));
  stateArchitecture(say, root, name);
  stateName(say, root, name);
  stateAdapters(say, root, name);
  stateDefaults(say, textOf(own(root, '()') ?? ''));
  stateRun(say);
  return say.statement();
}

const partOf = (from: Dictionary, key: string): Dictionary => {
  const part = own(from, key);
  return isDictionary(part) ? part : {};
};

/** The sections of a recipe whose keys are Megatron's arguments, with what the provider's own class takes. */
function argumentsOf(file: ParsedFile, root: Dictionary): Arguments {
  const sections = ['train', 'ddp', 'optimizer', 'comm_overlap', 'mixed_precision', 'model'];
  const length = own(partOf(root, 'dataset'), 'seq_length');
  const dataset = argumentsAt(file, length === undefined ? {} : { seq_length: length }, 'dataset');
  const given = joined(dataset, ...sections.map((section) => argumentsAt(file, own(root, section), section)));
  const named = [...given].map(([name, one]) => [name, { ...one, value: dtypeOf(one.value) }] as const);
  return joined(new Map(named), providersOwn(file, partOf(root, 'model')));
}

const dtypes: Readonly<Record<string, string>> = {
  '${torch.float32}': 'fp32',
  '${torch.bfloat16}': 'bf16',
  '${torch.float16}': 'fp16',
  '${torch.uint8}': 'fp8',
};

const dtypeOf = (value: unknown): unknown =>
  typeof value === 'string' && Object.hasOwn(dtypes, value) ? dtypes[value] : value;

/** What the class of hybrids takes (models/hybrid/hybrid_provider.py, 067f987d), where Megatron's command line takes something else. */
const hybridDefaults = [
  ['normalization', 'RMSNorm'],
  ['add_bias_linear', false],
  ['position_embedding_type', 'none'],
  ['seq_length', 8192],
] as const;

/** What a provider says in other words than Megatron's command line, or takes without a word. */
function providersOwn(file: ParsedFile, model: Dictionary): Arguments {
  const stated: Record<string, unknown> = {};
  if (own(model, 'num_query_groups') !== undefined) stated['group_query_attention'] = true;
  if (own(model, 'should_pad_vocab') !== true && typeof own(model, 'vocab_size') === 'number')
    stated['padded_vocab_size'] = own(model, 'vocab_size');
  if (/\bsquared_relu\b/.test(textOf(own(model, 'activation_func') ?? ''))) stated['squared_relu'] = true;
  const hybrid = /^(Hybrid|Mamba|NemotronH)\w*Provider$/.test(textOf(own(model, '()') ?? ''));
  if ((own(model, 'share_embeddings_and_output_weights') ?? !hybrid) === false)
    stated['untie_embeddings_and_output_weights'] = true;
  for (const [name, value] of hybrid ? hybridDefaults : []) if (own(model, name) === undefined) stated[name] = value;
  return argumentsAt(file, stated, 'model');
}

/** A provider's sizes, or the hub id that they are read from. */
function stateArchitecture(say: Stating, root: Dictionary, name: string): void {
  const model = partOf(root, 'model');
  const id = hubId(model);
  const provider = textOf(own(model, '()') ?? '');
  if (/^(Wan|Flux|DiT|Diffusion)/i.test(provider))
    throw say.refuse(
      `${provider.slice(0, 60)} makes a model of images or video, which is not a language model.`,
      'model',
    );
  if (id !== undefined) {
    say.named(id, 'model');
    say.model('num_hidden_layers', 'num_layers');
    say.byDefault('dropout', false, `the provider takes the dropout of the hub's config, which is none (${source})`);
  } else if (own(model, 'num_layers') !== undefined && own(model, 'hidden_size') !== undefined) stateModel(say);
  // The provider is made elsewhere; the policy may say what the recipe's model is.
  else say.named(`megatron-bridge:${name.replace(/_(pretrain|sft|peft)_.*$/, '')}`, 'model');
}

/** The id in `AutoBridge.from_hf_pretrained("org/model").to_megatron_provider()`. */
function hubId(model: Dictionary, depth = 0): string | undefined {
  const first = own(model, '0') ?? own(model, 'hf_path') ?? own(model, 'path');
  if (/from_(hf_)?(pretrained|config)$/.test(textOf(own(model, '()') ?? '')))
    return typeof first === 'string' && !first.startsWith('${') ? first : undefined;
  const inner = own(model, 'self');
  return isDictionary(inner) && depth < 8 ? hubId(inner, depth + 1) : undefined;
}

/** What the machine in a recipe's name is in the table of accelerators. */
const machines: Readonly<Record<string, string>> = {
  h100: 'h100-sxm-80gb',
  a100: 'a100-sxm-80gb',
  b200: 'b200-sxm',
  gb200: 'gb200-nvl72',
  b300: 'b300-sxm',
  gb300: 'gb300-nvl72',
};

/** `llama3_8b_pretrain_8gpu_h100_bf16_config`: GPUs, what they are, and the precision, unless the recipe itself says it. */
function stateName(say: Stating, root: Dictionary, name: string): void {
  const stated = own(root, 'mixed_precision');
  const call = isDictionary(stated) ? `${textOf(own(stated, '()') ?? '')} ${textOf(own(stated, '0') ?? '')}` : '';
  statePrecision(say, typeof stated === 'string' ? stated : call, 'mixed_precision');
  const [, gpus, machine, words] = /_(\d{1,6})gpu_([a-z0-9]{1,10})_(\w{1,40})$/.exec(name) ?? [];
  if (gpus === undefined || machine === undefined) return;
  say.runIs('gpus', Number(gpus), 'name');
  if (Object.hasOwn(machines, machine)) say.runIs('accelerator', machines[machine], 'name');
  statePrecision(say, words ?? '', 'name');
}

function statePrecision(say: Stating, words: string, key: string): void {
  const precision = precisionOf(words);
  if (precision !== undefined) say.runIs('precision', precision, key);
  const recipe = precision === 'fp8' ? recipeOfWords(words) : undefined;
  if (recipe !== undefined) say.runIs('fp8_recipe', recipe, key);
}

/** How the registered functions scale (0509780, training/mixed_precision.py): Nano v2's says `current` and takes blocks. */
function recipeOfWords(words: string): string | undefined {
  if (/subchannel|fp8_?sc|blockwise|nanov2/i.test(words)) return 'blockwise';
  return /current|delayed|fp8_?[cd]s/i.test(words) ? 'tensorwise' : undefined;
}

function precisionOf(words: string): string | undefined {
  if (/nvfp4|fp4/i.test(words)) return 'fp4';
  if (/mxfp8|fp8_?mx/i.test(words)) return 'mxfp8';
  if (/fp8/i.test(words)) return 'fp8';
  return /bf16/i.test(words) ? 'bf16' : /fp16/i.test(words) ? 'fp16' : undefined;
}

/** LoRA of Megatron-Bridge: on all linear layers, of rank 32 unless the recipe says otherwise. */
function stateAdapters(say: Stating, root: Dictionary, name: string): void {
  const peft = own(root, 'peft');
  if (!isDictionary(peft) && !/_peft_/.test(name)) return;
  const rank = own(isDictionary(peft) ? peft : {}, 'dim');
  if (typeof rank === 'number') say.runIs('lora.rank', rank, 'peft');
  say.byDefault('lora.rank', 32, 'LoRA of Megatron-Bridge has rank 32 (067f987d, peft/lora.py)');
  say.byDefault(
    'lora.targets',
    ['all-linear'],
    'LoRA of Megatron-Bridge is on all linear layers (067f987d, peft/lora.py)',
  );
}

/** What the recipes that Megatron-Bridge's own are made from take; of another base, its distributed optimizer alone. */
function stateDefaults(say: Stating, base: string): void {
  const tell = (value: string) => `${value} (${source})`;
  say.byDefault('sharding', 'optimizer', tell('the distributed optimizer is on'));
  say.byDefault('precision', 'bf16', tell('bf16_mixed'));
  if (base === '_pretrain_common') {
    say.byDefault('micro_batch_size', 2, tell('_pretrain_common takes 2 sequences'));
    say.byDefault('global_batch_size', 32, tell('_pretrain_common takes 32 sequences a step'));
    say.byDefault('sequence_length', 4096, tell('_pretrain_common takes 4,096 tokens'));
  } else if (base === '_sft_common' || base === '_peft_common') {
    say.byDefault('micro_batch_size', 1, tell(`${base} takes 1 sequence`));
    say.byDefault('sequence_length', 2048, tell(`${base} takes 2,048 tokens`));
  }
}
