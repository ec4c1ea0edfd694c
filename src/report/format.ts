import type { Unit } from '../gate/metrics.ts';
import { noise } from '../gate/rules.ts';

const decimal = (value: number, digits: number) => value.toFixed(digits).replace(/^-(0\.?0*)$/, '$1');

/** Three or four significant digits, or more, no exponent for what people read. */
function significant(value: number, more: number): string {
  const size = Math.abs(value);
  return decimal(value, (size >= 100 ? 1 : 2) + more);
}

function scaled(value: number, steps: readonly (readonly [number, string])[], unit = '', more = 0): string {
  for (const [size, prefix] of steps)
    if (Math.abs(value) >= size)
      return `${significant(value / size, more)}${prefix === '' && unit === '' ? '' : ' '}${prefix}${unit}`;
  return `${significant(value, more)}${unit === '' ? '' : ` ${unit}`}`;
}

const binary = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
] as const;
const counts = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'K'],
] as const;
const metric = [
  [1e24, 'Y'],
  [1e21, 'Z'],
  [1e18, 'E'],
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Bytes as a bare number of GiB. */
export const inGibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(3);
export const gib = (bytes: number, more = 0): string => `${decimal(bytes / 2 ** 30, 2 + more)} GiB`;
export const amountOfBytes = (bytes: number): string =>
  bytes === 0 ? '0 B' : scaled(bytes, binary) + (Math.abs(bytes) < 2 ** 10 ? ' B' : '');
export const billions = (count: number, more = 0): string => scaled(count, counts, '', more);
/** A whole number with commas between its thousands; `toLocaleString` would load all of ICU for them. */
export function exact(count: number): string {
  const whole = String(Math.abs(rounded(count)));
  const digits = /^\d+$/.test(whole);
  return digits
    ? `${rounded(count) < 0 ? '-' : ''}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}`
    : count.toLocaleString('en-US');
}

/** With decimals, for what is seldom shown. */
const withDecimals = (value: number, digits: number): string =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** To the nearest whole number, halves away from zero. */
const rounded = (count: number): number => Math.sign(count) * Math.round(Math.abs(count));
export const flopsText = (flops: number, more = 0): string =>
  scaled(flops, metric, 'FLOPs', more).replace(/ ([YZEPTGMk])FLOPs$/, ' $1FLOPs');
export const percent = (ratio: number, digits = 1): string => `${decimal(100 * ratio, digits)} %`;
/** US dollars, without cents from 100 on. */
export function dollars(amount: number, more = 0): string {
  if (more > 0) return `$${withDecimals(amount, (amount >= 100 ? 0 : 2) + more)}`;
  return `$${amount >= 100 ? exact(amount) : decimal(amount, 2)}`;
}

/** Seconds in the unit that people would say. */
export function duration(seconds: number, more = 0): string {
  if (seconds < 1) return `${decimal(seconds * 1e3, 1 + more)} ms`;
  if (seconds < 120) return `${decimal(seconds, 2 + more)} s`;
  if (seconds < 7200) return `${decimal(seconds / 60, 1 + more)} min`;
  if (seconds < 172_800) return `${decimal(seconds / 3600, 1 + more)} h`;
  return `${decimal(seconds / 86_400, 1 + more)} days`;
}

/**
 * A quantity as people write it.
 *
 * @param more digits beyond those
 */
export function quantity(value: number, unit: Unit, more = 0): string {
  switch (unit) {
    case 'bytes':
      return gib(value, more);
    case 'parameters':
      return billions(value, more);
    case 'flops':
      return flopsText(value, more);
    case 'ratio':
      return percent(value, 1 + more);
    case 'tokens_per_second':
      return `${more === 0 ? exact(Math.round(value)) : withDecimals(value, more)} tok/s`;
    case 'seconds':
      return duration(value, more);
    case 'dollars':
      return dollars(value, more);
  }
}

/** How values of one unit are written beside each other: with as many digits as tell those apart that differ. */
export function apart(values: readonly number[], unit: Unit): (value: number) => string {
  const same = (a: number, b: number) => Math.abs(a - b) <= noise * Math.max(Math.abs(a), Math.abs(b));
  const told = (more: number) =>
    values.every((a) => values.every((b) => same(a, b) || quantity(a, unit, more) !== quantity(b, unit, more)));
  const more = [0, 1, 2, 3, 4, 5, 6].find(told) ?? 0;
  return (value) => quantity(value, unit, more);
}

/** As exact as a projection is worth reading: three digits. */
export const threeDigits = (value: number): number => Number(value.toPrecision(3));

/** A count as people say it: `15T`, `1.4T`, `300B`. */
export function shortCount(count: number): string {
  const [size, prefix] = counts.find(([least]) => count >= least) ?? [1, ''];
  return `${threeDigits(count / size)}${prefix}`;
}

/** A move as people write it: `+5.10 GiB`, `-320.00 KiB`, `0`. */
export function signed(value: number, unit: Unit): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const shown = unit === 'dollars' ? threeDigits(size) : size;
  const text = unit === 'bytes' && size < 0.01 * 2 ** 30 ? amountOfBytes(size) : quantity(shown, unit);
  return `${value < 0 ? '-' : '+'}${text}`;
}

const sign = (value: number, text: string) => (value > 0 ? `+${text}` : text);

/** A signed difference: relative for amounts, in points for ratios; undefined where nothing moved. */
export function difference(before: number, after: number, unit: Unit): string | undefined {
  if (before === after) return undefined;
  if (unit === 'ratio') {
    // A share that reads the same has not moved for the reader.
    if (percent(before) === percent(after)) return undefined;
    const points = 100 * (after - before);
    return Math.abs(points) < 0.05 ? undefined : `${sign(points, decimal(points, 1))} points`;
  }
  if (before === 0) return 'new';
  const change = after / before - 1;
  if (Math.abs(change) < 5e-5)
    return sign(after - before, unit === 'bytes' ? amountOfBytes(after - before) : exact(after - before));
  const digits = Math.abs(change) >= 0.1 ? 1 : 2;
  return sign(change, percent(change, digits));
}

/** A number stays with its unit when a line wraps. */
export const unbroken = (text: string): string => text.replaceAll(' ', '\u00a0');
