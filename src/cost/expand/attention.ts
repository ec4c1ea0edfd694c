import type { GroupedAttention } from '../../model/architecture.ts';
import { given } from '../../model/given.ts';
import type { Linear, Operation, Tensor } from '../../model/operation.ts';
import { component, extras, headNorm } from './attention-parts.ts';
import { indexer } from './indexer.ts';
import { type Block, linear, project, read, tensor } from './pieces.ts';

/**
 * softmax(Q K^T) V with H query and K key/value heads (Vaswani et al. 2017; grouped: Ainslie et al. 2023). A layer may have two:
 * the second, a decoder's cross-attention, states its own path.
 *
 * d is the width of a query's and a key's head, dv that of a value's.
 */
export function* attention(part: GroupedAttention, stream: Tensor): Block {
  const input = read(stream, part.inputWidth);
  const projected = yield* projections(part, input);
  yield* extras(part.extra, stream);
  if (part.indexer) yield* indexer(part.indexer, input, input);
  const heads = yield* normalized(part, projected);
  if (part.rotary) {
    const { query, key } = heads;
    yield { kind: 'rope', path: pathOf(part, 'rope'), component, query, key, ...given({ joined: part.rotaryJoined }) };
  }
  const core = yield* groupedCore(part, heads);
  return yield* part.experts ? expertOutput(part, part.experts, core) : output(part, core);
}

type Heads = { readonly query: Tensor; readonly key: Tensor; readonly value: Tensor };

const pathOf = ({ path = component }: GroupedAttention, name: string): string => `${path}.${name}`;
const nameOf = ({ path }: GroupedAttention, name: string): string => (path === undefined ? name : `${path}_${name}`);

/** Query, output gate, key and value: one product of the layer's input, unless a router chooses the queries' experts. */
function* projections(part: GroupedAttention, input: Tensor): Generator<Operation, Heads> {
  const { heads: H, keyValueHeads: K, headDim: d, valueHeadDim: dv = d, bias, gateBias = bias.query } = part;
  const of = (role: NonNullable<Linear['role']>, name: string, columns: number, hasBias: boolean) =>
    linear({
      path: pathOf(part, name),
      role,
      rows: part.inputWidth,
      columns,
      bias: hasBias,
      component,
      input,
      output: tensor(nameOf(part, name), columns, 'tensor'),
      fusedWith: nameOf(part, 'query_key_value'),
      storedFused: part.fused,
    });
  const query = part.experts
    ? yield* chosenQueries(part, part.experts, input)
    : yield* of('query', 'query', H * d, bias.query);
  if (part.outputGate === 'element') yield* of('output_gate', 'gate', H * dv, gateBias);
  if (part.outputGate === 'head') yield* of('output_gate', 'gate', H, gateBias);
  const key = tensor(nameOf(part, 'key'), K * d, 'tensor');
  const value = tensor(nameOf(part, 'value'), K * dv, 'tensor');
  if (part.sharedKeyValue) return { query, key, value };
  yield* of('key', 'key', K * d, bias.key);
  if (part.valueIsKey) return { query, key, value: key };
  yield* of('value', 'value', K * dv, bias.value);
  return { query, key, value };
}

/** Queries of the experts that a router chooses for each token (mixture of attention heads, arXiv:2210.05144). */
function* chosenQueries(
  { heads: H, headDim: d, inputWidth }: GroupedAttention,
  { count, active }: NonNullable<GroupedAttention['experts']>,
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
    role: 'query',
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

/** Norms on queries and keys, and on values where the model has one there. */
function* normalized(part: GroupedAttention, projected: Heads): Generator<Operation, Heads> {
  const { queryKeyNorm: norm, heads: H, keyValueHeads: K, headDim: d, valueHeadDim: dv = d } = part;
  if (!norm) return projected;
  const query = yield* headNorm(norm, projected.query, H, d);
  if (part.sharedKeyValue) return { ...projected, query };
  const value = norm.value ? yield* headNorm(norm, projected.value, K, dv, false) : projected.value;
  const key = yield* headNorm(norm, projected.key, K, d);
  return { query, key, value };
}

function* groupedCore(part: GroupedAttention, { query, key, value }: Heads): Block {
  const { heads: H, keyValueHeads: K, headDim: d, valueHeadDim: dv = d } = part;
  const output = tensor(nameOf(part, 'core'), H * dv, 'tensor');
  yield {
    kind: 'attention',
    variant: 'grouped',
    path: pathOf(part, 'core'),
    component,
    heads: H,
    keyValueHeads: K,
    queryKeyDim: d,
    valueDim: part.weighedDim ?? dv,
    span: part.span,
    causal: part.causal,
    parameters: part.sinks ? H : 0,
    ...given({
      softcapped: part.softcapped,
      writtenOut: part.writtenOut,
      broadcastKeys: part.broadcastKeys,
      places: part.places,
      dropout: part.dropout,
      byHead: part.byHead,
    }),
    query,
    key,
    value,
    output,
    cacheElements: part.sharedKeyValue || part.cached === false ? 0 : K * (d + dv),
  };
  return output;
}

const output = (part: GroupedAttention, core: Tensor): Block =>
  project({
    path: pathOf(part, 'output'),
    role: 'attention_output',
    rows: core.elements,
    columns: part.outputWidth ?? part.inputWidth,
    bias: part.bias.output,
    component,
    input: core,
  });

/** Each chosen expert has an output matrix of its own for its heads. */
function expertOutput(
  part: GroupedAttention,
  { count, active }: NonNullable<GroupedAttention['experts']>,
  core: Tensor,
): Block {
  const path = pathOf(part, 'output');
  const columns = part.outputWidth ?? part.inputWidth;
  return linear({
    path,
    role: 'attention_output',
    rows: core.elements / active,
    columns,
    bias: false,
    component,
    input: core,
    output: tensor(`${path}_out`, columns, 'residual'),
    copies: count,
    used: active,
    sharding: 'expert',
  });
}
