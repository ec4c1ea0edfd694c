import JSON5 from 'json5';
import { parse as parseToml } from 'smol-toml';
import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Problem } from '../model/reading.ts';

/** An untyped value with the line (1-based) on which each of its keys stands, by dotted path. */
export type Source = {
  readonly value: unknown;
  readonly lines: ReadonlyMap<string, number>;
  readonly problems: readonly Problem[];
};

export type Parsed = ({ readonly kind: 'parsed' } & Source) | { readonly kind: 'broken'; readonly problem: Problem };

export type Syntax = 'json' | 'yaml' | 'toml';

/** What a config file may be at most: far above any real one, far below what would hurt. */
export const limits = {
  bytes: 1_048_576,
  depth: 64,
  nodes: 200_000,
  aliases: 1_000,
} as const;

const broken = (message: string, line?: number): Parsed => ({
  kind: 'broken',
  problem: { severity: 'error', message, ...(line === undefined ? {} : { line }) },
});

/** The syntax that a file's name promises. */
export function syntaxOf(path: string): Syntax | undefined {
  if (/\.jsonc?$/i.test(path)) return 'json';
  if (/\.ya?ml$/i.test(path)) return 'yaml';
  if (/\.toml$/i.test(path)) return 'toml';
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
  const parsed = syntax === 'json' ? parseJson(text) : syntax === 'yaml' ? parseYaml(text) : parseTomlText(text);
  if (parsed.kind === 'broken') return parsed;
  const excess = exceeds(parsed.value);
  return excess === undefined ? parsed : broken(excess);
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

/** What a value has too much of, or undefined. Shared values (aliases) count each time they are met. */
function exceeds(root: unknown): string | undefined {
  const stack: [unknown, number][] = [[root, 0]];
  let nodes = 0;
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [value, depth] = next;
    nodes += 1;
    if (nodes > limits.nodes) return `The file has more than ${limits.nodes} values.`;
    if (depth > limits.depth) return `The file nests deeper than ${limits.depth} levels.`;
    if (typeof value === 'object' && value !== null)
      for (const child of Object.values(value)) stack.push([child, depth + 1]);
  }
  return undefined;
}

// --- JSON -------------------------------------------------------------------------------------------------------------

function parseJson(text: string): Parsed {
  const { lines, duplicates } = jsonKeys(text);
  const problems: Problem[] = duplicates.map(({ key, line }) => ({
    severity: 'warning',
    message: `The key ${key} stands twice; the last one holds.`,
    line,
    key,
  }));
  try {
    return { kind: 'parsed', value: JSON.parse(text), lines, problems };
  } catch (strict) {
    try {
      // The parser prints a warning of its own about these two.
      const value: unknown = JSON5.parse(text.replace(/[\u2028\u2029]/g, ' '));
      problems.push({
        severity: 'notice',
        message: 'The file is no strict JSON (comments, trailing commas or the like); it was read as JSON5.',
      });
      return { kind: 'parsed', value, lines, problems };
    } catch (lenient) {
      return broken(`The file is no valid JSON: ${sentence(strict)}`, lineOf(lenient));
    }
  }
}

const sentence = (error: unknown) =>
  `${(error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200)}.`.replace('..', '.');
const lineOf = (error: unknown): number | undefined =>
  typeof error === 'object' && error !== null && 'lineNumber' in error && typeof error.lineNumber === 'number'
    ? error.lineNumber
    : undefined;

/** Where each key of a JSON text stands, in one pass; tolerant, since the parser judges. */
function jsonKeys(text: string): { lines: Map<string, number>; duplicates: { key: string; line: number }[] } {
  const lines = new Map<string, number>();
  const duplicates: { key: string; line: number }[] = [];
  const stack: { readonly prefix: string; readonly array: boolean; index: number }[] = [];
  let line = 1;
  let key: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === '\n') line += 1;
    else if (letter === '"') {
      const start = i + 1;
      for (i = start; i < text.length && text[i] !== '"' && text[i] !== '\n'; i++) if (text[i] === '\\') i += 1;
      const after = /^\s*:/.test(text.slice(i + 1, i + 20));
      const frame = stack.at(-1);
      if (after && frame && !frame.array && stack.length <= limits.depth) {
        key = frame.prefix + text.slice(start, i);
        if (lines.has(key)) duplicates.push({ key, line });
        lines.set(key, line);
      }
    } else if (letter === '{' || letter === '[') {
      const frame = stack.at(-1);
      const prefix = frame === undefined ? '' : frame.array ? `${frame.prefix}${frame.index}.` : `${key ?? ''}.`;
      stack.push({ prefix, array: letter === '[', index: 0 });
    } else if (letter === '}' || letter === ']') stack.pop();
    else if (letter === ',') {
      const frame = stack.at(-1);
      if (frame) frame.index += 1;
    }
  }
  return { lines, duplicates: duplicates.slice(0, 10) };
}

// --- YAML -------------------------------------------------------------------------------------------------------------

function parseYaml(text: string): Parsed {
  const counter = new LineCounter();
  // The parser's own check for duplicate keys takes quadratic time; `yamlKeys` does it in one walk.
  const document = parseDocument(text, {
    lineCounter: counter,
    uniqueKeys: false,
    merge: true,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const [error] = document.errors;
  if (error) return broken(`The file is no valid YAML: ${sentence(error)}`, counter.linePos(error.pos[0]).line);
  const lines = new Map<string, number>();
  const problems: Problem[] = [];
  let nodes = 0;
  const walk = (node: unknown, path: string, depth: number): void => {
    nodes += 1;
    if (depth > limits.depth || nodes > limits.nodes || !isNode(node) || isAlias(node)) return;
    if (isMap(node)) {
      const seen = new Set<string>();
      for (const pair of node.items) {
        if (!isPair(pair) || !isScalar(pair.key)) continue;
        const name = String(pair.key.value);
        const key = path + name;
        const line = counter.linePos((pair.key as Node).range?.[0] ?? 0).line;
        if (seen.has(name) && name !== '<<' && problems.length < 10) {
          problems.push({
            severity: 'warning',
            message: `The key ${key} stands twice; the last one holds.`,
            line,
            key,
          });
        }
        seen.add(name);
        lines.set(key, line);
        walk(pair.value, `${key}.`, depth + 1);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) walk(item, `${path}${index}.`, depth + 1);
    }
  };
  walk(document.contents, '', 0);
  try {
    return { kind: 'parsed', value: document.toJS({ maxAliasCount: limits.aliases }), lines, problems };
  } catch (error) {
    return broken(`The file is no usable YAML: ${sentence(error)}`);
  }
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
    return broken(`The file is no valid TOML: ${sentence(error)}`, line);
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
