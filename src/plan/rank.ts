import type { TrainingRun } from '../model/run.ts';
import { runAsText } from '../setup/description.ts';
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
const chosen: readonly string[] = [
  'parallelism.tensor',
  'parallelism.pipeline',
  'parallelism.virtual_pipeline',
  'parallelism.context',
  'parallelism.expert',
  'parallelism.expert_tensor',
  'sharding',
  'offload',
  'micro_batch_size',
  'recompute',
  'recompute_modules',
];

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
export function changedFields(asItIs: TrainingRun, run: TrainingRun): readonly string[] {
  const [before, after] = [written(asItIs), written(run)];
  return chosen.filter((field) => before.get(field) !== after.get(field));
}

const written = (run: TrainingRun) => runAsText({ ...run, offload: run.offload ?? 'none' });
