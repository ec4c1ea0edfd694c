import { isDictionary, own } from '../text/fields.ts';
import type { Inputs } from '../text/shell.ts';
import { parseShell } from '../text/syntax.ts';
import type { Files } from '../world.ts';
import type { ParsedFile } from './format.ts';
import { type Argument, type Arguments, argumentName } from './formats/megatron-arguments.ts';
import { pathInside } from './gather.ts';

/** What formats of launch scripts have in common: files that a script reads in, and its arguments with their places. */

/** How deep scripts that scripts read in are followed; the files that they refer to come behind. */
const rounds = 3;
/** What a file that a script reads in may have at most. */
const longest = 200_000;

/**
 * A script evaluated with what it is started with and with the scripts that it reads in, as far as they are in the repository; or
 * the files that must be known first.
 */
export function followed(
  file: ParsedFile,
  known: Files,
  inputs: Inputs,
): ParsedFile | { readonly kind: 'needs'; readonly paths: readonly string[] } {
  const texts = new Map<string, string>();
  let script = Object.keys(inputs).length === 0 ? file : again(file, texts, inputs);
  for (let round = 0; round < rounds; round++) {
    const fresh = sourcedOf(script).filter((name) => !texts.has(name));
    const candidates = fresh.flatMap((name) => pathsOf(name, file.path));
    const missing = candidates.filter((path) => !known.has(path));
    if (missing.length > 0) return { kind: 'needs', paths: [...new Set(missing)] };
    for (const name of fresh) {
      const path = pathsOf(name, file.path).find((one) => known.get(one)?.kind === 'bytes');
      const side = path === undefined ? undefined : known.get(path);
      if (side?.kind === 'bytes') texts.set(name, Buffer.from(side.bytes.subarray(0, longest)).toString('utf8'));
    }
    if (!fresh.some((name) => texts.has(name))) break;
    script = again(file, texts, inputs);
  }
  return script;
}

function again(file: ParsedFile, texts: ReadonlyMap<string, string>, inputs: Inputs): ParsedFile {
  const parsed = parseShell(file.source.text ?? '', (name) => texts.get(name), inputs);
  return parsed.kind === 'broken' ? file : { path: file.path, source: parsed };
}

function sourcedOf({ source: { value } }: ParsedFile): readonly string[] {
  const names = isDictionary(value) ? own(value, 'sourced') : undefined;
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string').slice(0, 16) : [];
}

/** Where a script finds what it reads in: in its own folder, or from where it is started, which is the root. */
function pathsOf(name: string, from: string): readonly string[] {
  if (!/\.(sh|bash|env|conf|slurm)$/.test(name)) return [];
  const paths = [pathInside(`./${name}`, from), pathInside(name.replace(/^(\.\/)+/, ''), from)];
  return [...new Set(paths.flatMap((path) => (path === undefined || path === from ? [] : [path])))];
}

/** The flags of the command that a script is about, by their names with `_`, told of as they stand in the script. */
export function flagsOf({ path, source: { value, lines } }: ParsedFile): Arguments {
  const flags = isDictionary(value) ? own(value, 'arguments') : undefined;
  const found = new Map<string, Argument>();
  for (const [word, given] of Object.entries(isDictionary(flags) ? flags : {})) {
    const line = lines.get(`arguments.${word}`);
    const at = { file: path, key: `--${word}`, ...(line === undefined ? {} : { line }) };
    found.set(argumentName(word), { value: given, at });
  }
  return found;
}

/** What starts the command: GPUs of a node, nodes, GPUs in all, as the launcher's flags or Slurm's directives say. */
export function launchOf(file: ParsedFile): Arguments {
  const { value } = file.source;
  const launch = isDictionary(value) ? own(value, 'launch') : undefined;
  const found = new Map<string, Argument>();
  if (!isDictionary(launch)) return found;
  for (const [name, key] of [
    ['gpus_per_node', 'GPUs of a node'],
    ['nodes', 'nodes'],
    ['gpus', 'GPUs'],
  ] as const) {
    const given = own(launch, name);
    if (given !== undefined) found.set(`launch_${name}`, { value: given, at: { file: file.path, key } });
  }
  return found;
}

/** A text of the dictionary that a script is. */
export function wordsOf({ source: { value } }: ParsedFile, key: string): string {
  const text = isDictionary(value) ? own(value, key) : undefined;
  return typeof text === 'string' ? text : '';
}

/** A text that the script itself writes to a file of this name. */
export function writtenBy({ source: { value } }: ParsedFile, name: string): string | undefined {
  const written = isDictionary(value) ? own(value, 'written') : undefined;
  const text = isDictionary(written) ? own(written, name) : undefined;
  return typeof text === 'string' ? text : undefined;
}

/** The names that a value of a script stands open for: `$2`, `$TP`. */
export const openWords = (text: string): readonly string[] =>
  [...text.slice(0, 500).matchAll(/\$(\w{1,60})/g)].map(([, name = '']) => name);
