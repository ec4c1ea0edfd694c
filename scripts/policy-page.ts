// Writes the parts of docs/policy.md that are made of files and of real output.
//   npm run build && node scripts/node24.mjs scripts/policy-page.ts
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const page = new URL('../docs/policy.md', import.meta.url);

/** The command that the page shows, and the last lines of what it prints. */
export const [, command = ''] =
  /```sh\nnode (dist\/cli\/index\.js diff examples[^\n]+)\n/.exec(readFileSync(page, 'utf8')) ?? [];
export function verdict(): string {
  const root = new URL('..', import.meta.url);
  const { stdout } = spawnSync(process.execPath, command.split(' '), { cwd: root, encoding: 'utf8' });
  return stdout.slice(stdout.indexOf('\n\n') + 2).trim();
}

const between = (text: string, name: string, content: string) =>
  text.replace(
    new RegExp(`(<!-- ${name}:begin -->)[\\s\\S]*?(<!-- ${name}:end -->)`),
    (_, begin: string, end: string) => `${begin}\n${content.trim()}\n${end}`,
  );

if (process.argv[1] === import.meta.filename) {
  const example = readFileSync(new URL('../examples/policy/model-cost.yml', import.meta.url), 'utf8');
  const text = between(readFileSync(page, 'utf8'), 'example', `\`\`\`yaml\n${example}\`\`\``);
  writeFileSync(page, between(text, 'verdict', `\`\`\`\n${verdict()}\n\`\`\``));
}
