import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, OpenModel, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { overlaid } from '../../text/merge.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { pathInside } from '../gather.ts';
import { type Engine, type Role, sayRoles } from '../roles.ts';
import { dtypeOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { stateDegreesAt } from './megatron-run.ts';

const read = 'NeMo RL 2026-08';

/** NeMo RL's YAML, whose files build on each other (`defaults: "grpo_math_1B.yaml"`). */
export const nemoRl: Format = {
  id: 'nemo-rl',
  title: 'NeMo RL YAML',
  syntaxes: ['yaml'],
  included: true,
  signature: {
    has: ['policy'],
    some: [[1, ['policy.train_micro_batch_size', 'policy.megatron_cfg', 'policy.dtensor_cfg', 'policy.model_name']]],
    not: ['actor_rollout_ref', 'model'],
  },
  states,
};

function states(file: ParsedFile, beside: Beside): Statement {
  const root = isDictionary(file.source.value) ? interpolated(withBase(file.source.value, file.path, beside, 0)) : {};
  const say = stating({ path: file.path, source: { ...file.source, value: root } }, nemoRl.id);
  const name = say.text('policy.model_name');
  if (name === undefined)
    throw say.refuse(
      'The file names no model (policy.model_name), which the file that it builds on does.',
      'policy',
      OpenModel,
    );
  say.named(name, 'policy.model_name');
  stateMachines(say);
  say.run('sequence_length', 'policy.max_total_sequence_length');
  say.run('micro_batch_size', 'policy.train_micro_batch_size');
  say.run('global_batch_size', 'policy.train_global_batch_size');
  say.run('precision', 'policy.precision', dtypeOf);
  if (say.flag('policy.megatron_cfg.enabled') === true) stateMegatron(say);
  else stateDtensor(say);
  say.byDefault('optimizer', 'adamw', `AdamW where nothing else is said (${read})`);
  sayRoles(say, rolesOf(say), engineOf(say));
  return say.statement();
}

/** GPUs that generate beside those that train are none of the training's (`setup` of algorithms/grpo.py). */
function stateMachines(say: Stating): void {
  const [nodes, each] = [say.number('cluster.num_nodes'), say.number('cluster.gpus_per_node')];
  const apart = say.flag('policy.generation.colocated.enabled') === false;
  const generating = (name: string) => say.number(`policy.generation.colocated.resources.${name}`) ?? 0;
  const [otherNodes, otherGpus] = [generating('num_nodes'), generating('gpus_per_node')];
  if (apart && nodes !== undefined && nodes > 1 && otherNodes > 0 && otherNodes < nodes)
    say.runIs('nodes', nodes - otherNodes, 'cluster.num_nodes');
  else say.run('nodes', 'cluster.num_nodes');
  if (apart && nodes === 1 && each !== undefined && otherGpus > 0 && otherGpus < each)
    say.runIs('gpus_per_node', each - otherGpus, 'cluster.gpus_per_node');
  else say.run('gpus_per_node', 'cluster.gpus_per_node');
}

/** Keys over those of the files that `defaults` names, in the same folder, each over the one before it. */
function withBase(value: Dictionary, path: string, beside: Beside, depth: number): Dictionary {
  const named = own(value, 'defaults');
  const names = (Array.isArray(named) ? named : [named]).filter((name) => typeof name === 'string').slice(0, 8);
  if (names.length === 0 || depth >= 4) return value;
  let bases: Dictionary = {};
  for (const name of names) {
    const at = pathInside(`./${name}`, path);
    const base = at === undefined ? undefined : beside(at)?.source.value;
    if (isDictionary(base) && at !== undefined) bases = overlaid(bases, withBase(base, at, beside, depth + 1));
  }
  return overlaid(bases, value);
}

function stateMegatron(say: Stating): void {
  const key = (name: string) => `policy.megatron_cfg.${name}`;
  stateDegreesAt(say, key);
  const on = key('activation_checkpointing');
  if (say.flag(on) === true)
    say.runIs('recompute', say.text(key('recompute_granularity')) === 'selective' ? 'selective' : 'full', on);
  say.byDefault('recompute', 'none', `off unless activation_checkpointing is on (${read})`);
  const distributed = key('optimizer.use_distributed_optimizer');
  say.run('sharding', distributed, (divided) => (divided === false ? 'none' : 'optimizer'));
  say.byDefault('sharding', 'optimizer', `use_distributed_optimizer of ${read}`);
  const single = key('distributed_data_parallel_config.grad_reduce_in_fp32');
  if (say.flag(single) !== undefined) say.runIs('gradients_dtype', say.flag(single) === true ? 'fp32' : 'bf16', single);
  say.byDefault('framework', 'megatron', 'megatron_cfg is on');
}

function stateDtensor(say: Stating): void {
  const key = (name: string) => `policy.dtensor_cfg.${name}`;
  say.run('parallelism.tensor', key('tensor_parallel_size'));
  say.run('parallelism.context', key('context_parallel_size'));
  say.run('parallelism.sequence_parallel', key('sequence_parallel'));
  say.run('recompute', key('activation_checkpointing'), (on) => (on === true ? 'full' : 'none'));
  if (say.flag(key('cpu_offload')) === true) say.runIs('offload', 'parameters', key('cpu_offload'));
  say.byDefault('recompute', 'none', `off unless activation_checkpointing is on (${read})`);
  say.byDefault('framework', 'fsdp', `FSDP2 by DTensor (${read})`);
  say.byDefault('sharding', 'full', `FSDP2 divides weights, gradients and optimizer states (${read})`);
  say.byDefault('weights_dtype', 'fp32', `weights are kept in fp32 and computed in the precision (${read})`);
}

/** The reference's weights wait in CPU memory and are copied over the policy's (`reference_model_state_dict`). */
function rolesOf(say: Stating): readonly Role[] {
  const key = 'loss_fn.reference_policy_kl_penalty';
  return (say.number(key) ?? 0) > 0 ? [{ role: 'reference', held: undefined, key, source: read }] : [];
}

/** The policy goes to the CPU before an engine on its GPUs generates (`offload_after_refit`). */
function engineOf(say: Stating): Engine | undefined {
  if (say.at('policy.generation') === undefined || say.flag('policy.generation.colocated.enabled') === false)
    return undefined;
  const key = 'policy.generation.vllm_cfg.gpu_memory_utilization';
  return { share: say.number(key), beside: 'nothing', key, source: read };
}
