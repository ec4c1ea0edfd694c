import { frameworks } from '../../facts/frameworks.ts';
import { savedBytes, writtenOutGelu } from '../../facts/memory.ts';
import { precisions } from '../../facts/precisions.ts';
import type { Activation } from '../../model/architecture.ts';
import { blockOf, type Linear, type Operation, type Tensor } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { keysWritten } from '../count/forward.ts';
import { adapterBytes, baseBytes, isTarget } from '../count/lora.ts';
import { expandsLatent, recomputedModules } from '../count/training.ts';
import { isSharded, type Tokens, tokensOf } from '../placement.ts';

/** Bytes of a 16-bit element. */
const e = 2;

/** Bytes of an activation in the run's precision. */
export const elementBytes = (run: TrainingRun): number => (run.precision === 'fp32' ? 4 : e);

type Core = Extract<Operation, { kind: 'attention' }>;
type Sized = Pick<Tensor, 'elements' | 'region'>;

/** Bytes of a tensor of a micro-batch on one GPU. */
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
 * An activation saved for the backward pass: a tensor of the layer, whose name tells shared storage, so that each is counted once;
 * or something of an operation's own (statistics, maps, a copy in another dtype).
 */
export type Saved = {
  /** on one GPU, of one micro-batch */
  readonly bytes: number;
  /** the operation whose backward pass frees it */
  readonly by: Operation;
  /** The tensor of the layer that it is. */
  readonly tensor?: Tensor;
  /** What it is to its operation, where it is no tensor of the layer. */
  readonly what?: string;
};

/** How a framework executes operations, as far as it decides what is saved for the backward pass. */
export type Execution = {
  /** `fused`: one kernel for a norm or an activation (Transformer Engine, torch.compile). `eager`: PyTorch op by op. */
  readonly style: 'fused' | 'eager';
  /** RMSNorm in elementary operations (Transformers) rather than one kernel (`torch.nn.RMSNorm`). */
  readonly normsWrittenOut: boolean;
  /** 16-bit products over fp32 weights: the residual stream is fp32 and every product casts its own input. */
  readonly autocast: boolean;
  /** LayerNorm and powers compute in fp32, as CUDA's autocast has it, over weights of any dtype (Trainer's `bf16: true`). */
  readonly widens: boolean;
  /** Inputs of matrix products are saved in 8 or 4 bits. */
  readonly quantized: boolean;
  /** What sequence parallelism gathers for a product is saved gathered (DTensor), not gathered again (Megatron). */
  readonly gathered: boolean;
};

/** How a run executes: what is fused, what is written out, and in which dtypes. */
export function executionOf(run: TrainingRun): Execution {
  const facts = frameworks[run.framework];
  const style = run.compile ? 'fused' : facts.saves;
  const low = run.precision === 'fp8' || run.precision === 'mxfp8' || run.precision === 'fp4';
  return {
    style,
    normsWrittenOut: style === 'eager' && facts.normsWrittenOut,
    autocast: style === 'eager' && isAutocast(run),
    widens: style === 'eager' && facts.autocasts && run.precision !== 'fp32',
    quantized: low && facts.quantizesInputs,
    gathered: facts.keepsGathered && run.parallelism.sequenceParallel,
  };
}

/**
 * Whether torch.autocast runs 16-bit products over fp32 weights: Trainer's `bf16: true` on a model loaded in fp32, and
 * torchtitan without shards. Shards have their own mixed precision.
 */
export function isAutocast(run: TrainingRun): boolean {
  if (frameworks[run.framework].masterWeights || run.precision === 'fp32' || isSharded(run, 'weights')) return false;
  return run.lora === undefined ? (run.weightsDtype ?? 'fp32') === 'fp32' : baseBytes(run) === 4;
}

/**
 * Activations that one layer saves of a micro-batch, operation by operation, without any recompute but that of named modules.
 *
 * `fused`: norms save their input, matrices theirs, gated activations both halves, flash attention query, key, value, its output and
 * one fp32 log-sum-exp for each head (Korthikanti et al. 2022, arXiv:2205.05198, 4.1). `eager` saves more; it is held against what
 * autograd saves of the official modelling code (`scripts/oracle/`).
 */
export function savedTensors(operations: readonly Operation[], run: TrainingRun): readonly Saved[] {
  const execution = executionOf(run);
  const recomputed = recomputedBy(run, operations);
  const eager = eagerLayer(operations);
  const all = new Map<string, Saved>();
  for (const operation of operations) {
    const bytesOf = sizeOnDevice(operation, run, execution);
    const save: Save = {
      tensor: (tensor, bytesEach) => {
        if (recomputed.outputs.has(tensor.name) || all.has(tensor.name)) return;
        all.set(tensor.name, { bytes: bytesOf(tensor, bytesEach), by: operation, tensor });
      },
      own: (what, tensor, bytesEach, owner = operation.path) => {
        const name = `${what} of ${owner}`;
        if (recomputed.operations.has(operation) || all.has(name)) return;
        all.set(name, { bytes: bytesOf(tensor, bytesEach), by: operation, what });
      },
    };
    if (execution.style === 'fused') saveFused(operation, run, execution, save);
    else saveEager(operation, run, execution, eager, save);
  }
  return [...all.values()];
}

/** Saves a tensor of the layer, or something of the operation's own: one for each owner, by default the operation. */
type Save = {
  readonly tensor: (tensor: Tensor, bytesEach?: number) => void;
  readonly own: (what: string, tensor: Sized, bytesEach?: number, owner?: string) => void;
};

/** Bytes of what an operation saves, where a column-wise matrix may save what sequence parallelism gathered for it. */
function sizeOnDevice(operation: Operation, run: TrainingRun, { gathered }: Execution) {
  const tokens = tokensOf(run);
  const { tensor: tp } = run.parallelism;
  const whole = gathered && operation.kind === 'linear' && operation.sharding === 'column';
  return (tensor: Sized, bytesEach = elementBytes(run)): number =>
    (whole && tensor.region === 'residual' ? tp : 1) * tensorBytes(tensor, bytesEach, tokens, tp);
}

/** Bytes of some saved tensors. */
export const total = (saved: readonly Saved[]): number => saved.reduce((sum, { bytes }) => sum + bytes, 0);

// --- One kernel for each operation: Transformer Engine, torch.compile ---------------------------------------------------------

function saveFused(operation: Operation, run: TrainingRun, execution: Execution, save: Save): void {
  switch (operation.kind) {
    case 'norm':
      save.tensor(operation.input);
      return;
    case 'linear':
      if (operation.component === 'output' || !needsInput(operation, run)) return;
      save.tensor(
        operation.input,
        // The weight gradient reads a quantised copy that is laid out by column, with the scales of its blocks.
        execution.quantized && operation.component !== 'router' ? precisions[run.precision].operand : undefined,
      );
      return;
    case 'activation':
      save.tensor(operation.input);
      if (operation.gate) save.tensor(operation.gate);
      return;
    case 'attention':
      saveAttention(operation, run, save);
      return;
    case 'route':
      save.own('probabilities', probabilitiesOf(operation), savedBytes.fusedRouting.probabilities);
      return;
    case 'dispatch':
      save.own('maps', { elements: operation.active, region: 'routed' }, savedBytes.fusedRouting.row);
      return;
    default:
      saveAlike(operation, run, save);
  }
}

/** Attention in one kernel, or in parts that save the scores of every pair: the softmax's output, and dropout's result with its mask. */
function saveAttention(core: Extract<Operation, { kind: 'attention' }>, run: TrainingRun, save: Save): void {
  if (core.variant === 'indexer') return;
  save.tensor(core.query);
  save.tensor(core.key);
  save.tensor(core.value);
  save.tensor(core.output);
  if (run.flashAttention) saveLogSumExp(core, save);
  else save.own('scores', scoresOf(core, run), run.dropout === true ? 2 * e + 1 : e);
}

/** What is saved alike, however operations run. */
function saveAlike(
  operation: Exclude<Operation, { kind: 'norm' | 'linear' | 'activation' | 'attention' | 'route' | 'dispatch' }>,
  run: TrainingRun,
  save: Save,
): void {
  switch (operation.kind) {
    case 'scan':
      save.tensor(operation.input);
      save.tensor(operation.output);
      return;
    case 'add':
      saveDropoutMask(operation, run, save);
      return;
    case 'table':
      save.own('indices', { elements: operation.used, region: 'tensor' }, savedBytes.index);
      return;
    case 'combine':
    case 'rope':
    case 'vector':
    case 'loss':
      return;
  }
}

// --- PyTorch, operation by operation ------------------------------------------------------------------------------------------

function saveEager(operation: Operation, run: TrainingRun, execution: Execution, layer: EagerLayer, save: Save): void {
  switch (operation.kind) {
    case 'norm':
      saveEagerNorm(operation, run, execution, save);
      return;
    case 'linear':
      saveEagerInput(operation, run, execution, layer, save);
      return;
    case 'activation':
      saveEagerActivation(operation, run, execution, save);
      return;
    case 'attention':
      saveEagerAttention(operation, run, layer, save);
      return;
    case 'route':
      save.own('probabilities', probabilitiesOf(operation), savedBytes.eagerRouting.probabilities);
      return;
    case 'dispatch':
      save.own('maps', { elements: operation.active, region: 'routed' }, savedBytes.eagerRouting.row);
      save.own('weighted rows', { elements: operation.active * operation.width, region: 'routed' });
      return;
    default:
      saveAlike(operation, run, save);
  }
}

/** What the eager rules need to know of the whole layer. */
type EagerLayer = {
  /** Names of the outputs of norms, which autocast leaves in fp32. */
  readonly normOutputs: ReadonlySet<string>;
  /** Of these, what PyTorch's own LayerNorm makes: in fp32 over 16-bit weights, too. */
  readonly layerNormOutputs: ReadonlySet<string>;
  /** Elements of a product of query, key and value of which the value stays a view; 0 where they are products of their own. */
  readonly fusedProduct: number;
  /** Rotary position makes new tensors of queries and keys, laid out by head, and attention's output is laid out so too. */
  readonly rotatedCopies: boolean;
};

function eagerLayer(operations: readonly Operation[]): EagerLayer {
  const rotary = operations.filter((one) => one.kind === 'rope');
  return {
    normOutputs: new Set(operations.flatMap((one) => (one.kind === 'norm' ? [one.output.name] : []))),
    layerNormOutputs: new Set(operations.flatMap((one) => (isLayerNorm(one) ? [one.output.name] : []))),
    fusedProduct: rotary.length > 0 ? fusedColumns(operations) : 0,
    rotatedCopies: rotary.some((one) => one.joined === true),
  };
}

/** LayerNorm in one kernel of PyTorch's. */
export const isLayerNorm = (one: Operation): one is Extract<Operation, { kind: 'norm' }> =>
  one.kind === 'norm' && one.style === 'layer' && one.upcast === undefined;

function fusedColumns(operations: readonly Operation[]): number {
  const fused = operations.filter((one): one is Linear => one.kind === 'linear' && one.storedFused === true);
  const product = fused.find(({ role }) => role === 'key')?.fusedWith;
  if (product === undefined) return 0;
  return fused.reduce((sum, { fusedWith, columns }) => sum + (fusedWith === product ? columns : 0), 0);
}

/**
 * RMSNorm as Transformers writes it: x in fp32, its mean square, and x over its root in the model's dtype, which the weight's
 * gradient reads. A kernel of its own (LayerNorm, `torch.nn.RMSNorm`) saves its input and statistics; a LayerNorm that is
 * written out in fp32 (Cohere) saves x less its mean twice, and their quotient.
 */
function saveEagerNorm(
  { input, width, style, upcast, parameters }: Extract<Operation, { kind: 'norm' }>,
  run: TrainingRun,
  { autocast, widens, normsWrittenOut }: Execution,
  save: Save,
): void {
  const rows = { ...input, elements: input.elements / width };
  const fp32Input = autocast || run.precision === 'fp32';
  const oneKernel = style === 'layer' ? upcast === undefined || upcast === 'none' : !normsWrittenOut;
  if (oneKernel) {
    if (widens && style === 'layer' && upcast !== 'none' && !fp32Input) save.own('fp32 copy', input, 4);
    else save.tensor(input, fp32Input ? 4 : e);
    save.own('statistics', rows, 4);
    return;
  }
  save.own('deviation', rows, 4);
  if (style === 'layer' && upcast === 'weight') {
    save.own('centred', input, 3 * 4);
    return;
  }
  if (fp32Input) save.tensor(input, 4);
  else save.own('fp32 copy', input, 4);
  if (run.lora !== undefined || style === 'layer' || parameters === 0) return;
  save.own('normalised', input, upcast === 'weight' || fp32Input ? 4 : e);
}

/** Under autocast a matrix casts its own copy of an fp32 input, and an adapter, which PEFT gives fp32, casts it back. */
function saveEagerInput(operation: Linear, run: TrainingRun, execution: Execution, layer: EagerLayer, save: Save) {
  const { autocast, widens } = execution;
  const { input, path, storedFused, fusedWith } = operation;
  if (operation.component === 'output' || !needsInput(operation, run)) return;
  const wide = (autocast && layer.normOutputs.has(input.name)) || (widens && layer.layerNormOutputs.has(input.name));
  if (run.lora !== undefined && adapterBytes(run) === 4) save.own('adapter input', input, widens ? e : 4);
  else if (wide) save.own('16-bit input', input, e, storedFused === true ? fusedWith : path);
  else save.tensor(input);
}

/** An activation saves its input, and where it is gated its result, which is a factor of the product. */
function saveEagerActivation(
  operation: Extract<Operation, { kind: 'activation' }>,
  run: TrainingRun,
  { widens }: Execution,
  save: Save,
): void {
  const bytesEach = elementBytes(run);
  const steps = writtenOutBytes(operation.function, bytesEach, widens);
  // ReLU's gradient needs its output alone, which the next matrix saves anyway; a power under autocast an fp32 copy of its input.
  if (operation.function !== 'relu' && !(operation.function === 'gelu_new' && widens)) save.tensor(operation.input);
  if (operation.gate) save.tensor(operation.gate);
  if (steps > 0) save.own('steps', operation.input, steps);
  if (operation.gated) save.own('activated half', operation.output, e, operation.output.name);
}

/**
 * Bytes of an element that GELU's steps save where Transformers writes it out (activations.py). `gelu_new` takes a power, which
 * autocast computes in fp32 with all that follows: the input, the tanh, one more than it, and half of the 16-bit input.
 */
function writtenOutBytes(name: Activation, bytesEach: number, widens: boolean): number {
  const { powered, widened, multiplied, sigmoid } = writtenOutGelu;
  if (name === 'gelu_fast') return multiplied * bytesEach;
  if (name === 'quick_gelu') return sigmoid * bytesEach;
  if (name !== 'gelu_new') return 0;
  return widens ? widened : powered * bytesEach;
}

/**
 * Attention of Transformers: `flash_attention: true` is PyTorch's scaled_dot_product_attention or flash-attn, false is
 * `attn_implementation: eager`, which repeats keys and values for each query head and saves the scores of every pair: the
 * softmax in fp32 and its 16-bit copy, and with dropout its mask and what is left.
 */
function saveEagerAttention(
  core: Extract<Operation, { kind: 'attention' }>,
  run: TrainingRun,
  { fusedProduct, rotatedCopies }: EagerLayer,
  save: Save,
): void {
  if (core.variant === 'indexer') return;
  const { query, key, value, output, heads, keyValueHeads } = core;
  const bytesEach = elementBytes(run);
  if (!broadcasts(core, run)) save.tensor(query);
  save.tensor(output);
  if (run.flashAttention && !writesScores(core, run)) {
    save.tensor(key);
    save.tensor(fusedProduct > 0 ? { ...value, elements: fusedProduct } : value);
    if (rotatedCopies || core.byHead === true) save.own('copy', output, bytesEach, output.name);
    saveLogSumExp(core, save);
    return;
  }
  const groups = heads / keyValueHeads;
  if (broadcasts(core, run)) {
    // Products broadcast one head of keys and values without a copy of it.
    for (const tensor of [query, key, value]) save.own(`${tensor.name}, fp32`, tensor, 4);
    save.own('scores', scoresOf(core, run), 4);
    return;
  }
  save.tensor({ ...key, elements: groups * key.elements });
  save.tensor({ ...value, elements: groups * value.elements });
  save.own('scores', scoresOf(core, run), scoreBytes(core, run, bytesEach));
  savePlaces(core, run, save);
}

/**
 * Of a table of relative places: the scores before each is looked up, the table's own keys or queries, which each text gets a copy
 * of, and once which place each pair has; beside them the key in the size of its scores and the mask of each pair (DeBERTa).
 */
function savePlaces({ heads, queryKeyDim, places, key }: Core, run: TrainingRun, save: Save): void {
  if (places === undefined) return;
  const { count, terms } = places;
  const bytesEach = elementBytes(run);
  const S = run.sequenceLength;
  const copied = (terms * count * heads * queryKeyDim) / S;
  save.own('places', { elements: terms * heads * count + copied, region: 'tensor' }, bytesEach);
  save.own('key', key, bytesEach);
  save.own('mask', { elements: S, region: 'residual' }, savedBytes.dropoutMask);
  save.own('place', { elements: (terms * S) / run.microBatchSize, region: 'residual' }, savedBytes.index);
}

/** Bytes of a score that eager attention saves: softmax in fp32 and its copy (beside sinks: one, in the model's dtype), a softcap's tanh, dropout. */
function scoreBytes({ parameters, softcapped }: Core, run: TrainingRun, bytesEach: number): number {
  const softmax = parameters > 0 ? bytesEach : 4 + (bytesEach < 4 ? bytesEach : 0);
  return softmax + (softcapped === true ? bytesEach : 0) + (run.dropout === true ? bytesEach + 1 : 0);
}

/**
 * PyTorch's scaled_dot_product_attention has no kernel for fp32 whose key and value heads are fewer than its query heads: flash takes
 * 16 bits alone, and the memory-efficient one does not share heads, so the scores are written out.
 */
export const writesScores = (core: Core, run: TrainingRun): boolean =>
  !run.flashAttention || core.writtenOut === true || broadcasts(core, run) || lacksKernel(core, run);

const lacksKernel = ({ heads, keyValueHeads }: Core, run: TrainingRun): boolean =>
  run.precision === 'fp32' && heads !== keyValueHeads && byPyTorch(run);

/** PyTorch's unfused path computes in fp32, whatever it is handed. What torch.compile makes of it was not looked at: it is counted as fused. */
export const broadcasts = ({ broadcastKeys }: Core, run: TrainingRun): boolean =>
  broadcastKeys === true && run.flashAttention && byPyTorch(run);

const byPyTorch = ({ framework, compile }: TrainingRun): boolean => frameworks[framework].saves === 'eager' && !compile;

// --- Both ---------------------------------------------------------------------------------------------------------------------

/** A trained matrix saves its input; a frozen one only where an adapter reads it too. */
const needsInput = (operation: Linear, run: TrainingRun): boolean =>
  run.lora === undefined || isTarget(operation, run.lora);

const saveLogSumExp = ({ heads }: Extract<Operation, { kind: 'attention' }>, save: Save): void =>
  save.own('log-sum-exp', { elements: heads, region: 'tensor' }, savedBytes.logSumExp);

/** One for each expert that a token chooses among. */
const probabilitiesOf = ({ experts }: Extract<Operation, { kind: 'route' }>): Sized => ({
  elements: experts,
  region: 'residual',
});

/** One score for each pair of a query and a key, over all heads. */
const scoresOf = (core: Core, run: TrainingRun): Sized => ({
  elements: (core.heads * keysWritten(core, run.sequenceLength)) / run.parallelism.context,
  region: 'tensor',
});

function saveDropoutMask({ output }: Extract<Operation, { kind: 'add' }>, run: TrainingRun, save: Save): void {
  if (run.dropout === true) save.own('mask', output, savedBytes.dropoutMask, output.name);
}

// --- Selective recompute of modules (Megatron) --------------------------------------------------------------------------------

/** What selective recompute of modules makes again instead of saving it. */
type Recomputed = {
  /** names of tensors */
  readonly outputs: ReadonlySet<string>;
  /** operations that save nothing of their own */
  readonly operations: ReadonlySet<Operation>;
};

/** A module saves what it reads, and what is inside of it is made again; the attention core's output is saved all the same. */
function recomputedBy(run: TrainingRun, operations: readonly Operation[]): Recomputed {
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
