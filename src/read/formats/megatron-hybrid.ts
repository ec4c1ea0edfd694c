import { OtherModel } from '../../text/fields.ts';
import type { Stating } from '../stating.ts';

/** What a Nemotron-H layer is and is not; Megatron's other hybrids have no class that is counted. */
const needed: readonly (readonly [name: string, least: (say: Stating) => boolean, words: string])[] = [
  ['squared_relu', (say) => say.flag('squared_relu') === true, '--squared-relu'],
  ['normalization', (say) => /rms/i.test(say.text('normalization') ?? ''), '--normalization RMSNorm'],
  [
    'disable_bias_linear',
    (say) => say.flag('disable_bias_linear') === true || say.flag('add_bias_linear') === false,
    '--disable-bias-linear',
  ],
  [
    'position_embedding_type',
    (say) => say.text('position_embedding_type') === 'none',
    '--position-embedding-type none',
  ],
  [
    'untie_embeddings_and_output_weights',
    (say) => say.flag('untie_embeddings_and_output_weights') === true,
    '--untie-embeddings-and-output-weights',
  ],
];

/**
 * A hybrid of Megatron's as Nemotron-H, which it is with these very settings: one block to a layer, by a pattern of letters.
 *
 * @param key the argument that gives the pattern: `MEM*E|MEM*E/*E/*E`, where `|` ends a pipeline stage and `/` begins a
 * prediction depth
 */
export function stateHybrid(say: Stating, key: string): void {
  const missing = needed.find(([, holds]) => !holds(say));
  if (missing !== undefined)
    throw say.refuse(
      `${key} gives the model layers of several kinds, which are read with ${missing[2]} only; state the model as a config.json.`,
      key,
      OtherModel,
    );
  const [main = '', ...depths] = String(say.at(key)).slice(0, 10_000).replaceAll('|', '').split('/');
  if (!/^[M*E-]{1,10000}$/.test(main))
    throw say.refuse(
      `${key} has layers other than M, *, - and E, which are not read yet; state the model as a config.json.`,
      key,
      OtherModel,
    );
  say.modelIs('model_type', 'nemotron_h');
  say.modelIs('hybrid_override_pattern', main, key);
  say.modelIs('tie_word_embeddings', false, 'untie_embeddings_and_output_weights');
  say.model('hidden_size', 'hidden_size');
  say.model('intermediate_size', ['ffn_hidden_size']);
  say.model('num_attention_heads', 'num_attention_heads');
  say.model(
    'num_key_value_heads',
    say.flag('group_query_attention') === true ? 'num_query_groups' : 'num_attention_heads',
  );
  say.model('max_position_embeddings', ['max_position_embeddings', 'seq_length']);
  stateHead(say);
  stateStateSpace(say);
  stateHybridExperts(say, main);
  const [depth] = depths;
  const repeated = depths.length > 0 ? depths.length : say.number('mtp_num_layers');
  if (depth !== undefined && /^[M*E-]{1,100}$/.test(depth)) say.modelIs('mtp_hybrid_override_pattern', depth, key);
  if (repeated === undefined) return;
  const shared = say.flag('mtp_use_repeated_layer') === true;
  say.modelIs('num_nextn_predict_layers', shared ? 1 : repeated, depths.length > 0 ? key : 'mtp_num_layers');
  if (shared && repeated > 1)
    say.assume(
      'mtp_use_repeated_layer',
      'true',
      'one layer predicts all depths: it is counted once, in weights and in work',
    );
}

function stateHead(say: Stating): void {
  if (say.at('kv_channels') !== undefined) say.model('head_dim', 'kv_channels');
  else
    say.modelIs(
      'head_dim',
      Math.floor((say.number('hidden_size') ?? 0) / (say.number('num_attention_heads') ?? 1)),
      'hidden_size',
    );
}

/** Sizes of Mamba 2 with the command line's defaults. */
function stateStateSpace(say: Stating): void {
  const dimension = say.number('mamba_head_dim') ?? 64;
  say.modelIs('mamba_head_dim', dimension, 'mamba_head_dim');
  say.modelIs(
    'mamba_num_heads',
    say.number('mamba_num_heads') ?? Math.floor((2 * (say.number('hidden_size') ?? 0)) / dimension),
    say.at('mamba_num_heads') === undefined ? 'hidden_size' : 'mamba_num_heads',
  );
  say.modelIs('n_groups', say.number('mamba_num_groups') ?? 8, 'mamba_num_groups');
  say.modelIs('ssm_state_size', say.number('mamba_state_dim') ?? 128, 'mamba_state_dim');
  say.modelIs('conv_kernel', 4);
  say.modelIs('use_conv_bias', true);
  say.modelIs('use_bias', false);
  say.modelIs('mlp_bias', false);
  say.modelIs('chunk_size', 128);
}

function stateHybridExperts(say: Stating, pattern: string): void {
  if (!pattern.includes('E')) return;
  const experts = ['num_experts', 'num_moe_experts'];
  if (experts.every((name) => say.number(name) === undefined))
    throw say.refuse(
      'The pattern has layers of experts (E), and nothing says how many experts there are; add num_experts.',
    );
  say.model('n_routed_experts', experts);
  say.modelIs('num_experts_per_tok', say.number('moe_router_topk') ?? 2, 'moe_router_topk');
  say.model('moe_intermediate_size', ['moe_ffn_hidden_size', 'ffn_hidden_size']);
  say.model('moe_shared_expert_intermediate_size', 'moe_shared_expert_intermediate_size');
  say.model('moe_latent_size', 'moe_latent_size');
}
