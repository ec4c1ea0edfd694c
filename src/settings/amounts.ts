import type { Unit } from '../gate/metrics.ts';
import type { Amount } from '../gate/rules.ts';
import { parseBytes, parseCount } from '../units.ts';

/** How the amounts of one unit are written in a policy. */
type Notation = {
  readonly pattern: RegExp;
  /** Completes "must be ...". */
  readonly example: string;
  readonly parse: (text: string) => number | undefined;
};

const count = String.raw`\d[\d_]*(\.\d+)?(e\+?\d{1,3})?\s*`;
const percentage = /^(\d{1,6}(?:\.\d+)?)\s*%$/;
const share = (text: string): number | undefined => {
  const found = percentage.exec(text)?.[1];
  return found === undefined ? undefined : Number(found) / 100;
};

/** What a metric of each unit may be. */
const notations: Readonly<Record<Unit, Notation>> = {
  bytes: {
    // `Gb` are gigabits, so a capital goes with a capital.
    pattern: /^\d+(\.\d+)?\s*([KMGTkmgt]i?B|[kmgt]i?b)$/,
    example: 'an amount like 80GB or 72GiB',
    parse: parseBytes,
  },
  parameters: {
    // There is no half of one: 8.5 was meant to be billions.
    pattern: new RegExp(`^(\\d[\\d_]*|${count}[kKmMbBtT]|\\d[\\d_]*(\\.\\d+)?e\\+?\\d{1,3})$`),
    example: 'a count like 8.2B or 350M',
    parse: parseCount,
  },
  flops: {
    pattern: new RegExp(`^${count}[kKmMgGtTpP]?(FLOPs?)?$`),
    example: 'an amount like 48 GFLOPs',
    parse: (text) => parseCount(text.replace(/FLOPs?$/, '')),
  },
  ratio: {
    pattern: /^\d{1,3}(\.\d+)?\s*%$/,
    example: 'a share like 38% or 0.38',
    parse: share,
  },
  tokens_per_second: {
    pattern: new RegExp(`^${count}[kKmM]?$`),
    example: 'a number of tokens like 9500 or 9.5k',
    parse: parseCount,
  },
  seconds: {
    pattern: /^\d+(\.\d+)?\s*(ms|s|min|h)$/,
    example: 'a time like 12s or 1.5min',
    parse: duration,
  },
  dollars: {
    pattern: new RegExp(`^\\$?\\s*${count}[kKmM]?$`),
    example: 'an amount of US dollars like $300k',
    parse: (text) => parseCount(text.replace(/^\$\s*/, '')),
  },
};

function duration(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^([\d.]+)\s*(ms|s|min|h)$/.exec(text) ?? [];
  const seconds = { ms: 1e-3, s: 1, min: 60, h: 3600 }[unit];
  return seconds === undefined ? undefined : Number(amount) * seconds;
}

/** The largest number that may be written without a unit: `80` is refused as memory, since it could mean GB or bytes, and `38` as a share. */
const plainNumbers: Readonly<Record<Unit, number>> = {
  bytes: 0,
  parameters: Number.MAX_SAFE_INTEGER,
  flops: Number.MAX_VALUE,
  ratio: 1,
  tokens_per_second: Number.MAX_SAFE_INTEGER,
  seconds: 0,
  dollars: Number.MAX_SAFE_INTEGER,
};

/** Units of which there is no fraction. */
export const isWhole = (unit: Unit): boolean => unit === 'parameters';

/** More than all of the accelerator's memory is no budget. */
const shareOfCard = /^(100(?:\.0+)?|\d{1,2}(?:\.\d+)?)\s*%$/;

export type Use = 'value' | 'move';

/** The words that a policy may write for a metric of a unit, for its schema. */
export function notationOf(
  unit: Unit,
  use: Use,
): { readonly patterns: readonly RegExp[]; readonly largest: number; readonly example: string } {
  const { pattern, example } = notations[unit];
  if (use === 'move' && unit === 'ratio') return { patterns: [points], largest: 0, example: 'points like 2 points' };
  if (use === 'move')
    return { patterns: [pattern, percentage], largest: plainNumbers[unit], example: `a share like 5%, or ${example}` };
  return unit === 'bytes'
    ? {
        patterns: [pattern, shareOfCard],
        largest: 0,
        example: `${example}, or a share of the accelerator's usable memory like 90%`,
      }
    : { patterns: [pattern], largest: plainNumbers[unit], example };
}

/** A share of a share misleads, so what is a share itself moves by points. */
const points = /^(\d{1,3}(?:\.\d+)?)\s*points?$/;

/** An amount as a policy writes it, in the unit's base; undefined where the text is none. */
export function parseAmount(written: string | number, unit: Unit, use: Use): Amount | undefined {
  if (typeof written === 'number')
    return written >= 0 && written <= notationOf(unit, use).largest && (!isWhole(unit) || Number.isInteger(written))
      ? absolute(written)
      : undefined;
  const text = written.trim();
  if (use === 'move' && unit === 'ratio') {
    const found = points.exec(text)?.[1];
    return found === undefined ? undefined : absolute(Number(found) / 100);
  }
  const relative = use === 'move' || unit === 'bytes' ? share(text) : undefined;
  if (relative !== undefined)
    return use === 'move' || shareOfCard.test(text) ? { kind: 'share', share: relative } : undefined;
  const { pattern, parse } = notations[unit];
  const value = pattern.test(text) ? parse(text) : undefined;
  return value === undefined ? undefined : absolute(value);
}

const absolute = (value: number): Amount => ({ kind: 'absolute', value });
