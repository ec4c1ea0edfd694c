import type { Operation, Tensor } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import { isTarget } from './lora.ts';

/** Bytes of a 16-bit activation. */
const e = 2;

/** How many tokens' worth of each region one GPU holds of a micro-batch. */
export type Tokens = {
  /** that enter a tensor-parallel region */
  readonly tensor: number;
  /** of the residual stream: divided by sequence parallelism */
  readonly residual: number;
  /** whose rows are sent to the experts of this GPU, for each of a token's k choices */
  readonly routed: number;
};

export function tokensOf(run: TrainingRun): Tokens {
  const { tensor, context, sequenceParallel } = run.parallelism;
  const entering = (run.microBatchSize * run.sequenceLength) / context;
  const residual = sequenceParallel ? entering / tensor : entering;
  return { tensor: entering, residual, routed: residual * (run.capacityFactor ?? run.expertImbalance) };
}

/** Bytes of a tensor on one GPU. */
export function tensorBytes(tensor: Tensor, bytesEach: number, tokens: Tokens, tensorParallel: number): number {
  switch (tensor.region) {
    case 'residual':
      return bytesEach * tensor.elements * tokens.residual;
    case 'tensor':
      return (bytesEach * tensor.elements * tokens.tensor) / tensorParallel;
    case 'routed':
      return bytesEach * tensor.elements * tokens.routed;
  }
}

/** A tensor kept for the backward pass: its name within the layer tells shared storage, so each is counted once. */
export type Saved = { readonly name: string; readonly bytes: number; readonly by: Operation };

/**
 * What one layer keeps of a micro-batch, operation by operation.
 *
 * `fused` (Megatron-Core with Transformer Engine): norms keep their input, matrices theirs, gated activations both halves,
 * flash attention q, k, v, its output and one fp32 log-sum-exp for each head. `eager` (Hugging Face Transformers, checked
 * against autograd, `scripts/oracle/saved_tensors.py`): RMSNorm keeps an fp32 copy and the normalised tensor besides, SiLU
 * its output.
 */
export function savedTensors(
  operations: readonly Operation[],
  run: TrainingRun,
  style: 'fused' | 'eager',
): readonly Saved[] {
  const tokens = tokensOf(run);
  const { tensor: tp } = run.parallelism;
  const kept = new Map<string, Saved>();
  const dropped = new Set(
    run.recompute === 'selective' && style === 'fused' ? (run.recomputeModules ?? ['core_attn']) : [],
  );
  const lowPrecision = run.precision === 'fp8' || run.precision === 'mxfp8' || run.precision === 'fp4';
  for (const operation of operations) {
    const keep = (tensor: Tensor, bytesEach = e, name = tensor.name) => {
      if (!kept.has(name)) kept.set(name, { name, bytes: tensorBytes(tensor, bytesEach, tokens, tp), by: operation });
    };
    switch (operation.kind) {
      case 'norm':
        keepNorm(operation, style, keep);
        break;
      case 'linear': {
        // Transformer Engine keeps the fp8 copy of a matrix's input in place of the 16-bit one.
        const quantized = style === 'fused' && lowPrecision && operation.component !== 'router';
        if (operation.component === 'output') break;
        if (style === 'fused' && dropped.has('layernorm') && operation.input.name.startsWith('norm')) break;
        if (style === 'fused' && dropped.has('moe_act') && operation.input.name === 'expert_act') break;
        if (
          style === 'fused' &&
          dropped.has('mlp') &&
          operation.component === 'feed_forward' &&
          operation.path.endsWith('down')
        )
          break;
        if (style === 'eager' && frozenInput(operation, run)) break;
        keep(operation.input, quantized ? 1 : e);
        break;
      }
      case 'activation':
        if (style === 'fused' && dropped.has('mlp') && operation.component === 'feed_forward') break;
        // ReLU's gradient needs its output alone, which the next matrix keeps anyway.
        if (style === 'fused' || operation.function !== 'relu') keep(operation.input);
        if (operation.gate) keep(operation.gate);
        // GPT-2's GELU is written out in steps; three more of them keep a tensor.
        if (style === 'eager' && operation.function === 'gelu_new')
          keep(operation.input, 3 * e, `${operation.path}_steps`);
        if (style === 'eager' && operation.gated) keep(operation.output, e, `${operation.output.name}_gate`);
        break;
      case 'attention':
        if (operation.valueDim === 0) break;
        keep(operation.query);
        keep(operation.key);
        keep(operation.value);
        if (run.flashAttention || (run.recompute === 'selective' && style === 'fused')) {
          keep(operation.output);
          keep({ name: `${operation.path}_lse`, elements: operation.heads, region: 'tensor' }, 4);
        } else {
          const scores = (operation.heads * run.sequenceLength) / run.parallelism.context;
          const masks = run.dropout === true ? 2 * e + 1 : e;
          keep({ name: `${operation.path}_scores`, elements: scores, region: 'tensor' }, masks);
          keep(operation.output);
        }
        break;
      case 'route':
        keep(
          { name: `${operation.path}_probabilities`, elements: operation.experts, region: 'residual' },
          style === 'fused' ? 9 : 4,
        );
        break;
      case 'dispatch':
        // Probabilities, and the maps of rows there and back.
        keep(
          { name: `${operation.path}_maps`, elements: operation.active, region: 'routed' },
          style === 'fused' ? 12 : 40,
        );
        if (style === 'eager')
          keep({ name: `${operation.path}_weighted`, elements: operation.active * operation.width, region: 'routed' });
        break;
      case 'scan':
        keep(operation.input);
        keep(operation.output);
        break;
      case 'add':
        if (run.dropout === true) keep(operation.output, 1, `${operation.output.name}_mask`);
        break;
      case 'table':
        keep({ name: operation.path, elements: operation.used, region: 'tensor' }, 8);
        break;
      case 'combine':
      case 'rope':
      case 'vector':
      case 'loss':
        break;
    }
  }
  return [...kept.values()];
}

type Keep = (tensor: Tensor, bytesEach?: number, name?: string) => void;

function keepNorm(operation: Extract<Operation, { kind: 'norm' }>, style: 'fused' | 'eager', keep: Keep) {
  if (style === 'fused' || operation.style === 'layer') {
    keep(operation.input);
    return;
  }
  const statistics = operation.input.elements / operation.width;
  keep(operation.input, 4, `${operation.path}_fp32`);
  keep(operation.input, operation.upcast === 'weight' ? 4 : e, `${operation.path}_normalised`);
  keep({ ...operation.input, elements: statistics }, 4, `${operation.path}_deviation`);
}

/** A frozen matrix needs its input only where an adapter reads it too. */
const frozenInput = (operation: Extract<Operation, { kind: 'linear' }>, run: TrainingRun): boolean =>
  run.lora !== undefined && !isTarget(operation, run.lora);

export const total = (saved: readonly Saved[]): number => saved.reduce((sum, { bytes }) => sum + bytes, 0);
