import type { Indexer, Span } from '../../model/architecture.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { component, replicated } from './attention-parts.ts';
import { normalize, tensor } from './pieces.ts';

/** The lightning indexer (DeepSeek-V3.2): one cheap key, a few query heads, a weight for each of them. */
export function* indexer(
  { heads, headDim, norms = 'key', weighted = true, ratio }: Indexer,
  input: Tensor,
  compressed: Tensor,
): Generator<Operation, void> {
  const style = norms === 'key' ? 'layer' : 'rms';
  const norm = { kind: 'norm', path: '', width: headDim, style, weight: true, bias: style === 'layer' } as const;
  const normal = (name: string, raw: Tensor) =>
    normalize(`attention.${name}_norm`, raw, headDim, norm, { block: component });
  const plain = yield* replicated('indexer_query', compressed, heads * headDim, 'indexer');
  const query = norms === 'key' ? plain : yield* normal('indexer_query', plain);
  const key = yield* normal('indexer_key', yield* replicated('indexer_key', input, headDim, 'indexer'));
  if (weighted) yield* replicated('indexer_weights', input, heads, 'indexer');
  const span: Span = ratio === undefined ? { kind: 'full' } : { kind: 'selected', ratio };
  yield indexerScores(heads, headDim, span, query, key);
}

/** Scores of every key that a query may see, which choose those that the layer's attention meets. */
export const indexerScores = (heads: number, headDim: number, span: Span, query: Tensor, key: Tensor): Operation => ({
  kind: 'attention',
  variant: 'indexer',
  path: 'attention.indexer_core',
  component,
  heads,
  keyValueHeads: 1,
  queryKeyDim: headDim,
  valueDim: 0,
  span,
  causal: true,
  parameters: 0,
  query,
  key,
  value: key,
  output: tensor('indexer_scores', 0, 'residual'),
  cacheElements: headDim,
});
