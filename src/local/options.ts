import { settingsOf } from '../calibrate.ts';
import type { Inputs } from '../settings/inputs.ts';
import { type Documents, misnamedPolicy, type Settings } from '../settings/settings.ts';
import { parseCount } from '../units.ts';
import { Usage, type Words } from './arguments.ts';
import { note } from './print.ts';
import { pathFrom, policyRoot } from './root.ts';
import { rulesHere } from './rules.ts';

export function inputsOf(words: Words): Inputs {
  const named = (['policy', 'accelerator', 'gpus', 'memory-budget', 'fail-on'] as const).flatMap((name) => {
    const value = words.option(name);
    return value === undefined ? [] : [[name, value]];
  });
  const configs = words.configs.length === 0 ? [] : [['configs', words.configs.join('\n')]];
  return Object.fromEntries([...named, ...configs]);
}

/** The files that the options name. */
export const namedIn = (words: Words) => ({
  run: words.option('run'),
  baseRun: words.option('base-run'),
  headRun: words.option('head-run'),
  policy: words.option('policy'),
});

/** The settings for files that the user names from this folder. */
export function settingsHere(words: Words, documents: Documents = rulesHere(namedIn(words))): Settings {
  const root = policyRoot(words.option('policy') !== undefined);
  const misnamed = misnamedPolicy(documents, documents);
  if (misnamed !== undefined) note(misnamed);
  return fromFolder(withFields(settingsOf(inputsOf(words), documents), words), (path) => pathFrom(root, path));
}

/** The same settings for paths that are named from another folder than the policy's. */
const fromFolder = (settings: Settings, fromRoot: (path: string) => string): Settings => ({
  ...settings,
  sourcesFor: (path, stated, described) => settings.sourcesFor(fromRoot(path), stated, described),
  jobOf: (path, described) => settings.jobOf(fromRoot(path), described),
  budgetsFor: (path) => settings.budgetsFor(fromRoot(path)),
});

/** The same settings with the fields of the run that options state, which win over all files. */
export function withFields(settings: Settings, words: Words): Settings {
  const fields = {
    sequenceLength: wholeNumber(words, 'sequence-length'),
    microBatchSize: wholeNumber(words, 'micro-batch-size'),
    tokens: tokensOf(words),
  };
  return {
    ...settings,
    sourcesFor: (path, stated, described) => [
      { origin: 'input', fields },
      ...settings.sourcesFor(path, stated, described),
    ],
  };
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
