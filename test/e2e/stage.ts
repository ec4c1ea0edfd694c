import { afterEach, expect } from 'vitest';
import { GitHubServer, type State } from '../github-server.ts';

/** A stand-in for GitHub for each test, which must have been asked nothing that GitHub does not know. */
export function stage(): (state: State) => Promise<GitHubServer> {
  const running: GitHubServer[] = [];
  afterEach(async () => {
    for (const server of running.splice(0)) {
      await server.stop();
      expect(server.invalid, 'requests that GitHub does not describe').toEqual([]);
    }
  });
  return async (state) => {
    const server = await GitHubServer.start(state);
    running.push(server);
    return server;
  };
}

export const path = 'configs/model.json';
export const marker = '<!-- model-cost-gate key=default -->';
/** A comment as we write it, from its first line to its last. */
export const whole = (words: string, state = '') =>
  `${marker}${state}\n\n## ✅ Model cost: within budget\n\n${words}\n\n<sub>model-cost-gate 0.1.0</sub>`;
