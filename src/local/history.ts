import { settingsOf } from '../calibrate.ts';
import { deadline } from '../deadline.ts';
import type { Side } from '../gate/review.ts';
import { jobsOf } from '../jobs.ts';
import { recipePairs } from '../read/recipes.ts';
import { type History, historyCsv, historyJson, historyMarkdown, historyText, type Step } from '../report/history.ts';
import { readSide } from '../run.ts';
import { type Inputs, policyPath } from '../settings/inputs.ts';
import { type Documents, filesNamedBy, type Settings, WrongSettings } from '../settings/settings.ts';
import { fileOf } from '../text/job-name.ts';
import type { ConfigPair, ConfigSide, InTime } from '../world.ts';
import { inFormat, Usage, type Words } from './arguments.ts';
import { inRepository, readMany } from './git.ts';
import { commitAt, commitsOf, countCommits, gitSpan, type LoggedCommit, renamesOf, type Span } from './git-log.ts';
import { inputsOf, withFields } from './options.ts';
import { complain, json, print, progress } from './print.ts';
import { described, policyFrom, rulesHere } from './rules.ts';

/** The newest commits that are read. */
const mostCommits = 200;
/** Files that commits of long ago refer to may bring in further commits, which may refer to further files. */
const rounds = 4;

/** What each commit of this repository made of a job's cost. */
export function history(words: Words): number {
  const [word, ...rest] = words.files;
  if (word === undefined || rest.length > 0) throw new Usage('history needs one config: model-cost history CONFIG');
  const span = gitSpan('.', words.option('since'), words.option('head') ?? 'HEAD');
  const path = inRepository(span.top, fileOf(word));
  if (path === undefined) throw new Usage(`${word} is not a file of this repository.`);
  const found = historyOf({ words, span, path, job: path + word.slice(fileOf(word).length), inTime: deadline() });
  progress('');
  if (found.steps.every(({ side }) => side === undefined))
    return complain(found.steps.at(-1)?.problem ?? `${word}: no commit of this repository has such a file.`);
  const text = inFormat(words, {
    text: () => historyText(found),
    markdown: () => historyMarkdown(found),
    json: () => json(historyJson(found)),
    csv: () => historyCsv(found),
  });
  return print(text, words.option('output'), words.format === 'text');
}

/** One job of a repository, and how it is asked for. */
type Question = {
  readonly words: Words;
  readonly span: Span;
  /** From the root of the repository, as the last commit names it. */
  readonly path: string;
  /** The path with the recipe's name, where one of several is meant. */
  readonly job: string;
  readonly inTime: InTime;
};

function historyOf(question: Question): History {
  const { span, path, job } = question;
  const renames = renamesOf(span, path);
  const names = [path, ...renames.map(({ from }) => from)];
  const read = reader(question, names);
  const known = new Map<string, Read>();
  let paths = new Set([...names, ...read.always]);
  let commits: readonly LoggedCommit[] = [];
  for (let round = 0; round < rounds; round++) {
    commits = commitsOf(span, [...paths], mostCommits);
    read.prepare(commits.filter(({ sha }) => !known.has(sha)));
    for (const [index, { sha }] of commits.entries()) {
      progress(`${index + 1} of ${commits.length} commits`);
      if (!known.has(sha)) known.set(sha, read.at(sha, nameAt(sha, commits, path, renames)));
    }
    const all = new Set([...paths, ...[...known.values()].flatMap(({ parts }) => parts)]);
    if (all.size === paths.size) break;
    paths = all;
  }
  const start = span.since === undefined ? [] : [commitAt(span.top, span.since)];
  const steps = [...start, ...[...commits].reverse()].map(({ sha, date, subject }): Step => {
    const name = nameAt(sha, commits, path, renames);
    const { side, problem } = known.get(sha) ?? read.at(sha, name);
    const told = problem === undefined ? {} : { problem };
    return { commit: sha, date, subject, path: name, ...told, ...(side === undefined ? {} : { side }) };
  });
  return { path: job, steps, notes: notesOf(span, [...paths], commits) };
}

function notesOf(span: Span, paths: readonly string[], commits: readonly LoggedCommit[]): readonly string[] {
  if (commits.length < mostCommits) return [];
  const older = countCommits(span, paths) - commits.length;
  if (older < 1) return [];
  return [
    `${older} older commits were not read: a history has at most ${mostCommits}; --head shows those before a revision.`,
  ];
}

/** The config's name at a commit: commits before a move have the name from before. */
function nameAt(
  sha: string,
  commits: readonly LoggedCommit[],
  path: string,
  renames: readonly { readonly sha: string; readonly from: string }[],
): string {
  const place = (one: string) => {
    const at = commits.findIndex((commit) => commit.sha === one);
    return at === -1 ? commits.length : at;
  };
  return renames.findLast((rename) => place(rename.sha) < place(sha))?.from ?? path;
}

/** What one commit says of the job, and the files that it says it in. */
type Read = { readonly side?: Side; readonly problem?: string; readonly parts: readonly string[] };

type Reader = {
  /** Files that may say how any commit's job is trained. */
  readonly always: readonly string[];
  /** Reads what most commits need at once. */
  readonly prepare: (commits: readonly LoggedCommit[]) => void;
  readonly at: (commit: string, name: string) => Read;
};

function reader({ words, span, path, job, inTime }: Question, names: readonly string[]): Reader {
  const inputs = inputsOf(words);
  // What is wrong with the options themselves is wrong for every commit.
  settingsOf(inputs, described(words.option('run')));
  const policy = words.option('policy');
  const policyName = policy === undefined ? policyPath : inRepository(span.top, policy);
  const files = new Map<string, ConfigSide | undefined>();
  const fileAt = (commit: string, name: string): ConfigSide | undefined => {
    const key = `${commit} ${name}`;
    if (!files.has(key)) files.set(key, readMany(span.top, [{ commit, path: name }])[0]);
    return files.get(key);
  };
  const run = described(words.option('run'));
  const outside = policyName === undefined ? rulesHere({ policy }) : {};
  const documentsAt = (commit: string): Documents => {
    if (policyName === undefined) return { ...outside, ...run };
    return { ...policyFrom((name) => fileAt(commit, name), policyName), ...run };
  };
  return {
    always: policyName === undefined ? [] : [policyName],
    prepare: (commits) => {
      const wanted = commits.flatMap(({ sha }) =>
        [...names, ...(policyName === undefined ? [] : [policyName])].map((name) => ({ commit: sha, path: name })),
      );
      for (const [index, side] of readMany(span.top, wanted).entries())
        files.set(`${wanted[index]?.commit} ${wanted[index]?.path}`, side);
    },
    at: (commit, name) => {
      const side = fileAt(commit, name);
      if (side === undefined) return { problem: `${name} does not exist at this commit.`, parts: [] };
      const documents = documentsAt(commit);
      const policyFiles = documents.policy === undefined ? [] : filesNamedBy(documents.policy);
      const settings = settingsAt(inputs, documents, words);
      if ('problem' in settings) return { ...settings, parts: policyFiles };
      const pair = withParts({ path: name, head: side }, settings, (one) => fileAt(commit, one), inTime);
      const wanted = name + job.slice(path.length);
      const jobs = recipePairs(pair);
      const one = jobs.find((each) => each.path === wanted) ?? (jobs.length === 1 ? jobs[0] : undefined);
      const parts = [...policyFiles, ...(pair.beside?.head.keys() ?? [])];
      if (one === undefined) return { problem: severalJobs(jobs), parts };
      return { ...sideOf(one, settings, inTime), parts };
    },
  };
}

const severalJobs = (jobs: readonly ConfigPair[]): string =>
  `The file has ${jobs.length} jobs; name one of them, like ${jobs[0]?.path ?? ''}.`;

function settingsAt(inputs: Inputs, documents: Documents, words: Words): Settings | { readonly problem: string } {
  try {
    return withFields(settingsOf(inputs, documents), words);
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    return { problem: `How it is trained cannot be read: ${error.message}` };
  }
}

/** The config with the files that its job refers to, as the commit has them. */
function withParts(
  pair: ConfigPair,
  settings: Settings,
  read: (path: string) => ConfigSide | undefined,
  inTime: InTime,
): ConfigPair {
  const asking = jobsOf({ pairs: [pair], missed: [], notes: [] }, settings, inTime);
  let step = asking.next();
  while (step.done !== true) {
    const ask = step.value;
    step = asking.next(
      ask.kind === 'list'
        ? { kind: 'list', paths: [], missed: [] }
        : { kind: 'files', sides: ask.wanted.map(({ path }) => read(path)) },
    );
  }
  return step.value.pairs[0] ?? pair;
}

function sideOf({ path, head, beside }: ConfigPair, settings: Settings, inTime: InTime): Omit<Read, 'parts'> {
  if (head === undefined) return { problem: 'The job does not exist at this commit.' };
  const timed = inTime(() => readSide(head, path, settings, undefined, beside?.head));
  if (timed.kind === 'late') return { problem: `The config ${timed.reason}.` };
  const side = timed.result;
  if (side.estimate !== undefined) return { side };
  const problem = side.reading.problems.find(({ severity }) => severity === 'error') ?? side.reading.problems[0];
  return { side, problem: problem?.message ?? 'It is not a model config at this commit.' };
}
