import type { Reading } from '../model/reading.ts';
import { Unreadable } from '../text/fields.ts';
import { parse, type Source, syntaxOf } from '../text/syntax.ts';
import { huggingface } from './formats/huggingface.ts';
import { mamba } from './formats/mamba.ts';

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
  /(^|\/)(package(-lock)?|tsconfig[^/]*|biome|renovate|composer|tokenizer(_config)?|vocab|special_tokens_map|generation_config|preprocessor_config|added_tokens|adapter_config|[^/]*\.index)\.json$|(^|\/)(\.github|node_modules|\.vscode)\//i;

/** True for a path whose name lets it be a model config: cheap, so that only such files are fetched. */
export const couldBeConfig = (path: string): boolean => syntaxOf(path) !== undefined && !never.test(path);

/**
 * Reads a config file. What no format recognises is `unread` without a format, so that a caller can pass over it; what a
 * format recognises and cannot read is `unread` with one sentence that names key and line.
 */
export function readConfig(bytes: Uint8Array, path: string): Reading {
  const syntax = syntaxOf(path) ?? 'json';
  const parsed = parse(bytes, syntax);
  if (parsed.kind === 'broken') return { kind: 'unread', problems: [parsed.problem] };
  const format = formats.find((candidate) => candidate.recognises(parsed.value, path));
  if (format === undefined) {
    const known = formats.map(({ title }) => title).join(', ');
    return {
      kind: 'unread',
      problems: [{ severity: 'error', message: `The file is none of the model configs that are read: ${known}.` }],
    };
  }
  try {
    return possible(format.read(parsed));
  } catch (error) {
    if (error instanceof Unreadable) return { kind: 'unread', format: format.id, problems: [error.problem] };
    throw error;
  }
}

/** A size below nothing, or one that is no number: each field may be in bounds, and what follows from two of them is not. */
function possible(reading: Reading): Reading {
  if (reading.kind === 'unread') return reading;
  const stack: (readonly [value: unknown, path: string])[] = [[reading.architecture, 'architecture']];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [value, path] = next;
    if (typeof value === 'number' && !(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      const message = `The config's numbers lead to ${value} as ${path}, which no model has.`;
      return {
        kind: 'unread',
        format: reading.format,
        problems: [{ severity: 'error', message }, ...reading.problems],
      };
    }
    if (typeof value === 'object' && value !== null)
      for (const [key, child] of Object.entries(value)) stack.push([child, `${path}.${key}`]);
  }
  return reading;
}
