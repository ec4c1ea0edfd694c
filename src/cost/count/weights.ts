import type { Linear, Operation, Operations } from '../../model/operation.ts';

/** Parameters of one operation; those of a tied matrix or a shared block count where they are stored. */
export function parametersOf(operation: Operation): number {
  if (operation.heldElsewhere) return 0;
  switch (operation.kind) {
    case 'linear':
      return operation.tied
        ? biasOf(operation, operation.copies)
        : operation.copies * operation.rows * operation.columns + biasOf(operation, operation.copies);
    case 'table':
      return operation.rows * operation.columns;
    case 'vector':
      return operation.elements;
    case 'norm':
    case 'attention':
    case 'route':
    case 'scan':
      return operation.parameters;
    case 'activation':
    case 'rope':
    case 'add':
    case 'dispatch':
    case 'combine':
    case 'loss':
      return 0;
  }
}

/** Active parameters of one operation: those that one token uses, of experts the chosen ones. */
export function activeParametersOf(operation: Operation): number {
  if (operation.kind !== 'linear' || operation.copies === operation.used) return parametersOf(operation);
  return (parametersOf(operation) / operation.copies) * operation.used;
}

const biasOf = (operation: { bias: boolean; columns: number }, copies: number) =>
  operation.bias ? copies * operation.columns : 0;

/** The matrix that gives the logits; undefined in a model without one (an encoder). */
export const outputProjection = ({ head }: Operations): Linear | undefined =>
  head.find((one): one is Linear => one.kind === 'linear' && one.component === 'output');

/** How many layers there are of each kind. */
export function countKinds({ layers, order }: Operations): readonly number[] {
  const counts = layers.map(() => 0);
  for (const kind of order) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** How often each list of operations stands in the main network, layers in the order in which a token meets them. */
export function* mainNetwork(operations: Operations): Generator<{ operation: Operation; times: number }> {
  for (const operation of operations.embedding) yield { operation, times: 1 };
  const counts = countKinds(operations);
  for (const [kind, layer] of operations.layers.entries()) {
    const times = counts[kind] ?? 0;
    for (const operation of layer.operations) yield { operation, times };
  }
  for (const operation of operations.head) yield { operation, times: 1 };
}
