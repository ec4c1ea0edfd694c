import transformers from '../facts/transformers.json' with { type: 'json' };
import type { Dictionary } from '../text/fields.ts';

/**
 * What the model's own code takes where a config leaves a key out, by `model_type`; a sub-config whose class has none is
 * named by composite and key, such as `ovis2.vision_config`. A key that is missing here has no default, or one that follows from other keys (key/value heads
 * from heads, head width from hidden size). Written by `scripts/oracle/defaults.py` from the classes of transformers 5.18.0.
 */
export const classDefaults: Readonly<Record<string, Dictionary>> = transformers.classes;

const split = (names: string): readonly string[] => names.split(' ');
const ofEvery = split(transformers.names['']);

/** The keys that a class of Transformers reads, of those that this tool asks for; undefined where it has no such class. */
export function namesOf(modelType: string): ReadonlySet<string> | undefined {
  const names: Readonly<Record<string, string>> = transformers.names;
  const found = modelType !== '' && Object.hasOwn(names, modelType) ? names[modelType] : undefined;
  return found === undefined ? undefined : new Set([...ofEvery, ...split(found)]);
}

/** Of each composite model: its own keys, and each sub-config's type with the sizes that differ from the type's. */
export const compositeDefaults: Readonly<
  Record<string, { readonly own: Dictionary; readonly parts: Readonly<Record<string, Dictionary>> }>
> = transformers.composites;
