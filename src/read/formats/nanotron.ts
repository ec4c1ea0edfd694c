import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { paddedVocabulary } from '../shapes.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';

const source = 'nanotron 2411b022';

/** nanotron's YAML: the only common format that says everything, GPUs included. */
export const nanotron: Format = {
  id: 'nanotron',
  title: 'nanotron YAML',
  syntaxes: ['yaml'],
  signature: { has: ['model.model_config'], some: [[1, ['parallelism', 'tokens']]] },
  states,
};

const config = 'model.model_config';

/** Keys of `model.model_config` that are Hugging Face's own, with what nanotron takes where they are absent. */
const sizes = [
  ['hidden_size', 4096],
  ['intermediate_size', 11_008],
  ['num_hidden_layers', 32],
  ['num_attention_heads', 32],
  ['max_position_embeddings', 2048],
] as const;

function states(file: ParsedFile): Statement {
  const say = stating(file, nanotron.id);
  if (say.flag(`${config}.is_mamba_config`) === true)
    throw say.refuse(
      'nanotron’s Mamba models are not read yet; state the model as a config.json.',
      `${config}.is_mamba_config`,
    );
  model(say);
  vocabulary(say);
  if (say.number(`${config}.moe_config.num_experts`) !== undefined) experts(say);
  run(say);
  memory(say);
  return say.statement();
}

function model(say: Stating): void {
  const starcoder = say.flag(`${config}.is_starcoder2_config`) === true;
  const qwen = say.flag(`${config}.is_qwen2_config`) === true;
  const biased = say.flag(`${config}.attention_bias`) === true;
  const mixture = say.number(`${config}.moe_config.num_experts`) !== undefined;
  // Its Qwen 2 has biases of queries, keys and values only where asked to: without them it is a Llama.
  const dense = starcoder ? 'starcoder2' : qwen && biased ? 'qwen2' : 'llama';
  say.modelIs('model_type', mixture ? decoderType : dense, `${config}.attention_bias`);
  for (const [key, absent] of sizes) {
    say.model(key, `${config}.${key}`);
    if (say.at(`${config}.${key}`) !== undefined || starcoder) continue;
    say.modelIs(key, absent);
    say.assume(`${config}.${key}`, textOf(absent), `what nanotron takes where the file does not say (${source})`);
  }
  say.model('num_key_value_heads', [
    `${config}.num_key_value_heads`,
    `${config}.num_kv_heads`,
    `${config}.num_attention_heads`,
  ]);
  say.model('head_dim', `${config}.head_dim`);
  say.modelIs(
    'tie_word_embeddings',
    say.flag(`${config}.tie_word_embeddings`) ?? false,
    `${config}.tie_word_embeddings`,
  );
  if (biased && (mixture || !qwen)) say.modelIs('attention_bias', true, `${config}.attention_bias`);
  if (biased && mixture) say.modelIs('attention_output_bias', false);
}

/** Padded so that each tensor-parallel rank has as many rows. */
function vocabulary(say: Stating): void {
  const key = `${config}.vocab_size`;
  const stated = say.number(key) ?? 32_000;
  const divisor = say.number('model.make_vocab_size_divisible_by') ?? 1;
  const tensor = say.number('parallelism.tp') ?? 1;
  const padded = paddedVocabulary(stated, divisor, tensor);
  say.modelIs('vocab_size', padded, key);
  if (padded !== stated)
    say.assume(key, textOf(padded), `padded from ${stated} to a multiple of ${divisor} x tp ${tensor}`);
}

function experts(say: Stating): void {
  const at = `${config}.moe_config`;
  const width = say.number(`${config}.intermediate_size`) ?? 11_008;
  say.model('num_experts', `${at}.num_experts`);
  say.modelIs('num_experts_per_tok', say.number(`${at}.top_k`) ?? 2, `${at}.top_k`);
  say.modelIs(
    'moe_intermediate_size',
    say.number(`${at}.moe_intermediate_size`) ?? width,
    `${at}.moe_intermediate_size`,
  );
  if (say.flag(`${at}.enable_shared_expert`) === true) {
    const shared = say.number(`${at}.shared_expert_intermediate_size`) ?? width;
    say.modelIs('shared_expert_intermediate_size', shared, `${at}.enable_shared_expert`);
    say.modelIs('shared_expert_gate', true);
  }
  const listed = say.at(`${at}.layers`);
  const layers = Math.min(say.number(`${config}.num_hidden_layers`) ?? 32, 10_000);
  if (!Array.isArray(listed) || listed.includes(-1)) return;
  const chosen = new Set(listed);
  say.modelIs(
    'expert_layers',
    Array.from({ length: layers }, (_, index) => (chosen.has(index) ? 1 : 0)),
    `${at}.layers`,
  );
}

function run(say: Stating): void {
  say.run('sequence_length', 'tokens.sequence_length');
  say.run('micro_batch_size', 'tokens.micro_batch_size');
  say.run('gradient_accumulation', 'tokens.batch_accumulation_per_replica');
  say.run('train_steps', 'tokens.train_steps');
  say.run('data_parallel', 'parallelism.dp');
  say.run('parallelism.tensor', 'parallelism.tp');
  say.run('parallelism.pipeline', 'parallelism.pp');
  say.run('parallelism.context', 'parallelism.context_parallel_size');
  say.run('parallelism.expert', ['parallelism.expert_parallel_size']);
  say.run('parallelism.sequence_parallel', 'parallelism.tp_mode', (mode) => /REDUCE_SCATTER/i.test(textOf(mode)));
  say.run('pipeline_schedule', 'parallelism.pp_engine', (engine) => (engine === '1f1b' ? '1f1b' : 'gpipe'));
  say.byDefault('gradient_accumulation', 1, `batch_accumulation_per_replica of nanotron (${source})`);
}

function memory(say: Stating): void {
  say.run('recompute', 'parallelism.recompute_layer', (on) => (flagOf(on) === true ? 'full' : 'none'));
  say.run('sharding', 'optimizer.zero_stage', (stage) => (Number(textOf(stage)) >= 1 ? 'optimizer' : 'none'));
  say.run('precision', 'model.dtype', dtypeOf);
  say.run('optimizer', 'optimizer.optimizer_factory.name', optimizerOf);
  say.run('gradients_dtype', 'optimizer.accumulate_grad_in_fp32', (on) => (flagOf(on) === false ? 'bf16' : 'fp32'));
  say.byDefault('gradients_dtype', 'fp32', `accumulate_grad_in_fp32 of nanotron is on (${source})`);
  say.byDefault('framework', 'megatron', `the nearest framework to nanotron (${source})`);
  say.byDefault('sharding', 'none', `nanotron shards nothing unless zero_stage says so (${source})`);
  say.byDefault('recompute', 'none', `parallelism.recompute_layer of nanotron is off (${source})`);
}
