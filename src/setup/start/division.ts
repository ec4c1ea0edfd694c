import type { Architecture, Part } from '../../model/architecture.ts';
import type { TrainingRun } from '../../model/run.ts';
import { replicaOf } from '../relations.ts';
import type { Trial } from './rule.ts';

/** What degrees divide, and the nearest ones that do. */

export const partsOf = ({ layers }: Architecture): readonly Part[] => {
  const inside = (part: Part): readonly Part[] => (part.kind === 'shared' ? part.parts.flatMap(inside) : [part]);
  return layers.flatMap(({ parts }) => parts.flatMap(inside));
};

/** Query heads of every kind of attention; those that experts have are theirs. */
export const headsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) => {
    if (part.kind === 'attention') return part.experts === undefined ? [part.heads] : [];
    return part.kind === 'latent' || part.kind === 'compressed' ? [part.heads] : [];
  });

export const keyValueHeadsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) =>
    part.kind === 'attention' && part.sharedKeyValue !== true && part.experts === undefined ? [part.keyValueHeads] : [],
  );

export const expertsOf = (architecture: Architecture) =>
  partsOf(architecture).flatMap((part) => (part.kind === 'experts' ? [part] : []));

export const widthsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) => {
    if (part.kind === 'dense') return [part.width];
    return part.kind === 'experts' && part.shared !== undefined ? [part.shared.width] : [];
  });

/** The first that is not a multiple. */
export const uneven = (counts: readonly number[], by: number): number | undefined =>
  counts.find((count) => count % by !== 0);

/** How many replicas of the model the GPUs make. */
export const replicasOf = ({ gpus, parallelism }: TrainingRun): number => gpus / replicaOf(parallelism);

/** No degree of a run is beyond it, and a search that a stranger's number begins must end. */
const mostTried = 2 ** 17;

/** The nearest number to `stated`, at most `most`, that `works`; the smaller of two as near. */
export function nearest(stated: number, most: number, works: (one: number) => boolean): number {
  const value = Math.min(stated, mostTried);
  for (let distance = 0; distance < mostTried; distance++) {
    for (const one of [value - distance, value + distance]) if (one >= 1 && one <= most && works(one)) return one;
  }
  return 1;
}

/** The nearest degree that divides all counts, and for which the GPUs still divide into replicas. */
export function degree({ run }: Trial, name: 'tensor' | 'pipeline' | 'context', counts: readonly number[]): number {
  const value = run.parallelism[name];
  const others = replicaOf(run.parallelism) / value;
  const most = Math.min(...counts, run.gpus);
  return nearest(value, most, (one) => uneven(counts, one) === undefined && run.gpus % (one * others) === 0);
}

/** The nearest multiple that is not nothing. */
export const multiple = (value: number, of: number): number => Math.max(1, Math.round(value / of)) * of;
