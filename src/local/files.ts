import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { ConfigSide } from '../world.ts';

/** Far above any config, so that a wrong path does not fill the memory. */
const largest = 16 * 2 ** 20;

/** A file's bytes, or a sentence why there are none. */
export function readSide(path: string): ConfigSide {
  try {
    const found = statSync(path);
    if (found.isDirectory()) return { kind: 'refused', reason: `${path} is a folder; name a config file in it.` };
    if (!found.isFile()) return { kind: 'refused', reason: `${path} is no regular file.` };
    if (found.size > largest)
      return { kind: 'refused', reason: `${path} has ${found.size} bytes; configs are read up to 1 MiB.` };
    return { kind: 'bytes', bytes: readFileSync(path) };
  } catch (error) {
    return { kind: 'refused', reason: `${path}: ${reasonOf(error)}` };
  }
}

export function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file.';
  if (code === 'EACCES') return 'the file may not be read.';
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}

export const writeText = (path: string, text: string): void => writeFileSync(path, text);
