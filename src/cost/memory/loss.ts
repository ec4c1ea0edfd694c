import { frameworks } from '../../facts/frameworks.ts';
import type { Linear, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { outputProjection } from '../count/weights.ts';
import { tokensOf } from '../placement.ts';
import { elementBytes, isAutocast, savedTensors, total } from './activations.ts';
import { layerActivations } from './recompute.ts';

/** Bytes of a 16-bit element. */
const e = 2;

/** The most bytes that output product and loss allocate in the forward pass, and from there to the backward pass of the last layer. */
export type LossBytes = { readonly forward: number; readonly backward: number };

const nothing: LossBytes = { forward: 0, backward: 0 };

/** On the stage with the output, besides what its layers save. */
export function lossBytes(operations: Operations, run: TrainingRun): LossBytes {
  const head = outputProjection(operations);
  if (head === undefined) return nothing;
  return frameworks[run.framework].saves === 'fused' ? megatron(head, run) : torch(head, operations, run);
}

/** The loss is inside of what torch.compile compiles, so that no fp32 copy of the logits is written. */
export const compilesLoss = (run: TrainingRun): boolean =>
  run.compileLoss ?? (run.compile && frameworks[run.framework].compilesLoss);

/** Logits of a micro-batch that are alive at once on one GPU: vocabulary-parallel, and in chunks where the loss is. */
export function logitsOf({ columns: V }: Linear, run: TrainingRun): number {
  return (tokensOf(run).tensor * V) / run.parallelism.tensor / Math.max(1, run.lossChunks ?? 1);
}

/** Megatron-Core: logits with their loss, then the output's backward pass. */
function megatron(head: Linear, run: TrainingRun): LossBytes {
  const { lossBytes: each, dummyGradients } = frameworks[run.framework];
  const { rows: D, columns: V } = head;
  const { tensor, sequenceParallel } = run.parallelism;
  const tokens = tokensOf(run);
  const logits = logitsOf(head, run);
  const input = e * D * tokens.residual;
  const gathered = sequenceParallel ? e * D * tokens.tensor : 0;
  const fused = typeof each.fused === 'number' ? each.fused : each.whole;
  const dummy = dummyGradients ? (e * D * V) / tensor : 0;
  return {
    forward: (run.fusedCrossEntropy ? fused : each.whole) * logits + 2 * input + gathered,
    backward: e * logits + dummy + 2 * e * D * tokens.tensor + input,
  };
}

/** PyTorch: the final norm and the output's input, then the loss forward and backward, then the output's backward pass. */
function torch(head: Linear, operations: Operations, run: TrainingRun): LossBytes {
  const { lossBytes: each } = frameworks[run.framework];
  const { rows: D, columns: V } = head;
  const { tensor } = run.parallelism;
  const tokens = tokensOf(run);
  const own = elementBytes(run);
  const logits = logitsOf(head, run);
  const hidden = own * D * tokens.tensor;
  const trained = run.lora === undefined;
  // What the final norm saves, and the input that the output's weight gradient reads.
  const saved = total(savedTensors(operations.head, { ...run, recompute: 'none' })) + (trained ? hidden : 0);
  // A product under autocast makes a 16-bit gradient and casts it to fp32.
  const gradient = trained ? ((isAutocast(run) ? 6 : own) * D * V) / tensor : 0;
  if (run.fusedCrossEntropy && each.fused === 'chunked') {
    // Liger: gradients of the hidden states and of the weight, and a chunk of logits whose gradient takes its place
    // (linkedin/Liger-Kernel, ops/fused_linear_cross_entropy.py).
    const rows = Math.min(tokens.tensor, powerOfTwo(tokens.tensor / Math.ceil(V / D)));
    const chunk = saved + hidden + gradient + (e * rows * V) / tensor;
    return { forward: chunk, backward: chunk };
  }
  // The tanh of softcapped logits is saved for its own backward pass.
  const capped = operations.head.some((one) => one.kind === 'loss' && one.softcapped === true) ? own * logits : 0;
  const chunked = run.lossChunks === undefined ? 0 : hidden;
  const whole = compilesLoss(run) ? each.compiled : each.whole;
  const bytes = tensor > 1 ? (each.vocabularyParallel ?? whole) : whole;
  const product = own * logits + hidden + gradient;
  return {
    // Logits, their fp32 copy and its log-softmax.
    forward: saved + capped + chunked + Math.min(bytes, (own < 4 ? own : 0) + 8) * logits,
    backward: saved + chunked + Math.max(capped + bytes * logits, product),
  };
}

/**
 * Bytes that multi-token prediction saves on the last stage until its backward pass: its layers, and for each of its losses the
 * softmax of its logits, which are the output's once more.
 */
export function savedByPrediction(operations: Operations, run: TrainingRun): number {
  const head = outputProjection(operations);
  if (head === undefined) return 0;
  const softmax = (run.fusedCrossEntropy ? e : 4) * logitsOf(head, run) * operations.predictionDepth;
  return layerActivations(operations.prediction, run, 1).saved + softmax;
}

/**
 * Bytes of fragmentation that 16-bit logits leave behind when their loss is computed on an fp32 copy: a freed block that nothing
 * else fits into. The vocabulary-parallel loss leaves a second one (scripts/oracle/allocator.py).
 */
export function logitsFragmentation(operations: Operations, run: TrainingRun): number {
  const head = outputProjection(operations);
  const whole = !compilesLoss(run) && !run.fusedCrossEntropy && run.lossChunks === undefined && elementBytes(run) < 4;
  const blocks = run.parallelism.tensor > 1 ? 2 : 1;
  return head !== undefined && whole ? blocks * elementBytes(run) * logitsOf(head, run) : 0;
}

/** Bytes of one fp32 tensor as large as the logits, where the loss makes such. */
export function fp32Logits(operations: Operations, run: TrainingRun): number {
  const head = outputProjection(operations);
  return head === undefined || compilesLoss(run) || run.fusedCrossEntropy ? 0 : 4 * logitsOf(head, run);
}

/** The next power of two. */
const powerOfTwo = (value: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, value)));
