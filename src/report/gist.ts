import { findAccelerator } from '../facts/accelerators.ts';
import type { Comparison } from '../gate/review.ts';
import { type Budgets, boundOf } from '../gate/rules.ts';
import type { Estimate } from '../model/estimate.ts';
import { difference, dollars, duration, exact, gib, percent, shortCount, signed, threeDigits } from './format.ts';

/** What a change means, in the one sentence that people who do not train models read; empty where there is nothing to say. */
export function headline(comparison: Comparison, budgets: Budgets): string {
  const [before, after] = [comparison.base?.estimate, comparison.head?.estimate];
  if (after === undefined) return '';
  const limit = memoryLimit(after, budgets);
  const allowed = limit === undefined ? '' : `limit ${gib(limit)}`;
  if (before === undefined)
    return sentenceOf([
      `Memory per GPU ${gib(after.memory.device)}${allowed === '' ? '' : ` (${allowed})`}`,
      costOf(after),
    ]);
  const memory = after.memory.device - before.memory.device;
  const whole = [gib(after.memory.device), ...(allowed === '' ? [] : [allowed])].join(', ');
  return sentenceOf([
    memory === 0 ? `Memory per GPU as before (${whole})` : `${signed(memory, 'bytes')} per GPU (${whole})`,
    costMoved(before, after),
  ]);
}

const sentenceOf = (parts: readonly string[]): string => `${parts.filter((part) => part !== '').join(', ')}.`;

/** What the device may need at most, in bytes: the budget, or else what the accelerator has; undefined where neither is known. */
export function memoryLimit(estimate: Estimate, { limits }: Budgets): number | undefined {
  const limit = limits.find(
    ({ metric, bound, severity }) => metric === 'memory' && bound === 'max' && severity === 'fail',
  );
  return limit === undefined ? (estimate.memory.capacity ?? undefined) : boundOf(limit, estimate, undefined);
}

const machinesOf = ({ run: { run } }: Estimate): string =>
  `${exact(run.gpus)} x ${findAccelerator(run.accelerator)?.name ?? run.accelerator}`;

/** GPU hours and dollars of the token budget. */
function costOf(estimate: Estimate): string {
  const { training } = estimate.throughput;
  if (training === null) return '';
  const money = training.costUsd === null ? '' : `, about ${dollars(threeDigits(training.costUsd))}`;
  return `${exact(threeDigits(training.gpuHours))} GPU hours for ${tokensOf(estimate)}${money} on ${machinesOf(estimate)}`;
}

const tokensOf = ({ run: { run } }: Estimate): string => `${shortCount(run.tokens)} tokens`;

function costMoved(before: Estimate, after: Estimate): string {
  const [old, now] = [before.throughput.training, after.throughput.training];
  if (old === null || now === null) return now === null ? '' : costOf(after);
  const moved = difference(old.gpuHours, now.gpuHours, 'flops');
  const [from, to] = [threeDigits(old.gpuHours), threeDigits(now.gpuHours)];
  const [past, present] = [tokensOf(before), tokensOf(after)];
  const hours =
    from === to && past === present
      ? `GPU hours as before: ${exact(to)} for ${present}`
      : `${moved ?? '0'} GPU hours: ${exact(from)}${past === present ? '' : ` for ${past}`} to ${exact(to)} for ${present}`;
  const [was, is] = [machinesOf(before), machinesOf(after)];
  const dollar = old.costUsd === null || now.costUsd === null ? 0 : now.costUsd - old.costUsd;
  const money = Math.abs(dollar) < 1 ? '' : `, about ${signed(dollar, 'dollars')}`;
  return `${hours}${money} on ${is}${was === is ? '' : ` (before: ${was})`}`;
}

/** What somebody asks of a training first. */
export type Answer = { readonly question: string; readonly answer: string };

/** A report in five answers: whether it fits, how well it runs, how long, for how much, and what holds it back. */
export function gist(estimate: Estimate): readonly Answer[] {
  const { throughput } = estimate;
  const { training, mfu, range } = throughput;
  const unknown = 'not known for this accelerator';
  return [
    { question: 'Does it fit?', answer: fits(estimate) },
    {
      question: 'How well does it run?',
      answer:
        mfu === null || range === null
          ? unknown
          : `${percent(mfu)} of the peak (MFU), ${percent(range[0], 0)} to ${percent(range[1], 0)}`,
    },
    {
      question: 'How long?',
      answer:
        training === null
          ? unknown
          : `${exact(threeDigits(training.gpuHours))} GPU hours for ${tokensOf(estimate)}: ${duration(training.time)} on ${machinesOf(estimate)}`,
    },
    { question: 'For how much?', answer: price(estimate) },
    { question: 'What holds it back?', answer: throughput.limit },
  ];
}

function fits({ memory }: Estimate): string {
  const band = percent(memory.band, 0);
  const needs = `${gib(memory.device)} on the fullest GPU (±${band})`;
  if (memory.capacity === null) return `${needs}; what this accelerator has is not known`;
  const share = memory.device / memory.capacity;
  const close = Math.abs(share - 1) <= memory.band ? ', which is within the error' : '';
  return `${share <= 1 ? 'Yes' : 'No'}: ${needs}, ${percent(share, 0)} of ${gib(memory.capacity)}${close}`;
}

function price({ throughput: { training } }: Estimate): string {
  if (training === null || training.costUsd === null) return 'not known: no price for this accelerator';
  const each = dollars(training.pricePerGpuHour ?? 0);
  const basis = training.priceDate === null ? 'as stated' : `an indicative price of ${training.priceDate}`;
  return `About ${dollars(threeDigits(training.costUsd))} at ${each} per GPU hour (${basis})`;
}
