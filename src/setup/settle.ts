import { findAccelerator } from '../facts/accelerators.ts';
import { earlierDefaults, frameworkExecution } from '../facts/frameworks.ts';
import type { Architecture, Tower } from '../model/architecture.ts';
import { freezableOf } from '../model/freezable.ts';
import { written } from '../model/names.ts';
import type { Place } from '../model/place.ts';
import type { Assumption, Problem } from '../model/reading.ts';
import {
  type Freezable,
  type Origin,
  type Parallelism,
  type Relations,
  type RunFields,
  type RunSource,
  readPerSequence,
  type SettledRun,
  type TrainingRun,
} from '../model/run.ts';
import { batchOf, gpusOf, replicaOf, stagesOf, tokensOf, virtualStagesOf } from './relations.ts';

/** A run with what settling it left to say. */
export type Settled = {
  readonly kind: 'settled';
  readonly settled: SettledRun;
  /** Fields that a source states in so many words, and where. */
  readonly said: ReadonlySet<string>;
  readonly places: Readonly<Record<string, Place>>;
  readonly assumptions: readonly Assumption[];
  readonly problems: readonly Problem[];
};

export type Settling =
  | Settled
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

/** What the sources state together, the strongest first, and the notes that settling it leaves. */
type Desk = {
  readonly stated: RunFields;
  readonly parallel: Partial<Parallelism>;
  readonly relations: Relations;
  readonly open: Readonly<Record<string, string>>;
  readonly places: Record<string, Place>;
  readonly origins: Record<string, Origin>;
  readonly assumptions: Assumption[];
  readonly problems: Problem[];
};

/**
 * One training run out of what several sources state, the first that states a field winning; the rest gets a default that is
 * listed as an assumption.
 *
 * @param sources strongest first
 */
export function settleRun(sources: readonly RunSource[], architecture: Architecture): Settling {
  const desk = gathered(sources);
  const said = new Set(Object.keys(desk.origins));
  const parallelism = settleParallelism(desk, architecture.order.length);
  const gpus = settleGpus(desk, parallelism);
  const stages = settleStages(desk, parallelism, architecture.order.length);
  desk.problems.push(...contradictions(gpus, parallelism, architecture.order.length, stages.layersPerStage));
  if (desk.problems.some(({ severity }) => severity === 'error')) return { kind: 'unsettled', problems: desk.problems };
  const sequenceLength = desk.stated.sequenceLength ?? settleSequence(desk, architecture);
  const batch = settleBatch(desk, parallelism, gpus, sequenceLength);
  const run: TrainingRun = {
    ...definedOnly(desk.stated),
    ...stages,
    accelerator: desk.stated.accelerator ?? fallback(desk, 'accelerator'),
    gpus,
    sequenceLength,
    ...batch,
    precision: desk.stated.precision ?? fallback(desk, 'precision'),
    ...settleMeans(desk),
    flashAttention: desk.stated.flashAttention ?? fallback(desk, 'flashAttention'),
    fusedCrossEntropy: desk.stated.fusedCrossEntropy ?? fallback(desk, 'fusedCrossEntropy'),
    compile: desk.stated.compile ?? fallback(desk, 'compile'),
    expertImbalance: desk.stated.expertImbalance ?? fallback(desk, 'expertImbalance'),
    tokens: settleTokens(desk, batch.globalBatchSize, sequenceLength * (desk.stated.sequencesPerSample ?? 1)),
    parallelism,
    ...shardGroup(desk),
    ...attentionKernel(desk),
    ...dropout(desk, architecture),
    ...readByEncoders(desk, architecture),
  };
  notePrediction(desk, architecture, run);
  noteRecipe(desk, run);
  noteTowers(desk, architecture, run);
  return {
    kind: 'settled',
    settled: { run, machine: findAccelerator(run.accelerator), origins: desk.origins },
    said,
    places: desk.places,
    assumptions: desk.assumptions,
    problems: desk.problems,
  };
}

/** Every field from the strongest source that states it. */
function gathered(sources: readonly RunSource[]): Desk {
  const origins: Record<string, Origin> = {};
  const assumptions: Assumption[] = [];
  const merged: Record<string, unknown> = {};
  const parallel: Record<string, unknown> = {};
  const relations: Record<string, number> = {};
  const open: Record<string, string> = {};
  const places: Record<string, Place> = {};
  for (const { origin, fields, relations: counts = {}, reasons = {}, open: left = {}, places: at = {} } of sources) {
    const { parallelism, ...flat } = fields;
    const take = (into: Record<string, unknown>, from: object, prefix: string) => {
      for (const [name, value] of Object.entries(from)) {
        if (value === undefined || Object.hasOwn(into, name)) continue;
        into[name] = value;
        const field = prefix + written(name);
        origins[field] = origin;
        const place = at[field] ?? at[`${field}.targets`];
        if (place !== undefined) places[field] = place;
        const reason = reasons[field];
        if (reason !== undefined) assumptions.push({ field, value: shown(value), reason });
      }
    };
    take(merged, flat, '');
    take(parallel, parallelism ?? {}, 'parallelism.');
    for (const [name, value] of Object.entries(counts)) {
      if (Object.hasOwn(relations, name)) continue;
      relations[name] = value;
      const reason = reasons[written(name)];
      if (reason !== undefined) assumptions.push({ field: written(name), value: String(value), reason });
      const place = at[written(name)];
      if (place !== undefined) places[written(name)] = place;
    }
    for (const [field, words] of Object.entries(left)) open[field] ??= words;
  }
  return {
    stated: merged as RunFields,
    parallel: parallel as Partial<Parallelism>,
    relations,
    open,
    places,
    origins,
    assumptions,
    problems: [],
  };
}

const shown = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** Takes a value that nobody states, and says so; where a file leaves the field open, what to write. */
function assume<Value>(
  { origins, assumptions, problems, open }: Desk,
  field: string,
  value: Value,
  reason: string,
): Value {
  origins[field] = 'default';
  assumptions.push({ field, value: String(value), reason });
  const words = open[field];
  if (words !== undefined)
    problems.push({
      severity: 'notice',
      message: `${words}, which says no ${field}: ${value} is assumed. Add "${field}: ${typeof value === 'number' ? 'N' : '...'}" to the run of this job in the policy.`,
      key: field,
    });
  return value;
}

function fallback<Name extends Defaulted>(desk: Desk, name: Name): TrainingRun[Name] {
  const { value, reason } = defaults[name];
  return assume(desk, written(name), value, reason);
}

function settleParallelism({ parallel, origins, relations }: Desk, layers: number): Parallelism {
  const tensor = parallel.tensor ?? 1;
  const pipeline = parallel.pipeline ?? 1;
  const settled: Parallelism = {
    tensor,
    pipeline,
    virtualPipeline: parallel.virtualPipeline ?? virtualStagesOf(relations, pipeline, layers) ?? 1,
    context: parallel.context ?? 1,
    expert: parallel.expert ?? 1,
    expertTensor: parallel.expertTensor ?? 1,
    sequenceParallel: parallel.sequenceParallel ?? tensor > 1,
  };
  for (const name of Object.keys(settled)) origins[`parallelism.${written(name)}`] ??= 'default';
  return settled;
}

function settleStages(
  { stated, relations, places, origins }: Desk,
  { pipeline }: Parallelism,
  layers: number,
): Pick<TrainingRun, 'layersPerStage'> {
  if (stated.layersPerStage !== undefined) return { layersPerStage: stated.layersPerStage };
  const layersPerStage = stagesOf(relations, pipeline, layers);
  if (layersPerStage === undefined) return {};
  origins['layers_per_stage'] = 'config';
  const keys = ['first_stage_layers', 'last_stage_layers', 'embedding_as_layers', 'loss_as_layers'];
  const place = keys.map((key) => places[key]).find((one) => one !== undefined);
  if (place !== undefined) places['layers_per_stage'] = place;
  return { layersPerStage };
}

function settleGpus(desk: Desk, parallelism: Parallelism): number {
  const { stated, relations } = desk;
  if (stated.gpus !== undefined) return stated.gpus;
  const perNode = stated.gpusPerNode ?? (relations.nodes === undefined ? undefined : defaultGpus);
  const counted = gpusOf(relations, parallelism, perNode);
  if (counted !== undefined) {
    desk.origins['gpus'] = 'config';
    if (relations.nodes !== undefined && stated.gpusPerNode === undefined)
      assume(desk, 'gpus_per_node', defaultGpus, 'the usual node');
    return counted;
  }
  const { pipeline, expert, expertTensor } = parallelism;
  const smallest = leastCommonMultiple(replicaOf(parallelism), pipeline * expert * expertTensor);
  const several = Math.ceil(Math.max(defaultGpus, smallest) / smallest) * smallest;
  return assume(desk, 'gpus', several, smallest > defaultGpus ? 'the fewest that hold one replica' : 'one node');
}

function leastCommonMultiple(a: number, b: number): number {
  let [multiple, other] = [a, b];
  while (other !== 0) [multiple, other] = [other, multiple % other];
  return (a / multiple) * b;
}

function contradictions(
  gpus: number,
  parallelism: Parallelism,
  layers: number,
  layersPerStage: RunFields['layersPerStage'],
): readonly Problem[] {
  const { tensor, pipeline, context, expert, expertTensor } = parallelism;
  const replica = replicaOf(parallelism);
  const expertGroup = pipeline * expert * expertTensor;
  const wrong: string[] = [];
  if (gpus % replica !== 0)
    wrong.push(
      `${gpus} GPUs do not divide into replicas of tensor ${tensor} x pipeline ${pipeline} x context ${context} = ${replica}; set gpus to a multiple of ${replica}.`,
    );
  if (gpus % expertGroup !== 0)
    wrong.push(
      `${gpus} GPUs do not divide into expert groups of expert ${expert} x expert_tensor ${expertTensor} x pipeline ${pipeline} = ${expertGroup}; set gpus to a multiple of ${expertGroup}.`,
    );
  // Laid out by hand, the first stage may have the embedding alone, and the last the loss (Megatron Core, get_num_layers_to_build).
  if (layersPerStage === undefined && pipeline > Math.max(1, layers))
    wrong.push(`A pipeline of ${pipeline} stages has more stages than the model has layers (${layers}).`);
  return wrong.map((message) => ({ severity: 'error', message }));
}

function settleSequence(desk: Desk, { maxPositions }: Architecture): number {
  const longest = maxPositions ?? defaultSequence;
  return assume(
    desk,
    'sequence_length',
    Math.min(longest, defaultSequence),
    maxPositions !== undefined && longest <= defaultSequence
      ? 'the longest that the config states'
      : 'a usual pre-training length',
  );
}

function settleBatch(desk: Desk, parallelism: Parallelism, gpus: number, sequenceLength: number) {
  const { stated, relations } = desk;
  const dataParallel = gpus / replicaOf(parallelism);
  const { pipeline } = parallelism;
  const solved = batchOf(
    { micro: stated.microBatchSize, global: stated.globalBatchSize },
    relations,
    dataParallel,
    gpus,
    sequenceLength,
  );
  if (solved.micro !== undefined) desk.origins['micro_batch_size'] ??= 'config';
  const microBatchSize = solved.micro ?? fallback(desk, 'microBatchSize');
  const smallest = dataParallel * microBatchSize;
  if (solved.global !== undefined)
    desk.origins['global_batch_size'] ??= relations.accumulatedTo === undefined ? 'config' : 'framework';
  const globalBatchSize =
    solved.global ??
    assume(
      desk,
      'global_batch_size',
      smallest * (pipeline === 1 ? 1 : 4 * pipeline),
      pipeline === 1
        ? 'one micro-batch for each replica'
        : `four micro-batches for each of ${pipeline} pipeline stages`,
    );
  // A stated batch that is no multiple is told by `startable.ts`.
  if (stated.globalBatchSize === undefined && globalBatchSize % smallest !== 0)
    desk.problems.push({
      severity: 'warning',
      message: `global_batch_size ${globalBatchSize} is not a multiple of micro_batch_size ${microBatchSize} x ${dataParallel} replicas; the number of micro-batches is rounded.`,
      key: 'global_batch_size',
    });
  return { microBatchSize, globalBatchSize };
}

function settleSharding(desk: Desk): Pick<TrainingRun, 'framework' | 'sharding'> {
  const framework = desk.stated.framework ?? fallback(desk, 'framework');
  if (desk.stated.sharding !== undefined) return { framework, sharding: desk.stated.sharding };
  if (framework === 'fsdp')
    return {
      framework,
      sharding: assume(desk, 'sharding', 'full', 'FSDP divides weights, gradients and optimizer states'),
    };
  if (framework === 'transformers')
    return { framework, sharding: assume(desk, 'sharding', 'none', 'Trainer shards nothing by itself') };
  return { framework, sharding: fallback(desk, 'sharding') };
}

type Way = Pick<TrainingRun, 'framework' | 'sharding' | 'recompute'>;

/** How the work is divided and what is computed twice; where nobody says any of it, the way in which most people train. */
function settleWay(desk: Desk): Way {
  const { stated, parallel } = desk;
  const said = [stated.framework, stated.sharding, stated.recompute, ...Object.values(parallel)];
  if (said.some((value) => value !== undefined))
    return { ...settleSharding(desk), recompute: stated.recompute ?? fallback(desk, 'recompute') };
  return {
    framework: assume(desk, 'framework', 'fsdp', 'the way in which most people train: PyTorch FSDP2'),
    sharding: assume(desk, 'sharding', 'full', 'FSDP divides weights, gradients and optimizer states'),
    recompute: assume(
      desk,
      'recompute',
      'selective',
      'every second matrix product is computed twice, as torchtitan does',
    ),
  };
}

/** The optimizer and how the work is divided, with what the framework's version says of both. */
function settleMeans(desk: Desk): Way & Pick<TrainingRun, 'optimizer' | 'optimizerImplementation'> {
  const optimizer = desk.stated.optimizer ?? fallback(desk, 'optimizer');
  const way = settleWay(desk);
  return { optimizer, ...way, ...ofVersion(desk, way.framework, optimizer) };
}

/** What the stated version of the framework takes otherwise than the one that its facts were checked with. */
function ofVersion(
  desk: Desk,
  framework: TrainingRun['framework'],
  optimizer: TrainingRun['optimizer'],
): Pick<TrainingRun, 'optimizerImplementation'> | undefined {
  const { frameworkVersion: version, optimizerImplementation: stated } = desk.stated;
  if (version === undefined) return undefined;
  const note = (reason: string) => void desk.assumptions.push({ field: 'framework_version', value: version, reason });
  const earlier = earlierDefaults[framework];
  if (earlier === undefined) return note(`no known fact of ${framework} depends on its version`);
  const { since: first, before: end } = earlier;
  if (isBefore(version, first)) return note(`defaults before ${first} are not known: the newest are taken`);
  if (stated !== undefined)
    return note('all that is known to depend on it is optimizer_implementation, which is stated');
  if (optimizer !== 'adamw' && optimizer !== 'adam')
    return note('all that is known to depend on it is how AdamW steps, which is not the optimizer');
  if (!isBefore(version, end)) return note(`from ${end} on ${framework} ${earlier.after}`);
  return {
    optimizerImplementation: assume(
      desk,
      'optimizer_implementation',
      earlier.optimizerImplementation,
      `${framework} ${version} ${earlier.words} (from ${end} on it does not)`,
    ),
  };
}

function isBefore(version: string, other: string): boolean {
  const partsOf = (text: string) => text.split('.').map(Number);
  const [major = 0, minor = 0] = partsOf(version);
  const [otherMajor = 0, otherMinor = 0] = partsOf(other);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** Tokens of the whole training, which may follow from its steps and the tokens of a sample. */
function settleTokens(desk: Desk, globalBatchSize: number, tokensOfSample: number): number {
  const counted = tokensOf(desk.relations, globalBatchSize, tokensOfSample);
  if (desk.stated.tokens === undefined && counted !== undefined) desk.origins['tokens'] = 'config';
  return desk.stated.tokens ?? counted ?? fallback(desk, 'tokens');
}

/** Members of one sharded group, where several groups hold the same. */
function shardGroup({ stated, relations, origins }: Desk): Pick<TrainingRun, 'shardGroup'> | undefined {
  const { dataParallelShard: members, dataParallelReplicate: copies = 1 } = relations;
  if (stated.shardGroup !== undefined || members === undefined || copies === 1) return undefined;
  origins['shard_group'] = 'config';
  return { shardGroup: members };
}

/** The kernel of attention is PyTorch's choice where no file says more than that framework's default. */
function attentionKernel({ stated, origins }: Desk): Pick<TrainingRun, 'attentionKernel'> | undefined {
  const origin = origins['flash_attention'];
  if (stated.attentionKernel !== undefined || stated.flashAttention === false || stated.framework === undefined)
    return undefined;
  if (!frameworkExecution[stated.framework].masksWindows || (origin !== 'default' && origin !== 'framework'))
    return undefined;
  origins['attention_kernel'] = 'framework';
  return { attentionKernel: 'sdpa' };
}

/** Frameworks that train with Transformers' own code drop out what the config says; Megatron has settings of its own. */
function dropout({ stated, origins }: Desk, architecture: Architecture): Pick<TrainingRun, 'dropout'> | undefined {
  if (stated.dropout !== undefined || architecture.dropout !== true || stated.framework !== 'transformers')
    return undefined;
  origins['dropout'] = 'config';
  return { dropout: true };
}

function noteRecipe({ assumptions }: Desk, { fp8Recipe, precision }: TrainingRun): void {
  if (fp8Recipe === undefined || fp8Recipe === 'tensorwise') return;
  const reason =
    precision === 'fp8'
      ? 'steps are timed as with one scale for each tensor, with a wider band: measured runs with one for each row were slower'
      : `products are in ${precision}: it changes nothing here`;
  assumptions.push({ field: 'fp8_recipe', value: fp8Recipe, reason });
}

function notePrediction({ assumptions }: Desk, { prediction }: Architecture, { mtp }: TrainingRun): void {
  if (prediction.length === 0 || mtp !== undefined) return;
  assumptions.push({
    field: 'mtp',
    value: 'true',
    reason:
      'the config has multi-token-prediction layers, so training is counted with them; set mtp: false in the run to leave them out',
  });
}

/** How much encoders read of each sequence, where the model has such. */
function readByEncoders(
  desk: Desk,
  { towers }: Architecture,
): Pick<TrainingRun, 'imagesPerSequence' | 'imageSize' | 'audioSecondsPerSequence'> {
  const { stated } = desk;
  const reads = towers.flatMap(({ computes }) => computes?.reads ?? []);
  const images = reads.filter((one) => one.kind === 'image');
  const take = <Name extends string>(field: Name, value: number | undefined, usual: number, why: string) =>
    value ?? assume(desk, written(field), usual, why);
  const { images: count, imageSize, seconds } = readPerSequence;
  if (stated.imagesPerSequence !== undefined && images.length === 0)
    desk.problems.push({
      severity: 'notice',
      message:
        'images_per_sequence is stated, but no encoder of this model is counted with what it reads: it changes nothing here.',
      key: 'images_per_sequence',
    });
  const imagesPerSequence = () =>
    take('imagesPerSequence', stated.imagesPerSequence, count, 'an encoder reads one image for each sequence');
  const size = () =>
    take('imageSize', stated.imageSize, imageSize, 'pixels on a side, to which LLaMA-Factory scales images down');
  const sound = () =>
    take('audioSecondsPerSequence', stated.audioSecondsPerSequence, seconds, "one of Whisper's windows");
  return {
    ...(images.length > 0 ? { imagesPerSequence: imagesPerSequence() } : {}),
    ...(images.some(({ patches }) => patches === undefined) ? { imageSize: size() } : {}),
    ...(reads.some(({ kind }) => kind === 'sound') ? { audioSecondsPerSequence: sound() } : {}),
  };
}

/** What of encoders is counted, and that they are trained where nobody freezes them. */
function noteTowers(desk: Desk, { towers }: Architecture, { freeze, lora }: TrainingRun): void {
  const { assumptions } = desk;
  const held = towers.filter(({ parameters }) => parameters > 0);
  noteIdleFreeze(desk, held, freeze ?? []);
  if (held.length === 0) return;
  const unknown = held.filter(({ computes }) => computes === undefined).map(({ name }) => name);
  if (unknown.length > 0)
    assumptions.push({
      field: 'towers',
      value: 'weights and their states',
      reason: `activations, FLOPs and time of ${unknown.join(', ')} are not counted`,
    });
  if (freeze === undefined && lora === undefined)
    assumptions.push({
      field: 'freeze',
      value: 'none',
      reason: 'encoders are trained with the rest; freeze: [vision] in the run keeps no gradients and states of them',
    });
  if (lora !== undefined)
    assumptions.push({
      field: 'lora.targets',
      value: 'the language model',
      reason: 'encoders are frozen and have no adapters',
    });
}

/** Somebody freezes what the model does not have; a default of the framework then says nothing. */
function noteIdleFreeze(
  { assumptions, problems, origins }: Desk,
  held: readonly Tower[],
  freeze: readonly Freezable[],
) {
  if (origins['freeze'] === 'framework' || origins['freeze'] === 'config') {
    const idle = held.length === 0 ? assumptions.findIndex(({ field }) => field === 'freeze') : -1;
    if (idle >= 0) assumptions.splice(idle, 1);
    return;
  }
  for (const part of freeze) {
    if (held.some(({ name }) => part === 'towers' || freezableOf(name) === part)) continue;
    problems.push({
      severity: 'notice',
      message: `freeze names ${part}, but nothing of this model is counted as that: it changes nothing here.`,
      key: 'freeze',
    });
  }
}

/** The stated fields without the undefined ones, which `exactOptionalPropertyTypes` tells apart. */
function definedOnly(fields: RunFields): Partial<TrainingRun> {
  const { parallelism: _, ...flat } = fields;
  return Object.fromEntries(Object.entries(flat).filter(([, value]) => value !== undefined));
}

/** What says on which machines a model is trained and what they cost, not how. */
const machineFields: ReadonlySet<string> = new Set([
  'accelerator',
  'gpus',
  'gpus_per_node',
  'inter_node_gbps_per_gpu',
  'price_per_gpu_hour',
  'power_cap_watts',
  'calibration',
  'measured_tokens_per_second',
  'memory_calibration',
  'measured_device_bytes',
  'tokens',
]);

/** Somebody says something of how the model is trained; machines alone do not. */
export const isStated = ({ origins }: SettledRun): boolean =>
  Object.entries(origins).some(([field, origin]) => origin !== 'default' && !machineFields.has(field));
