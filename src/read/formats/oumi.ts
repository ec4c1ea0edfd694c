import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { sayDeepSpeed, sayDeepSpeedFile, sayFsdpVersion, sayStrategy } from '../sharded.ts';
import { dtypeOf, shardingOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import {
  baseBits,
  sayAttention,
  sayCheckpointing,
  sayLora,
  sayOptimizer,
  saySteps,
  targetsOfPeft,
} from '../trainer.ts';

const read = 'oumi d8ed077';

/** oumi's training YAML. */
export const oumi: Format = {
  id: 'oumi',
  title: 'oumi YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['model.model_name'],
    some: [
      [
        1,
        [
          'training.per_device_train_batch_size',
          'training.trainer_type',
          'training.gradient_accumulation_steps',
          'training.max_steps',
          'training.optimizer',
        ],
      ],
    ],
  },
  states,
};

function states(file: ParsedFile, beside: Beside): Statement {
  const say = stating(file, oumi.id);
  const name = say.text('model.model_name') ?? '';
  if (name !== '') say.named(name, 'model.model_name');
  say.run('sequence_length', 'model.model_max_length');
  say.run('micro_batch_size', 'training.per_device_train_batch_size');
  say.byDefault('micro_batch_size', 8, `what ${read} takes`);
  say.run('gradient_accumulation', 'training.gradient_accumulation_steps');
  say.byDefault('gradient_accumulation', 1, `what ${read} takes`);
  saySharding(say, file.path, beside);
  sayDtypes(say);
  sayCheckpointing(say, 'training.enable_gradient_checkpointing', false, `off unless it is switched on (${read})`);
  sayAttention(say, ['model.attn_implementation']);
  sayOptimizer(say, 'training.optimizer', `adamw_torch (${read})`);
  if (say.flag('model.enable_liger_kernel') !== undefined)
    say.runIs('fused_cross_entropy', say.flag('model.enable_liger_kernel'), 'model.enable_liger_kernel');
  const compiled = ['training.compile', 'model.compile'].find((key) => say.flag(key) !== undefined);
  if (compiled !== undefined) say.runIs('compile', say.flag(compiled), compiled);
  if (say.flag('training.use_peft') === true) sayAdapters(say, name);
  saySteps(say, 'training.max_steps');
  return say.statement();
}

function saySharding(say: Stating, from: string, beside: Beside): void {
  if (say.flag('deepspeed.enable_deepspeed') === true) {
    if (!sayDeepSpeedFile(say, 'deepspeed.deepspeed_config_path', from, beside)) sayOwnDeepSpeed(say);
  } else if (say.flag('fsdp.enable_fsdp') === true) {
    const offloads = say.flag('fsdp.cpu_offload') === true;
    sayFsdpVersion(say, 'fsdp.enable_fsdp', 'fsdp', 1, offloads);
    if (offloads) say.runIs('offload', 'parameters', 'fsdp.cpu_offload');
    sayStrategy(say, 'fsdp.sharding_strategy');
    say.byDefault('sharding', 'full', `FULL_SHARD where nothing else is said (${read})`);
  }
  say.byDefault('framework', 'transformers', 'oumi runs Hugging Face’s Trainer unless it is told otherwise');
  say.byDefault('sharding', 'none', `nothing is divided without FSDP or DeepSpeed (${read})`);
}

/** oumi names ZeRO's stage in a key of its own; the rest are DeepSpeed's keys. */
function sayOwnDeepSpeed(say: Stating): void {
  const stage = /[0-3]$/.exec(textOf(say.at('deepspeed.zero_stage') ?? ''))?.[0];
  if (stage !== undefined) say.runIs('sharding', shardingOf(stage), 'deepspeed.zero_stage');
  const device = (key: string) => ['cpu', 'nvme'].includes(textOf(say.at(key)).toLowerCase());
  if (device('deepspeed.offload_param.device')) say.runIs('offload', 'parameters', 'deepspeed.offload_param.device');
  if (device('deepspeed.offload_optimizer.device'))
    say.runIs('offload', 'optimizer', 'deepspeed.offload_optimizer.device');
  sayDeepSpeed(say, 'deepspeed.');
}

/** Weights keep the dtype they are loaded in, unless FSDP mixes precisions: then accelerate casts them up. */
function sayDtypes(say: Stating): void {
  const loaded = dtypeOf(say.at('model.torch_dtype_str')) ?? 'bf16';
  const [mixedKey] = ['training.mixed_precision_dtype', 'fsdp.mixed_precision'].filter(
    (key) => dtypeOf(say.at(key)) !== undefined,
  );
  const mixed = mixedKey === undefined ? undefined : dtypeOf(say.at(mixedKey));
  if (mixedKey !== undefined && mixed !== undefined) say.runIs('precision', mixed, mixedKey);
  say.byDefault('precision', loaded, `products in the dtype of the weights, model.torch_dtype_str (${read})`);
  const castUp = say.flag('fsdp.enable_fsdp') === true && mixed !== undefined;
  if (say.flag('deepspeed.enable_deepspeed') === true || castUp) return;
  say.byDefault('weights_dtype', loaded, `the dtype that weights are loaded in, model.torch_dtype_str (${read})`);
}

function sayAdapters(say: Stating, name: string): void {
  const quantised = say.flag('peft.q_lora') === true;
  const bits = say.number('peft.q_lora_bits') ?? 4;
  sayLora(
    say,
    {
      on: 'training.use_peft',
      rank: 'peft.lora_r',
      targets: 'peft.lora_target_modules',
      rankByDefault: 8,
      targetsByDefault: targetsOfPeft,
      source: `${read}, peft_params.py`,
    },
    quantised ? (bits === 8 ? 8 : 4) : baseBits(say, undefined, undefined, name),
  );
}
