import { type Accelerator, acceleratorsChecked, findAccelerator } from '../../facts/accelerators.ts';
import { frameworkExecution, frameworks } from '../../facts/frameworks.ts';
import { kernelsOf } from '../../facts/kernels.ts';
import { bytesOfState, optimizers } from '../../facts/optimizers.ts';
import { bytesOf, precisions } from '../../facts/precisions.ts';
import {
  accumulation,
  beside,
  elementBytes,
  estimated,
  offloaded,
  pipelines,
  recomputedShare,
  shardCopyBytes,
  stepFacts,
} from '../../facts/steps.ts';
import type { FlopCount, ThroughputEstimate, TimePart } from '../../model/estimate.ts';
import type { Linear, Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type Seconds, seconds } from '../../units.ts';
import { held, mainNetwork } from '../count/weights.ts';
import { microBatches, stages } from '../placement.ts';
import { trust } from './band.ts';
import { largestLoss, limitOf, remedyFor } from './bottleneck.ts';
import { collectiveSeconds } from './gemm.ts';
import {
  add,
  type Context,
  contextOf,
  type LayerTime,
  layerTime,
  none,
  type Parts,
  partNames,
  productSeconds,
  sum,
  type TimeFacts,
} from './layer.ts';

/** What a training step on this hardware is projected to take, part by part; the parts sum to the step. */
export function projectTime(
  operations: Operations,
  flops: FlopCount,
  run: TrainingRun,
  facts: TimeFacts = { step: stepFacts, kernelsOf },
): ThroughputEstimate {
  const chip = (facts.find ?? findAccelerator)(run.accelerator);
  if (chip === undefined) return unknown(`the accelerator ${run.accelerator} is not in the table`);
  const { peak: dtype } = precisions[run.precision];
  const peak = peakOf(chip, run);
  if (peak === undefined) return unknown(`${chip.name} has no ${dtype} matrix units`);
  const context = contextOf(run, chip, peak, facts);
  const parts = stepParts(operations, run, context);
  const calibration = run.calibration ?? 1;
  for (const part of partNames) parts[part] /= calibration;
  const step = sum(parts);
  const tokens = run.globalBatchSize * run.sequenceLength;
  const perGpu = tokens / step / run.gpus;
  const mfu = (flops.training * perGpu) / peak;
  const { band, basis } = trust(operations, run, context);
  const remedy = remedyFor(largestLoss(parts, step), run, chip);
  const gain = remedy === undefined ? 0 : gainOf(operations, run, remedy.run, chip, facts, step * calibration);
  return {
    mfu,
    hfu: (flops.hardware * perGpu) / peak,
    range: [mfu * Math.exp(-band), Math.min(1, mfu * Math.exp(band))],
    tokensPerSecondPerGpu: perGpu,
    stepTime: seconds(step),
    parts: Object.fromEntries(partNames.map((part) => [part, seconds(parts[part])])) as Record<TimePart, Seconds>,
    band,
    basis,
    limit: limitOf(parts, step, remedy, gain),
    training: training(run, chip, perGpu),
  };
}

/** Of tokens per second, as a ratio, by a changed run over one whose step takes `before` seconds. */
function gainOf(
  operations: Operations,
  run: TrainingRun,
  changed: TrainingRun,
  chip: Accelerator,
  facts: TimeFacts,
  before: number,
): number {
  const peak = peakOf(chip, changed);
  if (peak === undefined) return 0;
  const after = sum(stepParts(operations, changed, contextOf(changed, chip, peak, facts)));
  return (before / after) * (changed.globalBatchSize / run.globalBatchSize) - 1;
}

/** Measured over projected throughput of a run that says what it reached; undefined where it does not, or nothing is projected. */
export function calibrate(run: TrainingRun, { tokensPerSecondPerGpu: perGpu }: ThroughputEstimate): number | undefined {
  if (run.measuredTokensPerSecond === undefined || perGpu === null) return undefined;
  return run.measuredTokensPerSecond / (perGpu * run.gpus);
}

/** Model FLOPs utilization of a measured run: training FLOPs for a token times tokens per second, over the peak of all GPUs. */
export function measuredMfu(
  flops: FlopCount,
  run: TrainingRun,
  tokensPerSecond: number,
): { readonly mfu: number | null; readonly hfu: number | null; readonly peak: number | null } {
  const chip = findAccelerator(run.accelerator);
  const peak = (chip && peakOf(chip, run)) ?? null;
  if (peak === null) return { mfu: null, hfu: null, peak };
  const all = peak * run.gpus;
  return { mfu: (flops.training * tokensPerSecond) / all, hfu: (flops.hardware * tokensPerSecond) / all, peak: all };
}

/** The peak that a run is held against. Chips older than tf32 compute fp32 in fp32; those without 4 bits keep such weights, and compute in 8. */
function peakOf({ densePeak }: Accelerator, { precision }: TrainingRun): number | undefined {
  const { peak } = precisions[precision];
  if (peak === 'tf32') return densePeak.tf32 ?? densePeak.fp32;
  return densePeak[peak] ?? (peak === 'fp4' ? densePeak.fp8 : undefined);
}

function stepParts(operations: Operations, run: TrainingRun, context: Context): Parts {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  const m = microBatches(run);
  const kinds = operations.layers.map((layer) =>
    recomputed(layerTime(layer.operations, run, context), layer.operations, run, context),
  );
  const head = headTime(operations, run, context);
  const sharded = run.sharding === 'full' || (run.sharding === 'gradients' && P === 1);
  const perStage = stages(operations, run).map((stage) => {
    const parts = none();
    for (const { kind, count } of stage.layers) {
      const time = kinds[kind];
      if (time === undefined) continue;
      add(parts, time.forward, count);
      add(parts, time.backward, count);
    }
    if (stage.head) add(parts, head);
    return parts;
  });
  const slowest = perStage.reduce((worst, parts) => (sum(parts) > sum(worst) ? parts : worst));
  const step = none();
  add(step, slowest, m);
  if (P > 1) {
    const average = perStage.reduce((total, parts) => total + sum(parts), 0) / P;
    const D = widthOf(operations);
    // Each tensor-parallel rank sends its share; Megatron-LM also where the residual stream is whole (Narayanan et al. 2021, 4.1).
    const sent = frameworkExecution[run.framework].sendsShares ? context.T / run.parallelism.tensor : context.t;
    const bytes = 2 * D * sent;
    const far = run.gpus > context.chip.fast.domain;
    const hop =
      2 *
      v *
      (pipelines.hop +
        bytes /
          (far && context.network !== null
            ? context.network * context.step.transferShare
            : context.kernels.collectives.gather.bandwidth)) *
      // Only virtual stages leave room for a transfer beside other work (Megatron-LM overlaps them in the interleaved schedule alone).
      (v > 1 ? context.step.pipelineExposed : 1);
    const bubble = bubbleShare(run) * (average + hop);
    step.exposed_pipeline += m * hop;
    step.bubble += bubble;
  }
  if (sharded) shardedTraffic(operations, run, context, kinds, step, m);
  else {
    dataParallelTraffic(operations, run, context, sum(slowest), step);
    accumulate(operations, run, context, m, step);
  }
  optimizerTime(operations, run, context, step);
  const nodes = Math.max(1, run.gpus / estimated.gpusOfNode);
  step.jitter += nodes > 1 ? sum(step) * context.step.jitter * Math.sqrt(2 * Math.log(nodes)) : 0;
  return step;
}

/** Idle time in units of one stage's forward and backward: 1F1B (P - 1) / v; zero bubble a third of it; DualPipe half. */
function bubbleShare(run: TrainingRun): number {
  const { pipeline: P, virtualPipeline: v } = run.parallelism;
  switch (run.pipelineSchedule) {
    case 'zero_bubble':
      return (P - 1) / pipelines.zeroBubble;
    case 'dualpipe':
      return (P / pipelines.dualPipe - 1) / pipelines.dualPipe;
    case 'gpipe':
    case '1f1b':
      return P - 1;
    default:
      return (P - 1) / v;
  }
}

/**
 * The last product of a layer, which nothing after it needs again: PyTorch's non-reentrant checkpoint stops before it
 * (torch.utils.checkpoint, early stop, since 2.1; torchtitan and Composer use it, Megatron-LM and Hugging Face run the whole layer).
 */
function stoppedBefore(list: readonly Operation[], run: TrainingRun, context: Context): number {
  if (!frameworkExecution[run.framework].recomputeStopsEarly) return 0;
  const last = list.findLast((operation) => operation.kind === 'linear');
  if (last?.kind !== 'linear' || last.sharding !== 'row') return 0;
  return productSeconds(last, last.columns, run, context)[0];
}

/** What recompute runs again, in its own part of the breakdown. */
function recomputed(time: LayerTime, list: readonly Operation[], run: TrainingRun, context: Context): LayerTime {
  const { forward, backward, launches } = time;
  const again = none();
  if (run.recompute === 'full') {
    const every = run.recomputeMethod === 'every' ? 1 / Math.max(1, run.recomputeLayers ?? 1) : 1;
    const saved = stoppedBefore(list, run, context);
    again.recompute = (saved === 0 ? sum(forward) : Math.max(sum(forward) - forward.host - saved, launches)) * every;
  } else if (run.recompute === 'selective') {
    const modules = run.recomputeModules ?? ['core_attn'];
    if (frameworks[run.framework].selective === 'operations')
      again.recompute = recomputedShare.everySecond * forward.matrix_products + forward.memory_bound;
    else {
      if (modules.includes('core_attn')) again.recompute += forward.attention;
      if (modules.includes('mlp') || modules.includes('moe')) {
        const share = list.some((operation) => operation.kind === 'dispatch')
          ? recomputedShare.experts
          : recomputedShare.dense;
        again.recompute += share * forward.matrix_products;
      }
      if (modules.some((module) => module === 'layernorm' || module === 'moe_act' || module === 'mla_up_proj'))
        again.recompute += recomputedShare.memoryBound * forward.memory_bound;
    }
  }
  add(backward, again);
  return { ...time, backward };
}

function headTime(operations: Operations, run: TrainingRun, context: Context): Parts {
  const parts = none();
  const head = operations.head.find(
    (operation): operation is Linear => operation.kind === 'linear' && operation.component === 'output',
  );
  const depth = 1 + (run.mtp === false ? 0 : operations.predictionDepth);
  if (head !== undefined) {
    const [f, b] = productSeconds(head, head.columns, run, context);
    parts.matrix_products += depth * (f + b);
    const bytes = run.fusedCrossEntropy ? Math.min(context.profile.loss, estimated.fusedLoss) : context.profile.loss;
    parts.loss += (depth * ((context.T * head.columns) / run.parallelism.tensor) * bytes) / context.bandwidth;
  }
  parts.memory_bound += (elementBytes.ends * widthOf(operations) * context.T) / context.bandwidth;
  if (operations.prediction.length > 0 && run.mtp !== false) {
    const { forward, backward } = layerTime(operations.prediction, run, context);
    add(parts, forward);
    add(parts, backward);
  }
  return parts;
}

const widthOf = (operations: Operations): number => {
  for (const { operations: list } of operations.layers) {
    const found = list.find((operation) => operation.kind === 'add');
    if (found?.kind === 'add') return found.output.elements;
  }
  return 0;
};

/** Elements of one GPU's share of the model, without data-parallel sharding: dense ones and experts. */
function localParameters(
  operations: Operations,
  run: TrainingRun,
): { readonly dense: number; readonly experts: number } {
  const { tensor, pipeline, expert, expertTensor } = run.parallelism;
  let dense = 0;
  let experts = 0;
  for (const { operation, times } of mainNetwork(operations)) {
    const elements = times * held(operation);
    if (operation.kind === 'linear' && operation.sharding === 'expert')
      experts += elements / (pipeline * expert * expertTensor);
    else
      dense += elements / (operation.kind === 'table' || operation.component === 'output' ? tensor : tensor * pipeline);
  }
  return { dense, experts };
}

/** Collectives: how long they take, and how long what they move would take at the fast domain's rate. */
type Traffic = { readonly seconds: number; readonly moved: number };

const together = (...all: readonly Traffic[]): Traffic => ({
  seconds: all.reduce((total, one) => total + one.seconds, 0),
  moved: all.reduce((total, one) => total + one.moved, 0),
});

/**
 * What is seen of collectives beside seconds of work: they slow it down by the multiprocessors that their channels hold while they
 * last, and by the memory bandwidth that they take for what they move.
 */
function exposedBeside(work: number, { seconds: lasts, moved }: Traffic, { chip, step }: Context): number {
  const held =
    chip.generation === 'tpu' ? 0 : beside.channels / Math.max(beside.fewestMultiprocessors, chip.multiprocessors ?? 0);
  const slowed = work + held * Math.min(work, lasts) + step.contention * Math.min(work, moved);
  return Math.max(slowed, step.fsdpCollective * lasts) - work;
}

/** FSDP and ZeRO 2, 3: parameters gathered and gradients scattered for each layer of each micro-batch, beside its work. */
function shardedTraffic(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  kinds: readonly LayerTime[],
  step: Parts,
  m: number,
): void {
  const { tensor, pipeline, context: cp, expert, expertTensor } = run.parallelism;
  const { chip, kernels } = context;
  const reduced = reducedWidth(run);
  const all = (run.gpus / (tensor * pipeline * cp)) * cp;
  const shards = run.shardGroup ?? all;
  if (shards <= 1) return;
  const local = Math.max(1, Math.min(shards, Math.floor(chip.fast.domain / tensor)));
  const trained = run.lora === undefined ? 1 : estimated.adapterTraffic;
  const { bandwidth: rate } = kernels.collectives.gather;
  const collect = (elements: number, ranks: number, near: number) => {
    const over = (kind: 'gather' | 'scatter' | 'reduce', bytes: number, n: number, inside: number): Traffic =>
      n <= 1
        ? { seconds: 0, moved: 0 }
        : { seconds: collectiveSeconds(chip, kernels, kind, bytes, n, inside, context.network), moved: bytes / rate };
    const scatter = over('scatter', trained * reduced * elements, ranks, near);
    const replicas = over('reduce', (trained * reduced * elements) / shards, all / shards, 1);
    return { gather: over('gather', bytesOf.bf16 * elements, ranks, near), scatter: together(scatter, replicas) };
  };
  let edge = 0;
  // Under a pipeline parameters stay gathered and gradients are reduced once (torch.distributed.pipelining, torchtitan).
  const rounds = pipeline > 1 ? 1 : m;
  const micro = run.sharding === 'full' || run.reshardAfterForward === true;
  for (const [kind, layer] of operations.layers.entries()) {
    const time = kinds[kind];
    const count = operations.order.filter((one) => one === kind).length / pipeline;
    if (time === undefined || count === 0) continue;
    // Experts are divided by expert parallelism first, and sharded over the ranks that hold the same experts.
    let dense = 0;
    let experts = 0;
    for (const operation of layer.operations) {
      if (operation.kind === 'linear' && operation.sharding === 'expert') experts += held(operation);
      else dense += held(operation);
    }
    const copies = Math.max(1, (shards * tensor) / (expert * expertTensor));
    const first = collect(dense / tensor, shards, local);
    const second =
      experts > 0
        ? collect(experts / (expert * expertTensor), copies, Math.max(1, Math.floor(chip.fast.domain / expert)))
        : undefined;
    const gather = second === undefined ? first.gather : together(first.gather, second.gather);
    const scatter = second === undefined ? first.scatter : together(first.scatter, second.scatter);
    const f = sum(time.forward);
    const b = sum(time.backward);
    step.exposed_data +=
      rounds *
      count *
      (exposedBeside(f, gather, context) + exposedBeside(b, micro ? together(gather, scatter) : scatter, context));
    const copied = (micro ? 2 : 1) * shardCopyBytes.gather + trained * shardCopyBytes.scatter;
    const here = dense / tensor + experts / (expert * expertTensor);
    step.memory_bound += (rounds * count * copied * here) / context.bandwidth;
    edge = Math.max(edge, gather.seconds + scatter.seconds);
  }
  const head =
    operations.head.reduce(
      (total, operation) =>
        total + (operation.kind === 'linear' ? operation.rows * operation.columns : held(operation)),
      0,
    ) / tensor;
  const ends = collect(head, shards, local);
  step.exposed_data +=
    rounds * context.step.fsdpEdge * (edge + beside.ends * (ends.gather.seconds + ends.scatter.seconds));
}

/** Bytes of a gradient element on the wire. */
const reducedWidth = (run: TrainingRun): number =>
  run.gradientsDtype === undefined
    ? frameworkExecution[run.framework].reducedBytes
    : run.gradientsDtype === 'fp32'
      ? bytesOf.fp32
      : bytesOf.bf16;

/**
 * Gradients reduced once for each step, largely beside the last micro-batch's backward pass. Megatron gathers what its sharded
 * optimizer has updated beside the next forward pass; DeepSpeed and others do so at the end of the step, with nothing beside.
 */
function dataParallelTraffic(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  stage: number,
  step: Parts,
): void {
  const { tensor, pipeline, context: cp, expert } = run.parallelism;
  const { chip, kernels } = context;
  const ranks = (run.gpus / (tensor * pipeline * cp)) * cp;
  if (ranks <= 1) return;
  const local = Math.max(1, Math.min(ranks, Math.floor(chip.fast.domain / tensor)));
  const { dense, experts } = localParameters(operations, run);
  const gradient = reducedWidth(run);
  const sharded = run.sharding !== 'none';
  const groups = [{ elements: dense, ranks, local }];
  if (experts > 0)
    groups.push({
      elements: experts,
      ranks: Math.max(1, (ranks * tensor) / expert),
      local: Math.max(1, Math.floor(chip.fast.domain / expert)),
    });
  const over = (kind: 'gather' | 'scatter' | 'reduce', bytes: number) =>
    groups.reduce(
      (total, group) =>
        total +
        collectiveSeconds(chip, kernels, kind, bytes * group.elements, group.ranks, group.local, context.network),
      0,
    );
  const trained = run.lora === undefined ? 1 : estimated.adapterTraffic;
  const reduce = trained * over(sharded ? 'scatter' : 'reduce', gradient);
  const gather = sharded ? trained * over('gather', bytesOf.bf16) : 0;
  const { gathersBesideForward } = frameworkExecution[run.framework];
  const hidden = gathersBesideForward ? reduce + gather : reduce;
  step.exposed_data +=
    Math.max(context.step.dataExposed * hidden, hidden - beside.reduction * stage) +
    (gathersBesideForward ? 0 : gather);
}

/** Further micro-batches' gradients added to those of the first, where the product that makes them does not do it. */
function accumulate(operations: Operations, run: TrainingRun, context: Context, m: number, step: Parts): void {
  if (context.profile.gradientBytes === bytesOf.fp32 || run.lora !== undefined) return;
  const { dense, experts } = localParameters(operations, run);
  step.memory_bound += ((m - 1) * accumulation.bytes * (dense + experts)) / context.bandwidth;
}

/**
 * Bytes that an optimizer step moves for each parameter that it updates: gradients read, once more for their norm; states read and
 * written; weights read and written, or written out of a master copy that is. 34 in Megatron-LM's mixed precision.
 */
function updateBytes(run: TrainingRun): number {
  const facts = frameworks[run.framework];
  const weight = run.weightsDtype === undefined ? facts.weightBytes : bytesOf[run.weightsDtype];
  const gradient = run.gradientsDtype === undefined ? facts.gradientBytes : bytesOf[run.gradientsDtype];
  const dtype = run.optimizerDtype === undefined ? bytesOf.fp32 : bytesOf[run.optimizerDtype];
  const states = bytesOfState(optimizers[run.optimizer].matrix, dtype);
  const weights =
    (run.masterWeights ?? (run.weightsDtype === undefined && facts.masterWeights))
      ? 2 * bytesOf.fp32 + weight
      : 2 * weight;
  return gradient + 2 * states + weights;
}

/** The optimizer step on this GPU's share of the states. */
function optimizerTime(operations: Operations, run: TrainingRun, context: Context, step: Parts): void {
  const { tensor, pipeline, context: cp } = run.parallelism;
  const { dense, experts } = localParameters(operations, run);
  const ranks = (run.gpus / (tensor * pipeline * cp)) * cp;
  const shards = run.sharding === 'none' ? 1 : (run.shardGroup ?? ranks);
  const local = ((dense + experts) / shards) * (run.lora === undefined ? 1 : estimated.adapterUpdate);
  if (run.offload === 'optimizer') {
    const node = Math.min(run.gpus, run.gpusPerNode ?? estimated.gpusOfNode);
    step.optimizer += local * (node * offloaded.secondsForParameter + offloaded.transferred / offloaded.transfer);
  } else {
    const norm = frameworks[run.framework].gradientBytes;
    step.optimizer += (local * (updateBytes(run) * context.profile.optimizer + norm)) / context.bandwidth;
  }
}

function training(run: TrainingRun, chip: Accelerator, perGpu: number): ThroughputEstimate['training'] {
  const time = run.tokens / (perGpu * run.gpus);
  const gpuHours = (time * run.gpus) / 3600;
  const power = chip.power === null ? null : Math.min(chip.power, run.powerCapWatts ?? chip.power);
  const price = run.pricePerGpuHour ?? chip.price;
  return {
    time: seconds(time),
    gpuHours,
    energyKilowattHours: power === null ? null : (gpuHours * power) / 1000,
    costUsd: price === null ? null : gpuHours * price,
    pricePerGpuHour: price,
    priceDate: price === null || run.pricePerGpuHour !== undefined ? null : acceleratorsChecked,
  };
}

function unknown(reason: string): ThroughputEstimate {
  return {
    mfu: null,
    hfu: null,
    range: null,
    tokensPerSecondPerGpu: null,
    stepTime: null,
    parts: none() as Record<TimePart, Seconds>,
    band: 0,
    basis: reason,
    limit: `Not projected: ${reason}.`,
    training: null,
  };
}
