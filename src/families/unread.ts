import type { Fields, Reader } from '../text/fields.ts';
import { distance } from '../text/nearest.ts';
import { names } from './shape.ts';

/** Keys that hold a size or a count of what a model is made of. */
const sizes =
  /expert|num_selects|(hidden|embedding|embed|inner|projection)_?(hidden_)?(size|dim)$|(^|_)(kv|query|key_value|attention|n|num)_(n_)?heads?(_kv)?$|(^|_)(num|n)(_[a-z]+)*_(layers?|blocks)$|lora_adaptations$|(^|_)(moe|mlp)_\w*(size|dim|ratio)$|^(residual_moe|block_position_encoding|position_encoding_2d)$/;

/** Of those, what places, schedules or starts what is counted elsewhere, and adds nothing to it. */
const noSize =
  /group|overlap|sink|^ffn_hidden|parallel|_bias|capacity|jitter|dropout|loss|coef|scal(e|ing)|^(pooler|rotary|rope|summary|output|use|no|max|mask|begin|end|ep|sep)_|^num_(beam|return|logits|labels)|rope|window|unfrozen|target|initializer/;

/** Keys that checkpoints or files of a type carry, and that its official code was seen to pass over. */
const passedOver: Readonly<Record<string, readonly string[]>> = {
  // A position more is turned into each query and key, with no weights.
  chatglm1: ['position_encoding_2d'],
  // Of its three stacks together, each of which has a key of its own.
  huginn_raven: ['n_layers', 'num_hidden_layers'],
  qwen3_5: ['moe_intermediate_size', 'num_experts', 'num_experts_per_tok', 'shared_expert_intermediate_size'],
};

/** The value means that there is something of the kind, and more than one of it. */
const counts = (value: unknown): boolean =>
  value === true || (typeof value === 'number' && value > 1) || (Array.isArray(value) && value.length > 0);

/** Keys that every reader of sizes knows, against which a mistyped one is held. */
const spelled: readonly string[] = [...Object.values(names).flat(), 'tie_word_embeddings', 'layer_types'].filter(
  (name) => name.length >= 8,
);

/** A value that a key of a size, a switch or a list of layers may have. */
const isPlain = (value: unknown): boolean =>
  typeof value === 'number' || typeof value === 'boolean' || Array.isArray(value);

/** Another word differs in more letters than a slip does. */
const mostSlips = 2;

/** The key that a stated one was probably meant to be, where that one is missing. */
function meant(key: string, absent: readonly string[]): string | undefined {
  if (key.length < 8) return undefined;
  return absent.find((name) => spelled.includes(name) && distance(key.toLowerCase(), name) <= mostSlips);
}

/**
 * Says which keys of a model's config nothing read although they hold a size or a count, or look like a mistyped one.
 * A key that repeats a size that was read is another name for it.
 */
export function noteUnread(fields: Fields, type: string, reader: Reader | undefined): boolean {
  const absent = fields.absent();
  const read = fields.valuesRead();
  let exact = true;
  for (const [key, value] of fields.unread().slice(0, 500)) {
    const slip = isPlain(value) ? meant(key, absent) : undefined;
    if (slip !== undefined) {
      fields.warn(`${key} is read by nothing: it looks like ${slip}, which is missing here.`, key);
      exact = false;
      continue;
    }
    const sized = sizes.test(key) && !noSize.test(key) && counts(value);
    const another = !/expert/.test(key) && read.has(value);
    if (Object.hasOwn(passedOver, type) && passedOver[type]?.includes(key)) continue;
    if (!sized || another || (reader?.declares?.(key) ?? false)) continue;
    fields.assume(
      key,
      value,
      `it is in the file, and ${type} does not read it: if the model's code does, the count is another`,
    );
    exact = false;
  }
  return exact;
}

/** Of numbers, those that place, start or schedule, whatever the family. */
const noPart =
  /_ids?$|token|version|theta|eps|std|range|seed|dtype|prob|temperature|top_[kp]$|beam|length|position|cache|dropout|label/;

/** How many keys of a strange family are named. */
const mostNamed = 12;

/** Names the numbers of a config of an unknown family that nothing read: any of them may be the size of a part of it. */
export function nameUnread(fields: Fields): void {
  const parts = fields
    .unread()
    .slice(0, 500)
    .filter(([key, value]) => typeof value === 'number' && counts(value) && !noSize.test(key) && !noPart.test(key));
  for (const [key, value] of parts.slice(0, mostNamed))
    fields.assume(key, value, 'nothing reads it: if it is the size of a part of the model, the count is another');
}
