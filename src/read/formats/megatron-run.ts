import { shardingOf } from '../spellings.ts';
import { flagOf, type Stating } from '../stating.ts';
import { megatronRead } from './megatron-model.ts';
import { statePipeline, stateUnevenStages } from './megatron-pipeline.ts';

/** The run of Megatron's arguments. */

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

/** Degrees of parallelism by Megatron's own names, as other trainers' files keep them. */
const degrees = [
  ['parallelism.tensor', 'tensor_model_parallel_size'],
  ['parallelism.pipeline', 'pipeline_model_parallel_size'],
  ['parallelism.virtual_pipeline', 'virtual_pipeline_model_parallel_size'],
  ['parallelism.context', 'context_parallel_size'],
  ['parallelism.expert', 'expert_model_parallel_size'],
  ['parallelism.expert_tensor', 'expert_tensor_parallel_size'],
] as const;

/**
 * The degrees of parallelism of another trainer's file that has Megatron's own names, in a section or at its top.
 *
 * @param key the path of a name in that section
 * @returns the first key that states one
 */
export function stateDegreesAt(say: Stating, key = (name: string): string => name): string | undefined {
  for (const [field, name] of degrees) say.run(field, key(name));
  say.run('parallelism.sequence_parallel', key('sequence_parallel'));
  stateUnevenStages(say, key);
  return degrees.map(([, name]) => key(name)).find((one) => say.at(one) !== undefined);
}

function stateDegrees(say: Stating): void {
  say.run('parallelism.tensor', ['tensor_model_parallel_size', 'model_parallel_size']);
  say.run('parallelism.pipeline', 'pipeline_model_parallel_size');
  say.run('parallelism.context', 'context_parallel_size');
  say.run('parallelism.expert', ['expert_model_parallel_size', 'moe_expert_parallel_size']);
  say.run('parallelism.expert_tensor', 'expert_tensor_parallel_size');
  const tensor = say.number('tensor_model_parallel_size');
  if ((say.at('num_experts') ?? say.at('num_moe_experts')) !== undefined && tensor !== undefined)
    say.byDefault(
      'parallelism.expert_tensor',
      tensor,
      `experts are divided like the rest by default (${megatronRead})`,
    );
  // Megatron switches it off where nothing is divided.
  say.run('parallelism.sequence_parallel', 'sequence_parallel', (on) => flagOf(on) === true && tensor !== 1);
  say.byDefault('parallelism.sequence_parallel', false, `off unless --sequence-parallel says so (${megatronRead})`);
  say.run('context_parallel_style', 'cp_comm_type', (type) => (/a2a/.test(String(type)) ? 'all_to_all' : 'ring'));
  say.run('overlap_tensor_parallel', ['tp_comm_overlap', 'ub_tp_comm_overlap'], flagOf);
  say.run('capacity_factor', 'moe_expert_capacity_factor', (factor) => (Number(factor) > 0 ? factor : undefined));
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
  say.byDefault('sharding', 'none', `nothing is sharded unless --use-distributed-optimizer says so (${megatronRead})`);
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
  say.byDefault('recompute', 'none', `nothing is recomputed unless the arguments say so (${megatronRead})`);
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
  const flag = say.flag('fp8') === true ? 'fp8' : eight;
  if (flag !== undefined) {
    say.runIs('precision', /mxfp8/i.test(say.text('fp8_recipe') ?? '') ? 'mxfp8' : 'fp8', flag);
    // Without it Megatron-LM's recipe is `delayed`, Megatron-Bridge's `tensorwise`: a scale for each tensor either way.
    say.run('fp8_recipe', 'fp8_recipe', (recipe) =>
      recipe === 'blockwise' ? recipe : recipe === 'tensorwise' || recipe === 'delayed' ? 'tensorwise' : undefined,
    );
  }
  if (say.flag('bf16') === true) say.runIs('precision', 'bf16', 'bf16');
  if (say.flag('fp16') === true) say.runIs('precision', 'fp16', 'fp16');
  say.byDefault('precision', 'fp32', `neither --bf16 nor --fp16 is given (${megatronRead})`);
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
      ? `with --fp16 gradients are accumulated in fp16 (${megatronRead})`
      : `gradients are accumulated in fp32 (${megatronRead})`,
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
  say.byDefault('optimizer', 'adamw', `Adam with decoupled weight decay is the default (${megatronRead})`);
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
      `the local implementation has none unless --use-flash-attn says so (${megatronRead})`,
    );
  say.byDefault('flash_attention', true, `Transformer Engine takes a fused attention (${megatronRead})`);
  say.run('fused_cross_entropy', 'cross_entropy_loss_fusion', flagOf);
  say.byDefault('fused_cross_entropy', false, `off unless --cross-entropy-loss-fusion says so (${megatronRead})`);
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
  say.byDefault('dropout', true, `a tenth of the hidden state and of attention by default (${megatronRead})`);
}
