import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { sayFsdpConfig, sayFsdpVersion } from '../sharded.ts';
import { shardingOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { pathOf } from '../trainer.ts';

/** accelerate's YAML: how many GPUs, and how the state is divided among them. It names no model. */
export const accelerate: Format = {
  id: 'accelerate',
  title: 'accelerate YAML',
  syntaxes: ['yaml', 'json'],
  signature: {
    has: ['distributed_type'],
    some: [[1, ['num_processes', 'num_machines', 'fsdp_config', 'deepspeed_config', 'mixed_precision']]],
  },
  states,
};

const source = 'accelerate 16cb6eb';

function states(file: ParsedFile, beside: Beside): Statement {
  const say = stating(file, accelerate.id);
  sayMachines(say);
  sayKind(say, file.path, beside);
  say.run('gradient_accumulation', ['gradient_accumulation_steps', 'deepspeed_config.gradient_accumulation_steps']);
  say.run('precision', 'mixed_precision', (word) =>
    ['bf16', 'fp16', 'fp8'].includes(textOf(word)) ? word : undefined,
  );
  say.run('compile', 'dynamo_config.dynamo_backend', (backend) => textOf(backend).toLowerCase() !== 'no');
  const axes = 'parallelism_config.parallelism_config_';
  say.run('data_parallel_replicate', `${axes}dp_replicate_size`);
  say.run('data_parallel_shard', `${axes}dp_shard_size`);
  say.run('parallelism.tensor', `${axes}tp_size`);
  say.run('parallelism.context', [`${axes}cp_size`, `${axes}sp_size`]);
  return say.statement();
}

/** `num_processes` counts the GPUs of all machines. */
function sayMachines(say: Stating): void {
  say.run('gpus', 'num_processes');
  const gpus = say.number('num_processes');
  const machines = say.number('num_machines');
  if (gpus !== undefined && machines !== undefined && machines > 0 && gpus % machines === 0)
    say.runIs('gpus_per_node', gpus / machines, 'num_machines');
}

function sayKind(say: Stating, from: string, beside: Beside): void {
  const kind = textOf(say.at('distributed_type')).toUpperCase();
  if (kind === 'FSDP') sayFsdp(say);
  else if (kind === 'DEEPSPEED') sayDeepSpeedBlock(say, from, beside);
  else if (kind === 'MEGATRON_LM') sayMegatron(say);
  else {
    say.runIs('framework', 'transformers', 'distributed_type');
    say.runIs('sharding', 'none', 'distributed_type');
  }
}

function sayFsdp(say: Stating): void {
  sayFsdpVersion(say, 'distributed_type', 'fsdp_config', 1);
  sayFsdpConfig(say, 'fsdp_config');
  say.runIs('sharding', 'full', 'distributed_type');
  // Trained weights are cast up before they are divided wherever the precision is mixed.
  if (['bf16', 'fp16', 'fp8'].includes(textOf(say.at('mixed_precision'))))
    say.runIs('weights_dtype', 'fp32', 'mixed_precision');
}

function sayDeepSpeedBlock(say: Stating, from: string, beside: Beside): void {
  const at = (name: string) => `deepspeed_config.${name}`;
  say.runIs('framework', 'deepspeed', 'distributed_type');
  say.run('sharding', at('zero_stage'), shardingOf);
  for (const [key, what] of [
    ['offload_param_device', 'parameters'],
    ['offload_optimizer_device', 'optimizer'],
  ] as const)
    if (['cpu', 'nvme'].includes(textOf(say.at(at(key))))) say.runIs('offload', what, at(key));
  const sixteen = textOf(say.at('mixed_precision'));
  if (sixteen === 'bf16' || sixteen === 'fp16') {
    say.runIs('weights_dtype', sixteen, 'mixed_precision');
    say.runIs('master_weights', true, 'mixed_precision');
  }
  const json = say.text(at('deepspeed_config_file'));
  const path = json === undefined ? undefined : pathOf(json, from, beside);
  if (path !== undefined) say.refer('run', path, at('deepspeed_config_file'));
  else say.byDefault('sharding', 'gradients', `ZeRO 2 where nothing else is said (${source})`);
}

function sayMegatron(say: Stating): void {
  const at = (name: string) => `megatron_lm_config.megatron_lm_${name}`;
  say.runIs('framework', 'megatron', 'distributed_type');
  say.run('parallelism.tensor', at('tp_degree'));
  say.run('parallelism.pipeline', at('pp_degree'));
  say.run('gradient_accumulation', at('num_micro_batches'));
  if (say.flag(at('sequence_parallelism')) !== undefined)
    say.runIs('parallelism.sequence_parallel', say.flag(at('sequence_parallelism')), at('sequence_parallelism'));
  if (say.flag(at('recompute_activations')) === true) say.runIs('recompute', 'selective', at('recompute_activations'));
  if (say.flag(at('use_distributed_optimizer')) !== undefined)
    say.runIs(
      'sharding',
      say.flag(at('use_distributed_optimizer')) === true ? 'optimizer' : 'none',
      at('use_distributed_optimizer'),
    );
}
