import { findModel } from '../../facts/models.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { llamaWidth } from '../shapes.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';

const source = 'torchtune bd2a0fc7';

/** torchtune's YAML: a builder names the model; the first files (2024-01) name it without its module. */
export const torchtune: Format = {
  id: 'torchtune',
  title: 'torchtune YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['model', 'batch_size', 'optimizer'],
    some: [[1, ['tokenizer._component_', 'model._component_', 'tokenizer_checkpoint']]],
    like: [],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const say = stating(file, torchtune.id);
  const key = say.text('model._component_') === undefined ? 'model' : 'model._component_';
  const steps = (say.text(key) ?? '').split('.');
  const builder = steps.at(-1) ?? '';
  const adapter = /^q?(lora|dora)_/.exec(builder)?.[0];
  const bare = builder.slice(adapter?.length ?? 0);
  const type = Object.hasOwn(sized, bare) ? sized[bare] : undefined;
  const name = nameOf(bare, steps.length > 1 ? steps.at(-2) : undefined);
  if (type !== undefined) described(say, type);
  else if (name !== undefined) say.named(name, key);
  else
    throw say.refuse(
      `${key} is "${(say.text(key) ?? '').slice(0, 80)}", which is not a builder that is read; state the model as a config.json.`,
      key,
    );
  if (adapter !== undefined) lora(say, adapter.startsWith('q'));
  run(say, key);
  memory(say, key);
  return say.statement();
}

/** Builders that are no rows of the catalogue, and the published models whose sizes they have. */
const published: readonly (readonly [builder: RegExp, name: (size: string) => string])[] = [
  [/^code_llama2_(7b|13b|70b)$/, (size) => `codellama/CodeLlama-${size}-hf`],
  [/^llama3_3_(70b)$/, (size) => `meta-llama/Llama-3.3-${size.toUpperCase()}-Instruct`],
  [/^smollm2_(135m|360m|1_7b)$/, (size) => `HuggingFaceTB/SmolLM2-${size.replace('_', '.').toUpperCase()}`],
];

/** The name of what a builder builds: `llama3_1_8b` of the module `llama3_1`, which the first files leave out. */
function nameOf(builder: string, module: string | undefined): string | undefined {
  const word = builder.slice(0, 80);
  const preset = `torchtune:${module ?? word.replace(/_\d+b$/, '')}/${word}`;
  if (findModel(preset) !== undefined) return preset;
  for (const [pattern, name] of published) {
    const size = pattern.exec(word)?.[1];
    if (size !== undefined) return name(size);
  }
  return undefined;
}

/** Builders that take sizes as arguments. */
const sized: Readonly<Record<string, string>> = {
  llama2: 'llama',
  llama3: 'llama',
  llama3_1: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
};

const sizes = [
  ['hidden_size', 'embed_dim'],
  ['num_hidden_layers', 'num_layers'],
  ['num_attention_heads', 'num_heads'],
  ['num_key_value_heads', 'num_kv_heads'],
  ['vocab_size', 'vocab_size'],
  ['max_position_embeddings', 'max_seq_len'],
] as const;

function described(say: Stating, type: string): void {
  say.modelIs('model_type', type, 'model._component_');
  for (const [canonical, key] of sizes) say.model(canonical, `model.${key}`);
  const width = say.number('model.intermediate_dim');
  say.modelIs(
    'intermediate_size',
    width ?? llamaWidth(say.number('model.embed_dim') ?? 0),
    width === undefined ? 'model.embed_dim' : 'model.intermediate_dim',
  );
  say.modelIs('tie_word_embeddings', say.flag('model.tie_word_embeddings') ?? false, 'model.tie_word_embeddings');
}

function lora(say: Stating, quantised: boolean): void {
  say.run('lora.rank', 'model.lora_rank');
  say.byDefault('lora.rank', 8, `lora_rank of torchtune (${source})`);
  const attention = say.at('model.lora_attn_modules');
  const named = Array.isArray(attention) ? attention.slice(0, 10).map(textOf) : ['q_proj', 'v_proj'];
  const all = [
    ...named.map((name) => (name === 'output_proj' ? 'o_proj' : name)),
    ...(say.flag('model.apply_lora_to_mlp') === true ? ['gate_proj', 'up_proj', 'down_proj'] : []),
    ...(say.flag('model.apply_lora_to_output') === true ? ['lm_head'] : []),
  ];
  say.runIs('lora.targets', all, 'model.lora_attn_modules');
  if (quantised || say.flag('model.quantize_base') === true) say.runIs('lora.base_bits', 4, 'model._component_');
}

function run(say: Stating, key: string): void {
  say.run('sequence_length', ['tokenizer.max_seq_len', 'dataset.max_seq_len', 'max_seq_len']);
  say.run('micro_batch_size', 'batch_size');
  say.run('gradient_accumulation', 'gradient_accumulation_steps');
  say.byDefault('gradient_accumulation', 1, `gradient_accumulation_steps of torchtune (${source})`);
  say.run('parallelism.tensor', 'tensor_parallel_dim');
  say.run('parallelism.context', 'context_parallel_dim');
  say.run('data_parallel_replicate', 'data_parallel_replicate_dim');
  if (say.number('data_parallel_shard_dim') !== -1) say.run('data_parallel_shard', 'data_parallel_shard_dim');
  say.run('optimizer', ['optimizer._component_', 'optimizer'], optimizerOf);
  const alone = /single_device/.test(say.text('output_dir') ?? '');
  if (alone) say.runIs('gpus', 1, 'output_dir');
  say.byDefault('framework', 'fsdp', `torchtune shards with PyTorch's FSDP2 (${source})`);
  const sharded = !alone && say.flag('fsdp') !== false;
  say.byDefault(
    'sharding',
    sharded ? 'full' : 'none',
    `torchtune's recipe for ${sharded ? 'several GPUs' : 'one GPU'} (${key}, ${source})`,
  );
}

/** In bf16 everything is: weights, gradients and states, with no copy in fp32. */
function memory(say: Stating, key: string): void {
  const dtype = dtypeOf(say.text('dtype') ?? 'bf16');
  const from = say.at('dtype') === undefined ? key : 'dtype';
  say.runIs('precision', say.flag('enable_fp8_training') === true ? 'fp8' : dtype, from);
  for (const field of ['weights_dtype', 'gradients_dtype', 'optimizer_dtype'] as const) say.runIs(field, dtype, from);
  say.runIs('master_weights', false, from);
  const checkpointing = ['enable_activation_checkpointing', 'activation_checkpointing'];
  say.run('recompute', checkpointing, (on) => (flagOf(on) === true ? 'full' : 'none'));
  say.byDefault('recompute', 'none', `enable_activation_checkpointing of torchtune is off (${source})`);
  if (say.flag('enable_activation_offloading') === true)
    say.runIs('offload', 'activations', 'enable_activation_offloading');
  if (say.flag('fsdp_cpu_offload') === true) say.runIs('offload', 'parameters', 'fsdp_cpu_offload');
  say.run('reshard_after_forward', 'fsdp_reshard_after_forward', flagOf);
  say.run('compile', 'compile', (on) => (typeof on === 'object' ? true : flagOf(on)));
  say.byDefault('compile', false, `compile of torchtune is off (${source})`);
  const chunked = /Chunked|LinearCrossEntropy/.test(say.text('loss._component_') ?? '');
  if (chunked) say.runIs('loss_chunks', 8, 'loss._component_');
}
