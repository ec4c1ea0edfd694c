import type { Statement } from '../../model/statement.ts';
import { type AdapterKeys, resumed, sayUnseen } from '../adapters.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { sayPreference } from '../preference.ts';
import { sayDeepSpeedFile, sayFsdpWords } from '../sharded.ts';
import { type Stating, stating } from '../stating.ts';
import {
  baseBits,
  bitsNamed,
  sayAttention,
  sayCheckpointing,
  sayLora,
  sayOptimizer,
  sayPrecision,
  saySteps,
  transformersRead,
} from '../trainer.ts';
import { stateDegreesAt } from './megatron-run.ts';

const read = 'LLaMA-Factory ff6d4d1';

/** LLaMA-Factory's YAML: Trainer's arguments with defaults of its own. */
export const llamafactory: Format = {
  id: 'llamafactory',
  title: 'LLaMA-Factory YAML',
  syntaxes: ['yaml', 'json'],
  signature: { has: ['model_name_or_path'], some: [[1, ['finetuning_type', 'cutoff_len', 'stage']]] },
  states,
};

const adapterKeys: AdapterKeys = { saved: 'adapter_name_or_path', rank: 'lora_rank', targets: 'lora_target' };

function states(file: ParsedFile, beside: Beside): Statement {
  const own = stating(file, llamafactory.id);
  // Otherwise the saved adapters are merged into the base, and new ones are trained (adapter.py).
  const goesOn = own.flag('create_new_adapter') !== true && isAdapted(own);
  const whole = goesOn ? resumed(file, adapterKeys, beside) : { file, places: new Map() };
  const say = stating(whole.file, llamafactory.id, whole.places);
  if (goesOn) sayUnseen(say, adapterKeys, whole);
  const name = say.text('model_name_or_path') ?? '';
  if (name !== '') say.named(name, 'model_name_or_path');
  say.run('micro_batch_size', 'per_device_train_batch_size');
  say.run('gradient_accumulation', 'gradient_accumulation_steps');
  say.byDefault('micro_batch_size', 8, `what ${transformersRead} takes`);
  say.byDefault('gradient_accumulation', 1, `what ${transformersRead} takes`);
  say.run('sequence_length', 'cutoff_len');
  say.byDefault('sequence_length', 2048, `cutoff_len of ${read}, data_args.py`);
  const megatron = sayMegatron(say);
  sayDtypes(say, megatron, file.path, beside);
  sayRecompute(say);
  sayAttention(say, ['flash_attn']);
  sayOptimizer(say, 'optim', `adamw_torch_fused (${transformersRead})`);
  sayLeanOptimizer(say);
  if (say.flag('enable_liger_kernel') !== undefined)
    say.runIs('fused_cross_entropy', say.flag('enable_liger_kernel'), 'enable_liger_kernel');
  say.run('compile', 'torch_compile', (on) => on === true);
  sayTuning(say, name);
  saySteps(say, 'max_steps');
  return say.statement();
}

const isAdapted = (say: Stating): boolean => ['lora', 'oft'].includes(say.text('finetuning_type') ?? 'lora');

/** Checkpointing is on unless it is switched off. */
function sayRecompute(say: Stating): void {
  const off = say.flag('disable_gradient_checkpointing');
  if (off !== undefined) say.runIs('recompute', off ? 'none' : 'full', 'disable_gradient_checkpointing');
  const granularity = say.text('recompute_granularity');
  if (granularity !== undefined) say.runIs('recompute', granularity, 'recompute_granularity');
  if (say.flag('use_unsloth_gc') === true) say.runIs('offload', 'activations', 'use_unsloth_gc');
  sayCheckpointing(say, 'gradient_checkpointing', true, `on unless it is switched off (${read}, checkpointing.py)`);
}

/** With the Megatron adapter the file has Megatron's keys, in snake case. True where it has. */
function sayMegatron(say: Stating): boolean {
  const stated = stateDegreesAt(say);
  if (stated === undefined) return false;
  say.runIs('framework', 'megatron', stated);
  const divided = say.flag('use_distributed_optimizer');
  if (divided !== undefined) say.runIs('sharding', divided ? 'optimizer' : 'none', 'use_distributed_optimizer');
  say.byDefault('sharding', 'none', 'Megatron divides optimizer states only where use_distributed_optimizer says so');
  return true;
}

function sayDtypes(say: Stating, megatron: boolean, from: string, beside: Beside): void {
  const precision = sayPrecision(say, ['bf16', 'pure_bf16'], ['fp16']);
  say.byDefault('precision', 'fp32', `neither bf16 nor fp16 is on (${read})`);
  const divided =
    sayDeepSpeedFile(say, 'deepspeed', from, beside) || sayFsdpWords(say, 'fsdp', 'fsdp_config') || megatron;
  say.byDefault('framework', 'transformers', 'LLaMA-Factory runs Hugging Face’s Trainer');
  say.byDefault('sharding', 'none', `Trainer divides nothing by itself (${transformersRead})`);
  if (say.flag('pure_bf16') === true) {
    say.runIs('weights_dtype', 'bf16', 'pure_bf16');
    return;
  }
  if (divided || precision === undefined) return;
  if (isAdapted(say))
    say.byDefault('weights_dtype', precision, `a frozen base is loaded in the dtype of the products (${read})`);
  else say.byDefault('weights_dtype', 'fp32', `what is trained is cast to fp32 (${read}, adapter.py)`);
}

function sayLeanOptimizer(say: Stating): void {
  const lean = ['use_galore', 'use_apollo', 'use_badam', 'use_adam_mini'].find((key) => say.flag(key) === true);
  if (lean !== undefined) say.warn(`${lean} keeps less than AdamW, as which the optimizer is counted.`, lean);
  if (say.flag('use_muon') === true) say.runIs('optimizer', 'muon', 'use_muon');
}

function sayTuning(say: Stating, name: string): void {
  const kind = say.text('finetuning_type') ?? 'lora';
  const on = say.at('finetuning_type') === undefined ? 'model_name_or_path' : 'finetuning_type';
  if (kind === 'lora' || kind === 'oft') {
    const bits = say.number('quantization_bit');
    sayLora(
      say,
      {
        on,
        rank: 'lora_rank',
        targets: 'lora_target',
        rankByDefault: 8,
        targetsByDefault: ['all-linear'],
        source: `${read}, finetuning_args.py`,
      },
      bits === undefined ? baseBits(say, undefined, undefined, name) : bits <= 4 ? 4 : bits <= 8 ? 8 : bitsNamed(name),
    );
  }
  if (kind !== 'lora' && kind !== 'oft') sayFrozen(say);
  if (kind === 'oft') say.warn('finetuning_type is oft, which is counted as if it were lora.', on);
  if (kind === 'freeze')
    say.warn('finetuning_type is freeze: all layers are counted as trained, so the figures are too high.', on);
  const stage = say.text('stage') ?? 'sft';
  const loss = stage === 'dpo' ? say.text('pref_loss') : undefined;
  if (loss === 'orpo' || loss === 'simpo') sayPreference(say, loss, 'pref_loss', true);
  else sayPreference(say, stage, 'stage', kind === 'lora');
}

/** Encoders and projectors of multimodal models are frozen unless the file says otherwise; the flag of the tower is of every encoder. */
function sayFrozen(say: Stating): void {
  const [tower, projector] = ['freeze_vision_tower', 'freeze_multi_modal_projector'] as const;
  const frozen = [
    ...((say.flag(tower) ?? true) ? ['vision', 'audio'] : []),
    ...((say.flag(projector) ?? true) ? ['projector'] : []),
  ];
  const key = [tower, projector].find((one) => say.flag(one) !== undefined);
  if (key !== undefined) say.runIs('freeze', frozen, key);
  say.byDefault('freeze', frozen, `what ${read} takes, finetuning_args.py`);
  if (say.flag('freeze_language_model') === true)
    say.warn(
      'freeze_language_model is on: the language model is counted as trained, so the figures are too high.',
      'freeze_language_model',
    );
}
