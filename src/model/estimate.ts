import type { Evidence } from '../facts/evidence.ts';
import type { Bytes, Flops, Parameters, Seconds } from '../units.ts';
import type { Ledger } from './ledger.ts';
import type { Assumption, Problem } from './reading.ts';
import type { SettledRun } from './run.ts';

/** The cost of one architecture under one run, as the engine reads it off the operations. */
export type Cost = {
  /** Experts that a token uses, of how many, where the model routes. */
  readonly routing?: { readonly active: number; readonly experts: number };
  readonly parameters: ParameterCount;
  readonly flops: FlopCount;
  readonly memory: MemoryEstimate;
  readonly throughput: ThroughputEstimate;
  readonly inference: InferenceEstimate;
  readonly run: SettledRun;
};

/** The cost of a config, with what was assumed to know it and what is wrong in its run. */
export type Estimate = Cost & {
  readonly assumptions: readonly Assumption[];
  readonly problems: readonly Problem[];
};

export type ParameterCount = {
  /** elements of the main network as published: towers included, multi-token prediction not */
  readonly total: Parameters;
  /** those that one token uses, both embeddings counted */
  readonly active: Parameters;
  /** without the input table */
  readonly activeWithoutEmbedding: Parameters;
  /** without the input table and the output matrix */
  readonly activeWithoutEmbeddings: Parameters;
  readonly mtp: Parameters;
  readonly towers: Parameters;
  /** trained, where that is less than all (LoRA) */
  readonly trainable: Parameters;
  readonly components: Ledger<Parameters>;
  /** by `Operation.path`, for the diff of parts */
  readonly parts: Ledger<Parameters>;
  /** by kind of layer */
  readonly layers: readonly { readonly name: string; readonly count: number; readonly parameters: Parameters }[];
  /** bytes of the checkpoint as its config stores it */
  readonly checkpoint: Bytes;
  readonly exact: boolean;
  readonly restsOn: Evidence;
};

export type FlopConvention = 'causal' | 'full' | 'palm' | '6n' | 'megatron' | 'torchtitan';

/** FLOPs for one token, at the run's sequence length. */
export type FlopCount = {
  readonly sequenceLength: number;
  /** forward pass, causal convention, by component */
  readonly forward: Ledger<Flops>;
  /** forward and backward: three times the forward pass, less where weights are frozen */
  readonly training: Flops;
  /** with what recompute adds: what the hardware executes */
  readonly hardware: Flops;
  /** training FLOPs for one token in each convention */
  readonly conventions: Readonly<Record<FlopConvention, Flops>>;
  /** forward, by `Operation.path` */
  readonly parts: Ledger<Flops>;
  /** forward FLOPs of one layer of each kind, for attention, feed-forward and router */
  readonly layers: readonly {
    readonly name: string;
    readonly count: number;
    readonly attention: Flops;
    readonly feedForward: Flops;
    readonly router: Flops;
    readonly other: Flops;
  }[];
  /** how attention's share of the forward pass grows with the sequence */
  readonly growth: readonly { readonly sequenceLength: number; readonly attention: Flops; readonly total: Flops }[];
  /** a whole training of `run.tokens` */
  readonly budget: Flops;
};

export type MemoryComponent = 'weights' | 'gradients' | 'optimizer_states' | 'activations' | 'temporary';

/** Peak memory of the fullest GPU. */
export type MemoryEstimate = {
  /** what `torch.cuda.max_memory_allocated` would show */
  readonly allocated: Bytes;
  /** what `torch.cuda.max_memory_reserved` would show */
  readonly reserved: Bytes;
  /** what nvidia-smi would show: the budget is held against it */
  readonly device: Bytes;
  /** of the accelerator, as usable; null where unknown */
  readonly capacity: Bytes | null;
  readonly components: Readonly<Record<MemoryComponent, Bytes>>;
  /** what the components are made of, at the peak */
  readonly parts: Ledger<Bytes>;
  /** the phase of the step in which it peaks, and the pipeline stage (0-based) */
  readonly phase: 'forward' | 'loss' | 'backward' | 'optimizer' | 'rollout';
  readonly stage: number;
  /** where other models share the GPU: what nvidia-smi would show in the update and while an engine generates, and what each holds */
  readonly roles?: {
    readonly update: Bytes;
    readonly rollout: Bytes | null;
    readonly held: Readonly<Record<string, Bytes>>;
  };
  /** relative error that the comparison with measurements supports for this kind of run, e.g. 0.03 */
  readonly band: number;
  readonly basis: string;
  /** changes of the run that would lower the peak, with what they would save */
  readonly savings: readonly { readonly change: string; readonly saves: Bytes }[];
};

export type TimePart =
  | 'matrix_products'
  | 'attention'
  | 'memory_bound'
  | 'loss'
  | 'recompute'
  | 'exposed_tensor'
  | 'exposed_context'
  | 'exposed_expert'
  | 'exposed_pipeline'
  | 'exposed_data'
  | 'bubble'
  | 'optimizer'
  | 'host'
  | 'jitter';

export type ThroughputEstimate = {
  /** causal convention against the dense peak of the compute precision; null where the peak is unknown */
  readonly mfu: number | null;
  readonly hfu: number | null;
  /** the band around `mfu` */
  readonly range: readonly [number, number] | null;
  readonly tokensPerSecondPerGpu: number | null;
  readonly stepTime: Seconds | null;
  readonly parts: Readonly<Record<TimePart, Seconds>>;
  /** half width of the band as a ratio, and what it rests on */
  readonly band: number;
  readonly basis: string;
  /** one sentence: the largest loss, and what would reduce it */
  readonly limit: string;
  /** a training of `run.tokens` */
  readonly training: {
    readonly time: Seconds;
    readonly gpuHours: number;
    readonly energyKilowattHours: number | null;
    readonly costUsd: number | null;
    readonly pricePerGpuHour: number | null;
    readonly priceDate: string | null;
  } | null;
};

export type InferenceEstimate = {
  /** for each token, over all layers, 16-bit */
  readonly cachePerToken: Bytes;
  /** one sequence of the run's length: windows and states counted as they are kept */
  readonly cachePerSequence: Bytes;
  readonly weights: Bytes;
  /** sequences of the run's length that fit on the run's tensor-parallel group beside the weights; null where unknown */
  readonly largestBatch: number | null;
};
