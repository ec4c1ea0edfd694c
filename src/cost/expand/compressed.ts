import type { CompressedAttention, Role, Span } from '../../model/architecture.ts';
import { given } from '../../model/given.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { component, compressedQuery, headNorm, replicated } from './attention-parts.ts';
import { indexerScores } from './indexer.ts';
import { type Block, linear, normalize, project, read, tensor } from './pieces.ts';

/**
 * Attention over a window and over compressed entries (DeepSeek-V4): entry i is a weighted mean of keys of m tokens, with
 * weights learned for each element; a query meets all entries before it, or those that an indexer chooses. One key serves all heads
 * and is their value too.
 *
 * d head width, m tokens of an entry.
 */
export function* compressed(part: CompressedAttention, stream: Tensor): Block {
  const { headDim: d, inputWidth, compression } = part;
  const input = read(stream, inputWidth);
  const narrow = yield* compressedQuery(part.queryRank, false, input);
  const query = yield* queries(part, narrow);
  const raw = yield* replicated('key', input, d, 'key');
  const key = yield* normalize('attention.key_norm', raw, d, undefined, { block: component });
  yield { kind: 'rope', path: 'attention.rope', component, query, key };
  if (compression) {
    yield* entries(compression.ratio, compression.overlaps, d, input);
    if (compression.chosen) yield* entryIndexer(compression.ratio, compression.chosen, input, narrow);
  }
  const core = yield* compressedCore(part, query, key);
  return yield* output(part, core);
}

function* queries({ heads: H, headDim: d, queryRank }: CompressedAttention, narrow: Tensor): Block {
  const plain = yield* linear({
    path: 'attention.query_up',
    role: 'query_up',
    rows: queryRank,
    columns: H * d,
    bias: false,
    component,
    input: narrow,
    output: tensor('query', H * d, 'tensor'),
  });
  return yield* headNorm({ over: 'head', style: 'rms', weight: false, bias: false }, plain, H, d);
}

/** The window alone, or with the entries that a query meets: all of them, or those that the indexer chooses. */
function spanOf({ window, compression }: CompressedAttention): Span {
  if (compression === undefined) return { kind: 'window', tokens: window };
  const { ratio, chosen } = compression;
  return { kind: 'selected', window, ratio, ...given({ tokens: chosen?.entries }) };
}

function* compressedCore(part: CompressedAttention, query: Tensor, key: Tensor): Generator<Operation, Tensor> {
  const { heads: H, headDim: d } = part;
  const output = tensor('core', H * d, 'tensor');
  yield {
    kind: 'attention',
    variant: 'compressed',
    path: 'attention.core',
    component,
    heads: H,
    keyValueHeads: 1,
    queryKeyDim: d,
    valueDim: d,
    span: spanOf(part),
    causal: true,
    parameters: H,
    query,
    key,
    value: key,
    output,
    cacheElements: d,
  };
  return output;
}

/** The output through one matrix for each group of heads, then through one that joins the groups. */
function* output(part: CompressedAttention, core: Tensor): Block {
  const { outputGroups: G, outputRank: r, inputWidth } = part;
  const grouped = yield* linear({
    path: 'attention.output_down',
    rows: core.elements / G,
    columns: r,
    copies: G,
    used: G,
    bias: false,
    component,
    input: core,
    output: tensor('output_down', G * r, 'tensor'),
  });
  return yield* project({
    path: 'attention.output',
    role: 'attention_output',
    rows: G * r,
    columns: inputWidth,
    bias: false,
    component,
    input: grouped,
  });
}

/** Keys of m tokens become one entry: the softmax of a gate, with a learned bias for each place, weighs them. */
function* entries(m: number, overlaps: boolean, d: number, input: Tensor, prefix = '', role?: Role): Block {
  const width = overlaps ? 2 * d : d;
  const name = `${prefix}compressed`;
  const key = yield* replicated(`${name}_key`, input, width, role);
  yield* replicated(`${name}_gate`, input, width, role);
  const elements = m * width;
  yield { kind: 'vector', path: `attention.${name}_position`, elements, component, flopsPerToken: 0 };
  const narrow = { ...key, elements: d };
  return yield* normalize(`attention.${name}_norm`, narrow, d, undefined, { block: component, stored: key });
}

/** The indexer that scores entries: it compresses keys of its own, at its own width. */
function* entryIndexer(
  ratio: number,
  { heads, headDim }: { readonly heads: number; readonly headDim: number },
  input: Tensor,
  narrow: Tensor,
): Generator<Operation, void> {
  const key = yield* entries(ratio, true, headDim, input, 'indexer_', 'indexer');
  const query = yield* replicated('indexer_query', narrow, heads * headDim, 'indexer');
  yield* replicated('indexer_weights', input, heads, 'indexer');
  yield indexerScores(heads, headDim, { kind: 'selected', ratio }, query, key);
}
