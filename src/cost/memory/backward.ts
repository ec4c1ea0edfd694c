import { backwardBytes, writtenOutGelu } from '../../facts/memory.ts';
import type { Linear, Operation, Tensor } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { adapterBytes, isTarget } from '../count/lora.ts';
import { tokensOf } from '../placement.ts';
import { elementBytes, executionOf, type Saved, tensorBytes, writesScores } from './activations.ts';
import { residualWidth, streamBytes } from './recompute.ts';

/** Bytes of a 16-bit element. */
const e = 2;

/** Bytes of a weight's gradient, besides what the states count: while its product runs, and from then on. */
export type WeightGradient = { readonly making: number; readonly after: number };

/**
 * The most bytes that are alive while the backward pass goes through one layer: activations that it has not used yet, the
 * gradients of tensors that wait for the operation before, and those of its weights, as far as the states do not count them.
 *
 * @param saved without any recompute
 */
export function backwardPeak(
  list: readonly Operation[],
  run: TrainingRun,
  weightGradient: (operation: Operation) => WeightGradient,
  saved: readonly Saved[],
): number {
  // Gradients of tensors, by name, that wait for the operation that made the tensor.
  const waiting = new Map<string, number>();
  let live = saved.reduce((sum, { bytes }) => sum + bytes, streamGradient(list, run));
  let peak = live;
  for (const operation of list.toReversed()) {
    const gradients = inputGradients(operation, run);
    const made = gradients.reduce((sum, [, bytes]) => sum + bytes, workspace(operation, run));
    const weight = weightGradient(operation);
    peak = Math.max(peak, live + made + weight.making);
    for (const [{ name, stream }, bytes] of gradients) {
      // What reads a tensor second adds to the gradient that waits; a gradient of the residual stream is added to the stream's.
      if (waiting.has(name) || stream !== undefined) continue;
      waiting.set(name, bytes);
      live += bytes;
    }
    live += weight.after;
    if ('output' in operation) {
      live -= waiting.get(operation.output.name) ?? 0;
      waiting.delete(operation.output.name);
    }
    for (const { by, bytes } of saved) if (by === operation) live -= bytes;
  }
  return peak;
}

/** Bytes of the residual stream's gradient, which lives through the whole layer. */
function streamGradient(list: readonly Operation[], run: TrainingRun): number {
  const tokens = tokensOf(run);
  return streamBytes(run) * residualWidth(list) * (executionOf(run).gathered ? tokens.residual : tokens.tensor);
}

/** The gradients that an operation computes of what it reads, with their bytes. */
export function inputGradients(operation: Operation, run: TrainingRun): readonly (readonly [Tensor, number])[] {
  const tokens = tokensOf(run);
  const { tensor: tp } = run.parallelism;
  // What a column-wise matrix reads is gathered, so its gradient is whole until it is reduced.
  const gathered = executionOf(run).gathered && isColumn(operation);
  return gradientsOf(operation).map((tensor) => [
    tensor,
    (gathered && tensor.region === 'residual' ? tp : 1) * tensorBytes(tensor, elementBytes(run), tokens, tp),
  ]);
}

const isColumn = (operation: Operation): boolean => operation.kind === 'linear' && operation.sharding === 'column';

/** The tensors that an operation computes a gradient of; the loss makes its own, and an indexer none. */
const gradientsOf = (operation: Operation): readonly Tensor[] =>
  operation.kind === 'loss' || (operation.kind === 'attention' && operation.variant === 'indexer')
    ? []
    : readsOf(operation);

/** The tensors of the layer that an operation reads, but for the stream that a sum reads. */
export function readsOf(operation: Operation): readonly Tensor[] {
  switch (operation.kind) {
    case 'attention':
      return [operation.query, operation.key, operation.value];
    case 'activation':
      return operation.gate ? [operation.input, operation.gate] : [operation.input];
    case 'rope':
      return [operation.query, operation.key];
    case 'linear':
    case 'norm':
    case 'route':
    case 'dispatch':
    case 'combine':
    case 'scan':
    case 'loss':
      return [operation.input];
    case 'add':
    case 'table':
    case 'vector':
      return [];
  }
}

/** What an operation's backward pass allocates besides its gradients, in bytes. */
export function workspace(operation: Operation, run: TrainingRun): number {
  const tokens = tokensOf(run);
  const { tensor: tp } = run.parallelism;
  switch (operation.kind) {
    case 'attention': {
      if (operation.variant === 'indexer') return 0;
      if (writesScores(operation, run))
        return (
          (backwardBytes.scores * operation.heads * run.sequenceLength * tokens.tensor) / run.parallelism.context / tp
        );
      // Flash attention adds up the queries' gradient in fp32 (Dao 2023, arXiv:2307.08691, algorithm 2).
      return tensorBytes(operation.query, backwardBytes.query, tokens, tp) + ring(operation, run);
    }
    case 'norm':
      // Four fp32 steps of a norm that is written out are alive at once: the gradient of x over its root, of the root, of the
      // square and of x.
      return executionOf(run).normsWrittenOut && (operation.style === 'rms' || operation.upcast === 'weight')
        ? tensorBytes(operation.input, backwardBytes.norm, tokens, tp)
        : 0;
    case 'activation':
      return executionOf(run).style === 'fused'
        ? 0
        : tensorBytes(operation.input, stepBytes(operation, run), tokens, tp);
    case 'linear':
      return adapterWorkspace(operation, run) + unpacked(operation, run) + regathered(operation, run);
    case 'dispatch':
    case 'combine': {
      // Rows that arrive from other ranks are alive beside those that were sent.
      const rows = operation.kind === 'dispatch' ? operation.output : operation.input;
      return run.parallelism.expert > 1 ? tensorBytes(rows, e, tokens, tp) : 0;
    }
    default:
      return 0;
  }
}

/** Bytes of an element of gradients of an activation's steps that are alive at once, besides that of its input, where it is written out. */
function stepBytes(operation: Extract<Operation, { kind: 'activation' }>, run: TrainingRun): number {
  if (operation.function === 'relu2') return 2 * elementBytes(run);
  if (operation.function === 'gelu_new' && executionOf(run).widens)
    return run.recompute === 'full' ? writtenOutGelu.gradientsRecomputed : writtenOutGelu.gradients;
  return operation.function === 'gelu_new' || operation.function === 'gelu_fast' ? elementBytes(run) : 0;
}

/** Bytes of the gradient that a row-wise matrix gets, gathered over the ranks that share its rows. */
function regathered(operation: Linear, run: TrainingRun): number {
  if (!executionOf(run).gathered || operation.sharding !== 'row') return 0;
  return elementBytes(run) * operation.output.elements * tokensOf(run).tensor;
}

/** Bytes of two chunks of keys and values of its neighbours that ring attention holds, and of their gradients. */
function ring(operation: Extract<Operation, { kind: 'attention' }>, run: TrainingRun): number {
  if (run.parallelism.context === 1 || run.contextParallelStyle === 'all_to_all') return 0;
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  return 2 * (tensorBytes(operation.key, e, tokens, tensor) + tensorBytes(operation.value, e, tokens, tensor));
}

/** Bytes of the gradients of an adapter's input and output, in the adapter's dtype. */
function adapterWorkspace(operation: Linear, run: TrainingRun): number {
  if (run.lora === undefined || !isTarget(operation, run.lora)) return 0;
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  const bytes = executionOf(run).widens ? e : adapterBytes(run);
  return tensorBytes(operation.input, bytes, tokens, tensor) + tensorBytes(operation.output, bytes, tokens, tensor);
}

/** Bytes of a base weight that is stored in 8 or 4 bits, unpacked to 16 for its product. */
function unpacked(operation: Linear, run: TrainingRun): number {
  const bits = run.lora?.baseBits ?? 16;
  return bits < 16 && operation.copies === 1 ? (e * operation.rows * operation.columns) / run.parallelism.tensor : 0;
}
