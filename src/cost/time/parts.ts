import type { TimePart } from '../../model/estimate.ts';

/** Seconds of a step, or of one pass through a layer, by what they are spent on. */
export type Parts = Record<TimePart, number>;

/** Seconds of a forward and of a backward pass. */
export type Passes = readonly [forward: number, backward: number];

export const partNames: readonly TimePart[] = [
  'matrix_products',
  'attention',
  'memory_bound',
  'loss',
  'recompute',
  'exposed_tensor',
  'exposed_context',
  'exposed_expert',
  'exposed_pipeline',
  'exposed_data',
  'bubble',
  'optimizer',
  'host',
  'jitter',
];

export const none = (): Parts => Object.fromEntries(partNames.map((part) => [part, 0])) as Parts;

export const sum = (parts: Parts): number => partNames.reduce((total, part) => total + parts[part], 0);

export function add(into: Parts, from: Parts, times = 1): void {
  for (const part of partNames) into[part] += times * from[part];
}
