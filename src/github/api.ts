import { getOctokit } from '@actions/github';
import { defaults } from '@actions/github/lib/utils';
import { ZodError, z } from 'zod';
import { log } from './log.ts';

/** The longest that one request may take, that one rate limit is waited for, and that a run loses to both in all. */
const requestMilliseconds = 20_000;
const longestWait = 60;
const longestWaitInAll = 180;
/** Seconds before each further try of a request that failed on GitHub's side. */
const pauses = [1, 2, 5];

/**
 * The seconds that a run may lose, to pauses and to tries that came to nothing, before it gives up. What several requests lose at
 * the same time is lost once. Moments are in milliseconds.
 */
export class Patience {
  private readonly longest: number;
  private lost = 0;
  /** The end of what was lost last. */
  private until = 0;

  constructor(longest: number) {
    this.longest = longest;
  }

  lose(from: number, to: number): void {
    this.lost += this.further(from, to);
    this.until = Math.max(this.until, to);
  }

  hasRoomFor(from: number, to: number): boolean {
    return this.lost + this.further(from, to) <= this.longest;
  }

  private further(from: number, to: number): number {
    return Math.max(0, to - Math.max(from, this.until)) / 1_000;
  }
}

export type Repository = { readonly owner: string; readonly repo: string };

/** GitHub's API, with a time-out on each try, retries of what may be sent twice, and bounded waits for rate limits. */
export function connect(token: string) {
  const send = defaults.request?.fetch ?? fetch;
  const api = getOctokit(token, {
    log: { debug: () => {}, info: () => {}, warn: log, error: log },
    // Given as a whole, since a `request` of ours replaces the one that knows the proxy.
    request: {
      ...defaults.request,
      fetch: (url: string, init?: RequestInit) =>
        send(url, { ...init, signal: AbortSignal.timeout(requestMilliseconds) }),
    },
  });
  const patience = new Patience(longestWaitInAll);
  api.hook.wrap('request', async (request, options) => {
    for (let tries = 0; ; tries++) {
      const began = performance.now();
      const outcome = await Promise.resolve(request(options)).then(
        (response) => ({ response, problem: problemWithin(response.data, response.headers['content-type']) }),
        (error: unknown) => ({ error, problem: problemOf(error) }),
      );
      const now = performance.now();
      if (outcome.problem !== undefined) patience.lose(began, now);
      const pause = outcome.problem && pauseBefore(outcome.problem, mayBeRepeated(options), tries);
      if (pause === undefined || !patience.hasRoomFor(now, now + 1_000 * pause)) {
        if ('error' in outcome) throw outcome.error;
        return outcome.response;
      }
      patience.lose(now, now + 1_000 * pause);
      log(`${capital(sentenceOf(outcome.problem))} Trying again in ${pause} s.`);
      await new Promise((done) => setTimeout(done, 1_000 * pause));
    }
  });
  return api;
}

export type Api = ReturnType<typeof connect>;

/** GitHub refused or did not answer; the sentence says what to do. */
export class GitHubProblem extends Error {}

/** Why a request did not succeed, as far as it decides what happens next. */
type Problem =
  /** Refused without being looked at: it may be sent again, after so many seconds. */
  | { readonly kind: 'limit'; readonly after: number | undefined }
  /** Failed on GitHub's side or on the way: it may or may not have been done. */
  | { readonly kind: 'failure'; readonly status: number | undefined; readonly message: string }
  | { readonly kind: 'refusal'; readonly sentence: string };

/** GraphQL is sent as POST, and what it reads or sets may be repeated; a comment that is sent twice would appear twice. */
const mayBeRepeated = ({ method, url, query }: { method: string; url: string; query?: unknown }): boolean =>
  method !== 'POST' || (url.endsWith('/graphql') && !/\baddComment\b/.test(String(query)));

/** undefined where another try cannot help, or could repeat an action that was done. */
function pauseBefore(problem: Problem, repeatable: boolean, tries: number): number | undefined {
  if (problem.kind === 'limit') {
    const after = problem.after ?? 10 * (tries + 1);
    return tries < 2 && after <= longestWait ? after : undefined;
  }
  return problem.kind === 'failure' && repeatable ? pauses[tries] : undefined;
}

/** GraphQL says in an answer of status 200 that it refuses; an answer that breaks off has that status too. */
function problemWithin(data: unknown, type = ''): Problem | undefined {
  if (typeof data === 'string' && type.includes('json'))
    return { kind: 'failure', status: 200, message: 'an answer that breaks off' };
  const errors = typeof data === 'object' && data !== null && 'errors' in data ? data.errors : undefined;
  if (!Array.isArray(errors)) return undefined;
  const texts: string[] = errors.map((error) => `${error?.type ?? ''} ${error?.message ?? ''}`);
  // Spelled in either way since 2025.
  if (texts.some((text) => /^RATE_LIMIT(ED)?\b|secondary rate/i.test(text))) return { kind: 'limit', after: undefined };
  const broken = texts.find((text) => /Something went wrong while executing|timed? ?out/i.test(text));
  return broken === undefined ? undefined : { kind: 'failure', status: 200, message: broken.trim() };
}

function problemOf(error: unknown): Problem {
  if (error instanceof GitHubProblem) return { kind: 'refusal', sentence: error.message };
  if (error instanceof ZodError) {
    const [issue] = error.issues;
    return {
      kind: 'refusal',
      sentence: `GitHub's answer is not what its API describes (${issue?.path.join('.') || 'all of it'}: ${issue?.message ?? ''}).`,
    };
  }
  if (typeof error !== 'object' || error === null) return { kind: 'refusal', sentence: String(error) };
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
  const status = 'status' in error && typeof error.status === 'number' ? error.status : undefined;
  const response = 'response' in error ? error.response : undefined;
  const answered = typeof response === 'object' && response !== null;
  if (status === undefined) return graphqlProblem(error, message);
  if (!answered) return { kind: 'failure', status: undefined, message };
  const headers = 'headers' in response ? (response.headers as Readonly<Record<string, string | undefined>>) : {};
  const limited = status === 429 || (status === 403 && /rate limit/i.test(message));
  if (limited || (status === 403 && headers['x-ratelimit-remaining'] === '0'))
    return { kind: 'limit', after: secondsUntil(headers) };
  if (status >= 500) return { kind: 'failure', status, message };
  return { kind: 'refusal', sentence: refusal(status, message, headers['x-accepted-github-permissions']) };
}

function graphqlProblem(error: object, message: string): Problem {
  const within = problemWithin(error);
  if (within !== undefined) return within;
  return { kind: 'refusal', sentence: refusedQuery(error) ?? message };
}

/** The first error message of a GraphQL answer; undefined where the value is not one. */
function refusedQuery(error: object): string | undefined {
  const errors = z.object({ errors: z.array(z.object({ type: z.string().nullish(), message: z.string() })) });
  const [first] = errors.safeParse(error).data?.errors ?? [];
  if (first === undefined) return 'errors' in error ? 'GitHub refuses the query and gives no reason.' : undefined;
  const { type, message } = first;
  if (type === 'FORBIDDEN' && lacksPermission.test(message))
    return `the token may not do this (${message}); reading a pull request needs pull-requests: read, and commenting needs pull-requests: write.`;
  if (type === 'NOT_FOUND') return notFound;
  return `GitHub refuses the query: ${message}`;
}

/** What GitHub says where it is the token's fault, and not the conversation's or the repository's. */
const lacksPermission = /not accessible by|must have .*(rights|access|permission)/i;

function secondsUntil(headers: Readonly<Record<string, string | undefined>>): number | undefined {
  const after = Number(headers['retry-after'] ?? Number.NaN);
  if (Number.isFinite(after)) return Math.max(0, after);
  const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN);
  // A second more, since the limit is lifted after that moment.
  return headers['x-ratelimit-remaining'] === '0' && Number.isFinite(reset)
    ? Math.max(1, Math.ceil(reset - Date.now() / 1_000) + 1)
    : undefined;
}

const notFound = 'GitHub finds no such thing with this token; it may lack contents: read or pull-requests: read.';

function refusal(status: number, message: string, permissions: string | undefined): string {
  if (status === 401) return 'GitHub does not accept the token; pass github-token: ${{ github.token }}.';
  if (status === 403 && permissions !== undefined && lacksPermission.test(message))
    return `the token may not do this; it needs the permission ${permissions}.`;
  // Such as a conversation that is locked, or that has as many comments as GitHub takes: in its own words.
  const words = message.replace(/ - https?:\S+$/, '').replace(/\.?$/, '.');
  if (status === 403) return `GitHub refuses: ${words}`;
  if (status === 404) return notFound;
  return `GitHub answered ${status}: ${words}`;
}

function sentenceOf(problem: Problem | undefined): string {
  switch (problem?.kind) {
    case 'limit':
      return problem.after === undefined
        ? "GitHub's rate limit is reached."
        : `GitHub's rate limit is reached for ${problem.after} s.`;
    case 'failure':
      return problem.status === undefined
        ? `GitHub did not answer (${problem.message}).`
        : `GitHub answered ${problem.status}: ${problem.message.slice(0, 200)}.`;
    case 'refusal':
      return problem.sentence;
    case undefined:
      return '';
  }
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

/** What went wrong, in one sentence; with the permission that GitHub says is missing. */
export const reasonOf = (error: unknown): string => sentenceOf(problemOf(error));

/** True where a request may or may not have taken effect. */
export const unclear = (error: unknown): boolean => problemOf(error).kind === 'failure';
