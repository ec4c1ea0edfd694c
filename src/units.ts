/**
 * Quantities in base units. Prefixes exist at two doors only: the makers below, and `report/format.ts`.
 *
 * A quantity reads as a plain number, so formulas need no casts; to become one takes its maker, so each result is checked.
 * Known hole: `bytes + flops` compiles to a number, and is caught one line later, at the maker's name.
 */
declare const unit: unique symbol;
type Quantity<Unit extends string> = number & { readonly [unit]: Unit };

export type Bytes = Quantity<'byte'>;
export type Flops = Quantity<'FLOP'>;
export type FlopsPerSecond = Quantity<'FLOP/s'>;
export type BytesPerSecond = Quantity<'byte/s'>;
export type Seconds = Quantity<'s'>;
export type Parameters = Quantity<'parameter'>;
export type Watts = Quantity<'W'>;

export const bytes = (n: number) => n as Bytes;
export const flops = (n: number) => n as Flops;
export const flopsPerSecond = (n: number) => n as FlopsPerSecond;
export const bytesPerSecond = (n: number) => n as BytesPerSecond;
export const seconds = (n: number) => n as Seconds;
export const parameters = (n: number) => n as Parameters;
export const watts = (n: number) => n as Watts;

export const mebibytes = (n: number) => bytes(n * 2 ** 20);
export const gibibytes = (n: number) => bytes(n * 2 ** 30);
export const gigabytesPerSecond = (n: number) => bytesPerSecond(n * 1e9);
export const gigabitsPerSecond = (n: number) => bytesPerSecond((n * 1e9) / 8);
export const teraflopsPerSecond = (n: number) => flopsPerSecond(n * 1e12);

const memoryUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `80GB`, `72 GiB`: an amount of memory, or undefined where the text is none. A bare number is bytes. */
export function parseBytes(text: string): Bytes | undefined {
  const [, amount, word] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = memoryUnits[(word || 'b').toLowerCase()];
  return amount === undefined || factor === undefined ? undefined : bytes(Number(amount) * factor);
}

/** Powers of ten. */
const countPrefixes: Readonly<Record<string, number>> = { '': 0, k: 3, m: 6, b: 9, g: 9, t: 12, p: 15 };

/** `1T`, `300B`, `2.5e12`: a count (of tokens, parameters), or undefined where the text is none. */
export function parseCount(text: string): number | undefined {
  const [, amount, prefix] =
    /^(\d+(?:\.\d+)?(?:e\+?\d{1,3})?)\s*([a-z]?)$/i.exec(text.trim().replaceAll('_', '')) ?? [];
  const power = countPrefixes[(prefix ?? '').toLowerCase()];
  if (amount === undefined || power === undefined) return undefined;
  const [digits = '', exponent = '0'] = amount.toLowerCase().split('e');
  // Written as one literal, 8.2B is 8,200,000,000; as a product it is a rounding below.
  const count = Number(`${digits}e${Number(exponent) + power}`);
  return Number.isFinite(count) ? count : undefined;
}
