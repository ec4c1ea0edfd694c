import { tokenizerEntries } from '../../facts/tokenizers.ts';
import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { paddedVocabulary, roundedUp } from '../shapes.ts';
import { dtypeOf, optimizerOf, shardingOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';

const source = 'GPT-NeoX ea7aefd8';

/** Both spellings of a key: GPT-NeoX takes `-` for `_`. */
const both = (...keys: readonly string[]): readonly string[] =>
  keys.flatMap((key) => (key.includes('_') ? [key, key.replaceAll('_', '-')] : [key]));

/** GPT-NeoX's YAML (mostly flow maps with comments): Megatron's model, DeepSpeed's engine. */
export const gptNeox: Format = {
  id: 'gpt-neox',
  title: 'GPT-NeoX YAML',
  syntaxes: ['yaml'],
  signature: {
    some: [
      [1, both('num_layers')],
      [1, both('hidden_size')],
      [
        1,
        both(
          'pipe_parallel_size',
          'model_parallel_size',
          'pos_emb',
          'gpt_j_residual',
          'attention_config',
          'zero_optimization',
          'train_micro_batch_size_per_gpu',
        ),
      ],
    ],
    not: ['model', 'model_type', 'trainer', 'language_model', 'tensor_model_parallel_size'],
  },
  states,
};

/** A file under keys with `_`, whichever it uses. */
type Neox = {
  readonly say: Stating;
  readonly key: (name: string) => string;
  readonly number: (name: string, absent: number) => number;
  readonly flag: (name: string, absent: boolean) => boolean;
  readonly text: (name: string, absent: string) => string;
};

function states(file: ParsedFile): Statement {
  const say = stating(file, gptNeox.id);
  const key = (name: string) => both(name).find((one) => say.at(one) !== undefined) ?? name;
  const neox: Neox = {
    say,
    key,
    number: (name, absent) => say.number(key(name)) ?? absent,
    flag: (name, absent) => say.flag(key(name)) ?? absent,
    text: (name, absent) => say.text(key(name)) ?? absent,
  };
  if (/mamba|rwkv/.test(JSON.stringify(say.at(key('attention_config')) ?? '').slice(0, 5000)))
    throw say.refuse(
      'GPT-NeoX’s Mamba and RWKV layers are not read; state the model as a config.json.',
      key('attention_config'),
    );
  sizes(neox);
  block(neox);
  experts(neox);
  vocabulary(neox);
  spread(neox);
  batch(neox);
  memory(neox);
  return say.statement();
}

function sizes({ say, key, flag }: Neox): void {
  say.modelIs('model_type', decoderType);
  for (const [canonical, name] of [
    ['num_hidden_layers', 'num_layers'],
    ['hidden_size', 'hidden_size'],
    ['num_attention_heads', 'num_attention_heads'],
    ['num_key_value_heads', 'num_kv_heads'],
  ] as const)
    say.model(canonical, key(name));
  say.model('max_position_embeddings', [key('max_position_embeddings'), key('seq_length')]);
  say.modelIs('tie_word_embeddings', !flag('no_weight_tying', false), key('no_weight_tying'));
}

const gatedActivations = /^(geglu|reglu|swiglu|bilinear)$/;

function block(neox: Neox): void {
  const { say, key, flag, text } = neox;
  const norm = text('norm', 'layernorm');
  const bias = flag('use_bias_in_norms', true);
  say.modelIs(
    'normalization',
    /rms/.test(norm) ? 'rms' : /non_parametric/.test(norm) ? 'none' : bias ? 'layer' : 'layer_without_bias',
    key('norm'),
  );
  const position = text('pos_emb', 'learned');
  say.modelIs(
    'positions',
    position === 'rotary' ? 'rope' : position === 'learned' ? 'learned' : 'none',
    key('pos_emb'),
  );
  const parallel = flag('gpt_j_residual', false);
  say.modelIs('norm_plan', parallel ? (flag('gpt_j_tied', false) ? 'single' : 'double') : 'pre', key('gpt_j_residual'));
  const attentionBias = flag('use_bias_in_attn_linear', true);
  say.modelIs('attention_bias', attentionBias, key('use_bias_in_attn_linear'));
  if (flag('use_qk_layernorm', false)) say.modelIs('qk_norm', 'head', key('use_qk_layernorm'));
  feedForward(neox);
}

/**
 * The width has had three meanings (`intermediate_size` came in 2024-09). With `mlp_type: llama` it is two thirds of 4 x hidden,
 * rounded up to 256, without biases, whatever the file says. Without it, a gated block gets a third of `intermediate_size`: two
 * thirds are the first product's columns, of which each half is one side.
 */
function feedForward({ say, key, number, flag, text }: Neox): void {
  const hidden = number('hidden_size', 0);
  const llama = text('mlp_type', '') === 'llama';
  const activation = text('activation', 'gelu');
  const gated = llama || gatedActivations.test(activation);
  say.modelIs('gated', gated, key(llama ? 'mlp_type' : 'activation'));
  say.modelIs(
    'hidden_act',
    /silu|swi/.test(activation) ? 'silu' : /relu|reglu/.test(activation) ? 'relu' : 'gelu',
    key('activation'),
  );
  say.modelIs('mlp_bias', llama ? false : flag('use_bias_in_mlp', true), key('use_bias_in_mlp'));
  const stated = number('intermediate_size', 0) || Math.floor(number('expansion_factor', 0) * hidden) || 4 * hidden;
  const multiple = Math.max(1, number('mlp_multiple_of', 1));
  const width = llama
    ? roundedUp(Math.floor((8 * hidden) / 3), 256)
    : gated
      ? roundedUp(Math.floor(Math.floor((stated * 2) / 3) / 2), multiple)
      : roundedUp(stated, multiple);
  const from = ['intermediate_size', 'expansion_factor', 'hidden_size']
    .map(key)
    .find((one) => say.at(one) !== undefined);
  say.modelIs('intermediate_size', width, from);
  if (gated)
    say.assume(
      from ?? 'hidden_size',
      `a feed-forward of ${width}`,
      llama
        ? 'mlp_type llama: two thirds of 4 x hidden_size, rounded up to 256 (GPT-NeoX before 2024-09)'
        : `a gated block gets a third of ${stated} (GPT-NeoX since 2024-09)`,
    );
}

function experts({ say, key, number }: Neox): void {
  const count = number('moe_num_experts', 1);
  if (count <= 1) return;
  say.modelIs('num_experts', count, key('moe_num_experts'));
  say.modelIs('num_experts_per_tok', number('moe_top_k', 1), key('moe_top_k'));
  say.modelIs('expert_bias', false);
  say.assume('expert_bias', 'false', 'experts of GPT-NeoX are MegaBlocks’, which have no biases');
  const interval = Math.max(1, number('moe_expert_interval', 1));
  const layers = Math.min(number('num_layers', 0), 10_000);
  say.modelIs(
    'expert_layers',
    Array.from({ length: layers }, (_, index) => (index % interval === 0 ? 1 : 0)),
  );
}

/** The file says no vocabulary; its tokenizer does. */
function vocabulary({ say, key, number, text, flag }: Neox): void {
  const from = ['vocab_file', 'tokenizer_type']
    .map(key)
    .find((one) => tokenizerEntries(say.text(one) ?? '') !== undefined);
  // Files of Llama's block name no tokenizer, since another file of the command line does.
  const llama = /rms/.test(text('norm', '')) && !flag('use_bias_in_norms', true);
  const entries = from === undefined ? (llama ? 32_000 : 50_257) : (tokenizerEntries(say.text(from) ?? '') ?? 0);
  const divisor = number('make_vocab_size_divisible_by', 128);
  const padded = paddedVocabulary(entries, divisor, number('model_parallel_size', 1));
  say.modelIs('vocab_size', padded, from ?? key('make_vocab_size_divisible_by'));
  const named = from === undefined ? (llama ? 'Llama 2' : 'GPT-2') : (say.text(from) ?? '').slice(-60);
  say.assume(
    'vocab_size',
    textOf(padded),
    `${entries} entries of the tokenizer ${named}${from === undefined ? ', since the file names none that is known' : ''}, padded to a multiple of ${divisor} x model_parallel_size`,
  );
}

function spread({ say, key, number }: Neox): void {
  say.run('parallelism.pipeline', key('pipe_parallel_size'), (size) => Math.max(1, Number(textOf(size))));
  say.run('parallelism.tensor', key('model_parallel_size'), (size) => Math.max(1, Number(textOf(size))));
  say.run('parallelism.sequence_parallel', key('sequence_parallel'), flagOf);
  say.byDefault('parallelism.sequence_parallel', false, `sequence_parallel of GPT-NeoX (${source})`);
  if (number('moe_num_experts', 1) > 1) say.run('parallelism.expert', key('moe_expert_parallel_size'));
  say.run('gpus', key('global_num_gpus'));
  say.run('nodes', key('num_nodes'));
  say.run('gpus_per_node', key('num_gpus'));
  say.byDefault('framework', 'deepspeed', `GPT-NeoX trains with DeepSpeed's engine (${source})`);
}

function batch({ say, key }: Neox): void {
  say.run('sequence_length', key('seq_length'));
  say.run('micro_batch_size', [key('train_micro_batch_size_per_gpu'), key('batch_size')]);
  say.run('global_batch_size', key('train_batch_size'));
  say.run('gradient_accumulation', [key('gradient_accumulation_steps'), key('gas')]);
  say.run('train_steps', key('train_iters'));
}

function memory({ say, key, flag }: Neox): void {
  say.run('sharding', ['zero_optimization.stage', key('zero_stage')], shardingOf);
  say.byDefault('sharding', 'none', `zero_optimization.stage of GPT-NeoX is 0 (${source})`);
  if (flag('checkpoint_activations', false)) {
    say.runIs('recompute', 'full', key('checkpoint_activations'));
    say.run('recompute_layers', key('checkpoint_num_layers'));
  } else say.runIs('recompute', 'none', key('checkpoint_activations'));
  if (say.flag('fp16.enabled') === true) say.runIs('precision', 'fp16', 'fp16.enabled');
  if (say.flag('bf16.enabled') === true) say.runIs('precision', 'bf16', 'bf16.enabled');
  say.run('precision', 'precision', dtypeOf);
  say.run(
    'optimizer',
    'optimizer.type',
    (type) => optimizerOf(type) ?? (/adam/i.test(textOf(type)) ? 'adam' : undefined),
  );
  const offloaded = ['zero_optimization.cpu_offload', 'zero_optimization.offload_optimizer.device'];
  say.run('offload', offloaded, (value) => (value === 'cpu' || flagOf(value) === true ? 'optimizer' : 'none'));
  const flash = JSON.stringify(say.at(key('attention_config')) ?? '').includes('flash');
  if (flash) say.runIs('flash_attention', true, key('attention_config'));
  say.byDefault(
    'flash_attention',
    false,
    `attention_config of GPT-NeoX is global, which writes scores to memory (${source})`,
  );
}
