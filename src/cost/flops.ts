import type { Component, Span } from '../model/architecture.ts';
import type { AttentionCore, Operation, Operations } from '../model/operation.ts';
import type { Lora, TrainingRun } from '../model/training.ts';
import { type Flops, flops } from '../units.ts';
import type { FlopCount } from './estimate.ts';
import { activated, mainNetwork } from './holdings.ts';
import { ledger } from './ledger.ts';
import { adapterElements, isFrozen } from './lora.ts';

/** Causal: a query meets, on average, half of the keys. Full: all that its span lets in. */
export type AttentionConvention = 'causal' | 'full';

/**
 * Keys that the average query of a sequence of S tokens meets.
 *
 * Causal, window w < S: w - w^2 / 2S (the first w queries see fewer). Causal, chunks of c: c / 2. Causal, k selected of
 * those before: k - k^2 / 2S. Full convention: S, or the span's own bound.
 */
export function meanContext(span: Span, causal: boolean, S: number): number {
  const bounded = (w: number) =>
    w >= S ? meanContext({ kind: 'full' }, causal, S) : causal ? w - (w * w) / (2 * S) : w;
  switch (span.kind) {
    case 'full':
      return causal ? S / 2 : S;
    case 'window':
      return bounded(span.tokens);
    case 'chunk':
      return span.tokens >= S ? meanContext({ kind: 'full' }, causal, S) : causal ? span.tokens / 2 : span.tokens;
    case 'selected': {
      const compressed = meanContext({ kind: 'full' }, causal, S) / (span.ratio ?? 1);
      const local = span.window === undefined ? 0 : bounded(span.window);
      return span.ratio === undefined ? bounded(span.tokens) + local : Math.min(span.tokens, compressed) + local;
    }
  }
}

/** 2 H (d_qk + d_v) for each key that a query meets. FLOPs for a token. */
export function attentionFlops(core: AttentionCore, S: number, convention: AttentionConvention): number {
  const causal = core.causal && convention === 'causal';
  return 2 * core.heads * (core.queryKeyDim + core.valueDim) * meanContext(core.span, causal, S);
}

/** Forward FLOPs of one operation for one token. Norms, rotary position, softmax and lookups are not counted, as is usual. */
export function forwardFlops(operation: Operation, S: number, convention: AttentionConvention = 'causal'): number {
  switch (operation.kind) {
    case 'linear':
      return 2 * operation.rows * operation.columns * operation.used;
    case 'attention':
      return attentionFlops(operation, S, convention);
    case 'scan':
    case 'vector':
      return operation.flopsPerToken;
    case 'norm':
    case 'activation':
    case 'rope':
    case 'add':
    case 'route':
    case 'dispatch':
    case 'combine':
    case 'table':
    case 'loss':
      return 0;
  }
}

/** Forward and backward: a frozen matrix needs no weight gradient, so it costs 2 and not 3 times its forward pass. */
function trainingFlops(operation: Operation, S: number, lora: Lora | undefined): number {
  const forward = forwardFlops(operation, S);
  if (lora === undefined || operation.kind !== 'linear') return 3 * forward;
  const adapter = 3 * 2 * adapterElements(operation, lora) * operation.used;
  return (isFrozen(operation, lora) ? 2 : 3) * forward + adapter;
}

/**
 * FLOPs for one token of a sequence of S = `run.sequenceLength` tokens, by component and by part, in the conventions of the
 * field. Training trains the multi-token-prediction layers too, unless the run says not to.
 */
export function countFlops(operations: Operations, run: TrainingRun): FlopCount {
  const { sequenceLength: S, lora } = run;
  const main = [...mainNetwork(operations)];
  const prediction = run.mtp === false ? [] : predicted(operations);
  const sum = (list: readonly Counted[], take: (operation: Operation) => number) =>
    list.reduce((total, { operation, times }) => total + times * take(operation), 0);
  const trained = [...main, ...prediction];
  const training = sum(trained, (operation) => trainingFlops(operation, S, lora));
  const forward = ledger(
    flops,
    main.map(({ operation, times }) => [operation.component, times * forwardFlops(operation, S)] as const),
  );
  return {
    sequenceLength: S,
    forward,
    training: flops(training),
    hardware: flops(training + recomputed(trained, run)),
    conventions: conventions(main, prediction, S, training),
    parts: ledger(
      flops,
      main.map(({ operation, times }) => [operation.path, times * forwardFlops(operation, S)] as const),
    ),
    layers: operations.layers.map((layer, kind) => layerFlops(operations, layer, kind, S)),
    growth: growth(main, S),
    budget: flops(training * run.tokens),
  };
}

type Counted = { readonly operation: Operation; readonly times: number };

/** The layers of multi-token prediction, and the output projection that each depth computes once more. */
function predicted(operations: Operations): readonly Counted[] {
  const own = operations.prediction.map((operation) => ({ operation, times: 1 }));
  const shared = operations.head.filter((operation) => operation.kind === 'linear' && operation.component === 'output');
  return [...own, ...shared.map((operation) => ({ operation, times: operations.predictionDepth }))];
}

/** What recompute executes once more, for a token: all of the layers, or the attention core. */
function recomputed(trained: readonly Counted[], run: TrainingRun): number {
  if (run.recompute === 'none') return 0;
  const again = (operation: Operation) => {
    const inLayers = operation.path.startsWith('layers.') || operation.path.startsWith('prediction.');
    if (run.recompute === 'full') return inLayers;
    return operation.kind === 'attention';
  };
  const share = run.recompute === 'full' && run.recomputeMethod === 'every' ? 1 / (run.recomputeLayers ?? 1) : 1;
  return trained.reduce(
    (total, { operation, times }) =>
      total + (again(operation) ? share * times * forwardFlops(operation, run.sequenceLength) : 0),
    0,
  );
}

/**
 * Training FLOPs for a token, as others count them. N is active parameters.
 *
 * - causal: this tool's own: every product, attention over the keys that a causal query meets.
 * - full: the same, attention not halved.
 * - palm: 6N + 12 L H Q T (Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
 * - 6n: 6N (Kaplan et al. 2020, arXiv:2001.08361).
 * - megatron: Megatron-LM `num_floating_point_operations` since 2024: causal, multi-token prediction in, router out.
 * - torchtitan: 6 (N - N_embedding) + 12 L H Q T.
 */
function conventions(
  main: readonly Counted[],
  prediction: readonly Counted[],
  S: number,
  training: number,
): FlopCount['conventions'] {
  const sum = (list: readonly Counted[], take: (operation: Operation) => number) =>
    list.reduce((total, { operation, times }) => total + times * take(operation), 0);
  const N = sum(main, activated);
  const table = sum(main, (operation) => (operation.kind === 'table' ? activated(operation) : 0));
  const tied = main.some(
    ({ operation }) => operation.component === 'output' && operation.kind === 'linear' && operation.tied,
  );
  const attention =
    6 *
    S *
    sum(main, (operation) =>
      operation.kind === 'attention' ? operation.heads * (operation.queryKeyDim + operation.valueDim) : 0,
    );
  const full = 3 * sum([...main, ...prediction], (operation) => forwardFlops(operation, S, 'full'));
  const megatron =
    3 *
    sum([...main, ...prediction], (operation) => (operation.component === 'router' ? 0 : forwardFlops(operation, S)));
  return {
    causal: flops(training),
    full: flops(full),
    palm: flops(6 * N + attention),
    '6n': flops(6 * N),
    megatron: flops(megatron),
    torchtitan: flops(6 * (N - (tied ? 0 : table)) + attention),
  };
}

const attentionParts: readonly Component[] = ['attention', 'state_space'];
const feedForwardParts: readonly Component[] = ['feed_forward', 'experts', 'shared_experts'];

function layerFlops(
  operations: Operations,
  layer: Operations['layers'][number],
  kind: number,
  S: number,
): FlopCount['layers'][number] {
  const of = (wanted: (component: Component) => boolean): Flops =>
    flops(
      layer.operations.reduce(
        (sum, operation) => sum + (wanted(operation.component) ? forwardFlops(operation, S) : 0),
        0,
      ),
    );
  return {
    name: layer.name,
    count: operations.order.filter((index) => index === kind).length,
    attention: of((component) => attentionParts.includes(component)),
    feedForward: of((component) => feedForwardParts.includes(component)),
    router: of((component) => component === 'router'),
    other: of((component) => ![...attentionParts, ...feedForwardParts, 'router'].includes(component)),
  };
}

/** The forward pass at a quarter, half, one, two, four and sixteen times the sequence length. */
function growth(main: readonly Counted[], S: number): FlopCount['growth'] {
  return [0.25, 0.5, 1, 2, 4, 16].map((factor) => {
    const sequenceLength = Math.max(1, Math.round(S * factor));
    let attention = 0;
    let total = 0;
    for (const { operation, times } of main) {
      const amount = times * forwardFlops(operation, sequenceLength);
      total += amount;
      if (operation.kind === 'attention') attention += amount;
    }
    return { sequenceLength, attention: flops(attention), total: flops(total) };
  });
}
