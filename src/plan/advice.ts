import { adaptersOf } from '../cost/count/lora.ts';
import { expand } from '../cost/expand/model.ts';
import { projectTime } from '../cost/time/step.ts';
import type { Advice } from '../gate/review.ts';
import type { Architecture } from '../model/architecture.ts';
import type { Cost } from '../model/estimate.ts';
import { tokensOfStep } from '../model/run.ts';
import { runAsText } from '../setup/description.ts';
import { changedFields, unmeasuredFields } from './changes.ts';
import { refusalOf } from './question.ts';
import { type Ranking, rank } from './rank.ts';
import { type Bounds, type Plan, search } from './search.ts';
import { spaceOf } from './space.ts';

/** So many fields a run that fits may change, tried from few to many; and a run that is only faster. */
const mostChanges = { fits: 3, faster: 2 } as const;
/** Bounded by what is looked at and by no clock, so that each run of the action says the same. */
const bounds: Bounds = { now: () => 0, milliseconds: 1, candidates: 20_000 };
/** Tokens per second over those of the run as it is, from which a faster one is worth a word: more than the projection errs by. */
const worthwhile = 1.1;

/**
 * The nearest run that fits, for one that is over its memory budget; for another one that is faster.
 *
 * @param budget bytes
 * @param hints whether faster runs are looked for
 */
export function adviceOn(architecture: Architecture, cost: Cost, budget: number, hints: boolean): Advice | undefined {
  const over = cost.memory.device > budget;
  if (!over && !hints) return undefined;
  const numbers = over ? Array.from({ length: mostChanges.fits }, (_, index) => index + 1) : [mostChanges.faster];
  for (const changes of numbers) {
    const ranking = within(architecture, cost, budget, changes);
    const plan = over ? ranking?.nearest : ranking?.fastest;
    const advice = plan && adviceOf(over ? 'fits' : 'faster', plan, architecture, cost);
    if (advice !== undefined && (over || advice.speed >= worthwhile)) return advice;
  }
  return undefined;
}

function within(architecture: Architecture, cost: Cost, budget: number, changes: number): Ranking | undefined {
  const { run: settled } = cost;
  if (settled.machine === undefined || cost.throughput.stepTime === null) return undefined;
  const operations = expand(architecture);
  const space = spaceOf(operations, settled.run, new Set(), settled.machine.fast.domain);
  const refusal = refusalOf({ architecture, operations, settled, adapters: adaptersOf(cost) });
  const { plans } = search({ operations, settled, space, refusal, budget, changes }, bounds);
  return rank(plans, settled.run);
}

function adviceOf(kind: Advice['kind'], plan: Plan, architecture: Architecture, cost: Cost): Advice | undefined {
  const { run, machine } = cost.run;
  const { stepTime } = cost.throughput;
  const { mfu } = projectTime(expand(architecture), cost.flops, { run: plan.run, machine });
  const written = runAsText({ ...plan.run, offload: plan.run.offload ?? 'none' });
  if (stepTime === null) return undefined;
  const changed = changedFields(run, plan.run);
  return {
    kind,
    changes: changed.map((field) => ({
      field,
      value: written.get(field) ?? 'as the framework does',
    })),
    memory: plan.device,
    band: plan.band,
    mfu,
    speed: (plan.tokensPerSecond * stepTime) / tokensOfStep(run),
    unmeasured: unmeasuredFields(plan.run).filter((field) => changed.includes(field)),
  };
}
