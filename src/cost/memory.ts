import { findAccelerator } from '../facts/accelerators.ts';
import { type FrameworkFacts, frameworks, overhead } from '../facts/frameworks.ts';
import { optimizers } from '../facts/optimizers.ts';
import { bytesOf } from '../facts/precisions.ts';
import type { Linear, Operation, Operations } from '../model/operation.ts';
import type { TrainingRun } from '../model/training.ts';
import { type Bytes, bytes, gibibytes, mebibytes } from '../units.ts';
import { savedTensors, tensorBytes, tokensOf, total } from './activations.ts';
import type { MemoryComponent, MemoryEstimate } from './estimate.ts';
import { ledger } from './ledger.ts';
import { adapterElements } from './lora.ts';
import { localElements, type Stage, stageOperations, stages } from './stages.ts';

const e = 2;

/** The peak of the fullest GPU over all stages and moments of a step. */
export function estimateMemory(operations: Operations, run: TrainingRun): MemoryEstimate {
  const peak = fullest(operations, run);
  const savings = alternatives(run)
    .map(({ change, changed }) => ({ change, saves: bytes(peak.device - fullest(operations, changed).device) }))
    .filter(({ saves }) => saves > 0.01 * peak.device)
    .sort((a, b) => b.saves - a.saves);
  return { ...peak, savings };
}

type Peak = Omit<MemoryEstimate, 'savings'>;

function fullest(operations: Operations, run: TrainingRun): Peak {
  const peaks = stages(operations, run).map((stage) => stagePeak(operations, run, stage));
  return peaks.reduce((worst, peak) => (peak.device > worst.device ? peak : worst));
}

function stagePeak(operations: Operations, run: TrainingRun, stage: Stage): Peak {
  const facts: FrameworkFacts = frameworks[run.framework];
  const states = staticBytes(operations, run, stage, facts);
  const kept = keptActivations(operations, run, stage, facts);
  const gathered = gatheredParameters(operations, run, stage, facts);
  const dummy = facts.dummyGradients && run.lora === undefined ? dummyGradients(operations, run, stage) : 0;
  const moments = transients(operations, run, stage, facts, kept, states);
  const [moment, transient] = Object.entries(moments).reduce((worst, entry) =>
    entry[1].extra + entry[1].activations > worst[1].extra + worst[1].activations ? entry : worst,
  ) as [keyof typeof moments, Moment];
  const parts = ledger(bytes, [
    ['weights', states.weights],
    ['gradients', states.gradients],
    ['optimizer_states', states.optimizer],
    ['activations', transient.activations],
    ['gathered_parameters', gathered],
    ['weight_gradient_buffers', dummy],
    [transient.name, transient.extra],
  ]);
  const components: Record<MemoryComponent, Bytes> = {
    weights: bytes(states.weights),
    gradients: bytes(states.gradients),
    optimizer_states: bytes(states.optimizer),
    activations: bytes(transient.activations),
    temporary: bytes(gathered + dummy + transient.extra),
  };
  const allocated = parts.total;
  const reserved = bytes(allocated * (run.expandableSegments === true ? 1.03 : facts.fragmentation));
  const accelerator = findAccelerator(run.accelerator);
  const { band, basis } = trust(run);
  return {
    allocated,
    reserved,
    device: bytes(reserved + outside(run, accelerator?.generation ?? 'default')),
    capacity: accelerator?.usable ?? null,
    components,
    parts,
    moment,
    stage: stage.index,
    band,
    basis,
  };
}

// --- what is held all the time ------------------------------------------------------------------------------------------

type States = {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly local: number;
};

/** Bytes for each parameter by framework and dtype (`facts/frameworks.ts`), divided as the sharding says (ZeRO, FSDP). */
function staticBytes(operations: Operations, run: TrainingRun, stage: Stage, facts: FrameworkFacts): States {
  const { tensor, pipeline, context, expert, expertTensor } = run.parallelism;
  const dataParallel = run.gpus / (tensor * pipeline * context);
  const group = run.shardGroup ?? dataParallel * context;
  const expertGroup = Math.max(1, run.gpus / (pipeline * expert * expertTensor));
  const recipe = bytesPerParameter(run, facts);
  let weights = 0;
  let gradients = 0;
  let optimizer = 0;
  let local = 0;
  for (const { operation, times } of stageOperations(operations, stage)) {
    const elements = times * localElements(operation, run, stage);
    const shards = operation.kind === 'linear' && operation.sharding === 'expert' ? expertGroup : group;
    const divide = (from: 'optimizer' | 'gradients' | 'full') => (divides(run, from) ? shards : 1);
    const adapters =
      run.lora === undefined
        ? 0
        : (times * adapterElements(operation, run.lora) * (operation.kind === 'linear' ? operation.copies : 1)) /
          tensor;
    const trained = run.lora === undefined ? elements : adapters;
    weights +=
      (elements * baseBytes(operation, run, recipe.weight)) / divide('full') +
      (adapters * recipe.adapter) / divide('full');
    gradients += (trained * (run.lora ? recipe.adapter : recipe.gradient)) / divide('gradients');
    optimizer +=
      run.offload === 'optimizer'
        ? 0
        : (trained * (run.lora ? 2 * recipe.adapter : recipe.optimizer)) / divide('optimizer');
    local += trained / divide('full');
  }
  return { weights, gradients, optimizer, local };
}

/** ZeRO stages: optimizer states, then gradients, then weights (Rajbhandari et al. 2020, arXiv:1910.02054). */
function divides(run: TrainingRun, what: 'optimizer' | 'gradients' | 'full'): boolean {
  const level = { none: 0, optimizer: 1, gradients: 2, full: 3 };
  return level[run.sharding] >= level[what];
}

function bytesPerParameter(run: TrainingRun, facts: FrameworkFacts) {
  const fp32 = run.precision === 'fp32';
  const weight = run.weightsDtype ? bytesOf[run.weightsDtype] : fp32 ? 4 : facts.weightBytes;
  const gradient = run.gradientsDtype ? bytesOf[run.gradientsDtype] : facts.gradientBytes;
  const state = run.optimizerDtype ? bytesOf[run.optimizerDtype] : 4;
  const master = (run.masterWeights ?? (facts.masterWeights && !fp32)) ? 4 : 0;
  // fp8 products read cached 8-bit copies of 16-bit weights: two on chips that need the transpose (Transformer Engine).
  const cached = run.precision === 'fp8' && run.framework === 'megatron' ? 0 : 0;
  return {
    weight: weight + cached,
    gradient,
    optimizer: master + optimizers[run.optimizer].states(state),
    adapter: run.weightsDtype === 'bf16' ? 2 : 4,
  };
}

/** A frozen base may be stored in 8 or 4 bits, except for tables, the output and norms. */
function baseBytes(operation: Operation, run: TrainingRun, weight: number): number {
  if (run.lora === undefined) return weight;
  if (operation.kind !== 'linear' || operation.component === 'output' || operation.component === 'router') return e;
  return run.lora.baseBits === 4 ? bytesOf.nf4 : run.lora.baseBits === 8 ? 1 : e;
}

/** FSDP and ZeRO 3 hold, besides their shards, the layer at work and the next one whole, and the root group. */
function gatheredParameters(operations: Operations, run: TrainingRun, stage: Stage, facts: FrameworkFacts): number {
  if (run.sharding !== 'full') return 0;
  const layerElements = stage.layers.map(({ kind }) => sumOf(operations.layers[kind]?.operations ?? [], run, stage));
  const largest = Math.max(0, ...layerElements);
  const root =
    (stage.embedding ? sumOf(operations.embedding, run, stage) : 0) +
    (stage.head ? sumOf(operations.head, run, stage) : 0);
  const { tensor, pipeline, context } = run.parallelism;
  if (run.gpus / (tensor * pipeline * context) <= 1) return 0;
  const each = run.lora?.baseBits === 4 ? bytesOf.nf4 : e;
  if (facts.saves === 'eager' && run.framework === 'fsdp')
    return 4 * each * largest + e * root + 4 * largest + e * largest;
  return 2 * each * largest + e * root;
}

const sumOf = (list: readonly Operation[], run: TrainingRun, stage: Stage) =>
  list.reduce((sum, operation) => sum + localElements(operation, run, stage), 0);

/** Transformer Engine keeps one 16-bit weight gradient for each distinct shape of matrix on the rank. */
function dummyGradients(operations: Operations, run: TrainingRun, stage: Stage): number {
  const shapes = new Map<string, number>();
  const { tensor } = run.parallelism;
  const byGroup = new Map<string, { rows: number; columns: number }>();
  for (const { operation } of stageOperations(operations, stage)) {
    if (operation.kind !== 'linear' || operation.component === 'output' || operation.component === 'router') continue;
    const columns = operation.sharding === 'column' ? operation.columns / tensor : operation.columns;
    const rows = operation.sharding === 'row' ? operation.rows / tensor : operation.rows;
    if (operation.fusedWith === undefined) shapes.set(`${rows} ${columns}`, e * rows * columns);
    else {
      const key = `${operation.component} ${operation.fusedWith} ${operation.path}`;
      byGroup.set(key, { rows, columns });
    }
  }
  const fused = new Map<string, { rows: number; columns: number }>();
  for (const [key, { rows, columns }] of byGroup) {
    const [component = '', group = ''] = key.split(' ');
    const name = `${component} ${group}`;
    fused.set(name, { rows, columns: (fused.get(name)?.columns ?? 0) + columns });
  }
  for (const { rows, columns } of fused.values()) shapes.set(`${rows} ${columns}`, e * rows * columns);
  return [...shapes.values()].reduce((sum, size) => sum + size, 0);
}

// --- what lives for a moment --------------------------------------------------------------------------------------------

type Kept = { readonly bytes: number; readonly largestLayer: number; readonly largestSaved: number };
type Moment = { readonly name: string; readonly activations: number; readonly extra: number };

/** Activations that the layers of a stage keep for all micro-batches in flight. */
function keptActivations(operations: Operations, run: TrainingRun, stage: Stage, facts: FrameworkFacts): Kept {
  const tokens = tokensOf(run);
  const style = facts.saves;
  const D = residualWidth(operations);
  const input = residualBytes(run) * D * tokens.residual;
  let layers = 0;
  let largestLayer = 0;
  let largestSaved = 0;
  const full = run.recompute === 'full';
  const count = stage.layers.reduce((sum, entry) => sum + entry.count, 0);
  for (const { kind, count: n } of stage.layers) {
    const all = total(savedTensors(operations.layers[kind]?.operations ?? [], run, style));
    const kept = full
      ? input
      : run.recompute === 'selective' && style === 'eager'
        ? perOperation(operations.layers[kind]?.operations ?? [], run)
        : all;
    largestLayer = Math.max(largestLayer, all);
    largestSaved = Math.max(largestSaved, kept);
    layers += n * kept + (full ? n * (all - input) * unrecomputed(run, count) : 0);
  }
  const uniform = full && (run.recomputeMethod ?? 'uniform') === 'uniform' ? Math.max(1, run.recomputeLayers ?? 1) : 1;
  const embedding = stage.embedding ? 8 * tokens.tensor : 0;
  return { bytes: stage.inFlight * (layers / uniform + embedding), largestLayer: largestLayer * uniform, largestSaved };
}

/**
 * Bytes of an element of the residual stream that recompute keeps. Adapters under sharded data parallelism run with autocast
 * over fp32 inputs, so the stream is fp32: fine-tuning of Mistral-7B on 2 and 4 GPUs grows by 4 bytes for each element and
 * token, on one GPU by 2 (fms-acceleration 876e2ed, a100_80gb.csv).
 */
const residualBytes = (run: TrainingRun): number =>
  run.framework === 'transformers' && run.lora !== undefined && run.sharding === 'full' && run.gpus > 1 ? 4 : e;

/** Share of the layers that full recompute leaves alone: `block` recomputes k of them, `every` each n-th. */
function unrecomputed(run: TrainingRun, layers: number): number {
  if (run.recomputeMethod === 'block') return Math.max(0, layers - (run.recomputeLayers ?? layers)) / layers;
  if (run.recomputeMethod === 'every') return 1 - 1 / Math.max(1, run.recomputeLayers ?? 1);
  return 0;
}

/** torchtitan's selective recompute: the layer's input, the attention kernel's output, and every second matrix product. */
function perOperation(list: readonly Operation[], run: TrainingRun): number {
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  const matrices = list.filter((operation): operation is Linear => operation.kind === 'linear');
  let sum = e * (matrices[0]?.input.elements ?? 0) * tokens.residual;
  for (const [index, { output }] of matrices.entries())
    if (index % 2 === 0) sum += tensorBytes(output, e, tokens, tensor);
  for (const operation of list) {
    if (operation.kind === 'attention')
      sum += tensorBytes(operation.output, e, tokens, tensor) + (4 * operation.heads * tokens.tensor) / tensor;
  }
  return sum;
}

function transients(
  operations: Operations,
  run: TrainingRun,
  stage: Stage,
  facts: FrameworkFacts,
  kept: Kept,
  states: States,
): Record<'backward' | 'loss' | 'optimizer', Moment> {
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  const D = residualWidth(operations);
  const lists = stage.layers.map(({ kind }) => operations.layers[kind]?.operations ?? []);
  const widest = Math.max(0, ...lists.map((list) => gradientOfWidest(list, run)));
  const again =
    run.recompute === 'full'
      ? kept.largestLayer
      : run.recompute === 'selective' && facts.saves === 'eager'
        ? Math.max(0, kept.largestLayer - kept.largestSaved)
        : 0;
  const backward = {
    name: 'layer_backward',
    activations: kept.bytes,
    extra: again + widest + (run.recompute === 'full' ? 2 * e * D * tokens.residual : 0),
  };
  const loss = { name: 'loss', activations: kept.bytes, extra: stage.head ? lossBytes(operations, run, facts) : 0 };
  const step =
    run.lora === undefined && run.sharding !== 'optimizer'
      ? facts.optimizerTemporary * states.local * (run.weightsDtype ? bytesOf[run.weightsDtype] : 4)
      : 0;
  const optimizer = { name: 'optimizer_step', activations: 0, extra: step };
  void tensor;
  return { backward, loss, optimizer };
}

/** Gradients alive in the backward pass of the widest block: of its input and of what its first matrices gave. */
function gradientOfWidest(list: readonly Operation[], run: TrainingRun): number {
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  let widest = 0;
  for (const operation of list) {
    if (operation.kind !== 'activation') continue;
    const halves = operation.gated ? 2 : 1;
    const inner = halves * tensorBytes(operation.input, e, tokens, tensor);
    const routed = operation.input.region === 'routed';
    const sent = list.find((other) => other.kind === 'dispatch');
    const outer =
      routed && sent?.kind === 'dispatch'
        ? 2 * tensorBytes(sent.output, e, tokens, tensor)
        : e * residualOf(list) * tokens.tensor;
    widest = Math.max(widest, inner + outer);
  }
  return widest;
}

const residualOf = (list: readonly Operation[]) =>
  list.find((operation) => operation.kind === 'add')?.output.elements ?? 0;

function residualWidth(operations: Operations): number {
  for (const layer of operations.layers) {
    const width = residualOf(layer.operations);
    if (width > 0) return width;
  }
  return 0;
}

/** Logits, their loss and their gradient, or the head's backward pass, whichever is larger. */
function lossBytes(operations: Operations, run: TrainingRun, facts: FrameworkFacts): number {
  const head = operations.head.find(
    (operation): operation is Linear => operation.kind === 'linear' && operation.component === 'output',
  );
  if (head === undefined) return 0;
  const tokens = tokensOf(run);
  const { tensor } = run.parallelism;
  const { rows: D, columns: V } = head;
  const chunks = Math.max(1, run.lossChunks ?? 1);
  const logits = (tokens.tensor * V) / tensor / chunks;
  const each = run.fusedCrossEntropy ? facts.fusedLossBytes : run.compile ? 6 : facts.lossBytes;
  const gathered = run.parallelism.sequenceParallel ? e * D * tokens.tensor : 0;
  const loss = each * logits + 2 * e * D * tokens.residual + gathered;
  if (facts.saves === 'eager') return each * logits + (4 + e) * D * tokens.residual;
  const dummy = facts.dummyGradients ? (e * D * V) / tensor : 0;
  const backward = e * logits + dummy + 2 * e * D * tokens.tensor + e * D * tokens.residual;
  return Math.max(loss, backward);
}

// --- what stands outside the allocator ----------------------------------------------------------------------------------

/** CUDA context, libraries and communicators. */
function outside(run: TrainingRun, generation: string): number {
  const { tensor, pipeline, context, expert } = run.parallelism;
  const { contextGibibytes, communicatorGibibytes, workspaceMebibytes } = overhead;
  const dataParallel = run.gpus / (tensor * pipeline * context);
  const groups = [tensor, pipeline, context, expert, dataParallel].filter((size) => size > 1);
  const first =
    groups.length === 0 ? 0 : Math.max(...groups) === 2 ? communicatorGibibytes.pair : communicatorGibibytes.group;
  // Further communicators were not measured; each is taken to need half of the first.
  const further = Math.max(0, groups.length - 1) * (communicatorGibibytes.group / 2);
  const modern = generation === 'hopper' || generation === 'blackwell';
  return (
    gibibytes((contextGibibytes[generation] ?? contextGibibytes.default ?? 0) + first + further) +
    mebibytes(modern ? workspaceMebibytes.modern : workspaceMebibytes.older)
  );
}

/** The error that the comparison with measured runs supports (docs/memory.md). */
function trust(run: TrainingRun): { band: number; basis: string } {
  if (run.framework === 'megatron') {
    const exotic = run.precision !== 'bf16' || run.parallelism.virtualPipeline > 1;
    return exotic
      ? { band: 0.08, basis: 'Megatron-Core: arithmetic, compared with few measured runs of this kind' }
      : { band: 0.03, basis: 'Megatron-Core in bf16: compared with measured peaks on B200 and H100' };
  }
  if (run.framework === 'transformers')
    return { band: 0.15, basis: 'Hugging Face Trainer: compared with measured fine-tuning on A100' };
  return { band: 0.1, basis: 'compared with few measured runs of this framework' };
}

/** Changes of a run that usually lower its peak. */
function alternatives(run: TrainingRun): readonly { readonly change: string; readonly changed: TrainingRun }[] {
  const list: { change: string; changed: TrainingRun }[] = [];
  if (run.recompute !== 'full') list.push({ change: 'recompute: full', changed: { ...run, recompute: 'full' } });
  if (!run.fusedCrossEntropy)
    list.push({ change: 'fused_cross_entropy: true', changed: { ...run, fusedCrossEntropy: true } });
  if (run.microBatchSize > 1) list.push({ change: 'micro_batch_size: 1', changed: { ...run, microBatchSize: 1 } });
  if (run.sharding === 'none') list.push({ change: 'sharding: optimizer', changed: { ...run, sharding: 'optimizer' } });
  if (run.sharding !== 'full') list.push({ change: 'sharding: full', changed: { ...run, sharding: 'full' } });
  const { parallelism } = run;
  if (parallelism.tensor > 1 && !parallelism.sequenceParallel) {
    list.push({
      change: 'parallelism.sequence_parallel: true',
      changed: { ...run, parallelism: { ...parallelism, sequenceParallel: true } },
    });
  }
  if (!run.flashAttention) list.push({ change: 'flash_attention: true', changed: { ...run, flashAttention: true } });
  return list;
}
