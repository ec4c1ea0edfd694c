import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { version as versionOfRun } from '../src/run.ts';

type Step = { readonly name?: string; readonly run?: string };
const workflow = parse(readFileSync(new URL('../.github/workflows/release.yml', import.meta.url), 'utf8'));
const jobs: readonly { readonly steps: readonly Step[] }[] = Object.values(workflow.jobs);
const script = (words: string): string =>
  jobs.flatMap(({ steps }) => steps).find(({ name }) => name?.includes(words))?.run ?? '';

/** What `gh` answers to a call that begins with these words; anything else is an empty success. */
type Answers = Readonly<Record<string, { readonly says?: string; readonly problem?: string }>>;

/** Runs a step as the runner does, with a `gh` that writes down what it is asked. */
function step(words: string, answers: Answers) {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  const cases = Object.entries(answers).map(
    ([call, { says = '', problem }]) =>
      `'${call}'*) echo '${says}'; ${problem === undefined ? 'exit 0' : `echo '${problem}' >&2; exit 1`} ;;`,
  );
  const gh = join(folder, 'gh');
  writeFileSync(gh, `#!/bin/sh\necho "$*" >> '${folder}/calls'\ncase "$*" in\n${cases.join('\n')}\nesac\n`);
  chmodSync(gh, 0o755);
  writeFileSync(join(folder, 'calls'), '');
  const { status } = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script(words)], {
    cwd: folder,
    env: {
      PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`,
      GITHUB_REPOSITORY: 'octo/gate',
      GITHUB_REF_NAME: 'v1.2.3',
    },
  });
  return { status, calls: readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') };
}

const commit = { 'api repos/octo/gate/commits/v1.2.3': { says: 'abc' } };
const branch = 'api repos/octo/gate/git/ref/heads/v1 ';

describe.skipIf(process.platform === 'win32')('the release workflow', () => {
  it('releases only the version that the package has', () => {
    const check = (tag: string) =>
      spawnSync('bash', ['-eo', 'pipefail', '-c', script('tag is the version')], {
        cwd: new URL('..', import.meta.url),
        env: { PATH: process.env['PATH'] ?? '', GITHUB_REF_NAME: tag },
      }).status;
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect([check(`v${version}`), check('v999.0.0')]).toEqual([0, 1]);
    expect(version).toBe(versionOfRun);
  });

  it.each([
    ['ahead', 0],
    ['identical', 0],
    ['behind', 1],
    ['diverged', 1],
  ])('releases a tag only from main: main is %s', (says, status) => {
    const ran = step('tag is on main', { ...commit, 'api repos/octo/gate/compare/abc...main': { says } });
    expect(ran.status).toBe(status);
  });

  it('can be started again: a release that is there is left alone', () => {
    const created = step('the release', { 'release view': { problem: 'release not found' } });
    expect(created.calls.at(-1)).toMatch(/^release create v1\.2\.3 .*--verify-tag/);
    const there = step('the release', { 'release view': {} });
    expect(there).toMatchObject({ status: 0, calls: [expect.stringMatching(/^release view/)] });
    expect(step('the release', { 'release view': { problem: 'HTTP 502' } }).status).toBe(1);
  });

  it('moves the branch of the major version, forward only, and makes it where there is none of that name', () => {
    const moved = step('branch of the major', commit);
    expect(moved.calls.at(-1)).toBe('api --method PATCH repos/octo/gate/git/refs/heads/v1 -f sha=abc -F force=false');
    const made = step('branch of the major', { ...commit, [branch]: { problem: 'gh: Not Found (HTTP 404)' } });
    expect(made.calls.at(-1)).toBe('api --method POST repos/octo/gate/git/refs -f ref=refs/heads/v1 -f sha=abc');
    const broken = step('branch of the major', { ...commit, [branch]: { problem: 'gh: (HTTP 502)' } });
    expect(broken.status).toBe(1);
    expect(broken.calls.at(-1)).toContain('git/ref/heads/v1');
  });
});
