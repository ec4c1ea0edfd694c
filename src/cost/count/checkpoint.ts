import type { Architecture, Quantization, Scheme } from '../../model/architecture.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import { type Bytes, bytes } from '../../units.ts';
import { parametersOf } from './weights.ts';

/** Biases that correct a router's load are stored in 32 bits beside 16-bit weights (DeepSeek-V3's checkpoint). */
const correctionBytes = 4;

/**
 * Bytes of the checkpoint: each element as the config states its type, each quantised matrix as its scheme stores it, scales
 * included; with towers, and with the layers of multi-token prediction, which most published checkpoints hold.
 */
export function checkpointBytes(architecture: Architecture, operations: Operations): Bytes {
  const { quantization, elementBytes = 2 } = architecture;
  const plain = (operation: Operation) =>
    parametersOf(operation) * (operation.kind === 'route' ? Math.max(correctionBytes, elementBytes) : elementBytes);
  const store = (operation: Operation, layer: number): number => {
    const scheme = quantization?.schemes[schemeOf(quantization, operation.path, layer)];
    const matrix = scheme === undefined ? undefined : matrixOf(operation);
    if (scheme === undefined || matrix === undefined) return plain(operation);
    if (scheme.dividing === true && matrix.inputs % (scheme.group ?? 1) !== 0) return plain(operation);
    return matrixBytes(matrix, scheme, elementBytes);
  };
  const all = (list: readonly Operation[], layer: number) => list.reduce((sum, one) => sum + store(one, layer), 0);
  const towers = operations.towers.reduce((sum, tower) => sum + parametersOf(tower), 0) * elementBytes;
  const layers = operations.order.reduce(
    (sum, kind, layer) => sum + all(operations.layers[kind]?.operations ?? [], layer),
    0,
  );
  const outside = all(operations.embedding, 0) + all(operations.head, 0);
  const ahead = quantization?.withoutPrediction === true ? [] : operations.prediction;
  return bytes(Math.ceil(towers + layers + outside + all(ahead, operations.order.length)));
}

function schemeOf({ stored, rest = -1 }: Quantization, path: string, layer: number): number {
  const listed = stored[path.replace(/^(layers|prediction)\./, '')];
  return listed === undefined ? rest : (listed[Math.min(layer, listed.length - 1)] ?? -1);
}

/** What a checkpoint stores as matrices of its own: those of products, and tables, whose rows are outputs. */
type Matrix = { readonly inputs: number; readonly outputs: number; readonly copies: number; readonly bias: boolean };

function matrixOf(operation: Operation): Matrix | undefined {
  if (operation.heldElsewhere === true) return undefined;
  if (operation.kind === 'table') return { inputs: operation.columns, outputs: operation.rows, copies: 1, bias: false };
  if (operation.kind !== 'linear' || operation.tied) return undefined;
  const { rows: inputs, columns: outputs, copies, bias } = operation;
  return { inputs, outputs, copies, bias };
}

function matrixBytes({ inputs, outputs, copies, bias }: Matrix, scheme: Scheme, elementBytes: number): number {
  const scales = scaleCount(inputs, outputs, scheme);
  const matrix =
    (inputs * outputs * scheme.bits) / 8 +
    scales * (scheme.scaleBytes + (scheme.zeroBits ?? 0) / 8) +
    inputs * (scheme.inputBytes ?? 0) +
    (scheme.matrixBytes ?? 0);
  return copies * (matrix + (bias ? outputs * elementBytes : 0));
}

function scaleCount(inputs: number, outputs: number, { shares, group = inputs, block }: Scheme): number {
  switch (shares) {
    case 'matrix':
      return 1;
    case 'output':
      return outputs;
    case 'group':
      return Math.ceil(inputs / group) * outputs;
    case 'block': {
      const [high, wide] = block ?? [outputs, inputs];
      return Math.ceil(outputs / high) * Math.ceil(inputs / wide);
    }
  }
}
