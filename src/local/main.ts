import { measuredMfu } from '../cost/time.ts';
import { acceleratorIds, findAccelerator } from '../facts/accelerators.ts';
import { compare } from '../gate/compare.ts';
import type { Review } from '../gate/review.ts';
import { formats } from '../read/config.ts';
import { familyNames } from '../read/families/registry.ts';
import { comment } from '../report/comment.ts';
import { exact, flopsText, gib, percent } from '../report/format.ts';
import { jsonReport } from '../report/json.ts';
import { plain } from '../report/markdown.ts';
import { summary } from '../report/summary.ts';
import { textDiff, textReport } from '../report/terminal.ts';
import { readSide as readConfigSide, review, version } from '../run.ts';
import { type Settings, settingsFrom, WrongSettings } from '../settings.ts';
import { parseCount } from '../units.ts';
import type { Changes } from '../world.ts';
import { help, Usage, type Words, wordsOf } from './arguments.ts';
import { readSide, reasonOf, writeText } from './files.ts';
import { GitProblem, gitChanges } from './git.ts';

const passed = 0;
const failed = 1;
const unusable = 2;

/** The command line: the same story as the action, over files and a git repository. Results to standard output, errors to standard error. */
export function main(argv: readonly string[]): number {
  // A reader that closes early (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    const words = wordsOf(argv);
    switch (words.command) {
      case 'help':
        return print(words, help);
      case 'version':
        return print(words, `${version}\n`);
      case 'list':
        return list(words);
      case 'report':
        return report(words);
      case 'diff':
        return diff(words);
      case 'mfu':
        return mfu(words);
    }
  } catch (error) {
    if (error instanceof Usage || error instanceof GitProblem) return complain(error.message);
    if (error instanceof WrongSettings) return complain(...error.sentences);
    throw error;
  }
}

function complain(...sentences: readonly string[]): number {
  for (const sentence of sentences) process.stderr.write(`model-cost: ${plain(sentence, 500)}\n`);
  return unusable;
}

function print(words: Words, text: string): number {
  const file = words.option('output');
  if (file === undefined) {
    process.stdout.write(text);
    return passed;
  }
  try {
    writeText(file, text);
    return passed;
  } catch (error) {
    return complain(`${file}: ${reasonOf(error)}`);
  }
}

function progress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${message}`);
}

const wholeNumber = (words: Words, name: 'sequence-length' | 'micro-batch-size'): number | undefined => {
  const text = words.option(name);
  if (text === undefined) return undefined;
  const value = parseCount(text);
  if (value === undefined || !Number.isInteger(value) || value < 1 || value > 1e9)
    throw new Usage(`--${name} is "${text}", but must be a whole number from 1 on.`);
  return value;
};

/** Options to settings: the file named by --run is the run description, single options win over it. */
function settingsOf(words: Words): Settings {
  if (words.option('policy') !== undefined) throw new Usage('--policy is not read yet; use --run and --memory-budget.');
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
    runName === undefined || runSide?.kind !== 'bytes' ? undefined : { name: runName, bytes: runSide.bytes },
  );
  const sequenceLength = wholeNumber(words, 'sequence-length');
  const microBatchSize = wholeNumber(words, 'micro-batch-size');
  const budget = words.option('tokens');
  const tokens = budget === undefined ? undefined : parseCount(budget);
  if (budget !== undefined && (tokens === undefined || tokens <= 0))
    throw new Usage(`--tokens is "${budget}", but must be a count like 300B or 1T.`);
  return {
    ...settings,
    sourcesFor: (path, stated) => [
      { origin: 'input', fields: { sequenceLength, microBatchSize, tokens } },
      ...settings.sourcesFor(path, stated),
    ],
  };
}

const today = () => new Date().toISOString().slice(0, 10);

function written(found: Review, words: Words, settings: Settings, asDiff: boolean): string {
  const options = { key: 'default', budgetsFor: settings.budgetsFor };
  switch (words.format) {
    case 'json':
      return `${JSON.stringify(jsonReport(found), null, 2)}\n`;
    case 'markdown':
      return `${asDiff ? comment(found, options) : summary(found, options)}\n`;
    case 'text':
      return asDiff
        ? textDiff(found)
        : found.comparisons.map(({ path, head }) => (head === undefined ? '' : textReport(path, head))).join('\n');
  }
}

function report(words: Words): number {
  if (words.files.length === 0) throw new Usage('report needs a config: model-cost report CONFIG...');
  const settings = settingsOf(words);
  const comparisons = words.files.map((path, index) => {
    if (words.files.length > 1) progress(`${index + 1} of ${words.files.length}`);
    return compare({ path, named: true, head: readConfigSide(readSide(path), path, settings) });
  });
  if (words.files.length > 1) progress('');
  const found: Review = { comparisons, verdict: { outcome: 'pass', findings: [] }, settings: [], notes: [], version };
  for (const { path, head } of comparisons) {
    if (head?.estimate === undefined)
      complain(
        `${path}: ${head?.reading.problems[0]?.message ?? 'could not be read.'}`.replace(`${path}: ${path}`, path),
      );
  }
  const readable = comparisons.filter(({ head }) => head?.estimate !== undefined);
  if (readable.length === 0) return unusable;
  return print(
    words,
    written(words.format === 'text' ? { ...found, comparisons: readable } : found, words, settings, false),
  );
}

function diff(words: Words): number {
  const settings = settingsOf(words);
  const changes = changesOf(words, settings);
  const found = review(changes, settings, today(), progress);
  progress('');
  if (
    found.comparisons.length > 0 &&
    found.comparisons.every(({ head, base }) => head?.estimate === undefined && base?.estimate === undefined)
  ) {
    for (const { message, path } of found.verdict.findings)
      complain(`${path}: ${message}`.replace(`${path}: ${path}`, path));
    return unusable;
  }
  const code = print(
    words,
    found.comparisons.length === 0 && words.format === 'text'
      ? 'No model config changed.\n'
      : written(found, words, settings, true),
  );
  return code === passed && found.verdict.outcome === 'fail' ? failed : code;
}

function changesOf(words: Words, settings: Settings): Changes {
  const base = words.option('base');
  if (base !== undefined) {
    if (words.files.length > 0) throw new Usage('diff takes either two files or --base, not both.');
    return gitChanges('.', base, words.option('head'), settings.matches);
  }
  const [old, now, ...rest] = words.files;
  if (old === undefined || now === undefined || rest.length > 0)
    throw new Usage('diff needs two files, or --base REV: model-cost diff BASE HEAD');
  return {
    pairs: [{ path: now, ...(old === now ? {} : { previousPath: old }), base: readSide(old), head: readSide(now) }],
    notes: [],
  };
}

function mfu(words: Words): number {
  const [path, ...rest] = words.files;
  if (path === undefined || rest.length > 0)
    throw new Usage('mfu needs one config: model-cost mfu CONFIG --tokens-per-second N');
  const text = words.option('tokens-per-second');
  const speed = text === undefined ? undefined : parseCount(text.replaceAll(',', ''));
  if (speed === undefined || speed <= 0)
    throw new Usage('mfu needs --tokens-per-second N, the tokens per second of all GPUs together.');
  const side = readConfigSide(readSide(path), path, settingsOf(words));
  const { estimate } = side;
  if (estimate === undefined)
    return complain(
      `${path}: ${side.reading.problems[0]?.message ?? 'could not be read.'}`.replace(`${path}: ${path}`, path),
    );
  const { run } = estimate.run;
  const measured = measuredMfu(estimate.flops, run, speed);
  if (words.format === 'json') {
    return print(
      words,
      `${JSON.stringify({ version: 1, path, tokens_per_second: speed, training_flops_per_token: estimate.flops.training, peak_flops_per_second: measured.peak, mfu: measured.mfu, hfu: measured.hfu, projected_mfu: estimate.throughput.mfu, run: { accelerator: run.accelerator, gpus: run.gpus, sequence_length: run.sequenceLength, precision: run.precision } }, null, 2)}\n`,
    );
  }
  if (measured.mfu === null || measured.hfu === null || measured.peak === null)
    return complain(`${run.accelerator} has no known ${run.precision} peak, so MFU cannot be told.`);
  const peak = measured.peak;
  const conventions = Object.entries(estimate.flops.conventions).map(
    ([name, amount]) => [name, percent((amount * speed) / peak)] as const,
  );
  const lines = [
    `MFU ${percent(measured.mfu)}  (HFU ${percent(measured.hfu)})`,
    `  ${flopsText(estimate.flops.training)} for a token of training x ${exact(speed)} tokens/s`,
    `  over ${run.gpus} x ${plain(run.accelerator, 40)}, ${flopsText(peak)}/s dense ${run.precision}, sequences of ${exact(run.sequenceLength)} tokens`,
    `  by convention: ${conventions.map(([name, share]) => `${name} ${share}`).join(', ')}`,
    ...(estimate.throughput.mfu === null ? [] : [`  projected: ${percent(estimate.throughput.mfu)}`]),
    '',
  ];
  return print(
    words,
    words.format === 'markdown' ? `${lines.map((line) => line.trim()).join('\n\n')}` : lines.join('\n'),
  );
}

function list(words: Words): number {
  const [what] = words.files;
  switch (what) {
    case 'accelerators': {
      if (words.format === 'json')
        return print(
          words,
          `${JSON.stringify(
            acceleratorIds.map((id) => ({ id, ...findAccelerator(id) })),
            null,
            2,
          )}\n`,
        );
      const rows = acceleratorIds.map((id) => {
        const row = findAccelerator(id);
        return `${id.padEnd(18)} ${(row?.name ?? '').padEnd(44)} ${row === undefined ? '' : gib(row.usable).padStart(11)} usable  ${row?.densePeak.bf16 === undefined ? '' : `${flopsText(row.densePeak.bf16)}/s bf16`}`.trimEnd();
      });
      return print(words, `${rows.join('\n')}\n`);
    }
    case 'families':
      return print(
        words,
        words.format === 'json' ? `${JSON.stringify(familyNames, null, 2)}\n` : `${familyNames.join('\n')}\n`,
      );
    case 'formats':
      return print(
        words,
        words.format === 'json'
          ? `${JSON.stringify(
              formats.map(({ id, title }) => ({ id, title })),
              null,
              2,
            )}\n`
          : `${formats.map(({ id, title }) => `${id.padEnd(16)} ${title}`).join('\n')}\n`,
      );
    default:
      throw new Usage('list what? model-cost list accelerators|families|formats');
  }
}
