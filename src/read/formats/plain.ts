import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import { aliases, type Meaning, spelled } from '../aliases.ts';
import type { Format, ParsedFile } from '../format.ts';
import { llamaWidth } from '../shapes.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';

/** Where files of no framework put their model. */
const blocks = [
  '',
  'model.',
  'model.config.',
  'model.args.',
  'model_config.',
  'model_args.',
  'architecture.',
  'transformer.',
];

const under = (meaning: Meaning): readonly string[] =>
  blocks.flatMap((block) => aliases[meaning].flatMap((name) => spelled(name).map((word) => `${block}${word}`)));

/** Keys by which other formats, and models that are no language models, are known. */
const others = [
  'model_type',
  'architectures',
  'text_config',
  'model.model_type',
  'model.name',
  'model.flavor',
  'model.type',
  'model._target_',
  'model._component_',
  'model.model_config',
  'multiple_of',
  'moe_inter_dim',
  'padded_vocab_size',
  'mlp_class_name',
  'norm_class_name',
  'n_query_groups',
  'device_train_microbatch_size',
  'global_train_batch_size',
  'trainer',
  'distributed',
  'modules',
  'system',
  'base_model',
  'base_emb_dim',
  'base_config',
  'model_name_or_path',
  'MODEL_ARGS',
  'tensor_model_parallel_size',
  'language_model',
  'pipe_parallel_size',
  'pipe-parallel-size',
  'model_parallel_size',
  'model-parallel-size',
  'pos_emb',
  'pos-emb',
  'gpt_j_residual',
  'attention_config',
  'zero_optimization',
  'train_micro_batch_size_per_gpu',
  'model.dim',
  '*.component_key',
  'base_model_name_or_path',
  ...['patch_size', 'image_size', 'img_size', 'in_channels', 'in_chans', 'num_classes', 'mel_bins', 'n_mels'].flatMap(
    (key) => ['', 'model.', 'model.config.'].map((block) => `${block}${key}`),
  ),
];

/** Files that repositories invent for models of their own: a decoder's sizes, each under one of its usual names. */
export const plain: Format = {
  id: 'plain',
  title: 'plain sizes (n_layers, d_model, ...) in JSON, YAML or TOML',
  syntaxes: ['json', 'yaml', 'toml'],
  signature: {
    some: [
      [1, under('layers')],
      [1, under('hidden')],
      [1, under('heads')],
      // Without a vocabulary it may be a model of images or of time series.
      [1, under('vocabulary')],
    ],
    not: others,
  },
  states,
};

/** Keys of the block that holds the model, by what they mean. */
type Block = { readonly say: Stating; readonly keys: (meaning: Meaning) => readonly string[] };

function states(file: ParsedFile): Statement {
  const say = stating(file, plain.id);
  const block = blocks.find((one) => {
    const holds = (meaning: Meaning) => keysOf(one, meaning).some((key) => typeof say.number(key) === 'number');
    return holds('layers') && holds('hidden') && holds('heads');
  });
  if (block === undefined)
    throw say.refuse('Layers, width and heads do not stand together in one place, so no model is known.');
  const here: Block = { say, keys: (meaning) => keysOf(block, meaning) };
  sizes(here);
  traits(here);
  run(here);
  return say.statement();
}

const keysOf = (block: string, meaning: Meaning): readonly string[] =>
  aliases[meaning].flatMap((name) => spelled(name).map((word) => `${block}${word}`));

const first = ({ say, keys }: Block, meaning: Meaning): string | undefined =>
  keys(meaning).find((key) => say.at(key) !== undefined);

const numberOf = (block: Block, meaning: Meaning): number | undefined => {
  const key = first(block, meaning);
  return key === undefined ? undefined : block.say.number(key);
};

function sizes(block: Block): void {
  const { say, keys } = block;
  say.modelIs('model_type', decoderType);
  say.modelIs('approximate', true);
  say.model('num_hidden_layers', keys('layers'));
  say.model('hidden_size', keys('hidden'));
  say.model('num_attention_heads', keys('heads'));
  say.model('num_key_value_heads', keys('keyValueHeads'));
  say.model('head_dim', keys('headDim'));
  say.model('max_position_embeddings', keys('sequence'));
  const vocabulary = first(block, 'vocabulary');
  if (vocabulary === undefined || say.at(vocabulary) === undefined)
    throw say.refuse('vocab_size is missing, so the embeddings cannot be counted; add it to the file.');
  if ((say.number(vocabulary) ?? -1) <= 0)
    throw say.refuse(
      `${vocabulary} is ${textOf(say.at(vocabulary)).slice(0, 40)}, so the embeddings cannot be counted; state how many entries they have.`,
      vocabulary,
    );
  say.model('vocab_size', vocabulary);
  say.model('num_experts', keys('experts'));
  say.model('num_experts_per_tok', keys('active'));
  say.model('moe_intermediate_size', keys('expertWidth'));
}

/** Words that say that a block is built as Llama's. */
const llamaish = /swiglu|silu|rope|rotary|rms|llama|geglu|reglu/i;

function isLlamaish(block: Block): boolean {
  if (numberOf(block, 'keyValueHeads') !== undefined || block.say.at('post_embed_norm') !== undefined) return true;
  const { say, keys } = block;
  const words = ['activation', 'norm', 'positions'] as const;
  if (words.some((meaning) => keys(meaning).some((key) => llamaish.test(textOf(say.at(key) ?? '').slice(0, 60)))))
    return true;
  return keys('rotary').some((key) => say.at(key) !== undefined);
}

function traits(block: Block): void {
  const { say } = block;
  const llama = isLlamaish(block);
  const like = llama ? 'Llama' : 'GPT-2';
  const reason = `the file does not say; a block like ${like}'s is assumed`;
  const decide = (canonical: string, meaning: Meaning, read: (value: unknown) => unknown, absent: unknown) => {
    const key = first(block, meaning);
    const value = key === undefined ? undefined : read(say.at(key));
    say.modelIs(canonical, value ?? absent, value === undefined ? undefined : key);
    if (value === undefined) say.assume(canonical, textOf(absent), reason);
  };
  const word = (value: unknown) => textOf(value).slice(0, 60).toLowerCase();
  decide(
    'normalization',
    'norm',
    (value) => (/rms/.test(word(value)) ? 'rms' : /layer|ln/.test(word(value)) ? 'layer' : undefined),
    llama ? 'rms' : 'layer',
  );
  decide('positions', 'positions', positionsOf, llama ? 'rope' : 'learned');
  decide(
    'gated',
    'activation',
    (value) => (/glu|silu|swish|llama/.test(word(value)) ? true : /gelu|relu/.test(word(value)) ? false : undefined),
    llama,
  );
  const bias = first(block, 'bias');
  const biased = bias === undefined ? undefined : say.flag(bias);
  const inverted = bias !== undefined && /no|disable/i.test(bias.split('.').at(-1) ?? '');
  const value = biased === undefined ? !llama : biased !== inverted;
  say.modelIs('attention_bias', value, bias);
  say.modelIs('mlp_bias', value, bias);
  if (biased === undefined) say.assume('bias', textOf(value), reason);
  tie(block, reason);
  width(block, llama, reason);
}

function positionsOf(value: unknown): string | undefined {
  const text = textOf(value).slice(0, 60).toLowerCase();
  if (/rope|rotary/.test(text)) return 'rope';
  if (/alibi|none|nope|sin/.test(text)) return 'none';
  return /learn|absolute/.test(text) ? 'learned' : undefined;
}

function tie(block: Block, reason: string): void {
  const { say } = block;
  const tied = first(block, 'tied');
  const untied = first(block, 'untied');
  const value = tied === undefined ? (untied === undefined ? undefined : !say.flag(untied)) : say.flag(tied);
  say.modelIs('tie_word_embeddings', value ?? false, tied ?? untied);
  if (value === undefined) say.assume('tie_word_embeddings', 'false', reason);
}

function width(block: Block, llama: boolean, reason: string): void {
  const { say, keys } = block;
  const hidden = numberOf(block, 'hidden') ?? 0;
  const stated = first(block, 'width') ?? doubleMeaning(block);
  if (stated !== undefined) {
    say.model('intermediate_size', stated);
    return;
  }
  const ratio = numberOf(block, 'ratio');
  if (ratio !== undefined) {
    say.modelIs('intermediate_size', Math.floor(ratio * hidden), first(block, 'ratio'));
    return;
  }
  const derived = llama ? llamaWidth(hidden) : 4 * hidden;
  say.modelIs(
    'intermediate_size',
    derived,
    keys('hidden').find((key) => say.at(key) !== undefined),
  );
  say.assume('intermediate_size', textOf(derived), reason);
}

/** `hidden_dim` is the feed-forward's where another key says the width of the model. */
function doubleMeaning(block: Block): string | undefined {
  const key = block.keys('hidden').find((one) => /(^|\.)hidden_?dim$/i.test(one) && block.say.at(one) !== undefined);
  return key !== undefined && first(block, 'hidden') !== key ? key : undefined;
}

const runBlocks = ['', 'training.', 'train.', 'run.', 'trainer_args.', 'data.', 'optimizer.', 'optim.'];

function run({ say, keys }: Block): void {
  const anywhere = (...names: readonly string[]) =>
    runBlocks.flatMap((block) => names.flatMap((name) => spelled(name).map((word) => `${block}${word}`)));
  say.run('sequence_length', [
    ...anywhere('seq_len', 'seq_length', 'sequence_length', 'block_size'),
    ...keys('sequence'),
  ]);
  say.run(
    'micro_batch_size',
    anywhere('micro_batch_size', 'per_device_train_batch_size', 'device_batch_size', 'batch_size'),
  );
  say.run('global_batch_size', anywhere('global_batch_size', 'total_batch_size'));
  say.run('gradient_accumulation', anywhere('gradient_accumulation_steps', 'grad_accum_steps', 'grad_acc_steps'));
  say.run('train_steps', anywhere('max_steps', 'train_steps', 'max_iters', 'num_steps', 'total_steps'));
  say.run('gpus', anywhere('gpus', 'n_gpus', 'num_gpus', 'world_size'));
  say.run('precision', anywhere('precision', 'dtype', 'mixed_precision'), dtypeOf);
  say.run('optimizer', anywhere('optimizer', 'optimizer_name', 'optim'), (value) =>
    typeof value === 'string' ? optimizerOf(value) : undefined,
  );
}
