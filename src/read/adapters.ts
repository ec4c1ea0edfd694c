import type { Place } from '../model/place.ts';
import { isDictionary, own } from '../text/fields.ts';
import { type Beside, type ParsedFile, placeOf } from './format.ts';
import type { Stating } from './stating.ts';
import { pathOf } from './trainer.ts';

/** Trainings that go on with saved adapters, which have the rank and the targets that they were saved with. */

/** Keys by which a trainer's file names saved adapters, and says the rank and the targets of new ones. */
export type AdapterKeys = { readonly saved: string; readonly rank: string; readonly targets: string };

/** A training file whose keys of new adapters are those of the saved ones, and the places of these keys. */
export type Resumed = { readonly file: ParsedFile; readonly places: ReadonlyMap<string, Place> };

/**
 * A training file with what PEFT wrote beside the adapters that it names; the file as it is where that is not in the repository.
 *
 * @param keys the last of several saved adapters is trained, the others are merged into the base
 */
export function resumed(file: ParsedFile, keys: AdapterKeys, beside: Beside): Resumed {
  const { source } = file;
  const folder = isDictionary(source.value) ? own(source.value, keys.saved) : undefined;
  const last = typeof folder === 'string' ? folder.split(',').at(-1)?.trim() : undefined;
  const path = last === undefined ? undefined : pathOf(`${last}/adapter_config.json`, file.path, beside);
  const saved = path === undefined ? undefined : beside(path);
  const written = saved?.source.value;
  if (saved === undefined || !isDictionary(source.value) || !isDictionary(written)) return { file, places: new Map() };
  const value: Record<string, unknown> = { ...source.value };
  const places = new Map<string, Place>();
  for (const [key, ofPeft] of [
    [keys.rank, 'r'],
    [keys.targets, 'target_modules'],
  ] as const) {
    if (own(written, ofPeft) === undefined) continue;
    value[key] = own(written, ofPeft);
    places.set(key, placeOf(saved, ofPeft));
  }
  return { file: { ...file, source: { ...source, value } }, places };
}

/** Says that the saved adapters' own rank is not known, where the file names some that are not in the repository. */
export function sayUnseen(say: Stating, { saved }: AdapterKeys, { places }: Resumed): void {
  const named = say.text(saved);
  if (named === undefined || named === '' || places.size > 0) return;
  say.assume(
    'lora',
    'as for new adapters',
    `${saved} names ${named.slice(0, 100)}, whose adapter_config.json is not in this repository`,
  );
}
