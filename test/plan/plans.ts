import { findAccelerator } from '../../src/facts/accelerators.ts';
import { refusalOf, type Start, startOf } from '../../src/plan/question.ts';
import { type Bounds, type Found, search } from '../../src/plan/search.ts';
import { type Fixed, type Space, spaceOf } from '../../src/plan/space.ts';
import { runOf } from '../../src/setup/description.ts';
import { modelOf } from '../cost/estimates.ts';

/** A clock that moves on by a millisecond each time that it is read. */
export function bounded(most: Partial<Bounds> = {}): Bounds {
  let now = 0;
  return { now: () => now++, milliseconds: 1e9, candidates: 1e9, ...most };
}

export function startFrom(config: object, run: object): Start {
  const stated = runOf(run, 'run.yml');
  if (stated.kind === 'wrong') throw new Error(stated.problems[0]?.message);
  const start = startOf([{ origin: 'run', fields: stated.fields }], modelOf(config));
  if (start.kind === 'unsettled') throw new Error(start.message);
  return start;
}

export function spaceFrom({ operations, settled }: Start, fixed: Fixed = new Set()): Space {
  return spaceOf(operations, settled.run, fixed, findAccelerator(settled.run.accelerator)?.fast.domain ?? 8);
}

export const searched = (start: Start, budget: number, bounds = bounded(), space = spaceFrom(start)): Found =>
  search({ operations: start.operations, settled: start.settled, space, refusal: refusalOf(start), budget }, bounds);
