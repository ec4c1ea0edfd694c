import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Repository } from './api.ts';

/** What started the run, as far as it decides what to look at. */
export type Event =
  | { readonly kind: 'pull'; readonly number: number }
  | { readonly kind: 'range'; readonly base: string; readonly head: string; readonly label: string }
  | { readonly kind: 'report'; readonly sha: string; readonly label: string };

const sha = z.string().regex(/^[0-9a-f]{40,64}$/);
const pull = z.object({ pull_request: z.object({ number: z.int().positive() }) });
const group = z.object({ merge_group: z.object({ base_sha: sha, head_sha: sha, head_ref: z.string() }) });
const push = z.object({ before: sha, after: sha, ref: z.string() });

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Error with a sentence where the event is none that the action knows */
export function readEvent(environment: Environment): Event {
  const name = environment['GITHUB_EVENT_NAME'] ?? '';
  const commit = environment['GITHUB_SHA'] ?? '';
  const label = environment['GITHUB_REF_NAME'] ?? commit;
  switch (name) {
    case 'pull_request':
    case 'pull_request_target': {
      const { pull_request } = pull.parse(payload(environment));
      return { kind: 'pull', number: pull_request.number };
    }
    case 'merge_group': {
      const { merge_group } = group.parse(payload(environment));
      return { kind: 'range', base: merge_group.base_sha, head: merge_group.head_sha, label: merge_group.head_ref };
    }
    case 'push': {
      const { before, after, ref } = push.parse(payload(environment));
      // A new branch has nothing before it.
      if (/^0+$/.test(before)) return { kind: 'report', sha: after, label: ref };
      return { kind: 'range', base: before, head: after, label: ref };
    }
    case 'workflow_dispatch':
    case 'schedule':
      return { kind: 'report', sha: commit, label };
    default:
      throw new Error(
        `The event ${name || '(none)'} is not one that this action works on; use pull_request, pull_request_target, merge_group, push, workflow_dispatch or schedule.`,
      );
  }
}

const payload = (environment: Environment): unknown =>
  JSON.parse(readFileSync(environment['GITHUB_EVENT_PATH'] ?? '', 'utf8'));

export function readRepository(environment: Environment): Repository {
  const [owner = '', repo = ''] = (environment['GITHUB_REPOSITORY'] ?? '').split('/');
  return { owner, repo };
}
