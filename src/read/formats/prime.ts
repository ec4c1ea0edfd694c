import type { Statement } from '../../model/statement.ts';
import type { Format, ParsedFile } from '../format.ts';
import { llamaWidth } from '../shapes.ts';
import { optimizerOf, shardingOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';

const source = 'prime 006b3f67';

/** Prime Intellect's TOML: prime-rl's supervised files, and those of prime before it. */
export const prime: Format = {
  id: 'prime',
  title: 'prime TOML',
  syntaxes: ['toml'],
  signature: {
    some: [
      [1, ['model.name', 'trainer.model.name', 'name_model', 'model_name']],
      [1, ['train.micro_bs', 'data.seq_len', 'data.batch_size', 'trainer.model', 'orchestrator', 'deployment']],
    ],
    not: ['model.flavor', 'training'],
  },
  states,
};

function states(file: ParsedFile): Statement {
  const say = stating(file, prime.id);
  const preset = say.text('name_model');
  if (preset === undefined) named(say);
  else shape(say, preset);
  if (say.at('train') !== undefined || preset !== undefined) first(say);
  else current(say);
  say.byDefault('framework', 'fsdp', `prime shards with PyTorch's FSDP2 (${source})`);
  say.byDefault('optimizer', 'adamw', `prime's optimizer (${source})`);
  say.byDefault('precision', 'bf16', `prime computes in bf16 (${source})`);
  return say.statement();
}

function named(say: Stating): void {
  const key = ['model.name', 'trainer.model.name', 'model_name'].find((one) => say.text(one) !== undefined);
  if (key === undefined) throw say.refuse('model.name is missing, so no model is known.');
  say.named(say.text(key) ?? '', key);
}

type Shape = readonly [dim: number, layers: number, heads: number, keyValueHeads?: number, times?: number, of?: number];

const llama2: Readonly<Record<string, Shape>> = {
  debugmodel: [256, 2, 8],
  '150M': [1024, 12, 16],
  '271M': [1024, 16, 8],
  '1B': [2048, 18, 16],
  '7B': [4096, 32, 32],
  '10B': [5120, 32, 40],
  '13B': [5120, 40, 40],
  '26B': [5120, 80, 40],
  '70B': [8192, 80, 64, 8, 1.3, 4096],
};

const llama3: Readonly<Record<string, Shape>> = {
  debugmodel: [256, 8, 16],
  '1B': [2048, 18, 16, 8, 1.3, 512],
  '8B': [4096, 32, 32, 8, 1.3, 1024],
  '10B': [4096, 42, 32, 8, 1.3, 1024],
  '70B': [8192, 80, 64, 8, 1.3, 4096],
  '405B': [16_384, 126, 128, 8, 1.2, 4096],
};

/** A size of prime's own tables; what `type_model` leaves open is Llama 2, as it was when these files were written. */
function shape(say: Stating, name: string): void {
  const stated = say.text('type_model');
  const second = (stated ?? 'llama2') === 'llama2' && Object.hasOwn(llama2, name);
  const found = second ? llama2[name] : Object.hasOwn(llama3, name) ? llama3[name] : undefined;
  if (found === undefined)
    throw say.refuse(`name_model is "${name.slice(0, 40)}", which is not a size of prime's.`, 'name_model');
  const [dim, layers, heads, keyValueHeads = heads, times, of = 256] = found;
  say.modelIs('model_type', 'llama', 'name_model');
  say.modelIs('hidden_size', dim, 'name_model');
  say.modelIs('num_hidden_layers', layers, 'name_model');
  say.modelIs('num_attention_heads', heads, 'name_model');
  say.modelIs('num_key_value_heads', keyValueHeads, 'name_model');
  say.modelIs('intermediate_size', llamaWidth(dim, of, times), 'name_model');
  say.modelIs('tie_word_embeddings', false);
  const vocabulary = second ? 32_000 : 128_256;
  say.modelIs('vocab_size', vocabulary);
  say.assume(
    'name_model',
    `${name} of Llama ${second ? 2 : 3}, ${vocabulary} rows`,
    `${stated === undefined ? 'type_model is not stated; ' : ''}sizes and tokenizer of ${source}`,
  );
}

/** prime, 2024 to 2025-05. */
function first(say: Stating): void {
  say.run('micro_batch_size', 'train.micro_bs');
  say.run('global_batch_size', 'optim.batch_size');
  say.run('train_steps', 'optim.total_steps');
  say.run('sequence_length', 'data.seq_length');
  say.run('sharding', 'train.sharding_strategy', shardingOf);
  say.run('reshard_after_forward', 'train.reshard_after_forward', flagOf);
  say.run('recompute', ['train.ac_ckpt', 'train.activation_checkpointing'], recompute);
  const each = say.number('train.ac_ckpt') ?? 1;
  if (each > 1) {
    say.runIs('recompute_method', 'every', 'train.ac_ckpt');
    say.runIs('recompute_layers', each, 'train.ac_ckpt');
  }
  say.run('compile', 'train.torch_compile', flagOf);
  say.run('optimizer', ['optim.optim.type', 'optim.type'], optimizerOf);
  say.byDefault('sequence_length', 1024, `data.seq_length of prime (${source})`);
  say.byDefault('global_batch_size', 512, `optim.batch_size of prime (${source})`);
  say.byDefault('sharding', 'full', `prime divides all states (${source})`);
  say.byDefault('recompute', 'none', `train.ac_ckpt of prime is off (${source})`);
  say.byDefault('compile', true, `train.torch_compile of prime is on (${source})`);
}

/** `ac_ckpt` is yes, no, or every how many layers. */
const recompute = (value: unknown): string => (value === false || value === 0 ? 'none' : 'full');

/** prime-rl's supervised training; the trainer of a reinforcement run stands one level deeper. */
function current(say: Stating): void {
  const keys = (name: string) => [name, `trainer.${name}`];
  say.run('sequence_length', ['data.seq_len', 'trainer.model.seq_len', 'model.seq_len', 'seq_len']);
  say.run('micro_batch_size', ['data.micro_batch_size', 'trainer.data.micro_batch_size']);
  say.run('global_batch_size', ['data.batch_size', 'orchestrator.batch_size', 'batch_size']);
  say.run('train_steps', ['max_steps', 'trainer.max_steps']);
  say.run('parallelism.context', keys('model.cp'));
  say.run('parallelism.expert', keys('model.ep'));
  say.run('data_parallel_replicate', keys('model.dp_replicate'));
  say.run('reshard_after_forward', keys('model.reshard_after_forward'), flagOf);
  say.run('optimizer', keys('optim.type'), optimizerOf);
  say.run('lora.rank', keys('model.lora.rank'));
  gpus(say);
  const checkpointing = keys('model.ac').find((key) => say.at(key) !== undefined);
  if (checkpointing !== undefined)
    say.runIs('recompute', flagOf(say.at(checkpointing)) === false ? 'none' : 'full', checkpointing);
  say.byDefault('recompute', 'full', `model.ac of prime-rl is on (${current2026})`);
  say.run('offload', keys('model.optim_cpu_offload'), (on) => (flagOf(on) === false ? 'none' : 'optimizer'));
  say.byDefault('offload', 'optimizer', `model.optim_cpu_offload of prime-rl is on (${current2026})`);
  say.byDefault('micro_batch_size', 1, `data.micro_batch_size of prime-rl (${current2026})`);
  say.byDefault('global_batch_size', 128, `data.batch_size of prime-rl (${current2026})`);
  say.byDefault('sequence_length', 2048, `model.seq_len of prime-rl (${current2026})`);
  say.byDefault('sharding', 'full', `prime-rl divides all states with FSDP2 (${current2026})`);
}

const current2026 = 'prime-rl 559b4477';

/** GPUs that train; those that generate do not count. */
function gpus(say: Stating): void {
  say.run('nodes', 'deployment.num_train_nodes');
  say.run('gpus_per_node', 'deployment.gpus_per_node');
  if (say.at('deployment.num_train_nodes') === undefined) {
    say.run('gpus', 'deployment.num_train_gpus');
    if (say.at('deployment') !== undefined)
      say.byDefault('gpus', 1, `deployment.num_train_gpus of prime-rl (${current2026})`);
  }
}
