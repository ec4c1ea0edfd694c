import { frameworks, streamedFragmentation } from '../../facts/frameworks.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isSharded, type Stage } from '../placement.ts';
import { lossHole } from './loss.ts';
import { type Moment, totalOf } from './phases.ts';
import { statesOfStage } from './states.ts';
import { gatheredOf } from './unsharded.ts';

/**
 * What PyTorch's allocator holds of a GPU when a step has peaked, in bytes. A freed block serves its own stream alone. FSDP2
 * gathers and reduces on streams of their own, so the largest buffers and the gradients' shards are held even while the peak
 * of the compute stream needs neither; and the hole that 16-bit logits leave is too small for their fp32 copies. Elsewhere
 * reserved over allocated is a measured ratio.
 */
export function reservedBytes(
  moments: readonly Moment[],
  operations: Operations,
  run: TrainingRun,
  stage: Stage,
): number {
  const allocated = Math.max(...moments.map(totalOf));
  const streams = frameworks[run.framework].gathers === 'fully_shard' && isSharded(run, 'weights');
  if (!streams) return allocated * ratio(run);
  const compute = Math.max(...moments.map((moment) => totalOf(moment) - onOtherStreams(moment)));
  const { buffers } = gatheredOf(operations, run, stage);
  const { gradients } = statesOfStage(operations, run, stage);
  const expandable = run.expandableSegments !== false;
  const held = compute * (expandable ? streamedFragmentation.expandable : streamedFragmentation.fixed);
  return Math.max(allocated, held + buffers + gradients + (stage.head ? lossHole(operations, run) : 0));
}

const ratio = (run: TrainingRun): number =>
  run.expandableSegments === true ? 1.03 : frameworks[run.framework].fragmentation;

const onOtherStreams = ({ shares }: Moment): number =>
  shares.reduce((sum, [component, part, bytes]) => {
    const elsewhere = component === 'gradients' || part === 'gather_buffer';
    return sum + (elsewhere ? bytes : 0);
  }, 0);
