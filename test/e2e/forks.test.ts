import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const state = () => {
  const made = pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) });
  made.pull.headRepository = 'mallory/models';
  return made;
};

/** What the first of the two steps leaves for the second: nothing but its own run. */
const payload = (changes: object = {}) => ({
  workflow_run: {
    event: 'pull_request',
    head_sha: sha('b'),
    head_branch: 'wider',
    head_repository: { full_name: 'mallory/models' },
    pull_requests: [],
    ...changes,
  },
});

describe('the second of two steps', () => {
  it('finds the pull request of a fork, and comments', async () => {
    const server = await start(state());
    const ran = await runAction(server, {}, { name: 'workflow_run', payload: payload() });
    expect(ran.outputs).toMatchObject({ verdict: 'fail', 'comment-status': 'created', 'head-sha': sha('b') });
    expect(server.state.comments[0]?.body).toContain('over the memory budget');
  });

  it.each([
    ['newer commits', { head_sha: sha('d') }],
    ['another fork with a branch of that name', { head_repository: { full_name: 'eve/models' } }],
    ['another branch', { head_branch: 'other' }],
    ['a run that was of no pull request', { event: 'push' }],
    ['a fork that is gone', { head_repository: null }],
  ])('says nothing for %s', async (_, changes) => {
    const server = await start(state());
    const ran = await runAction(server, {}, { name: 'workflow_run', payload: payload(changes) });
    expect(ran.code).toBe(0);
    expect(ran.outputs).toMatchObject({ verdict: 'skipped', 'comment-status': 'skipped' });
    expect(server.writes).toEqual([]);
  });

  it('believes no number that the run’s event brings', async () => {
    const server = await start(state());
    const evil = payload({ pull_requests: [{ number: 1 }], head_branch: 'other' });
    await runAction(server, {}, { name: 'workflow_run', payload: evil });
    expect(server.writes).toEqual([]);
  });
});

describe('pull_request_target', () => {
  it('comments on a pull request of a fork by the policy of the base', async () => {
    const made = state();
    const name = '.github/model-cost.yml';
    made.commits[sha('a')] = {
      ...made.commits[sha('a')],
      [name]: 'version: 1\ndefaults: { budgets: { memory: 60GiB } }\n',
    };
    made.commits[sha('b')] = { ...made.commits[sha('b')], [name]: 'version: 1\ndefaults: { fail_on: never }\n' };
    const server = await start(made);
    const ran = await runAction(
      server,
      {},
      { name: 'pull_request_target', payload: { pull_request: { number: 7, head: { sha: sha('b') } } } },
    );
    expect(ran.code).toBe(1);
    expect(server.state.comments[0]?.body).toContain('limit 60.00\u00a0GiB');
  });
});
