import { frameworks } from '../facts/frameworks.ts';
import type { Linear, Operations } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import { savedTensors, tokensOf, total } from './activations.ts';
import { streamBytes } from './kept.ts';

const e = 2;

/** The output's product, the loss and their backward pass on the last stage: bytes besides what the layers keep. */
export function lossBytes(operations: Operations, run: TrainingRun): number {
  const head = operations.head.find(
    (operation): operation is Linear => operation.kind === 'linear' && operation.component === 'output',
  );
  if (head === undefined) return 0;
  return frameworks[run.framework].saves === 'fused' ? megatron(head, run) : torch(head, operations, run);
}

/** Logits of a micro-batch that stand at once on one GPU: vocabulary-parallel, and in chunks where the loss is. */
function logitsOf({ columns: V }: Linear, run: TrainingRun): number {
  return (tokensOf(run).tensor * V) / run.parallelism.tensor / Math.max(1, run.lossChunks ?? 1);
}

/** Megatron-Core: logits with their loss, or the output's backward pass, whichever is larger. */
function megatron(head: Linear, run: TrainingRun): number {
  const { lossBytes: each, dummyGradients } = frameworks[run.framework];
  const { rows: D, columns: V } = head;
  const { tensor, sequenceParallel } = run.parallelism;
  const tokens = tokensOf(run);
  const logits = logitsOf(head, run);
  const input = e * D * tokens.residual;
  const gathered = sequenceParallel ? e * D * tokens.tensor : 0;
  const fused = typeof each.fused === 'number' ? each.fused : 0;
  const loss = (run.fusedCrossEntropy ? fused : each.whole) * logits + 2 * input + gathered;
  const dummy = dummyGradients ? (e * D * V) / tensor : 0;
  return Math.max(loss, e * logits + dummy + 2 * e * D * tokens.tensor + input);
}

/** PyTorch: the final norm and the output's input, then the loss forward and backward, then the output's backward pass. */
function torch(head: Linear, operations: Operations, run: TrainingRun): number {
  const { lossBytes: each } = frameworks[run.framework];
  const { rows: D, columns: V } = head;
  const { tensor } = run.parallelism;
  const tokens = tokensOf(run);
  const logits = logitsOf(head, run);
  const hidden = e * D * tokens.tensor;
  const trained = run.lora === undefined;
  // The norm, and the input that the output's weight gradient reads.
  const kept = total(savedTensors(operations.head, { ...run, recompute: 'none' })) + (trained ? hidden : 0);
  const width = run.precision === 'fp32' ? 2 : 1;
  // A product under autocast makes a 16-bit gradient and casts it to fp32.
  const weightGradient = trained ? ((streamBytes(run) === 4 && width === 1 ? 6 : e * width) * D * V) / tensor : 0;
  if (run.fusedCrossEntropy) {
    const rows = Math.min(tokens.tensor, powerOfTwo(tokens.tensor / powerOfTwo(V / D)));
    // Liger: gradients of the hidden states and of the weight, and one chunk of logits whose gradient takes its place.
    return kept + hidden + weightGradient + (e * rows * V) / tensor;
  }
  // Vocabulary-parallel: log-probabilities, the one-hot gradient, their sum and its product with what comes from above.
  const bytes = tensor > 1 && run.framework === 'fsdp' ? 16 : run.compile ? each.compiled : each.whole;
  const backward = e * width * logits + hidden + weightGradient;
  return kept + Math.max(bytes * logits, backward) + (run.lossChunks === undefined ? 0 : hidden);
}

/** The next power of two. */
const powerOfTwo = (value: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, value)));
