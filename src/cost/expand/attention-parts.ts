import type { GroupedAttention, LinearPart, Norm, Role, VectorPart } from '../../model/architecture.ts';
import { given } from '../../model/given.ts';
import type { Operation, Tensor } from '../../model/operation.ts';
import { type Block, linear, normalize, tensor } from './pieces.ts';

/** What a breakdown counts matrices and vectors of every kind of attention as. */
export const component = 'attention' as const;

/** A norm over each head of a query or key (one set of weights, or one for each head), or over all of them at once. */
export function* headNorm(
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
    block: component,
    style: norm.style,
    ...given({ upcast: norm.upcast }),
    width,
    parameters: learned ? sets * width * (Number(norm.weight) + Number(norm.bias)) : 0,
    input,
    output,
  };
  return output;
}

/** A query compressed to `rank` elements, which every tensor-parallel rank computes, and its norm. */
export function* compressedQuery(rank: number, bias: boolean, input: Tensor): Block {
  const down = yield* linear({
    path: 'attention.query_down',
    role: 'query_down',
    rows: input.elements,
    columns: rank,
    bias,
    component,
    input,
    output: tensor('query_down', rank, 'residual'),
    sharding: 'replicated',
  });
  return yield* normalize('attention.query_down_norm', down, rank, undefined, { block: component, role: 'query_down' });
}

/** A matrix without bias that every tensor-parallel rank holds and computes whole. */
export const replicated = (name: string, input: Tensor, columns: number, role?: Role): Block =>
  linear({
    path: `attention.${name}`,
    role,
    rows: input.elements,
    columns,
    bias: false,
    component,
    input,
    output: tensor(name, columns, 'residual'),
    sharding: 'replicated',
  });

/** Matrices, vectors and norms inside an attention block that no noun of the architecture covers. */
export function* extras(
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
