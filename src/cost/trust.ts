import { bands } from '../facts/kernels.ts';
import type { Operations } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import type { TimePart } from './estimate.ts';
import { type Context, isLow, type Parts, partNames } from './layer.ts';

const advice: Readonly<Record<TimePart, string>> = {
  matrix_products:
    'larger matrices for each GPU (a larger micro-batch, less tensor parallelism) or a lower precision would raise it',
  attention: 'a newer attention kernel, a shorter sequence or a sliding window would shorten it',
  memory_bound: 'fused norms and activations (torch.compile, Transformer Engine) would shorten it',
  loss: 'a fused cross-entropy would shorten it',
  recompute: 'recomputing less, where memory allows, would save it',
  exposed_tensor: 'less tensor parallelism, or overlapping its collectives, would hide it',
  exposed_context: 'less context parallelism would hide it',
  exposed_expert: 'keeping expert parallelism within the fast domain, or overlapping its exchange, would hide it',
  exposed_pipeline: 'fewer pipeline stages would save it',
  exposed_data: 'a larger batch for each step, or fewer shards, would hide it',
  bubble: 'more micro-batches for each step, or virtual pipeline stages, would fill it',
  optimizer: 'a larger batch, or dividing the optimizer over data parallelism, would shrink its share',
  host: 'CUDA graphs or larger micro-batches would keep the GPU from waiting for the host',
  jitter: 'it comes with the number of nodes',
};

const losses: Readonly<Record<TimePart, string>> = {
  matrix_products: 'matrix products',
  attention: 'attention kernels',
  memory_bound: 'memory-bound kernels (norms, activations, residuals)',
  loss: 'the loss over the vocabulary',
  recompute: 'recomputed activations',
  exposed_tensor: 'exposed tensor-parallel collectives',
  exposed_context: 'exposed context-parallel exchange',
  exposed_expert: 'exposed expert exchange',
  exposed_pipeline: 'exposed pipeline transfers',
  exposed_data: 'exposed data-parallel collectives',
  bubble: 'the pipeline bubble',
  optimizer: 'the optimizer step',
  host: 'waiting for the host',
  jitter: 'differences between nodes',
};

/** Of what is not matrix products, the largest loss, and what would reduce it. One sentence. */
export function limitOf(parts: Parts, step: number): string {
  const share = (part: TimePart) => Math.round((100 * parts[part]) / step);
  const [largest = 'memory_bound'] = partNames
    .filter((part) => part !== 'matrix_products')
    .sort((a, b) => parts[b] - parts[a]);
  if (parts[largest] < 0.05 * step)
    return `Matrix products take ${share('matrix_products')} % of the step and nothing else more than 5 %: ${advice.matrix_products}.`;
  return `Besides matrix products (${share('matrix_products')} % of the step), most goes to ${losses[largest]} (${share(largest)} %): ${advice[largest]}.`;
}

/**
 * Half width of the band (as a log ratio) that nine of ten measured runs of a kind stay within, wider for each fact that the run
 * leaves open, and what it rests on (docs/mfu.md).
 */
export function trust(
  operations: Operations,
  run: TrainingRun,
  context: Context,
): { readonly band: number; readonly basis: string } {
  const sparse = operations.layers.some(({ operations: list }) =>
    list.some((operation) => operation.kind === 'dispatch'),
  );
  const kind =
    run.framework === 'transformers' || run.lora !== undefined
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
    run.framework === 'fsdp' && run.flashAttention && run.attentionKernel === undefined ? 'the attention kernel' : '',
    sparse && run.cudaGraphs === undefined ? 'CUDA graphs' : '',
  ].filter((one) => one !== '');
  let band: number = bands[kind].width + bands.open * open.length;
  const basis: string[] = [bands[kind].name];
  if (context.kernels.confidence === 'derived') {
    band += bands.derived;
    basis.push(`kernel constants of ${context.chip.name} are derived, not measured`);
  }
  if (ring > 1 && run.framework !== 'megatron' && run.sequenceLength >= bands.ring.tokens) {
    band += bands.ring.width;
    basis.push('ring attention over long sequences');
  }
  if (open.length > 0) basis.push(`not stated: ${open.join(', ')}`);
  if (run.calibration !== undefined) {
    band = Math.min(band, bands[kind].calibrated);
    basis.push(`scaled by ${run.calibration.toFixed(2)} after a measured run`);
  }
  return { band, basis: basis.join('; ') };
}
