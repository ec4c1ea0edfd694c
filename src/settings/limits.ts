import type { Limit } from '../gate/rules.ts';
import { gib } from '../report/format.ts';
import { parseAmount } from './amounts.ts';

/** The default limit: the accelerator's usable memory. */
export const builtIn: Limit = {
  metric: 'memory',
  bound: 'max',
  amount: { kind: 'share', share: 1 },
  severity: 'fail',
  origin: 'default',
};

/** One limit for each metric, bound and severity: the last that is stated. */
export const merged = (limits: readonly Limit[]): readonly Limit[] => [
  ...new Map(limits.map((limit) => [`${limit.metric} ${limit.bound} ${limit.severity}`, limit])).values(),
];

/** The memory limit of a policy as the settings show it. */
export function memoryText(limits: readonly Limit[] = []): string | undefined {
  const amount = limits.find(
    ({ metric, bound, severity }) => metric === 'memory' && bound === 'max' && severity === 'fail',
  )?.amount;
  if (amount === undefined) return undefined;
  return amount.kind === 'share' ? `${Number((100 * amount.share).toFixed(2))}%` : gib(amount.value);
}

/** `80GB`, `72GiB`, `90%` of the accelerator's usable memory. */
export function memoryLimit(text: string, wrong: string[]): Limit {
  const amount = parseAmount(text, 'bytes', 'value');
  if (amount !== undefined && (amount.kind === 'share' ? amount.share : amount.value) > 0)
    return { ...builtIn, amount, origin: 'input' };
  wrong.push(
    `The input memory-budget is "${text.slice(0, 60)}", but must be an amount like 80GB or 72GiB, or a share like 90%, at most 100%.`,
  );
  return builtIn;
}
