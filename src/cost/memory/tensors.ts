import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { adapterBytes } from '../count/lora.ts';
import { localElements, type Stage, trainedElements } from '../placement.ts';
import { elementBytes, isAutocast } from './activations.ts';
import type { WeightBytes } from './pass.ts';
import { dtypesOf, statesOf } from './states.ts';

/** Bytes of the tensors of one weight: itself and its adapter, and optimizer states of what is trained of it. */
export type WeightTensors = { readonly weights: readonly number[]; readonly states: readonly number[] };

/** Tensors of the weights of some operations, in the order in which the model holds them. */
export const weightTensors = (list: readonly Operation[], run: TrainingRun, stage: Stage): readonly WeightTensors[] =>
  run.lora === undefined ? wholeTensors(list, run, stage) : list.map((one) => adaptedTensors(one, run, stage));

function wholeTensors(list: readonly Operation[], run: TrainingRun, stage: Stage): readonly WeightTensors[] {
  const { weight, state } = dtypesOf(run);
  const states = joined(list, (one) => inMatrix(one) * statesOf([one], run, stage).optimizer);
  return [...joined(list, (one) => inMatrix(one) * localElements(one, run, stage))].map(([one, elements]) => ({
    weights: [weight * elements],
    states: alike(states.get(one) ?? 0, state * elements),
  }));
}

/** States are tensors of as many elements as the weight, in a dtype of their own; statistics of rows and columns are smaller. */
function alike(bytes: number, each: number): readonly number[] {
  const count = each > 0 ? Math.round(bytes / each) : 0;
  return count > 0 ? Array.from({ length: count }, () => bytes / count) : [bytes];
}

function adaptedTensors(one: Operation, run: TrainingRun, stage: Stage): WeightTensors {
  const trained = trainedElements(one, run, stage);
  const adapter = adapterPieces(one, adapterBytes(run) * trained);
  const { weights, optimizer } = statesOf([one], run, stage);
  const states = alike(optimizer, adapterBytes(run) * trained).flatMap((bytes) => adapterPieces(one, bytes));
  return { weights: [weights - adapterBytes(run) * trained, ...adapter], states };
}

/** Bytes of both factors of an adapter. */
function adapterPieces(one: Operation, bytes: number): readonly number[] {
  if (one.kind !== 'linear' || bytes === 0) return [];
  const down = (bytes * one.rows) / (one.rows + one.columns);
  return [down, bytes - down];
}

/** Bytes that the weights of some operations make in a step, by operation. */
export function weightBytes(
  list: readonly Operation[],
  run: TrainingRun,
  stage: Stage,
): (operation: Operation) => WeightBytes {
  const elements = joined(list, (one) => inMatrix(one) * localElements(one, run, stage));
  const casts = isAutocast(run) && !run.compile;
  return (one) => {
    const count = elements.get(one) ?? 0;
    const cast = casts && one.kind === 'linear' ? 2 * count : 0;
    const trained = trainedElements(one, run, stage);
    if (run.lora !== undefined) return { cast, product: 0, gradients: adapterPieces(one, adapterBytes(run) * trained) };
    if (trained === 0) return { cast, product: 0, gradients: [] };
    return cast > 0
      ? { cast, product: cast, gradients: [4 * count] }
      : { cast, product: 0, gradients: [elementBytes(run) * count] };
  };
}

/** Sums over operations whose weights are one tensor in the model's own code, by the last of them. */
function joined(list: readonly Operation[], of: (operation: Operation) => number): ReadonlyMap<Operation, number> {
  const found = new Map<Operation, number>();
  let waiting = 0;
  for (const [index, one] of list.entries()) {
    const whole = waiting + of(one);
    const tensor = tensorOf(one);
    waiting = tensor !== undefined && tensor === tensorOf(list[index + 1]) ? whole : 0;
    if (waiting === 0) found.set(one, whole);
  }
  return found;
}

/** Name of the matrix that operations are columns of, where the model's own code holds them as one. */
export const tensorOf = (one: Operation | undefined): string | undefined =>
  one?.kind === 'linear' && one.storedFused === true ? one.fusedWith : undefined;

/** Share of an operation's elements that is in its matrix: a bias is a tensor of its own. */
const inMatrix = (one: Operation): number => (one.kind === 'linear' && one.bias ? one.rows / (one.rows + 1) : 1);
