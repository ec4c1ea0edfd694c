import type { Accelerator } from '../../facts/accelerators.ts';
import { type GemmFacts, kernelShape } from '../../facts/kernels.ts';

/** Output tiles of a matrix-product kernel, in elements. */
const tiles: readonly (readonly [number, number])[] = [
  [128, 256],
  [256, 128],
  [128, 128],
  [64, 256],
  [128, 64],
  [64, 128],
  [64, 64],
];
const largestTile = 128 * 256;

/** A product [m, k] x [k, n], or so many products of experts of which each has its own m rows. */
export type GemmShape = { readonly m: number; readonly n: number; readonly k: number; readonly experts?: number };

/** How a product is computed. */
export type GemmRun = {
  readonly facts: GemmFacts;
  /** FLOP/s of the dtype */
  readonly peak: number;
  /** bytes of an input element */
  readonly operand: number;
  /** over the time of a benchmark */
  readonly slowdown: number;
};

/**
 * Seconds of a product: tiles are dealt out in waves over the multiprocessors, each with a prologue of `prologue` further steps along
 * k. Experts pool their tiles.
 *
 * @param output bytes that an output element moves: more where it is added to what stands there
 */
export function gemmSeconds(chip: Accelerator, how: GemmRun, shape: GemmShape, output: number): number {
  const { facts, operand, slowdown } = how;
  const { m, n, k, experts: E = 1 } = shape;
  const { rooflineSharpness: sharpness } = kernelShape;
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  const compute = computeSeconds(chip, how, shape);
  const traffic = E * (operand * (m * k + k * n) + output * m * n);
  const memory = traffic / (chip.bandwidth * facts.bandwidthShare);
  return facts.launch + slowdown * (compute ** sharpness + memory ** sharpness) ** (1 / sharpness);
}

/** Seconds of the matrix units alone, with the tile that is fastest. */
function computeSeconds(chip: Accelerator, { facts, peak }: GemmRun, { m, n, k, experts: E = 1 }: GemmShape): number {
  const SM = chip.multiprocessors ?? kernelShape.unknownMultiprocessors;
  let compute = Number.POSITIVE_INFINITY;
  for (const [tileM, tileN] of tiles) {
    const waves = (E * Math.ceil(m / tileM) * Math.ceil(n / tileN)) / SM;
    const rounded = Math.ceil(waves) * facts.wave + waves * (1 - facts.wave);
    const share = facts.peakShare * ((tileM * tileN) / largestTile) ** facts.tileExponent;
    compute = Math.min(compute, (rounded * SM * 2 * tileM * tileN * (k + facts.prologue)) / (peak * share));
  }
  return compute;
}
