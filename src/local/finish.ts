import type { Review } from '../gate/review.ts';
import type { Words } from './arguments.ts';
import { failed, note, passed, print } from './print.ts';

/** The clock of waivers. */
export const today = (): string => new Date().toISOString().slice(0, 10);

/** Whether findings are read where errors are: at a terminal, which need not show the same sentence twice. */
export const tellsFindings = (words: Words): boolean =>
  words.format === 'text' && words.option('output') === undefined && process.stdout.isTTY && process.stderr.isTTY;

/** Prints what was found, and turns the verdict into an exit code. */
export function finish(words: Words, found: Review, text: string): number {
  const file = words.option('output');
  const code = print(text, file, words.format === 'text');
  // A file says nothing to who waits at the terminal.
  const told = found.settings.length > 0 || found.verdict.findings.length > 0;
  if (code === passed && file !== undefined && told)
    note(`verdict: ${found.verdict.outcome}; the report is in ${file}`);
  return code === passed && found.verdict.outcome === 'fail' ? failed : code;
}
