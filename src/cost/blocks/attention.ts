import type { GroupedAttention, LatentAttention, LinearPart, Norm, VectorPart } from '../../model/architecture.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { type Block, linear, normalize, project, read, tensor } from './pieces.ts';

const component = 'attention';

/**
 * softmax(Q K^T) V with H query and K key/value heads (Vaswani et al. 2017; grouped: Ainslie et al. 2023).
 *
 * d is the width of a query's and a key's head, dv that of a value's.
 */
export function* attention(part: GroupedAttention, stream: Tensor): Block {
  const { heads: H, keyValueHeads: K, headDim: d, valueHeadDim: dv = d, inputWidth, bias } = part;
  const input = read(stream, inputWidth);
  const path = part.path ?? 'attention';
  const named = (name: string) => (part.path === undefined ? name : `${part.path}_${name}`);
  const of = (name: string, columns: number, hasBias: boolean) =>
    linear({
      path: `${path}.${name}`,
      rows: inputWidth,
      columns,
      bias: hasBias,
      component,
      input,
      output: tensor(named(name), columns, 'tensor'),
      fusedWith: named('query_key_value'),
      storedFused: part.fused,
    });
  let query = yield* of('query', H * d, bias.query);
  if (part.outputGate === 'element') yield* of('gate', H * dv, bias.query);
  if (part.outputGate === 'head') yield* of('gate', H, bias.query);
  let key = tensor(named('key'), K * d, 'tensor');
  let value = tensor(named('value'), K * dv, 'tensor');
  if (!part.sharedKeyValue) {
    yield* of('key', K * d, bias.key);
    if (part.valueIsKey) value = key;
    else yield* of('value', K * dv, bias.value);
  }
  yield* extras(part.extra, stream);
  if (part.queryKeyNorm) {
    query = yield* headNorm(part.queryKeyNorm, query, H, d);
    if (!part.sharedKeyValue) {
      if (part.queryKeyNorm.value) value = yield* headNorm(part.queryKeyNorm, value, K, dv, false);
      key = yield* headNorm(part.queryKeyNorm, key, K, d);
    }
  }
  if (part.rotary) yield { kind: 'rope', path: `${path}.rope`, component, query, key };
  const core = tensor(named('core'), H * dv, 'tensor');
  yield {
    kind: 'attention',
    path: `${path}.core`,
    component,
    heads: H,
    keyValueHeads: K,
    queryKeyDim: d,
    valueDim: dv,
    span: part.span,
    causal: part.causal,
    parameters: part.sinks ? H : 0,
    query,
    key,
    value,
    output: core,
    cacheElements: part.sharedKeyValue || part.cached === false ? 0 : K * (d + dv),
    cacheSharded: true,
  };
  const columns = part.outputWidth ?? inputWidth;
  return yield* project({ path: `${path}.output`, rows: H * dv, columns, bias: bias.output, component, input: core });
}

/** A norm over each head of a query or key (one set of weights, or one for each head), or over all of them at once. */
function* headNorm(
  norm: NonNullable<GroupedAttention['queryKeyNorm']>,
  input: Tensor,
  heads: number,
  headDim: number,
  learned = true,
): Block {
  const width = norm.over === 'head' ? headDim : heads * headDim;
  const sets = norm.over === 'head' && norm.perHead ? heads : 1;
  const output = tensor(`${input.name}_norm`, input.elements, 'tensor');
  yield {
    kind: 'norm',
    path: `attention.${input.name}_norm`,
    component: 'norm',
    style: norm.style,
    ...(norm.upcast === undefined ? {} : { upcast: norm.upcast }),
    width,
    parameters: learned ? sets * width * (Number(norm.weight) + Number(norm.bias)) : 0,
    input,
    output,
  };
  return output;
}

/** Queries, keys and values through low-rank pairs (DeepSeek-V2, arXiv:2405.04434, 2.1.2), as trained: decompressed. */
export function* latent(part: LatentAttention, stream: Tensor): Block {
  const { heads: H, inputWidth, queryRank, keyValueRank, nopeDim, ropeDim, valueDim } = part;
  const d = nopeDim + ropeDim;
  const input = read(stream, inputWidth);
  const query = tensor('query', H * d, 'tensor');
  const compressed = queryRank === undefined ? input : yield* queryDown(queryRank, part.bias.down, input);
  yield* linear({
    path: 'attention.query_up',
    rows: compressed.elements,
    columns: H * d,
    bias: false,
    component,
    input: compressed,
    output: query,
  });
  const down = yield* linear({
    path: 'attention.key_value_down',
    rows: inputWidth,
    columns: keyValueRank + ropeDim,
    bias: part.bias.down,
    component,
    input,
    output: tensor('key_value_down', keyValueRank + ropeDim, 'residual'),
    sharding: 'replicated',
  });
  const narrowed = { ...down, elements: keyValueRank };
  const normal = yield* normalize('attention.key_value_down_norm', narrowed, keyValueRank, undefined, down);
  // Keys without position and values are one product; the value is a view of it, so its storage is the whole of it.
  const value = yield* linear({
    path: 'attention.key_value_up',
    rows: keyValueRank,
    columns: H * (nopeDim + valueDim),
    bias: false,
    component,
    input: normal,
    output: tensor('key_value', H * (nopeDim + valueDim), 'tensor'),
  });
  const key = tensor('key', H * d, 'tensor');
  yield { kind: 'rope', path: 'attention.rope', component, query, key };
  if (part.indexer) yield* indexer(part.indexer, input, compressed);
  yield* extras(part.extra, stream);
  const core = tensor('core', H * valueDim, 'tensor');
  yield {
    kind: 'attention',
    path: 'attention.core',
    component,
    heads: H,
    keyValueHeads: H,
    queryKeyDim: d,
    valueDim,
    span: part.span,
    causal: true,
    parameters: 0,
    query,
    key,
    value,
    output: core,
    cacheElements: keyValueRank + ropeDim,
    cacheSharded: false,
  };
  const bias = part.bias.output;
  return yield* project({
    path: 'attention.output',
    rows: H * valueDim,
    columns: inputWidth,
    bias,
    component,
    input: core,
  });
}

function* queryDown(rank: number, bias: boolean, input: Tensor): Block {
  const down = yield* linear({
    path: 'attention.query_down',
    rows: input.elements,
    columns: rank,
    bias,
    component,
    input,
    output: tensor('query_down', rank, 'residual'),
    sharding: 'replicated',
  });
  return yield* normalize('attention.query_down_norm', down, rank);
}

/** The lightning indexer (DeepSeek-V3.2): one cheap key, a few query heads, one weight for each of them. */
function* indexer(
  { heads, headDim }: { readonly heads: number; readonly headDim: number },
  input: Tensor,
  compressed: Tensor,
): Generator<Operation, void> {
  const of = (name: string, source: Tensor, columns: number) =>
    linear({
      path: `attention.${name}`,
      rows: source.elements,
      columns,
      bias: false,
      component,
      input: source,
      output: tensor(name, columns, 'residual'),
      sharding: 'replicated',
    });
  const query = yield* of('indexer_query', compressed, heads * headDim);
  const raw = yield* of('indexer_key', input, headDim);
  const key = tensor('indexer_key_norm', headDim, 'residual');
  yield {
    kind: 'norm',
    path: 'attention.indexer_key_norm',
    component: 'norm',
    style: 'layer',
    width: headDim,
    parameters: 2 * headDim,
    input: raw,
    output: key,
  };
  yield* of('indexer_weights', input, heads);
  yield {
    kind: 'attention',
    path: 'attention.indexer_core',
    component,
    heads,
    keyValueHeads: 1,
    queryKeyDim: headDim,
    valueDim: 0,
    span: { kind: 'full' },
    causal: true,
    parameters: 0,
    query,
    key,
    value: key,
    output: tensor('indexer_scores', 0, 'residual'),
    cacheElements: headDim,
    cacheSharded: false,
  };
}

/** Matrices, vectors and norms inside the block that no noun covers. */
function* extras(
  parts: readonly (LinearPart | VectorPart | Norm)[] | undefined,
  stream: Tensor,
): Generator<Operation, void> {
  for (const part of parts ?? []) {
    switch (part.kind) {
      case 'vector':
        yield { ...part, flopsPerToken: part.flopsPerToken ?? 0 };
        break;
      case 'norm': {
        const input = tensor(part.path, part.width * (part.repeat ?? 1), 'residual');
        yield* normalize(part.path, input, part.width, part);
        break;
      }
      case 'linear': {
        const input = part.rows === stream.elements ? stream : tensor(`${part.path}_in`, part.rows, 'residual');
        yield* linear({ ...part, input, output: tensor(part.path, part.columns, 'residual') });
        break;
      }
    }
  }
}
