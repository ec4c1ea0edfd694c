import { frameworks } from '../../facts/frameworks.ts';
import { blockOf, type Linear, type Operation, type Tensor } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { adapterBytes, isTarget } from '../count/lora.ts';
import { expandsLatent, recomputedModules } from '../count/training.ts';
import { isSharded, type Tokens, tokensOf } from '../placement.ts';

/** Bytes of a 16-bit activation. */
const e = 2;

/** Bytes of an activation in the run's precision. */
export const elementBytes = (run: TrainingRun): number => (run.precision === 'fp32' ? 4 : e);

/** Bytes of a tensor on one GPU. */
export function tensorBytes(tensor: Sized, bytesEach: number, tokens: Tokens, tensorParallel: number): number {
  switch (tensor.region) {
    case 'residual':
      return bytesEach * tensor.elements * tokens.residual;
    case 'tensor':
      return (bytesEach * tensor.elements * tokens.tensor) / tensorParallel;
    case 'routed':
      return bytesEach * tensor.elements * tokens.routed;
  }
}

/**
 * What is saved for the backward pass: a tensor of the layer, whose name tells shared storage, so that each is counted once; or
 * something of an operation's own (statistics, maps, a copy in another dtype).
 */
export type Saved = {
  readonly bytes: number;
  readonly by: Operation;
  /** The tensor of the layer that it is. */
  readonly tensor?: Tensor;
};

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
  return (run.weightsDtype ?? 'fp32') === 'fp32' && !isSharded(run, 'weights');
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
  const saved = new Map<string, Saved>();
  const dropped = droppedBy(run, operations);
  const written = writtenOut(operations);
  for (const operation of operations) {
    const read = keeping.gathered && operation.kind === 'linear' && operation.sharding === 'column';
    const bytesOf = (tensor: Sized, bytesEach = elementBytes(run)) => {
      const whole = read && tensor.region === 'residual' ? tp : 1;
      return whole * tensorBytes(tensor, bytesEach, tokens, tp);
    };
    const keep: Keep = {
      tensor: (tensor, bytesEach) => {
        if (dropped.outputs.has(tensor.name) || saved.has(tensor.name)) return;
        saved.set(tensor.name, { bytes: bytesOf(tensor, bytesEach), by: operation, tensor });
      },
      own: (what, tensor, bytesEach, owner = operation.path) => {
        const name = `${what} of ${owner}`;
        if (dropped.operations.has(operation) || saved.has(name)) return;
        saved.set(name, { bytes: bytesOf(tensor, bytesEach), by: operation });
      },
    };
    if (keeping.style === 'fused') keepFused(operation, run, keeping, keep);
    else keepEager(operation, run, keeping, written, keep);
  }
  return [...saved.values()];
}

/** Saves a tensor of the layer, or something of the operation's own: one for each owner (by default the operation). */
type Keep = {
  readonly tensor: (tensor: Tensor, bytesEach?: number) => void;
  readonly own: (what: string, tensor: Sized, bytesEach?: number, owner?: string) => void;
};

type Sized = Pick<Tensor, 'elements' | 'region'>;

export const total = (saved: readonly Saved[]): number => saved.reduce((sum, { bytes }) => sum + bytes, 0);

// --- one kernel for each operation --------------------------------------------------------------------------------------

function keepFused(operation: Operation, run: TrainingRun, keeping: Keeping, keep: Keep) {
  switch (operation.kind) {
    case 'norm':
    case 'scan':
      keep.tensor(operation.input);
      if (operation.kind === 'scan') keep.tensor(operation.output);
      return;
    case 'linear':
      if (operation.component === 'output' || !needsInput(operation, run)) return;
      keep.tensor(
        operation.input,
        keeping.quantized && operation.component !== 'router' ? quantizedBytes(run) : undefined,
      );
      return;
    case 'activation':
      keep.tensor(operation.input);
      if (operation.gate) keep.tensor(operation.gate);
      return;
    case 'attention':
      return keepAttention(operation, run, keep);
    case 'route':
      // Probabilities in fp32 twice (scores and the chosen ones), and a map of one byte.
      keep.own('probabilities', { elements: operation.experts, region: 'residual' }, 9);
      return;
    case 'dispatch':
      // A probability for each row, and where it came from and goes to.
      keep.own('maps', { elements: operation.active, region: 'routed' }, 12);
      return;
    case 'add':
      return keepMask(operation, run, keep);
    case 'table':
      keep.own('indices', { elements: operation.used, region: 'tensor' }, 8);
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
      if (operation.function !== 'relu') keep.tensor(operation.input);
      if (operation.gate) keep.tensor(operation.gate);
      // GPT-2's GELU is written out in steps; three more of them keep a tensor.
      if (operation.function === 'gelu_new') keep.own('steps', operation.input, 3 * e);
      // The activated half is a factor of the product.
      if (operation.gated) keep.own('activated half', operation.output, e, operation.output.name);
      return;
    case 'attention':
      return keepWrittenAttention(operation, run, written, keep);
    case 'route':
      keep.own('probabilities', { elements: operation.experts, region: 'residual' }, 4);
      return;
    case 'dispatch':
      keep.own('maps', { elements: operation.active, region: 'routed' }, 40);
      keep.own('weighted rows', { elements: operation.active * operation.width, region: 'routed' });
      return;
    case 'scan':
      keep.tensor(operation.input);
      keep.tensor(operation.output);
      return;
    case 'add':
      return keepMask(operation, run, keep);
    case 'table':
      keep.own('indices', { elements: operation.used, region: 'tensor' }, 8);
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
  const linears = operations.filter((one): one is Linear => one.kind === 'linear' && one.storedFused === true);
  const product = linears.find(({ role }) => role === 'key')?.fusedWith;
  const fused = product === undefined ? [] : linears.filter(({ fusedWith }) => fusedWith === product);
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
  const { input, width, style, upcast } = operation;
  const rows = { ...input, elements: input.elements / width };
  const wide = keeping.autocast || run.precision === 'fp32';
  const kernel = style === 'layer' ? upcast === undefined : !keeping.normsWrittenOut;
  if (kernel) {
    keep.tensor(input, wide ? 4 : e);
    keep.own('statistics', rows, 4);
    return;
  }
  keep.own('deviation', rows, 4);
  if (style === 'layer' && upcast === 'weight') {
    keep.own('centred', input, 3 * 4);
    return;
  }
  if (wide) keep.tensor(input, 4);
  else keep.own('fp32 copy', input, 4);
  if (run.lora !== undefined || style === 'layer') return;
  keep.own('normalised', input, upcast === 'weight' || wide ? 4 : e);
}

/** Under autocast a matrix casts its own copy of an fp32 input; an adapter casts one to the adapter's fp32. */
function keepInput(operation: Linear, run: TrainingRun, keeping: Keeping, written: Written, keep: Keep) {
  const { input, path, storedFused, fusedWith } = operation;
  if (operation.component === 'output' || !needsInput(operation, run)) return;
  if (run.lora !== undefined && adapterBytes(run) === 4) keep.own('adapter input', input, 4);
  else if (keeping.autocast && written.normal.has(input.name))
    keep.own('16-bit input', input, e, storedFused === true ? fusedWith : path);
  else keep.tensor(input);
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
  const { query, key, value, output, heads, keyValueHeads } = operation;
  if (operation.variant === 'indexer') return;
  const e = elementBytes(run);
  keep.tensor(query);
  keep.tensor(output);
  if (run.flashAttention) {
    keep.tensor(key);
    keep.tensor(written.fused > 0 ? { ...value, elements: written.fused } : value);
    if (written.joined) keep.own('copy', output, e, output.name);
    keep.own('log-sum-exp', { elements: heads, region: 'tensor' }, 4);
    return;
  }
  const groups = heads / keyValueHeads;
  keep.tensor({ ...key, elements: groups * key.elements });
  keep.tensor({ ...value, elements: groups * value.elements });
  const scores = { elements: (heads * run.sequenceLength) / run.parallelism.context, region: 'tensor' } as const;
  keep.own('scores', scores, 4 + (e < 4 ? e : 0) + (run.dropout === true ? e + 1 : 0));
}

/** A trained matrix keeps its input; a frozen one only where an adapter reads it too. */
const needsInput = (operation: Linear, run: TrainingRun): boolean =>
  run.lora === undefined || isTarget(operation, run.lora);

// --- both ---------------------------------------------------------------------------------------------------------------

function keepAttention(operation: Extract<Operation, { kind: 'attention' }>, run: TrainingRun, keep: Keep) {
  const { query, key, value, output, heads } = operation;
  if (operation.variant === 'indexer') return;
  keep.tensor(query);
  keep.tensor(key);
  keep.tensor(value);
  keep.tensor(output);
  if (run.flashAttention) {
    keep.own('log-sum-exp', { elements: heads, region: 'tensor' }, 4);
    return;
  }
  // Scores of every pair: the softmax's output, and what dropout makes of it with its mask.
  const scores = { elements: (heads * run.sequenceLength) / run.parallelism.context, region: 'tensor' } as const;
  keep.own('scores', scores, run.dropout === true ? 2 * e + 1 : e);
}

function keepMask(operation: Extract<Operation, { kind: 'add' }>, run: TrainingRun, keep: Keep) {
  if (run.dropout === true) keep.own('mask', operation.output, 1, operation.output.name);
}

/** What selective recompute of modules makes again instead of saving it. */
type Dropped = {
  /** names of tensors */
  readonly outputs: ReadonlySet<string>;
  /** operations that save nothing of their own */
  readonly operations: ReadonlySet<Operation>;
};

/** A module saves what it reads, and what is inside of it is made again; the attention core's output is saved all the same. */
function droppedBy(run: TrainingRun, operations: readonly Operation[]): Dropped {
  if (run.recompute !== 'selective' || frameworks[run.framework].selective !== 'modules')
    return { outputs: new Set(), operations: new Set() };
  const modules = recomputedModules(run);
  const inside = operations.filter((one) => modules.some((module) => isInside(module, one, operations)));
  const outputs = inside.flatMap((one) => ('output' in one && one.kind !== 'attention' ? [one.output.name] : []));
  return { operations: new Set(inside), outputs: new Set([...outputs, ...expandedKeys(modules, operations)]) };
}

/** Whether an operation is inside of a module of Megatron's `recompute_modules` (megatron/core/transformer/transformer_config.py). */
function isInside(module: string, one: Operation, list: readonly Operation[]): boolean {
  const { kind, component, role } = one;
  switch (module) {
    case 'core_attn':
      return kind === 'attention';
    case 'layernorm':
      return kind === 'norm' && blockOf(one) !== 'attention';
    case 'moe_act':
      return kind === 'activation' && component === 'experts';
    case 'mla_up_proj':
      return expandsLatent(one, list) || (kind === 'norm' && (role === 'query_down' || role === 'key_value_down'));
    case 'mlp':
      return component === 'feed_forward';
    case 'shared_experts':
      return component === 'shared_experts';
    case 'moe':
      return component === 'experts' || component === 'shared_experts' || component === 'router';
    default:
      return false;
  }
}

/** Keys of latent attention, joined of their expanded part and their rotary one, are made again with the expansion. */
const expandedKeys = (modules: readonly string[], operations: readonly Operation[]): readonly string[] =>
  modules.includes('mla_up_proj')
    ? operations.flatMap((one) => (one.kind === 'attention' && one.variant === 'latent' ? [one.key.name] : []))
    : [];
