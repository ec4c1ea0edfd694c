import type { LatentAttention } from '../../model/architecture.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { component, compressedQuery, extras } from './attention-parts.ts';
import { indexer } from './indexer.ts';
import { type Block, linear, normalize, project, read, tensor } from './pieces.ts';

/**
 * Multi-head latent attention as it is trained, decompressed: queries, keys and values come out of low-rank pairs (DeepSeek-V2,
 * arXiv:2405.04434, 2.1.2).
 */
export function* latent(part: LatentAttention, stream: Tensor): Block {
  const { heads: H, inputWidth, queryRank, valueDim } = part;
  const input = read(stream, inputWidth);
  const narrow = queryRank === undefined ? input : yield* compressedQuery(queryRank, part.bias.down, input);
  const query = yield* queries(part, input, narrow);
  const value = yield* keysAndValues(part, input);
  const key = tensor('key', H * headDim(part), 'tensor');
  yield { kind: 'rope', path: 'attention.rope', component, query, key };
  if (part.indexer) yield* indexer(part.indexer, input, narrow);
  yield* extras(part.extra, stream);
  const core = yield* latentCore(part, query, key, value);
  return yield* project({
    path: 'attention.output',
    role: 'attention_output',
    rows: H * valueDim,
    columns: inputWidth,
    bias: part.bias.output,
    component,
    input: core,
  });
}

/** A head is a part without rotary position beside a part with it. */
const headDim = ({ nopeDim, ropeDim }: LatentAttention): number => nopeDim + ropeDim;

/**
 * Queries, and a gate on the output where there is one: made of the layer's input, or with the queries in one product that reads the
 * compressed query and its norm.
 */
function* queries(part: LatentAttention, input: Tensor, narrow: Tensor): Block {
  const { heads: H, inputWidth, outputGate } = part;
  const shares = outputGate === 'query';
  const source = {
    rows: (shares ? 2 : 1) * narrow.elements,
    input: narrow,
    fusedWith: shares ? 'query_gate' : undefined,
    storedFused: shares,
  };
  const gate = {
    path: 'attention.gate',
    role: 'output_gate',
    bias: false,
    component,
    columns: H * part.valueDim,
    output: tensor('gate', H * part.valueDim, 'tensor'),
  } as const;
  const query = yield* linear({
    ...source,
    path: 'attention.query_up',
    role: part.queryRank === undefined ? 'query' : 'query_up',
    columns: H * headDim(part),
    bias: false,
    component,
    output: tensor('query', H * headDim(part), 'tensor'),
  });
  if (shares) yield* linear({ ...source, ...gate });
  if (outputGate === 'input') yield* linear({ ...gate, rows: inputWidth, input });
  return query;
}

/**
 * The value. Keys without position and values are one product of the compressed vector, and the value is a view of it, so that its
 * storage is the whole of it; the part of the key with position comes out of the compression itself.
 */
function* keysAndValues(part: LatentAttention, input: Tensor): Block {
  const { heads: H, inputWidth, keyValueRank, nopeDim, ropeDim, valueDim } = part;
  const down = yield* linear({
    path: 'attention.key_value_down',
    role: 'key_value_down',
    rows: inputWidth,
    columns: keyValueRank + ropeDim,
    bias: part.bias.down,
    component,
    input,
    output: tensor('key_value_down', keyValueRank + ropeDim, 'residual'),
    sharding: 'replicated',
  });
  const narrow = { ...down, elements: keyValueRank };
  const normal = yield* normalize('attention.key_value_down_norm', narrow, keyValueRank, undefined, {
    block: component,
    role: 'key_value_down',
    stored: down,
  });
  return yield* linear({
    path: 'attention.key_value_up',
    role: 'key_value_up',
    rows: keyValueRank,
    columns: H * (nopeDim + valueDim),
    bias: false,
    component,
    input: normal,
    output: tensor('key_value', H * (nopeDim + valueDim), 'tensor'),
  });
}

function* latentCore(part: LatentAttention, query: Tensor, key: Tensor, value: Tensor): Generator<Operation, Tensor> {
  const { heads: H, valueDim } = part;
  const output = tensor('core', H * valueDim, 'tensor');
  yield {
    kind: 'attention',
    variant: 'latent',
    path: 'attention.core',
    component,
    heads: H,
    keyValueHeads: H,
    queryKeyDim: headDim(part),
    valueDim,
    span: part.span,
    causal: true,
    parameters: part.sinks ? H : 0,
    query,
    key,
    value,
    output,
    cacheElements: part.keyValueRank + part.ropeDim,
  };
  return output;
}
