import type { Accelerator } from '../../facts/accelerators.ts';
import { type KernelFacts, kernelShape } from '../../facts/kernels.ts';

/**
 * Seconds of a collective over n ranks whose gathered size is S bytes; `local` of them share the fast domain. Within it
 * latency + (V + sqrt(V v0)) / B with V = S (n - 1) / n; beyond it the network's bandwidth of all local ranks together.
 *
 * @param network bytes/s of one GPU beyond the fast domain; null where the fast domain is all there is
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
  const { latency, perRank, bandwidth, ramp } = facts.collectives[kind];
  const V = ((S * (n - 1)) / n) * (kind === 'reduce' ? 2 : 1);
  const inside = Math.max(1, Math.min(local, chip.fast.domain));
  if (n <= inside) return latency + (V + Math.sqrt(V * ramp)) / bandwidth + perRank * (n - 1);
  const across = Math.min(bandwidth, inside * (network ?? bandwidth) * kernelShape.network.share);
  const hops = kernelShape.network.latency * (n / inside - 1) * (kind === 'reduce' ? 2 : 1);
  return latency + (V + Math.sqrt(V * ramp * kernelShape.network.ramp)) / across + perRank * (inside - 1) + hops;
}
