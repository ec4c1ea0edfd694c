import type { z } from 'zod';
import { isWhole } from '../report/earlier.ts';
import { plain } from '../report/markdown.ts';
import { Usage } from './arguments.ts';

/** A comment of ours that stands there. */
export type Found = { readonly id: string; readonly body: string; readonly url: string };

/** A pull request or merge request as it is now. */
export type Standing = { readonly own: readonly Found[]; readonly head: string; readonly open: boolean };

/** Where comments are posted: GitHub, or GitLab. */
export type Place = {
  readonly find: (begins: string) => Promise<Standing>;
  readonly create: (body: string) => Promise<string>;
  readonly update: (comment: Found, body: string) => Promise<string>;
};

/** What became of a comment, in a sentence. */
export type Posted = { readonly sentence: string; readonly url: string };

/** A comment that could not be posted, in a sentence for the user. */
export class PostProblem extends Usage {}

/**
 * Brings our comment up to date, or writes the first one. What was computed for another commit than the newest is not posted.
 *
 * @param begins how our comment begins
 * @param create false: an existing comment is brought up to date, none is created
 * @throws PostProblem with one sentence
 */
export async function post(
  place: Place,
  begins: string,
  judged: string | undefined,
  write: (earlier: string | undefined) => string,
  create: boolean,
): Promise<Posted> {
  const { own, head, open } = await place.find(begins);
  const first = own.find(({ body }) => isWhole(body)) ?? own[0];
  const url = first?.url ?? '';
  if (!open) return { sentence: 'Not posted: it is closed, and its comment stays as it is.', url };
  if (judged !== undefined && judged !== head)
    return { sentence: `Not posted: the report is of ${judged.slice(0, 12)}, and there are newer commits.`, url };
  if (first === undefined)
    return create
      ? { sentence: 'Comment created.', url: await place.create(write(undefined)) }
      : { sentence: 'Not posted: no model config changed.', url };
  const body = write(first.body);
  if (isEqual(first.body, body)) return { sentence: 'The comment says so already.', url };
  return { sentence: 'Comment updated.', url: await place.update(first, body) };
}

const isEqual = (one: string, other: string) =>
  one.replaceAll('\r\n', '\n').trim() === other.replaceAll('\r\n', '\n').trim();

/** How long one request may take, in milliseconds. */
const patience = 30_000;

/**
 * The JSON that a request answers.
 *
 * @throws PostProblem with the service's own reason
 */
export async function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
  method: 'GET' | 'POST' | 'PUT',
  body?: unknown,
): Promise<unknown> {
  const answer = await answerOf(url, {
    method,
    headers: { 'user-agent': 'model-cost', 'content-type': 'application/json', ...headers },
    // Whoever is redirected to is not given the token.
    redirect: 'error',
    signal: AbortSignal.timeout(patience),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.ok) return jsonOf(text);
  throw new PostProblem(`The comment could not be posted: ${answer.status} ${plain(text, 200)}`);
}

async function answerOf(url: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, request);
  } catch (error) {
    const cause = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : '';
    throw new PostProblem(`The comment could not be posted: ${plain(cause, 200)}`);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PostProblem('The comment could not be posted: the answer is not valid JSON.');
  }
}

/**
 * An answer as it was expected.
 *
 * @throws PostProblem where it is otherwise
 */
export function answered<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
  const { success, data } = schema.safeParse(answer);
  if (success) return data;
  throw new PostProblem('The comment could not be posted: the answer is not one that this version understands.');
}

/** An environment variable that posting needs. */
export function needed(names: readonly string[], what: string): string {
  const found = names.map((name) => process.env[name]).find((value) => value !== undefined && value !== '');
  if (found === undefined) throw new Usage(`Posting needs ${what} in ${names.join(' or ')}.`);
  return found;
}
