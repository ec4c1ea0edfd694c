import type { Accelerator } from '../../facts/accelerators.ts';
import { type Collective, type GemmFacts, type KernelFacts, kernelShape } from '../../facts/kernels.ts';

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

/**
 * Seconds of a product [m, k] x [k, n], or of E such products of which each expert has its own m rows: tiles are dealt out in
 * waves over the multiprocessors, each with a prologue of `prologue` further steps along k.
 *
 * @param operand bytes of an input element
 * @param output bytes of an output element, twice where it is added to what stands there
 * @param peak FLOP/s of the dtype
 */
export function gemmSeconds(
  chip: Accelerator,
  facts: GemmFacts,
  peak: number,
  shape: { readonly m: number; readonly n: number; readonly k: number; readonly experts?: number },
  operand: number,
  output: number,
  slowdown: number,
): number {
  const { m, n, k, experts: E = 1 } = shape;
  const { rooflineSharpness: sharpness } = kernelShape;
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  const SM = chip.multiprocessors ?? kernelShape.unknownMultiprocessors;
  let compute = Number.POSITIVE_INFINITY;
  for (const [tileM, tileN] of tiles) {
    const waves = (E * Math.ceil(m / tileM) * Math.ceil(n / tileN)) / SM;
    const rounded = Math.ceil(waves) * facts.wave + waves * (1 - facts.wave);
    const share = facts.peakShare * ((tileM * tileN) / largestTile) ** facts.tileExponent;
    compute = Math.min(compute, (rounded * SM * 2 * tileM * tileN * (k + facts.prologue)) / (peak * share));
  }
  const traffic = E * (operand * (m * k + k * n) + output * m * n);
  const memory = traffic / (chip.bandwidth * facts.bandwidthShare);
  return facts.launch + slowdown * (compute ** sharpness + memory ** sharpness) ** (1 / sharpness);
}

/**
 * Seconds of a collective over n ranks whose gathered size is S bytes; `local` of them share the fast domain. Within it
 * latency + (V + sqrt(V v0)) / B with V = S (n - 1) / n; beyond it the network's bandwidth of all local ranks together.
 */
export function collectiveSeconds(
  chip: Accelerator,
  facts: KernelFacts,
  kind: keyof KernelFacts['collectives'],
  S: number,
  n: number,
  local: number = Math.min(n, chip.fast.domain),
  network: number | null = chip.network,
): number {
  if (n <= 1 || S <= 0) return 0;
  const { latency, perRank, bandwidth, ramp }: Collective = facts.collectives[kind];
  const V = ((S * (n - 1)) / n) * (kind === 'reduce' ? 2 : 1);
  const inside = Math.max(1, Math.min(local, chip.fast.domain));
  if (n <= inside) return latency + (V + Math.sqrt(V * ramp)) / bandwidth + perRank * (n - 1);
  const across = Math.min(bandwidth, inside * (network ?? bandwidth) * kernelShape.network.share);
  const hops = kernelShape.network.latency * (n / inside - 1) * (kind === 'reduce' ? 2 : 1);
  return latency + (V + Math.sqrt(V * ramp * kernelShape.network.ramp)) / across + perRank * (inside - 1) + hops;
}
