import type { StateSpace } from '../../model/architecture.ts';
import type { Tensor } from '../../model/operation.ts';
import { type Block, tensor } from './pieces.ts';

/**
 * What the mixers with a state compute and keep. Letters: H heads, n width of a key (states of a channel), p width of a value,
 * g groups of heads that share their keys and queries, d = H p, Q tokens of a chunk, k width of the convolution.
 */

/** The state update of a recurrent mixer. */
export function* recurrence(part: StateSpace, input: Tensor): Block {
  const { causal, full } = recurrenceFlops(part);
  const output = tensor(`${part.path}_out`, part.outputElements, 'tensor');
  yield {
    kind: 'scan',
    path: part.path,
    component: 'state_space',
    style: part.style,
    parameters: part.parameters,
    flopsPerToken: causal,
    fullFlopsPerToken: full,
    stateElements: stateElements(part),
    convolutionState: convolutionState(part),
    input: { ...input, elements: part.inputElements },
    output,
  };
  return output;
}

/**
 * FLOPs for one token, forward, the convolution included and the projections around it not: causal within a chunk as training
 * executes it, and with whole chunks.
 *
 * - chunked linear attention (Mamba-2: Dao and Gu 2024, arXiv:2405.21060, 6; lightning attention: Qin et al. 2024,
 *   arXiv:2405.17381, 3; mLSTM: Beck et al. 2025, arXiv:2503.14376, 3): within a chunk Q (g n + d), half of 2 Q g n for the
 *   scores and half of 2 Q d for the values; 4 d n to read the state and to add to it.
 * - Mamba: 7 d n, one multiply-add and its discretisation for each element of the state (Megatron-LM `mamba_layer_flops`).
 * - delta rule (Yang et al. 2024, arXiv:2412.06464; KDA: Kimi Linear, arXiv:2510.26692): 8 d n, four products with the state:
 *   what it holds of the key, the correction, the decay, the query (Megatron-LM `num_floating_point_operations`).
 * - RWKV-4 (Peng et al. 2023, arXiv:2305.13048, eq. 19-22): 11 d. RWKV-5 and later (Peng et al. 2024, arXiv:2404.05892,
 *   eq. 19-20): 7 d n. RWKV-7 (Peng et al. 2025, arXiv:2503.14456, eq. 17): 10 d n.
 * - RG-LRU (De et al. 2024, arXiv:2402.19427, 2.4): 6 d.
 */
function recurrenceFlops(part: StateSpace): { readonly causal: number; readonly full: number } {
  const { heads: H, keyDim: n, valueDim: p, groups: g = H, chunk: Q, convolution } = part;
  const d = H * p;
  const conv = convolution === undefined ? 0 : 2 * convolution.kernel * convolution.channels;
  const steps = (amount: number) => ({ causal: amount + conv, full: amount + conv });
  switch (part.style) {
    case 'mamba1':
      return steps(7 * d * n);
    case 'gated_delta':
    case 'kda':
      return steps(8 * d * n);
    case 'rwkv4':
      return steps(11 * d);
    case 'rwkv5':
      return steps(7 * d * n);
    case 'rwkv7':
      return steps(10 * d * n);
    case 'rglru':
      return steps(6 * d);
    case 'conv':
      return steps(2 * d);
    case 'mamba2':
    case 'lightning':
    case 'mlstm': {
      if (Q === undefined) return steps(4 * d * n);
      const within = Q * (g * n + d);
      return { causal: within + 4 * d * n + conv, full: 2 * within + 4 * d * n + conv };
    }
  }
}

/** Elements of the state that one sequence keeps. */
function stateElements({ style, heads: H, keyDim: n, valueDim: p }: StateSpace): number {
  switch (style) {
    case 'conv':
      return 0;
    case 'rglru':
      return H * p;
    // Numerator, denominator and the largest exponent so far.
    case 'rwkv4':
      return 3 * H * p;
    // The matrix, its normaliser, and the largest exponent of each head.
    case 'mlstm':
      return H * (p * n + n + 1);
    case 'mamba1':
    case 'mamba2':
    case 'gated_delta':
    case 'kda':
    case 'lightning':
    case 'rwkv5':
    case 'rwkv7':
      return H * p * n;
  }
}

/** Elements that the convolution keeps of the tokens before. */
const convolutionState = ({ convolution }: StateSpace): number =>
  convolution === undefined ? 0 : convolution.channels * (convolution.kernel - 1);
