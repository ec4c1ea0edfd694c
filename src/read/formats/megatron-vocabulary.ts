import { findModel, modelNames } from '../../facts/models.ts';
import { isDictionary, own } from '../../text/fields.ts';
import type { Stating } from '../stating.ts';

/**
 * Entries of tokenizers that training files name, special tokens included: what `len(tokenizer)` gives, which is less than the rows
 * of the models that were published with some of them. By type of Megatron's or by words of the tokenizer's name.
 */
const entries: readonly (readonly [name: RegExp, entries: number])[] = [
  [/gpt-?2/i, 50_257],
  [/gpt-?neox|pythia/i, 50_277],
  [/deepseek[-_]?(v3|r1)/i, 128_815],
  [/llama-?4/i, 202_048],
  [/llama-?3/i, 128_256],
  [/llama-?2|mixtral-8x7b|mixtraltokenizer|mistral-7b-v0\.1/i, 32_000],
  [/qwen3(?!\.5|-next)/i, 151_669],
  [/qwen2\.5/i, 151_665],
  [/qwen(1\.5|2)(?!\.)/i, 151_646],
  // Megatron's own default of --vocab-size for this type.
  [/^tiktokenizer$/i, 131_072],
];

/** How Megatron rounds a vocabulary up: to a multiple of this for each tensor-parallel rank. */
const divisor = 128;

/**
 * Rows of the token table: the stated size, or what the tokenizer implies, rounded up to a multiple of
 * `make_vocab_size_divisible_by` x tensor parallelism, as Megatron does.
 */
export function stateVocabulary(say: Stating, sizes: Sizes): void {
  const padded = ['padded_vocab_size', 'pad_vocab_size_to'].find((name) => say.number(name) !== undefined);
  if (padded !== undefined) {
    say.model('vocab_size', padded);
    return;
  }
  const { size, key } = unpadded(say, sizes);
  const multiple =
    (say.number('make_vocab_size_divisible_by') ?? divisor) * (say.number('tensor_model_parallel_size') ?? 1);
  const rows = Number.isInteger(multiple) && multiple > 0 ? Math.ceil(size / multiple) * multiple : size;
  say.modelIs('vocab_size', rows, key);
  if (rows !== size)
    say.assume(
      'vocab_size',
      String(rows),
      `Megatron pads ${size} to a multiple of ${multiple}, which depends on tensor parallelism`,
    );
}

/** Sizes by which a published model is known again. */
export type Sizes = {
  readonly hidden: unknown;
  readonly layers: unknown;
  readonly heads: unknown;
  readonly width: unknown;
  readonly experts: unknown;
};

function unpadded(say: Stating, sizes: Sizes): { readonly size: number; readonly key?: string } {
  const type = say.text('tokenizer_type') ?? '';
  const stated = say.number('vocab_size');
  const extra = (say.number('vocab_extra_ids') ?? 0) + (say.number('extra_vocab_size') ?? 0);
  // The tokenizer without words adds an end of document.
  if (stated !== undefined)
    return { size: stated + extra + (/^NullTokenizer$/i.test(type) ? 1 : 0), key: 'vocab_size' };
  const asked = say.at('vocab_size');
  if (asked !== undefined)
    throw say.refuse(`vocab_size is ${JSON.stringify(asked).slice(0, 60)}, which is no number.`, 'vocab_size');
  for (const key of [
    'tokenizer_model',
    'tokenizer_name_or_path',
    'tokenizer_path',
    'tokenizer_type',
    'extra_tokenizer_type',
  ]) {
    const name = say.text(key);
    const known = name === undefined ? undefined : ofTokenizer(name);
    if (known === undefined) continue;
    say.assume(
      key,
      String(name),
      `its tokenizer has ${known} entries, so many rows does the vocabulary have before padding`,
    );
    return { size: known + extra, key };
  }
  return { ...ofSizes(say, sizes), ...(say.at('tokenizer_type') === undefined ? {} : { key: 'tokenizer_type' }) };
}

function ofTokenizer(name: string): number | undefined {
  if (name.length > 200 || /[${}<>]/.test(name)) return undefined;
  return entries.find(([word]) => word.test(name))?.[1] ?? rowsOf(name);
}

/** Rows of a published model's token table, of its text model where it has several. */
function rowsOf(name: string): number | undefined {
  const config = findModel(name)?.config;
  const text = config === undefined ? undefined : own(config, 'text_config');
  const rows = config && (own(config, 'vocab_size') ?? (isDictionary(text) ? own(text, 'vocab_size') : undefined));
  return typeof rows === 'number' ? rows : undefined;
}

/** No tokenizer says it: the vocabulary of a published model of the very sizes, else that of the trainer's default tokenizer. */
function ofSizes(say: Stating, { hidden, layers, heads, width, experts }: Sizes): { readonly size: number } {
  const twin = modelNames.find((name) => {
    const config = findModel(name)?.config ?? {};
    return (
      own(config, 'hidden_size') === hidden &&
      own(config, 'num_hidden_layers') === layers &&
      own(config, 'num_attention_heads') === heads &&
      own(config, 'intermediate_size') === width &&
      (own(config, 'num_local_experts') ?? own(config, 'num_experts') ?? own(config, 'n_routed_experts')) === experts &&
      rowsOf(name) !== undefined
    );
  });
  const size = (twin === undefined ? undefined : rowsOf(twin)) ?? 50_257;
  const reason =
    twin === undefined
      ? 'the vocabulary of GPT2BPETokenizer, which pretrain_gpt.py takes by default'
      : `the vocabulary of ${twin}, which has the same sizes`;
  const words = say.text('tokenizer_model') ?? say.text('tokenizer_path') ?? say.text('tokenizer_type');
  say.assume('vocab_size', String(size), reason);
  const tokenizer =
    words === undefined
      ? undefined
      : `The tokenizer ${JSON.stringify(words.slice(0, 80))} does not say how many entries it has`;
  if (tokenizer !== undefined && !/gpt2/i.test(words ?? ''))
    say.warn(`${tokenizer}: ${size} is assumed (${reason}). State vocab_size to have the embedding counted as it is.`);
  return { size };
}
