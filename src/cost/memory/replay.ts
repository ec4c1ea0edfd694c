import { findAccelerator } from '../../facts/accelerators.ts';
import { frameworks } from '../../facts/frameworks.ts';
import { replayedLayers } from '../../facts/memory.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { outputProjection } from '../count/weights.ts';
import { microBatches, type Stage } from '../placement.ts';
import { Allocator, type Block } from './allocator.ts';
import { lossTape, tableTape } from './end-tapes.ts';
import { layerTape } from './layer-tape.ts';
import { deviceOverhead, workspace } from './overhead.ts';
import { temporaryLists } from './phases.ts';
import { inputBytes } from './recompute.ts';
import { isTraced, type Live, play, type Tape } from './tape.ts';
import { type WeightTensors, weightBytes, weightTensors } from './tensors.ts';

/** Whether a run is one whose steps are played: on one GPU, so that all is on one stream, stepped over by an optimizer of PyTorch's. */
export function isReplayed(run: TrainingRun, { order }: Stage): boolean {
  const { masterWeights, gathers } = frameworks[run.framework];
  return (
    run.gpus === 1 &&
    !masterWeights &&
    gathers === 'flat' &&
    (run.offload ?? 'none') === 'none' &&
    run.recompute !== 'selective' &&
    run.expandableSegments !== true &&
    order.length <= replayedLayers.most
  );
}

/**
 * Bytes that the allocator holds beyond the most that it has given out, after two training steps: the states that the optimizer makes
 * at the end of the first take blocks that the second then lacks.
 */
export function heldBeyond(operations: Operations, run: TrainingRun, stage: Stage): number {
  const usable = findAccelerator(run.accelerator)?.usable;
  const allocator = new Allocator(usable === undefined ? undefined : usable - deviceOverhead(run));
  const make = (bytes: number) => (isTraced(bytes) ? allocator.allocate(bytes) : undefined);
  const model = tensorsOf(operations, run, stage);
  for (const { weights } of model) weights.map(make);
  const batches = [batchTapes(operations, run, stage, false)];
  if (microBatches(run) > 1) batches.push(batchTapes(operations, run, stage, true));
  const step: Step = {
    operations,
    allocator,
    inForward: workspaces(run, allocator),
    inBackward: workspaces(run, allocator),
  };
  for (const number of [1, 2]) {
    const gradients = batches.flatMap((tapes) => playBatch(tapes, step));
    if (number === 1) for (const { states } of model) states.map(make);
    if (temporaryLists(run) > 0)
      free(
        allocator,
        model.map(({ weights: [bytes = 0] }) => make(bytes)),
      );
    free(allocator, gradients);
  }
  return allocator.held - allocator.peak;
}

/** What all micro-batches of a run have in common. */
type Step = {
  readonly operations: Operations;
  readonly allocator: Allocator;
  /** what happens at a matrix product */
  readonly inForward: () => void;
  readonly inBackward: () => void;
};

/** The first product of a thread takes a workspace that stays. */
function workspaces(run: TrainingRun, allocator: Allocator): () => void {
  let taken = frameworks[run.framework].libraryWorkspaces === 0;
  return () => {
    if (!taken) allocator.allocate(workspace(run));
    taken = true;
  };
}

function free(allocator: Allocator, blocks: Live): void {
  for (const block of blocks) if (block !== undefined) allocator.release(block);
}

/** Tensors of all weights in the order in which the model makes them. */
function tensorsOf(operations: Operations, run: TrainingRun, stage: Stage): readonly WeightTensors[] {
  const known = operations.layers.map(({ operations: list }) => weightTensors(list, run, stage));
  return [
    ...weightTensors(operations.embedding, run, stage),
    ...stage.order.flatMap((kind) => known[kind] ?? []),
    ...weightTensors(operations.head, run, stage),
  ];
}

/** The tapes of a micro-batch in the order of its forward pass. */
function batchTapes(operations: Operations, run: TrainingRun, stage: Stage, adds: boolean): readonly Tape[] {
  const stream = inputBytes(operations.layers[stage.order[0] ?? 0]?.operations ?? [], run);
  const tapeOf = (list: readonly Operation[], residual: boolean) =>
    layerTape({
      list,
      run,
      weightBytes: weightBytes(list, run, stage),
      adds,
      stream,
      recomputed: residual && run.recompute === 'full',
      residual,
    });
  const layers = operations.layers.map(({ operations: list }) => tapeOf(list, true));
  const norms = operations.head.filter((one) => one.kind !== 'loss' && one.component !== 'output');
  return [
    tableTape(operations, run, stage, adds, stream),
    ...stage.order.flatMap((kind) => layers[kind] ?? []),
    tapeOf(norms, false),
    lossTape(operations, run, adds, stream),
  ];
}

/** @returns the gradients of weights that stay */
function playBatch(tapes: readonly Tape[], step: Step): readonly (Block | undefined)[] {
  const { operations, allocator } = step;
  const lives = forwardPass(tapes, step);
  const found: (Block | undefined)[][] = [];
  let gradient: Block | undefined;
  for (let index = tapes.length - 1; index >= 0; index--) {
    const [tape, live] = [tapes[index], lives[index]];
    if (tape === undefined || live === undefined) continue;
    live[tape.outputGradient] = gradient;
    play(tape.backward, tape, live, allocator, step.inBackward);
    gradient = live[tape.inputGradient];
    found.push(tape.weightGradients.map((block) => live[block]));
  }
  // The gradient of a tied output is part of the table's by now.
  if (outputProjection(operations)?.tied === true) free(allocator, found.shift() ?? []);
  return found.flat();
}

function forwardPass(tapes: readonly Tape[], { allocator, inForward }: Step): readonly Live[] {
  const ended: Live = [];
  let carried: Block | undefined;
  const lives = tapes.map((tape, index) => {
    const live: Live = [];
    live[tape.input] = carried;
    play(tape.forward, tape, live, allocator, inForward);
    carried = live[tape.output];
    // The model's own code holds the embeddings to its end.
    const held = index === 1 ? ended : [];
    if (!tape.keepsInput) held.push(live[tape.input]);
    if (index !== 1) free(allocator, held);
    if (index === tapes.length - 2) free(allocator, ended.splice(0));
    ended.push(...tape.casts.map((block) => live[block]));
    return live;
  });
  free(allocator, ended);
  return lives;
}
