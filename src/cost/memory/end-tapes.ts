import { frameworks } from '../../facts/frameworks.ts';
import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { outputProjection } from '../count/weights.ts';
import { type Stage, trainedElements } from '../placement.ts';
import { elementBytes, isAutocast } from './activations.ts';
import { compilesLoss, logitsOf, lossBytes } from './loss.ts';
import { streamBytes } from './recompute.ts';
import { dtypesOf } from './states.ts';
import { Recorder, type Tape } from './tape.ts';

/** The table: rows of it as the residual stream, and in the backward pass a gradient that is dense, to which a tied output's is added. */
export function tableTape(operations: Operations, run: TrainingRun, stage: Stage, adds: boolean, stream: number): Tape {
  const recorder = new Recorder();
  const output = recorder.make(stream);
  const positions = rotaryTables(recorder, operations, run);
  const forward = recorder.cut();
  const outputGradient = recorder.block(stream);
  const { weight } = dtypesOf(run);
  const trained = run.lora === undefined ? operations.embedding : [];
  const dense = trained.map((one) => recorder.make(weight * trainedElements(one, run, stage)));
  recorder.free(outputGradient, ...positions);
  const sums = outputProjection(operations)?.tied === true && !adds;
  const summed = sums ? dense.map((block) => recorder.make(recorder.bytes[block] ?? 0)) : dense;
  if (sums || adds) recorder.free(...dense);
  const none = recorder.block(0);
  return {
    bytes: recorder.bytes,
    forward,
    backward: recorder.cut(),
    input: none,
    keepsInput: true,
    output,
    outputGradient,
    inputGradient: none,
    weightGradients: adds ? [] : summed,
    casts: [],
  };
}

/** Cosines and sines of every position, made in fp32 and kept in the dtype of the stream. @returns what stays */
function rotaryTables(recorder: Recorder, operations: Operations, run: TrainingRun): readonly number[] {
  const rotary = operations.layers.some(({ operations: list }) => list.some(({ kind }) => kind === 'rope'));
  const cores = operations.layers.flatMap(({ operations: list }) => list.filter((one) => one.kind === 'attention'));
  if (!rotary) return [];
  // Angles are a product of frequencies and positions.
  recorder.product();
  const elements = run.sequenceLength * Math.max(0, ...cores.map(({ queryKeyDim }) => queryKeyDim));
  const [angles, plainCosine, cosine] = [
    recorder.make(4 * elements),
    recorder.make(4 * elements),
    recorder.make(4 * elements),
  ];
  recorder.free(plainCosine);
  const [plainSine, sine] = [recorder.make(4 * elements), recorder.make(4 * elements)];
  recorder.free(plainSine);
  if (streamBytes(run) === 4) {
    recorder.free(angles);
    return [cosine, sine];
  }
  const kept = [recorder.make(2 * elements), recorder.make(2 * elements)];
  recorder.free(angles, cosine, sine);
  return kept;
}

/** The output's product and the loss. */
export function lossTape(operations: Operations, run: TrainingRun, adds: boolean, stream: number): Tape {
  const recorder = new Recorder();
  const head = outputProjection(operations);
  const casts = isAutocast(run) && !run.compile;
  const input = recorder.block(stream);
  // Autocast casts the weight and what is multiplied with it.
  const elements = head === undefined ? 0 : head.rows * head.columns;
  const cast = recorder.make(casts ? 2 * elements : 0);
  const narrow = recorder.make(casts ? stream / 2 : 0);
  recorder.product();
  const loss = isWhole(run) ? wholeLoss(recorder, operations, run) : lossAtOnce(recorder, operations, run);
  const forward = recorder.cut();
  const gradient = loss();
  const trained = run.lora === undefined ? elements : 0;
  const product = recorder.make((casts ? 2 : elementBytes(run)) * trained);
  recorder.product();
  const ofInput = recorder.make(casts ? stream / 2 : stream);
  recorder.free(gradient, narrow, cast, ...(casts ? [] : [input]));
  const inputGradient = casts ? widened(recorder, ofInput) : ofInput;
  const kept = casts ? widened(recorder, product) : product;
  if (adds) recorder.free(kept);
  const none = recorder.block(0);
  return {
    bytes: recorder.bytes,
    forward,
    backward: recorder.cut(),
    input,
    keepsInput: !casts,
    output: none,
    outputGradient: none,
    inputGradient,
    weightGradients: adds ? [] : [kept],
    casts: [],
  };
}

/** A 16-bit gradient made fp32. */
function widened(recorder: Recorder, narrow: number): number {
  const wide = recorder.make(2 * (recorder.bytes[narrow] ?? 0));
  recorder.free(narrow);
  return wide;
}

/** Of PyTorch's own cross-entropy, over all logits. */
const isWhole = (run: TrainingRun): boolean =>
  !compilesLoss(run) && run.fusedCrossEntropy !== true && run.lossChunks === undefined;

/** Writes the loss forward. @returns its backward pass, which gives the gradient of the logits */
function wholeLoss(recorder: Recorder, operations: Operations, run: TrainingRun): () => number {
  const head = outputProjection(operations);
  const logits = head === undefined ? 0 : logitsOf(head, run);
  const narrow = elementBytes(run) < 4;
  const own = () => recorder.make(elementBytes(run) * logits);
  const wide = () => recorder.make(4 * logits);
  const capped = operations.head.some((one) => one.kind === 'loss' && one.softcapped === true);
  const { output, tanh } = capped ? softcap(recorder, own) : { output: own(), tanh: undefined };
  const copy = narrow ? wide() : undefined;
  const logSoftmax = wide();
  recorder.free(copy);
  // What leaves a model is made fp32 (accelerate, `convert_outputs_to_fp32`).
  const converted = narrow && frameworks[run.framework].autocasts ? wide() : undefined;
  recorder.free(output, converted);
  return () => {
    const likelihood = wide();
    const gradient = wide();
    recorder.free(likelihood, logSoftmax);
    const ofCopy = narrow ? own() : gradient;
    if (narrow) recorder.free(gradient);
    return tanh === undefined ? ofCopy : uncap(recorder, own, ofCopy, tanh);
  };
}

/** Divided, tanh, multiplied. */
function softcap(recorder: Recorder, own: () => number) {
  const logits = own();
  const divided = own();
  recorder.free(logits);
  const tanh = own();
  recorder.free(divided);
  return { output: own(), tanh };
}

function uncap(recorder: Recorder, own: () => number, gradient: number, tanh: number): number {
  const multiplied = own();
  recorder.free(gradient);
  const throughTanh = own();
  recorder.free(multiplied, tanh);
  const divided = own();
  recorder.free(throughTanh);
  return divided;
}

/** A loss that is fused, compiled or in chunks, as one block in each pass. */
function lossAtOnce(recorder: Recorder, operations: Operations, run: TrainingRun): () => number {
  const { forward, backward } = lossBytes(operations, run);
  recorder.free(recorder.make(forward));
  return () => recorder.make(backward);
}
