import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { roundedUp } from '../shapes.ts';
import { optimizerOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';

const source = 'litgpt 26857050';

/** litgpt's runs: a model by its name or its sizes, from scratch or from a checkpoint's folder. */
export const litgpt: Format = {
  id: 'litgpt',
  title: 'litgpt YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['train'],
    some: [
      [1, ['train.micro_batch_size', 'train.global_batch_size', 'train.max_tokens']],
      [1, ['model_name', 'model_config', 'checkpoint_dir']],
    ],
  },
  states,
};

/** litgpt's `model_config.yaml`, which stands beside each checkpoint. */
export const litgptModel: Format = {
  id: 'litgpt-model',
  title: 'litgpt model_config.yaml',
  syntaxes: ['yaml', 'json'],
  signature: {
    has: ['n_layer', 'n_embd'],
    some: [[1, ['padded_vocab_size', 'padding_multiple', 'mlp_class_name', 'norm_class_name', 'n_query_groups']]],
    not: ['model_type', 'train'],
  },
  states: (file) => {
    const say = stating(file, litgptModel.id);
    sizes(say, '');
    return say.statement();
  },
};

function states(file: ParsedFile): Statement {
  const say = stating(file, litgpt.id);
  const folder = say.text('checkpoint_dir');
  const name = say.text('model_name');
  if (folder !== undefined) say.named(folder.split('/').filter(Boolean).slice(-2).join('/'), 'checkpoint_dir');
  else if (typeof say.at('model_config') === 'object') sizes(say, 'model_config.');
  else if (name !== undefined) say.named(`litgpt:${name}`, 'model_name');
  else throw say.refuse('model_name and model_config are missing, so no model is known.', 'train');
  const fromScratch = folder === undefined;
  batch(say);
  adapters(say);
  memory(say, fromScratch);
  return say.statement();
}

function sizes(say: Stating, at: string): void {
  const mlp = say.text(`${at}mlp_class_name`) ?? 'GptNeoxMLP';
  const embedding = say.number(`${at}n_embd`) ?? 0;
  say.modelIs('model_type', decoderType);
  say.model('hidden_size', `${at}n_embd`);
  say.model('num_hidden_layers', `${at}n_layer`);
  say.model('num_attention_heads', `${at}n_head`);
  say.model('num_key_value_heads', `${at}n_query_groups`);
  say.model('head_dim', `${at}head_size`);
  say.model('max_position_embeddings', `${at}block_size`);
  const key = `${at}intermediate_size`;
  if (say.number(key) === undefined && mlp !== 'GptNeoxMLP')
    throw say.refuse(`${key} is missing, which litgpt demands of ${mlp}.`, `${at}mlp_class_name`);
  say.modelIs('intermediate_size', say.number(key) ?? 4 * embedding, key);
  vocabulary(say, at);
  block(say, at, mlp);
  if (mlp === 'LLaMAMoE') experts(say, at);
}

function vocabulary(say: Stating, at: string): void {
  if (say.number(`${at}padded_vocab_size`) !== undefined) {
    say.model('vocab_size', `${at}padded_vocab_size`);
    return;
  }
  const stated = say.number(`${at}vocab_size`) ?? 50_254;
  const padded = roundedUp(stated, say.number(`${at}padding_multiple`) ?? 512);
  say.modelIs('vocab_size', padded, `${at}vocab_size`);
  say.assume(`${at}padded_vocab_size`, textOf(padded), `vocab_size ${stated}, rounded up as litgpt does (${source})`);
}

function block(say: Stating, at: string, mlp: string): void {
  const bias = say.flag(`${at}bias`) ?? true;
  const rms = say.text(`${at}norm_class_name`) === 'RMSNorm';
  say.modelIs('normalization', rms ? 'rms' : 'layer', `${at}norm_class_name`);
  const parallel = say.flag(`${at}parallel_residual`) ?? true;
  const shared = say.flag(`${at}shared_attention_norm`) === true;
  const sandwich = say.flag(`${at}post_attention_norm`) === true;
  say.modelIs(
    'norm_plan',
    parallel ? (shared ? 'single' : 'double') : sandwich ? 'sandwich' : 'pre',
    `${at}parallel_residual`,
  );
  say.modelIs('gated', mlp !== 'GptNeoxMLP', `${at}mlp_class_name`);
  say.modelIs('hidden_act', /^(LLaMA)/.test(mlp) ? 'silu' : 'gelu', `${at}mlp_class_name`);
  say.modelIs('mlp_bias', bias, `${at}bias`);
  say.modelIs('attention_bias', bias || say.flag(`${at}attn_bias`) === true, `${at}bias`);
  say.modelIs('attention_output_bias', bias, `${at}bias`);
  say.modelIs('output_bias', say.flag(`${at}lm_head_bias`) ?? false, `${at}lm_head_bias`);
  if (say.flag(`${at}norm_qk`) === true)
    say.modelIs('qk_norm', say.text(`${at}norm_qk_type`) === 'olmo2' ? 'width' : 'head', `${at}norm_qk`);
  if (say.flag('train.tie_embeddings') === true) say.modelIs('tie_word_embeddings', true, 'train.tie_embeddings');
}

function experts(say: Stating, at: string): void {
  say.model('num_experts', `${at}n_expert`);
  say.model('num_experts_per_tok', `${at}n_expert_per_token`);
  say.model('moe_intermediate_size', [`${at}moe_intermediate_size`, `${at}intermediate_size`]);
  const shared = say.number(`${at}n_shared_expert`) ?? 0;
  if (shared > 0)
    say.modelIs(
      'shared_expert_intermediate_size',
      shared * (say.number(`${at}moe_intermediate_size`) ?? 0),
      `${at}n_shared_expert`,
    );
  const dense = say.number(`${at}first_k_dense_replace`) ?? 0;
  const layers = Math.min(say.number(`${at}n_layer`) ?? 0, 10_000);
  if (dense > 0)
    say.modelIs(
      'expert_layers',
      Array.from({ length: layers }, (_, index) => (index < dense ? 0 : 1)),
    );
}

function batch(say: Stating): void {
  say.run('sequence_length', ['train.max_seq_length', 'model_config.block_size']);
  say.run('micro_batch_size', 'train.micro_batch_size');
  say.run('global_batch_size', 'train.global_batch_size');
  say.run('tokens', 'train.max_tokens');
  say.run('train_steps', 'train.max_steps');
  say.run('gpus_per_node', 'devices');
  say.run('nodes', 'num_nodes');
  say.run('optimizer', ['optimizer.class_path', 'optimizer'], optimizerOf);
  if (say.at('devices') === 'auto') say.runIs('gpus', 'auto', 'devices');
  else say.byDefault('nodes', 1, `num_nodes of litgpt (${source})`);
  say.byDefault('optimizer', 'adamw', `optimizer of litgpt (${source})`);
}

const targets = [
  ['lora_query', ['q_proj'], true],
  ['lora_key', ['k_proj'], false],
  ['lora_value', ['v_proj'], true],
  ['lora_projection', ['o_proj'], false],
  ['lora_mlp', ['gate_proj', 'up_proj', 'down_proj'], false],
  ['lora_head', ['lm_head'], false],
] as const;

function adapters(say: Stating): void {
  if (say.number('lora_r') === undefined) return;
  say.run('lora.rank', 'lora_r');
  const named = targets.flatMap(([key, names, absent]) => ((say.flag(key) ?? absent) ? names : []));
  say.runIs('lora.targets', named, 'lora_query');
  say.run('lora.base_bits', 'quantize', (kind) =>
    /nf4|fp4/.test(textOf(kind)) ? 4 : /int8/.test(textOf(kind)) ? 8 : 16,
  );
}

function memory(say: Stating, fromScratch: boolean): void {
  const precision = say.text('precision') ?? 'bf16-mixed';
  const word = /^bf16/.test(precision) ? 'bf16' : /^16/.test(precision) ? 'fp16' : 'fp32';
  say.runIs('precision', word, 'precision');
  // `true` keeps weights, gradients and states in it, with no copy in fp32.
  if (/-true$/.test(precision) && word !== 'fp32') {
    for (const field of ['weights_dtype', 'gradients_dtype', 'optimizer_dtype'] as const)
      say.runIs(field, word, 'precision');
    say.runIs('master_weights', false, 'precision');
  }
  const one = say.number('devices') === 1 && (say.number('num_nodes') ?? 1) === 1;
  const devices = say.number('devices') ?? 0;
  say.byDefault('framework', 'fsdp', `litgpt shards with PyTorch's FSDP (${source})`);
  say.byDefault(
    'sharding',
    one ? 'none' : 'full',
    `litgpt ${one ? 'shards nothing on one device' : 'shards everything'} (${source})`,
  );
  if (fromScratch && devices > 1 && (say.number('num_nodes') ?? 1) > 1)
    say.byDefault('shard_group', devices, `pretraining shards within a node, HYBRID_SHARD (${source})`);
  const recomputes = !fromScratch && !one;
  say.byDefault(
    'recompute',
    recomputes ? 'full' : 'none',
    `${recomputes ? 'fine-tuning over several devices recomputes every block' : 'nothing is recomputed'} (${source})`,
  );
  say.byDefault(
    'compile',
    fromScratch,
    `${fromScratch ? 'pretraining compiles the model' : 'fine-tuning does not compile'} (${source})`,
  );
}
