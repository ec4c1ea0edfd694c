import type { Accelerator } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import type { TimePart } from '../../model/estimate.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isLow } from './context.ts';
import { type Parts, partNames } from './parts.ts';

/** What would reduce each part, in general. */
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

/** What each part is called in a sentence. */
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

/** A line of the run description, and the fields that it states. */
type Line = readonly [words: string, fields: Partial<TrainingRun>];
type Proposal = (run: TrainingRun, chip: Accelerator) => Line | undefined;

const fusedLoss: Line = ['fused_cross_entropy: true', { fusedCrossEntropy: true }];

const largerBatch: Proposal = ({ globalBatchSize }) => [
  `global_batch_size: ${2 * globalBatchSize}`,
  { globalBatchSize: 2 * globalBatchSize },
];

/** Which single line of the run description would shrink each part; none for parts that no single line does. */
const proposals: { readonly [part in TimePart]?: Proposal } = {
  matrix_products: (run, chip) =>
    chip.densePeak.fp8 === undefined || isLow(run) ? undefined : ['precision: fp8', { precision: 'fp8' }],
  attention: (run, chip) => {
    if (!run.flashAttention) return ['flash_attention: true', { flashAttention: true }];
    const older = chip.generation === 'hopper' && frameworkExecution[run.framework].attentionOnHopper !== 'cudnn';
    return older && run.attentionKernel !== 'cudnn'
      ? ['attention_kernel: cudnn', { attentionKernel: 'cudnn' }]
      : undefined;
  },
  memory_bound: (run) => {
    const { decidedBy } = frameworkExecution[run.framework].profile;
    if (run[decidedBy]) return undefined;
    if (decidedBy === 'fusedCrossEntropy') return fusedLoss;
    return decidedBy === 'compile' ? ['compile: true', { compile: true }] : undefined;
  },
  loss: (run) => (run.fusedCrossEntropy ? undefined : fusedLoss),
  recompute: () => ['recompute: none', { recompute: 'none' }],
  exposed_tensor: (run) =>
    run.overlapTensorParallel === true ? undefined : ['overlap_tensor_parallel: true', { overlapTensorParallel: true }],
  exposed_data: (run, chip) => (run.sharding === 'full' ? undefined : largerBatch(run, chip)),
  bubble: (run, chip) =>
    run.parallelism.virtualPipeline === 1 && run.pipelineSchedule === undefined
      ? ['parallelism.virtual_pipeline: 2', { parallelism: { ...run.parallelism, virtualPipeline: 2 } }]
      : largerBatch(run, chip),
  optimizer: (run, chip) =>
    run.sharding === 'none' && run.gpus > 1
      ? ['sharding: optimizer', { sharding: 'optimizer' }]
      : largerBatch(run, chip),
  host: (run) =>
    run.cudaGraphs === true || !frameworkExecution[run.framework].cudaGraphs
      ? undefined
      : ['cuda_graphs: true', { cudaGraphs: true }],
};

/** What one line of the run description could do about a part of the step; undefined where no single line would. */
export function remedyFor(part: TimePart, run: TrainingRun, chip: Accelerator): Remedy | undefined {
  const line = proposals[part]?.(run, chip);
  return line && { words: line[0], run: { ...run, ...line[1] } };
}

/**
 * One sentence: the bottleneck, and what would reduce it.
 *
 * @param step seconds
 * @param gain in tokens per second that the remedy would bring, as a ratio
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
