import type { Accelerator } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import type { TimePart } from '../../model/estimate.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isLow } from './context.ts';
import { type Parts, partNames } from './parts.ts';

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

/** Share of the step from which a part is worth naming, and gain in tokens per second from which a remedy is. */
const notable = 0.05;
const worthwhile = 0.01;

/** Of what is not matrix products, the largest part; matrix products where no other takes 5 % of the step. */
export function largestLoss(parts: Parts, step: number): TimePart {
  const [largest = 'memory_bound'] = partNames
    .filter((part) => part !== 'matrix_products')
    .sort((a, b) => parts[b] - parts[a]);
  return parts[largest] < notable * step ? 'matrix_products' : largest;
}

/** A change of the run that the advice amounts to, as a user would write it. */
export type Remedy = { readonly words: string; readonly run: TrainingRun };

/** What one line of the run description could do about a loss; undefined where no single line would. */
export function remedyFor(part: TimePart, run: TrainingRun, chip: Accelerator): Remedy | undefined {
  const change = (words: string, changed: Partial<TrainingRun>): Remedy => ({ words, run: { ...run, ...changed } });
  const { parallelism } = run;
  const { attentionOnHopper, profile, cudaGraphs } = frameworkExecution[run.framework];
  const batch = 2 * run.globalBatchSize;
  const larger = change(`global_batch_size: ${batch}`, { globalBatchSize: batch });
  switch (part) {
    case 'matrix_products':
      return chip.densePeak.fp8 !== undefined && !isLow(run)
        ? change('precision: fp8', { precision: 'fp8' })
        : undefined;
    case 'attention':
      if (!run.flashAttention) return change('flash_attention: true', { flashAttention: true });
      return chip.generation === 'hopper' && attentionOnHopper !== 'cudnn' && run.attentionKernel !== 'cudnn'
        ? change('attention_kernel: cudnn', { attentionKernel: 'cudnn' })
        : undefined;
    case 'memory_bound':
      if (run[profile.decidedBy]) return undefined;
      if (profile.decidedBy === 'fusedCrossEntropy')
        return change('fused_cross_entropy: true', { fusedCrossEntropy: true });
      return profile.decidedBy === 'compile' ? change('compile: true', { compile: true }) : undefined;
    case 'loss':
      return run.fusedCrossEntropy ? undefined : change('fused_cross_entropy: true', { fusedCrossEntropy: true });
    case 'recompute':
      return change('recompute: none', { recompute: 'none' });
    case 'exposed_tensor':
      return run.overlapTensorParallel === true
        ? undefined
        : change('overlap_tensor_parallel: true', { overlapTensorParallel: true });
    case 'bubble':
      return parallelism.virtualPipeline === 1 && run.pipelineSchedule === undefined
        ? change('parallelism.virtual_pipeline: 2', { parallelism: { ...parallelism, virtualPipeline: 2 } })
        : larger;
    case 'host':
      return run.cudaGraphs === true || !cudaGraphs ? undefined : change('cuda_graphs: true', { cudaGraphs: true });
    case 'optimizer':
      return run.sharding === 'none' && run.gpus > 1
        ? change('sharding: optimizer', { sharding: 'optimizer' })
        : larger;
    case 'exposed_data':
      return run.sharding === 'full' ? undefined : larger;
    case 'exposed_context':
    case 'exposed_expert':
    case 'exposed_pipeline':
    case 'jitter':
      return undefined;
  }
}

/**
 * One sentence: the largest loss, and what would reduce it.
 *
 * @param gain of tokens per second that a remedy would bring, as a ratio
 */
export function bottleneckOf(parts: Parts, step: number, remedy?: Remedy, gain = 0): string {
  const part = largestLoss(parts, step);
  const share = (one: TimePart) => Math.round((100 * parts[one]) / step);
  const worth =
    remedy === undefined || gain < worthwhile
      ? ''
      : `; "${remedy.words}" would give ${Math.round(100 * gain)} % more tokens per second`;
  if (part === 'matrix_products')
    return `Matrix products take ${share(part)} % of the step and nothing else more than 5 %: ${advice[part]}${worth}.`;
  return `Besides matrix products (${share('matrix_products')} % of the step), most goes to ${losses[part]} (${share(part)} %): ${advice[part]}${worth}.`;
}
