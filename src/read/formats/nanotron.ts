import type { Statement } from '../../model/statement.ts';
import type { Format, ParsedFile } from '../format.ts';
import { flagOf, stating } from '../stating.ts';

const source = 'nanotron 0.4, src/nanotron/config';

/** nanotron's YAML: the only common format that says everything, GPUs included. */
export const nanotron: Format = {
  id: 'nanotron',
  title: 'nanotron YAML',
  syntaxes: ['yaml'],
  signature: { has: ['model.model_config'], some: [[1, ['parallelism', 'tokens']]] },
  states,
};

/** Keys of `model.model_config` that are Hugging Face's own. */
const sizes = [
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'vocab_size',
  'max_position_embeddings',
  'tie_word_embeddings',
  'attention_bias',
  'sliding_window',
] as const;

function states(file: ParsedFile): Statement {
  const say = stating(file, nanotron.id);
  const config = 'model.model_config';
  const qwen = say.flag(`${config}.is_qwen2_config`) === true;
  const starcoder = say.flag(`${config}.is_starcoder2_config`) === true;
  if (say.flag(`${config}.is_mamba_config`) === true)
    throw say.refuse(
      'nanotron’s Mamba models are not read yet; state the model as a config.json.',
      `${config}.is_mamba_config`,
    );
  say.modelIs('model_type', qwen ? 'qwen2' : starcoder ? 'starcoder2' : 'llama');
  for (const key of sizes) say.model(key, `${config}.${key}`);
  say.run('sequence_length', 'tokens.sequence_length');
  say.run('micro_batch_size', 'tokens.micro_batch_size');
  say.run('gradient_accumulation', 'tokens.batch_accumulation_per_replica');
  say.run('train_steps', 'tokens.train_steps');
  say.run('data_parallel', 'parallelism.dp');
  say.run('parallelism.tensor', 'parallelism.tp');
  say.run('parallelism.pipeline', 'parallelism.pp');
  say.run('parallelism.context', 'parallelism.context_parallel_size');
  say.run('parallelism.expert', ['parallelism.expert_parallel_size']);
  say.run('parallelism.sequence_parallel', 'parallelism.tp_mode', (mode) => /REDUCE_SCATTER/i.test(String(mode)));
  say.run('pipeline_schedule', 'parallelism.pp_engine', (engine) => (engine === '1f1b' ? '1f1b' : 'gpipe'));
  say.run('recompute', 'parallelism.recompute_layer', (on) => (flagOf(on) === true ? 'full' : 'none'));
  say.run('sharding', 'optimizer.zero_stage', (stage) => (Number(stage) >= 1 ? 'optimizer' : 'none'));
  say.run(
    'precision',
    'model.dtype',
    (dtype) => ({ bfloat16: 'bf16', float16: 'fp16', float32: 'fp32' })[String(dtype)],
  );
  say.byDefault('framework', 'megatron', `the nearest framework to nanotron (${source})`);
  say.byDefault('sharding', 'none', `nanotron shards nothing unless zero_stage says so (${source})`);
  return say.statement();
}
