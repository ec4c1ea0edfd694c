import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { GitHubProblem, type Repository } from './api.ts';
import type { Range } from './changes.ts';
import type { Asked } from './pulls.ts';
import type { Push } from './pushes.ts';

/** What started the run, as far as it decides what to look at. */
export type Event =
  /** The commit is the event's, since the check that this run is hangs on that one, whatever was pushed since. */
  | ({
      readonly kind: 'pull';
      /** When the commit was pushed, by GitHub's clock, where the event is of that push. */
      readonly pushed?: string;
    } & Asked)
  | ({ readonly kind: 'range' } & Range)
  | ({ readonly kind: 'push' } & Push)
  | { readonly kind: 'report'; readonly sha: string; readonly label: string }
  /** Another workflow's run on a pull request, whose number is to be found: GitHub leaves it out for forks. */
  | { readonly kind: 'run'; readonly repository: string; readonly branch: string; readonly head: string }
  /** A branch was deleted, a run was of no pull request: there is nothing to look at. */
  | { readonly kind: 'nothing' };

const sha = z.string().regex(/^[0-9a-f]{40,64}$/);
const pull = z.object({
  action: z.string().optional(),
  pull_request: z.object({
    number: z.int().positive(),
    head: z.object({ sha }),
    base: z.object({ ref: z.string().min(1).optional() }).optional(),
    updated_at: z.iso.datetime({ offset: true }).optional(),
  }),
});
const group = z.object({ merge_group: z.object({ base_sha: sha, head_sha: sha, head_ref: z.string() }) });
const run = z.object({
  workflow_run: z.object({
    event: z.string(),
    head_sha: sha,
    head_branch: z.string().nullable(),
    head_repository: z.object({ full_name: z.string() }).nullable(),
  }),
});
const push = z.object({
  before: sha,
  after: sha,
  ref: z.string(),
  repository: z.object({ default_branch: z.string() }).optional(),
});

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws GitHubProblem where the event is none that the action knows, or does not hold what it must */
export function readEvent(environment: Environment): Event {
  const name = environment['GITHUB_EVENT_NAME'] ?? '';
  const commit = environment['GITHUB_SHA'] ?? '';
  const label = environment['GITHUB_REF_NAME'] ?? commit;
  switch (name) {
    case 'pull_request':
    case 'pull_request_target': {
      const { action, pull_request } = payload(environment, pull);
      const { number, head, base, updated_at: pushed } = pull_request;
      return {
        kind: 'pull',
        number,
        head: head.sha,
        ...(base?.ref === undefined ? {} : { onto: base.ref }),
        ...(action === 'synchronize' && pushed !== undefined ? { pushed } : {}),
      };
    }
    case 'merge_group': {
      const { merge_group } = payload(environment, group);
      const { base_sha: base, head_sha: head, head_ref } = merge_group;
      return { kind: 'range', base, head, label: short(head_ref), from: 'before', direct: false };
    }
    case 'push': {
      return pushOf(payload(environment, push), commit);
    }
    case 'workflow_run': {
      const { workflow_run } = payload(environment, run);
      const { event, head_sha: head, head_branch, head_repository } = workflow_run;
      if (event !== 'pull_request' || head_branch === null || head_repository === null) return { kind: 'nothing' };
      return { kind: 'run', repository: head_repository.full_name, branch: head_branch, head };
    }
    case 'workflow_dispatch':
    case 'schedule':
      return { kind: 'report', sha: commit, label };
    default:
      throw new GitHubProblem(
        `The event ${name || '(none)'} is not one that this action works on; use pull_request, pull_request_target, merge_group, workflow_run, push, workflow_dispatch or schedule.`,
      );
  }
}

function pushOf({ before, after, ref, repository }: z.infer<typeof push>, commit: string): Event {
  const none = /^0+$/;
  if (none.test(after)) return { kind: 'nothing' };
  const isTag = ref.startsWith('refs/tags/');
  const onto = repository?.default_branch;
  return {
    kind: 'push',
    // An annotated tag is an object of its own, which has no files; the run stands on its commit.
    head: isTag && sha.safeParse(commit).success ? commit : after,
    label: short(ref),
    ...(isTag || none.test(before) ? {} : { before }),
    ...(onto === undefined || ref === `refs/heads/${onto}` ? {} : { onto }),
  };
}

const short = (ref: string) => ref.replace(/^refs\/(heads|tags)\//, '');

function payload<Shape>(environment: Environment, shape: z.ZodType<Shape>): Shape {
  const path = environment['GITHUB_EVENT_PATH'] ?? '';
  try {
    return shape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    throw new GitHubProblem(
      `The event file does not hold what a ${environment['GITHUB_EVENT_NAME']} event has; GITHUB_EVENT_PATH is ${path === '' ? 'not set' : 'set'}.`,
    );
  }
}

/** Owner and name of the repository that the workflow runs in. */
export function readRepository(environment: Environment): Repository {
  const [owner = '', repo = ''] = (environment['GITHUB_REPOSITORY'] ?? '').split('/');
  return { owner, repo };
}
