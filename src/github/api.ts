import { getOctokit } from '@actions/github';
import { defaults } from '@actions/github/lib/utils';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import Bottleneck from 'bottleneck/light.js';
import { log } from './log.ts';

/** The longest that one request may take, and that a rate limit is waited for. */
const requestMilliseconds = 20_000;
const longestWaitSeconds = 60;

export type Repository = { readonly owner: string; readonly repo: string };

/** GitHub's API, with a time-out on each try, retries of reads, and bounded waits for rate limits. */
export function connect(token: string) {
  const send = defaults.request?.fetch ?? fetch;
  return getOctokit(
    token,
    {
      // Given as a whole, since a `request` of ours replaces the one that knows the proxy.
      request: {
        ...defaults.request,
        fetch: (url: string, init?: RequestInit) =>
          send(url, { ...init, signal: AbortSignal.timeout(requestMilliseconds) }),
      },
      throttle: {
        // The plugin spaces writes and GraphQL a second apart, for scripts that send many. A run sends a few, one after another.
        write: new Bottleneck.Group({ maxConcurrent: 1 }),
        notifications: new Bottleneck.Group({ maxConcurrent: 1 }),
        fallbackSecondaryRateRetryAfter: 10,
        onRateLimit: (after: number, options: { method: string; url: string }, _octokit: unknown, tries: number) =>
          waits(after, options, tries),
        onSecondaryRateLimit: (
          after: number,
          options: { method: string; url: string },
          _octokit: unknown,
          tries: number,
        ) => waits(after, options, tries),
      },
      retry: { doNotRetry: [400, 401, 403, 404, 410, 422, 451] },
    },
    retry,
    throttling,
  );
}

function waits(after: number, { method, url }: { method: string; url: string }, tries: number): boolean {
  const again = tries < 2 && after <= longestWaitSeconds && method !== 'POST';
  log(
    again
      ? `GitHub's rate limit: waiting ${after} s for ${method} ${url}.`
      : `GitHub's rate limit: not waiting ${after} s for ${method} ${url}.`,
  );
  return again;
}

export type Api = ReturnType<typeof connect>;

/** GitHub refused or did not answer; the sentence says what to do. */
export class GitHubProblem extends Error {}

/** What went wrong, in one sentence; with the permission that GitHub says is missing. */
export function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const status = 'status' in error && typeof error.status === 'number' ? error.status : undefined;
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
  const headers =
    'response' in error && typeof error.response === 'object' && error.response !== null && 'headers' in error.response
      ? (error.response.headers as Record<string, string>)
      : {};
  const wanted = headers['x-accepted-github-permissions'];
  if (status === 401) return 'GitHub does not accept the token; pass github-token: ${{ github.token }}.';
  if (status === 403 && wanted !== undefined) return `the token may not do this; it needs the permission ${wanted}.`;
  if (status === 403) return `the token may not do this (${message}).`;
  if (status === 404)
    return 'GitHub finds no such thing with this token; it may lack contents: read or pull-requests: read.';
  return `GitHub answered ${status ?? 'nothing'}: ${message}`;
}
