import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type EncoderPass, encoderPasses, goesBack } from './encoder-passes.ts';
import { forwardFlops } from './forward.ts';

/** FLOPs of encoders for one token of text: those of their own tokens, of which a sequence has so many for each of its own. */
export type EncoderFlops = {
  /** by the tower's path */
  readonly forward: readonly (readonly [path: string, flops: number])[];
  readonly training: number;
  /** executed once more in the backward pass */
  readonly recomputed: number;
};

export function encoderFlops(operations: Operations, run: TrainingRun): EncoderFlops {
  const forward: (readonly [string, number])[] = [];
  let [training, recomputed] = [0, 0];
  for (const pass of encoderPasses(operations, run)) {
    const once = pass.share * pass.count * forwardOf(pass);
    forward.push([pass.operations[0]?.path.split('.').slice(0, 2).join('.') ?? 'towers', once]);
    training += pass.share * trainingOf(pass);
    if (run.recompute === 'full' && goesBack(pass) && pass.count > 1) recomputed += once;
  }
  return { forward, training, recomputed };
}

const forwardOf = ({ operations, run }: EncoderPass): number =>
  operations.reduce((sum, one) => sum + forwardFlops(one, run.sequenceLength), 0);

/** Forward and backward: only the first layer's input may be one that nothing trained lies before. */
function trainingOf(pass: EncoderPass): number {
  const further = pass.below || pass.trained;
  return layerFlops(pass, pass.below) + (pass.count - 1) * layerFlops(pass, further);
}

/** A trained matrix needs a gradient of its weights, and of its input where something trained lies before it. */
function layerFlops({ operations, run, trained }: EncoderPass, below: boolean): number {
  let needed = below;
  let total = 0;
  for (const operation of operations) {
    const forward = forwardFlops(operation, run.sequenceLength);
    const weights = operation.kind === 'linear' && trained ? forward : 0;
    const inputs = needed ? (operation.kind === 'linear' ? forward : 2 * forward) : 0;
    total += forward + weights + inputs;
    needed ||= trained && (operation.kind === 'linear' || operation.kind === 'norm');
  }
  return total;
}
