import { modelNames } from '../facts/models.ts';
import { nearestOf } from '../text/nearest.ts';

const lastOf = (name: string) => name.slice(name.lastIndexOf('/') + 1);

/** Names of the catalogue that a mistyped one may have meant, nearest first; a bare name is held against bare names. */
export function nearestModels(name: string): readonly string[] {
  const bare = !name.includes('/');
  const byWord = new Map(modelNames.map((known) => [bare && !known.includes(':') ? lastOf(known) : known, known]));
  return nearestOf(name, [...byWord.keys()], 3).flatMap((word) => byWord.get(word) ?? []);
}
