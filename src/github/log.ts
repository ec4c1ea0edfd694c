import { error, notice, warning } from '@actions/core';
import type { Annotation } from '../report/annotations.ts';
import { plain } from '../report/markdown.ts';

/**
 * Foreign words in a log line. The runner takes `::command::` at the start of a line and `##[command]` anywhere in one for
 * orders, so neither may survive; nor may a second line or a terminal's escape.
 */
export const harmless = (foreign: string, longest = 2_000): string =>
  plain(foreign, longest)
    .replace(/:(?=:)/g, ': ')
    .replace(/##(?=\[)/g, '## ');

/** One line of log. The only way to print. */
export function log(line: string): void {
  process.stdout.write(`${harmless(line)}\n`);
}

/** An annotation at the config's line. A path that cannot be written as it is would point nowhere, so it is left out. */
export function annotate({ severity, path, line, title, message }: Annotation): void {
  const place = harmless(path, 1_000) === path ? { file: path, startLine: line } : {};
  const write = { fail: error, warn: warning, notice }[severity];
  write(harmless(message), { ...place, title });
}
