import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { llamaWidth } from '../shapes.ts';
import { dtypeOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';
import { vocabularyOf } from '../vocabulary.ts';

const source = 'lingua 437d680e';

/** Meta's lingua. */
export const lingua: Format = {
  id: 'lingua',
  title: 'lingua YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['model.dim', 'model.n_layers'],
    some: [[1, ['distributed.fsdp_type', 'distributed.tp_size', 'distributed.dp_shard', 'distributed.model_dtype']]],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const say = stating(file, lingua.id);
  const dim = say.number('model.dim') ?? 0;
  say.modelIs('model_type', 'llama');
  say.model('hidden_size', 'model.dim');
  say.model('num_hidden_layers', 'model.n_layers');
  const heads = say.number('model.n_heads') ?? Math.floor(dim / (say.number('model.head_dim') ?? dim));
  say.modelIs('num_attention_heads', heads, 'model.n_heads');
  say.modelIs('num_key_value_heads', say.number('model.n_kv_heads') ?? heads, 'model.n_kv_heads');
  say.model('head_dim', 'model.head_dim');
  const width = llamaWidth(dim, say.number('model.multiple_of') ?? 256, say.number('model.ffn_dim_multiplier'));
  say.modelIs('intermediate_size', width, 'model.dim');
  say.modelIs('tie_word_embeddings', say.flag('model.weight_tying') ?? false, 'model.weight_tying');
  say.model('max_position_embeddings', ['model.max_seqlen', 'data.seq_len']);
  vocabulary(say);
  run(say);
  memory(say);
  return say.statement();
}

/** -1, or nothing, stands for the tokenizer's own size. */
function vocabulary(say: Stating): void {
  const stated = say.number('model.vocab_size') ?? -1;
  if (stated > 0) {
    say.model('vocab_size', 'model.vocab_size');
    return;
  }
  const key = say.text('data.tokenizer.path') === undefined ? 'data.tokenizer.name' : 'data.tokenizer.path';
  const name = say.text(key) ?? 'bytes';
  // Bytes, and marks for the beginning and the end.
  const entries = say.text('data.tokenizer.name') === 'bytes' || name === 'bytes' ? 258 : vocabularyOf(name);
  if (entries === undefined)
    throw say.refuse(
      `The vocabulary is that of the tokenizer "${name.slice(0, 80)}", whose size is not known; add model.vocab_size.`,
      key,
    );
  say.modelIs('vocab_size', entries, key);
  say.assume('model.vocab_size', textOf(entries), `entries of the tokenizer ${name.slice(0, 80)}`);
}

function run(say: Stating): void {
  say.run('sequence_length', 'data.seq_len');
  say.run('micro_batch_size', 'data.batch_size');
  say.run('gradient_accumulation', 'grad_acc_steps');
  say.run('train_steps', 'steps');
  say.run('parallelism.tensor', 'distributed.tp_size');
  say.byDefault('sequence_length', 2048, `data.seq_len of lingua (${source})`);
  say.byDefault('micro_batch_size', 2, `data.batch_size of lingua (${source})`);
  say.byDefault('gradient_accumulation', 1, `grad_acc_steps of lingua (${source})`);
  const shard = say.number('distributed.dp_shard') ?? 1;
  if (shard > 1) say.runIs('shard_group', shard, 'distributed.dp_shard');
  if (say.at('distributed.float8_recipe') !== undefined) say.runIs('precision', 'fp8', 'distributed.float8_recipe');
  say.run('precision', 'distributed.model_dtype', dtypeOf);
  say.byDefault('precision', 'bf16', `distributed.model_dtype of lingua (${source})`);
  say.byDefault('optimizer', 'adamw', `lingua's optimizer (${source})`);
}

function memory(say: Stating): void {
  say.run('sharding', 'distributed.fsdp_type', (type) => (type === 'full_shard' ? 'full' : 'none'));
  say.byDefault('sharding', 'none', `distributed.fsdp_type of lingua is no_shard (${source})`);
  say.run('recompute', 'distributed.selective_activation_checkpointing', (on) =>
    flagOf(on) === true ? 'selective' : 'none',
  );
  say.byDefault('recompute', 'none', `selective_activation_checkpointing of lingua is off (${source})`);
  say.run('compile', 'distributed.compile', flagOf);
  say.byDefault('compile', false, `distributed.compile of lingua is off (${source})`);
  say.byDefault('framework', 'fsdp', `lingua shards with PyTorch's FSDP2 (${source})`);
}
