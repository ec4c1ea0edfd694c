import { closeSync, fstatSync, lstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import type { ConfigSide } from '../world.ts';

/** Far above any config, so that a wrong path does not fill the memory. */
export const largest = 16 * 2 ** 20;

/** A file that is larger than any config, with its start as far as it was read. */
export const tooLarge = (path: string, start?: Uint8Array): ConfigSide => ({
  kind: 'refused',
  why: 'too-large',
  reason: `${path} is larger than ${largest / 2 ** 20} MiB; no config is.`,
  ...(start === undefined ? {} : { start }),
});

/** A file that the user named: its bytes, or a sentence why there are none. A pipe (`<(git show ...)`) is read too. */
export function readSide(path: string): ConfigSide {
  return guarded(path, () => read(path, path));
}

/** A file that a repository named: links are not followed, and nothing but a regular file is opened. */
export function readTracked(folder: string, path: Buffer): ConfigSide {
  const shown = path.toString('utf8');
  return guarded(shown, () => {
    const where = Buffer.concat([Buffer.from(`${folder}/`), path]);
    const found = lstatSync(where);
    if (found.isSymbolicLink()) return symbolicLink;
    if (!found.isFile()) return { kind: 'refused', why: 'unopened', reason: `${shown} is not a regular file.` };
    return read(where, shown);
  });
}

export const symbolicLink: ConfigSide = {
  kind: 'refused',
  why: 'symlink',
  reason: 'The file is a symbolic link; it is not followed.',
};

function read(path: string | Buffer, shown: string): ConfigSide {
  const file = openSync(path, 'r');
  try {
    const found = fstatSync(file);
    if (found.isDirectory())
      return { kind: 'refused', why: 'folder', reason: `${shown} is a folder; name a config file in it.` };
    if (!found.isFile() && !found.isFIFO())
      return { kind: 'refused', why: 'unopened', reason: `${shown} is not a regular file.` };
    if (found.size > largest) {
      const start = Buffer.alloc(2 ** 16);
      return tooLarge(shown, start.subarray(0, readSync(file, start)));
    }
    return drained((piece) => readSync(file, piece), shown);
  } finally {
    closeSync(file);
  }
}

/** All that a file or pipe still gives. */
function drained(next: (piece: Buffer) => number, shown: string): ConfigSide {
  const pieces: Buffer[] = [];
  for (let size = 0; size <= largest; ) {
    const piece = Buffer.alloc(2 ** 16);
    const length = next(piece);
    if (length === 0) return { kind: 'bytes', bytes: Buffer.concat(pieces) };
    pieces.push(piece.subarray(0, length));
    size += length;
  }
  return tooLarge(shown, pieces[0]);
}

/** What is piped into the command. */
export const readStandardInput = (): ConfigSide =>
  guarded('standard input', () => drained(nextOfStandardInput, 'standard input'));

function nextOfStandardInput(piece: Buffer): number {
  for (;;) {
    try {
      return readSync(0, piece);
    } catch (error) {
      const code = codeOf(error);
      // Windows says so at the end of a pipe.
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function guarded(path: string, act: () => ConfigSide): ConfigSide {
  try {
    return act();
  } catch (error) {
    return { kind: 'refused', why: 'unopened', reason: `${path}: ${reasonOf(error)}` };
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file.',
  ENOTDIR: 'there is no such file.',
  EACCES: 'the file may not be read.',
  EISDIR: 'that is a folder.',
  ENOSPC: 'the disk is full.',
};

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

function reasonOf(error: unknown): string {
  return reasons[codeOf(error)] ?? (error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
}

/** Writes a result; a sentence where that was impossible. */
export function writeText(path: string, text: string): string | undefined {
  try {
    writeFileSync(path, text);
    return undefined;
  } catch (error) {
    const reason = reasonOf(error);
    return `${path} could not be written: ${reason === reasons['ENOENT'] ? 'there is no such folder.' : reason === reasons['EACCES'] ? 'no permission.' : reason}`;
  }
}
