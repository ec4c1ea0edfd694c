import type { Architecture, Quantization } from '../model/architecture.ts';
import type { Operation, Operations } from '../model/operation.ts';
import { type Bytes, bytes } from '../units.ts';
import { held, mainNetwork } from './holdings.ts';

const unquantizedBytes = 2;
/** Kept in 16 bits by every quantiser unless it says otherwise: tables, norms, routers, the output matrix. */
const quantizes = (operation: Operation): boolean =>
  operation.kind === 'linear' && operation.component !== 'output' && operation.component !== 'router';

/**
 * Bytes of the checkpoint: 16-bit weights, or as its `quantization_config` stores them, scales included. A scale serves one
 * block of [rows, columns], both rounded up (DeepSeek-V3's fp8 layout).
 */
export function checkpointBytes(architecture: Architecture, operations: Operations): Bytes {
  const { quantization } = architecture;
  const towers = operations.towers.reduce((sum, tower) => sum + tower.parameters, 0);
  let total = towers * unquantizedBytes;
  for (const { operation, times } of mainNetwork(operations)) {
    total += times * (quantization ? stored(operation, quantization) : held(operation) * unquantizedBytes);
  }
  return bytes(total);
}

function stored(operation: Operation, quantization: Quantization): number {
  const kept = quantization.keeps.some((pattern) => operation.path.includes(pattern));
  if (operation.kind !== 'linear' || kept || operation.tied || operation.heldElsewhere || !quantizes(operation)) {
    return held(operation) * unquantizedBytes;
  }
  const { rows, columns, copies, bias } = operation;
  const [blockRows, blockColumns] = quantization.block ?? [0, 0];
  const scales = quantization.block === undefined ? 0 : Math.ceil(columns / blockRows) * Math.ceil(rows / blockColumns);
  const matrix = rows * columns * quantization.bytesPerWeight + scales * (quantization.scaleBytes ?? 0);
  return copies * (matrix + (bias ? columns * unquantizedBytes : 0));
}
