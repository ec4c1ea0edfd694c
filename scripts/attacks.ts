import { readFileSync } from 'node:fs';
import { names } from '../src/families/shape.ts';
import { modules } from '../src/read/formats/quantization.ts';
import { below, type Dice, pick } from './dice.ts';

/**
 * Inputs that random mutation does not find: keys that a model's class ignores, sizes that are each in bounds and multiply, lists of
 * names against lists of modules, patterns against paths.
 */
export type Attack =
  | {
      readonly kind: 'config';
      readonly base: object;
      readonly head: object;
      /** The model of both is the same: what differs is a key that its class does not read. */
      readonly same: boolean;
    }
  | { readonly kind: 'glob'; readonly pattern: string; readonly path: string };

const table: {
  readonly classes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly names?: Readonly<Record<string, string>>;
} = JSON.parse(readFileSync(new URL('../src/facts/transformers.json', import.meta.url), 'utf8'));

const types = Object.keys(table.classes);
const aliases: readonly string[] = Object.values(names).flat();
const sizes = [1, 2, 3, 7, 64, 255, 4_096, 10_000, 65_536, 2 ** 20] as const;

const several = <Item>(dice: Dice, most: number, one: (index: number) => Item): readonly Item[] =>
  Array.from({ length: 1 + below(dice, most) }, (_, index) => one(index));

const attacks: readonly ((dice: Dice) => Attack)[] = [decoys, multiplied, layersThatDiffer, quantized, quantized, glob];

export const attack = (dice: Dice): Attack => pick(dice, attacks)(dice);

/** Names of other families for a dimension, beside a model that leaves its sizes to its class. */
function decoys(dice: Dice): Attack {
  const model_type = pick(dice, types);
  const read = new Set([table.names?.[''], table.names?.[model_type]].flatMap((keys) => keys?.split(' ') ?? []));
  const same = table.names?.[model_type] !== undefined;
  const keys = several(dice, 4, () => pick(dice, aliases)).filter((key) => !read.has(key));
  const head = Object.fromEntries(keys.map((key) => [key, pick(dice, sizes)]));
  return { kind: 'config', base: { model_type }, head: { model_type, ...head }, same };
}

/** The largest values of what is repeated, many at once. */
function multiplied(dice: Dice): Attack {
  const model_type = pick(dice, types);
  const own = table.classes[model_type] ?? {};
  const numbers = Object.keys(own).filter((key) => typeof own[key] === 'number');
  const counts = [...numbers, 'num_nextn_predict_layers', 'num_hidden_layers', 'depth', 'layers'];
  const head = Object.fromEntries(several(dice, 6, () => [pick(dice, counts), pick(dice, sizes)] as const));
  return { kind: 'config', base: { model_type }, head: { model_type, ...head }, same: false };
}

/** Lists with an entry for each layer, all different. */
function layersThatDiffer(dice: Dice): Attack {
  const [model_type, layerKey, ...lists] = pick(dice, [
    ['gemma3n_text', 'num_hidden_layers', 'intermediate_size'],
    ['openelm', 'num_transformer_layers', 'num_query_heads', 'num_kv_heads', 'ffn_multipliers'],
    ['nemotron-nas', 'num_hidden_layers', 'block_configs'],
    ['llama', 'num_hidden_layers', 'layer_types', 'sliding_window'],
  ] as const);
  const layers = pick(dice, [10, 200, 256, 257, 4_000, 10_000]);
  const block = (index: number) => ({
    attention: { n_heads_in_group: 1 + (index % 8) },
    ffn: { ffn_mult: index / 64 },
  });
  const entry = (key: string, index: number) => (key === 'block_configs' ? block(index) : 1 + index);
  const listed = lists.map((key) => [key, Array.from({ length: layers }, (_, index) => entry(key, index))] as const);
  const sized = { hidden_size: 4096, model_dim: 4096, head_dim: 64, num_attention_heads: 32, vocab_size: 1_000 };
  const base = { model_type, ...sized, [layerKey]: layers };
  return { kind: 'config', base, head: { ...base, ...Object.fromEntries(listed) }, same: false };
}

/** Lists of modules and groups against all layers, under every root. */
function quantized(dice: Dice): Attack {
  const roots = ['model.layers', 'language_model.model.layers', 'backbone.layers', 'layers', 'transformer.h'];
  const suffixes = Object.values(modules).flat();
  const signs = ['*', '.*', '(a|b|c)', '(q|k)_proj', '\\.', '$', ...suffixes];
  const name = (): string =>
    pick(dice, [
      () => pick(dice, suffixes),
      () => `${pick(dice, roots)}.${below(dice, 500)}.${pick(dice, suffixes)}`,
      () => `${pick(dice, ['', 're:'])}${several(dice, 40, () => pick(dice, signs)).join('')}`,
    ])();
  const list = () => several(dice, pick(dice, [3, 100, 2_000]), name);
  const group = () => ({ targets: list(), weights: { num_bits: pick(dice, [4, 8]), type: 'int', group_size: 32 } });
  const groups = several(dice, pick(dice, [2, 40]), (index) => [`g${index}`, group()] as const);
  const base = { model_type: pick(dice, ['llama', 'deepseek_v3', 'nemotron_h']), num_hidden_layers: 500 };
  const quantization_config = pick(dice, [
    () => ({ quant_method: 'gptq', bits: 4, modules_to_not_convert: list() }),
    () => ({ quant_method: 'compressed-tensors', ignore: list(), config_groups: Object.fromEntries(groups) }),
    () => ({
      quant_method: 'modelopt',
      quantized_layers: Object.fromEntries(list().map((one) => [one, { quant_algo: 'FP8' }])),
    }),
  ])();
  return { kind: 'config', base, head: { ...base, quantization_config }, same: false };
}

/** A pattern of as many ways as it has room for, and a name that nearly matches. */
function glob(dice: Dice): Attack {
  const signs = ['*', '**', '/', '?', '[a-c]', '[!b]', '{a,b}', '{a,{b,*}}', 'a', 'b', 'ab', '.json'];
  const pattern = several(dice, 100, () => pick(dice, signs)).join('');
  const piece = pick(dice, ['a', 'b', 'ab', 'a/', 'a/b/', '.json']);
  const path = piece.repeat(4_096).slice(0, pick(dice, [100, 1_000, 1_024, 4_000]));
  return { kind: 'glob', pattern: pattern.slice(0, 500), path: `${path}${pick(dice, ['', '.json', 'x'])}` };
}
