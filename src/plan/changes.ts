import { measuredChoices } from '../facts/measured-choices.ts';
import { written } from '../model/names.ts';
import type { TrainingRun } from '../model/run.ts';

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
  recompute_method: ({ recomputeMethod }) => recomputeMethod,
  recompute_layers: ({ recomputeLayers }) => recomputeLayers,
};
const choices = Object.entries(chosen);

/** Fields that a plan sets otherwise than the run as it is, as users write them. */
export const changedFields = (asItIs: TrainingRun, run: TrainingRun): readonly string[] =>
  choices.flatMap(([field, of]) => (of(asItIs) === of(run) ? [] : [field]));

/** Fields of a run, as users write them, that have values with which the speed of no run of its framework was ever measured. */
export function unmeasuredFields({
  framework,
  parallelism,
  sharding,
  recompute,
  offload = 'none',
}: TrainingRun): readonly string[] {
  const measured = measuredChoices[framework];
  const degrees = Object.entries(parallelism).filter(
    ([name, degree]) => typeof degree === 'number' && degree > 1 && !measured.degrees.includes(name),
  );
  const others = Object.entries({ sharding, recompute, offload } as const).filter(
    ([field, value]) => !measured[field as 'sharding' | 'recompute' | 'offload'].includes(value),
  );
  return [...degrees.map(([name]) => `parallelism.${written(name)}`), ...others.map(([field]) => field)];
}
