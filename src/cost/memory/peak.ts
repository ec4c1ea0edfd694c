import { findAccelerator } from '../../facts/accelerators.ts';
import type { MemoryComponent, MemoryEstimate } from '../../model/estimate.ts';
import { ledger } from '../../model/ledger.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { remembering } from '../../remembering.ts';
import { bytes } from '../../units.ts';
import { aliveOnRank, type Stage } from '../placement.ts';
import { memoryBand } from './band.ts';
import { engineBytes, heldByRoles, rolloutAllocations } from './colocated.ts';
import { type Held, type HeldStage, heldBy } from './held.ts';
import { type LayerFigures, layerMemory, layerMemoryKey } from './layer.ts';
import { libraryWorkspaces } from './overhead.ts';
import { type Allocation, allocationsOf, nothing, type Phase, totalOf } from './phase.ts';
import { phasesOf } from './phases.ts';
import { reservedBytes } from './reserved.ts';

/**
 * The peak of the fullest GPU: the largest phase of a step over all pipeline stages.
 *
 * @param saving whether changes of the run that would save memory are tried
 */
export function estimateMemory(model: Operations, run: TrainingRun, saving = true): MemoryEstimate {
  const figures = remembering(layerMemoryKey, layerMemory);
  const held = heldBy(model, run);
  const peak = fullest(held, run, figures);
  const { phase, stage, reserved } = peak;
  const own: Phase['own'] = [...phase.own, ['temporary', 'library_workspaces', libraryWorkspaces(run)]];
  const allocations = allocationsOf({ ...phase, own });
  const device = onDevice(reserved, held);
  const accelerator = findAccelerator(run.accelerator);
  return {
    allocated: bytes(totalOf({ ...phase, own })),
    reserved: bytes(reserved),
    device: bytes(device),
    capacity: accelerator?.usable ?? null,
    components: components(allocations),
    parts: ledger(
      bytes,
      allocations.map(([, part, amount]) => [part, amount]),
    ),
    phase: phase.at,
    stage: stage.index,
    ...rolesOf(held, run, peak),
    ...memoryBand(held.operations, run),
    savings: saving ? savings(held, run, device, figures) : [],
  };
}

/**
 * Device memory alone, in bytes, for those who ask of thousands of runs.
 *
 * @param held of this run, or of one that differs in micro-batch and recompute alone
 * @param figures of layers, remembered or found anew
 * @returns undefined where a stage needs more than `most`
 */
export function peakBytes(
  held: Held,
  run: TrainingRun,
  most: number,
  figures: LayerFigures = layerMemory,
): number | undefined {
  let worst = 0;
  for (const one of held.stages) {
    worst = Math.max(worst, peakOf(held.operations, run, one, figures).reserved);
    if (onDevice(worst, held) > most) return undefined;
  }
  return onDevice(worst, held);
}

/** Bytes that nvidia-smi would show, scaled by what it showed of a run. */
const onDevice = (reserved: number, { outside, scale }: Held): number => scale * reserved + scale * outside;

/** Bytes of the fullest GPU without activations: its peak is no less. */
export const leastBytes = (held: Held): number => {
  const each = held.stages.map(({ states: { weights, gradients, optimizer } }) => weights + gradients + optimizer);
  return onDevice(Math.max(...each), held);
};

/** The peak of a stage: of the update, or of the rollout where that is larger; bytes. */
type Peak = { readonly phase: Phase; readonly stage: Stage; readonly reserved: number; readonly moments: Moments };

/** What is reserved at the peak of the update and of the rollout, in bytes. */
type Moments = { readonly update: number; readonly rollout: number };

function fullest({ operations, stages }: Held, run: TrainingRun, figures: LayerFigures): Peak {
  const peaks = stages.map((one) => peakOf(operations, run, one, figures));
  return peaks.reduce((worst, one) => (one.reserved > worst.reserved ? one : worst));
}

function peakOf(operations: Operations, run: TrainingRun, layout: HeldStage, figures: LayerFigures): Peak {
  // How many micro-batches are alive is a matter of the run.
  const held = { ...layout, stage: { ...layout.stage, inFlight: aliveOnRank(run, layout.stage.index) } };
  const { stage, states, roles } = held;
  const phases = phasesOf(operations, run, held, figures);
  const totals = phases.map(totalOf);
  const largest = phases[totals.indexOf(Math.max(...totals))] ?? { at: 'forward', throughout: nothing, own: [] };
  const awake = run.rollout?.sleeps === false ? engineBytes(run) : 0;
  const generating: Phase = { at: 'rollout', throughout: nothing, own: rolloutAllocations(run, states, roles) };
  const moments = {
    update: libraryWorkspaces(run) + reservedBytes(phases, operations, run, held) + awake,
    rollout: run.rollout === undefined ? 0 : libraryWorkspaces(run) + totalOf(generating),
  };
  if (moments.rollout > moments.update) return { phase: generating, stage, reserved: moments.rollout, moments };
  const own: Phase['own'] = [...largest.own, ['temporary', 'rollout_engine', awake]];
  return { phase: { ...largest, own }, stage, reserved: moments.update, moments };
}

/** The moments of a step in which other roles are on the GPU, and what each of them holds, in bytes. */
function rolesOf(all: Held, run: TrainingRun, { stage, moments }: Peak): Pick<MemoryEstimate, 'roles'> {
  if (run.colocated === undefined && run.rollout === undefined) return {};
  const held = new Map<string, number>();
  for (const [, role, amount] of heldByRoles(all.operations, run, stage))
    held.set(role, (held.get(role) ?? 0) + amount);
  if (run.rollout !== undefined) held.set('rollout_engine', engineBytes(run));
  return {
    roles: {
      update: bytes(onDevice(moments.update, all)),
      rollout: run.rollout === undefined ? null : bytes(onDevice(moments.rollout, all)),
      held: Object.fromEntries([...held].map(([role, amount]) => [role, bytes(amount)])),
    },
  };
}

function components(allocations: readonly Allocation[]): MemoryEstimate['components'] {
  const of = (wanted: MemoryComponent) =>
    bytes(allocations.reduce((sum, [component, , amount]) => sum + (component === wanted ? amount : 0), 0));
  return {
    weights: of('weights'),
    gradients: of('gradients'),
    optimizer_states: of('optimizer_states'),
    activations: of('activations'),
    temporary: of('temporary'),
  };
}

/** Changes of the run that lower its peak by more than a hundredth, the largest first. */
function savings(held: Held, run: TrainingRun, device: number, figures: LayerFigures): MemoryEstimate['savings'] {
  return alternatives(run)
    .map(({ change, changed }) => {
      const alike = changed.sharding === run.sharding && changed.parallelism === run.parallelism;
      const other = alike ? held : heldBy(held.operations, changed);
      const { reserved } = fullest(other, changed, figures);
      return { change, saves: bytes(device - other.scale * reserved - other.scale * other.outside) };
    })
    .filter(({ saves }) => saves > 0.01 * device)
    .sort((a, b) => b.saves - a.saves);
}

type Alternative = { readonly change: string; readonly changed: TrainingRun };

/** Changes of a run that usually lower its peak. */
function alternatives(run: TrainingRun): readonly Alternative[] {
  const { parallelism } = run;
  const list: (Alternative | false)[] = [
    run.recompute !== 'full' && { change: 'recompute: full', changed: { ...run, recompute: 'full' } },
    !run.fusedCrossEntropy && {
      change: 'fused_cross_entropy: true',
      changed: { ...run, fusedCrossEntropy: true },
    },
    run.microBatchSize > 1 && { change: 'micro_batch_size: 1', changed: { ...run, microBatchSize: 1 } },
    run.sharding === 'none' && { change: 'sharding: optimizer', changed: { ...run, sharding: 'optimizer' } },
    run.sharding !== 'full' && { change: 'sharding: full', changed: { ...run, sharding: 'full' } },
    parallelism.tensor > 1 &&
      !parallelism.sequenceParallel && {
        change: 'parallelism.sequence_parallel: true',
        changed: { ...run, parallelism: { ...parallelism, sequenceParallel: true } },
      },
    !run.flashAttention && { change: 'flash_attention: true', changed: { ...run, flashAttention: true } },
  ];
  return list.filter((one): one is Alternative => one !== false);
}
