import type { Accelerator } from '../../facts/accelerators.ts';
import { frameworkExecution } from '../../facts/frameworks.ts';
import { launches } from '../../facts/steps.ts';
import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type Context, isLow } from './context.ts';
import { fusedProducts } from './products.ts';

/** True where the host waits for the GPU within a layer: for the router's counts. */
export const waitsForRouter = (list: readonly Operation[]): boolean =>
  list.some((operation) => operation.kind === 'dispatch');

/** Seconds in which the host launches a layer's forward pass. */
export function launchSeconds(list: readonly Operation[], run: TrainingRun, context: Context): number {
  const { kernels, profile, step } = context;
  const { tensor: tp, context: cp } = run.parallelism;
  const graphs = replaysGraphs(run, context.chip, waitsForRouter(list));
  const parallel = (tp > 1 ? step.hostTensor : 0) + (cp > 1 ? step.hostContext : 0);
  const layer = graphs ? 0 : profile.host * launched(list, context) + parallel;
  return kernels.host * (layer + expertSeconds(list, run, context, graphs));
}

/** Experts take as many rows as the router sends them: graphs of fixed shapes leave them out. */
function expertSeconds(list: readonly Operation[], run: TrainingRun, { step }: Context, graphs: boolean): number {
  const fixed = frameworkExecution[run.framework].hostTimeOfExperts ? step.expertHost : 0;
  let seconds = 0;
  for (const operation of list) {
    if (operation.kind !== 'dispatch') continue;
    seconds +=
      fixed * (graphs ? step.expertHostGraphs : 1) + (step.expertHostEach * operation.experts) / run.parallelism.expert;
  }
  return seconds;
}

/** Operations that the host runs one by one: fused products once, experts and what belongs to them apart. */
function launched(list: readonly Operation[], context: Context): number {
  let count = fusedProducts(list, context).filter(({ first }) => first.sharding !== 'expert').length;
  for (const operation of list) {
    switch (operation.kind) {
      case 'attention':
        // Latent attention splits, expands and joins its heads on their own.
        count += operation.variant === 'grouped' ? 1 : 1 + launches.latentAttention;
        break;
      case 'norm':
      case 'add':
      case 'rope':
      case 'scan':
        count += 1;
        break;
      case 'activation':
        if (operation.input.region !== 'routed') count += 1;
        break;
      case 'linear':
      case 'dispatch':
      case 'combine':
      case 'route':
      case 'table':
      case 'vector':
      case 'loss':
        break;
    }
  }
  return count;
}

/**
 * Where nobody says so, Megatron in 8 and 4 bits is taken to replay CUDA graphs, as NVIDIA's recipes do: of dense layers everywhere, of
 * layers with experts where CPUs are slow for their GPUs (Grace Blackwell; NVIDIA-NeMo/Megatron-Bridge 067f987, performance summary
 * and recipes). In 16 bits it launches kernel by kernel, Megatron-LM's default.
 */
const replaysGraphs = (run: TrainingRun, chip: Accelerator, experts: boolean): boolean =>
  run.cudaGraphs ??
  (frameworkExecution[run.framework].cudaGraphs && isLow(run) && (!experts || chip.fast.domain > launches.graphsFrom));

/**
 * Seconds in which the GPU waits for the host. It launches kernels while the GPU works; where it is slower, the GPU waits. Where it has
 * to wait for the GPU within each layer it can never run far ahead, and part of its time is seen: their root mean square.
 */
export const hostSeconds = (gpu: number, host: number, waits: boolean): number =>
  (waits ? Math.hypot(gpu, host) : Math.max(gpu, host)) - gpu;
