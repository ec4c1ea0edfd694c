import type { Normalize, Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { executionOf, type Saved } from './activations.ts';
import type { Recorder } from './tape.ts';

/** Bytes that a weight makes: its 16-bit copy under autocast, what its product gives as its gradient first, and gradients that stay. */
export type WeightBytes = { readonly cast: number; readonly product: number; readonly gradients: readonly number[] };

/** How a list of operations is run. */
export type Running = {
  readonly list: readonly Operation[];
  readonly run: TrainingRun;
  readonly weightBytes: (operation: Operation) => WeightBytes;
  /** gradients are added to those of a micro-batch before */
  readonly adds: boolean;
  readonly recomputed: boolean;
  /** bytes of the residual stream */
  readonly stream: number;
  /** it reads the residual stream and leaves it, as layers do */
  readonly residual: boolean;
};

/** What both passes of a list share. */
export type Pass = Running & {
  readonly recorder: Recorder;
  readonly saved: readonly Saved[];
  readonly input: number;
};

/** What a norm reads is fp32: the residual stream under autocast, or all. */
export const readsWide = ({ input }: Normalize, run: TrainingRun): boolean =>
  run.precision === 'fp32' || (executionOf(run).autocast && input.stream !== undefined);

/** Blocks that wait for the backward pass: of each operation that takes them back, and of tensors by their name. */
export type Kept = {
  readonly blocks: ReadonlyMap<Operation, readonly number[]>;
  readonly named: ReadonlyMap<string, number>;
};
