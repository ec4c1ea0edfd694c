import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { dtypeOf, optimizerOf, shardingOf } from '../spellings.ts';
import { numeric, type Stating, stating } from '../stating.ts';

const source = 'OLMo 59a53e3f';

/** OLMo 1's YAML (also of the first OLMo 2 models). */
export const olmo: Format = {
  id: 'olmo',
  title: 'OLMo YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['model.d_model', 'model.n_heads', 'model.n_layers'],
    some: [
      [1, ['device_train_microbatch_size', 'global_train_batch_size']],
      [1, ['model.mlp_ratio', 'model.mlp_hidden_size', 'model.layer_norm_type', 'model.block_type']],
    ],
    not: ['model.name', 'model.expansion_ratio', 'model.attn_config'],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const say = stating(file, olmo.id);
  sizes(say);
  block(say);
  run(say);
  memory(say);
  return say.statement();
}

function sizes(say: Stating): void {
  say.modelIs('model_type', decoderType);
  say.model('hidden_size', 'model.d_model');
  say.model('num_hidden_layers', 'model.n_layers');
  say.model('num_attention_heads', 'model.n_heads');
  say.model('num_key_value_heads', 'model.n_kv_heads');
  if (say.at('model.n_kv_heads') === undefined && say.flag('model.multi_query_attention') === true)
    say.modelIs('num_key_value_heads', 1, 'model.multi_query_attention');
  say.model('max_position_embeddings', 'model.max_sequence_length');
  // The table's rows are embedding_size, which is padded; a null there means the vocabulary itself.
  const named = say.at('model.embedding_size') !== undefined;
  const vocabulary = say.number('model.vocab_size');
  say.model('vocab_size', named || vocabulary === undefined ? 'model.embedding_size' : 'model.vocab_size');
  if (!named && (vocabulary === undefined || vocabulary <= 50_304)) {
    say.modelIs('vocab_size', 50_304, 'model.vocab_size');
    say.assume('model.embedding_size', '50304', `what OLMo takes where the file does not say (${source})`);
  }
  say.modelIs('tie_word_embeddings', say.flag('model.weight_tying') ?? true, 'model.weight_tying');
}

function block(say: Stating): void {
  const bias = say.flag('model.include_bias') ?? true;
  const activation = say.text('model.activation_type') ?? 'swiglu';
  const gated = activation === 'swiglu';
  // mlp_hidden_size counts both sides of a gated block together.
  const both =
    say.number('model.mlp_hidden_size') ?? (say.number('model.mlp_ratio') ?? 4) * (say.number('model.d_model') ?? 0);
  const from = say.at('model.mlp_hidden_size') === undefined ? 'model.mlp_ratio' : 'model.mlp_hidden_size';
  say.modelIs('intermediate_size', gated ? Math.floor(both / 2) : both, from);
  say.modelIs('gated', gated, 'model.activation_type');
  say.modelIs('hidden_act', gated ? 'silu' : activation, 'model.activation_type');
  say.modelIs('mlp_bias', bias, 'model.include_bias');
  say.modelIs('attention_bias', bias, 'model.include_bias');
  say.modelIs('output_bias', bias && say.flag('model.weight_tying') === false, 'model.include_bias');
  norms(say, bias);
  const rotary = say.flag('model.rope') === true;
  const alibi = say.flag('model.alibi') === true;
  say.modelIs('positions', rotary ? 'rope' : alibi ? 'none' : 'learned', rotary ? 'model.rope' : 'model.alibi');
}

function norms(say: Stating, bias: boolean): void {
  const rms = say.text('model.layer_norm_type') === 'rms';
  const affine = say.flag('model.layer_norm_with_affine') ?? true;
  const normBias = say.flag('model.bias_for_layer_norm') ?? bias;
  say.modelIs(
    'normalization',
    !affine ? 'none' : rms ? 'rms' : normBias ? 'layer' : 'layer_without_bias',
    'model.layer_norm_type',
  );
  const parallel = say.text('model.block_type') === 'parallel';
  say.modelIs(
    'norm_plan',
    say.flag('model.norm_after') === true ? 'post' : parallel ? 'double' : 'pre',
    'model.norm_after',
  );
  const ofQueries = say.flag('model.attention_layer_norm') === true;
  const withWeights = say.flag('model.attention_layer_norm_with_affine') ?? true;
  if (ofQueries && withWeights) say.modelIs('qk_norm', 'width', 'model.attention_layer_norm');
}

function run(say: Stating): void {
  say.run('sequence_length', 'model.max_sequence_length');
  say.run('micro_batch_size', 'device_train_microbatch_size');
  say.run('global_batch_size', 'global_train_batch_size');
  say.run('precision', 'precision', dtypeOf);
  say.run('optimizer', 'optimizer.name', optimizerOf);
  duration(say);
  say.byDefault('optimizer', 'lion', `optimizer.name of OLMo is lionw (${source})`);
  say.byDefault('precision', 'bf16', `precision of OLMo is amp_bf16 (${source})`);
  say.byDefault('framework', 'fsdp', `OLMo shards with PyTorch's FSDP (${source})`);
}

/** `2e12T` are tokens, a bare number is steps, `1ep` depends on the data. */
function duration(say: Stating): void {
  const stated = say.at('max_duration');
  const text = textOf(stated ?? '').slice(0, 40);
  const tokens = /T$/.test(text) ? numeric(text.slice(0, -1)) : undefined;
  if (typeof tokens === 'number') say.runIs('tokens', tokens, 'max_duration');
  else if (typeof numeric(stated) === 'number') say.run('train_steps', 'max_duration');
}

function memory(say: Stating): void {
  say.run('sharding', 'distributed_strategy', (strategy) => (strategy === 'ddp' ? 'none' : undefined));
  say.run('sharding', 'fsdp.sharding_strategy', shardingOf);
  say.byDefault('sharding', 'full', `fsdp.sharding_strategy of OLMo is FULL_SHARD (${source})`);
  say.run('compile', 'compile', () => true);
  say.byDefault('compile', false, `OLMo compiles only where asked to (${source})`);
  say.run('fused_cross_entropy', 'fused_loss');
  checkpointing(say);
}

const shares: Readonly<Record<string, number>> = { two_in_three: 2 / 3, three_in_four: 3 / 4 };
const everyNth: Readonly<Record<string, number>> = { one_in_two: 2, one_in_three: 3, one_in_four: 4, one_in_eight: 8 };

function checkpointing(say: Stating): void {
  const key = 'activation_checkpointing';
  const strategy = say.text(key);
  say.byDefault('recompute', 'none', `OLMo keeps all activations unless activation_checkpointing says so (${source})`);
  if (strategy === undefined) return;
  const nth = Object.hasOwn(everyNth, strategy) ? everyNth[strategy] : undefined;
  const share = Object.hasOwn(shares, strategy) ? shares[strategy] : undefined;
  say.runIs('recompute', strategy === 'fine_grained' ? 'selective' : 'full', key);
  if (nth !== undefined) {
    say.runIs('recompute_method', 'every', key);
    say.runIs('recompute_layers', nth, key);
  }
  if (share === undefined) return;
  say.runIs('recompute_method', 'block', key);
  say.runIs('recompute_layers', Math.max(1, Math.floor(share * (say.number('model.n_layers') ?? 1))), key);
}
