import type { Span } from '../../model/architecture.ts';
import type { AttentionCore, Operation } from '../../model/operation.ts';

/**
 * Causal: the keys that the average query may see, which is what a kernel that knows the mask computes. Full: every key,
 * masks and windows ignored, which is what plain matrix products compute and PyTorch's FlopCounterMode counts.
 */
export type AttentionConvention = 'causal' | 'full';

/**
 * Keys that the average query of a sequence of S tokens may see. A query sees itself half, so that S tokens see S / 2.
 *
 * - full: S / 2
 * - window w: w - w^2 / 2S, since the first w queries see fewer; S / 2 where w >= S
 * - chunks of c: c / 2 within a whole chunk, and the last one may be shorter
 * - k selected of those before: as a window of k
 * - compressed by r, k selected: as a window of k over S / r keys; a local window besides
 *
 * Without a causal mask: S, or the span's own bound.
 */
export function meanContext(span: Span, causal: boolean, S: number): number {
  const bounded = (w: number, keys: number) => {
    if (w >= keys) return causal ? keys / 2 : keys;
    return causal ? w - (w * w) / (2 * keys) : w;
  };
  switch (span.kind) {
    case 'full':
      return bounded(S, S);
    case 'window':
      return bounded(span.tokens, S);
    case 'chunk': {
      const c = Math.min(span.tokens, S);
      const rest = S % c;
      const visible = ((S - rest) * c + rest * rest) / S;
      return causal ? visible / 2 : visible;
    }
    case 'selected': {
      const local = span.window === undefined ? 0 : bounded(span.window, S);
      const keys = S / (span.ratio ?? 1);
      return bounded(span.tokens ?? keys, keys) + local;
    }
  }
}

/** Keys that exist for a query, masks and windows ignored: S, or those of a compressed context with S beside it. */
function allKeys(span: Span, S: number): number {
  if (span.kind !== 'selected' || span.ratio === undefined) return S;
  return S / span.ratio + (span.window === undefined ? 0 : S);
}

/** Keys of a query whose scores are written out: all, but for code that cuts them to what it sees. */
export function keysWritten({ writtenOut, span }: AttentionCore, S: number): number {
  if (writtenOut !== true || span.kind === 'full') return S;
  return Math.min(S, span.tokens ?? S);
}

/** Keys that the average query meets in one of the two conventions. */
export const keysMet = (core: AttentionCore, S: number, convention: AttentionConvention): number =>
  convention === 'full' ? allKeys(core.span, S) : meanContext(core.span, core.causal, S);

/** Forward FLOPs of one token with the table of relative places. */
export const placeFlops = ({ heads, queryKeyDim, places }: AttentionCore): number =>
  places === undefined ? 0 : 2 * heads * queryKeyDim * places.count * places.terms;

/**
 * Forward FLOPs of one operation for one token: 2 for each multiply-add.
 *
 * - linear: 2 rows columns, for each copy that the token uses
 * - attention: 2 H (d_qk + d_v) for each key that a query meets, 2 H d_qk for each relative place in each term
 * - scan: `cost/expand/recurrence.ts`; whole chunks where the convention ignores masks
 * - vector: as the family states
 * - norms, rotary position, softmax, activations, lookups, sums: 0, as is usual
 */
export function forwardFlops(operation: Operation, S: number, convention: AttentionConvention = 'causal'): number {
  switch (operation.kind) {
    case 'linear':
      return 2 * operation.rows * operation.columns * operation.used;
    case 'attention':
      return (
        2 * operation.heads * (operation.queryKeyDim + operation.valueDim) * keysMet(operation, S, convention) +
        placeFlops(operation)
      );
    case 'scan':
      return convention === 'full' ? operation.fullFlopsPerToken : operation.flopsPerToken;
    case 'vector':
      return operation.flopsPerToken;
    default:
      return uncounted(operation);
  }
}

/** Operations whose FLOPs nobody counts, one by one, so that the compiler names a new kind here. */
export const uncounted = (
  _: Extract<
    Operation,
    { kind: 'norm' | 'activation' | 'rope' | 'add' | 'route' | 'dispatch' | 'combine' | 'table' | 'loss' }
  >,
): number => 0;
