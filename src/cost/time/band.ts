import { frameworkExecution } from '../../facts/frameworks.ts';
import { bands } from '../../facts/steps.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { seesBothWays } from '../memory/band.ts';
import { type Context, isLow } from './layer.ts';

/**
 * Half width of the band (as a log ratio) that nine of ten measured runs of a kind stay within, wider for each fact that the run
 * leaves open, and what it rests on (docs/mfu.md).
 */
export function trust(
  operations: Operations,
  run: TrainingRun,
  context: Context,
): { readonly band: number; readonly basis: string } {
  const execution = frameworkExecution[run.framework];
  const sparse = operations.layers.some(({ operations: list }) =>
    list.some((operation) => operation.kind === 'dispatch'),
  );
  const kind =
    execution.eagerFineTuning || run.lora !== undefined
      ? 'fineTuning'
      : sparse
        ? 'sparse'
        : isLow(run)
          ? 'low'
          : 'dense';
  const { tensor, context: ring } = run.parallelism;
  const open = [
    tensor > 1 && run.overlapTensorParallel === undefined ? 'whether tensor-parallel collectives overlap' : '',
    run.gpus > context.chip.fast.domain && run.interNodeGbpsPerGpu === undefined ? 'the network' : '',
    execution.attentionKernelVaries && run.flashAttention && run.attentionKernel === undefined
      ? 'the attention kernel'
      : '',
    sparse && run.cudaGraphs === undefined ? 'CUDA graphs' : '',
  ].filter((one) => one !== '');
  let band: number = bands[kind].width + bands.open * open.length;
  const basis: string[] = [bands[kind].name];
  if (context.kernels.confidence === 'derived') {
    band += bands.derived;
    basis.push(`kernel constants of ${context.chip.name} are derived, not measured`);
  }
  if (ring > 1 && execution.ringOfPyTorch && run.sequenceLength >= bands.ring.tokens) {
    band += bands.ring.width;
    basis.push('ring attention over long sequences');
  }
  if (operations.layers.some(({ operations: list }) => list.some(seesBothWays))) {
    band += bands.derived;
    basis.push('no measured run has attention that sees both ways');
  }
  if (open.length > 0) basis.push(`not stated: ${open.join(', ')}`);
  if (run.calibration !== undefined) {
    band = Math.min(band, bands[kind].calibrated);
    basis.push(`scaled by ${run.calibration.toFixed(2)} after a measured run`);
  }
  return { band, basis: basis.join('; ') };
}
