import type {
  CompressedAttention,
  GroupedAttention,
  Indexer,
  LatentAttention,
  LinearPart,
  Norm,
  Span,
  VectorPart,
} from '../../model/architecture.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { type Block, linear, normalize, project, read, tensor } from './pieces.ts';

const component = 'attention' as const;

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
  const { gateBias = bias.query } = part;
  let query = part.experts ? yield* chosenQueries(part, part.experts, input) : yield* of('query', H * d, bias.query);
  if (part.outputGate === 'element') yield* of('gate', H * dv, gateBias);
  if (part.outputGate === 'head') yield* of('gate', H, gateBias);
  let key = tensor(named('key'), K * d, 'tensor');
  let value = tensor(named('value'), K * dv, 'tensor');
  if (!part.sharedKeyValue) {
    yield* of('key', K * d, bias.key);
    if (part.valueIsKey) value = key;
    else yield* of('value', K * dv, bias.value);
  }
  yield* extras(part.extra, stream);
  if (part.indexer) yield* indexer(part.indexer, input, input);
  if (part.queryKeyNorm) {
    query = yield* headNorm(part.queryKeyNorm, query, H, d);
    if (!part.sharedKeyValue) {
      if (part.queryKeyNorm.value) value = yield* headNorm(part.queryKeyNorm, value, K, dv, false);
      key = yield* headNorm(part.queryKeyNorm, key, K, d);
    }
  }
  if (part.rotary) {
    const joined = part.rotaryJoined === true ? { joined: true } : {};
    yield { kind: 'rope', path: `${path}.rope`, component, query, key, ...joined };
  }
  const core = tensor(named('core'), H * dv, 'tensor');
  yield {
    kind: 'attention',
    path: `${path}.core`,
    component,
    heads: H,
    keyValueHeads: K,
    queryKeyDim: d,
    valueDim: part.weighedDim ?? dv,
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
  const to = `${path}.output`;
  if (!part.experts)
    return yield* project({ path: to, rows: H * dv, columns, bias: bias.output, component, input: core });
  const { count, active } = part.experts;
  const output = tensor(`${to}_out`, columns, 'residual');
  const choice = { copies: count, used: active, sharding: 'expert' } as const;
  return yield* linear({
    path: to,
    rows: (H * dv) / active,
    columns,
    bias: false,
    component,
    input: core,
    output,
    ...choice,
  });
}

/** Queries of the experts that a router chooses for each token (mixture of attention heads, arXiv:2210.05144). */
function* chosenQueries(
  { heads: H, headDim: d, inputWidth }: GroupedAttention,
  { count, active }: { readonly count: number; readonly active: number },
  input: Tensor,
): Block {
  const logits = yield* linear({
    path: 'router.attention',
    rows: inputWidth,
    columns: count,
    bias: false,
    component: 'router',
    input,
    output: tensor('attention_router_logits', count, 'residual'),
    sharding: 'replicated',
  });
  const choice = { component: 'router', experts: count, active, parameters: 0, input: logits } as const;
  yield { kind: 'route', path: 'router.attention_choice', ...choice };
  return yield* linear({
    path: 'attention.query',
    rows: inputWidth,
    columns: (H * d) / active,
    bias: false,
    component,
    input,
    output: tensor('query', H * d, 'tensor'),
    copies: count,
    used: active,
    sharding: 'expert',
  });
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
  const gate = {
    bias: false,
    component,
    columns: H * valueDim,
    output: tensor('gate', H * valueDim, 'tensor'),
  } as const;
  // With the gate, queries are made of the compressed query and of its norm.
  const sources = part.outputGate === 'query' ? 2 : 1;
  const fusedWith = sources === 2 ? 'query_gate' : undefined;
  const up = { rows: sources * compressed.elements, input: compressed, fusedWith, storedFused: sources === 2 };
  yield* linear({ ...up, path: 'attention.query_up', columns: H * d, bias: false, component, output: query });
  if (part.outputGate === 'query') yield* linear({ ...up, ...gate, path: 'attention.gate' });
  if (part.outputGate === 'input') yield* linear({ ...gate, path: 'attention.gate', rows: inputWidth, input });
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
    parameters: part.sinks ? H : 0,
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

/**
 * Attention over a window and over compressed entries (DeepSeek-V4): entry i is a weighted mean of keys of m tokens, with
 * weights learned for each element; a query meets all entries before it, or those that an indexer chooses.
 *
 * d head width, m tokens of an entry.
 */
export function* compressed(part: CompressedAttention, stream: Tensor): Block {
  const { heads: H, headDim: d, inputWidth, compression, outputGroups: G, outputRank: r } = part;
  const input = read(stream, inputWidth);
  const narrow = yield* queryDown(part.queryRank, false, input);
  const plain = tensor('query', H * d, 'tensor');
  yield* linear({
    path: 'attention.query_up',
    rows: part.queryRank,
    columns: H * d,
    bias: false,
    component,
    input: narrow,
    output: plain,
  });
  const query = yield* headNorm({ over: 'head', style: 'rms', weight: false, bias: false }, plain, H, d);
  const raw = yield* replicated('key', input, d);
  const key = yield* normalize('attention.key_norm', raw, d);
  yield { kind: 'rope', path: 'attention.rope', component, query, key };
  const { ratio, chosen } = compression ?? {};
  if (compression) yield* compressor('', compression.ratio, compression.overlaps, d, input);
  if (compression && chosen) yield* entryIndexer(compression.ratio, chosen, input, narrow);
  const core = tensor('core', H * d, 'tensor');
  const span =
    ratio === undefined
      ? ({ kind: 'window', tokens: part.window } as const)
      : ({
          kind: 'selected',
          window: part.window,
          ratio,
          ...(chosen === undefined ? {} : { tokens: chosen.entries }),
        } as const);
  yield {
    kind: 'attention',
    path: 'attention.core',
    component,
    heads: H,
    keyValueHeads: 1,
    queryKeyDim: d,
    valueDim: d,
    span,
    causal: true,
    parameters: H,
    query,
    key,
    value: key,
    output: core,
    cacheElements: d,
    cacheSharded: false,
  };
  const grouped = yield* linear({
    path: 'attention.output_down',
    rows: (H * d) / G,
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
    rows: G * r,
    columns: inputWidth,
    bias: false,
    component,
    input: grouped,
  });
}

const replicated = (name: string, input: Tensor, columns: number) =>
  linear({
    path: `attention.${name}`,
    rows: input.elements,
    columns,
    bias: false,
    component,
    input,
    output: tensor(name, columns, 'residual'),
    sharding: 'replicated',
  });

/** Keys of m tokens become one: the softmax of a gate, with a learned bias for each place, weighs them. */
function* compressor(prefix: string, m: number, overlaps: boolean, d: number, input: Tensor): Block {
  const width = overlaps ? 2 * d : d;
  const name = `${prefix}compressed`;
  const key = yield* replicated(`${name}_key`, input, width);
  yield* replicated(`${name}_gate`, input, width);
  const elements = m * width;
  yield { kind: 'vector', path: `attention.${name}_position`, elements, component, flopsPerToken: 0 };
  return yield* normalize(`attention.${name}_norm`, { ...key, elements: d }, d, undefined, key);
}

/** The indexer of compressed entries: its own compressor, at its own width. */
function* entryIndexer(
  ratio: number,
  { heads, headDim }: { readonly heads: number; readonly headDim: number },
  input: Tensor,
  narrow: Tensor,
): Generator<Operation, void> {
  const key = yield* compressor('indexer_', ratio, true, headDim, input);
  const query = yield* replicated('indexer_query', narrow, heads * headDim);
  yield* replicated('indexer_weights', input, heads);
  yield scores(heads, headDim, { kind: 'selected', ratio }, query, key);
}

const scores = (heads: number, headDim: number, span: Span, query: Tensor, key: Tensor): Operation => ({
  kind: 'attention',
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
  cacheSharded: false,
});

/** The lightning indexer (DeepSeek-V3.2): one cheap key, a few query heads, a weight for each of them. */
function* indexer(
  { heads, headDim, norms = 'key', weighted = true, ratio }: Indexer,
  input: Tensor,
  compressed: Tensor,
): Generator<Operation, void> {
  const style = norms === 'key' ? 'layer' : 'rms';
  const normal = (name: string, raw: Tensor) =>
    normalize(`attention.${name}_norm`, raw, headDim, {
      kind: 'norm',
      path: name,
      width: headDim,
      style,
      weight: true,
      bias: style === 'layer',
    });
  const plain = yield* replicated('indexer_query', compressed, heads * headDim);
  const query = norms === 'key' ? plain : yield* normal('indexer_query', plain);
  const key = yield* normal('indexer_key', yield* replicated('indexer_key', input, headDim));
  if (weighted) yield* replicated('indexer_weights', input, heads);
  const span: Span = ratio === undefined ? { kind: 'full' } : { kind: 'selected', ratio };
  yield scores(heads, headDim, span, query, key);
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
