import type { Architecture } from '../model/architecture.ts';
import type { ModelKeys, Reading } from '../model/reading.ts';
import { type Dictionary, isDictionary, own, textOf, Unreadable } from '../text/fields.ts';
import { parse, type Source, type Syntax, syntaxOf, trainersSyntaxOf } from '../text/syntax.ts';
import { readKeys } from './compose.ts';
import type { ParsedFile } from './format.ts';
import { huggingface } from './formats/huggingface.ts';
import { mamba } from './formats/mamba.ts';
import { isOtherModel } from './formats/other-models.ts';
import { alone, type JobContext, type JobReading, readJob, trainingFormatOf } from './job.ts';
import { mayState, pythonOf } from './recipes.ts';
import { followed } from './scripts.ts';

/** A kind of config file: recognised by its content, most special first. */
export type Format = {
  readonly id: string;
  readonly title: string;
  readonly recognises: (value: unknown, path: string) => boolean;
  readonly read: (source: Source) => Reading;
};

export const formats: readonly Format[] = [mamba, huggingface];

/** Files that end like a config and never are one. */
const never =
  /(^|\/)(package(-lock)?|tsconfig[^/]*|biome|renovate|composer|tokenizer(_config)?|vocab|special_tokens_map|generation_config|preprocessor_config|added_tokens|[^/]*\.index)\.json$|(^|\/)(\.github|node_modules|\.vscode)\//i;

/** A repository has thousands of Python files: those that state a training stand in such folders or are called so. */
const pythonConfig = /(^|[/_.-])(configs?|conf|recipes?|train|pretrain|finetune|sft|experiments?|official)[/_.-]/i;
const neverPython = /(^|\/)(tests?\/|test_|__init__|setup\.py$|(modeling|configuration|tokenization|convert)_)/i;

/** True for a path whose name lets it be a model config: cheap, so that only such files are fetched. */
export const couldBeConfig = (path: string): boolean =>
  syntaxOf(path) === 'python'
    ? pythonConfig.test(path) && !neverPython.test(path) && !never.test(path)
    : syntaxOf(path) !== undefined && !never.test(path);

/** A file that is read only where it changed or where a pattern names it: a full report does not open a repository's code. */
export const isCode = (path: string): boolean => syntaxOf(path) === 'python';

/**
 * Reads a config file. What no format recognises is `unread` without a format, so that a caller can pass over it; what a
 * format recognises and cannot read is `unread` with one sentence that names key and line.
 */
export function readConfig(bytes: Uint8Array, path: string, context: JobContext = alone): Reading {
  const reading = readFile(bytes, path, context);
  if (reading.kind !== 'needs') return reading;
  // A file that was not fetched is read as missing, which is reported. Nothing is asked for twice, so this ends.
  const missing = reading.paths.map((one) => [one, undefined] as const);
  return readConfig(bytes, path, { ...context, known: new Map([...context.known, ...missing]) });
}

/** The same with the files that it refers to, or the paths of those that are missing. */
export function readFile(bytes: Uint8Array, path: string, context: JobContext): JobReading {
  const syntax = trainersSyntaxOf(path) ?? 'json';
  const python = syntax === 'python';
  if (python && !mayState(bytes)) return notConfig;
  const parsed = python ? pythonOf(bytes, path) : parse(bytes, syntax);
  if (parsed.kind === 'broken') return { kind: 'unread', way: 'broken', problems: [parsed.problem] };
  const file: ParsedFile = { path, source: parsed };
  const root = syntax === 'shell' ? followed(file, context.known, context.inputs ?? {}) : file;
  if ('kind' in root) return root;
  const training = trainingFormatOf(root);
  if (training !== undefined) {
    const job = readJob(root, training, context);
    return job.kind === 'needs' ? job : possible(job);
  }
  // Code that names sizes is code all the same.
  if (python) return notConfig;
  const format = formats.find((candidate) => candidate.recognises(parsed.value, path));
  if (format === undefined) return unrecognised(parsed.value, syntax);
  try {
    return possible(format.read(parsed));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { kind: 'unread', way: error.way, format: format.id, problems: [error.problem] };
  }
}

function unrecognised(value: unknown, syntax: Syntax): Reading {
  const unread = (way: 'component' | 'unknown-model', message: string): Reading => ({
    kind: 'unread',
    way,
    problems: [{ severity: 'error', message }],
  });
  if (isDictionary(value) && namesModel(value, syntax))
    return unread(
      'unknown-model',
      'The file names a model, but has none of the keys that are read, so its cost is unknown; if it is not a language model, list it under `ignore` in the policy.',
    );
  if (isModules(value) || (isDictionary(value) && isComponent(value)))
    return unread(
      'component',
      'The file describes a part of a model of sentence-transformers or diffusers that is no language model.',
    );
  return notConfig;
}

/** What these libraries write into folders beside the model's own: a pooling, a dense layer, an autoencoder, a scheduler. */
function isComponent(value: Dictionary): boolean {
  const has = (key: string, type: 'string' | 'number') => typeof own(value, key) === type;
  return (
    (has('_class_name', 'string') && !Array.isArray(own(value, 'architectures'))) ||
    (has('word_embedding_dimension', 'number') && !has('model_type', 'string')) ||
    (has('in_features', 'number') && has('out_features', 'number') && !has('model_type', 'string'))
  );
}

/** The list of a sentence-transformers model's parts (modules.json). */
const isModules = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.slice(0, 100).every((one) => isDictionary(one) && /^sentence_transformers\./.test(textOf(own(one, 'type'))));

const notConfig: Reading = {
  kind: 'unread',
  way: 'no-config',
  problems: [
    {
      severity: 'error',
      message: `The file is not one of the model configs that are read (${formats.map(({ title }) => title).join(', ')}), nor one of the training files.`,
    },
  ],
};

/** A file names a model; `model_type` alone says so in JSON only, as experiments of all kinds have it in YAML and TOML. */
const namesModel = (value: Dictionary, syntax: Syntax): boolean =>
  !isOtherModel(textOf(own(value, 'model_type'))) &&
  (Array.isArray(own(value, 'architectures')) ||
    typeof own(value, 'num_hidden_layers') === 'number' ||
    (syntax === 'json' && typeof own(value, 'model_type') === 'string'));

/** How many bytes of a file are searched for signs that it is a config. */
export const startBytes = 65_536;

const modelKey =
  /\b(?:model_type|architectures|num_hidden_layers|hidden_size|num_attention_heads|n_layers?|n_embd|d_model)\b["']?\s{0,20}[:=]/;

/** The name that Transformers gives to a model's config. */
export const namedConfig = (path: string): boolean => /(^|\/)config\.json$/i.test(path);

/** Whether a file that cannot be read is a model config by its name or its first bytes. */
export function claimsConfig(path: string, start: Uint8Array = new Uint8Array()): boolean {
  // In UTF-16 there are zeros between the letters; an escaped letter (`\u006d`) is still that letter.
  const text = Buffer.from(start.subarray(0, startBytes))
    .toString('latin1')
    .replaceAll('\0', '')
    .replace(/\\u00([0-7][0-9a-f])/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  if (isCode(path)) return mayState(start.subarray(0, startBytes));
  return namedConfig(path) || modelKey.test(text);
}

/** The architecture of keys that were put together here; undefined where no model has them. */
export function readAgain(keys: ModelKeys): Architecture | undefined {
  try {
    const reading = possible(readKeys(keys));
    return reading.kind === 'read' ? reading.architecture : undefined;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return undefined;
  }
}

/** Refuses negative sizes and NaN: two fields may each be in bounds while a size computed from both is not. */
function possible(reading: Reading): Reading {
  if (reading.kind === 'unread') return reading;
  const stack: (readonly [value: unknown, path: string])[] = [[reading.architecture, 'architecture']];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [value, path] = next;
    if (typeof value === 'number' && !(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      const message = `The config's numbers lead to ${value} as ${path}, which no model has.`;
      return {
        kind: 'unread',
        way: 'impossible',
        format: reading.format,
        problems: [{ severity: 'error', message }, ...reading.problems],
      };
    }
    if (typeof value === 'object' && value !== null)
      for (const [key, child] of Object.entries(value)) stack.push([child, `${path}.${key}`]);
  }
  return reading;
}
