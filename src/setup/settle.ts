import { findAccelerator } from '../facts/accelerators.ts';
import type { Architecture } from '../model/architecture.ts';
import type { Assumption, Problem } from '../model/reading.ts';
import type { Origin, Parallelism, RunFields, SettledRun, TrainingRun } from '../model/run.ts';

/** What one source states of a run. */
export type RunSource = {
  readonly origin: Origin;
  readonly fields: RunFields;
  /** The fields describe one machine and hold together or not at all. */
  readonly machine?: true;
};

export type Settling =
  | {
      readonly kind: 'settled';
      readonly settled: SettledRun;
      readonly assumptions: readonly Assumption[];
      readonly problems: readonly Problem[];
    }
  /** The stated values contradict each other: nothing can be projected. */
  | { readonly kind: 'unsettled'; readonly problems: readonly Problem[] };

const trillion = 1_000_000_000_000;

type Defaulted =
  | 'accelerator'
  | 'microBatchSize'
  | 'precision'
  | 'optimizer'
  | 'framework'
  | 'sharding'
  | 'recompute'
  | 'flashAttention'
  | 'fusedCrossEntropy'
  | 'compile'
  | 'expertImbalance'
  | 'tokens';

/** What holds where nobody says otherwise, with the reason that is shown. `global_batch_size` and `gpus` follow from others. */
const defaults: { readonly [Name in Defaulted]: { readonly value: TrainingRun[Name]; readonly reason: string } } = {
  accelerator: { value: 'h100-sxm-80gb', reason: 'the usual training GPU' },
  microBatchSize: { value: 1, reason: 'one sequence for each replica and forward pass' },
  precision: { value: 'bf16', reason: 'the usual dtype of matrix products' },
  optimizer: { value: 'adamw', reason: 'the usual optimizer' },
  framework: { value: 'megatron', reason: 'the framework whose memory is best known' },
  sharding: { value: 'optimizer', reason: 'optimizer states divided over data parallelism (ZeRO 1)' },
  recompute: { value: 'none', reason: 'no activation is computed twice' },
  flashAttention: { value: true, reason: 'attention scores are never written to memory' },
  fusedCrossEntropy: { value: false, reason: 'the loss reads whole logits' },
  compile: { value: false, reason: 'no torch.compile' },
  expertImbalance: { value: 1, reason: 'experts equally loaded' },
  tokens: { value: trillion, reason: 'a token budget to compare by' },
};

const defaultGpus = 8;
const defaultSequence = 4096;

/** Field names as users write them: `micro_batch_size`, `parallelism.virtual_pipeline`. */
const written = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * One training run out of what several sources state, the first that states a field winning; the rest gets a default that is
 * listed as an assumption.
 *
 * @param sources strongest first
 */
export function settleRun(sources: readonly RunSource[], architecture: Architecture): Settling {
  const origins: Record<string, Origin> = {};
  const assumptions: Assumption[] = [];
  const problems: Problem[] = [];
  const merged: Record<string, unknown> = {};
  const parallel: Record<string, unknown> = {};
  for (const { origin, fields } of sources) {
    const { parallelism, ...flat } = fields;
    const take = (into: Record<string, unknown>, from: object, prefix: string) => {
      for (const [name, value] of Object.entries(from)) {
        if (value === undefined || Object.hasOwn(into, name)) continue;
        into[name] = value;
        origins[prefix + written(name)] = origin;
      }
    };
    take(merged, flat, '');
    take(parallel, parallelism ?? {}, 'parallelism.');
  }
  const stated = merged as RunFields;
  const assume = <Value>(field: string, value: Value, reason: string): Value => {
    origins[field] = 'default';
    assumptions.push({ field, value: String(value), reason });
    return value;
  };
  const fallback = <Name extends Defaulted>(name: Name): TrainingRun[Name] => {
    const { value, reason } = defaults[name];
    return assume(written(name), value, reason);
  };

  const parallelism = settleParallelism(parallel as Partial<Parallelism>, origins);
  const { tensor, pipeline, context, expert, expertTensor } = parallelism;
  const replica = tensor * pipeline * context;
  const smallest = Math.max(replica, pipeline * expert * expertTensor);
  const gpus =
    stated.gpus ??
    assume(
      'gpus',
      Math.ceil(Math.max(defaultGpus, smallest) / smallest) * smallest,
      smallest > defaultGpus ? 'the fewest that hold one replica' : 'one node',
    );
  if (gpus % replica !== 0) {
    problems.push(
      contradiction(
        `${gpus} GPUs do not divide into replicas of tensor ${tensor} x pipeline ${pipeline} x context ${context} = ${replica}; set gpus to a multiple of ${replica}.`,
      ),
    );
  }
  const expertGroup = pipeline * expert * expertTensor;
  if (gpus % expertGroup !== 0) {
    problems.push(
      contradiction(
        `${gpus} GPUs do not divide into expert groups of expert ${expert} x expert_tensor ${expertTensor} x pipeline ${pipeline} = ${expertGroup}; set gpus to a multiple of ${expertGroup}.`,
      ),
    );
  }
  const layers = architecture.order.length;
  if (pipeline > Math.max(1, layers)) {
    problems.push(
      contradiction(`A pipeline of ${pipeline} stages has more stages than the model has layers (${layers}).`),
    );
  }
  if (problems.length > 0) return { kind: 'unsettled', problems };

  const microBatchSize = stated.microBatchSize ?? fallback('microBatchSize');
  const dataParallel = gpus / replica;
  const smallestBatch = dataParallel * microBatchSize;
  const microBatches = pipeline === 1 ? 1 : 4 * pipeline;
  const globalBatchSize =
    stated.globalBatchSize ??
    assume(
      'global_batch_size',
      smallestBatch * microBatches,
      pipeline === 1
        ? 'one micro-batch for each replica'
        : `four micro-batches for each of ${pipeline} pipeline stages`,
    );
  if (globalBatchSize % smallestBatch !== 0) {
    problems.push({
      severity: 'warning',
      message: `global_batch_size ${globalBatchSize} is no multiple of micro_batch_size ${microBatchSize} x ${dataParallel} replicas; the number of micro-batches is rounded.`,
      key: 'global_batch_size',
    });
  }
  const longest = architecture.maxPositions ?? defaultSequence;
  const sequenceLength =
    stated.sequenceLength ??
    assume(
      'sequence_length',
      Math.min(longest, defaultSequence),
      architecture.maxPositions !== undefined && longest <= defaultSequence
        ? 'the longest that the config states'
        : 'a usual pre-training length',
    );
  const settleSharding = (): Pick<TrainingRun, 'framework' | 'sharding'> => {
    const framework = stated.framework ?? fallback('framework');
    if (stated.sharding !== undefined) return { framework, sharding: stated.sharding };
    if (framework === 'fsdp')
      return {
        framework,
        sharding: assume('sharding', 'full', 'FSDP divides weights, gradients and optimizer states'),
      };
    if (framework === 'transformers')
      return { framework, sharding: assume('sharding', 'none', 'Trainer shards nothing by itself') };
    return { framework, sharding: fallback('sharding') };
  };
  const run: TrainingRun = {
    ...definedOnly(stated),
    accelerator: stated.accelerator ?? fallback('accelerator'),
    gpus,
    sequenceLength,
    microBatchSize,
    globalBatchSize,
    precision: stated.precision ?? fallback('precision'),
    optimizer: stated.optimizer ?? fallback('optimizer'),
    ...settleSharding(),
    recompute: stated.recompute ?? fallback('recompute'),
    flashAttention: stated.flashAttention ?? fallback('flashAttention'),
    fusedCrossEntropy: stated.fusedCrossEntropy ?? fallback('fusedCrossEntropy'),
    compile: stated.compile ?? fallback('compile'),
    expertImbalance: stated.expertImbalance ?? fallback('expertImbalance'),
    tokens: stated.tokens ?? fallback('tokens'),
    parallelism,
  };
  if (architecture.prediction.length > 0 && run.mtp === undefined) {
    assumptions.push({
      field: 'mtp',
      value: 'true',
      reason:
        'the config has multi-token-prediction layers, so training is counted with them; set mtp: false in the run to leave them out',
    });
  }
  return {
    kind: 'settled',
    settled: { run, machine: findAccelerator(run.accelerator), origins },
    assumptions,
    problems,
  };
}

function settleParallelism(stated: Partial<Parallelism>, origins: Record<string, Origin>): Parallelism {
  const tensor = stated.tensor ?? 1;
  const settled: Parallelism = {
    tensor,
    pipeline: stated.pipeline ?? 1,
    virtualPipeline: stated.virtualPipeline ?? 1,
    context: stated.context ?? 1,
    expert: stated.expert ?? 1,
    expertTensor: stated.expertTensor ?? 1,
    sequenceParallel: stated.sequenceParallel ?? tensor > 1,
  };
  for (const name of Object.keys(settled)) origins[`parallelism.${written(name)}`] ??= 'default';
  return settled;
}

/** The stated fields without the undefined ones, which `exactOptionalPropertyTypes` tells apart. */
function definedOnly(fields: RunFields): Partial<TrainingRun> {
  const { parallelism: _, ...flat } = fields;
  return Object.fromEntries(Object.entries(flat).filter(([, value]) => value !== undefined));
}

const contradiction = (message: string): Problem => ({ severity: 'error', message });
