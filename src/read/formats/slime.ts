import type { Statement } from '../../model/statement.ts';
import { isDictionary, OpenModel, own } from '../../text/fields.ts';
import { statingArguments } from '../arguments.ts';
import type { Format, ParsedFile } from '../format.ts';
import { type Engine, type Role, sayRoles } from '../roles.ts';
import { flagsOf, spelled } from '../scripts.ts';
import type { Stating } from '../stating.ts';
import { stateModel, uncountedIn } from './megatron-model.ts';
import { stateRun } from './megatron-run.ts';

/** slime's run scripts: Megatron's arguments, with those of the rollout beside them. */
export const slime: Format = {
  id: 'slime',
  title: 'slime run script',
  syntaxes: ['shell'],
  signature: {
    has: ['arguments.rollout-batch-size'],
    some: [[1, ['arguments.tensor-model-parallel-size', 'arguments.num-layers', 'arguments.actor-num-nodes']]],
    not: ['arguments.per_device_train_batch_size'],
  },
  states,
};

function states(script: ParsedFile): Statement {
  const say = statingArguments(script, slime.id, spelled(flagsOf(script)));
  say.run('nodes', 'actor_num_nodes');
  say.run('gpus_per_node', 'actor_num_gpus_per_node');
  const tokens = say.number('max_tokens_per_gpu');
  if (say.flag('use_dynamic_batch_size') === true && tokens !== undefined) {
    const length = tokens * (say.number('context_parallel_size') ?? 1);
    say.runIs('sequence_length', length, 'max_tokens_per_gpu');
    say.runIs('micro_batch_size', 1, 'max_tokens_per_gpu');
    say.assume('sequence_length', String(length), 'a batch by tokens is counted as one sequence of them all');
  }
  say.run('sequence_length', ['rollout_max_context_len', 'rollout_max_response_len']);
  if (say.at('num_layers') === undefined)
    throw say.refuse(
      `The model’s arguments are in none of the scripts that this one reads in (${sourcedBy(script)}), as far as the repository has them.`,
      undefined,
      OpenModel,
    );
  // Such a model is built by a plugin, which takes its sizes from the checkpoint's config.
  const checkpoint = uncountedIn(say) === undefined ? undefined : say.text('hf_checkpoint');
  if (checkpoint === undefined) stateModel(say);
  else say.named(checkpoint, 'hf_checkpoint');
  say.byDefault('precision', 'bf16', 'slime trains in bf16 unless --fp16 says otherwise');
  say.byDefault('sharding', 'optimizer', 'slime switches Megatron’s distributed optimizer on');
  stateRun(say);
  sayRoles(say, rolesOf(say), engineOf(say));
  return say.statement();
}

function sourcedBy({ source: { value } }: ParsedFile): string {
  const names = isDictionary(value) ? own(value, 'sourced') : undefined;
  return Array.isArray(names) && names.length > 0
    ? names.slice(0, 4).map(String).join(', ').slice(0, 200)
    : 'there is none';
}

const source = 'slime 624b824 (2026-08)';

/** The reference's weights wait in CPU memory and take the place of the actor's (`weights_backuper`). */
function rolesOf(say: Stating): readonly Role[] {
  const kept = say.flag('use_kl_loss') === true || (say.number('kl_coef') ?? 0) > 0;
  return kept && say.at('ref_load') !== undefined
    ? [{ role: 'reference', held: undefined, key: 'ref_load', source }]
    : [];
}

/** `--colocate` moves the actor to the CPU while SGLang generates, unless it is told not to. */
function engineOf(say: Stating): Engine | undefined {
  if (say.flag('colocate') !== true) return undefined;
  const key = 'sglang_mem_fraction_static';
  const stays = say.flag('no_offload_train') === true || say.flag('offload_train') === false;
  return { share: say.number(key), beside: stays ? 'states' : 'nothing', key, source };
}
