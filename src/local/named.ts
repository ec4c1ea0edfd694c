import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findModel } from '../facts/models.ts';
import { couldBeConfig } from '../read/config.ts';
import { nearestModels } from '../read/near.ts';
import { globs } from '../settings/globs.ts';
import { fileOf } from '../text/job-name.ts';
import type { ConfigSide } from '../world.ts';
import { standardInput, Usage } from './arguments.ts';
import { readSide, readStandardInput } from './files.ts';
import { note } from './print.ts';
import { filesBelow, mostFiles } from './walk.ts';

/** What a word of the command line stands for, under the path or name by which it is reported. */
export type Named = {
  readonly path: string;
  readonly side: ConfigSide;
  /** It was found in a folder that was named, so that it may be no config at all. */
  readonly found?: true;
};

/** A file; a folder, for the `config.json` in it; or a published model of the catalogue, where no file has the name. */
export function named(word: string): Named {
  if (word === standardInput) return { path: word, side: readStandardInput() };
  // `recipes/llama.py#llama3_8b` is one job of a file.
  const file = existsSync(word) ? word : fileOf(word);
  if (file !== word) return { path: word, side: readSide(file) };
  if (!existsSync(word)) return published(word) ?? { path: word, side: readSide(word) };
  const inside = join(word, 'config.json');
  return isFolder(word) && existsSync(inside)
    ? { path: inside, side: readSide(inside) }
    : { path: word, side: readSide(word) };
}

/**
 * As `named`, where several are welcome: a folder without a `config.json` stands for every config below it, and a pattern that
 * the shell left alone for the files that it names.
 *
 * @throws Usage where it stands for nothing
 */
export function allNamed(word: string): readonly Named[] {
  if (existsSync(word) && isFolder(word) && !existsSync(join(word, 'config.json')))
    return inFolder(word).map((path): Named => ({ path, side: readSide(path), found: true }));
  if (!existsSync(word) && !existsSync(fileOf(word)) && sign.test(word))
    return byPattern(word).map((path) => ({ path, side: readSide(path) }));
  return [named(word)];
}

/** What makes a word a pattern. */
const sign = /[*?{]|\[[^\]]+\]/;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function inFolder(folder: string): readonly string[] {
  const paths = below(folder).filter(couldBeConfig);
  if (paths.length === 0) throw new Usage(`${folder} is a folder without a model config.`);
  return paths;
}

function byPattern(pattern: string): readonly string[] {
  const first = pattern.search(sign);
  const start = pattern.slice(0, pattern.lastIndexOf('/', first) + 1);
  const wanted = globs([pattern.slice(start.length)]);
  const folder = start === '' ? '.' : start;
  const paths = isFolder(folder)
    ? below(folder).filter((path) => wanted.names(path.slice(folder === '.' ? 0 : join(folder, '.').length + 1)))
    : [];
  if (paths.length === 0) throw new Usage(`${pattern}: there is no such file, and no file matches it as a pattern.`);
  return paths;
}

/** What was not looked at must not pass for what is not there. */
function below(folder: string): readonly string[] {
  const { paths, complete } = filesBelow(folder);
  if (!complete) throw new Usage(`${folder} has more than ${mostFiles} files; name a folder within it.`);
  return paths;
}

/** A word that can only be a file: it starts or ends like one, or lies deeper than an organisation. */
const fileLike = /^[./~]|\.(json|ya?ml|toml|sh|py)$|\/.*\/|\\/i;

/** The page of a model on a hub: its organisation and name. */
const hubPage = /^https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\/([\w.-]+\/[\w.-]+)(?:\/.*)?$/;

function published(word: string): Named | undefined {
  const name = hubPage.exec(word)?.[1];
  if (name !== undefined) return published(name);
  if (/^https?:/.test(word))
    return {
      path: word,
      side: refused(`${word.slice(0, 100)}: nothing is downloaded; save the config as a file and name that.`),
    };
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
  return refused(`${word.slice(0, 100)}: there is no such file, and no such model in the catalogue${names}.`);
}

const refused = (reason: string): ConfigSide => ({ kind: 'refused', why: 'unopened', reason });
