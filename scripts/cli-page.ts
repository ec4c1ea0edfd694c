// Writes the help texts into docs/cli.md.
//   node scripts/node24.mjs scripts/cli-page.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { type Command, commands, help } from '../src/local/arguments.ts';

const page = new URL('../docs/cli.md', import.meta.url);

/** The block of a command's help. */
export const helpBlock = (command: Command): string =>
  `<!-- help:${command}:begin -->\n\`\`\`\n${help(command).trim()}\n\`\`\`\n<!-- help:${command}:end -->`;

if (process.argv[1] === import.meta.filename) {
  let text = readFileSync(page, 'utf8');
  for (const command of commands)
    text = text.replace(new RegExp(`<!-- help:${command}:begin -->[\\s\\S]*?<!-- help:${command}:end -->`), () =>
      helpBlock(command),
    );
  writeFileSync(page, text);
}
