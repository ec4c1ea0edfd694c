import { frameworks, streamedFragmentation } from '../../facts/frameworks.ts';
import { expandableSegments } from '../../facts/memory.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isSharded, type Stage } from '../placement.ts';
import { logitsFragmentation } from './loss.ts';
import { type Phase, totalOf } from './phases.ts';
import { statesOfStage } from './states.ts';
import { unshardedOf } from './unsharded.ts';

/**
 * Bytes that PyTorch's caching allocator has reserved of a GPU after a step. A freed block serves its own stream alone. FSDP2
 * gathers and reduces on streams of their own, so that its largest buffers and the gradients' shards stay reserved even while the
 * peak of the compute stream needs neither; and the block that 16-bit logits leave is too small for their fp32 copies. Elsewhere
 * reserved over allocated is a measured ratio.
 */
export function reservedBytes(
  phases: readonly Phase[],
  operations: Operations,
  run: TrainingRun,
  stage: Stage,
): number {
  const allocated = Math.max(...phases.map(totalOf));
  const streams = frameworks[run.framework].gathers === 'fully_shard' && isSharded(run, 'weights');
  if (!streams) return allocated * ratio(run);
  const compute = Math.max(...phases.map((phase) => totalOf(phase) - onOtherStreams(phase)));
  const { buffers } = unshardedOf(operations, run, stage);
  const { gradients } = statesOfStage(operations, run, stage);
  const expandable = run.expandableSegments !== false;
  const reserved = compute * (expandable ? streamedFragmentation.expandable : streamedFragmentation.fixed);
  return Math.max(allocated, reserved + buffers + gradients + (stage.head ? logitsFragmentation(operations, run) : 0));
}

const ratio = (run: TrainingRun): number =>
  run.expandableSegments === true ? expandableSegments.fragmentation : frameworks[run.framework].fragmentation;

/** Gradients and prefetch buffers, in bytes. */
const onOtherStreams = ({ allocations }: Phase): number =>
  allocations.reduce((sum, [component, part, bytes]) => {
    const elsewhere = component === 'gradients' || part === 'gather_buffer';
    return sum + (elsewhere ? bytes : 0);
  }, 0);
