import type { Problem } from '../model/reading.ts';
import { jsonText } from '../report/json.ts';
import { plain } from '../report/markdown.ts';
import { onScreen } from '../report/screen.ts';
import { writeText } from './files.ts';

export const passed = 0;
export const failed = 1;
export const unusable = 2;

/** A reader that closes early (`| head`) is not an error. */
export function quietPipes(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}

/** Sentences on standard error, one a line. */
export function complain(...sentences: readonly string[]): number {
  for (const sentence of sentences) process.stderr.write(`model-cost: ${plain(sentence, 500)}\n`);
  return unusable;
}

/** A sentence beside the result, on standard error, that changes nothing. */
export function note(sentence: string): void {
  complain(sentence);
}

/** What is wrong with a config, and on which line; messages that begin with its path already do not say it twice. */
export function complainOf(path: string, problem: Pick<Problem, 'message' | 'line'> | undefined): number {
  const { message, line } = problem ?? { message: 'could not be read.' };
  if (message.startsWith(path)) return complain(message);
  return complain(`${path}${line === undefined ? '' : `:${line}`}: ${message}`);
}

/**
 * A result, to standard output or the file of --output.
 *
 * @param prose it is for readers only, and may be dressed for a terminal
 */
export function print(text: string, file: string | undefined, prose = false): number {
  if (file === undefined) {
    process.stdout.write(prose ? dressed(text) : text);
    return passed;
  }
  const problem = writeText(file, text);
  return problem === undefined ? passed : complain(problem);
}

/** For who reads it at a terminal; a pipe gets the bare text, in colour only where FORCE_COLOR asks for it. */
function dressed(text: string): string {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const { isTTY, columns } = process.stdout;
  const asked = FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0';
  const colour = !NO_COLOR && (asked || (isTTY && TERM !== 'dumb' && FORCE_COLOR !== '0'));
  return onScreen(text, { colour, columns: isTTY ? columns : undefined });
}

/** A line that overwrites itself, on a terminal only; an empty message clears it. */
export function progress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${message}`);
}

/** JSON as it is printed: indented, with a line end. */
export const json = (value: unknown): string => `${jsonText(value, 2)}\n`;
