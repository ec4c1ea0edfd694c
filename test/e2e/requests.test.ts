import { describe, expect, it } from 'vitest';
import { runAction } from '../action.ts';
import type { GitHubServer, State } from '../github-server.ts';
import { config, pullRequest, sha } from '../states.ts';
import { stage } from './stage.ts';

const start = stage();
const many = (count: number, changes: Readonly<Record<string, unknown>> = {}) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `configs/${index}.json`,
      config({ intermediate_size: 8192 + index, ...changes }),
    ]),
  );
const grown = (count: number): State => pullRequest(many(count), many(count, { num_hidden_layers: 33 }));
/** So long that what is sent together arrives before the first of it is answered. */
const far = (state: State): State => ({ ...state, latency: 300 });
const cost = ({ requests, rounds }: GitHubServer) => ({ requests: requests.length, rounds });

describe('requests, and how many must wait for one another', () => {
  it('are six in four rounds for one config, though the base branch has moved on', async () => {
    const server = await start(far(grown(1)));
    const ran = await runAction(server);
    expect(ran.outputs).toMatchObject({ verdict: 'pass', 'comment-status': 'created', 'base-sha': sha('a') });
    expect(cost(server)).toEqual({ requests: 6, rounds: 4 });
  });

  it('are no more for a second run, whether its comment changes or not', async () => {
    const server = await start(far(grown(1)));
    await runAction(server);
    const first = cost(server);
    expect((await runAction(server)).outputs['comment-status']).toBe('unchanged');
    expect(server.requests.length - first.requests).toBe(5);
    expect((await runAction(server, { gpus: '16' })).outputs['comment-status']).toBe('updated');
    expect(server.requests.length - first.requests).toBe(11);
    expect(server.rounds).toBe(4 + 3 + 4);
  });

  it('are four in three rounds where no changed file could be a config', async () => {
    const server = await start(far(pullRequest({ 'a.txt': 'a' }, { 'a.txt': 'b' })));
    expect((await runAction(server)).outputs['verdict']).toBe('skipped');
    expect(cost(server)).toEqual({ requests: 4, rounds: 3 });
  });

  it.each([
    [50, 8, 6],
    [1_000, 38, 14],
  ])('for %i configs are %i in %i rounds', async (count, requests, rounds) => {
    const server = await start(far(grown(count)));
    expect((await runAction(server)).outputs['changed']).toBe(String(count));
    expect(cost(server)).toEqual({ requests, rounds });
  });
});
