import { error, notice, warning } from '@actions/core';
import type { Annotation } from '../report/annotations.ts';
import { plain } from '../report/markdown.ts';

/**
 * Foreign words in a log line. The runner takes `::command::` at the start of a line and `##[command]` anywhere in one for
 * orders, so neither may survive; nor may a second line or a terminal's escape.
 */
export const harmless = (foreign: string): string =>
  plain(foreign, 2_000).replaceAll('::', ': :').replace(/##\[/g, '## [');

/** One line of log. The only way to print. */
export function log(line: string): void {
  process.stdout.write(`${harmless(line)}\n`);
}

/** An annotation at the config's line. */
export function annotate({ severity, path, line, title, message }: Annotation): void {
  const place = { file: plain(path, 400), startLine: line, title };
  const write = { fail: error, warn: warning, notice }[severity];
  write(harmless(message), place);
}
