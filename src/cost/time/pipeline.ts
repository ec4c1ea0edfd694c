import { frameworkExecution } from '../../facts/frameworks.ts';
import { bytesOf } from '../../facts/precisions.ts';
import { pipelines } from '../../facts/steps.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import type { Context } from './context.ts';

/** Seconds that a micro-batch's transfers between stages are seen for, there and back. */
export function transferSeconds(operations: Operations, run: TrainingRun, context: Context): number {
  const { virtualPipeline: v, tensor } = run.parallelism;
  const { chip, step, network, kernels } = context;
  const sent = frameworkExecution[run.framework].sendsShares ? context.T / tensor : context.t;
  const bytes = bytesOf.bf16 * residualWidth(operations) * sent;
  const far = run.gpus > chip.fast.domain && network !== null;
  const rate = far ? network * step.transferShare : kernels.collectives.gather.bandwidth;
  // Only virtual stages leave room for a transfer beside other work (Megatron-LM overlaps them in the interleaved schedule alone).
  return 2 * v * (pipelines.hop + bytes / rate) * (v > 1 ? step.pipelineExposed : 1);
}

/** Elements of the residual stream for one token. */
export function residualWidth(operations: Operations): number {
  for (const { operations: list } of operations.layers) {
    const found = list.find((operation) => operation.kind === 'add');
    if (found?.kind === 'add') return found.output.elements;
  }
  return 0;
}

/** Idle time in units of one stage's forward and backward pass: 1F1B (P - 1) / v; zero bubble a third of it; DualPipe half. */
export function bubbleShare(run: TrainingRun): number {
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
