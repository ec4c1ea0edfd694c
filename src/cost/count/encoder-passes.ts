import type { TowerInput } from '../../model/architecture.ts';
import type { Operation, Operations, TowerOperations } from '../../model/operation.ts';
import { readPerSequence, type TrainingRun } from '../../model/run.ts';
import { isFrozen } from './frozen.ts';

/**
 * Like layers of an encoder in a run. An encoder's tokens are patches or frames, of which a sequence has others than it has tokens
 * of text; so its operations are asked under a run of their own, whose sequences are what it reads at once.
 */
export type EncoderPass = {
  readonly operations: readonly Operation[];
  /** How many such layers. */
  readonly count: number;
  /** The run as the encoder sees it. Each GPU of tensor and context parallelism reads whole images. */
  readonly run: TrainingRun;
  /** Its tokens for each token of text. */
  readonly share: number;
  /** Its weights are trained. */
  readonly trained: boolean;
  /** Something before it is trained, so that its input needs a gradient. */
  readonly below: boolean;
};

/** The encoders of a model in the order in which an image meets them. */
export function encoderPasses({ towers }: Operations, run: TrainingRun): readonly EncoderPass[] {
  let below = false;
  return towers.flatMap((tower) => {
    // What joins an encoder to the text stands behind it.
    if (!tower.path.endsWith('projector')) below = false;
    const trained = !isFrozen(tower, run);
    const passes = passesOf(tower, run, trained, below);
    below ||= trained;
    return passes;
  });
}

function passesOf(
  { computes }: TowerOperations,
  run: TrainingRun,
  trained: boolean,
  below: boolean,
): readonly EncoderPass[] {
  if (computes === undefined) return [];
  const { inputs, tokens } = readBy(computes.reads, run);
  return computes.stages.flatMap(({ operations, count, merged, extra = 0 }, index) => {
    const each = Math.floor(tokens / merged) + extra;
    if (each * inputs * count === 0) return [];
    const share = (inputs * each) / run.sequenceLength;
    return [
      { operations, count, run: asRead(run, inputs, each), share, trained, below: below || (trained && index > 0) },
    ];
  });
}

/** Images or windows of sound in each sequence, and patches or frames of each. */
export function readBy(
  reads: TowerInput,
  run: Pick<TrainingRun, 'imagesPerSequence' | 'imageSize' | 'audioSecondsPerSequence'>,
): { readonly inputs: number; readonly tokens: number } {
  if (reads.kind === 'image') {
    const { patch, merge, patches } = reads;
    const side = merge * Math.max(1, Math.floor((run.imageSize ?? readPerSequence.imageSize) / (patch * merge)));
    return { inputs: run.imagesPerSequence ?? readPerSequence.images, tokens: patches ?? side * side };
  }
  const seconds = run.audioSecondsPerSequence ?? readPerSequence.seconds;
  const window = reads.window ?? seconds;
  return { inputs: window === 0 ? 0 : Math.ceil(seconds / window), tokens: Math.round(window * reads.perSecond) };
}

/** The run with what an encoder reads at once in place of a sequence. With adapters encoders are frozen and have none. */
function asRead({ lora: _, ...run }: TrainingRun, inputs: number, tokens: number): TrainingRun {
  return {
    ...run,
    sequenceLength: tokens,
    microBatchSize: run.microBatchSize * inputs,
    dropout: false,
    parallelism: { ...run.parallelism, tensor: 1, context: 1, sequenceParallel: false },
  };
}

/** Whether the backward pass goes through it. */
export const goesBack = ({ trained, below }: EncoderPass): boolean => trained || below;
