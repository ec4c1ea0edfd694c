import type { Estimate, MemoryComponent, TimePart } from '../model/estimate.ts';

/** Charts as data: `mermaid.ts` and `svg.ts` draw them. They stand beside numbers and never in their place. */
export type Bars = {
  readonly kind: 'bars';
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly before?: number; readonly after?: number }[];
  /** what the last bar is held against */
  readonly limit: number | undefined;
};

export type Shares = {
  readonly kind: 'shares';
  readonly title: string;
  /** largest first; together 1 */
  readonly shares: readonly { readonly label: string; readonly share: number }[];
};

export type Chart = Bars | Shares;

export const componentNames: Readonly<Record<MemoryComponent, string>> = {
  weights: 'Weights',
  gradients: 'Gradients',
  optimizer_states: 'Optimizer states',
  activations: 'Activations',
  temporary: 'Temporary buffers',
};

/** Memory by component, before and after, and of the whole device against what it may be; bytes. */
export function memoryBars(before: Estimate | undefined, after: Estimate | undefined, limit: number | undefined): Bars {
  const sides = (take: (estimate: Estimate) => number) => ({
    ...(before === undefined ? {} : { before: take(before) }),
    ...(after === undefined ? {} : { after: take(after) }),
  });
  const components = Object.keys(componentNames) as MemoryComponent[];
  return {
    kind: 'bars',
    title: 'Memory of the fullest GPU',
    bars: [
      ...components.map((name) => ({
        label: componentNames[name],
        ...sides(({ memory }) => memory.components[name]),
      })),
      { label: 'Whole device', ...sides(({ memory }) => memory.device) },
    ],
    limit,
  };
}

const partNames: Readonly<Record<TimePart, string>> = {
  matrix_products: 'Matrix products',
  attention: 'Attention',
  memory_bound: 'Memory-bound kernels',
  loss: 'Loss',
  recompute: 'Recompute',
  exposed_tensor: 'Waiting for tensor parallelism',
  exposed_context: 'Waiting for context parallelism',
  exposed_expert: 'Waiting for expert parallelism',
  exposed_pipeline: 'Waiting for pipeline transfers',
  exposed_data: 'Waiting for data parallelism',
  bubble: 'Pipeline bubble',
  optimizer: 'Optimizer',
  host: 'Waiting for the CPU',
  jitter: 'Waiting for the slowest GPU',
};

/** Below this a share is not told apart. */
const smallest = 0.01;

/** Where the time of a step goes; undefined where it is not known. */
export function stepShares({ throughput }: Estimate): Shares | undefined {
  const { stepTime } = throughput;
  if (stepTime === null || stepTime === 0) return undefined;
  const parts = (Object.keys(partNames) as TimePart[])
    .map((part) => ({ label: partNames[part], share: throughput.parts[part] / stepTime }))
    .toSorted((a, b) => b.share - a.share);
  const told = parts.filter(({ share }) => share >= smallest);
  const rest = 1 - told.reduce((sum, { share }) => sum + share, 0);
  return {
    kind: 'shares',
    title: 'Where the time of a step goes',
    shares: [...told, ...(rest >= smallest / 10 ? [{ label: 'Other', share: rest }] : [])],
  };
}
