import { acceleratorIds } from '../facts/accelerators.ts';
import type { Budgets, Limit } from '../gate/rules.ts';
import type { RunSource } from '../model/run.ts';
import { beginningWith, didYouMean } from '../text/nearest.ts';
import { memoryLimit, memoryText } from './limits.ts';
import { type Calibrate, type Calibrations, calibrationsOf, machineText } from './machines.ts';
import type { Policy } from './policy.ts';

export type Inputs = Readonly<Record<string, string>>;

export const policyPath = '.github/model-cost.yml';

/** The policy with the other ending of YAML, under which nobody looks for it. */
export const misnamedPath = policyPath.replace(/yml$/, 'yaml');

/** Every input with its default, for `action.yml`, the README and the check of names. */
export const inputDefaults: Readonly<Record<string, string>> = {
  policy: policyPath,
  configs: 'every changed file that a format recognises by content',
  run: '',
  accelerator: 'h100-sxm-80gb',
  gpus: '8',
  'memory-budget': '100%',
  'fail-on': 'over-budget',
  baseline: 'merge-base',
  comment: 'changes',
  'comment-threshold': '',
  'comment-key': 'default',
  'override-label': '',
  'dry-run': 'false',
};

/** A share of a metric, as the inputs and the policy write it. */
export const thresholdPattern = /^(\d{1,3}(?:\.\d{1,4})?)\s*%$/;

const commentModes = ['changes', 'always', 'failures', 'never'] as const;
export type CommentMode = (typeof commentModes)[number];

/** What the user chose for the whole of a run of the gate. */
export type Choices = {
  readonly failOn: Budgets['failOn'];
  readonly baseline: string;
  readonly comment: CommentMode;
  /** No comment is created for a change that moves every metric by less than this share of it. */
  readonly commentThreshold: number;
  readonly commentKey: string;
  readonly overrideLabel: string | undefined;
  /** A config within its budget is told of a run that is faster. */
  readonly hints: boolean;
  readonly dryRun: boolean;
};

export type Shown = { readonly name: string; readonly value: string; readonly origin: string };

/** The inputs as they hold with a policy, and a sentence for each that cannot be followed. */
export type Read = {
  readonly choices: Choices;
  readonly patterns: readonly string[];
  /** What the inputs state of the run, over everything else. */
  readonly strongest: RunSource;
  readonly memory: Limit | undefined;
  /** The input wins over what entries of the policy say. */
  readonly failOnIsInput: boolean;
  readonly calibrations: Calibrations;
  readonly shown: readonly Shown[];
  readonly wrong: readonly string[];
};

/**
 * @param policy whose defaults hold where an input is silent
 * @param commit that the policy was read from, where it was one
 */
export function readInputs(
  inputs: Inputs,
  policy: Policy | undefined,
  commit: string | undefined,
  calibrate: Calibrate,
): Read {
  const desk = deskOf(inputs);
  const { given, input, wrong, shown } = desk;
  if (policy !== undefined)
    shown.push({
      name: 'policy',
      value: policy.name + (commit === undefined ? '' : ` at ${commit.slice(0, 12)}`),
      origin: input('policy') === undefined ? 'default' : 'input',
    });
  const patterns = (given('configs') ?? '').split('\n').flatMap((pattern) => pattern.trim() || []);
  if (policy !== undefined && policy.ignore.length > 0)
    shown.push({ name: 'ignore', value: policy.ignore.join(', '), origin: 'policy' });
  const machine = policy?.defaults.hardware;
  const fields = { ...acceleratorField(desk, machine?.fields.accelerator), ...gpusField(desk, machine?.fields.gpus) };
  const calibrations = calibrationsOf(policy, calibrate, wrong);
  if (machine !== undefined)
    shown.push({ name: 'hardware', value: machineText(machine, calibrations.get(machine.name)), origin: 'policy' });
  given('memory-budget', memoryText(policy?.defaults.limits));
  const memory = input('memory-budget');
  return {
    memory: memory === undefined ? undefined : memoryLimit(memory, wrong),
    choices: choicesOf(desk, policy),
    patterns,
    strongest: { origin: 'input', fields },
    failOnIsInput: input('fail-on') !== undefined,
    calibrations,
    shown,
    wrong,
  };
}

/** One reading of inputs: what is asked for is shown, what is wrong is gathered. */
type Desk = {
  /** An input, trimmed; undefined where it is empty. */
  readonly input: (name: string) => string | undefined;
  /** An input, else what the policy says; shown with where it came from. */
  readonly given: (name: string, policyValue?: string, own?: string) => string | undefined;
  /** The same where only some words are allowed, of which the first is the default. */
  readonly choice: <Choice extends string>(
    name: string,
    choices: readonly [Choice, ...Choice[]],
    policyValue?: string,
  ) => Choice;
  readonly shown: Shown[];
  readonly wrong: string[];
};

function deskOf(inputs: Inputs): Desk {
  const shown: Shown[] = [];
  const wrong: string[] = [];
  const input = (name: string) => inputs[name]?.trim() || undefined;
  const given: Desk['given'] = (name, policyValue, own = input(name)) => {
    const value = own ?? policyValue;
    const origin = own !== undefined ? 'input' : value !== undefined ? 'policy' : 'default';
    if (inputDefaults[name] !== '' || value !== undefined)
      shown.push({ name, value: value ?? inputDefaults[name] ?? '', origin });
    return value;
  };
  const choice: Desk['choice'] = (name, choices, policyValue) => {
    const value = given(name, policyValue) ?? choices[0];
    const found = choices.find((one) => one === value);
    if (found === undefined)
      wrong.push(
        `The input ${name} is "${value.slice(0, 60)}", but must be one of ${choices.join(', ')}.${didYouMean(value, choices)}`,
      );
    return found ?? choices[0];
  };
  return { input, given, choice, shown, wrong };
}

function choicesOf({ given, choice, wrong }: Desk, policy: Policy | undefined): Choices {
  const failOn = choice('fail-on', ['over-budget', 'increase', 'never'], policy?.defaults.failOn);
  const baseline = given('baseline', policy?.defaults.baseline) ?? 'merge-base';
  if (!['merge-base', 'base-tip'].includes(baseline) && !/^[0-9a-f]{7,40}$/i.test(baseline))
    wrong.push(`The input baseline is "${baseline.slice(0, 60)}", but must be merge-base, base-tip or a commit.`);
  const comment = choice('comment', commentModes, policy?.defaults.comment);
  const threshold = given('comment-threshold', policy?.defaults.commentThreshold) ?? '0%';
  const commentThreshold = thresholdOf(threshold);
  if (commentThreshold === undefined)
    wrong.push(`The input comment-threshold is "${threshold.slice(0, 60)}", but must be a share like 2%.`);
  const commentKey = given('comment-key') ?? 'default';
  if (!/^[\w.-]{1,60}$/.test(commentKey))
    wrong.push('The input comment-key may have letters, digits, ".", "_" and "-" only, at most 60.');
  const overrideLabel = given('override-label', policy?.defaults.overrideLabel);
  const dryRun = choice('dry-run', ['false', 'true']) === 'true';
  const hints = policy?.defaults.hints ?? true;
  const least = commentThreshold ?? 0;
  return { failOn, baseline, comment, commentThreshold: least, commentKey, overrideLabel, hints, dryRun };
}

/** `2%` as 0.02. */
function thresholdOf(text: string): number | undefined {
  const [, number] = thresholdPattern.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) / 100;
}

function acceleratorField({ given, input, wrong }: Desk, ofPolicy: string | undefined) {
  const stated = input('accelerator');
  const accelerator = stated === undefined ? undefined : acceleratorOf(stated);
  given('accelerator', ofPolicy, accelerator);
  if (accelerator === undefined) return {};
  if (!acceleratorIds.some((id) => id === accelerator))
    wrong.push(
      `The input accelerator is "${accelerator.slice(0, 60)}", which is not in the table.${didYouMean(accelerator, acceleratorIds) || ' See `model-cost list accelerators`.'}`,
    );
  return { accelerator };
}

function gpusField({ given, input, wrong }: Desk, ofPolicy: number | undefined) {
  given('gpus', ofPolicy?.toString());
  const text = input('gpus');
  if (text === undefined) return {};
  const gpus = Number(text);
  if (!(Number.isInteger(gpus) && gpus >= 1 && gpus <= 1e7))
    wrong.push(`The input gpus is "${text.slice(0, 60)}", but must be a whole number from 1 on.`);
  return { gpus };
}

/** The only accelerator of a family may be named by it: `h200` for `h200-sxm-141gb`. */
function acceleratorOf(word: string): string {
  const wanted = word.toLowerCase();
  if (acceleratorIds.some((id) => id === wanted)) return wanted;
  const [only, ...others] = beginningWith(word, acceleratorIds);
  return only === undefined || others.length > 0 ? word : only;
}
