import { otherVendors } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import { type GemmFacts, type KernelFacts, unaligned } from '../../facts/kernels.ts';
import { bytesOf, precisions } from '../../facts/precisions.ts';
import { castBytes, gradientTraffic } from '../../facts/steps.ts';
import type { Linear, Operation } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { isFrozen } from '../count/frozen.ts';
import { leadsProduct } from '../count/lora.ts';
import { type Context, isLow } from './context.ts';
import { type GemmRun, gemmSeconds } from './gemm.ts';
import type { Passes } from './parts.ts';

/** Products that one kernel computes: fused where the framework or the model's own code fuses them. */
export function fusedProducts(
  list: readonly Operation[],
  context: Context,
): readonly { readonly first: Linear; readonly columns: number }[] {
  const groups = new Map<string, { first: Linear; columns: number }>();
  for (const operation of list) {
    if (operation.kind !== 'linear') continue;
    const fuses = context.profile.fusesProducts || operation.storedFused === true;
    const key =
      fuses && operation.fusedWith !== undefined ? `${operation.component} ${operation.fusedWith}` : operation.path;
    const known = groups.get(key);
    if (known) known.columns += operation.columns;
    else groups.set(key, { first: operation, columns: operation.columns });
  }
  return [...groups.values()];
}

/** Seconds of one product: forward, and the gradients of its input and of its weight; a frozen weight has none. */
export function productSeconds(operation: Linear, columns: number, run: TrainingRun, context: Context): Passes {
  const { chip, T, t } = context;
  const { tensor: tp, expert: ep, expertTensor } = run.parallelism;
  const how = howOf(operation, run, context);
  const accumulated =
    context.profile.gradientBytes === bytesOf.fp32 ? gradientTraffic.addedTo : gradientTraffic.written;
  const frozen = isFrozen(operation, run);
  if (operation.sharding === 'expert') {
    const experts = Math.max(1, operation.copies / ep);
    const rows = (t * operation.used * run.expertImbalance) / experts;
    const n = columns / expertTensor;
    const k = operation.rows;
    const time = (m: number, nn: number, kk: number, output: number) =>
      frameworkExecution[run.framework].groupedProducts * gemmSeconds(chip, how, { m, n: nn, k: kk, experts }, output);
    return [
      time(rows, n, k, bytesOf.bf16),
      time(rows, k, n, bytesOf.bf16) + (frozen ? 0 : time(n, k, rows, accumulated)),
    ];
  }
  const n = operation.sharding === 'column' ? columns / tp : columns;
  const k = operation.sharding === 'row' ? operation.rows / tp : operation.rows;
  const m = operation.sharding === 'replicated' && operation.component === 'router' ? t : T;
  const slower = isUnaligned(operation, [n, k], how.operand, run, context) ? unaligned.slower : 1;
  const time = (mm: number, nn: number, kk: number, output: number) =>
    slower * gemmSeconds(chip, how, { m: mm, n: nn, k: kk }, output);
  return [time(m, n, k, bytesOf.bf16), time(m, k, n, bytesOf.bf16) + (frozen ? 0 : time(n, k, m, accumulated))];
}

/** A matrix whose rows, or those of its output, do not begin where NVIDIA's kernels load from. */
function isUnaligned(
  { component }: Linear,
  sides: readonly number[],
  operand: number,
  { framework }: TrainingRun,
  { chip }: Context,
): boolean {
  if (otherVendors.has(chip.generation)) return false;
  if (component === 'output' && frameworkExecution[framework].padsVocabulary) return false;
  return (
    sides.every((side) => side >= unaligned.fewest) && sides.some((side) => (side * operand) % unaligned.row !== 0)
  );
}

/** Seconds of the two products of an adapter, whose bytes are counted beside (`memory-bound.ts`); both of its factors are trained. */
export function adapterProductSeconds(
  operation: Linear,
  { rank }: Lora,
  run: TrainingRun,
  { T, kernels, peak16, slowdown }: Context,
): Passes {
  const [rows, columns] = localShape(operation, run.parallelism.tensor);
  const flops = 2 * rank * (rows + columns) * operation.used * T;
  const seconds = (slowdown * flops) / (kernels.gemm.peakShare * peak16);
  return [seconds, 2 * seconds];
}

/** The router and the output stay in 16 bits where the rest runs in fewer. */
function howOf(
  operation: Linear,
  run: TrainingRun,
  { kernels, peak, peak16, peak32, slowdown, slowdownLow }: Context,
): GemmRun {
  if (isLow(run) && operation.component !== 'router' && operation.component !== 'output')
    return { facts: lowGemm(kernels, run), peak, operand: precisions[run.precision].operand, slowdown: slowdownLow };
  return run.precision === 'fp32'
    ? { facts: kernels.gemm, peak: peak32, operand: bytesOf.fp32, slowdown }
    : { facts: kernels.gemm, peak: peak16, operand: bytesOf.bf16, slowdown };
}

/** A chip without matrix units of few bits runs no such precision, so its 16-bit rates stand in for what nobody asks. */
const lowGemm = ({ low, gemm }: KernelFacts, { precision }: TrainingRun): GemmFacts =>
  low === null ? gemm : precision === 'fp4' ? low.fp4 : low.fp8;

/** Rows and columns of a matrix that one tensor-parallel rank holds. */
export function localShape(
  { sharding, rows, columns }: Linear,
  tensor: number,
): readonly [rows: number, columns: number] {
  return [sharding === 'row' ? rows / tensor : rows, sharding === 'column' ? columns / tensor : columns];
}

/** Seconds of casting a product's operands to 8 bits; what query, key and value or gate and up read is cast once. */
export function castSeconds(operation: Linear, run: TrainingRun, context: Context): Passes {
  const bytes = castBytes[context.profile.casts];
  const again = operation.fusedWith !== undefined && !leadsProduct(operation);
  const [rows, columns] = localShape(operation, run.parallelism.tensor);
  const inputs = again ? 0 : rows * context.T;
  const weights = rows * columns;
  const forward = bytes.inputForward * inputs + bytes.weightForward * weights;
  const backward = bytes.inputBackward * inputs + bytes.gradient * columns * context.T + bytes.weightBackward * weights;
  return [forward / context.bandwidth, backward / context.bandwidth];
}
