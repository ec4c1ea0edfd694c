import type { Component, Norm, Role } from '../../model/architecture.ts';
import { given } from '../../model/given.ts';
import type { Linear, Operation, Tensor } from '../../model/operation.ts';

/** Operations in the order in which a token meets them, and at the end the tensor that they make. */
export type Block = Generator<Operation, Tensor>;

/** A parameter that is no matrix product (a norm, a bias), of so many elements. */
export const tensor = (name: string, elements: number, region: Tensor['region']): Tensor => ({
  name,
  elements,
  region,
});

type Optional = 'role' | 'copies' | 'used' | 'sharding' | 'fusedWith' | 'storedFused' | 'tied';

/** y = x W (+ b): one copy, divided by its columns and held here, unless said otherwise. */
export function* linear(
  part: Omit<Linear, 'kind' | Optional> & { readonly [Key in Optional]?: Linear[Key] | undefined },
): Block {
  const { copies = 1, used = copies, sharding = 'column', tied = false, role, fusedWith, storedFused, ...rest } = part;
  yield {
    kind: 'linear',
    ...rest,
    copies,
    used,
    sharding,
    tied,
    ...given({ role, fusedWith, storedFused }),
  };
  return part.output;
}

/** The last matrix of a block, back onto the residual stream. */
export function* project(
  part: Pick<Linear, 'path' | 'rows' | 'columns' | 'bias' | 'component' | 'input'> & { readonly role: Role },
): Block {
  const output = tensor(`${part.path}_out`, part.columns, 'residual');
  return yield* linear({ ...part, output, sharding: 'row' });
}

/** What a norm is to its block, and the tensor whose storage its input is a view of, where that is not the input. */
type NormPlace = { readonly block?: Component; readonly role?: Role; readonly stored?: Tensor };

/** @param norm how it normalises; without it, an RMSNorm with weights over `width` elements */
export function* normalize(path: string, input: Tensor, width: number, norm?: Norm, place: NormPlace = {}): Block {
  const { stored = input, block, role } = place;
  const output = tensor(`${path}_out`, input.elements, input.region);
  yield {
    kind: 'norm',
    path,
    component: 'norm',
    ...given({ block, role, upcast: norm?.upcast }),
    style: norm?.style ?? 'rms',
    width,
    parameters: width * (norm ? Number(norm.weight) + Number(norm.bias) : 1),
    input: stored,
    output,
  };
  if (norm?.gateRank !== undefined) yield* normGate(path, output, norm.gateRank);
  return output;
}

/** sigmoid(up(silu(down x))), which multiplies x. */
function* normGate(path: string, x: Tensor, rank: number): Block {
  const common = { bias: false, component: 'norm', sharding: 'replicated' } as const;
  const down = tensor(`${path}_gate_down`, rank, x.region);
  yield* linear({ ...common, path: `${path}_gate_down`, rows: x.elements, columns: rank, input: x, output: down });
  const up = tensor(`${path}_gate`, x.elements, x.region);
  return yield* linear({
    ...common,
    path: `${path}_gate_up`,
    rows: rank,
    columns: x.elements,
    input: down,
    output: up,
  });
}

/** What a block reads: the stream, or a tensor of its own width where the block does not stand on the stream. */
export const read = (stream: Tensor, width: number): Tensor =>
  width === stream.elements ? stream : tensor('block_input', width, 'residual');

/** The non-linearity behind one matrix (`up`), or behind the first of two whose product is taken. */
export function* activate(
  path: string,
  component: Component,
  part: { readonly activation: Extract<Operation, { kind: 'activation' }>['function'] },
  { up, gate, output }: { readonly up: Tensor; readonly gate: Tensor | undefined; readonly output: Tensor },
): Block {
  yield {
    kind: 'activation',
    path,
    component,
    function: part.activation,
    gated: gate !== undefined,
    input: gate ?? up,
    ...(gate ? { gate: up } : {}),
    output,
  };
  return output;
}
