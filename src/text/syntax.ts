import { parse as parseToml } from 'smol-toml';
import {
  type DocumentOptions,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParseOptions,
  parseDocument,
  type SchemaOptions,
} from 'yaml';
import type { Problem } from '../model/reading.ts';
import { fileOf } from './job-name.ts';
import { JsonTooLarge, NotJson, readJson } from './json.ts';
import { joined, limits, tooDeep, tooMany } from './limits.ts';
import { readPython } from './python.ts';
import { argumentsOf } from './script-arguments.ts';
import { readScript } from './shell.ts';
import type { Inputs, Sources } from './shell-machine.ts';
import { ShellTooLarge } from './shell-words.ts';

/** An untyped value with the line (1-based) on which each of its keys stands, by dotted path. */
export type Source = {
  readonly value: unknown;
  readonly lines: ReadonlyMap<string, number>;
  readonly problems: readonly Problem[];
  /** Names of what must be known before a value is, where a script leaves it open; by dotted path. */
  readonly open?: ReadonlyMap<string, readonly string[]>;
  /** The text itself, where files that it reads in can change what it says. */
  readonly text?: string;
  /** What the file calls a key that is asked for by another name, and where it stands; by dotted path. */
  readonly names?: ReadonlyMap<string, { readonly key: string; readonly line?: number }>;
};

export type Parsed = ({ readonly kind: 'parsed' } & Source) | { readonly kind: 'broken'; readonly problem: Problem };

/**
 * `yaml-1.1` is how trainers read YAML (PyYAML): `32_000` is a number there, `yes` and `off` are answers. `hosts` is the list of a
 * cluster's machines that launchers take (`--hostfile`): `worker-1 slots=8` a line.
 */
export type Syntax = 'json' | 'yaml' | 'yaml-1.1' | 'toml' | 'shell' | 'python' | 'hosts';

const broken = (message: string, line?: number): Parsed => ({
  kind: 'broken',
  problem: { severity: 'error', message, ...(line === undefined ? {} : { line }) },
});

/** The syntax of a config of a model or a training by its file's name, as trainers read it. */
export const trainersSyntaxOf = (path: string): Syntax | undefined => {
  const syntax = syntaxOf(path) ?? (isHostfile(path) ? 'hosts' : undefined);
  return syntax === 'yaml' ? 'yaml-1.1' : syntax;
};

/** Whether a file may list machines, by its name: `hostfile`, `hosts_2_nodes.txt`, `cluster.hosts`. */
export const isHostfile = (path: string): boolean =>
  /^(?:[^.]*(?:host|machine)[^.]*(?:\.txt)?|[^.]*\.hosts?(?:file)?)$/i.test(path.split('/').at(-1) ?? '');

/** The syntax that a file's name promises. */
export function syntaxOf(path: string): Syntax | undefined {
  if (/\.jsonc?$/i.test(path)) return 'json';
  if (/\.ya?ml$/i.test(path)) return 'yaml';
  if (/\.toml$/i.test(path)) return 'toml';
  if (/\.(sh|bash|slurm|sbatch)$/i.test(path)) return 'shell';
  if (/\.py$/i.test(fileOf(path))) return 'python';
  return undefined;
}

/**
 * Bytes to an untyped value. Never executes, always bounded: size before decoding, depth and number of nodes after parsing.
 * An error is one sentence, with the line where the parser knows it.
 */
export function parse(bytes: Uint8Array, syntax: Syntax): Parsed {
  if (bytes.length > limits.bytes) {
    return broken(`The file has ${bytes.length} bytes; configs are read up to ${limits.bytes}.`);
  }
  const text = decode(bytes);
  if (text === undefined) return broken('The file is neither UTF-8 nor UTF-16 text.');
  if (text.trim() === '') return broken('The file is empty.');
  const marks = ['json', 'shell', 'python', 'hosts'].includes(syntax) ? 0 : count(text, /[,.[\]{}&*\n]|[-?:](?=\s)/g);
  if (marks > limits.marks) return broken(`The file has more than ${limits.marks} lines and values.`);
  const parsed = parsers[syntax](text);
  if (parsed.kind === 'broken') return parsed;
  const excess = exceeds(parsed.value);
  return excess === undefined ? parsed : broken(excess);
}

const parsers: Readonly<Record<Syntax, (text: string) => Parsed>> = {
  json: (text) => parseJson(text),
  yaml: (text) => parseYaml(text, {}),
  'yaml-1.1': (text) => parseYaml(text, trainersYaml),
  toml: (text) => parseTomlText(text),
  shell: (text) => parseShell(text),
  python: (text) => parsePython(text),
  hosts: (text) => parseHosts(text),
};

function count(text: string, mark: RegExp): number {
  let found = 0;
  while (mark.test(text)) found += 1;
  return found;
}

function decode(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The sentence on a value that is too deep or too large; else undefined. Shared values (aliases) count each time they are met. */
function exceeds(root: unknown): string | undefined {
  const stack: [unknown, number][] = [[root, 0]];
  let nodes = 0;
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [value, depth] = next;
    nodes += 1;
    if (nodes > limits.nodes) return tooMany;
    if (depth > limits.depth) return tooDeep;
    if (typeof value === 'object' && value !== null)
      for (const child of Object.values(value)) stack.push([child, depth + 1]);
  }
  return undefined;
}

/** Machines with what is said of each, in the order of the file. */
function parseHosts(text: string): Parsed {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/#.*/, '').trim());
  const value = lines.flatMap((line) =>
    line === '' ? [] : [{ slots: /\sslots\s*=\s*(\d{1,4})(?:\s|$)/.exec(line)?.[1] }],
  );
  return { kind: 'parsed', value, lines: new Map(), problems: [] };
}

// --- JSON -------------------------------------------------------------------------------------------------------------

function parseJson(text: string): Parsed {
  try {
    const { value, lines, duplicates, strict } = readJson(text);
    const problems: Problem[] = duplicates.map(({ key, line }) => twice(key, line));
    if (!strict)
      problems.push({
        severity: 'notice',
        message: 'The file is not strict JSON (comments, trailing commas or the like); it was read as JSON5.',
      });
    return { kind: 'parsed', value, lines, problems };
  } catch (error) {
    if (error instanceof NotJson) return broken(`The file is not valid JSON: ${error.message}.`, error.line);
    if (error instanceof JsonTooLarge) return broken(error.message);
    throw error;
  }
}

const twice = (key: string, line: number): Problem => ({
  severity: 'warning',
  message: `The key ${key} appears twice; the last one is used.`,
  line,
  key,
});

/** A parser's first line as a sentence. */
function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith('Maximum call stack')) return 'it nests too deeply.';
  const [first = ''] = message.split('\n');
  return `${first.slice(0, 200).replace(/\.$/, '')}.`;
}

// --- YAML -------------------------------------------------------------------------------------------------------------

/** YAML 1.1 without what is not a plain value: dates stay text, and binary, sets and ordered maps are refused with other tags. */
const trainersYaml: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  customTags: (tags) =>
    tags
      .filter((tag) => typeof tag !== 'object' || !/(timestamp|binary|omap|pairs|set)$/.test(String(tag.tag)))
      // PyYAML takes `y` and `n` for letters: verl's `n: 8` is a key.
      .map((tag) =>
        typeof tag === 'object' && tag.tag === 'tag:yaml.org,2002:bool' && tag.test !== undefined
          ? { ...tag, test: tag.test.test('y') ? /^(?:yes|true|on)$/i : /^(?:no|false|off)$/i }
          : tag,
      ),
};

function parseYaml(text: string, dialect: ParseOptions & DocumentOptions & SchemaOptions): Parsed {
  const counter = new LineCounter();
  const document = parseDocument(text, {
    ...dialect,
    lineCounter: counter,
    // The parser's own check for duplicate keys takes quadratic time; `yamlKeys` does it in one walk.
    uniqueKeys: false,
    merge: true,
    prettyErrors: false,
    // At any lower level it takes the first of several documents without an error.
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error) {
    const { line } = counter.linePos(error.pos[0]);
    return error.code === 'MULTIPLE_DOCS'
      ? broken('The file holds several YAML documents; a config is one of its own.', line)
      : broken(`The file is not valid YAML: ${sentence(error)}`, line);
  }
  const { lines, problems, excess } = yamlKeys(document.contents, (offset) => counter.linePos(offset).line);
  if (excess !== undefined) return broken(excess);
  try {
    return { kind: 'parsed', value: document.toJS({ maxAliasCount: limits.aliases }), lines, problems };
  } catch (error) {
    return broken(`The file is YAML that cannot be used: ${sentence(error)}`);
  }
}

/**
 * Where each key of a YAML document stands, which stand twice, and what there is too much of: aliases are looked up one by one,
 * and a merge (`<<`) copies what it merges, so both are counted before they are followed.
 */
function yamlKeys(
  contents: unknown,
  lineAt: (offset: number) => number,
): { readonly lines: Map<string, number>; readonly problems: readonly Problem[]; readonly excess: string | undefined } {
  const lines = new Map<string, number>();
  const problems: Problem[] = [];
  /** Keys of a mapping by its anchor, with those it merges. */
  const sizes = new Map<string, number>();
  let [nodes, aliases, merged] = [0, 0, 0];
  let excess: string | undefined;

  const sizeOf = (source: unknown): number => {
    if (isAlias(source)) return sizes.get(source.source) ?? 0;
    if (isSeq(source)) return source.items.reduce((sum: number, item) => sum + sizeOf(item), 0);
    return 0;
  };
  const keyOf = (key: Node, path: string | undefined): string | undefined => {
    if (!isScalar(key)) {
      excess ??= `The key on line ${lineAt(key.range?.[0] ?? 0)} is not text.`;
      return undefined;
    }
    return joined(path, typeof key.value === 'symbol' ? '<<' : String(key.value));
  };
  const walk = (node: unknown, path: string | undefined, depth: number): void => {
    nodes += 1;
    if (depth > limits.depth) excess ??= tooDeep;
    if (nodes > limits.nodes) excess ??= tooMany;
    if (excess !== undefined || !isNode(node)) return;
    if (isAlias(node) || node.anchor !== undefined) aliases += 1;
    if (aliases > limits.aliases) excess = `The file has more than ${limits.aliases} anchors and aliases.`;
    if (isMap(node)) {
      const seen = new Set<string>();
      let size = node.items.length;
      for (const pair of node.items) {
        if (!isPair(pair) || !isNode(pair.key)) continue;
        const key = keyOf(pair.key, path);
        const line = lineAt(pair.key.range?.[0] ?? 0);
        const merges = isScalar(pair.key) && (typeof pair.key.value === 'symbol' || pair.key.value === '<<');
        if (merges) size += sizeOf(pair.value);
        if (key !== undefined) {
          if (seen.has(key) && !merges && problems.length < limits.duplicates) problems.push(twice(key, line));
          seen.add(key);
          lines.set(key, line);
        }
        walk(pair.value, key === undefined ? undefined : joined(key, '.'), depth + 1);
      }
      merged += size - node.items.length;
      if (merged > limits.nodes / 4) excess ??= `The file merges more than ${limits.nodes / 4} keys.`;
      if (node.anchor !== undefined) sizes.set(node.anchor, size);
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) walk(item, joined(path, `${index}.`), depth + 1);
    }
  };
  walk(contents, '', 0);
  return { lines, problems, excess };
}

// --- TOML -------------------------------------------------------------------------------------------------------------

function parseTomlText(text: string): Parsed {
  try {
    const value: unknown = parseToml(text, { maxDepth: limits.depth });
    return { kind: 'parsed', value, lines: tomlKeys(text), problems: [] };
  } catch (error) {
    const line =
      typeof error === 'object' && error !== null && 'line' in error && typeof error.line === 'number'
        ? error.line
        : undefined;
    return broken(`The file is not valid TOML: ${sentence(error)}`, line);
  }
}

function tomlKeys(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  let table = '';
  for (const [index, row] of text.split('\n').entries()) {
    const header = /^\s*\[\[?([\w."-]{1,200})\]\]?/.exec(row)?.[1];
    if (header !== undefined) table = `${header.replaceAll('"', '')}.`;
    const key = /^\s*([\w."-]{1,200})\s*=/.exec(row)?.[1];
    if (key !== undefined) lines.set(table + key.replaceAll('"', ''), index + 1);
  }
  return lines;
}

// --- Shell ------------------------------------------------------------------------------------------------------------

/** A launch script as the arguments of what it starts; files that it reads in are not at hand here. */
export function parseShell(text: string, files?: Sources, inputs?: Inputs): Parsed {
  try {
    return { kind: 'parsed', ...argumentsOf(readScript(text, files, inputs)), problems: [], text };
  } catch (error) {
    if (error instanceof ShellTooLarge) return broken(error.message);
    throw error;
  }
}

// --- Python -----------------------------------------------------------------------------------------------------------

function parsePython(text: string): Parsed {
  const reading = readPython(text);
  if (reading.kind === 'broken') return broken(reading.message);
  const problems = reading.notes.map(
    ({ message, line, within }): Problem => ({
      severity: 'warning',
      message: `Line ${line}: ${message}.`,
      line,
      ...(within === undefined ? {} : { key: within }),
    }),
  );
  return { kind: 'parsed', value: reading.value, lines: reading.lines, problems };
}
