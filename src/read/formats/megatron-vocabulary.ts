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
  [/llama-?2|llama_tokenizer|mixtral-8x7b|mixtraltokenizer|mistral-7b-v0\.1/i, 32_000],
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

/** Sizes by which a published model is recognised. */
export type Sizes = {
  readonly hidden: unknown;
  readonly layers: unknown;
  readonly heads: unknown;
  readonly groups: unknown;
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
    throw say.refuse(`vocab_size is ${JSON.stringify(asked).slice(0, 60)}, which is not a number.`, 'vocab_size');
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

/** No tokenizer says it: the vocabulary of published models of the very sizes, else that of the trainer's default tokenizer. */
function ofSizes(say: Stating, sizes: Sizes): { readonly size: number } {
  const words = ['tokenizer_model', 'tokenizer_path', 'tokenizer_type'].flatMap((key) => say.text(key) ?? []);
  const twin = twinOf(sizes, [...words, say.place('num_layers').file]);
  const size = twin?.rows ?? defaultEntries;
  const reason =
    twin === undefined
      ? 'the vocabulary of GPT2BPETokenizer, which pretrain_gpt.py takes by default'
      : `the vocabulary of ${twin.name}, which has the same sizes`;
  say.assume('vocab_size', String(size), reason);
  const [word] = words;
  if (word !== undefined)
    say.warn(
      `The tokenizer ${JSON.stringify(word.slice(0, 80))} does not say how many entries it has: ${size} is assumed (${reason}). State vocab_size to have the embedding counted as it is.`,
    );
  return { size };
}

const defaultEntries = 50_257;

/** Encoders have the sizes of decoders. */
const encoders = /bert|electra|bart|t5|clip|whisper|deberta/i;

/**
 * A published decoder of the same sizes: one whose name begins with a word of the tokenizer or of the file, else one with the
 * vocabulary that most of them have.
 */
function twinOf(sizes: Sizes, words: readonly string[]): { readonly name: string; readonly rows: number } | undefined {
  const twins = modelNames.flatMap((name) => {
    const rows = encoders.test(name) || !hasSizes(name, sizes) ? undefined : rowsOf(name);
    return rows === undefined ? [] : [{ name, rows }];
  });
  const text = folded(words.join(' '));
  const begins = (start: RegExp) =>
    twins.filter(({ name }) => {
      const word = start.exec(name.toLowerCase().replace(/^.*[/:]/, ''))?.[0];
      return word !== undefined && text.includes(folded(word));
    });
  // `llama2_70b.yaml` is rather Llama-2-70b than Llama-3.1-70B.
  const among =
    [begins(/^[a-z]{3,}[-_.]?\d(\.\d)?/), begins(/^[a-z]{3,}/), twins].find(({ length }) => length > 0) ?? [];
  const counts = new Map<number, number>();
  for (const { rows } of among) counts.set(rows, (counts.get(rows) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return among.find(({ rows }) => counts.get(rows) === most);
}

const folded = (text: string) => text.toLowerCase().replace(/[-_.]/g, '');

function hasSizes(name: string, { hidden, layers, heads, groups, width, experts }: Sizes): boolean {
  const config = findModel(name)?.config ?? {};
  const first = (...keys: readonly string[]) =>
    keys.map((key) => own(config, key)).find((value) => typeof value === 'number');
  return (
    first('hidden_size', 'n_embd') === hidden &&
    first('num_hidden_layers', 'n_layer') === layers &&
    first('num_attention_heads', 'n_head') === heads &&
    (first('num_key_value_heads') ?? heads) === groups &&
    (first('intermediate_size') ?? 4 * Number(hidden)) === width &&
    first('num_local_experts', 'num_experts', 'n_routed_experts') === experts
  );
}
