import { findAccelerator } from '../facts/accelerators.ts';
import type { Estimate, MemoryEstimate, ThroughputEstimate, TimePart } from '../model/estimate.ts';
import { ledger } from '../model/ledger.ts';
import type { Problem } from '../model/reading.ts';
import type { Origin, Parallelism, RunFields, SettledRun, TrainingRun } from '../model/run.ts';
import { runOf } from '../setup/description.ts';
import { bytes, flops, parameters, seconds } from '../units.ts';
import type { OneReport } from './json-schema.ts';
import { plain, sentence } from './markdown.ts';

type JsonSide = { readonly [Field in keyof OneReport]?: OneReport[Field] | undefined };

/**
 * The estimate that one side of a JSON report was made of, as far as words are made of it; undefined where it has none. Parts by
 * operation, layers and growth are shown in no comment. Words that only the engine writes may be anybody's here, and are escaped.
 */
export function estimateOf(side: JsonSide): Estimate | undefined {
  const { parameters: counted, flops: computed, inference } = side;
  const run = settledOf(side);
  const memory = memoryOf(side);
  const throughput = throughputOf(side);
  if (!counted || !computed || !inference || !run || !memory || !throughput) return undefined;
  return {
    parameters: {
      total: parameters(counted.total),
      active: parameters(counted.active),
      activeWithoutEmbedding: parameters(counted.active_without_embedding),
      activeWithoutEmbeddings: parameters(counted.active_without_embeddings),
      mtp: parameters(counted.mtp),
      towers: parameters(counted.towers),
      trainable: parameters(counted.trainable),
      components: ledger(parameters, Object.entries(counted.components)),
      parts: ledger(parameters, []),
      layers: [],
      checkpoint: bytes(counted.checkpoint_bytes),
      exact: side.exact === true,
      restsOn: side.basis ?? 'by-keys',
    },
    flops: {
      sequenceLength: computed.sequence_length,
      forward: ledger(flops, Object.entries(computed.components)),
      training: flops(computed.training_per_token),
      hardware: flops(computed.hardware_per_token),
      conventions: conventionsOf(computed.conventions),
      parts: ledger(flops, []),
      layers: [],
      growth: [],
      budget: flops(computed.training_total),
    },
    memory,
    throughput,
    inference: {
      cachePerToken: bytes(inference.cache_bytes_per_token),
      cachePerSequence: bytes(inference.cache_bytes_per_sequence),
      weights: bytes(inference.weight_bytes),
      largestBatch: inference.largest_batch,
    },
    run,
    assumptions: side.assumptions ?? [],
    problems: problemsOf(side.problems ?? []),
  };
}

function conventionsOf(amounts: Readonly<Record<string, number>>): Estimate['flops']['conventions'] {
  const of = (name: string) => flops(amounts[name] ?? 0);
  return {
    causal: of('causal'),
    full: of('full'),
    palm: of('palm'),
    '6n': of('6n'),
    megatron: of('megatron'),
    torchtitan: of('torchtitan'),
  };
}

const phases = ['forward', 'loss', 'backward', 'optimizer', 'rollout'] as const;

function memoryOf({ memory }: JsonSide): MemoryEstimate | undefined {
  const phase = phases.find((one) => one === memory?.moment);
  if (!memory || phase === undefined) return undefined;
  const { components } = memory;
  const component = (name: string) => bytes(components[name] ?? 0);
  return {
    allocated: bytes(memory.allocated_bytes),
    reserved: bytes(memory.reserved_bytes),
    device: bytes(memory.device_bytes),
    capacity: memory.capacity_bytes === null ? null : bytes(memory.capacity_bytes),
    components: {
      weights: component('weights'),
      gradients: component('gradients'),
      optimizer_states: component('optimizer_states'),
      activations: component('activations'),
      temporary: component('temporary'),
    },
    parts: ledger(bytes, []),
    phase,
    stage: memory.stage,
    band: memory.band,
    basis: sentence(memory.basis, 300),
    savings: memory.savings.slice(0, 10).map(({ change, saves_bytes }) => ({
      // It is written as code.
      change: plain(change, 80).replace(/[`|\\]/g, ' '),
      saves: bytes(saves_bytes),
    })),
  };
}

function throughputOf({ throughput }: JsonSide): ThroughputEstimate | undefined {
  if (!throughput) return undefined;
  const { mfu, mfu_range: range, training, step_seconds: step, parts_seconds: parts } = throughput;
  const part = (name: TimePart) => seconds(parts[name] ?? 0);
  return {
    mfu,
    hfu: throughput.hfu,
    range,
    tokensPerSecondPerGpu: throughput.tokens_per_second_per_gpu,
    stepTime: step === null ? null : seconds(step),
    parts: {
      matrix_products: part('matrix_products'),
      attention: part('attention'),
      memory_bound: part('memory_bound'),
      loss: part('loss'),
      recompute: part('recompute'),
      exposed_tensor: part('exposed_tensor'),
      exposed_context: part('exposed_context'),
      exposed_expert: part('exposed_expert'),
      exposed_pipeline: part('exposed_pipeline'),
      exposed_data: part('exposed_data'),
      bubble: part('bubble'),
      optimizer: part('optimizer'),
      host: part('host'),
      jitter: part('jitter'),
    },
    band: mfu === null || range === null || mfu <= 0 ? 0 : Math.log(range[1] / mfu),
    basis: sentence(throughput.basis, 300),
    limit: throughput.limit,
    training: training && {
      time: seconds(training.seconds),
      gpuHours: training.gpu_hours,
      energyKilowattHours: training.energy_kwh,
      costUsd: training.cost_usd,
      pricePerGpuHour: training.price_per_gpu_hour,
      priceDate: training.price_date,
    },
  };
}

const severities = ['error', 'warning', 'notice'] as const;

/** A severity that this version does not know is none to be quiet about. */
const problemsOf = (problems: OneReport['problems']): readonly Problem[] =>
  problems.map(({ severity, ...rest }) => ({
    severity: severities.find((one) => one === severity) ?? 'warning',
    ...rest,
  }));

const allOrigins: readonly Origin[] = ['input', 'run', 'config', 'policy', 'framework', 'default'];

function settledOf({ run: written, origins = {} }: JsonSide): SettledRun | undefined {
  const reading = written === undefined ? undefined : runOf(written, 'run');
  const run = reading?.kind === 'read' ? wholeRun(reading.fields) : undefined;
  if (run === undefined) return undefined;
  const known = Object.entries(origins).flatMap(([field, origin]) => {
    const found = allOrigins.find((one) => one === origin);
    return found === undefined ? [] : [[field, found] as const];
  });
  return { run, machine: findAccelerator(run.accelerator), origins: Object.fromEntries(known) };
}

/** Fields that a settled run always has. */
type Settled = Required<
  Pick<
    TrainingRun,
    {
      [Field in keyof TrainingRun]-?: undefined extends TrainingRun[Field] ? never : Field;
    }[keyof TrainingRun]
  >
>;

const always: Readonly<Record<keyof Settled, true>> = {
  accelerator: true,
  gpus: true,
  sequenceLength: true,
  microBatchSize: true,
  globalBatchSize: true,
  precision: true,
  optimizer: true,
  framework: true,
  sharding: true,
  recompute: true,
  flashAttention: true,
  fusedCrossEntropy: true,
  compile: true,
  parallelism: true,
  expertImbalance: true,
  tokens: true,
};

const undivided: Parallelism = {
  tensor: 1,
  pipeline: 1,
  virtualPipeline: 1,
  context: 1,
  expert: 1,
  expertTensor: 1,
  sequenceParallel: false,
};

function wholeRun(fields: RunFields): TrainingRun | undefined {
  return isWhole(fields) ? { ...fields, parallelism: { ...undivided, ...fields.parallelism } } : undefined;
}

const isWhole = (fields: RunFields): fields is RunFields & TrainingRun =>
  Object.keys(always).every((name) =>
    Object.entries(fields).some(([field, value]) => field === name && value !== undefined),
  );
