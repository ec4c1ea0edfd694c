import { findAccelerator } from '../../facts/accelerators.ts';
import { frameworks, overhead } from '../../facts/frameworks.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { gibibytes, mebibytes } from '../../units.ts';
import { divides, replicas, type Stage } from '../placement.ts';

/** Bytes of a 16-bit element. */
const e = 2;

/** Bytes that a GPU holds outside PyTorch's allocator: CUDA context, libraries, and NCCL's buffers for each communicator. */
export function deviceOverhead(run: TrainingRun): number {
  const generation = findAccelerator(run.accelerator)?.generation ?? 'default';
  const { tensor, pipeline, context, expert } = run.parallelism;
  const { contextGibibytes, communicatorGibibytes } = overhead;
  const contexts: Readonly<Record<string, number>> = contextGibibytes;
  const groups = [tensor, pipeline, context, expert, replicas(run)].filter((size) => size > 1);
  const alone = divides(run, 'weights') ? communicatorGibibytes.alone : 0;
  const first =
    groups.length === 0 ? alone : Math.max(...groups) === 2 ? communicatorGibibytes.pair : communicatorGibibytes.group;
  // Further communicators were not measured; each is taken to need half of the first.
  const further = Math.max(0, groups.length - 1) * (communicatorGibibytes.group / 2);
  const outside = frameworks[run.framework].libraryWorkspaces > 0 ? 0 : workspace(run);
  return gibibytes((contexts[generation] ?? contextGibibytes.default) + first + further) + outside;
}

/** Bytes of the workspaces of cuBLAS that PyTorch's allocator gives out, so that they count as allocated. */
export const libraryWorkspaces = (run: TrainingRun): number =>
  frameworks[run.framework].libraryWorkspaces * workspace(run);

/** Bytes of one workspace of cuBLAS. */
export function workspace(run: TrainingRun): number {
  const generation = findAccelerator(run.accelerator)?.generation ?? 'default';
  const modern = generation === 'hopper' || generation === 'blackwell';
  return mebibytes(modern ? overhead.workspaceMebibytes.modern : overhead.workspaceMebibytes.older);
}

/**
 * Transformer Engine keeps one 16-bit weight gradient for each distinct shape of matrix on the rank, since the true one is
 * added to the main gradient inside of the product (TransformerEngine d0067d0, `get_dummy_wgrad`). Bytes.
 */
export function dummyGradients(operations: Operations, run: TrainingRun, stage: Stage): number {
  if (!frameworks[run.framework].dummyGradients || run.lora !== undefined) return 0;
  const lists = stage.layers.map(({ kind }) => operations.layers[kind]?.operations ?? []);
  if (stage.head) lists.push(operations.prediction);
  const sizes = new Map<string, number>();
  for (const { rows, columns } of lists.flatMap((list) => products(list, run)))
    sizes.set(`${rows} ${columns}`, e * rows * columns);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

type Shape = { readonly rows: number; readonly columns: number };

/** The matrix products of a layer on one GPU; those that are one product (query, key and value) stand side by side. */
function products(list: readonly Operation[], run: TrainingRun): readonly Shape[] {
  const found = new Map<string, Shape>();
  for (const operation of list) {
    if (operation.kind !== 'linear' || operation.component === 'output' || operation.component === 'router') continue;
    const { tensor } = run.parallelism;
    const rows = operation.sharding === 'row' ? operation.rows / tensor : operation.rows;
    const columns = operation.sharding === 'column' ? operation.columns / tensor : operation.columns;
    const name = `${operation.component} ${operation.fusedWith ?? operation.path}`;
    found.set(name, { rows, columns: (found.get(name)?.columns ?? 0) + columns });
  }
  return [...found.values()];
}
