import { frameworkExecution } from '../../facts/frameworks.ts';
import { bytesOf } from '../../facts/precisions.ts';
import { accumulation, beside, shardCopyBytes } from '../../facts/steps.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { countKinds } from '../count/weights.ts';
import { dataParallel } from '../placement.ts';
import { collectiveSeconds } from './collective.ts';
import type { Context } from './context.ts';
import type { TimeFigures } from './figures.ts';
import type { LayerTime } from './layer.ts';
import type { Elements, LocalElements } from './local.ts';
import { type Parts, sum } from './parts.ts';

/** How many ranks of one group a fast domain holds, where each rank of the group has `apart` GPUs of other groups beside it. */
const within = (context: Context, apart: number): number => Math.max(1, Math.floor(context.chip.fast.domain / apart));

/** Collectives: how long they take, and how long what they move would take at the fast domain's rate. */
type Traffic = { readonly seconds: number; readonly moved: number };

const together = (...all: readonly Traffic[]): Traffic => ({
  seconds: all.reduce((total, one) => total + one.seconds, 0),
  moved: all.reduce((total, one) => total + one.moved, 0),
});

type Collective = 'gather' | 'scatter' | 'reduce';

function trafficOf(kind: Collective, bytes: number, ranks: number, local: number, context: Context): Traffic {
  const { chip, kernels, network } = context;
  return ranks <= 1
    ? { seconds: 0, moved: 0 }
    : {
        seconds: collectiveSeconds(chip, kernels, kind, bytes, ranks, local, network),
        moved: bytes / kernels.collectives.gather.bandwidth,
      };
}

/**
 * What is seen of collectives beside seconds of work: they slow it down by the multiprocessors that their channels hold while they
 * last, and by the memory bandwidth that they take for what they move.
 */
function exposedBeside(work: number, { seconds: lasts, moved }: Traffic, { chip, step }: Context): number {
  const taken =
    chip.generation === 'tpu' ? 0 : beside.channels / Math.max(beside.fewestMultiprocessors, chip.multiprocessors ?? 0);
  const slowed = work + taken * Math.min(work, lasts) + step.contention * Math.min(work, moved);
  return Math.max(slowed, step.fsdpCollective * lasts) - work;
}

/** Collectives of one layer, or of the head: parameters gathered, gradients scattered. */
type Sharded = { readonly gather: Traffic; readonly scatter: Traffic };

/** Ranks that one copy of the parameters is divided over, and how many copies there are (hybrid sharding). */
type Groups = { readonly shards: number; readonly copies: number; readonly ranks: number; readonly local: number };

/** Gradients are scattered within a group, then reduced between the groups that hold the same shards. */
function shardedBy(
  groups: Groups,
  kind: keyof Elements,
  elements: LocalElements,
  run: TrainingRun,
  context: Context,
): Sharded {
  const { shards, copies, ranks, local } = groups;
  const gradients = reducedWidth(run) * elements.trained[kind];
  return {
    gather: trafficOf('gather', bytesOf.bf16 * elements.held[kind], ranks, local, context),
    scatter: together(
      trafficOf('scatter', gradients, ranks, local, context),
      trafficOf('reduce', gradients / shards, copies, 1, context),
    ),
  };
}

/** FSDP and ZeRO 2, 3: parameters gathered and gradients scattered for each layer of each micro-batch, beside its work. */
export function shardedTraffic(
  operations: Operations,
  run: TrainingRun,
  context: Context,
  kinds: readonly LayerTime[],
  elementsOf: TimeFigures['elements'],
  step: Parts,
  microBatches: number,
): void {
  const { tensor, pipeline, expert, expertTensor } = run.parallelism;
  const all = dataParallel(run);
  const shards = run.shardGroup ?? all;
  if (shards <= 1) return;
  const local = Math.max(1, Math.min(shards, Math.floor(context.chip.fast.domain / tensor)));
  const groups: Groups = { shards, copies: all / shards, ranks: shards, local };
  // Experts are divided by expert parallelism first, and sharded over the ranks that hold the same experts.
  const sameExperts = Math.max(1, (shards * tensor) / (expert * expertTensor));
  const expertGroups: Groups = { ...groups, ranks: sameExperts, local: within(context, expert) };
  // Under a pipeline parameters stay gathered and gradients are reduced once (torch.distributed.pipelining, torchtitan).
  const rounds = pipeline > 1 ? 1 : microBatches;
  let edge = 0;
  const counts = countKinds(operations);
  for (const [kind, layer] of operations.layers.entries()) {
    const time = kinds[kind];
    const count = (counts[kind] ?? 0) / pipeline;
    if (time === undefined || count === 0) continue;
    const elements = elementsOf(layer.operations, run);
    const dense = shardedBy(groups, 'dense', elements, run, context);
    const traffic =
      elements.held.experts > 0 ? joined(dense, shardedBy(expertGroups, 'experts', elements, run, context)) : dense;
    step.exposed_data += rounds * count * exposedOfLayer(time, traffic, run, context);
    step.memory_bound += (rounds * count * copiedBytes(elements, run)) / context.bandwidth;
    edge = Math.max(edge, traffic.gather.seconds + traffic.scatter.seconds);
  }
  const ends = shardedBy(groups, 'dense', elementsOf(operations.head, run), run, context);
  step.exposed_data +=
    rounds * context.step.fsdpEdge * (edge + beside.ends * (ends.gather.seconds + ends.scatter.seconds));
}

const joined = (one: Sharded, other: Sharded): Sharded => ({
  gather: together(one.gather, other.gather),
  scatter: together(one.scatter, other.scatter),
});

/** Parameters that are dropped after the forward pass are gathered again beside the backward pass. */
const gathersTwice = (run: TrainingRun): boolean => run.sharding === 'full' || run.reshardAfterForward === true;

function exposedOfLayer(
  { forward, backward }: LayerTime,
  { gather, scatter }: Sharded,
  run: TrainingRun,
  context: Context,
): number {
  return (
    exposedBeside(sum(forward), gather, context) +
    exposedBeside(sum(backward), gathersTwice(run) ? together(gather, scatter) : scatter, context)
  );
}

/** Bytes that are copied out of flat buffers for each gather, and into them for each reduction. */
function copiedBytes({ held, trained }: LocalElements, run: TrainingRun): number {
  const gathered = (gathersTwice(run) ? 2 : 1) * shardCopyBytes.gather;
  return gathered * (held.dense + held.experts) + shardCopyBytes.scatter * (trained.dense + trained.experts);
}

/** Bytes of a gradient element on the wire. */
function reducedWidth({ gradientsDtype, framework }: TrainingRun): number {
  if (gradientsDtype === undefined) return frameworkExecution[framework].reducedBytes;
  return gradientsDtype === 'fp32' ? bytesOf.fp32 : bytesOf.bf16;
}

/**
 * What is exposed of gradients reduced once for each step, largely beside the last micro-batch's backward pass. Megatron gathers what
 * its sharded optimizer has updated beside the next forward pass; others do so at the end of the step, with nothing beside.
 *
 * @param stage seconds of the slowest stage for one micro-batch
 */
export function replicatedSeconds(
  { trained: { dense, experts } }: LocalElements,
  run: TrainingRun,
  context: Context,
  stage: number,
): number {
  const { tensor, expert } = run.parallelism;
  const ranks = dataParallel(run);
  if (ranks <= 1) return 0;
  const local = Math.max(1, Math.min(ranks, Math.floor(context.chip.fast.domain / tensor)));
  const sameExperts = Math.max(1, (ranks * tensor) / expert);
  const over = (kind: Collective, bytes: number) =>
    trafficOf(kind, bytes * dense, ranks, local, context).seconds +
    trafficOf(kind, bytes * experts, sameExperts, within(context, expert), context).seconds;
  const sharded = run.sharding !== 'none';
  const reduce = over(sharded ? 'scatter' : 'reduce', reducedWidth(run));
  const gather = sharded ? over('gather', bytesOf.bf16) : 0;
  const { gathersBesideForward } = frameworkExecution[run.framework];
  const hidden = gathersBesideForward ? reduce + gather : reduce;
  const seen = Math.max(context.step.dataExposed * hidden, hidden - beside.reduction * stage);
  return seen + (gathersBesideForward ? 0 : gather);
}

/** Seconds of adding further micro-batches' gradients to those of the first, where the product that makes them does not do it. */
export function accumulationSeconds(
  { trained: { dense, experts } }: LocalElements,
  run: TrainingRun,
  context: Context,
  microBatches: number,
): number {
  if (context.profile.gradientBytes === bytesOf.fp32 || run.lora !== undefined) return 0;
  return ((microBatches - 1) * accumulation.bytes * (dense + experts)) / context.bandwidth;
}
