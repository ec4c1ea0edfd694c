import table from './models.json' with { type: 'json' };

/**
 * Published models and presets of training frameworks, by the names under which training files ask for them: the sizes of their
 * configs under the keys of Hugging Face's `config.json` (or of our own `decoder`), with the source of each. Presets carry the
 * framework in front (`torchtitan:llama3/8B`), since a framework may build a model of the same name differently.
 */
export type Model = {
  readonly names: readonly string[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly source: string;
};

export const models = table as readonly Model[];

/** Every name, as its publisher writes it. */
export const modelNames: readonly string[] = models.flatMap(({ names }) => names);

const longest = 200;

/** Names that differ in case, or in `_` for `-`, are one. */
const folded = (name: string) => name.slice(0, longest).trim().toLowerCase().replaceAll('_', '-').replace(/\/+$/, '');

const lastOf = (name: string) => name.slice(name.lastIndexOf('/') + 1);

/** How weights are stored, which leaves the shape as it is. */
const stored =
  /[-.](hf|awq|gptq|gguf|aqlm|bnb|hqq|mlx|marlin|unsloth|dynamic|static|quantized|[2348]-?bits?|int[348]|fp4|fp8|fp16|bf16|nf4|nvfp4|mxfp4|w4a16|w8a8|w8a16)$/;

/** What weights were tuned for; only behind a size, since `t5-base` is a size itself. */
const tuned = /[-.](instruct|chat|it|pt|base|sft|dpo|thinking)$/;
const sized = /\d[bm](?![a-z0-9])/;

/** A folded name without the words that say how its weights are stored or tuned. */
function stemOf(name: string): string {
  for (let stem = name; ; ) {
    const shorter = stem.replace(stored, '');
    const untuned = shorter.replace(tuned, '');
    const next = sized.test(untuned) ? untuned : shorter;
    if (next === stem) return stem.replace(/(^|\/)meta-(?=llama-)/, '$1');
    stem = next;
  }
}

/** Qwen widens the MLP of these from 29,568 to 29,696 before it quantises them. */
const widened = (name: string) =>
  /(^|\/)qwen2/.test(name) && name.includes('72b') && (name.includes('awq') || name.includes('gptq'));

/** What decides the counts: rows that differ in their longest sequence alone have one shape. */
const shapeOf = ({ config }: Model) =>
  JSON.stringify(config, (key, value: unknown) => (key === 'max_position_embeddings' ? undefined : value));

/** Rows by a key of their names; a key that rows of different shapes share finds nothing. */
function indexed(keyOf: (name: string) => string): ReadonlyMap<string, Model | undefined> {
  const index = new Map<string, Model | undefined>();
  for (const model of models)
    for (const name of model.names) {
      const key = keyOf(folded(name));
      const known = index.get(key);
      if (!index.has(key)) index.set(key, model);
      else if (known !== undefined && known !== model && shapeOf(known) !== shapeOf(model)) index.set(key, undefined);
    }
  return index;
}

const hub = (keyOf: (name: string) => string) => indexed((name) => (name.includes(':') ? name : keyOf(name)));

type Indexes = Readonly<Record<'name' | 'stem' | 'last' | 'lastStem', ReadonlyMap<string, Model | undefined>>>;

/** Built when the first name is looked up: most runs name no model. */
let built: Indexes | undefined;

function indexes(): Indexes {
  built ??= {
    name: indexed((name) => name),
    stem: hub(stemOf),
    last: hub(lastOf),
    lastStem: hub((name) => lastOf(stemOf(name))),
  };
  return built;
}

/** Organisations that publish the models of others under the same name: converted, quantised or mirrored. */
const mirrors = new Set(
  `ai-modelscope bartowski casperhansen hugging-quants huggingface-mirror ista-daslab llm-research lmstudio-community maziyarpanahi
  mlx-community modelcloud modelscope neuralmagic nm-testing nousresearch nvidia primeintellect quanttrio redhatai thebloke unsloth`.split(
    /\s+/,
  ),
);

/** First folders of paths that look like an organisation. */
const folders = new Set(
  `assets base-model base-models cache checkpoint checkpoints ckpt ckpts data hf home huggingface llm llms mnt model models opt
  pretrained pretrained-model pretrained-models root tmp weights workspace`.split(/\s+/),
);

/** Whether only the last part of a name says which model it is: a bare name, a mirror, a folder of somebody's disk. */
function namedByLast(name: string): boolean {
  const [first = '', ...rest] = name.split('/');
  return rest.length !== 1 || mirrors.has(first) || folders.has(first) || /^[.~$]/.test(first);
}

/**
 * The model of a name, or of the one that it is a variant of: quantised, tuned, mirrored, or lying on a disk. A variant that could
 * have another shape finds nothing.
 */
export function findModel(name: string): Model | undefined {
  const by = indexes();
  const wanted = folded(name);
  const found = by.name.get(wanted);
  if (found !== undefined) return found;
  // torchtune's builders with adapters build the same model below them.
  if (wanted.startsWith('torchtune:')) return by.name.get(wanted.replace(/\/q?lora-/, '/'));
  if (wanted.includes(':') || widened(wanted)) return undefined;
  const stem = stemOf(wanted);
  const same = by.stem.get(stem);
  if (same !== undefined || !namedByLast(wanted)) return same;
  return by.last.get(lastOf(wanted)) ?? by.lastStem.get(lastOf(stem));
}
