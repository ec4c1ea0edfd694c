import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { State } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const large = config({ num_hidden_layers: 80 });
const none = '0'.repeat(40);
const push = (changes: object) => ({
  name: 'push',
  payload: {
    before: none,
    after: sha('b'),
    ref: 'refs/heads/wider',
    repository: { default_branch: 'main' },
    ...changes,
  },
});
/** Over the budget for long, on the default branch and on every branch from there. */
const old = { 'old.json': large };
const state = (head = config({ intermediate_size: 11264 }), changes: Partial<State> = {}) =>
  pullRequest({ ...old, [path]: config() }, { ...old, [path]: head }, changes);

describe('a push with nothing before it', () => {
  it.each([
    ['a branch', {}],
    ['a tag', { ref: 'refs/tags/v1' }],
    ['a tag that was moved', { ref: 'refs/tags/v1', before: sha('c') }],
  ])('of %s answers for what it changed since the default branch, and for nothing older', async (_, changes) => {
    const fine = await runAction(await start(state()), {}, push(changes));
    expect(fine.outputs).toMatchObject({ verdict: 'pass', changed: '1', 'base-sha': sha('a'), 'head-sha': sha('b') });
    expect(fine.summary).toContain('merge base with main');
    const over = await runAction(await start(state(large)), {}, push(changes));
    expect(over.outputs).toMatchObject({ verdict: 'fail', changed: '1' });
  });

  it.each([
    ['the default branch itself', push({ ref: 'refs/heads/main' }), {}],
    ['a branch with a history of its own', push({}), { parents: {} }],
  ])('of %s answers for everything', async (_, event, changes) => {
    const ran = await runAction(await start(state(undefined, changes)), {}, event);
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'base-sha': '' });
  });

  it('of an annotated tag is read at the commit, not at the tag', async () => {
    const server = await start(state(large, { tags: [sha('e')] }));
    const ran = await runAction(server, {}, push({ ref: 'refs/tags/v1', after: sha('e') }));
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'head-sha': sha('b'), changed: '1' });
  });
});

describe('a forced push', () => {
  it('whose former commit is gone is compared with where it left the default branch', async () => {
    const ran = await runAction(await start(state(large)), {}, push({ before: sha('9') }));
    expect(ran.outputs).toMatchObject({ verdict: 'fail', changed: '1', 'base-sha': sha('a') });
  });

  it('of the default branch then answers for everything', async () => {
    const event = push({ before: sha('9'), ref: 'refs/heads/main' });
    expect((await runAction(await start(state()), {}, event)).outputs).toMatchObject({ verdict: 'fail', changed: '2' });
  });
});

describe('a run that breaks off', () => {
  it.each<[string, Readonly<Record<string, string>>, Parameters<typeof runAction>[2], Partial<State>]>([
    ['an event that it does not work on', {}, { name: 'release', payload: {} }, {}],
    ['an event file that holds nothing', {}, { name: 'pull_request', payload: {} }, {}],
    ['a wrong input', { gpus: '0' }, undefined, {}],
    ['a wrong token', { 'github-token': 'expired' }, undefined, {}],
    ['a merge base that there is not', {}, undefined, { parents: {} }],
    ['a file that GitHub cannot give', {}, undefined, { unreadable: [path] }],
    ['a policy that is missing', { policy: 'gone.yml' }, undefined, {}],
  ])('at %s has the verdict error', async (_, inputs, event, changes) => {
    const ran = await runAction(await start(state(undefined, changes)), inputs, event);
    expect(ran.code).toBe(1);
    expect(ran.outputs['verdict']).toBe('error');
  });
});

describe('a policy under .github/model-cost.yaml', () => {
  const misnamed = { '.github/model-cost.yaml': 'version: 1\ndefaults: { budgets: { memory: 1GiB } }\n' };

  it.each([
    ['a pull request', undefined],
    ['a push', push({ before: sha('a') })],
    ['a night', { name: 'schedule', payload: {} }],
  ])('is said not to be read, on %s', async (_, event) => {
    const server = await start(
      pullRequest({ [path]: config(), ...misnamed }, { [path]: config({ intermediate_size: 11264 }), ...misnamed }),
    );
    const ran = await runAction(server, {}, event);
    expect(ran.log).toContain('::warning::.github/model-cost.yaml is not read, so no policy holds: rename it');
    expect(ran.summary).toContain('so no policy holds');
  });

  it('is said even where no model config changed, and not where a policy holds', async () => {
    const quiet = await start(pullRequest({ [path]: config() }, { [path]: config(), ...misnamed }));
    expect((await runAction(quiet)).log).toContain('is not read');
    const policy = { '.github/model-cost.yml': 'version: 1\n', ...misnamed };
    const both = await start(pullRequest({ [path]: config(), ...policy }, { [path]: large, ...policy }));
    expect((await runAction(both)).log).not.toContain('is not read');
  });
});
