import type { TrainingRun } from '../model/run.ts';
import { changedFields } from './changes.ts';
import type { Plan } from './search.ts';

export type Ranking = {
  /** fastest first */
  readonly ranked: readonly Plan[];
  readonly fastest: Plan;
  /** fewest kinds of parallelism of those within 5 % of the fastest */
  readonly simplest: Plan;
  /** fewest fields changed from the run as it is */
  readonly nearest: Plan;
};

const asFastAs = 0.95;

/** undefined where nothing fits. The order of plans that are alike in all is that in which they come. */
export function rank(plans: readonly Plan[], asItIs: TrainingRun): Ranking | undefined {
  const ranked = plans.toSorted(
    (a, b) => b.tokensPerSecond - a.tokensPerSecond || kinds(a.run) - kinds(b.run) || extras(a.run) - extras(b.run),
  );
  const [fastest] = ranked;
  if (fastest === undefined) return undefined;
  const near = ranked.filter((plan) => plan.tokensPerSecond >= asFastAs * fastest.tokensPerSecond);
  const changes = new Map(ranked.map((plan) => [plan, changedFields(asItIs, plan.run).length]));
  return {
    ranked,
    fastest,
    simplest: least(near, fastest, ({ run }) => kinds(run) + extras(run) / 100),
    nearest: least(ranked, fastest, (plan) => changes.get(plan) ?? 0),
  };
}

/** The first of those for which a number is smallest. */
const least = (plans: readonly Plan[], first: Plan, of: (plan: Plan) => number): Plan =>
  plans.reduce((best, plan) => (of(plan) < of(best) ? plan : best), first);

/** Kinds of parallelism besides data parallelism. */
export const kinds = ({ parallelism: { tensor, pipeline, context, expert } }: TrainingRun): number =>
  [tensor, pipeline, context, expert].filter((degree) => degree > 1).length;

/** What else makes a run harder to understand. */
const extras = ({ parallelism, recompute, offload }: TrainingRun): number =>
  Number(parallelism.virtualPipeline > 1) + Number(recompute !== 'none') + Number(offload !== undefined);
