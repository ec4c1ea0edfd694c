import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { isDictionary, textOf } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import type { Format, ParsedFile } from '../format.ts';
import { dtypeOf, optimizerOf, shardingOf } from '../spellings.ts';
import { flagOf, numeric, type Stating, stating } from '../stating.ts';

const source = 'llm-foundry 8c8dd48f';

/** MosaicML's llm-foundry YAML: MPT by its sizes, or a model of the hub with `config_overrides`. */
export const llmFoundry: Format = {
  id: 'llm-foundry',
  title: 'llm-foundry YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['model.name'],
    some: [
      [
        1,
        [
          'global_train_batch_size',
          'device_train_microbatch_size',
          'device_train_batch_size',
          'device_train_grad_accum',
        ],
      ],
    ],
    like: [['model.name', /^(mpt|hf)_/]],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const say = stating({ path: file.path, source: { ...file.source, value: root } }, llmFoundry.id);
  if (say.text('model.name')?.startsWith('hf_')) published(say);
  else {
    sizes(say);
    block(say);
    feedForward(say);
  }
  batch(say);
  memory(say);
  return say.statement();
}

function published(say: Stating): void {
  const key = 'model.pretrained_model_name_or_path';
  const name = say.text(key);
  if (name === undefined) throw say.refuse(`${key} is missing, so no model is known.`, 'model.name');
  say.named(name, key);
  const overrides = say.at('model.config_overrides');
  for (const [field, value] of Object.entries(isDictionary(overrides) ? overrides : {}).slice(0, 100))
    if (typeof numeric(value) === 'number' || typeof value === 'boolean')
      say.modelIs(field, value, `model.config_overrides.${field}`);
  say.run('lora.rank', ['model.peft_config.r', 'peft_config.r']);
}

function sizes(say: Stating): void {
  say.modelIs('model_type', decoderType);
  say.model('hidden_size', 'model.d_model');
  say.model('num_hidden_layers', 'model.n_layers');
  say.model('num_attention_heads', 'model.n_heads');
  say.model('max_position_embeddings', ['model.max_seq_len', 'max_seq_len']);
  say.modelIs('vocab_size', say.number('model.vocab_size') ?? 50_368, 'model.vocab_size');
  if (say.number('model.vocab_size') === undefined)
    say.assume('model.vocab_size', '50368', `what MPT takes where the file does not say (${source})`);
  say.modelIs('tie_word_embeddings', say.flag('model.tie_word_embeddings') ?? true, 'model.tie_word_embeddings');
  const kind = say.text('model.attn_config.attn_type');
  if (kind === 'multiquery_attention') say.modelIs('num_key_value_heads', 1, 'model.attn_config.attn_type');
  if (kind === 'grouped_query_attention') say.model('num_key_value_heads', 'model.attn_config.kv_n_heads');
}

function block(say: Stating): void {
  const bias = say.flag('model.no_bias') !== true;
  const norm = say.text('model.norm_type') ?? 'low_precision_layernorm';
  say.modelIs('normalization', /rms/.test(norm) ? 'rms' : bias ? 'layer' : 'layer_without_bias', 'model.norm_type');
  say.modelIs('attention_bias', bias, 'model.no_bias');
  const rotary = say.flag('model.attn_config.rope') === true;
  const alibi = say.flag('model.attn_config.alibi') === true;
  const learned = !rotary && !alibi && (say.flag('model.learned_pos_emb') ?? true);
  const key = rotary ? 'model.attn_config.rope' : alibi ? 'model.attn_config.alibi' : 'model.learned_pos_emb';
  say.modelIs('positions', rotary ? 'rope' : learned ? 'learned' : 'none', key);
  if (say.flag('model.attn_config.qk_ln') === true) say.modelIs('qk_norm', 'width', 'model.attn_config.qk_ln');
  if (say.flag('model.attn_config.qk_gn') === true) say.modelIs('qk_norm', 'head', 'model.attn_config.qk_gn');
}

function feedForward(say: Stating): void {
  const kind = say.text('model.ffn_config.ffn_type') ?? 'mptmlp';
  const bias = say.flag('model.no_bias') !== true;
  const gated = kind === 'mptglu';
  const stated = say.number('model.ffn_config.ffn_hidden_size');
  const width = stated ?? Math.floor((say.number('model.expansion_ratio') ?? 4) * (say.number('model.d_model') ?? 0));
  say.modelIs(
    'intermediate_size',
    width,
    stated === undefined ? 'model.expansion_ratio' : 'model.ffn_config.ffn_hidden_size',
  );
  say.modelIs('gated', gated, 'model.ffn_config.ffn_type');
  say.modelIs('hidden_act', 'gelu');
  say.modelIs('mlp_bias', bias, 'model.no_bias');
  if (!/moe$/.test(kind)) return;
  say.model('num_experts', 'model.ffn_config.moe_num_experts');
  say.model('num_experts_per_tok', 'model.ffn_config.moe_top_k');
  say.modelIs('expert_bias', false);
  say.assume('expert_bias', 'false', `experts of ${kind} have no biases in MegaBlocks' dropless form`);
  if (kind === 'torch_dmoe') say.modelIs('gated', true, 'model.ffn_config.ffn_type');
}

function batch(say: Stating): void {
  say.run('sequence_length', ['max_seq_len', 'model.max_seq_len', 'train_loader.dataset.max_seq_len']);
  say.run('micro_batch_size', 'device_train_microbatch_size');
  say.run('global_batch_size', 'global_train_batch_size');
  say.run('batch_per_replica', 'device_train_batch_size');
  say.run('gradient_accumulation', ['device_train_grad_accum', 'grad_accum']);
  say.run('gpus', ['compute.gpus', 'gpu_num']);
  say.run('parallelism.tensor', 'tp_config.tensor_parallel_degree');
  say.run('precision', 'precision', dtypeOf);
  say.run('optimizer', 'optimizer.name', optimizerOf);
  // `134e9tok` are tokens, `63900ba` are steps, `1ep` depends on the data.
  const duration = /^([\d._e+]{1,30})(tok|ba)$/.exec(textOf(say.at('max_duration') ?? '').slice(0, 40));
  const length = numeric(duration?.[1]);
  if (typeof length === 'number') say.runIs(duration?.[2] === 'tok' ? 'tokens' : 'train_steps', length, 'max_duration');
}

function memory(say: Stating): void {
  say.run('sharding', 'fsdp_config.sharding_strategy', shardingOf);
  const sharded = say.at('fsdp_config') !== undefined;
  say.byDefault('sharding', sharded ? 'full' : 'none', `${sharded ? 'FULL_SHARD' : 'no fsdp_config: DDP'} (${source})`);
  say.run('recompute', 'fsdp_config.activation_checkpointing', (on) => (flagOf(on) === true ? 'full' : 'none'));
  say.byDefault('recompute', 'none', `fsdp_config.activation_checkpointing is off (${source})`);
  if (say.flag('fsdp_config.activation_cpu_offload') === true)
    say.runIs('offload', 'activations', 'fsdp_config.activation_cpu_offload');
  say.run('flash_attention', 'model.attn_config.attn_impl', (kind) => kind !== 'torch');
  say.run('expandable_segments', 'expandable_segments', flagOf);
  say.run('compile', 'compile_config', () => true);
  say.byDefault('compile', false, `compile_config is not stated (${source})`);
  const whole = say.text('model.loss_fn') === 'torch_crossentropy';
  if (!say.text('model.name')?.startsWith('hf_'))
    say.byDefault('fused_cross_entropy', !whole, `model.loss_fn of MPT is fused_crossentropy (${source})`);
  say.byDefault('framework', 'fsdp', `Composer shards with PyTorch's FSDP (${source})`);
  say.byDefault('precision', 'bf16', `precision of llm-foundry is amp_bf16 (${source})`);
}
