import type { Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { encoderPasses, goesBack } from '../count/encoder-passes.ts';
import type { Stage } from '../placement.ts';
import type { LayerFigures } from './layer.ts';

/** Activations of the encoders that a stage holds, of one micro-batch on one GPU; bytes. */
export type EncoderMemory = {
  /** between forward and backward pass; nothing of encoders that the backward pass does not go through */
  readonly saved: number;
  /** the most that the backward pass of one of their layers adds */
  readonly work: number;
};

export function encoderMemory(
  operations: Operations,
  run: TrainingRun,
  stage: Stage,
  figures: LayerFigures,
): EncoderMemory {
  let [saved, work] = [0, 0];
  if (!stage.embedding) return { saved, work };
  for (const pass of encoderPasses(operations, run).filter(goesBack)) {
    // Recompute makes layers again; a single matrix saves what it reads.
    const recompute = pass.count > 1 ? run.recompute : 'none';
    const layer = figures(pass.operations, { ...pass.run, recompute }, stage);
    saved += pass.count * layer.saved;
    work = Math.max(work, layer.work);
  }
  return { saved, work };
}
