import { frameworks } from '../../facts/frameworks.ts';
import type { Linear, Operation, Tensor } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { adapterBytes, isTarget } from '../count/lora.ts';
import { replicas } from '../placement.ts';

/** Bytes of a 16-bit activation. */
const e = 2;

/** Bytes of an activation in the run's precision. */
export const elementBytes = (run: TrainingRun): number => (run.precision === 'fp32' ? 4 : e);

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

/** How a framework runs an operation, as far as it decides what is kept. */
export type Keeping = {
  /** `fused`: one kernel for a norm or an activation (Transformer Engine, torch.compile). `eager`: PyTorch op by op. */
  readonly style: 'fused' | 'eager';
  /** RMSNorm in elementary operations (Transformers) rather than one kernel (`torch.nn.RMSNorm`). */
  readonly normsWrittenOut: boolean;
  /** 16-bit products over fp32 weights: the residual stream is fp32 and every product casts its own input. */
  readonly autocast: boolean;
  /** Inputs of matrix products are kept in 8 or 4 bits. */
  readonly quantized: boolean;
  /** What sequence parallelism gathers for a product is kept gathered (DTensor), not gathered again (Megatron). */
  readonly gathered: boolean;
};

export function keepingOf(run: TrainingRun): Keeping {
  const facts = frameworks[run.framework];
  const style = run.compile ? 'fused' : facts.saves;
  const low = run.precision === 'fp8' || run.precision === 'mxfp8' || run.precision === 'fp4';
  return {
    style,
    normsWrittenOut: style === 'eager' && facts.normsWrittenOut,
    autocast: style === 'eager' && isAutocast(run),
    quantized: low && facts.quantizesInputs,
    gathered: facts.keepsGathered && run.parallelism.sequenceParallel,
  };
}

/**
 * Whether torch.autocast runs 16-bit products over fp32 weights: Trainer's `bf16: true` on a model loaded in fp32, and
 * torchtitan without shards. Shards have their own mixed precision.
 */
export function isAutocast(run: TrainingRun): boolean {
  if (frameworks[run.framework].masterWeights || run.precision === 'fp32' || run.lora !== undefined) return false;
  const sharded = run.sharding === 'full' && replicas(run) * run.parallelism.context > 1;
  return (run.weightsDtype ?? 'fp32') === 'fp32' && !sharded;
}

/**
 * What one layer keeps of a micro-batch, operation by operation, without any recompute but that of named modules.
 *
 * `fused`: norms keep their input, matrices theirs, gated activations both halves, flash attention q, k, v, its output and
 * one fp32 log-sum-exp for each head. `eager` keeps more; it is checked against autograd (`scripts/oracle/`).
 */
export function savedTensors(operations: readonly Operation[], run: TrainingRun): readonly Saved[] {
  const keeping = keepingOf(run);
  const tokens = tokensOf(run);
  const { tensor: tp } = run.parallelism;
  const kept = new Map<string, Saved>();
  const dropped = droppedBy(run, operations);
  const written = writtenOut(operations);
  for (const operation of operations) {
    const read = keeping.gathered && operation.kind === 'linear' && operation.sharding === 'column';
    const keep: Keep = (tensor, bytesEach = elementBytes(run), name = tensor.name) => {
      const whole = read && tensor.region === 'residual' ? tp : 1;
      if (!dropped.has(name) && !kept.has(name))
        kept.set(name, { name, bytes: whole * tensorBytes(tensor, bytesEach, tokens, tp), by: operation });
    };
    if (keeping.style === 'fused') keepFused(operation, run, keeping, keep);
    else keepEager(operation, run, keeping, written, keep);
  }
  return [...kept.values()];
}

type Keep = (tensor: Tensor, bytesEach?: number, name?: string) => void;

export const total = (saved: readonly Saved[]): number => saved.reduce((sum, { bytes }) => sum + bytes, 0);

// --- one kernel for each operation --------------------------------------------------------------------------------------

function keepFused(operation: Operation, run: TrainingRun, keeping: Keeping, keep: Keep) {
  switch (operation.kind) {
    case 'norm':
    case 'scan':
      keep(operation.input);
      if (operation.kind === 'scan') keep(operation.output);
      return;
    case 'linear':
      if (operation.component === 'output' || !needsInput(operation, run)) return;
      keep(operation.input, keeping.quantized && operation.component !== 'router' ? quantizedBytes(run) : undefined);
      return;
    case 'activation':
      keep(operation.input);
      if (operation.gate) keep(operation.gate);
      return;
    case 'attention':
      return keepAttention(operation, run, keep);
    case 'route':
      // Probabilities in fp32 twice (scores and the chosen ones), and a map of one byte.
      keep({ name: `${operation.path}_probabilities`, elements: operation.experts, region: 'residual' }, 9);
      return;
    case 'dispatch':
      // A probability for each row, and where it came from and goes to.
      keep({ name: `${operation.path}_maps`, elements: operation.active, region: 'routed' }, 12);
      return;
    case 'add':
      return keepMask(operation, run, keep);
    case 'table':
      keep({ name: operation.path, elements: operation.used, region: 'tensor' }, 8);
      return;
    case 'combine':
    case 'rope':
    case 'vector':
    case 'loss':
      return;
  }
}

/** Bytes of a quantised input that the weight gradient reads: its column-wise copy, with the scales of its blocks. */
function quantizedBytes(run: TrainingRun): number {
  if (run.precision === 'mxfp8') return 1 + 1 / 32;
  return run.precision === 'fp4' ? 0.5 + 1 / 16 : 1;
}

// --- PyTorch, operation by operation ------------------------------------------------------------------------------------

function keepEager(operation: Operation, run: TrainingRun, keeping: Keeping, written: Written, keep: Keep) {
  switch (operation.kind) {
    case 'norm':
      return keepNorm(operation, run, keeping, keep);
    case 'linear':
      return keepInput(operation, run, keeping, written, keep);
    case 'activation':
      // ReLU's gradient needs its output alone, which the next matrix keeps anyway.
      if (operation.function !== 'relu') keep(operation.input);
      if (operation.gate) keep(operation.gate);
      // GPT-2's GELU is written out in steps; three more of them keep a tensor.
      if (operation.function === 'gelu_new') keep(operation.input, 3 * e, `${operation.path}_steps`);
      // The activated half is a factor of the product.
      if (operation.gated) keep(operation.output, e, `${operation.output.name}_gate`);
      return;
    case 'attention':
      return keepWrittenAttention(operation, run, written, keep);
    case 'route':
      keep({ name: `${operation.path}_probabilities`, elements: operation.experts, region: 'residual' }, 4);
      return;
    case 'dispatch':
      keep({ name: `${operation.path}_maps`, elements: operation.active, region: 'routed' }, 40);
      keep({ name: `${operation.path}_weighted`, elements: operation.active * operation.width, region: 'routed' });
      return;
    case 'scan':
      keep(operation.input);
      keep(operation.output);
      return;
    case 'add':
      return keepMask(operation, run, keep);
    case 'table':
      keep({ name: operation.path, elements: operation.used, region: 'tensor' }, 8);
      return;
    case 'combine':
    case 'rope':
    case 'vector':
    case 'loss':
      return;
  }
}

/** What the eager rules need to know of the whole layer. */
type Written = {
  /** outputs of norms, which autocast leaves in fp32 */
  readonly normal: ReadonlySet<string>;
  /** elements of a query, key and value that are one product, of which the value stays a view */
  readonly fused: number;
  /** queries and keys are new tensors, laid out by head, and so is what attention gives */
  readonly joined: boolean;
};

function writtenOut(operations: readonly Operation[]): Written {
  const fused = operations.filter(
    (one): one is Linear => one.kind === 'linear' && one.fusedWith === 'query_key_value' && one.storedFused === true,
  );
  return {
    normal: new Set(operations.flatMap((one) => (one.kind === 'norm' ? [one.output.name] : []))),
    fused: operations.some(({ kind }) => kind === 'rope') ? fused.reduce((sum, one) => sum + one.columns, 0) : 0,
    joined: operations.some((one) => one.kind === 'rope' && one.joined === true),
  };
}

/**
 * RMSNorm as Transformers writes it: x in fp32, its mean square, and x over its root in the model's dtype, which the weight's
 * gradient reads. A kernel of its own (LayerNorm, `torch.nn.RMSNorm`) keeps its input and statistics; a LayerNorm that is
 * written out in fp32 (Cohere) keeps x less its mean twice, and their quotient.
 */
function keepNorm(operation: Extract<Operation, { kind: 'norm' }>, run: TrainingRun, keeping: Keeping, keep: Keep) {
  const { input, width, path, style, upcast } = operation;
  const rows = { ...input, elements: input.elements / width };
  const wide = keeping.autocast || run.precision === 'fp32';
  const kernel = style === 'layer' ? upcast === undefined : !keeping.normsWrittenOut;
  if (kernel) {
    keep(input, wide ? 4 : e);
    keep(rows, 4, `${path}_statistics`);
    return;
  }
  keep(rows, 4, `${path}_deviation`);
  if (style === 'layer' && upcast === 'weight') {
    keep(input, 3 * 4, `${path}_centred`);
    return;
  }
  keep(input, 4, wide ? input.name : `${path}_fp32`);
  if (run.lora !== undefined || style === 'layer') return;
  keep(input, upcast === 'weight' || wide ? 4 : e, `${path}_normalised`);
}

/** Under autocast a matrix casts its own copy of an fp32 input; an adapter casts one to the adapter's fp32. */
function keepInput(operation: Linear, run: TrainingRun, keeping: Keeping, written: Written, keep: Keep) {
  const { input, path, storedFused, fusedWith } = operation;
  if (operation.component === 'output' || !needsInput(operation, run)) return;
  if (run.lora !== undefined && adapterBytes(run) === 4) keep(input, 4, `${path}_adapter_input`);
  else if (keeping.autocast && written.normal.has(input.name))
    keep(input, e, storedFused === true ? `${fusedWith}_input` : `${path}_input`);
  else keep(input);
}

/**
 * Attention of Transformers: `flash_attention: true` is PyTorch's scaled_dot_product_attention or flash-attn, false is
 * `attn_implementation: eager`, which repeats keys and values for each query head and keeps the scores of every pair: the
 * softmax in fp32 and its 16-bit copy, and with dropout its mask and what is left.
 */
function keepWrittenAttention(
  operation: Extract<Operation, { kind: 'attention' }>,
  run: TrainingRun,
  written: Written,
  keep: Keep,
) {
  const { query, key, value, output, heads, keyValueHeads, path } = operation;
  if (operation.valueDim === 0) return;
  const e = elementBytes(run);
  keep(query);
  keep(output);
  if (run.flashAttention) {
    keep(key);
    keep(written.fused > 0 ? { ...value, elements: written.fused } : value);
    if (written.joined) keep(output, e, `${output.name}_copy`);
    keep({ name: `${path}_lse`, elements: heads, region: 'tensor' }, 4);
    return;
  }
  const groups = heads / keyValueHeads;
  keep({ ...key, elements: groups * key.elements });
  keep({ ...value, elements: groups * value.elements });
  const scores = { name: `${path}_scores`, elements: (heads * run.sequenceLength) / run.parallelism.context } as const;
  keep({ ...scores, region: 'tensor' }, 4 + (e < 4 ? e : 0) + (run.dropout === true ? e + 1 : 0));
}

/** A trained matrix keeps its input; a frozen one only where an adapter reads it too. */
const needsInput = (operation: Linear, run: TrainingRun): boolean =>
  run.lora === undefined || isTarget(operation, run.lora);

// --- both ---------------------------------------------------------------------------------------------------------------

function keepAttention(operation: Extract<Operation, { kind: 'attention' }>, run: TrainingRun, keep: Keep) {
  const { query, key, value, output, heads, path } = operation;
  if (operation.valueDim === 0) return;
  keep(query);
  keep(key);
  keep(value);
  keep(output);
  if (run.flashAttention) {
    keep({ name: `${path}_lse`, elements: heads, region: 'tensor' }, 4);
    return;
  }
  // Scores of every pair: the softmax's output, and what dropout makes of it with its mask.
  const scores = { name: `${path}_scores`, elements: (heads * run.sequenceLength) / run.parallelism.context } as const;
  keep({ ...scores, region: 'tensor' }, run.dropout === true ? 2 * e + 1 : e);
}

function keepMask(operation: Extract<Operation, { kind: 'add' }>, run: TrainingRun, keep: Keep) {
  if (run.dropout === true) keep(operation.output, 1, `${operation.output.name}_mask`);
}

/**
 * Names of the tensors that selective recompute of modules drops, in Megatron's words (`recompute_modules` in
 * megatron/core/transformer/transformer_config.py): a module keeps what it reads, and what is inside of it is made again.
 */
function droppedBy(run: TrainingRun, operations: readonly Operation[]): ReadonlySet<string> {
  const names = new Set<string>();
  if (run.recompute !== 'selective' || frameworks[run.framework].selective !== 'modules') return names;
  const modules = new Set(run.recomputeModules ?? ['core_attn']);
  const drop = (module: string, within: (operation: Operation) => boolean) => {
    if (!modules.has(module)) return;
    for (const one of operations) {
      if (!within(one)) continue;
      if ('output' in one) names.add(one.output.name);
      for (const end of ['maps', 'probabilities', 'scores', 'lse']) names.add(`${one.path}_${end}`);
      if (one.kind === 'attention') names.delete(one.output.name);
    }
  };
  drop('core_attn', (one) => one.kind === 'attention');
  drop('layernorm', (one) => one.kind === 'norm' && !one.path.includes('attention.'));
  drop('moe_act', (one) => one.kind === 'activation' && one.component === 'experts');
  drop('mla_up_proj', (one) => /attention\.(query|key_value)_(up|down_norm)$/.test(one.path));
  if (modules.has('mla_up_proj') && operations.some(({ path }) => path.endsWith('key_value_up'))) names.add('key');
  drop('mlp', (one) => one.component === 'feed_forward');
  drop('shared_experts', (one) => one.component === 'shared_experts');
  drop('moe', (one) => one.component === 'experts' || one.component === 'shared_experts' || one.component === 'router');
  return names;
}
