import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { baseBits, sayAttention, sayLora, saySteps } from '../trainer.ts';

const read = 'NeMo Automodel 36044ad';

/** NeMo Automodel's recipes: FSDP2 over models of Hugging Face. */
export const automodel: Format = {
  id: 'automodel',
  title: 'NeMo Automodel YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['step_scheduler', 'model'],
    some: [[1, ['step_scheduler.local_batch_size', 'step_scheduler.global_batch_size', 'distributed']]],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const say = stating(file, automodel.id);
  const name = sayModel(say);
  say.run('global_batch_size', 'step_scheduler.global_batch_size');
  sayMicroBatch(say);
  saySequence(say);
  sayDegrees(say);
  sayGpus(say);
  saySharding(say);
  sayDtypes(say);
  sayRecompute(say);
  sayLoss(say);
  sayAttention(say, ['model.attn_implementation']);
  const compiled = ['compile.enabled', 'distributed.enable_compile'].find((key) => say.flag(key) !== undefined);
  if (compiled !== undefined) say.runIs('compile', say.flag(compiled), compiled);
  if (say.at('peft') !== undefined) sayAdapters(say, name);
  saySteps(say, 'step_scheduler.max_steps');
  return say.statement();
}

/** The model is named, or its config is. */
function sayModel(say: Stating): string {
  const keys = [
    'model.pretrained_model_name_or_path',
    'model.config.pretrained_model_name_or_path',
    'model.config.name_or_path',
    'model.config',
  ];
  const key = keys.find((one) => say.text(one) !== undefined);
  if (key === undefined) return '';
  const name = say.text(key) ?? '';
  say.named(name, key);
  return name;
}

/** Where pipeline parallelism is on, the local batch runs in micro-batches of their own size. */
const pipelineKeys = ['distributed.pipeline.pp_microbatch_size', 'autopipeline.pp_microbatch_size'];

function sayMicroBatch(say: Stating): void {
  const stages = say.number('distributed.pp_size') ?? 1;
  if (stages > 1) {
    say.run('micro_batch_size', pipelineKeys);
    say.byDefault('micro_batch_size', 1, `pp_microbatch_size of ${read}`);
  } else say.run('micro_batch_size', 'step_scheduler.local_batch_size');
  say.byDefault('micro_batch_size', 1, `local_batch_size of ${read}`);
}

function saySequence(say: Stating): void {
  const packed = say.number('packed_sequence.packed_sequence_size');
  if (packed !== undefined && packed > 0) say.runIs('sequence_length', packed, 'packed_sequence.packed_sequence_size');
  say.run('sequence_length', ['dataset.seq_length', 'dataset.seq_len', 'dataset.max_seq_length', 'benchmark.seq_len']);
}

function sayDegrees(say: Stating): void {
  say.run('parallelism.tensor', 'distributed.tp_size');
  say.run('parallelism.pipeline', 'distributed.pp_size');
  say.run('parallelism.context', 'distributed.cp_size');
  say.run('parallelism.expert', 'distributed.ep_size');
  const sequence = say.flag('distributed.sequence_parallel') ?? false;
  if (say.at('distributed.sequence_parallel') !== undefined)
    say.runIs('parallelism.sequence_parallel', sequence, 'distributed.sequence_parallel');
  say.byDefault('parallelism.sequence_parallel', false, `off unless it is switched on (${read})`);
  if ((say.number('distributed.pp_size') ?? 1) > 1) sayPipeline(say);
}

function sayPipeline(say: Stating): void {
  const either = (name: string) => [`distributed.pipeline.${name}`, `autopipeline.${name}`];
  say.run('layers_per_virtual_stage', either('layers_per_stage'));
  say.run('pipeline_schedule', either('pp_schedule'), (word) => {
    const schedule = textOf(word).toLowerCase();
    if (schedule.includes('interleaved')) return 'interleaved';
    if (schedule.includes('zero') || schedule.includes('zbv')) return 'zero_bubble';
    return schedule.includes('gpipe') ? 'gpipe' : '1f1b';
  });
}

/** `dp_size: none` is what the launch leaves; some recipes say on how many nodes they were tried. */
function sayGpus(say: Stating): void {
  say.run('nodes', ['benchmark.num_nodes', 'ci.nodes', 'ci.node_count', 'slurm.nodes']);
  say.run('gpus_per_node', ['slurm.ntasks_per_node', 'benchmark.gpus_per_node']);
  if (say.number('distributed.dp_size') !== undefined) say.run('data_parallel', 'distributed.dp_size');
  if (say.number('distributed.dp_replicate_size') !== undefined)
    say.run('data_parallel_replicate', 'distributed.dp_replicate_size');
}

function saySharding(say: Stating): void {
  const strategy = `${say.at('distributed.strategy') ?? ''} ${say.at('distributed._target_') ?? ''}`.toLowerCase();
  const key = say.at('distributed.strategy') === undefined ? 'distributed._target_' : 'distributed.strategy';
  if (strategy.includes('ddp')) {
    say.runIs('framework', 'transformers', key);
    say.runIs('sharding', 'none', key);
  }
  if (strategy.includes('fsdp')) {
    say.runIs('framework', 'fsdp', key);
    say.runIs('sharding', 'full', key);
  }
  if (say.at('distributed.offload_policy') !== undefined)
    say.runIs('offload', 'parameters', 'distributed.offload_policy');
  say.byDefault('framework', 'fsdp', `FSDP2 where nothing else is said (${read})`);
  say.byDefault('sharding', 'full', `FSDP2 divides weights, gradients and optimizer states (${read})`);
  const again = say.flag('distributed.reshard_after_forward');
  if (again !== undefined) say.runIs('reshard_after_forward', again, 'distributed.reshard_after_forward');
  else if ((say.number('distributed.pp_size') ?? 1) > 1)
    say.byDefault('reshard_after_forward', false, `stages of a pipeline stay gathered (${read})`);
}

const moments = ['exp_avg_dtype', 'exp_avg_sq_dtype'];

/** Weights stay in the dtype that they are loaded in, and PyTorch's optimizers step over them as they are. */
function sayDtypes(say: Stating): void {
  say.run('precision', 'distributed.mp_policy.param_dtype', dtypeOf);
  say.byDefault('precision', 'bf16', `FSDP2 computes in bf16 (${read})`);
  const [key] = ['model.torch_dtype', 'model.dtype', 'model.config.torch_dtype'].filter(
    (one) => dtypeOf(say.at(one)) !== undefined,
  );
  if (key !== undefined) say.runIs('weights_dtype', dtypeOf(say.at(key)), key);
  say.byDefault('weights_dtype', 'bf16', `the dtype that checkpoints are loaded in (${read})`);
  const target = say.text('optimizer._target_') ?? '';
  say.run('optimizer', 'optimizer._target_', optimizerOf);
  if (say.flag('optimizer.master_weights') === true) {
    say.runIs('master_weights', true, 'optimizer.master_weights');
    if (say.flag('optimizer.store_param_remainders') === true)
      say.assume('master_weights', 'true', 'counted whole; store_param_remainders keeps 16 of their 32 bits');
  }
  const state = moments.map((name) => `optimizer.${name}`).find((one) => dtypeOf(say.at(one)) !== undefined);
  if (state !== undefined) say.runIs('optimizer_dtype', dtypeOf(say.at(state)), state);
  else if (target.includes('transformer_engine'))
    say.byDefault('optimizer_dtype', 'fp32', 'Transformer Engine’s FusedAdam keeps fp32 moments');
}

function sayRecompute(say: Stating): void {
  say.run('recompute', 'distributed.activation_checkpointing', (value) =>
    value === 'selective' ? 'selective' : value === true || value === 'full' ? 'full' : 'none',
  );
  say.byDefault('recompute', 'none', `off unless it is switched on (${read})`);
}

function sayLoss(say: Stating): void {
  const loss = say.text('loss_fn._target_');
  if (loss === undefined) return;
  say.runIs(
    'fused_cross_entropy',
    /linear_ce|FusedLinear|te_parallel_ce|TEParallel/.test(loss.slice(0, 200)),
    'loss_fn._target_',
  );
}

function sayAdapters(say: Stating, name: string): void {
  const all = say.flag('peft.match_all_linear') === true;
  sayLora(
    say,
    {
      on: 'peft',
      rank: 'peft.dim',
      targets: 'peft.target_modules',
      rankByDefault: 8,
      targetsByDefault: all || say.at('peft.target_modules') !== undefined ? ['all-linear'] : ['q_proj', 'v_proj'],
      source: all ? 'peft.match_all_linear' : `${read}, lora.py`,
    },
    baseBits(say, 'quantization.load_in_4bit', 'quantization.load_in_8bit', name),
  );
}
