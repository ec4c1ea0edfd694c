import { findAccelerator } from '../../facts/accelerators.ts';
import { frameworks, quantizedCopies } from '../../facts/frameworks.ts';
import { bytesOfState, optimizers } from '../../facts/optimizers.ts';
import { bytesOf } from '../../facts/precisions.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { Lora, TrainingRun } from '../../model/run.ts';
import { adapterBytes, baseBytes } from '../count/lora.ts';
import {
  divides,
  type Group,
  groupOf,
  localElements,
  type Stage,
  type State,
  shards,
  stageOperations,
  trainedElements,
} from '../placement.ts';

/** Model states of some operations on one GPU, divided as the sharding says; bytes unless named otherwise. */
export type States = {
  readonly weights: number;
  /** copies of weights in the precision of the products, cached between micro-batches */
  readonly copies: number;
  readonly gradients: number;
  readonly optimizer: number;
  /** elements that this GPU's optimizer steps over */
  readonly stepped: number;
  /** bytes of their gradients */
  readonly steppedGradients: number;
  /** elements of the largest tensor among them that the optimizer works on as a whole, undivided */
  readonly largest: number;
};

/** Model states of all that a pipeline stage holds. */
export const statesOfStage = (operations: Operations, run: TrainingRun, stage: Stage): States =>
  sumOfStates(stageOperations(operations, stage), run, stage);

/** Model states of one list of operations, as a stage holds it. */
export const statesOf = (list: readonly Operation[], run: TrainingRun, stage: Stage): States =>
  sumOfStates(
    list.map((operation) => ({ operation, times: 1 })),
    run,
    stage,
  );

function sumOfStates(
  list: Iterable<{ readonly operation: Operation; readonly times: number }>,
  run: TrainingRun,
  stage: Stage,
): States {
  const rates = ratesOf(run);
  let [weights, copies, gradients, optimizer, stepped, steppedGradients, largest] = [0, 0, 0, 0, 0, 0, 0];
  for (const { operation, times } of list) {
    const one = operationStates(operation, run, stage, rates);
    weights += times * one.weights;
    copies += times * one.copies;
    gradients += times * one.gradients;
    optimizer += times * one.optimizer;
    stepped += times * one.stepped;
    steppedGradients += times * one.steppedGradients;
    largest = Math.max(largest, one.largest);
  }
  return { weights, copies, gradients, optimizer, stepped, steppedGradients, largest };
}

/** Bytes for each parameter by framework and dtype (`facts/frameworks.ts`), divided as the sharding says (ZeRO, FSDP). */
function operationStates(operation: Operation, run: TrainingRun, stage: Stage, rates: Rates): States {
  const elements = localElements(operation, run, stage);
  const over = rates.shards[groupOf(operation)];
  const { weight, gradient, optimizer, adapter } = bytesPerParameter(operation, run, rates);
  const trained = trainedElements(operation, run, stage);
  const adapters = run.lora === undefined ? 0 : trained;
  const offloaded = run.offload === 'optimizer' || run.offload === 'parameters';
  return {
    weights: run.offload === 'parameters' ? 0 : (elements * weight + adapters * adapter) / over.weights,
    copies: (elements * copiesOf(operation, rates)) / over.weights,
    gradients: offloaded && gradientsLeave(run) ? 0 : (trained * gradient) / over.gradients,
    optimizer: offloaded ? 0 : (trained * optimizer) / over.optimizer,
    stepped: offloaded ? 0 : trained / over.optimizer,
    steppedGradients: offloaded ? 0 : (trained * gradient) / over.optimizer,
    largest: trained > 0 ? largestTensor(operation, run) : 0,
  };
}

/** Elements of a matrix that an optimizer factors or makes orthogonal: tables where it does so with them too, all experts where they are one tensor. */
function largestTensor(operation: Operation, run: TrainingRun): number {
  const whole = optimizers[run.optimizer].factorsTables;
  if (operation.kind === 'table') return whole ? operation.rows * operation.columns : 0;
  if (operation.kind !== 'linear') return 0;
  return operation.rows * operation.columns * (whole ? operation.copies : 1);
}

/** With an optimizer on the CPU, some frameworks send gradients there as they are reduced; others keep them. */
function gradientsLeave(run: TrainingRun): boolean {
  const { offloadsGradients: when } = frameworks[run.framework];
  return when === 'always' || (when === 'sharded' && divides(run, 'gradients'));
}

/** Bytes for each parameter: of a base weight, and of a gradient, optimizer state and weight of what is trained. */
type Each = {
  readonly weight: number;
  readonly gradient: number;
  readonly optimizer: number;
  readonly adapter: number;
};

/** What all operations of a run have in common. */
type Rates = {
  /** GPUs that a state is divided over */
  readonly shards: Readonly<Record<Group, Readonly<Record<State, number>>>>;
  /** bytes of the copy of a matrix of Transformer Engine, for each element */
  readonly copies: number;
  readonly weight: number;
  readonly gradient: number;
  readonly master: number;
  /** bytes of an element of the optimizer's states */
  readonly state: number;
};

function ratesOf(run: TrainingRun): Rates {
  return {
    shards: { experts: shardsOf(run, 'experts'), dense: shardsOf(run, 'dense') },
    copies: copyBytes(run),
    ...dtypesOf(run),
  };
}

/** Bytes of a weight, of its gradient, of a master copy, and of an element of the optimizer's states. */
export function dtypesOf(run: TrainingRun): Pick<Rates, 'weight' | 'gradient' | 'master' | 'state'> {
  const facts = frameworks[run.framework];
  const fp32 = run.precision === 'fp32';
  const weight = run.weightsDtype ? bytesOf[run.weightsDtype] : fp32 ? 4 : facts.weightBytes;
  const gradient = run.gradientsDtype
    ? bytesOf[run.gradientsDtype]
    : // Gradients of PyTorch's optimizers have the dtype of their weights.
      facts.gradientsStay
      ? facts.gradientBytes
      : weight < 2
        ? 2
        : weight;
  const master = (run.masterWeights ?? (facts.masterWeights && !fp32 && weight < 4)) ? 4 : 0;
  const stated = run.optimizerDtype ? bytesOf[run.optimizerDtype] : 4;
  return {
    weight,
    gradient,
    master,
    // PyTorch makes states in the dtype of the weights that are stepped over.
    state: run.optimizerDtype || master > 0 ? stated : Math.min(4, weight),
  };
}

const shardsOf = (run: TrainingRun, group: Group): Readonly<Record<State, number>> => ({
  weights: shards(group, run, 'weights'),
  gradients: shards(group, run, 'gradients'),
  optimizer: shards(group, run, 'optimizer'),
});

function bytesPerParameter(operation: Operation, run: TrainingRun, rates: Rates): Each {
  if (run.lora !== undefined) {
    const adapter = adapterBytes(run);
    const optimizer = bytesOfState(optimizers[run.optimizer].matrix, adapter);
    return { weight: frozenBytes(operation, run, run.lora), gradient: adapter, optimizer, adapter };
  }
  const { weight, gradient, master, state } = rates;
  return { weight, gradient, optimizer: master + stateBytes(operation, run, state), adapter: 0 };
}

/** Optimizer state for each element, an average over the matrix where rows and columns have statistics of their own. */
function stateBytes(operation: Operation, run: TrainingRun, bytes: number): number {
  const facts = optimizers[run.optimizer];
  const momenta = run.optimizer === 'sgd' ? frameworks[run.framework].sgdMomenta * bytes : 0;
  // Nearly all that an encoder holds is in matrices.
  if (operation.component === 'towers') return momenta + bytesOfState(facts.matrix, bytes);
  if (!isMatrix(operation, facts.factorsTables)) return momenta + bytesOfState(facts.other, bytes);
  const { rows, columns } = operation;
  return momenta + bytesOfState(facts.matrix, bytes) + (facts.edges * (rows + columns)) / Math.max(1, rows * columns);
}

/** What Muon and Adafactor treat their way: hidden matrices, and for some also tables and the output. */
const isMatrix = (
  operation: Operation,
  tables: boolean,
): operation is Extract<Operation, { kind: 'linear' | 'table' }> =>
  operation.kind === 'table' ? tables : operation.kind === 'linear' && (tables || operation.component !== 'output');

/** A frozen base may be stored in 8 or 4 bits, except for tables, the output, the router and norms, which stay in 16. */
function frozenBytes(operation: Operation, run: TrainingRun, lora: Lora): number {
  const kept = operation.kind !== 'linear' || operation.component === 'output' || operation.component === 'router';
  return kept && lora.baseBits < 16 ? 2 : baseBytes(run);
}

/** Copies in the precision of the products exist for the matrices of Transformer Engine: not for router, tables and output. */
const copiesOf = (operation: Operation, { copies }: Rates): number =>
  operation.kind !== 'linear' || operation.component === 'router' || operation.component === 'output' ? 0 : copies;

function copyBytes(run: TrainingRun): number {
  if (!frameworks[run.framework].quantizesInputs || run.lora !== undefined) return 0;
  const copies = quantizedCopies(run.precision, findAccelerator(run.accelerator)?.generation, run.fp8Recipe);
  const stored = run.weightsDtype === 'fp8' || run.weightsDtype === 'fp4' ? bytesOf[run.weightsDtype] : 0;
  return Math.max(0, copies - stored);
}
