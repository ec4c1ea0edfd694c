import { readdirSync, readFileSync } from 'node:fs';
import { validate } from '@actions/languageservice';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { inputDefaults } from '../src/settings/inputs.ts';

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
const ours = readdirSync(new URL('../.github/workflows/', import.meta.url)).map((name) => `.github/workflows/${name}`);
const examples = readdirSync(new URL('../examples/workflows/', import.meta.url)).map(
  (name) => `examples/workflows/${name}`,
);
const uses = (text: string) => [...text.matchAll(/^\s*(?:- )?uses: (.+)$/gm)].map(([, action = '']) => action);
/** Without these a verdict outlives what it was given for: another base branch, another label. */
const gateTypes = ['opened', 'synchronize', 'reopened', 'edited', 'labeled', 'unlabeled'];
const expectGateTypes = (on: Readonly<Record<string, { readonly types?: unknown } | null>>) => {
  for (const event of ['pull_request', 'pull_request_target'].filter((name) => Object.hasOwn(on, name)))
    expect(on[event]?.types).toEqual(expect.arrayContaining(gateTypes));
};
/** Only what may be written is named, and nothing is written by default. */
const permissions = (workflow: { permissions?: unknown; jobs: Record<string, { permissions?: unknown }> }) =>
  [workflow.permissions, ...Object.values(workflow.jobs).map((job) => job.permissions)].filter(
    (one) => one !== undefined,
  );

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

describe.each([...ours, ...examples])('%s', (path) => {
  const text = read(path);
  const workflow = parse(text);

  it('is valid', async () => {
    const name = path.split('/').at(-1);
    const found = await validate(document(`file:///.github/workflows/${name}`, text) as never);
    expect(found.filter(({ message }) => !String(message).startsWith('Unable to resolve action'))).toEqual([]);
  });

  it('pins every action to a full commit, with its version beside it', () => {
    const pinned = /^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
    const placeholder = 'OWNER/model-cost-gate@COMMIT # vX.Y.Z';
    expect(uses(text).filter((action) => action !== './' && action !== placeholder && !pinned.test(action))).toEqual(
      [],
    );
  });

  it('asks for as little as it can, and keeps foreign words out of scripts', () => {
    expect(workflow.permissions).toBeDefined();
    expect(permissions(workflow).every((one) => typeof one === 'object')).toBe(true);
    expect(text).not.toMatch(/write-all|secrets\.|cancel-in-progress/);
    const scripts = Object.values<{ steps: { run?: string }[] }>(workflow.jobs).flatMap(({ steps }) =>
      steps.flatMap(({ run }) => run ?? []),
    );
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
  });

  it('looks again when the base branch or a label changes, where it judges pull requests', () => {
    if (!/uses: (OWNER\/model-cost-gate|\.\/)/.test(text)) return;
    expectGateTypes(workflow.on);
  });

  it('does not check out or execute what a pull request brings, where its token may write', () => {
    const { on } = workflow;
    const privileged = ['pull_request_target', 'workflow_run'].filter((event) => Object.hasOwn(on, event));
    if (privileged.length === 0) return;
    expect(uses(text)).toEqual(['OWNER/model-cost-gate@COMMIT # vX.Y.Z']);
    expect(text).not.toMatch(/^\s*(- )?run:/m);
  });
});

it('workflows in the documents listen to as much as the examples', () => {
  const shown = ['README.md', 'docs/forks.md', 'docs/policy.md'].flatMap((path) =>
    [...read(path).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => parse(text)),
  );
  const gates = shown.filter(({ jobs }) => jobs !== undefined);
  expect(gates.length).toBeGreaterThanOrEqual(8);
  for (const { on } of gates) expectGateTypes(typeof on === 'string' ? { [on]: null } : on);
});

it('documents hand outputs to scripts through the environment only', () => {
  const shown = ['README.md', 'SECURITY.md', 'docs/forks.md', 'docs/policy.md'].flatMap((path) =>
    [...read(path).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text),
  );
  const scripts = shown.flatMap((text) =>
    [...text.matchAll(/^(\s*(?:- )?)run: *(.*(?:\n\1 .*)*)/gm)].map(([all]) => all),
  );
  expect(scripts.some((script) => script.includes('$BODY'))).toBe(true);
  expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
});

it('our own workflows run nothing with a token that a pull request could reach', () => {
  for (const path of ours) expect(read(path)).not.toMatch(/pull_request_target|workflow_run/);
});
