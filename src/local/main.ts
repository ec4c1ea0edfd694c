import { compare } from '../gate/compare.ts';
import { judge } from '../gate/judge.ts';
import type { Review } from '../gate/review.ts';
import { comment } from '../report/comment.ts';
import { jsonReport } from '../report/json.ts';
import { summary } from '../report/summary.ts';
import { textDiff, textFindings, textReport } from '../report/terminal.ts';
import { readSide as readConfigSide, review, version } from '../run.ts';
import { type Settings, settingsFrom, WrongSettings } from '../settings.ts';
import { parseCount } from '../units.ts';
import type { Changes } from '../world.ts';
import { help, Usage, type Words, wordsOf } from './arguments.ts';
import { readSide } from './files.ts';
import { GitProblem, gitChanges } from './git.ts';
import { list } from './list.ts';
import { mfu } from './mfu.ts';
import { complain, complainOf, failed, json, passed, print, progress, quietPipes, unusable } from './print.ts';

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
      return print(help(words.topic), words.option('output'));
    case 'version':
      return print(`${version}\n`, words.option('output'));
    case 'list':
      return list(words);
    case 'report':
      return report(words, settingsOf(words));
    case 'diff':
      return diff(words, settingsOf(words));
    case 'mfu':
      return mfu(words, settingsOf(words));
  }
}

function wholeNumber(words: Words, name: 'sequence-length' | 'micro-batch-size'): number | undefined {
  const text = words.option(name);
  if (text === undefined) return undefined;
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
  return tokens;
}

/** Options to settings: the file named by --run is the run description, single options win over it. */
function settingsOf(words: Words): Settings {
  if (words.option('policy') !== undefined)
    throw new Usage('--policy is not read yet in this version; use --run and --memory-budget.');
  const runName = words.option('run');
  const runSide = runName === undefined ? undefined : readSide(runName);
  if (runSide?.kind === 'refused') throw new Usage(runSide.reason);
  const inputs: Record<string, string> = {};
  for (const name of ['accelerator', 'gpus', 'memory-budget', 'fail-on'] as const) {
    const value = words.option(name);
    if (value !== undefined) inputs[name] = value;
  }
  const settings = settingsFrom(
    inputs,
    runName === undefined || runSide === undefined ? undefined : { name: runName, bytes: runSide.bytes },
  );
  const fields = {
    sequenceLength: wholeNumber(words, 'sequence-length'),
    microBatchSize: wholeNumber(words, 'micro-batch-size'),
    tokens: tokensOf(words),
  };
  return {
    ...settings,
    sourcesFor: (path, stated) => [{ origin: 'input', fields }, ...settings.sourcesFor(path, stated)],
  };
}

const today = () => new Date().toISOString().slice(0, 10);

/** All metrics of each config. It is a check only where a budget was named: a report with assumed hardware does not fail. */
function report(words: Words, settings: Settings): number {
  if (words.files.length === 0) throw new Usage('report needs a config: model-cost report CONFIG...');
  const comparisons = words.files.map((path, index) => {
    if (words.files.length > 1) progress(`${index + 1} of ${words.files.length} configs`);
    return compare({ path, named: true, head: readConfigSide(readSide(path), path, settings) });
  });
  progress('');
  for (const { path, head } of comparisons)
    if (head?.estimate === undefined) complainOf(path, head?.reading.problems[0]?.message ?? 'could not be read.');
  const readable = comparisons.filter(({ head }) => head?.estimate !== undefined);
  if (readable.length === 0) return unusable;
  const found: Review = {
    comparisons,
    verdict:
      words.option('memory-budget') === undefined
        ? { outcome: 'pass', findings: [] }
        : judge(comparisons, settings.budgetsFor, today()),
    settings: [],
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
          ...(words.option('memory-budget') === undefined ? [] : [textFindings(found)]),
        ].join('\n');
    }
  });
}

function diff(words: Words, settings: Settings): number {
  const base = words.option('base');
  const [old, now, ...rest] = words.files;
  if (base !== undefined) {
    if (old !== undefined) throw new Usage('diff takes either two files or --base, not both.');
    return compared(words, gitChanges('.', base, words.option('head'), settings.matches), settings);
  }
  if (words.option('head') !== undefined) throw new Usage('--head needs --base REV.');
  if (old === undefined || now === undefined || rest.length > 0)
    throw new Usage('diff needs two files, or --base REV: model-cost diff BASE HEAD');
  const pair = { path: now, ...(old === now ? {} : { previousPath: old }), base: readSide(old), head: readSide(now) };
  // The user named them, so what cannot be read fails.
  return compared(words, { pairs: [pair], notes: [] }, { ...settings, named: () => true });
}

function compared(words: Words, changes: Changes, settings: Settings): number {
  const found = review(changes, settings, today(), progress);
  progress('');
  const unread = found.comparisons.flatMap(({ path, previousPath, base, head }) => [
    ...(base !== undefined && base.estimate === undefined ? [{ path: previousPath ?? path, side: base }] : []),
    ...(head !== undefined && head.estimate === undefined ? [{ path, side: head }] : []),
  ]);
  for (const { path, side } of unread) complainOf(path, side.reading.problems[0]?.message ?? 'could not be read.');
  const nothing = found.comparisons.length === 0;
  if (!nothing && found.comparisons.every(({ head, base }) => !head?.estimate && !base?.estimate)) return unusable;
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

function finish(words: Words, found: Review, text: () => string): number {
  const code = print(text(), words.option('output'));
  return code === passed && found.verdict.outcome === 'fail' ? failed : code;
}
