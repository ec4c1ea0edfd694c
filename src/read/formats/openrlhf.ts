import type { Statement } from '../../model/statement.ts';
import { OpenModel } from '../../text/fields.ts';
import { joined, statingArguments } from '../arguments.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { sayPreference } from '../preference.ts';
import { type Engine, type Role, sayRoles } from '../roles.ts';
import { flagsOf, launched, sayLaunch, spelled, wordsOf } from '../scripts.ts';
import { dtypeOf, shardingOf } from '../spellings.ts';
import { flagOf, type Stating } from '../stating.ts';
import { bitsNamed, sayLora } from '../trainer.ts';

const source = 'OpenRLHF 3c3be62 (2026-08)';

/** Scripts that start OpenRLHF, with the flags of before 2026 or the dotted ones since. */
export const openrlhf: Format = {
  id: 'openrlhf',
  title: 'OpenRLHF launch script',
  syntaxes: ['shell'],
  signature: { like: [['module', /^openrlhf\.cli\.train_\w+$/]] },
  states,
};

function states(script: ParsedFile, beside: Beside): Statement {
  const say = statingArguments(script, openrlhf.id, joined(spelled(flagsOf(script)), launched(script, beside)));
  const online = /ppo|grpo/.test(wordsOf(script, 'module'));
  const key = ['actor.model_name_or_path', 'model.model_name_or_path', 'pretrain'].find(
    (one) => say.text(one) !== undefined,
  );
  const name = key === undefined ? undefined : say.text(key);
  if (key === undefined || name === undefined)
    throw say.refuse('The script names no model to train.', undefined, OpenModel);
  say.named(name, key);
  stateGpus(say, online);
  stateBatch(say, online);
  stateState(say);
  const rank = ['ds.lora.rank', 'lora_rank'].find((one) => (say.number(one) ?? 0) > 0);
  if (rank !== undefined) {
    const targets = say.at('ds.lora.target_modules') === undefined ? 'target_modules' : 'ds.lora.target_modules';
    const keys = { on: rank, rank, targets };
    sayLora(
      say,
      { ...keys, rankByDefault: 0, targetsByDefault: ['all-linear'], source },
      say.flag('load_in_4bit') === true ? 4 : bitsNamed(name),
    );
  }
  if (online) sayRoles(say, rolesOf(say), engineOf(say));
  else {
    const method = /train_(dpo|rm)\b/.exec(wordsOf(script, 'module'))?.[1];
    if (method !== undefined) sayPreference(say, method, 'module', true);
    if (method === 'dpo') sayRoles(say, [referenceOf(say)]);
  }
  return say.statement();
}

function stateGpus(say: Stating, online: boolean): void {
  if (!online) {
    sayLaunch(say);
    return;
  }
  say.run('nodes', ['actor.num_nodes', 'actor_num_nodes']);
  say.run('gpus_per_node', ['actor.num_gpus_per_node', 'actor_num_gpus_per_node']);
  say.byDefault('nodes', 1, `actor.num_nodes of ${source}`);
  say.byDefault('gpus_per_node', 8, `actor.num_gpus_per_node of ${source}`);
}

function stateBatch(say: Stating, online: boolean): void {
  const parts = (say.number('prompt_max_len') ?? 1024) + (say.number('generate_max_len') ?? 1024);
  if (online && say.at('generate_max_len') !== undefined) say.runIs('sequence_length', parts, 'generate_max_len');
  say.run('sequence_length', ['data.max_len', 'max_len']);
  say.byDefault('sequence_length', 2048, `data.max_len of ${source}`);
  say.run('global_batch_size', ['train.batch_size', 'train_batch_size']);
  say.byDefault('global_batch_size', 128, `train.batch_size of ${source}`);
  if (say.flag('train.dynamic_batch_enable') === true || say.flag('use_dynamic_batch') === true) {
    const key = say.at('train.dynamic_batch_enable') === undefined ? 'use_dynamic_batch' : 'train.dynamic_batch_enable';
    const room = say.number('train.max_tokens_per_gpu') ?? say.number('train_max_tokens_per_gpu') ?? 16_192;
    const length =
      say.number('data.max_len') ?? say.number('max_len') ?? (say.at('generate_max_len') === undefined ? 2048 : parts);
    const fits = Math.max(1, Math.floor(room / length));
    say.runIs('micro_batch_size', fits, key);
    say.assume('micro_batch_size', String(fits), `whole sequences that fit into the ${room} tokens of a batch`);
  }
  say.run('micro_batch_size', ['train.micro_batch_size', 'micro_train_batch_size']);
  say.byDefault('micro_batch_size', online ? 1 : 8, `train.micro_batch_size of ${source}`);
}

function stateState(say: Stating): void {
  say.run('sharding', ['ds.zero_stage', 'zero_stage'], shardingOf);
  say.byDefault('sharding', 'gradients', `ds.zero_stage of ${source}`);
  say.byDefault('framework', 'deepspeed', 'OpenRLHF trains with DeepSpeed');
  say.run('precision', 'ds.param_dtype', dtypeOf);
  say.byDefault('precision', 'bf16', `ds.param_dtype of ${source}`);
  say.byDefault('weights_dtype', 'bf16', 'DeepSpeed casts the model');
  say.byDefault('master_weights', true, 'DeepSpeed steps over an fp32 copy');
  const checkpointing = [
    'actor.gradient_checkpointing_enable',
    'model.gradient_checkpointing_enable',
    'gradient_checkpointing',
  ];
  say.run('recompute', checkpointing, (on) => (flagOf(on) === false ? 'none' : 'full'));
  say.byDefault('recompute', 'none', `off unless it is switched on (${source})`);
  const offload = ['ds.adam_offload', 'adam_offload'].find((key) => say.flag(key) === true);
  if (offload !== undefined) say.runIs('offload', 'optimizer', offload);
  say.run('parallelism.tensor', ['ds.tensor_parallel_size', 'ds_tensor_parallel_size']);
  say.run('parallelism.context', ['ds.ring_attn_size', 'ring_attn_size']);
  say.byDefault('optimizer', 'adamw', `the optimizer of ${source}`);
}

/** The key of several spellings that the script has; the newest where it has none. */
const spelledAs = (say: Stating, ...keys: readonly [string, ...string[]]): string =>
  keys.find((key) => say.at(key) !== undefined) ?? keys[0];

const isOn = (say: Stating, ...keys: readonly [string, ...string[]]): boolean =>
  say.flag(spelledAs(say, ...keys)) === true;

const colocatesAll = (say: Stating): boolean => isOn(say, 'train.colocate_all', 'colocate_all_models');

/** Frozen models are in ZeRO 3 where the actor is, and else whole on each GPU (`get_ds_eval_config`). */
const referenceOf = (say: Stating): Role => ({
  role: 'reference',
  held: isOn(say, 'ref.offload', 'ref_offload', 'ref_reward_offload') ? undefined : { holds: 'weights', dtype: 'bf16' },
  key: spelledAs(say, 'train.colocate_actor_ref', 'colocate_actor_ref', 'train.colocate_all', 'colocate_all_models'),
  source,
});

/** Models that are on the actor's GPUs; without colocation they have GPUs of their own. */
function rolesOf(say: Stating): readonly Role[] {
  const all = colocatesAll(say);
  const roles: Role[] = [];
  const kept = (say.number(spelledAs(say, 'algo.kl.init_coef', 'init_kl_coef')) ?? 0.01) > 0;
  if (kept && (all || isOn(say, 'train.colocate_actor_ref', 'colocate_actor_ref'))) roles.push(referenceOf(say));
  if (!all) return roles;
  const estimator = spelledAs(say, 'algo.advantage.estimator', 'advantage_estimator');
  if ((say.text(estimator) ?? 'gae') === 'gae')
    roles.push({ role: 'critic', held: { holds: sleepsBetween(say) ? 'weights' : 'states' }, key: estimator, source });
  const scored = spelledAs(say, 'reward.model_name_or_path', 'reward_pretrain');
  if (say.at(scored) !== undefined && say.at(spelledAs(say, 'reward.remote_url', 'remote_rm_url')) === undefined) {
    const away = isOn(say, 'reward.offload', 'ref_reward_offload');
    roles.push({
      role: 'reward_model',
      held: away ? undefined : { holds: 'weights', dtype: 'bf16' },
      key: scored,
      source,
    });
  }
  return roles;
}

/** DeepSpeed's sleep moves optimizer states and fp32 copies to the CPU, and leaves the 16-bit weights (`offload_deepspeed_states`). */
const sleepsBetween = (say: Stating): boolean => isOn(say, 'ds.enable_sleep', 'deepspeed_enable_sleep');

function engineOf(say: Stating): Engine | undefined {
  if (!colocatesAll(say) || isOn(say, 'train.async_enable', 'async_train')) return undefined;
  const key = spelledAs(say, 'vllm.gpu_memory_utilization', 'vllm_gpu_memory_utilization');
  return {
    share: say.number(key) ?? 0.95,
    beside: sleepsBetween(say) ? 'weights' : 'states',
    sleeps: isOn(say, 'vllm.enable_sleep', 'vllm_enable_sleep'),
    key,
    source: `vllm.gpu_memory_utilization of ${source}`,
  };
}
