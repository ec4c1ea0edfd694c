import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findModel } from '../facts/models.ts';
import { nearestModels } from '../read/near.ts';
import { fileOf } from '../text/job-name.ts';
import type { ConfigSide } from '../world.ts';
import { readSide } from './files.ts';
import { note } from './print.ts';

/** What a word of the command line stands for, under the path or name by which it is reported. */
export type Named = { readonly path: string; readonly side: ConfigSide };

/** A file; a folder, for the `config.json` in it; or a published model of the catalogue, where no file has the name. */
export function named(word: string): Named {
  // `recipes/llama.py#llama3_8b` is one job of a file.
  const file = existsSync(word) ? word : fileOf(word);
  if (file !== word) return { path: word, side: readSide(file) };
  if (!existsSync(word)) return published(word) ?? { path: word, side: readSide(word) };
  const side = readSide(word);
  const inside = join(word, 'config.json');
  return side.kind === 'refused' && side.why === 'folder' && existsSync(inside)
    ? { path: inside, side: readSide(inside) }
    : { path: word, side };
}

/** A word that can only be a file: it starts or ends like one, or lies deeper than an organisation. */
const fileLike = /^[./~]|\.(json|ya?ml|toml|sh|py)$|\/.*\/|\\/i;

function published(word: string): Named | undefined {
  if (word === '' || fileLike.test(word)) return undefined;
  const model = findModel(word);
  if (model === undefined) return { path: word, side: unknown(word) };
  note(`${word} is a published model of the catalogue; its sizes are those of ${model.source}.`);
  return { path: word, side: { kind: 'bytes', bytes: Buffer.from(JSON.stringify(model.config)) } };
}

function unknown(word: string): ConfigSide {
  const near = nearestModels(word.slice(0, 100));
  const names =
    near.length === 0 ? ' (list them with: model-cost list models)' : `; the nearest are ${near.join(', ')}`;
  return {
    kind: 'refused',
    why: 'unopened',
    reason: `${word.slice(0, 100)}: there is no such file, and no such model in the catalogue${names}.`,
  };
}
