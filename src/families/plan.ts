import type { Fields } from '../text/fields.ts';
import type { Mixer, MixerPlan, MlpPlan } from './layer.ts';
import type { Shape } from './shape.ts';

/** A list with one entry for each layer. */
export const each = <Kind>(shape: Shape, kind: (index: number) => Kind): readonly Kind[] =>
  Array.from({ length: shape.layers }, (_, index) => kind(index));

/** A mixer by its name in `layer_types`; a name without a window means full attention. */
function mixerNamed(type: unknown): Mixer {
  const label = String(type).replace('_attention', '');
  const kind = label.includes('chunked') ? 'chunked' : /sliding|local/.test(label) ? 'sliding' : 'full';
  return label === kind ? { kind } : { kind, label };
}

/** By `layer_types` where the config has it; otherwise every layer slides if the config states a window and does not switch it off. */
export function slidingPlan(shape: Shape, fields: Fields): MixerPlan {
  const stated = fields.list('layer_types');
  if (stated) return stated.map(mixerNamed);
  const window = fields.states('sliding_window') ? fields.optionalInteger('sliding_window') || undefined : undefined;
  const slides = window !== undefined && (!fields.states('use_sliding_window') || fields.boolean('use_sliding_window'));
  return each(shape, () => (slides ? 'sliding' : 'full'));
}

/** Every `period`-th layer full, the others sliding. */
export const everyNth = (shape: Shape, period: number): MixerPlan =>
  each(shape, (index) => ((index + 1) % period === 0 ? 'full' : 'sliding'));

/** Every n-th layer full, the others sliding; the period is a number or the key that states it. */
export const fullEvery =
  (period: number | string) =>
  (shape: Shape, fields: Fields): MixerPlan =>
    everyNth(shape, typeof period === 'number' ? period : fields.integer(period));

/** The first k layers dense, then experts in each n-th (DeepSeek, GLM, Kimi). */
export function denseFirst(shape: Shape, fields: Fields): MlpPlan {
  const types = fields.list('mlp_layer_types');
  if (types) return types.map((type) => (type === 'sparse' ? 'experts' : 'dense'));
  const first = fields.count('first_k_dense_replace');
  const listed = fields.list('moe_layer_freq');
  if (listed) return listed.map((value) => (value === 1 ? 'experts' : 'dense'));
  const frequency = fields.every('moe_layer_freq');
  return each(shape, (index) => (index >= first && index % frequency === 0 ? 'experts' : 'dense'));
}

/** The pattern under a key: a word of L (local) and G (global) that repeats, or a number n: every n-th layer is global. */
export function pattern(key: string) {
  return (shape: Shape, fields: Fields): MixerPlan => {
    const word = fields.raw(key)?.value;
    if (typeof word !== 'string') return everyNth(shape, fields.integer(key));
    if (!/^[LG]+$/.test(word)) throw fields.wrong(key, 'must be a number, or letters L and G', word);
    return each(shape, (index) => (word[index % word.length] === 'L' ? 'sliding' : 'full'));
  };
}

export const always =
  <Kind extends string>(kind: Kind) =>
  (shape: Shape): readonly Kind[] =>
    each(shape, () => kind);

/** By `layer_types` where the file has it, otherwise by the family's own plan. */
export const listedOr =
  (plan: (shape: Shape, fields: Fields) => MixerPlan) =>
  (shape: Shape, fields: Fields): MixerPlan =>
    fields.list('layer_types') ? slidingPlan(shape, fields) : plan(shape, fields);

/** By `mlp_layer_types` where the file has it, otherwise the first `count` layers dense and experts after them. */
export const denseUntil =
  (count: (fields: Fields) => number) =>
  (shape: Shape, fields: Fields): MlpPlan =>
    fields.list('mlp_layer_types')
      ? denseFirst(shape, fields)
      : each(shape, (index) => (index < count(fields) ? 'dense' : 'experts'));

/** Experts in every n-th layer, except in those that `mlp_only_layers` lists (Qwen). */
export const sparseByStep = (shape: Shape, fields: Fields): MlpPlan => {
  const step = fields.every('decoder_sparse_step');
  const only = new Set(fields.list('mlp_only_layers') ?? []);
  return each(shape, (index) => (!only.has(index) && (index + 1) % step === 0 ? 'experts' : 'dense'));
};
