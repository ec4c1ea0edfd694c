import table from './models.json' with { type: 'json' };

/**
 * Published models and presets of training frameworks, by the names under which training files ask for them: the sizes of their
 * configs under the keys of Hugging Face's `config.json` (or of our own `decoder`), with the source of each.
 */
export type Model = {
  readonly config: Readonly<Record<string, unknown>>;
  readonly source: string;
};

type Row = {
  readonly names: readonly string[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly source: string;
};

const rows = table as readonly Row[];

/** Names that differ in case, or in `_` for `-`, are one. */
const folded = (name: string) => name.trim().toLowerCase().replaceAll('_', '-');

const byName: ReadonlyMap<string, Row> = new Map(
  [...rows].reverse().flatMap((row) => row.names.map((name) => [folded(name), row] as const)),
);

/** Every name, as its publisher writes it. */
export const modelNames: readonly string[] = rows.flatMap(({ names }) => names);

/** Words behind a name that change the weights and leave the shape: instruction tuning, another format, quantisation. */
const variants =
  /[-_.](instruct|chat|it|hf|base|sft|dpo|awq|gptq|gguf|bnb|4bit|8bit|int4|int8|fp8|bf16|unsloth|quantized|w4a16|dynamic|mlx)$/i;

/** The model of a name; undefined where neither it nor what it is a variant of is in the table. */
export function findModel(name: string): Model | undefined {
  for (let word = folded(name); word !== ''; ) {
    const row = byName.get(word) ?? byName.get(word.split('/').at(-1) ?? '');
    if (row !== undefined) return row;
    const shorter = word.replace(variants, '');
    if (shorter === word) return undefined;
    word = shorter;
  }
  return undefined;
}
