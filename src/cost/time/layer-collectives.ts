import { frameworkExecution } from '../../facts/frameworks.ts';
import { bytesOf } from '../../facts/precisions.ts';
import { beside } from '../../facts/steps.ts';
import type { AttentionCore, Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { collectiveSeconds } from './collective.ts';
import { type Context, isLow } from './context.ts';
import type { Passes } from './parts.ts';

const nothing: Passes = [0, 0];

/** What is exposed of a layer's tensor-parallel collectives: one pair (or one reduction) for each block that ends in a row-divided matrix. */
export function tensorCollectives(list: readonly Operation[], run: TrainingRun, context: Context): Passes {
  const { tensor: tp, sequenceParallel } = run.parallelism;
  if (tp <= 1) return nothing;
  const blocks = list.filter((operation) => operation.kind === 'linear' && operation.sharding === 'row').length;
  const D = list.find((operation) => operation.kind === 'add')?.output.elements ?? 0;
  const S = bytesOf.bf16 * D * context.T;
  const exposed = overlapsTensorParallel(run) ? context.step.tensorOverlapped : context.step.tensorExposed;
  const collective = (kind: 'gather' | 'scatter' | 'reduce') =>
    collectiveSeconds(context.chip, context.kernels, kind, S, tp, tp, context.network);
  if (!sequenceParallel) {
    const reduction = blocks * collective('reduce') * exposed;
    return [reduction, reduction];
  }
  const one = collective('gather') + collective('scatter');
  return [blocks * one * exposed, blocks * (one + beside.regather * collective('gather')) * exposed];
}

/**
 * Where nobody says so, tensor-parallel collectives are taken to overlap with products in 8 and 4 bits: Transformer Engine's
 * own overlap, which NVIDIA's recipes turn on; in 16 bits Megatron-LM's default, no overlap.
 */
const overlapsTensorParallel = (run: TrainingRun): boolean =>
  run.overlapTensorParallel ??
  (frameworkExecution[run.framework].overlapsTensorParallel && isLow(run) && run.parallelism.sequenceParallel);

/**
 * What is exposed of the keys and values that context parallelism sends around, beside the attention that works on them; backward
 * they and their gradients.
 *
 * @param work seconds of the attention core
 */
export function contextCollectives(
  core: AttentionCore,
  [forward, backward]: Passes,
  run: TrainingRun,
  context: Context,
): Passes {
  const { tensor: tp, context: cp } = run.parallelism;
  if (cp <= 1) return nothing;
  const { chip, kernels, step, T } = context;
  const S = bytesOf.bf16 * core.keyValueHeads * (core.queryKeyDim + core.valueDim) * T * cp;
  const local = Math.max(1, Math.floor(chip.fast.domain / tp));
  const one = collectiveSeconds(chip, kernels, 'gather', S / tp, cp, local, context.network);
  return [
    Math.max(step.contextExposed * one, one - forward),
    Math.max(2 * step.contextExposed * one, 2 * one - backward),
  ];
}

type Exchange = Extract<Operation, { kind: 'dispatch' | 'combine' }>;

/** What is exposed of sending tokens to their experts and back. */
export function expertCollectives(operation: Exchange, run: TrainingRun, context: Context): Passes {
  const exposed = context.step.expertExposed * (2 * exchangeSeconds(operation, run, context));
  return [exposed, exposed];
}

/** Tokens to their experts: copies within the fast domain and beyond it, sent once for each domain (DeepEP). */
function exchangeSeconds(operation: Exchange, run: TrainingRun, context: Context): number {
  const { expert: ep } = run.parallelism;
  if (ep <= 1) return 0;
  const { chip, kernels, t } = context;
  const k = operation.active;
  const domain = Math.min(ep, chip.fast.domain);
  const domains = ep / domain;
  const inside = Math.min(domains === 1 ? k * (1 - 1 / ep) : k * (1 - 1 / domain), ep * (1 - (1 - 1 / ep) ** k));
  const beyond = domains <= 1 ? 0 : (domains - 1) * (1 - (1 - 1 / domains) ** k);
  const row = bytesOf.bf16 * operation.width * t;
  const { latency, bandwidth } = kernels.collectives.exchange;
  const fast = (row * inside) / bandwidth;
  const slow = (row * beyond) / ((context.network ?? bandwidth) * context.step.exchangeShare);
  return 2 * latency + Math.max(fast, slow) + beside.exchange * Math.min(fast, slow);
}
