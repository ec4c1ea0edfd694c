import type { FlopConvention } from '../../model/estimate.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type Flops, flops } from '../../units.ts';
import { forwardFlops } from './forward.ts';
import { type Trained, trainedLists, trainingFlops } from './training.ts';
import { activeParametersOf, mainNetwork, outputProjection } from './weights.ts';

/**
 * Training FLOPs for a token as the field counts them: docs/flops.md says what each has and lacks. N is active parameters,
 * S the sequence length.
 *
 * - causal: this tool's own. Every product, attention over the keys that a query may see, 3 times the forward pass.
 * - full: the same with attention over all S keys, masks and windows ignored.
 * - palm: 6N + 12 L H Q S (Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
 * - 6n: 6N (Kaplan et al. 2020, arXiv:2001.08361).
 * - megatron: what Megatron-LM prints at commit d98e8a6.
 * - torchtitan: what torchtitan prints since 2026-08.
 *
 * The last four know no adapters and no encoders, and count as if every weight were trained.
 *
 * @param encoders training FLOPs of encoders, for a token of text
 */
export function conventions(
  operations: Operations,
  run: TrainingRun,
  encoders = 0,
): Readonly<Record<FlopConvention, Flops>> {
  const main = [...mainNetwork(operations)];
  const S = run.sequenceLength;
  const N = sum(main, activeParametersOf);
  return {
    causal: flops(trainingFlops(operations, run, 'causal') + encoders),
    full: flops(trainingFlops(operations, run, 'full') + encoders),
    palm: flops(6 * N + quadratic(main, S)),
    '6n': flops(6 * N),
    megatron: flops(megatron(operations, run)),
    torchtitan: flops(torchtitan(operations, run)),
  };
}

const sum = (list: readonly Trained[], take: (operation: Operation) => number): number =>
  list.reduce((total, { operation, times }) => total + times * take(operation), 0);

/** 12 L H Q S, with (d_qk + d_v) / 2 for Q where they differ. An indexer's scores are no attention. */
const quadratic = (main: readonly Trained[], S: number): number =>
  6 * S * sum(main, (one) => (isAttention(one) ? one.heads * (one.queryKeyDim + one.valueDim) : 0));

const isAttention = (operation: Operation): operation is Extract<Operation, { kind: 'attention' }> =>
  operation.kind === 'attention' && operation.variant !== 'indexer';

/**
 * torchtitan's `get_nparams_and_flops` since pull request 4300 (2026-08): 6 for each parameter that a token uses, 6 H (d_qk + d_v)
 * for each key in reach of an attention layer, and 18 for each element of a delta rule's state. The token table is left out
 * unless the output shares it. A layer that predicts further tokens counts as the others do, and uses the output once more. A
 * router's load-balancing bias is a buffer, no parameter.
 */
function torchtitan(operations: Operations, run: TrainingRun): number {
  const prediction = run.mtp === false ? [] : operations.prediction.map((operation) => ({ operation, times: 1 }));
  const counted = [...mainNetwork(operations), ...prediction];
  const tied = operations.head.some((operation) => operation.kind === 'linear' && operation.tied);
  const used = (operation: Operation) => {
    if (operation.kind === 'route') return 0;
    if (operation.kind === 'table') return tied ? activeParametersOf(operation) : 0;
    return operation.role === 'embedding_and_output_copies' ? 0 : activeParametersOf(operation);
  };
  const output = outputProjection(operations);
  const again =
    run.mtp === false || output === undefined ? 0 : operations.predictionDepth * output.rows * output.columns;
  return 6 * (sum(counted, used) + again) + sum(counted, (one) => mixing(one, run.sequenceLength));
}

/** What torchtitan counts for the mixing of tokens: keys in a window or before it (no mask), three products with a delta rule's state. */
function mixing(operation: Operation, S: number): number {
  if (operation.kind === 'scan') return deltaRules.includes(operation.style) ? 18 * operation.stateElements : 0;
  if (!isAttention(operation)) return 0;
  const { span, heads, queryKeyDim, valueDim } = operation;
  return 6 * heads * (queryKeyDim + valueDim) * (span.kind === 'window' ? Math.min(S, span.tokens) : S);
}

const deltaRules: readonly string[] = ['gated_delta', 'kda'];

/**
 * Megatron-LM `num_floating_point_operations` (megatron/training/training.py, commit d98e8a6): attention S / 2 whatever the
 * window, chunk or selection; no router, no gate on shared experts, no indexer; the norms of latent attention and of
 * multi-token prediction as if they were matrices. Where the model has Mamba-2 layers it takes its hybrid path, in which the
 * inner width of Mamba is twice the hidden size whatever the config says, convolutions, the attention's output gate and
 * multi-token prediction's joining matrix cost nothing.
 */
function megatron(operations: Operations, run: TrainingRun): number {
  const S = run.sequenceLength;
  const D = outputProjection(operations)?.rows ?? 0;
  const hybrid = operations.layers.some(({ operations: list }) =>
    list.some((one) => one.kind === 'scan' && one.style === 'mamba2'),
  );
  const forward = (operation: Operation): number => {
    switch (operation.kind) {
      case 'attention':
        return isAttention(operation) ? operation.heads * (operation.queryKeyDim + operation.valueDim) * S : 0;
      case 'linear': {
        const { role } = operation;
        if (role === 'router' || role === 'shared_expert_scale' || role === 'indexer') return 0;
        return hybrid && (role === 'output_gate' || role === 'join') ? 0 : forwardFlops(operation, S);
      }
      case 'norm':
        return operation.role === 'query_down' || operation.role === 'key_value_down' ? 2 * operation.width : 0;
      case 'scan':
        return operation.style === 'mamba2' ? mamba(operation, D) : operation.flopsPerToken;
      default:
        return forwardFlops(operation, S);
    }
  };
  let total = hybrid || run.mtp === false ? 0 : 2 * 3 * D * operations.predictionDepth;
  const known = new Map<readonly Operation[], number>();
  for (const { list, times } of trainedLists(operations, run)) {
    const once = known.get(list) ?? list.reduce((amount, operation) => amount + forward(operation), 0);
    known.set(list, once);
    total += times * once;
  }
  return 3 * total;
}

/**
 * 7 d N for the scan with d = 2D, and what its projections (D to 2d + ..., d to D) gain by that: 6 D (2D - d), where d is the
 * config's own width and N the states of one channel.
 */
function mamba({ stateElements, output }: Extract<Operation, { kind: 'scan' }>, D: number): number {
  const { elements: d } = output;
  const N = stateElements / d;
  return 7 * 2 * D * N + 6 * D * (2 * D - d);
}
