import { addsByIndex, elementary, heavyKernels, kernelStart } from '../../facts/steps.ts';
import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isTarget } from '../count/lora.ts';
import { type Execution, executionOf, writesScores } from '../memory/activations.ts';
import type { Context } from './context.ts';
import type { Passes } from './parts.ts';
import { fusedProducts } from './products.ts';

type Kernels = { readonly forward: number; readonly backward: number };
type Bytes = { readonly forward: number; readonly backward: number; readonly kernels: Kernels };
type Kind<Name extends Operation['kind']> = Extract<Operation, { kind: Name }>;

/** What a layer moves besides its products and attention, where each operation runs in elementary steps: bytes of a micro-batch, and kernels. */
export function elementaryTraffic(list: readonly Operation[], run: TrainingRun, context: Context): Traffic {
  const execution = executionOf(run);
  const all = [
    ...list.flatMap((operation) => steps(operation, list, run, execution, context)),
    ...readers(list, execution, context),
    ...castWeights(list, execution, context),
  ];
  const bytes = [0, 0] as [number, number];
  const kernels = [0, 0] as [number, number];
  for (const [each, elements, times = 1] of all) {
    // All in fp32 moves twice as much, but what counts fp32 already.
    const width = isSingle(run) && each !== elementary.rmsWide ? 2 : 1;
    bytes[0] += times * width * each.forward * elements;
    bytes[1] += times * width * each.backward * elements;
    kernels[0] += times * each.kernels.forward;
    kernels[1] += times * each.kernels.backward;
  }
  return { bytes, kernels };
}

const isSingle = ({ precision }: TrainingRun): boolean => precision === 'fp32';

type Traffic = { readonly bytes: Passes; readonly kernels: Passes };

/** Seconds of these, and of starting the kernels of products and attention too. */
export function elementarySeconds(list: readonly Operation[], run: TrainingRun, context: Context): Passes {
  const { bytes, kernels } = elementaryTraffic(list, run, context);
  let [forward, backward] = kernels;
  for (const heavy of heavies(list, run, context)) {
    forward += heavy.forward;
    backward += heavy.backward;
  }
  return [
    bytes[0] / context.bandwidth + forward * kernelStart.seconds,
    bytes[1] / context.bandwidth + backward * kernelStart.seconds + addingSeconds(list, run, context),
  ];
}

/** What `elementarySeconds` counts. */
export const isElementary = ({ kind }: Operation): boolean =>
  kind === 'norm' || kind === 'add' || kind === 'rope' || kind === 'activation' || kind === 'dispatch';

/** How many elements of how many tensors an operation moves. */
type Step = readonly [each: Bytes, elements: number, times?: number];

function steps(
  operation: Operation,
  list: readonly Operation[],
  run: TrainingRun,
  { autocast, widens }: Execution,
  { T }: Context,
): readonly Step[] {
  switch (operation.kind) {
    case 'norm':
      return isSingle(run) ? singleNorm(operation, T) : normSteps(operation, autocast, widens, T);
    case 'add': {
      const elements = operation.output.elements * T;
      const dropout: readonly Step[] = run.dropout === true ? [[elementary.dropout, elements]] : [];
      return [[autocast ? elementary.addWide : elementary.add, elements], ...dropout];
    }
    case 'rope':
      return [[ropeBytes(operation, autocast), (operation.query.elements + operation.key.elements) * T]];
    case 'activation': {
      const imbalance = operation.input.region === 'routed' ? run.expertImbalance : 1;
      return [[activationBytes(operation, list), operation.output.elements * T * imbalance]];
    }
    case 'dispatch':
      return [
        [elementary.routed, rowsOf(operation, run, T)],
        [elementary.unrouted, operation.width * T],
      ];
    default:
      return [];
  }
}

/** Elements of the rows that experts get. */
const rowsOf = ({ active, width }: Kind<'dispatch' | 'combine'>, run: TrainingRun, T: number): number =>
  width * T * active * run.expertImbalance;

/** Seconds of adding the gradients of gathered rows by index. */
function addingSeconds(list: readonly Operation[], run: TrainingRun, { T, bandwidth }: Context): number {
  const { bytes, share, gathers } = addsByIndex;
  const rows = list.reduce((sum, one) => sum + (one.kind === 'dispatch' ? rowsOf(one, run, T) : 0), 0);
  return (gathers * bytes * rows * (isSingle(run) ? 2 : 1)) / (share * bandwidth);
}

/** In fp32 nothing is cast. */
const singleNorm = ({ style, upcast, input }: Kind<'norm'>, T: number): readonly Step[] => [
  [style === 'rms' || upcast === 'weight' ? elementary.rmsWide : elementary.layer, input.elements * T],
];

/** Norms of heads read what a product wrote, which is in 16 bits; LayerNorm computes in fp32 under CUDA's autocast. */
function normSteps(
  { style, upcast, input }: Kind<'norm'>,
  autocast: boolean,
  widens: boolean,
  T: number,
): readonly Step[] {
  const elements = input.elements * T;
  const wide = autocast && input.region === 'residual';
  if (style === 'rms' || upcast === 'weight') {
    if (wide) return [[elementary.rmsWide, elements]];
    return [[upcast === 'weight' ? elementary.rmsWeighed : elementary.rms, elements]];
  }
  if (wide || !widens || upcast === 'none') return [[wide ? elementary.layerWide : elementary.layer, elements]];
  return [
    [elementary.cast, elements],
    [elementary.layerWide, elements],
  ];
}

function ropeBytes({ joined }: Kind<'rope'>, autocast: boolean): Bytes {
  if (joined === true) return elementary.ropeJoined;
  return autocast ? elementary.ropeWide : elementary.rope;
}

function activationBytes({ gated, gate, function: name }: Kind<'activation'>, list: readonly Operation[]): Bytes {
  if (name === 'gelu_fast') return elementary.multipliedGelu;
  if (name === 'gelu_new') return elementary.poweredGelu;
  if (!gated) return elementary.plain;
  const together = list.some(
    (one) => one.kind === 'linear' && one.storedFused === true && one.output.name === gate?.name,
  );
  return together ? elementary.gatedTogether : elementary.gated;
}

/** Kernels whose time is elsewhere. */
function heavies(list: readonly Operation[], run: TrainingRun, context: Context): readonly Kernels[] {
  const { lora } = run;
  return [
    ...fusedProducts(list, context).map(() => heavyKernels.product),
    ...list.flatMap((one) => (one.kind === 'attention' ? [attentionKernels(one, run)] : [])),
    ...list.flatMap((one) => (one.kind === 'dispatch' ? [heavyKernels.addsByIndex] : [])),
    ...list.flatMap((one) =>
      one.kind === 'linear' && lora !== undefined && isTarget(one, lora) ? [heavyKernels.adapter] : [],
    ),
  ];
}

const attentionKernels = (core: Kind<'attention'>, run: TrainingRun): Kernels =>
  writesScores(core, run) ? heavyKernels.writtenOutAttention : heavyKernels.attention;

/** Autocast makes 16-bit copies of fp32 weights, and of their gradients fp32 ones. */
function castWeights(list: readonly Operation[], { autocast }: Execution, context: Context): readonly Step[] {
  if (!autocast) return [];
  return fusedProducts(list, context).map(({ first, columns }) => [
    elementary.cast,
    first.rows * columns * first.copies,
  ]);
}

/** Gradients of what several products read are added up; what is fp32 each of them casts for itself. */
function readers(list: readonly Operation[], { autocast, widens }: Execution, context: Context): readonly Step[] {
  const wide = new Set(
    list.flatMap((one) =>
      one.kind === 'norm' && (autocast || (widens && one.style === 'layer' && one.upcast === undefined))
        ? [one.output.name]
        : [],
    ),
  );
  const products = fusedProducts(list, context).filter(({ first }) => first.input.region !== 'routed');
  return [...new Set(products.map(({ first }) => first.input.name))].flatMap((name): readonly Step[] => {
    const group = products.filter(({ first }) => first.input.name === name);
    const elements = (group[0]?.first.input.elements ?? 0) * context.T;
    if (!wide.has(name)) return [[elementary.reader, elements, group.length - 1]];
    return [
      [elementary.readerWide, elements, group.length - 1],
      [elementary.cast, elements, group.length],
    ];
  });
}
