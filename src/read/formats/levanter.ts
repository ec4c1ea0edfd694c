import type { Keys, Statement } from '../../model/statement.ts';
import { isDictionary, own, textOf } from '../../text/fields.ts';
import type { Beside, Format, ParsedFile } from '../format.ts';
import { pathInside } from '../gather.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';
import { vocabularyOf } from '../vocabulary.ts';

const source = 'Levanter 9263f81e';

/** Levanter's YAML, as Marin writes it too. */
export const levanter: Format = {
  id: 'levanter',
  title: 'Levanter YAML',
  syntaxes: ['yaml'],
  signature: {
    has: ['trainer'],
    some: [
      [
        1,
        [
          'trainer.train_batch_size',
          'trainer.per_device_parallelism',
          'trainer.per_device_train_batch_size',
          'trainer.model_axis_size',
          'trainer.mp',
          'trainer.fsdp_axis',
        ],
      ],
      [1, ['model.type', 'model.hidden_dim', 'initialize_from_hf']],
    ],
    not: ['trainer.devices', 'model.tensor_model_parallel_size'],
  },
  states,
};

function states(file: ParsedFile, beside: Beside): Statement {
  const say = stating(file, levanter.id);
  const initial = say.text('initialize_from_hf');
  if (say.flag('use_hf_model_config') === true && initial !== undefined) say.named(initial, 'initialize_from_hf');
  else {
    sizes(say);
    vocabulary(say, file, beside);
  }
  run(say);
  return say.statement();
}

/** Sizes of Levanter's classes where the file leaves them out. */
const classes: Readonly<Record<string, { readonly type: string; readonly sizes?: Keys }>> = {
  gpt2: { type: 'gpt2', sizes: { hidden_dim: 768, num_layers: 12, num_heads: 12, seq_len: 512, mlp_scale: 4 } },
  llama: { type: 'llama', sizes: llamaSizes(11_008, 32) },
  mistral: { type: 'llama', sizes: llamaSizes(14_336, 8) },
  mixtral: { type: 'mixtral', sizes: { ...llamaSizes(14_336, 8), n_routed_experts: 8, num_experts_per_tok: 2 } },
  qwen: { type: 'qwen2' },
  qwen2: { type: 'qwen2' },
  qwen3: { type: 'qwen3' },
  gemma: { type: 'gemma' },
  gemma2: { type: 'gemma2' },
  gemma3: { type: 'gemma3_text' },
  olmo: { type: 'olmo' },
  olmo2: { type: 'olmo2' },
};

function llamaSizes(intermediate: number, keyValueHeads: number): Keys {
  return {
    hidden_dim: 4096,
    intermediate_dim: intermediate,
    num_layers: 32,
    num_heads: 32,
    num_kv_heads: keyValueHeads,
    seq_len: 2048,
  };
}

const ofLlama = [
  ['hidden_size', 'hidden_dim'],
  ['intermediate_size', 'intermediate_dim'],
  ['num_hidden_layers', 'num_layers'],
  ['num_attention_heads', 'num_heads'],
  ['num_key_value_heads', 'num_kv_heads'],
  ['head_dim', 'head_dim'],
  ['max_position_embeddings', 'seq_len'],
  ['num_local_experts', 'n_routed_experts'],
  ['num_experts_per_tok', 'num_experts_per_tok'],
  ['attention_bias', 'use_bias'],
] as const;

const ofGpt2 = [
  ['n_embd', 'hidden_dim'],
  ['n_layer', 'num_layers'],
  ['n_head', 'num_heads'],
  ['n_positions', 'seq_len'],
] as const;

function sizes(say: Stating): void {
  const type = say.text('model.type') ?? 'gpt2';
  const known = Object.hasOwn(classes, type) ? classes[type] : undefined;
  if (known === undefined)
    throw say.refuse(
      `model.type is "${type.slice(0, 40)}", which is not read of Levanter; state the model as a config.json.`,
      'model.type',
    );
  say.modelIs('model_type', known.type, 'model.type');
  for (const [canonical, key] of type === 'gpt2' ? ofGpt2 : ofLlama) {
    say.model(canonical, `model.${key}`);
    const absent = known.sizes?.[key];
    if (say.at(`model.${key}`) !== undefined || absent === undefined) continue;
    say.modelIs(canonical, absent);
    say.assume(`model.${key}`, textOf(absent), `what Levanter's ${type} takes where the file does not say (${source})`);
  }
  for (const key of ['hidden_dim', 'num_layers', 'num_heads'])
    if (say.at(`model.${key}`) === undefined && known.sizes === undefined)
      throw say.refuse(`model.${key} is missing, and Levanter's own value for ${type} is not known.`, 'model.type');
  if (type === 'gpt2') {
    const hidden = say.number('model.hidden_dim') ?? 768;
    say.modelIs('n_inner', (say.number('model.mlp_scale') ?? 4) * hidden, 'model.mlp_scale');
  }
  const tied = type === 'gpt2' || type.startsWith('gemma');
  say.modelIs('tie_word_embeddings', say.flag('model.tie_word_embeddings') ?? tied, 'model.tie_word_embeddings');
}

/** The tokenizer of the data, which may stand in a file that is included. */
function vocabulary(say: Stating, file: ParsedFile, beside: Beside): void {
  const included = say.at('data');
  const path = typeof included === 'string' ? pathInside(`./${included}`, file.path) : undefined;
  const data = path === undefined ? undefined : beside(path)?.source.value;
  const inside = isDictionary(data) && typeof data['tokenizer'] === 'string' ? data['tokenizer'] : undefined;
  const key = ['data.tokenizer', 'tokenizer'].find((one) => say.text(one) !== undefined);
  const name = key === undefined ? inside : say.text(key);
  const entries = vocabularyOf(name ?? 'gpt2');
  if (entries === undefined)
    throw say.refuse(
      `The vocabulary is that of the tokenizer "${(name ?? '').slice(0, 80)}", whose size is not known; add \`base_models\` with its config.json to the policy, or state the model as one.`,
      key ?? 'data',
    );
  say.modelIs('vocab_size', entries, key);
  say.assume(
    'vocab_size',
    textOf(entries),
    name === undefined ? `Levanter's tokenizer is gpt2 where the file names none (${source})` : `entries of ${name}`,
  );
}

function run(say: Stating): void {
  say.run('sequence_length', ['max_seq_len', 'model.seq_len']);
  say.run('micro_batch_size', ['trainer.per_device_parallelism', 'trainer.per_device_train_batch_size']);
  const batch = lastOf(say);
  if (typeof batch === 'number') say.runIs('global_batch_size', batch, 'trainer.train_batch_size');
  else if (batch === undefined && say.at('trainer.per_device_train_batch_size') === undefined)
    say.byDefault('global_batch_size', 512, `trainer.train_batch_size of Levanter (${source})`);
  // -1: the whole batch at once.
  if ((say.number('trainer.per_device_parallelism') ?? -1) === -1)
    say.byDefault('gradient_accumulation', 1, `per_device_parallelism of Levanter is the whole batch (${source})`);
  say.run('train_steps', 'trainer.num_train_steps');
  say.run('parallelism.tensor', 'trainer.model_axis_size');
  say.run('optimizer', 'optimizer.type', (type) => (type === 'adam' ? 'adamw' : optimizerOf(type)));
  precision(say);
  const kept = say.flag('model.gradient_checkpointing') === false;
  if (say.at('model.gradient_checkpointing') !== undefined)
    say.runIs('recompute', kept ? 'none' : 'full', 'model.gradient_checkpointing');
  say.byDefault('recompute', 'full', `gradient_checkpointing of Levanter is on (${source})`);
  say.byDefault('optimizer', 'adamw', `optimizer.type of Levanter is adam, which is optax's adamw (${source})`);
  say.byDefault('framework', 'fsdp', 'the nearest framework to Levanter, which shards weights over its fsdp axis');
  say.byDefault('sharding', 'full', `fsdp_axis of Levanter is embed (${source})`);
  say.byDefault('compile', true, 'XLA compiles the whole step');
}

/** Sequences of a step; of a schedule the last stage, which is what most of the training has. */
function lastOf(say: Stating): unknown {
  const key = 'trainer.train_batch_size';
  const stated = say.at(key);
  const last = Array.isArray(stated) ? stated.at(-1) : undefined;
  if (!isDictionary(last)) return stated;
  const value = own(last, 'value');
  say.warn(`${key} is a schedule; the figures are those of its last stage.`, key);
  return value;
}

/** `p=f32,c=bfloat16`: what weights are kept in and what is computed in. */
function precision(say: Stating): void {
  const policy = say.text('trainer.mp') ?? '';
  const parts = new Map(
    policy
      .slice(0, 200)
      .split(',')
      .map((part) => [part.split('=')[0] ?? '', part.split('=')[1]] as const),
  );
  const compute = parts.get('c') ?? parts.get('compute') ?? (policy.includes('=') ? undefined : policy);
  const weights = parts.get('p') ?? parts.get('params');
  if (compute !== undefined && compute !== '') say.runIs('precision', dtypeOf(compute), 'trainer.mp');
  else say.run('precision', 'dtype', dtypeOf);
  if (weights !== undefined && dtypeOf(weights) === 'bf16') {
    say.runIs('weights_dtype', 'bf16', 'trainer.mp');
    say.runIs('master_weights', false, 'trainer.mp');
  }
}
