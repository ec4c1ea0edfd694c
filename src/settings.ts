import picomatch from 'picomatch';
import { acceleratorIds } from './facts/accelerators.ts';
import type { Budgets, MemoryLimit } from './gate/rules.ts';
import type { RunSource } from './model/settle.ts';
import type { RunFields } from './model/training.ts';
import { couldBeConfig } from './read/config.ts';
import { didYouMean } from './read/nearest.ts';
import { readRun } from './read/run.ts';
import { parseBytes } from './units.ts';

/** What the user wants of a run of the gate, with where each value came from. */
export type Settings = {
  readonly matches: (path: string) => boolean;
  /** True where a pattern names the path, so that being unreadable fails the gate. */
  readonly named: (path: string) => boolean;
  /** Sources of the run for a config, strongest first; the config's own fields come behind the run description. */
  readonly sourcesFor: (path: string, stated: RunFields) => readonly RunSource[];
  readonly budgetsFor: (path: string) => Budgets;
  readonly baseline: string;
  readonly comment: CommentMode;
  readonly commentKey: string;
  readonly overrideLabel: string | undefined;
  readonly dryRun: boolean;
  readonly shown: readonly { readonly name: string; readonly value: string; readonly origin: string }[];
};

export type CommentMode = 'changes' | 'always' | 'failures' | 'never';

/** Settings that cannot be followed. Each sentence says what is allowed. */
export class WrongSettings extends Error {
  readonly sentences: readonly string[];
  constructor(sentences: readonly string[]) {
    super(sentences.join(' '));
    this.sentences = sentences;
  }
}

export type Inputs = Readonly<Record<string, string>>;

/** Every input with its default, for `action.yml`, the README and the check of names. */
export const inputDefaults: Readonly<Record<string, string>> = {
  policy: '.github/model-cost.yml',
  configs: 'every changed file that a format recognises by content',
  run: '',
  accelerator: 'h100-sxm-80gb',
  gpus: '8',
  'memory-budget': '100%',
  'fail-on': 'over-budget',
  baseline: 'merge-base',
  comment: 'changes',
  'comment-key': 'default',
  'override-label': '',
  'dry-run': 'false',
};

const one = <Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
  wrong: string[],
): Choice | undefined => {
  const found = choices.find((choice) => choice === value);
  if (found === undefined)
    wrong.push(
      `The input ${name} is "${value.slice(0, 60)}", but must be one of ${choices.join(', ')}.${didYouMean(value, choices)}`,
    );
  return found;
};

/**
 * Raw inputs to settings. An input wins over the default; the run description fills the run and is in turn overridden by the
 * inputs `accelerator` and `gpus`.
 *
 * @param runFile the text of the run description, where `run` names one
 * @throws WrongSettings with one sentence for each mistake
 */
export function settingsFrom(
  inputs: Inputs,
  runFile?: { readonly name: string; readonly bytes: Uint8Array },
): Settings {
  const wrong: string[] = [];
  const shown: { name: string; value: string; origin: string }[] = [];
  const given = (name: string) => {
    const value = inputs[name]?.trim() ?? '';
    const stated = value !== '';
    if (inputDefaults[name] !== '' || stated)
      shown.push({ name, value: stated ? value : (inputDefaults[name] ?? ''), origin: stated ? 'input' : 'default' });
    return stated ? value : undefined;
  };
  const patterns = (given('configs') ?? '')
    .split('\n')
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '');
  const accelerator = given('accelerator');
  if (accelerator !== undefined && !acceleratorIds.some((id) => id === accelerator)) {
    wrong.push(
      `The input accelerator is "${accelerator.slice(0, 60)}", which is not in the table.${didYouMean(accelerator, acceleratorIds) || ' See `model-cost list accelerators`.'}`,
    );
  }
  const gpusText = given('gpus');
  const gpus = gpusText === undefined ? undefined : Number(gpusText);
  if (gpus !== undefined && !(Number.isInteger(gpus) && gpus >= 1 && gpus <= 1e7))
    wrong.push(`The input gpus is "${gpusText?.slice(0, 60)}", but must be a whole number from 1 on.`);
  const memory = memoryLimit(given('memory-budget') ?? '100%', wrong);
  const failOn =
    one('fail-on', given('fail-on') ?? 'over-budget', ['over-budget', 'increase', 'never'], wrong) ?? 'over-budget';
  const baseline = given('baseline') ?? 'merge-base';
  if (!['merge-base', 'base-tip'].includes(baseline) && !/^[0-9a-f]{7,40}$/i.test(baseline))
    wrong.push(`The input baseline is "${baseline.slice(0, 60)}", but must be merge-base, base-tip or a commit.`);
  const comment =
    one('comment', given('comment') ?? 'changes', ['changes', 'always', 'failures', 'never'], wrong) ?? 'changes';
  const commentKey = given('comment-key') ?? 'default';
  if (!/^[\w.-]{1,60}$/.test(commentKey))
    wrong.push('The input comment-key may have letters, digits, ".", "_" and "-" only, at most 60.');
  const dryRun = one('dry-run', given('dry-run') ?? 'false', ['true', 'false'], wrong) === 'true';
  const overrideLabel = given('override-label');
  const described = runFile === undefined ? undefined : readRun(runFile.bytes, runFile.name);
  if (described?.kind === 'wrong') wrong.push(...described.problems.map(({ message }) => message));
  if (wrong.length > 0) throw new WrongSettings(wrong);

  const input: RunFields = {
    ...(accelerator === undefined ? {} : { accelerator }),
    ...(gpus === undefined ? {} : { gpus }),
  };
  const run = described?.kind === 'read' ? described.fields : {};
  const positive = patterns.filter((pattern) => !pattern.startsWith('!'));
  const negative = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  const among = matcher(positive);
  const excluded = matcher(negative);
  const named = (path: string) => positive.length > 0 && among(path) && !excluded(path);
  return {
    matches: (path) => (positive.length > 0 ? named(path) : couldBeConfig(path) && !excluded(path)),
    named,
    sourcesFor: (_path, stated) => [
      { origin: 'input', fields: input },
      { origin: 'run', fields: run },
      { origin: 'config', fields: stated },
    ],
    budgetsFor: () => ({ memory, failOn, limits: [] }),
    baseline,
    comment,
    commentKey,
    overrideLabel,
    dryRun,
    shown,
  };
}

/** Bounded patterns: no pattern of a user can take exponential time over a path. */
function matcher(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false;
  const all = patterns.map((pattern) => picomatch(pattern.slice(0, 500), { dot: true, noextglob: true }));
  return (path) => all.some((matches) => matches(path));
}

/** `80GB`, `72GiB`, `90%` of the accelerator's usable memory. */
export function memoryLimit(text: string, wrong: string[]): MemoryLimit {
  const share = /^(\d{1,4}(?:\.\d+)?)\s*%$/.exec(text)?.[1];
  if (share !== undefined && Number(share) > 0) return { kind: 'share', share: Number(share) / 100 };
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes > 0) return { kind: 'bytes', bytes };
  wrong.push(
    `The memory budget is "${text.slice(0, 60)}", but must be an amount like 80GB or 72GiB, or a share like 90%.`,
  );
  return { kind: 'share', share: 1 };
}
