import { frameworks, streamedFragmentation } from '../../facts/frameworks.ts';
import { expandableSegments } from '../../facts/memory.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isSharded, type Stage } from '../placement.ts';
import type { HeldStage } from './held.ts';
import { fp32Logits, logitsFragmentation } from './loss.ts';
import { allocationsOf, type Phase, totalOf } from './phase.ts';
import { heldBeyond, isReplayed } from './replay.ts';
import type { States } from './states.ts';

/**
 * Bytes that PyTorch's caching allocator has reserved of a GPU after a step. A freed block serves its own stream alone. FSDP2
 * gathers and reduces on streams of their own, so that its largest buffers and the gradients' shards stay reserved even while the
 * peak of the compute stream needs neither; and the block that 16-bit logits leave is too small for their fp32 copies. Where the
 * whole model is on each GPU, two steps are played on the allocator (`replay.ts`). Elsewhere reserved over allocated is a ratio of the
 * framework.
 */
export function reservedBytes(
  phases: readonly Phase[],
  operations: Operations,
  run: TrainingRun,
  { stage, states, unsharded }: HeldStage,
): number {
  const allocated = Math.max(...phases.map(totalOf));
  const streams = frameworks[run.framework].gathers === 'fully_shard' && isSharded(run, 'weights');
  if (isReplayed(run, stage)) return allocated + heldBeyond(operations, run, stage);
  if (!streams) return allocated * ratio(operations, run) + takenByStates(operations, run, stage, states);
  const compute = Math.max(...phases.map((phase) => totalOf(phase) - onOtherStreams(phase)));
  const expandable = run.expandableSegments !== false;
  const reserved = compute * (expandable ? streamedFragmentation.expandable : streamedFragmentation.fixed);
  const logits = stage.head ? logitsFragmentation(operations, run) : 0;
  return Math.max(allocated, reserved + unsharded.buffers + states.gradients + logits);
}

function ratio(operations: Operations, run: TrainingRun): number {
  if (run.expandableSegments === true) return expandableSegments.fragmentation;
  const { usual, experts, recomputed } = frameworks[run.framework].reserved;
  if (run.recompute === 'full') return recomputed;
  return hasExperts(operations) ? experts : usual;
}

/** Some layer sends its tokens to experts. */
export const hasExperts = ({ layers }: Operations): boolean =>
  layers.some(({ operations }) => operations.some(({ kind }) => kind === 'dispatch'));

/**
 * Optimizer states are made at the end of the first step, out of blocks that are free by then. With full recompute few are but those
 * of the loss, which states cut up, so that the next step's loss needs blocks of its own.
 */
function takenByStates(operations: Operations, run: TrainingRun, stage: Stage, { optimizer }: States): number {
  const { takenBlocks } = frameworks[run.framework];
  if (takenBlocks === 0 || run.recompute !== 'full' || run.expandableSegments === true || !stage.head) return 0;
  return Math.min(optimizer, takenBlocks * fp32Logits(operations, run));
}

/** Gradients and prefetch buffers, in bytes. */
const onOtherStreams = (phase: Phase): number =>
  allocationsOf(phase).reduce((sum, [component, part, bytes]) => {
    const elsewhere = component === 'gradients' || part === 'gather_buffer';
    return sum + (elsewhere ? bytes : 0);
  }, 0);
