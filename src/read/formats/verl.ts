import type { Statement } from '../../model/statement.ts';
import { isDictionary, OpenModel, own } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import { statingArguments } from '../arguments.ts';
import type { Format, ParsedFile } from '../format.ts';
import { type Engine, type Role, sayRoles } from '../roles.ts';
import { overridesOf, sayLaunchAs, wordsOf } from '../scripts.ts';
import { dtypeOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { bitsNamed, sayLora } from '../trainer.ts';
import { stateDegreesAt } from './megatron-run.ts';

const read = 'verl b178a3c (2026-01)';
const actor = 'actor_rollout_ref.actor';
const model = 'actor_rollout_ref.model';

/** verl's trainers in YAML: PPO and its kin, supervised fine-tuning. */
export const verl: Format = {
  id: 'verl',
  title: 'verl YAML',
  syntaxes: ['yaml'],
  signature: { has: ['trainer.n_gpus_per_node'], some: [[1, ['actor_rollout_ref', 'data.micro_batch_size_per_gpu']]] },
  states: (file) => {
    const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
    const say = stating({ path: file.path, source: { ...file.source, value: root } }, verl.id);
    return stated(say, say.at('actor_rollout_ref') === undefined, false);
  },
};

/** Scripts that start verl with overrides of its YAML. */
export const verlShell: Format = {
  id: 'verl-shell',
  title: 'verl launch script',
  syntaxes: ['shell'],
  signature: {
    some: [[1, ['sections.actor_rollout_ref', 'sections.data']]],
    like: [['module', /^(verl|recipe)\.|(^|\/)(main_\w+|fsdp_sft_trainer|sft_trainer)\.py$/]],
  },
  states: (file, beside) => {
    const say = statingArguments(file, verlShell.id, overridesOf(file));
    const words = `${wordsOf(file, 'module')} ${configName(file)} ${wordsOf(file, 'program')}`;
    const supervised = say.at(`${model}.path`) === undefined && /sft/.test(words);
    if (supervised) sayLaunchAs(say, file, beside);
    return stated(say, supervised, /megatron/.test(words));
  },
};

function configName({ source: { value } }: ParsedFile): string {
  const flags = isDictionary(value) ? own(value, 'arguments') : undefined;
  return isDictionary(flags) ? String(own(flags, 'config-name') ?? '').slice(0, 200) : '';
}

function stated(say: Stating, supervised: boolean, megatron: boolean): Statement {
  say.run('nodes', 'trainer.nnodes');
  say.run('gpus_per_node', 'trainer.n_gpus_per_node');
  if (!supervised) say.byDefault('nodes', 1, `trainer.nnodes of ${read}`);
  if (!supervised) say.byDefault('gpus_per_node', 8, `trainer.n_gpus_per_node of ${read}`);
  if (supervised) stateSupervised(say);
  else stateActor(say, megatron);
  return say.statement();
}

function sayName(say: Stating, keys: readonly string[]): string {
  const key = keys.find((one) => say.text(one) !== undefined);
  const name = key === undefined ? undefined : say.text(key);
  if (key === undefined || name === undefined)
    throw say.refuse(
      `The file names no model (${keys[0]}), which its includes or the command line do. Put a config.json beside it (\`with:\` in the policy).`,
      undefined,
      OpenModel,
    );
  say.named(name, key);
  return name;
}

function stateSupervised(say: Stating): void {
  const name = sayName(say, ['model.path', 'model.partial_pretrain']);
  say.run('sequence_length', 'data.max_length');
  say.byDefault('sequence_length', 1024, `data.max_length of ${read}`);
  say.run('micro_batch_size', 'data.micro_batch_size_per_gpu');
  say.byDefault('micro_batch_size', 4, `data.micro_batch_size_per_gpu of ${read}`);
  say.run('global_batch_size', 'data.train_batch_size');
  say.byDefault('global_batch_size', 256, `data.train_batch_size of ${read}`);
  say.run('parallelism.context', ['ulysses_sequence_parallel_size', 'engine.ulysses_sequence_parallel_size']);
  stateFsdp(say, ['model.fsdp_config', 'engine']);
  stateModelKeys(say, 'model', name);
}

function stateActor(say: Stating, named: boolean): void {
  const name = sayName(say, [`${model}.path`]);
  const megatron =
    named ||
    say.text(`${actor}.strategy`) === 'megatron' ||
    say.at(`${actor}.megatron.tensor_model_parallel_size`) !== undefined;
  const tokens = (say.number('data.max_prompt_length') ?? 512) + (say.number('data.max_response_length') ?? 512);
  say.runIs(
    'sequence_length',
    tokens,
    say.at('data.max_response_length') === undefined ? 'data.max_prompt_length' : 'data.max_response_length',
  );
  stateActorBatch(say, tokens);
  if (megatron) stateMegatron(say);
  else {
    say.run('parallelism.context', `${actor}.ulysses_sequence_parallel_size`);
    stateFsdp(say, [`${actor}.fsdp_config`]);
  }
  stateModelKeys(say, model, name);
  sayRoles(say, rolesOf(say, megatron), engineOf(say, megatron));
}

/** A mini-batch counts prompts, each with `n` answers; batches by tokens hold as many sequences as fit. */
function stateActorBatch(say: Stating, tokens: number): void {
  const prompts = say.number(`${actor}.ppo_mini_batch_size`) ?? 256;
  say.runIs(
    'global_batch_size',
    prompts * (say.number('actor_rollout_ref.rollout.n') ?? 1),
    `${actor}.ppo_mini_batch_size`,
  );
  const most = `${actor}.ppo_max_token_len_per_gpu`;
  if (say.flag(`${actor}.use_dynamic_bsz`) !== true) {
    say.run('micro_batch_size', [`${actor}.ppo_micro_batch_size_per_gpu`]);
    return;
  }
  const room = (say.number(most) ?? 16_384) * (say.number(`${actor}.ulysses_sequence_parallel_size`) ?? 1);
  const fits = Math.max(1, Math.floor(room / tokens));
  say.runIs('micro_batch_size', fits, `${actor}.use_dynamic_bsz`);
  say.assume('micro_batch_size', String(fits), `whole sequences that fit into the ${room} tokens of a batch`);
}

function stateFsdp(say: Stating, at: readonly string[]): void {
  const key = (name: string) => at.map((one) => `${one}.${name}`);
  const size = key('fsdp_size').find((one) => (say.number(one) ?? -1) > 0);
  if (size !== undefined) say.run('shard_group', size);
  const policy = [...key('offload_policy'), ...key('offload_params'), ...key('cpu_offload')].find(
    (one) => say.flag(one) === true,
  );
  if (policy !== undefined) say.runIs('offload', 'parameters', policy);
  // `param_offload` moves weights away between the phases; the update has them on the GPU.
  say.run('weights_dtype', key('model_dtype'), dtypeOf);
  say.run('precision', key('dtype'), dtypeOf);
  say.byDefault('framework', 'fsdp', `FSDP where nothing else is said (${read})`);
  say.byDefault('sharding', 'full', `FSDP divides weights, gradients and optimizer states (${read})`);
  say.byDefault('weights_dtype', 'fp32', `model_dtype of ${read}`);
  say.byDefault('precision', 'bf16', `dtype of ${read}`);
}

function stateMegatron(say: Stating): void {
  const key = (name: string) => `${actor}.megatron.${name}`;
  stateDegreesAt(say, key);
  const granularity = key('override_transformer_config.recompute_granularity');
  say.run('recompute', granularity, (kind) => (kind === 'full' || kind === 'selective' ? kind : undefined));
  say.byDefault('recompute', 'none', `nothing is recomputed unless override_transformer_config says so (${read})`);
  say.byDefault('framework', 'megatron', 'the actor’s strategy is megatron');
  say.byDefault('sharding', 'optimizer', `use_distributed_optimizer of ${read}`);
  say.byDefault('precision', 'bf16', `dtype of ${read}`);
}

function stateModelKeys(say: Stating, at: string, name: string): void {
  say.run('recompute', `${at}.enable_gradient_checkpointing`, (on) =>
    String(on).toLowerCase() === 'false' ? 'none' : 'full',
  );
  say.byDefault('recompute', 'full', `enable_gradient_checkpointing of ${read}`);
  say.byDefault('optimizer', 'adamw', `the optimizer of ${read}`);
  if (say.flag(`${at}.use_liger`) === true) say.runIs('fused_cross_entropy', true, `${at}.use_liger`);
  if ((say.number(`${at}.lora_rank`) ?? 0) <= 0) return;
  const keys = { on: `${at}.lora_rank`, rank: `${at}.lora_rank`, targets: `${at}.target_modules` };
  sayLora(say, { ...keys, rankByDefault: 0, targetsByDefault: ['all-linear'], source: read }, bitsNamed(name));
}

/** Models that share the actor's GPUs (`need_reference_policy`, `need_critic`). */
function rolesOf(say: Stating, megatron: boolean): readonly Role[] {
  const roles: Role[] = [];
  const kl = [`${actor}.use_kl_loss`, 'algorithm.use_kl_in_reward'].find((key) => say.flag(key) === true);
  // With adapters the reference is the actor without them.
  const adapters = (say.number(`${model}.lora_rank`) ?? 0) > 0;
  if (kl !== undefined && !adapters) roles.push(referenceOf(say, megatron, kl));
  const estimator = 'algorithm.adv_estimator';
  if (say.flag('critic.enable') ?? (say.text(estimator) ?? 'gae') === 'gae')
    roles.push({ role: 'critic', held: criticHolds(say, megatron), key: estimator, source: `${estimator} of ${read}` });
  return roles;
}

/** FSDP keeps a frozen model on the CPU whatever its keys say (`forward_only`); Megatron has it where the actor's weights are. */
function referenceOf(say: Stating, megatron: boolean, key: string): Role {
  const away =
    say.flag('actor_rollout_ref.ref.megatron.param_offload') ?? say.flag(`${actor}.megatron.param_offload`) ?? false;
  return {
    role: 'reference',
    held: megatron && !away ? { holds: 'weights', dtype: 'bf16' } : undefined,
    key,
    source: read,
  };
}

function criticHolds(say: Stating, megatron: boolean): Role['held'] {
  const staying = stayingOf(say, megatron ? ['critic.megatron'] : ['critic.fsdp', 'critic.model.fsdp_config']);
  return staying === 'nothing' ? undefined : { holds: staying };
}

/** What `param_offload` and `optimizer_offload` leave on the GPU between the phases of a step; the update itself has all of it. */
function stayingOf(say: Stating, at: readonly string[]): 'states' | 'weights' | 'nothing' {
  const away = (what: string) => at.some((one) => say.flag(`${one}.${what}`) === true);
  if (!away('optimizer_offload')) return 'states';
  return away('param_offload') ? 'nothing' : 'weights';
}

function engineOf(say: Stating, megatron: boolean): Engine | undefined {
  // An engine with nodes of its own shares no GPU.
  if (
    say.flag('actor_rollout_ref.hybrid_engine') === false ||
    (say.number('actor_rollout_ref.rollout.nnodes') ?? 0) > 0
  )
    return undefined;
  const key = 'actor_rollout_ref.rollout.gpu_memory_utilization';
  return {
    share: say.number(key) ?? 0.5,
    beside: stayingOf(say, [megatron ? `${actor}.megatron` : `${actor}.fsdp_config`]),
    sleeps: say.flag('actor_rollout_ref.rollout.free_cache_engine') ?? true,
    key,
    source: `rollout.gpu_memory_utilization of ${read}`,
  };
}
