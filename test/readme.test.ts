import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { inputDefaults } from '../src/settings/inputs.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const action = parse(readFileSync(new URL('../action.yml', import.meta.url), 'utf8'));

const rows = (heading: string): string[][] => {
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
};

describe('the README', () => {
  it('has the inputs of action.yml, with their defaults', () => {
    const inputs = rows('Inputs');
    expect(inputs.map(([name]) => name?.replaceAll('`', ''))).toEqual(Object.keys(action.inputs));
    for (const [name = '', , value = ''] of inputs) {
      const wanted =
        name === '`github-token`' ? '${{ github.token }}' : (inputDefaults[name.replaceAll('`', '')] ?? '');
      expect(value.replaceAll('`', '')).toBe(wanted);
    }
  });

  it('has the outputs of action.yml', () => {
    expect(rows('Outputs').map(([name]) => name?.replaceAll('`', ''))).toEqual(Object.keys(action.outputs));
  });

  it('has workflows that parse', () => {
    const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => parse(text));
    expect(blocks.filter((block) => block.jobs !== undefined).length).toBeGreaterThanOrEqual(3);
  });

  it('begins with a command that needs no install, prints the comment and fails over budget', () => {
    const [, command = ''] = /```sh\n(node dist\/cli\/index\.js diff [^\n]+)\n/.exec(readme) ?? [];
    const [, ...words] = command.split(' ');
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stdout).toContain('over the memory budget');
    expect(readme).toContain('npm ci && npm test');
  });
});
