import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { State } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { path, stage } from './stage.ts';

const start = stage();
const inputs = { 'override-label': 'Cost approved' };
const label = { label: 'cost approved', actor: 'grace' };
const set = (at: string) => [{ ...label, at }];

async function labelled(
  pull: Partial<State['pull']>,
  labelEvents: State['labelEvents'],
  event?: Parameters<typeof runAction>[2],
) {
  const state = pullRequest({ [path]: config() }, { [path]: config({ num_hidden_layers: 80 }) }, { labelEvents });
  Object.assign(state.pull, { labels: ['cost approved'], ...pull });
  const server = await start(state);
  const ran = await runAction(server, inputs, event);
  return { ...ran, server, body: server.state.comments[0]?.body ?? '' };
}

describe('an override label', () => {
  it('that was set after the latest commit turns errors into warnings, in annotations too', async () => {
    const { code, log, body } = await labelled({}, set('2026-01-02T00:00:00Z'));
    expect(code).toBe(0);
    expect(body).toContain('let pass by the label `cost approved`, set by `grace`');
    expect(log).toMatch(/::warning title=Model cost,file=configs\/model\.json/);
    expect(log).not.toContain('::error');
  });

  const late = { arrived: '2026-01-03T00:00:00Z' };
  it.each<[string, Partial<State['pull']>, State['labelEvents']]>([
    ['a commit', late, set('2026-01-02T00:00:00Z')],
    ['a forced push', { forced: '2026-01-03T00:00:00Z' }, set('2026-01-02T00:00:00Z')],
    // The timeline has it first, its own date says otherwise.
    ['a commit that says so itself', { committed: '2026-01-03T00:00:00Z' }, set('2026-01-02T00:00:00Z')],
  ])('that was set before %s does not count, and that is said', async (_, pull, events) => {
    const { code, log, body } = await labelled(pull, events);
    expect(code).toBe(1);
    const words = 'was set before the latest commit, so it does not count; remove it and set it again.';
    expect(log).toContain(`The label "cost approved" ${words}`);
    expect(body).toContain(words);
    expect(body).toContain('❌ Model cost: over the memory budget');
    const again = await labelled(pull, [...events, { ...label, at: '2026-01-04T00:00:00Z' }]);
    expect(again.code).toBe(0);
  });

  it('that was set before the push of the event does not count, however old the commit says it is', async () => {
    const pull_request = { number: 7, head: { sha: sha('b') }, updated_at: '2026-01-03T00:00:00Z' };
    const event = { name: 'pull_request', payload: { action: 'synchronize', pull_request } };
    expect((await labelled({}, set('2026-01-02T00:00:00Z'), event)).code).toBe(1);
    expect((await labelled({}, set('2026-01-04T00:00:00Z'), event)).code).toBe(0);
    const edited = { ...event, payload: { action: 'labeled', pull_request } };
    expect((await labelled({}, set('2026-01-02T00:00:00Z'), edited)).code).toBe(0);
  });

  it('does not count where GitHub does not tell when it was set, or for a commit that is not the newest', async () => {
    const unknown = await labelled({}, []);
    expect(unknown.code).toBe(1);
    expect(unknown.body).toContain('GitHub does not tell when it was set');
    const older = { name: 'pull_request', payload: { pull_request: { number: 7, head: { sha: sha('b') } } } };
    const state = { head: sha('c') };
    const old = await labelled(state, set('2026-01-04T00:00:00Z'), older);
    expect(old.code).toBe(1);
    expect(old.log).toContain('does not count for this commit, since the pull request has a newer one');
  });
});
