import type { TimePart } from '../../model/estimate.ts';

/** Seconds of a step, or of one pass through a layer, by what they are spent on. */
export type Parts = Record<TimePart, number>;

/** Seconds of a forward and of a backward pass. */
export type Passes = readonly [forward: number, backward: number];

/** A step that takes no time. */
export const none = (): Parts => ({
  matrix_products: 0,
  attention: 0,
  memory_bound: 0,
  loss: 0,
  recompute: 0,
  exposed_tensor: 0,
  exposed_context: 0,
  exposed_expert: 0,
  exposed_pipeline: 0,
  exposed_data: 0,
  bubble: 0,
  optimizer: 0,
  host: 0,
  jitter: 0,
});

export const partNames = Object.keys(none()) as readonly TimePart[];

/** Seconds of all parts together. */
export function sum(parts: Parts): number {
  let total = 0;
  for (const part of partNames) total += parts[part];
  return total;
}

/** Adds the seconds of some parts, `times` over. */
export function add(into: Parts, from: Parts, times = 1): void {
  for (const part of partNames) into[part] += times * from[part];
}
