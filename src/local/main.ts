import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { deadline } from '../deadline.ts';
import { compare } from '../gate/compare.ts';
import { judge } from '../gate/judge.ts';
import { type Comparison, isEmpty, type Review } from '../gate/review.ts';
import { jobsOf } from '../jobs.ts';
import { recipePairs } from '../read/recipes.ts';
import { comment } from '../report/comment.ts';
import { jsonReport } from '../report/json.ts';
import { summary } from '../report/summary.ts';
import { textDiff, textFindings, textReport } from '../report/terminal.ts';
import { readSide as readConfigSide, review, trainedOtherwise, version } from '../run.ts';
import type { OtherRules } from '../settings/proposal.ts';
import { type Documents, type Settings, settingsFrom, WrongSettings, withRuns } from '../settings/settings.ts';
import { parseCount } from '../units.ts';
import { type Changes, type ConfigPair, type ConfigSide, type InTime, type Missed, untimed } from '../world.ts';
import { help, Usage, type Words, wordsOf } from './arguments.ts';
import { readSide } from './files.ts';
import { filesAt, GitProblem, gitChanges, gitRange, type Range, readAt, unchangedFiles } from './git.ts';
import { list } from './list.ts';
import { mfu } from './mfu.ts';
import { allNamed, type Named, named } from './named.ts';
import { plan } from './plan.ts';
import { complain, complainOf, failed, json, note, passed, print, progress, quietPipes, unusable } from './print.ts';
import { pathFrom, policyRoot } from './root.ts';
import { rulesHere, rulesOf, rulesOfTwo } from './rules.ts';

/** The command line: the same story as the action, over files and a git repository. Results to standard output, errors to standard error. */
export function main(argv: readonly string[]): number {
  quietPipes();
  try {
    return follow(wordsOf(argv));
  } catch (error) {
    progress('');
    if (error instanceof Usage || error instanceof GitProblem) return complain(error.message);
    if (error instanceof WrongSettings)
      return complain(...error.sentences.map((sentence) => sentence.replace(/^The input (?=[a-z-]+ )/, '--')));
    throw error;
  }
}

function follow(words: Words): number {
  switch (words.command) {
    case 'help':
      return print(help(words.topic), words.option('output'), true);
    case 'version':
      return print(`${version}\n`, words.option('output'));
    case 'list':
      return list(words);
    case 'report':
      return report(words, settingsHere(words));
    case 'diff':
      return diff(words);
    case 'mfu':
      return mfu(words, settingsHere(words));
    case 'plan':
      return planned(words, settingsHere(words));
  }
}

function wholeNumber(words: Words, name: 'sequence-length' | 'micro-batch-size'): number | undefined {
  const text = words.option(name);
  if (text === undefined) return undefined;
  if (/^\s*\d+\s*k\s*$/i.test(text))
    throw new Usage(`--${name} is "${text}", which could mean thousands or steps of 1,024; write the number out.`);
  const value = parseCount(text);
  if (value === undefined || !Number.isInteger(value) || value < 1 || value > 1e9)
    throw new Usage(`--${name} is "${text}", but must be a whole number from 1 on.`);
  return value;
}

function tokensOf(words: Words): number | undefined {
  const text = words.option('tokens');
  if (text === undefined) return undefined;
  const tokens = parseCount(text);
  if (tokens === undefined || tokens <= 0)
    throw new Usage(`--tokens is "${text}", but must be a count like 300B or 1T.`);
  if (tokens < 1000)
    throw new Usage(`--tokens is "${text}", which is no whole training; name a count like 300B or 1T.`);
  return tokens;
}

const inputsOf = (words: Words): Record<string, string> =>
  Object.fromEntries(
    (['policy', 'accelerator', 'gpus', 'memory-budget', 'fail-on'] as const).flatMap((name) => {
      const value = words.option(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );

const namedIn = (words: Words) => ({
  run: words.option('run'),
  baseRun: words.option('base-run'),
  headRun: words.option('head-run'),
  policy: words.option('policy'),
});

/**
 * Options to settings: the files that --run and --policy name, single options winning over both.
 *
 * @param fromRoot a path as the globs of the policy see it
 */
function settingsOf(words: Words, documents: Documents, fromRoot: (path: string) => string): Settings {
  const settings = settingsFrom(inputsOf(words), documents);
  const fields = {
    sequenceLength: wholeNumber(words, 'sequence-length'),
    microBatchSize: wholeNumber(words, 'micro-batch-size'),
    tokens: tokensOf(words),
  };
  return {
    ...settings,
    sourcesFor: (path, stated, described) => [
      { origin: 'input', fields },
      ...settings.sourcesFor(fromRoot(path), stated, described),
    ],
    jobOf: (path, described) => settings.jobOf(fromRoot(path), described),
    budgetsFor: (path) => settings.budgetsFor(fromRoot(path)),
  };
}

/** The settings for files that the user names from this folder. */
function settingsHere(words: Words, documents: Documents = rulesHere(namedIn(words))): Settings {
  const root = policyRoot(words.option('policy') !== undefined);
  return settingsOf(words, documents, (path) => pathFrom(root, path));
}

const today = () => new Date().toISOString().slice(0, 10);

/** All metrics of each config. It is a check only where somebody set a limit: a report with assumed hardware does not fail. */
function report(words: Words, settings: Settings): number {
  if (words.files.length === 0) throw new Usage('report needs a config: model-cost report CONFIG...');
  const all = words.files.flatMap(allNamed);
  const comparisons = all.flatMap((one, index) => {
    if (all.length > 1) progress(`${index + 1} of ${all.length} configs`);
    return jobsOnDisk(one, settings);
  });
  progress('');
  for (const { path, head } of comparisons)
    if (head?.estimate === undefined) complainOf(path, head?.reading.problems[0]);
  const readable = comparisons.filter(({ head }) => head?.estimate !== undefined);
  if (comparisons.length === 0) return complain(`${words.files.join(', ')}: there is no model config.`);
  if (readable.length === 0) return unusable;
  const judged = comparisons.some(({ path }) =>
    settings.budgetsFor(path).limits.some(({ origin }) => origin !== 'default'),
  );
  const found: Review = {
    comparisons,
    verdict: judge(
      comparisons,
      judged ? settings.budgetsFor : (path) => ({ ...settings.budgetsFor(path), limits: [] }),
      today(),
    ),
    settings: judged ? settings.shown : [],
    missed: [],
    notes: [],
    version,
  };
  return finish(words, found, () => {
    switch (words.format) {
      case 'json':
        return json(jsonReport(found));
      case 'markdown':
        return `${summary(found, { key: 'default', budgetsFor: settings.budgetsFor })}\n`;
      case 'text':
        return [
          ...readable.flatMap(({ path, head }) => (head === undefined ? [] : [textReport(path, head)])),
          ...(judged || found.verdict.findings.length > 0 ? [textFindings(found)] : []),
        ].join('\n');
    }
  });
}

/** The jobs that a file of the disk states; what was only found in a folder and is no config is passed over. */
function jobsOnDisk({ path, side, found }: Named, settings: Settings): readonly Comparison[] {
  return recipePairs(besideOnDisk({ path, head: side }, settings)).flatMap(({ path: job, head = side, beside }) => {
    const read = readConfigSide(head, job, settings, undefined, beside?.head);
    const another = found === true && read.estimate === undefined && read.claimed !== true;
    return another ? [] : [compare({ path: job, named: true, head: read })];
  });
}

function diff(words: Words): number {
  const base = words.option('base');
  const [old, now, ...rest] = words.files;
  if (base !== undefined) {
    if (old !== undefined) throw new Usage('diff takes either two files or --base, not both.');
    const range = gitRange('.', base, words.option('head'));
    const { held, runs, others, notes } = rulesOf(inputsOf(words), namedIn(words), range);
    const settings = withRuns(
      settingsOf(words, held, (path) => path),
      runs,
    );
    const inTime = deadline();
    const retrained = withRunChanges(range, gitChanges(range, settings.matches), settings);
    const changes = withJobs(range, retrained, settings, inTime);
    return compared(
      words,
      { ...changes, notes: [...notes, ...changes.notes] },
      settings,
      others.map((one) => (one.settings === undefined ? one : { ...one, settings: withRuns(one.settings, runs) })),
    );
  }
  if (words.option('head') !== undefined) throw new Usage('--head needs --base REV.');
  if (old === undefined || now === undefined || rest.length > 0)
    throw new Usage('diff needs two files, or --base REV: model-cost diff BASE HEAD');
  const { held, runs } = rulesOfTwo(namedIn(words));
  const settings = withRuns(settingsHere(words, held), runs);
  // The user named them, so what cannot be read fails.
  const found = besideOnDisk(pairOf(named(old), named(now)), settings);
  return compared(words, { pairs: [found], missed: [], notes: [] }, { ...settings, named: () => true }, []);
}

function planned(words: Words, settings: Settings): number {
  const [word, ...rest] = words.files;
  if (word === undefined || rest.length > 0)
    throw new Usage('plan needs one config: model-cost plan CONFIG --gpus N --accelerator ID');
  const { path, side } = named(word);
  return plan(words, settings, besideOnDisk({ path, head: side }, settings));
}

const pairOf = (base: Named, head: Named): ConfigPair => ({
  path: head.path,
  ...(base.path === head.path ? {} : { previousPath: base.path }),
  base: base.side,
  head: head.side,
});

/** The changes with the files that their jobs refer to, and with every other job that uses a file that changed. */
function withJobs(range: Range, changes: Changes, settings: Settings, inTime: InTime): Changes {
  const commits = { base: range.base.commit, head: range.head.commit };
  const asking = jobsOf(changes, settings, inTime);
  let step = asking.next();
  while (step.done !== true) {
    const ask = step.value;
    step = asking.next(
      ask.kind === 'list'
        ? { kind: 'list', paths: filesAt(range), missed: [] }
        : { kind: 'files', sides: ask.wanted.map(({ side, path }) => readAt(range.top, commits[side], path)) },
    );
  }
  return step.value;
}

/** A file beside a config: from this folder, where trainings are started, or from the policy's. */
function onDisk(path: string, root: string): ConfigSide | undefined {
  const where = [path, join(root, path)].find((one) => existsSync(one));
  return where === undefined ? undefined : readSide(where);
}

/** Files beside one that the user named, as they are on the disk. */
function besideOnDisk(pair: ConfigPair, settings: Settings): ConfigPair {
  const root = policyRoot(false);
  const asking = jobsOf({ pairs: [pair], missed: [], notes: [] }, settings, untimed);
  let step = asking.next();
  while (step.done !== true) {
    const ask = step.value;
    step = asking.next(
      ask.kind === 'list'
        ? { kind: 'list', paths: [], missed: [] }
        : { kind: 'files', sides: ask.wanted.map(({ path }) => onDisk(path, root)) },
    );
  }
  return step.value.pairs[0] ?? pair;
}

/** Unchanged configs that are read because their run changed. */
const mostUnchanged = 1_000;

/** The changes with every config whose text is as it was and whose run is not. */
function withRunChanges(range: Range, changes: Changes, settings: Settings): Changes {
  const otherwise = trainedOtherwise(settings);
  if (otherwise === undefined) return changes;
  const listed = new Set(changes.pairs.flatMap(({ path, previousPath }) => [path, previousPath ?? path]));
  const wants = (path: string) => !listed.has(path) && settings.matches(path) && otherwise(path);
  const { pairs, rest } = unchangedFiles(range, wants, mostUnchanged);
  const missed: readonly Missed[] = rest.length === 0 ? [] : [{ kind: 'count', most: mostUnchanged, paths: rest }];
  return { ...changes, pairs: [...changes.pairs, ...pairs], missed: [...changes.missed, ...missed] };
}

function compared(words: Words, changes: Changes, settings: Settings, others: readonly OtherRules[]): number {
  const found = review(changes, settings, today(), progress, others, deadline());
  progress('');
  const unread = found.comparisons.flatMap(({ path, previousPath, base, head }) => [
    ...(base !== undefined && base.estimate === undefined ? [{ path: previousPath ?? path, side: base }] : []),
    ...(head !== undefined && head.estimate === undefined ? [{ path, side: head }] : []),
  ]);
  for (const { path, side } of unread) complainOf(path, side.reading.problems[0]);
  const nothing = isEmpty(found);
  const blind =
    found.comparisons.length > 0 && found.comparisons.every(({ head, base }) => !head?.estimate && !base?.estimate);
  if (lacksSide(changes, found)) return unusable;
  // A file that could be a config and cannot be read is told; only one that was asked for makes the command useless.
  if (blind && (found.verdict.outcome === 'fail' || found.comparisons.some(({ named }) => named))) return unusable;
  return finish(words, found, () => {
    switch (words.format) {
      case 'json':
        return json(jsonReport(found));
      case 'markdown':
        return nothing
          ? 'No model config changed.\n'
          : `${comment(found, { key: 'default', budgetsFor: settings.budgetsFor })}\n`;
      case 'text':
        return nothing ? 'No model config changed.\n' : textDiff(found);
    }
  });
}

/** Without one of two named files there is nothing to compare; one that is there and that the change broke is a failure. */
const lacksSide = ({ pairs, base }: Changes, { comparisons }: Review): boolean =>
  base === undefined &&
  (pairs.some(({ head }) => head?.kind === 'refused') ||
    comparisons.some((one) => one.base !== undefined && one.base.estimate === undefined));

function finish(words: Words, found: Review, text: () => string): number {
  const file = words.option('output');
  const code = print(text(), file, words.format === 'text');
  // A file says nothing to who waits at the terminal.
  const told = found.settings.length > 0 || found.verdict.findings.length > 0;
  if (code === passed && file !== undefined && told)
    note(`verdict: ${found.verdict.outcome}; the report is in ${file}`);
  return code === passed && found.verdict.outcome === 'fail' ? failed : code;
}
