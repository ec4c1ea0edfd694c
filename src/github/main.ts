import { getInput, setFailed, setOutput, warning } from '@actions/core';
import { ZodError } from 'zod';
import { settingsOf } from '../calibrate.ts';
import { deadline } from '../deadline.ts';
import { override } from '../gate/judge.ts';
import { isEmpty, movesAtLeast, type Review, tellsOfChange } from '../gate/review.ts';
import { comment, type Options, resolvedComment } from '../report/comment.ts';
import { review } from '../run.ts';
import { type Inputs, inputDefaults } from '../settings/inputs.ts';
import type { OtherRules } from '../settings/proposal.ts';
import {
  type Documents,
  misnamedPolicy,
  type Settings,
  sterner,
  WrongSettings,
  withRuns,
} from '../settings/settings.ts';
import type { Changes } from '../world.ts';
import { GitHubProblem, reasonOf } from './api.ts';
import { withJobs } from './beside.ts';
import { allConfigs, likelyWanted, pullChanges, rangeChanges } from './changes.ts';
import { type Posted, post } from './comment.ts';
import { type Baseline, baseline, type Compared, pullWithComparison } from './compare.ts';
import { type Environment, type Event, readEvent, readRepository } from './event.ts';
import { labelSet } from './labels.ts';
import { harmless, log } from './log.ts';
import { publish } from './publish.ts';
import { type Asked, type Pull, pullOfRun } from './pulls.ts';
import { rangeOf } from './pushes.ts';
import { type Remote, remoteOf } from './remote.ts';
import { commitsOf, inlineRun, type Places, rulesOf, rulesWanted } from './rules.ts';
import { runsOf, withRunChanges, withTip } from './runs.ts';

/** The action: settings, the changed configs, the story, and what is written where. Nothing of a pull request is executed. */
export async function main(environment: Environment = process.env): Promise<void> {
  try {
    await run(environment);
  } catch (error) {
    setOutput('verdict', 'error');
    if (error instanceof WrongSettings) fail(error.sentences.join(' '));
    else if (error instanceof GitHubProblem) fail(error.message);
    else
      fail(
        isForeign(error)
          ? `Model Cost Gate could not read from GitHub: ${reasonOf(error)}`
          : `Model Cost Gate failed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
      );
  }
}

/** Of a request or its answer, and no mistake of ours. */
const isForeign = (error: unknown): boolean =>
  error instanceof ZodError ||
  (typeof error === 'object' && error !== null && ('status' in error || 'errors' in error));
const fail = (sentence: string) => setFailed(harmless(sentence));

async function run(environment: Environment): Promise<void> {
  const inputs = Object.fromEntries(Object.keys(inputDefaults).map((name) => [name, getInput(name)]));
  const token = getInput('github-token') || environment['GITHUB_TOKEN'] || '';
  if (token === '') throw new GitHubProblem('There is no token: pass github-token: ${{ github.token }}.');
  const remote = remoteOf(token, readRepository(environment));
  const event = await compared(remote, readEvent(environment));
  if (event.kind === 'nothing') return nothingToDo('There is no commit or pull request to look at.');
  // Wrong inputs are reported before anything is fetched; the policy and run files come with the base.
  const byInputs = settingsOf(inputs, inlineRun(inputs));
  const asked = event.kind === 'run' ? await pullOfRun(remote, event) : event.kind === 'pull' ? event : undefined;
  if (event.kind === 'run' && asked === undefined)
    return nothingToDo('The pull request of that run is closed, or has newer commits, whose run will be looked at.');
  const found = asked && (await pullWithMergeBase(remote, inputs, asked));
  const inTime = deadline();
  const places = placesOf(event, found);
  if (found !== undefined) await askAhead(remote, inputs, places, found, byInputs);
  const { held, others, known } = await rulesOf(remote, inputs, places, inTime);
  const misnamed = misnamedPolicy(held, known.get(places.head ?? places.held));
  if (misnamed !== undefined) warning(harmless(misnamed));
  const { settings: rules, broken } = planOf(inputs, held, others);
  const pull = found?.pull;
  const base =
    found === undefined || rules.baseline === 'merge-base'
      ? found?.mergeBase
      : await baseline(remote, rules.baseline, found.pull, found.compared);
  const moved = others.find(({ kind }) => kind === 'moved')?.settings;
  const both = moved === undefined ? rules : sterner(rules, moved);
  const listed = withTipOf(pull, rules, await changesOf(remote, event, pull, base, both));
  const changed = misnamed === undefined ? listed : { ...listed, notes: [misnamed, ...listed.notes] };
  const runs = broken === undefined ? await runsOf(remote, inputs, changed, known) : undefined;
  const settings = withRuns(both, runs);
  const retrained = await withRunChanges(remote, changed, settings);
  const changes = await withTip(remote, await withJobs(remote, retrained, settings, inTime));
  const outlook = (await withConfigs(remote, pull, changes, others)).map((one) =>
    one.settings === undefined ? one : { ...one, settings: withRuns(one.settings, runs) },
  );
  const today = new Date().toISOString().slice(0, 10);
  const reviewed = review(changes, withRuns(rules, runs), today, log, outlook, inTime);
  if (broken !== undefined && reviewed.comparisons.length > 0) throw broken;
  const judged = await withOverride(remote, reviewed, pull, event, settings);
  await write(remote, judged, pull, settings, environment);
}

/** A push as the commits that it lies between, or as everything that is there now. */
async function compared(remote: Remote, event: Event): Promise<Exclude<Event, { kind: 'push' }>> {
  if (event.kind !== 'push') return event;
  const range = await rangeOf(remote, event);
  return range === undefined ? { kind: 'report', sha: event.head, label: event.label } : { kind: 'range', ...range };
}

/**
 * The settings to follow. Rules of the base that cannot be followed fail everything but their repair: a change that leaves
 * rules that can be, and touches no model config.
 */
function planOf(
  inputs: Inputs,
  held: Documents,
  others: readonly OtherRules[],
): { readonly settings: Settings; readonly broken?: WrongSettings } {
  try {
    return { settings: settingsOf(inputs, held) };
  } catch (error) {
    const repaired = others.some(({ kind, settings }) => kind === 'proposed' && settings !== undefined);
    if (!(error instanceof WrongSettings) || !repaired) throw error;
    return { settings: settingsOf(inputs, inlineRun(inputs)), broken: error };
  }
}

/** The changes with the commit that they would be merged onto, where it is not the one that they are compared with. */
const withTipOf = (pull: Pull | undefined, { baseline: wanted }: Settings, changes: Changes): Changes =>
  pull === undefined || wanted !== 'merge-base' || changes.base === undefined || changes.base.sha === pull.base
    ? changes
    : { ...changes, tip: { sha: pull.base, label: pull.baseLabel } };

function nothingToDo(why: string): void {
  setOutput('verdict', 'skipped');
  setOutput('changed', '0');
  setOutput('comment-status', 'skipped');
  log(why);
}

/** The pull request of a run, with where it began, and the comparison that tells it. */
type Found = { readonly pull: Pull; readonly mergeBase: Baseline; readonly compared: Compared | undefined };

/** Without a history in common, the tip of the base branch is as far from the head's reach, for who asks for another baseline. */
async function pullWithMergeBase(remote: Remote, inputs: Inputs, asked: Asked): Promise<Found> {
  const { pull, compared } = await pullWithComparison(remote, asked);
  try {
    return { pull, compared, mergeBase: await baseline(remote, 'merge-base', pull, compared) };
  } catch (error) {
    const wanted = inputs['baseline'] || 'merge-base';
    if (error instanceof GitHubProblem && wanted !== 'merge-base')
      return { pull, compared, mergeBase: { commit: pull.base } };
    throw error;
  }
}

/** The commits whose rules matter: those that hold are never the head's, where there is a base. */
function placesOf(event: Event, found: Found | undefined): Places {
  if (found !== undefined) {
    const { pull, mergeBase } = found;
    return {
      held: mergeBase.commit,
      head: pull.head,
      when: 'after merge',
      ...(pull.base === mergeBase.commit ? {} : { tip: { commit: pull.base, branch: pull.baseLabel } }),
    };
  }
  if (event.kind === 'range') return { held: event.base, head: event.head, when: 'for what comes after this' };
  if (event.kind === 'report') return { held: event.sha };
  throw new GitHubProblem('There is nothing to look at.');
}

/** Asks for the rules together with the files that they probably lead to, and beside them for what a search for jobs needs. */
async function askAhead(
  { contents, trees }: Remote,
  inputs: Inputs,
  places: Places,
  { pull, mergeBase }: Found,
  byInputs: Settings,
): Promise<void> {
  const rules = rulesWanted(inputs, commitsOf(places));
  const named = new Set(rules.map(({ path }) => path));
  const files = likelyWanted(mergeBase, pull, byInputs).filter(({ path }) => !named.has(path));
  if (files.length > 0 || mergeBase.files === undefined) trees.askAhead(pull.head);
  await contents.askAhead([...rules, ...files]);
}

async function changesOf(
  remote: Remote,
  event: Event,
  pull: Pull | undefined,
  base: Baseline | undefined,
  settings: Settings,
): Promise<Changes> {
  if (pull !== undefined && base !== undefined) return pullChanges(remote, pull, base, settings);
  if (event.kind === 'range') return rangeChanges(remote, event, settings);
  if (event.kind === 'report') return allConfigs(remote, event.sha, event.label, settings);
  throw new GitHubProblem('There is nothing to look at.');
}

/** A change of the rules that touches no config is shown by what it means for those that there are. */
async function withConfigs(
  remote: Remote,
  pull: Pull | undefined,
  changes: Changes,
  others: readonly OtherRules[],
): Promise<readonly OtherRules[]> {
  const proposal = others.find(({ kind }) => kind === 'proposed');
  if (pull === undefined || proposal?.settings === undefined || changes.pairs.length > 0) return others;
  const configs = await allConfigs(remote, pull.head, pull.headLabel, proposal.settings);
  return others.map((one) => (one === proposal ? { ...one, configs } : one));
}

/** A label that was set on this commit turns a failure into a warning: as the pull request has it now, with who set it. */
async function withOverride(
  remote: Remote,
  found: Review,
  pull: Pull | undefined,
  event: Event,
  settings: Settings,
): Promise<Review> {
  const label = settings.overrideLabel;
  // GitHub tells labels apart without regard to case.
  const set = pull?.labels.find((name) => name.toLowerCase() === label?.toLowerCase());
  if (set === undefined || pull === undefined || found.verdict.outcome !== 'fail') return found;
  const pushed = event.kind === 'pull' ? event.pushed : undefined;
  const given = await labelSet(remote, pull, set, pushed);
  if (given.counts) return { ...found, verdict: override(found.verdict, set, given.by) };
  log(given.why);
  return { ...found, notes: [given.why, ...found.notes] };
}

async function write(
  remote: Remote,
  found: Review,
  pull: Pull | undefined,
  settings: Settings,
  environment: Environment,
): Promise<void> {
  const options: Options = { key: settings.commentKey, budgetsFor: settings.budgetsFor };
  const nothing = isEmpty(found);
  let body = '';
  const words = (earlier?: string) => {
    body = nothing ? resolvedComment(found, settings.commentKey, earlier) : comment(found, options, earlier);
    return body;
  };
  publish(found, options, environment, nothing ? '' : words());
  if (nothing) setOutput('verdict', 'skipped');
  const posted = await maybePost(remote, found, pull, settings, words);
  setOutput('comment-status', posted.status);
  setOutput('comment-url', posted.url);
  if (!nothing) setOutput('comment-body', body);
  if (posted.status === 'failed') warning(harmless(notPosted(posted.reason ?? '', pull)));
  else if (posted.reason !== undefined) log(`No comment: ${posted.reason}`);
  if (settings.dryRun && !nothing) for (const line of body.split('\n')) log(line);
  const { outcome, findings } = found.verdict;
  log(
    nothing
      ? 'No model config changed.'
      : `Verdict: ${outcome} (${found.comparisons.length} configs, ${findings.length} findings).`,
  );
  if (outcome === 'fail')
    fail(findings.find(({ severity }) => severity === 'fail')?.message ?? 'The verdict is a failure.');
}

/** Why there is no comment, with the permission that GitHub names, and what was still written. */
function notPosted(reason: string, pull: Pull | undefined): string {
  const fork =
    pull?.fromFork && reason.includes('token')
      ? ' The pull request comes from another repository, whose workflows get a token that may only read.'
      : '';
  return `The comment could not be posted: ${reason}${fork} The verdict stands; the job summary has the report.`;
}

async function maybePost(
  remote: Remote,
  found: Review,
  pull: Pull | undefined,
  settings: Settings,
  words: (earlier?: string) => string,
): Promise<Posted> {
  const skipped: Posted = { status: 'skipped', url: '' };
  if (pull === undefined || settings.dryRun || settings.comment === 'never') return skipped;
  const create =
    !isEmpty(found) &&
    (settings.comment === 'always' ||
      (settings.comment === 'changes' && tellsOfChange(found) && movesAtLeast(found, settings.commentThreshold)) ||
      (settings.comment === 'failures' && found.verdict.outcome === 'fail'));
  return post(remote.api, remote.repository, pull, settings.commentKey, words, create);
}
