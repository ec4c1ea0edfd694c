import { bytesOf } from '../../facts/precisions.ts';
import { serving } from '../../facts/serving.ts';
import type { Span } from '../../model/architecture.ts';
import type { InferenceEstimate } from '../../model/estimate.ts';
import type { Operations } from '../../model/operation.ts';
import type { SettledRun } from '../../model/run.ts';
import { type Bytes, bytes } from '../../units.ts';

/** Bytes of an element of the cache. */
const e = bytesOf.bf16;

/** Tokens of a sequence whose keys and values stay cached; entries of a compressed context count as tokens. */
function cached(span: Span, S: number): number {
  switch (span.kind) {
    case 'full':
      return S;
    case 'window':
    case 'chunk':
      return Math.min(S, span.tokens);
    case 'selected':
      return span.ratio === undefined ? S : S / span.ratio + Math.min(S, span.window ?? 0);
  }
}

/**
 * What serving the model keeps, in bytes: the key-value cache or recurrent state of a sequence, and the checkpoint's weights; and how many
 * sequences fit a GPU beside its tensor-parallel share of the weights (null where the accelerator's memory is not known).
 *
 * @param weights bytes of the checkpoint
 */
export function estimateInference(
  operations: Operations,
  { run, machine }: Pick<SettledRun, 'run' | 'machine'>,
  weights: Bytes,
): InferenceEstimate {
  const S = run.sequenceLength;
  const { tensor } = run.parallelism;
  let perToken = 0;
  let perSequence = 0;
  let perSequenceLocal = 0;
  for (const kind of operations.generates === false ? [] : operations.order) {
    for (const operation of operations.layers[kind]?.operations ?? []) {
      if (operation.kind === 'attention') {
        const each = e * operation.cacheElements;
        const share = operation.variant === 'grouped' ? Math.min(tensor, operation.keyValueHeads) : 1;
        perToken += each;
        perSequence += each * cached(operation.span, S);
        perSequenceLocal += (each * cached(operation.span, S)) / share;
      } else if (operation.kind === 'scan') {
        // The recurrent state is kept in fp32, the convolution's tail in 16 bits.
        const state = bytesOf.fp32 * operation.stateElements + e * operation.convolutionState;
        perSequence += state;
        perSequenceLocal += state / tensor;
      }
    }
  }
  const usable = machine?.usable;
  const room = usable === undefined ? undefined : serving.memoryShare * usable - weights / tensor;
  const largestBatch =
    room === undefined || perSequenceLocal === 0 ? null : Math.max(0, Math.floor(room / perSequenceLocal));
  return { cachePerToken: bytes(perToken), cachePerSequence: bytes(perSequence), weights, largestBatch };
}
