import { bytesOf } from '../../facts/precisions.ts';
import { adapterBytes, elementBytes, estimated, unpacking } from '../../facts/steps.ts';
import type { Linear, Operation } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { baseBytes, isTarget } from '../count/lora.ts';
import { type Context, isLow } from './context.ts';
import type { Passes } from './parts.ts';
import { castSeconds, localShape } from './products.ts';

type Kind<Name extends Operation['kind']> = Extract<Operation, { kind: Name }>;

/** Bytes of a layer's memory-bound kernels over those that perfect fusion would move. */
export function trafficOf(list: readonly Operation[], { profile, step }: Context): number {
  const llamaLike = list.some((operation) => operation.kind === 'activation' && operation.gated);
  return profile.traffic * step.traffic * (profile.eager && llamaLike ? step.eagerGated : 1);
}

/**
 * Seconds of an operation's memory-bound kernels: their bytes over the memory's bandwidth.
 *
 * @param traffic of the layer over perfect fusion
 */
export function memoryBound(
  operation: Operation,
  run: TrainingRun,
  context: Context,
  traffic: number,
): readonly Passes[] {
  const { bandwidth, T, t } = context;
  const { tensor: tp } = run.parallelism;
  const moved = (bytes: { readonly forward: number; readonly backward: number }, elements: number, rows: number) =>
    [
      (bytes.forward * elements * rows * traffic) / bandwidth,
      (bytes.backward * elements * rows * traffic) / bandwidth,
    ] as const;
  switch (operation.kind) {
    case 'norm':
      return [moved(elementBytes.norm, operation.input.elements, operation.input.region === 'tensor' ? T / tp : t)];
    case 'add':
      return [moved(elementBytes.add, operation.output.elements, t)];
    case 'rope':
      return [moved(elementBytes.rope, ((operation.query.elements + operation.key.elements) * T) / tp, 1)];
    case 'activation':
      return [activationSeconds(operation, run, context, traffic)];
    case 'dispatch':
      return [dispatchSeconds(operation, run, context)];
    case 'scan':
      return [scanSeconds(operation, run, context, traffic)];
    case 'linear':
      return besideProduct(operation, run, context);
    case 'attention':
    case 'route':
    case 'combine':
    case 'table':
    case 'vector':
    case 'loss':
      return [];
  }
}

/** Inputs read (two where the activation is gated) and the output written; backward the gradients too. */
function activationSeconds(
  { gated, input, output }: Kind<'activation'>,
  run: TrainingRun,
  { step, bandwidth, T, t }: Context,
  traffic: number,
): Passes {
  const inputs = gated ? 2 : 1;
  const rows =
    input.region === 'routed' ? t * run.expertImbalance * step.permute : (T / run.parallelism.tensor) * traffic;
  const each = bytesOf.bf16 * output.elements;
  return [(each * (inputs + 1) * rows) / bandwidth, (each * (2 * inputs + 1) * rows) / bandwidth];
}

/** Rows put in order of their experts, and back. */
function dispatchSeconds({ active, width }: Kind<'dispatch' | 'combine'>, run: TrainingRun, context: Context): Passes {
  const rows = context.t * active * run.expertImbalance;
  const seconds = ((elementBytes.dispatch * width * rows) / context.bandwidth) * context.step.permute;
  return [seconds, seconds];
}

/** A state update: what it reads and writes, and its FLOPs far below the peak; twice backward. */
function scanSeconds(operation: Kind<'scan'>, run: TrainingRun, context: Context, traffic: number): Passes {
  const { T, bandwidth } = context;
  const { tensor: tp } = run.parallelism;
  const bytes = (bytesOf.bf16 * (operation.input.elements + operation.output.elements) * T) / tp;
  const work = (operation.flopsPerToken * T) / tp / (estimated.scan * context.peak16);
  const { forward, backward } = estimated.scanPasses;
  return [(forward * bytes * traffic) / bandwidth + work, (backward * bytes * traffic) / bandwidth + 2 * work];
}

/** Beside a product: the small products of its adapter, unpacked weights of its base, and casts of its operands to 8 bits. */
function besideProduct(operation: Linear, run: TrainingRun, context: Context): readonly Passes[] {
  const passes: Passes[] = [];
  if (run.lora !== undefined && isTarget(operation, run.lora))
    passes.push(adapterSeconds(operation, run, run.lora, context));
  if (run.lora !== undefined && run.lora.baseBits < 16) passes.push(unpackSeconds(operation, run, context));
  if (isLow(run) && operation.sharding !== 'expert' && operation.component !== 'router')
    passes.push(castSeconds(operation, run, context));
  return passes;
}

/** A base of 8 or 4 bits is unpacked to 16 for the product of each pass, all experts of it. */
function unpackSeconds(operation: Linear, run: TrainingRun, { bandwidth }: Context): Passes {
  const [rows, columns] = localShape(operation, run.parallelism.tensor);
  const copies = operation.sharding === 'expert' ? operation.copies / run.parallelism.expert : operation.copies;
  const seconds = ((baseBytes(run) + unpacking.written) * rows * columns * copies) / bandwidth;
  return [seconds, seconds];
}

function adapterSeconds(operation: Linear, run: TrainingRun, lora: Lora, context: Context): Passes {
  const { T, bandwidth } = context;
  const [localRows, localColumns] = localShape(operation, run.parallelism.tensor);
  const rows = localRows * operation.used;
  const columns = localColumns * operation.used;
  const bytes = adapterBytes[fusesAdapters(lora, context) ? 'fused' : 'separate'];
  return [
    ((bytes.inputForward * rows + bytes.outputForward * columns) * T) / bandwidth,
    ((bytes.inputBackward * rows + bytes.outputBackward * columns) * T) / bandwidth,
  ];
}

const fusesAdapters = ({ baseBits }: Lora, { profile }: Context): boolean =>
  profile.fusesAdapters === 'always' || (profile.fusesAdapters === 'quantized' && baseBits < 16);
