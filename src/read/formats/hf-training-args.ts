import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { methodLaunched, sayPreference } from '../preference.ts';
import { sayDeepSpeedFile, sayFsdpWords } from '../sharded.ts';
import { dtypeOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { swiftRank, swiftRead, swiftTunerOf, swiftTuners } from '../swift.ts';
import {
  baseBits,
  sayAttention,
  sayCheckpointing,
  sayLora,
  sayOptimizer,
  sayPrecision,
  saySteps,
  targetsOfPeft,
  transformersRead,
} from '../trainer.ts';

/** Arguments that most trainings with Hugging Face's Trainer state. */
export const trainerArguments: readonly string[] = [
  'per_device_train_batch_size',
  'model_name_or_path',
  'gradient_accumulation_steps',
  'gradient_checkpointing',
  'num_train_epochs',
  'max_steps',
  'learning_rate',
  'lr_scheduler_type',
  'deepspeed',
];

/** Arguments of Hugging Face's Trainer in YAML or JSON: TRL, alignment-handbook, open-r1, ms-swift, run_clm.py. */
export const hfTrainingArgs: Format = {
  id: 'hf-training-args',
  title: 'Hugging Face TrainingArguments (TRL, alignment-handbook, open-r1)',
  syntaxes: ['yaml', 'json'],
  signature: {
    some: [
      [1, ['per_device_train_batch_size', 'model_name_or_path']],
      [2, trainerArguments],
    ],
    not: ['finetuning_type', 'cutoff_len', 'stage', 'base_model', 'zero_optimization', 'best_model_checkpoint'],
  },
  states,
};

/** Arguments that only TRL has. */
const ofTrl = [
  'max_length',
  'max_seq_length',
  'packing',
  'use_peft',
  'dataset_mixture',
  'dataset_mixer',
  'dataset_text_field',
  'max_prompt_length',
  'max_completion_length',
  'num_generations',
  'completion_only_loss',
  'assistant_only_loss',
  'padding_free',
] as const;

const trlRead = 'TRL f2cd577, base_config.py and sft_config.py';

/** TRL's own defaults differ from Trainer's: checkpointing and bf16 are on. */
type Flavor = { readonly trl: boolean; readonly source: string };

function states(file: ParsedFile, beside: Beside, program?: string): Statement {
  const say = stating(file, hfTrainingArgs.id);
  stateTrainer(say, file.path, beside, program);
  return say.statement();
}

/** What arguments of Trainer state, of a file or of a command line; what ms-swift takes for those that are absent goes first. */
export function stateTrainer(say: Stating, from: string, beside: Beside, program = ''): void {
  const trl = ofTrl.some((key) => say.at(key) !== undefined);
  const flavor: Flavor = { trl, source: trl ? trlRead : transformersRead };
  const key = ['model_name_or_path', 'model_id_or_path', 'model', 'model_id'].find(
    (one) => say.text(one) !== undefined,
  );
  const name = key === undefined ? undefined : say.text(key);
  if (key !== undefined && name !== undefined) say.named(name, key);
  sayBatch(say);
  saySequence(say, flavor);
  sayDtypes(say, flavor, from, beside);
  sayAttention(say, ['attn_implementation', 'attn_impl']);
  sayCheckpointing(say, 'gradient_checkpointing', flavor.trl, `what ${flavor.source} takes`);
  sayOptimizer(say, 'optim', `adamw_torch_fused (${transformersRead})`);
  sayLoss(say);
  sayMethod(say, program);
  say.run('compile', 'torch_compile', (on) => on === true);
  sayAdapters(say, name ?? '');
  saySteps(say, 'max_steps');
}

function sayBatch(say: Stating): void {
  say.run('micro_batch_size', ['per_device_train_batch_size', 'per_gpu_train_batch_size']);
  say.run('gradient_accumulation', 'gradient_accumulation_steps');
  say.byDefault('micro_batch_size', 8, `what ${transformersRead} takes`);
  if (swiftTunerOf(say) === undefined) say.byDefault('gradient_accumulation', 1, `what ${transformersRead} takes`);
}

function saySequence(say: Stating, { trl }: Flavor): void {
  const prompt = say.number('max_prompt_length');
  const completion = say.number('max_completion_length');
  if (completion !== undefined) say.runIs('sequence_length', (prompt ?? 512) + completion, 'max_completion_length');
  say.run('sequence_length', ['max_length', 'max_seq_length', 'model_max_length', 'block_size']);
  if (trl) say.byDefault('sequence_length', 1024, `max_length of ${trlRead}`);
}

function sayDtypes(say: Stating, { trl, source }: Flavor, from: string, beside: Beside): void {
  const mixed = sayPrecision(say, ['bf16'], ['fp16']);
  const [loadedKey = 'torch_dtype'] = ['torch_dtype', 'dtype'].filter((key) => say.at(key) !== undefined);
  const loaded = say.at(loadedKey) === 'auto' ? 'bf16' : dtypeOf(say.at(loadedKey));
  const off = say.flag('bf16') === false;
  say.byDefault('precision', trl && !off ? 'bf16' : (loaded ?? 'fp32'), `what ${source} takes`);
  const divided = sayDeepSpeedFile(say, 'deepspeed', from, beside) || sayFsdpWords(say, 'fsdp', 'fsdp_config');
  say.byDefault('framework', 'transformers', 'the files are those of Hugging Face’s Trainer');
  say.byDefault('sharding', 'none', `Trainer divides nothing by itself (${transformersRead})`);
  if (divided) return;
  const why =
    loaded === undefined
      ? 'fp32 where no dtype is asked for'
      : `${loadedKey} is ${textOf(say.at(loadedKey)).slice(0, 40)}`;
  say.byDefault(
    'weights_dtype',
    loaded ?? 'fp32',
    `${why}; ${mixed ?? 'no'} autocast leaves weights as they are (${source})`,
  );
}

function sayLoss(say: Stating): void {
  for (const key of ['use_liger_kernel', 'use_liger'])
    if (say.flag(key) !== undefined) say.runIs('fused_cross_entropy', say.flag(key), key);
  if (say.at('loss_type') === 'chunked_nll') say.runIs('fused_cross_entropy', true, 'loss_type');
}

/** Keys of TRL that only one kind of preference training has; `beta` alone is DPO's. */
const preferences = [
  ['rlhf_type', undefined],
  ['cpo_alpha', 'cpo'],
  ['simpo_gamma', 'simpo'],
  ['center_rewards_coefficient', 'reward'],
  ['desirable_weight', 'kto'],
  ['num_generations', 'grpo'],
  ['beta', 'dpo'],
  ['rpo_alpha', 'dpo'],
  ['ref_model_mixup_alpha', 'dpo'],
  ['precompute_ref_log_probs', 'dpo'],
] as const;

/** The program that is launched names the method first, then the keys; GKD and its kin have a teacher and no pairs. */
function sayMethod(say: Stating, program: string): void {
  if (say.at('teacher_model_name_or_path') !== undefined) return;
  const [key, named] = preferences.find(([one]) => say.at(one) !== undefined) ?? ['beta', undefined];
  const method = methodLaunched(program) ?? named ?? say.text(key);
  const base = say.flag('use_peft') === true || swiftTuners.some((one) => say.text(one) === 'lora');
  if (method !== undefined) sayPreference(say, method, key, base || say.number('beta') === 0);
}

function sayAdapters(say: Stating, name: string): void {
  const swift = swiftTunerOf(say);
  const llava = say.flag('lora_enable');
  const on =
    swift === undefined
      ? ['use_peft', 'lora_enable'].find((key) => say.flag(key) === true)
      : say.at(swift) === 'lora'
        ? swift
        : undefined;
  if (on === undefined) return;
  const bits = say.number('quant_bits') ?? say.number('bits');
  sayLora(
    say,
    {
      on,
      rank: say.at('lora_rank') === undefined ? 'lora_r' : 'lora_rank',
      targets: say.at('target_modules') === undefined ? 'lora_target_modules' : 'target_modules',
      rankByDefault: swift === undefined ? 16 : swiftRank,
      targetsByDefault: swift === undefined && llava === undefined ? targetsOfPeft : ['all-linear'],
      source: swift !== undefined ? swiftRead : llava === undefined ? trlRead : 'LLaVA c121f04',
    },
    bits === 4 || bits === 8 ? bits : baseBits(say, 'load_in_4bit', 'load_in_8bit', name),
  );
}
