import type { Statement } from '../../model/statement.ts';
import { isDictionary, textOf } from '../../text/fields.ts';
import { type AdapterKeys, resumed, sayUnseen } from '../adapters.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { sayPreference } from '../preference.ts';
import { sayDeepSpeedFile, sayFsdpWords } from '../sharded.ts';
import { type Stating, stating } from '../stating.ts';
import {
  baseBits,
  sayAttention,
  sayCheckpointing,
  sayLora,
  sayOptimizer,
  sayPrecision,
  saySteps,
  targetsOfPeft,
} from '../trainer.ts';

const read = 'axolotl 067b021';

/** axolotl's YAML. */
export const axolotl: Format = {
  id: 'axolotl',
  title: 'axolotl YAML',
  syntaxes: ['yaml', 'json'],
  signature: {
    has: ['base_model'],
    some: [[1, ['micro_batch_size', 'sequence_len', 'adapter', 'gradient_accumulation_steps']]],
    not: ['merge_method'],
  },
  states,
};

const adapterKeys: AdapterKeys = { saved: 'lora_model_dir', rank: 'lora_r', targets: 'lora_target_modules' };

function states(file: ParsedFile, beside: Beside): Statement {
  const whole = resumed(file, adapterKeys, beside);
  const say = stating(whole.file, axolotl.id, whole.places);
  sayUnseen(say, adapterKeys, whole);
  const name = say.text('base_model') ?? '';
  if (name !== '') say.named(name, 'base_model');
  sayChanges(say);
  sayBatch(say);
  say.run('sequence_length', 'sequence_len');
  say.byDefault('sequence_length', 512, `sequence_len of ${read}`);
  sayDegrees(say);
  sayDtypes(say, file.path, beside);
  sayCheckpointing(say, 'gradient_checkpointing', false, `off unless it is switched on (${read})`);
  sayOffloading(say);
  sayKernels(say);
  sayOptimizer(say, 'optimizer', `adamw_torch_fused (${read})`);
  sayAdapters(say, name);
  saySteps(say, 'max_steps');
  return say.statement();
}

/** Keys of the base's config that the file changes. */
function sayChanges(say: Stating): void {
  for (const block of ['overrides_of_model_config', 'model_config']) {
    const changes = say.at(block);
    if (!isDictionary(changes)) continue;
    for (const key of Object.keys(changes).slice(0, 100)) if (!key.includes('.')) say.model(key, `${block}.${key}`);
  }
}

/** `batch_size` is an older way to state the accumulation. */
function sayBatch(say: Stating): void {
  say.run('micro_batch_size', 'micro_batch_size');
  say.byDefault('micro_batch_size', 1, `what ${read} takes`);
  say.run('gradient_accumulation', 'gradient_accumulation_steps');
  const all = say.number('batch_size');
  const micro = say.number('micro_batch_size') ?? 1;
  if (all !== undefined && say.at('gradient_accumulation_steps') === undefined)
    say.runIs('gradient_accumulation', Math.max(1, Math.floor(all / Math.max(1, micro))), 'batch_size');
  say.byDefault('gradient_accumulation', 1, `what ${read} takes`);
}

function sayDegrees(say: Stating): void {
  say.run('parallelism.tensor', 'tensor_parallel_size');
  say.run('parallelism.context', ['context_parallel_size', 'sequence_parallel_degree']);
  say.run('parallelism.expert', ['expert_parallel_size', 'expert_parallel_degree']);
  say.run('data_parallel_shard', 'dp_shard_size');
  say.run('data_parallel_replicate', 'dp_replicate_size');
}

function sayDtypes(say: Stating, from: string, beside: Beside): void {
  const precision = sayPrecision(say, ['bf16', 'bfloat16'], ['fp16', 'float16']);
  const off = say.flag('bf16') === false;
  const taken = precision ?? (off ? 'fp32' : 'bf16');
  say.byDefault('precision', taken, `bf16 wherever the GPU has it (${read})`);
  if (say.flag('fp8') === true)
    say.assume('precision', taken, 'products in fp8 (fp8: true) are counted as 16-bit ones');
  const divided = sayDeepSpeedFile(say, 'deepspeed', from, beside) || sayFsdpWords(say, 'fsdp', 'fsdp_config');
  say.byDefault('framework', 'transformers', 'axolotl runs Hugging Face’s Trainer');
  say.byDefault('sharding', 'none', `nothing is divided without DeepSpeed or FSDP (${read})`);
  if (!divided)
    say.byDefault('weights_dtype', taken, `weights are loaded in the dtype of the products (${read}, resolve_dtype)`);
}

function sayOffloading(say: Stating): void {
  const value = say.at('activation_offloading');
  if (value !== undefined && value !== false) say.runIs('offload', 'activations', 'activation_offloading');
}

/** Attention, the loss, and compilation. */
function sayKernels(say: Stating): void {
  sayAttention(say, ['attn_implementation']);
  for (const key of ['flash_attention', 'sdp_attention', 'xformers_attention'])
    if (say.flag(key) === true) say.runIs('flash_attention', true, key);
  if (say.flag('sdp_attention') === true) say.runIs('attention_kernel', 'sdpa', 'sdp_attention');
  const plugins = say.at('plugins');
  const cut =
    Array.isArray(plugins) && plugins.slice(0, 50).some((plugin) => textOf(plugin).includes('cut_cross_entropy'));
  if (say.flag('cut_cross_entropy') === false) say.runIs('fused_cross_entropy', false, 'cut_cross_entropy');
  if (cut) say.runIs('fused_cross_entropy', true, 'plugins');
  const fused = ['liger_fused_linear_cross_entropy', 'chunked_cross_entropy'].find((key) => say.flag(key) === true);
  if (fused !== undefined) say.runIs('fused_cross_entropy', true, fused);
  say.run('compile', 'torch_compile', (on) => on === true);
}

function sayAdapters(say: Stating, name: string): void {
  const adapter = say.text('adapter');
  if (adapter === 'lora' || adapter === 'qlora') {
    const linear = say.flag('lora_target_linear') === true;
    sayLora(
      say,
      {
        on: 'adapter',
        rank: 'lora_r',
        targets: 'lora_target_modules',
        rankByDefault: 8,
        targetsByDefault: linear ? ['all-linear'] : targetsOfPeft,
        source: linear ? 'lora_target_linear' : 'PEFT',
      },
      baseBits(say, 'load_in_4bit', 'load_in_8bit', name),
    );
    if (say.at('lora_target_parameters') !== undefined)
      say.warn('lora_target_parameters adapts stacked experts, which is not counted.', 'lora_target_parameters');
  } else if (adapter !== undefined && adapter !== '')
    say.warn(
      `adapter is ${adapter.slice(0, 40)}, which is not read: the figures are those of full training.`,
      'adapter',
    );
  if (say.at('unfrozen_parameters') !== undefined)
    say.warn(
      'unfrozen_parameters: all parameters are counted as trained, so the figures are too high.',
      'unfrozen_parameters',
    );
  if (say.flag('reward_model') === true) sayPreference(say, 'rm', 'reward_model', true);
  sayPreference(say, textOf(say.at('rl')), 'rl', adapter !== undefined);
}
