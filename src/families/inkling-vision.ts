import type { Encoder } from './tower-pieces.ts';

/** Inkling's encoder of images, whose layers follow from the prime factors of a patch. */

/** Prime factors, the largest first. */
function primes(number: number): readonly number[] {
  const found: number[] = [];
  let rest = number;
  for (let prime = 2; prime * prime <= rest; prime += prime === 2 ? 1 : 2)
    for (; rest % prime === 0; rest /= prime) found.unshift(prime);
  return rest > 1 ? [rest, ...found] : found;
}

type Scale = { readonly time: number; readonly side: number; readonly channels: number };

/** Of the scales those whose patches grow most evenly from a pixel to the whole: the nearest for each layer, or the best set. */
function evenly(scales: readonly Scale[], elements: number, layers: number): readonly Scale[] {
  const cost = (wanted: number, { time, side }: Scale): number =>
    Math.abs((wanted * Math.log(elements)) / layers - Math.log(time * side * side));
  const wanted = Array.from({ length: layers + 1 }, (_, index) => index);
  const nearest = (layer: number) =>
    scales.reduce((best, one) => (cost(layer, one) < cost(layer, best) ? one : best), scales[0] as Scale);
  const chosen = layers >= scales.length ? wanted.map(nearest) : cheapest(scales, wanted, cost);
  return [scales[0], ...chosen.slice(1, -1), scales.at(-1)].flatMap((one) => one ?? []);
}

/** As many scales as layers want one, in order, for the smallest sum of costs. */
function cheapest(
  scales: readonly Scale[],
  wanted: readonly number[],
  cost: (layer: number, scale: Scale) => number,
): readonly Scale[] {
  type Choice = { readonly cost: number; readonly scales: readonly Scale[] };
  const none: Choice = { cost: Number.POSITIVE_INFINITY, scales: [] };
  // One for each number of scales that may be chosen from.
  let best: readonly Choice[] = [...scales, undefined].map(() => ({ cost: 0, scales: [] }));
  for (const layer of wanted) {
    const next = [none];
    scales.forEach((scale, index) => {
      const before = best[index] ?? none;
      const taken = { cost: before.cost + cost(layer, scale), scales: [...before.scales, scale] };
      const left = next[index] ?? none;
      next.push(taken.cost < left.cost ? taken : left);
    });
    best = next;
  }
  return best.at(-1)?.scales ?? [];
}

/** Inkling's: no attention; each layer folds neighbouring patches into one. The last, which writes the text's width, is the projector. */
export const inklingVision: Encoder = (part) => {
  const patch = part.integer('patch_size');
  const channels = part.integer('num_channels');
  const scales: Scale[] = [{ time: 1, side: 1, channels }];
  let side = 1;
  for (const prime of primes(patch)) {
    side *= prime;
    scales.push({ time: 1, side, channels: Math.ceil((side * side * channels) / 64) * 64 });
  }
  let time = 1;
  for (const prime of primes(part.integer('temporal_patch_size'))) {
    time *= prime;
    scales.push({ time, side, channels: side * side * channels * time * 64 });
  }
  const layers = part.integer(['n_layers', 'num_hidden_layers']);
  if (layers > 1000) throw part.wrong('n_layers', 'must be at most 1000', layers);
  const steps = evenly(scales, patch * patch * time * channels, layers);
  const folds = steps.slice(1).map((end, index) => {
    const start = steps[index] ?? end;
    const read = start.channels * Math.floor(end.time / start.time) * Math.floor(end.side / start.side) ** 2;
    return { read, written: end.channels };
  });
  const parameters = folds.slice(0, -1).reduce((sum, { read, written }) => sum + (read + 1) * written, 0);
  return { parameters, width: folds.at(-1)?.read ?? 0 };
};
