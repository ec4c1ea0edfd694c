import type { TrainingRun } from '../model/run.ts';
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

/** What a plan chooses; what follows from it (sequence parallelism, the layers of a stage) is no change of its own. */
const chosen: Readonly<Record<string, (run: TrainingRun) => unknown>> = {
  'parallelism.tensor': ({ parallelism }) => parallelism.tensor,
  'parallelism.pipeline': ({ parallelism }) => parallelism.pipeline,
  'parallelism.virtual_pipeline': ({ parallelism }) => parallelism.virtualPipeline,
  'parallelism.context': ({ parallelism }) => parallelism.context,
  'parallelism.expert': ({ parallelism }) => parallelism.expert,
  'parallelism.expert_tensor': ({ parallelism }) => parallelism.expertTensor,
  sharding: ({ sharding }) => sharding,
  offload: ({ offload }) => offload ?? 'none',
  micro_batch_size: ({ microBatchSize }) => microBatchSize,
  recompute: ({ recompute }) => recompute,
  recompute_modules: ({ recomputeModules }) => recomputeModules?.join(),
};
const choices = Object.entries(chosen);

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

/** Fields that a plan sets otherwise than the run as it is, as users write them. */
export const changedFields = (asItIs: TrainingRun, run: TrainingRun): readonly string[] =>
  choices.flatMap(([field, of]) => (of(asItIs) === of(run) ? [] : [field]));
