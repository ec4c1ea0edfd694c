import { readdirSync, readFileSync } from 'node:fs';
import { validate } from '@actions/languageservice';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { inputDefaults } from '../src/settings.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const document = (uri: string, text: string) => {
  const lines = text.split('\n');
  let start = 0;
  const offsets = lines.map((line) => {
    start += line.length + 1;
    return start - line.length - 1;
  });
  return {
    uri,
    languageId: 'yaml',
    version: 1,
    lineCount: lines.length,
    getText: () => text,
    offsetAt: ({ line, character }: { line: number; character: number }) => (offsets[line] ?? 0) + character,
    positionAt: (offset: number) => {
      const line = offsets.findLastIndex((start) => start <= offset);
      return { line, character: offset - (offsets[line] ?? 0) };
    },
  };
};
const workflows = readdirSync(new URL('../.github/workflows/', import.meta.url));

describe('action.yml', () => {
  it('is valid in the eyes of GitHub’s own language service', async () => {
    expect(await validate(document('file:///action.yml', read('action.yml')) as never)).toEqual([]);
  });

  it('would not be valid with a runtime that GitHub does not know', async () => {
    expect(
      await validate(document('file:///broken/action.yml', read('action.yml').replace('node24', 'node99')) as never),
    ).not.toEqual([]);
  });

  it('names the inputs that the settings know, and no default but the token’s', () => {
    const { inputs, runs } = parse(read('action.yml'));
    expect(Object.keys(inputs)).toEqual(['github-token', ...Object.keys(inputDefaults)]);
    expect(
      Object.entries<{ default?: string }>(inputs)
        .filter(([, input]) => input.default !== undefined)
        .map(([name]) => name),
    ).toEqual(['github-token']);
    expect(runs).toEqual({ using: 'node24', main: 'dist/index.js' });
  });
});

describe.each(workflows)('.github/workflows/%s', (name) => {
  const text = read(`.github/workflows/${name}`);

  it('is valid', async () => {
    const found = await validate(document(`file:///.github/workflows/${name}`, text) as never);
    expect(found.filter(({ message }) => !String(message).startsWith('Unable to resolve action'))).toEqual([]);
  });

  it('pins every action to a full SHA and asks for as little as it can', () => {
    const uses = [...text.matchAll(/uses: (\S+)/g)].map(([, action]) => action ?? '');
    expect(uses.filter((action) => action !== './' && !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
    expect(parse(text).permissions).toBeDefined();
    expect(text).not.toMatch(/write-all|pull_request_target/);
  });
});
