import type { Accelerator } from '../facts/accelerators.ts';
import type { Place } from './place.ts';

/**
 * How a model is trained: everything that memory and time need besides the architecture. Field names are those of the run
 * description (`run.yml`) in camel case; `setup/description.ts` translates.
 */
export type TrainingRun = {
  /** An id of `facts/accelerators.ts`. */
  readonly accelerator: string;
  readonly gpus: number;
  /** tokens */
  readonly sequenceLength: number;
  /** sequences for each model replica and forward pass */
  readonly microBatchSize: number;
  /** sequences for each optimizer step */
  readonly globalBatchSize: number;
  /** dtype of the matrix products */
  readonly precision: Precision;
  /** what one scale of fp8 products is for; absent: a tensor */
  readonly fp8Recipe?: Fp8Recipe;
  readonly optimizer: OptimizerName;
  readonly framework: Framework;
  /** as its package has it: `4.46`; absent: the version that the facts were checked with */
  readonly frameworkVersion?: string;
  readonly sharding: ShardingStage;
  readonly recompute: Recompute;
  readonly flashAttention: boolean;
  readonly fusedCrossEntropy: boolean;
  /** torch.compile */
  readonly compile: boolean;
  /** the loss is inside of what torch.compile compiles; absent: as the framework has it */
  readonly compileLoss?: boolean;
  /** how PyTorch's optimizer steps: in one kernel, or list by list with temporaries; absent: as the framework has it */
  readonly optimizerImplementation?: OptimizerImplementation;
  readonly parallelism: Parallelism;
  readonly weightsDtype?: Dtype;
  readonly gradientsDtype?: Dtype;
  readonly optimizerDtype?: Dtype;
  readonly masterWeights?: boolean;
  readonly gpusPerNode?: number;
  /** gigabits per second, one direction */
  readonly interNodeGbpsPerGpu?: number;
  readonly powerCapWatts?: number;
  /** US dollars for one GPU and hour, instead of the table's indicative price */
  readonly pricePerGpuHour?: number;
  /** load of the fullest expert rank over the mean */
  readonly expertImbalance: number;
  /** rows for each expert are padded or dropped to this multiple of the mean; absent: dropless */
  readonly capacityFactor?: number;
  readonly lora?: Lora;
  /** parts of a multimodal model that are not trained: they keep no gradients and no optimizer states */
  readonly freeze?: readonly Freezable[];
  /** images that an encoder reads of each sequence (tiles, where a processor cuts images into them), and pixels on a side of each */
  readonly imagesPerSequence?: number;
  readonly imageSize?: number;
  /** seconds of sound that an encoder reads of each sequence */
  readonly audioSecondsPerSequence?: number;
  /** tokens of the whole training */
  readonly tokens: number;
  /** modules that selective recompute drops, in Megatron's names */
  readonly recomputeModules?: readonly string[];
  /** full recompute: how many layers are one unit (uniform) or are recomputed (block), or every n-th layer (`every`) */
  readonly recomputeMethod?: (typeof recomputeMethods)[number];
  readonly recomputeLayers?: number;
  readonly pipelineSchedule?: (typeof pipelineSchedules)[number];
  /** layers of each pipeline stage, first to last */
  readonly layersPerStage?: readonly number[];
  readonly contextParallelStyle?: (typeof contextParallelStyles)[number];
  /** what is kept in CPU memory */
  readonly offload?: (typeof offloads)[number];
  /** chunks that the loss is computed in; 1 is whole */
  readonly lossChunks?: number;
  readonly cudaGraphs?: boolean;
  /** FSDP: parameters are gathered again in the backward pass */
  readonly reshardAfterForward?: boolean;
  /** GPUs that hold one full set of shards (HSDP); default all of data parallelism */
  readonly shardGroup?: number;
  readonly expandableSegments?: boolean;
  /** software generation of the kernels, where it is not the current one */
  readonly attentionKernel?: (typeof attentionKernels)[number];
  readonly overlapTensorParallel?: boolean;
  /** products of fp32 run in tf32 */
  readonly tf32?: boolean;
  readonly dropout?: boolean;
  /** false: the multi-token-prediction layers of the config are not trained */
  readonly mtp?: boolean;
  /** sequences that one sample of the batch holds: 2 for pairs of answers; absent: 1 */
  readonly sequencesPerSample?: number;
  /** models that share the GPUs with the one that is trained: preference and reinforcement learning */
  readonly colocated?: { readonly [role in ColocatedRole]?: Colocated | undefined };
  /** an inference engine that generates on the same GPUs between the updates */
  readonly rollout?: Rollout;
  /** measured over projected throughput of a real run on this hardware, by which projections are scaled */
  readonly calibration?: number;
  /** tokens per second of all GPUs together that this very run reached: it gives the calibration, for changes of it too */
  readonly measuredTokensPerSecond?: number;
  /** measured over projected memory of a GPU (nvidia-smi's), by which that projection is scaled */
  readonly memoryCalibration?: number;
  /** bytes of the fullest GPU that nvidia-smi showed of this very run: it gives the memory's calibration, for changes of it too */
  readonly measuredDeviceBytes?: number;
};

/** What an encoder is taken to read where the run does not say: images, pixels on a side of one, seconds of sound. */
export const readPerSequence = { images: 1, imageSize: 768, seconds: 30 } as const;

/** Sequences of one micro-batch: those of all its samples. */
export function sequencesAtOnce({ microBatchSize, sequencesPerSample = 1 }: TrainingRun): number {
  return microBatchSize * sequencesPerSample;
}

/** Tokens that the model reads for one optimizer step. */
export function tokensOfStep({ globalBatchSize, sequencesPerSample = 1, sequenceLength }: TrainingRun): number {
  return globalBatchSize * sequencesPerSample * sequenceLength;
}

/** Every choice that a field has, for the schema of run descriptions too. */
export const recomputeMethods = ['uniform', 'block', 'every'] as const;
export const pipelineSchedules = ['gpipe', '1f1b', 'interleaved', 'zero_bubble', 'dualpipe'] as const;
export const contextParallelStyles = ['ring', 'all_to_all'] as const;
export const offloads = ['none', 'optimizer', 'parameters', 'activations'] as const;
export const colocatedRoles = ['reference', 'critic', 'reward_model', 'teacher'] as const;
export type ColocatedRole = (typeof colocatedRoles)[number];
export const holdings = ['weights', 'states'] as const;
export const besides = ['states', 'weights', 'nothing'] as const;
/** `sdpa`: PyTorch's scaled_dot_product_attention chooses one of them for each call. */
export const attentionKernels = ['unfused', 'flash1', 'flash2', 'flash3', 'cudnn', 'sdpa'] as const;
export const precisionNames = ['fp32', 'fp16', 'bf16', 'fp8', 'mxfp8', 'fp4'] as const;
export type Precision = (typeof precisionNames)[number];
export const fp8Recipes = ['tensorwise', 'rowwise', 'blockwise'] as const;
export type Fp8Recipe = (typeof fp8Recipes)[number];
export const dtypeNames = ['fp32', 'fp16', 'bf16', 'fp8', 'int8', 'fp4', 'nf4'] as const;
export type Dtype = (typeof dtypeNames)[number];
export const optimizerNames = ['adamw', 'adam', 'adamw_8bit', 'adafactor', 'lion', 'sgd', 'muon'] as const;
export type OptimizerName = (typeof optimizerNames)[number];
export const optimizerImplementations = ['fused', 'foreach'] as const;
export type OptimizerImplementation = (typeof optimizerImplementations)[number];
export const frameworkNames = ['megatron', 'fsdp', 'deepspeed', 'transformers'] as const;
export type Framework = (typeof frameworkNames)[number];
/** ZeRO 0, 1, 2, 3. */
export const shardingStages = ['none', 'optimizer', 'gradients', 'full'] as const;
export type ShardingStage = (typeof shardingStages)[number];
export const recomputeModes = ['none', 'selective', 'full'] as const;
export type Recompute = (typeof recomputeModes)[number];

export type Parallelism = {
  readonly tensor: number;
  readonly pipeline: number;
  readonly virtualPipeline: number;
  readonly context: number;
  readonly expert: number;
  readonly expertTensor: number;
  readonly sequenceParallel: boolean;
};

/** Encoders by what they read, what joins them to the text (where it is counted apart), or all that stands around the language model. */
export type Freezable = 'vision' | 'audio' | 'projector' | 'towers';

/** What a model of another role keeps on each GPU, laid out as the trained model is. */
export type Colocated = {
  /** weights alone, or weights and optimizer states, as of a model that has its own updates */
  readonly holds: (typeof holdings)[number];
  /** of the weights; absent: that of the trained model */
  readonly dtype?: Dtype | undefined;
  /** elements; absent: as many as the trained model has */
  readonly parameters?: number | undefined;
};

/** An inference engine beside the trained model. */
export type Rollout = {
  /** of each GPU's memory, from 0 to 1, while it generates */
  readonly share: number;
  /** what of the trained model stays on the GPU meanwhile */
  readonly beside: (typeof besides)[number];
  /** it gives its memory back for the update; absent: yes */
  readonly sleeps?: boolean | undefined;
};

export type Lora = {
  readonly rank: number;
  /** module names as PEFT has them: `q_proj`, `down_proj`, `all-linear` */
  readonly targets: readonly string[];
  /** bits of a frozen base weight: 16, 8 or 4 */
  readonly baseBits: number;
};

/** A part of a TrainingRun, as one source states it. */
export type RunFields = { readonly [Field in keyof TrainingRun]?: TrainingRun[Field] | undefined } extends infer Fields
  ? Omit<Fields, 'parallelism'> & {
      readonly parallelism?: { readonly [Degree in keyof Parallelism]?: Parallelism[Degree] | undefined } | undefined;
    }
  : never;

/** Where a value of the run came from. */
export type Origin = 'input' | 'run' | 'config' | 'policy' | 'framework' | 'default';

/**
 * A run with the row of its accelerator (undefined where the table has none of that id) and the origin of each of its fields
 * (nested fields as `parallelism.tensor`).
 */
export type SettledRun = {
  readonly run: TrainingRun;
  readonly machine: Accelerator | undefined;
  readonly origins: Readonly<Record<string, Origin>>;
};

/**
 * Counts that files state in place of a field, which `setup/settle.ts` solves for it: GPUs = tensor x pipeline x context x
 * data parallel; global batch = micro batch x accumulation x data parallel.
 */
export type Relations = {
  readonly nodes?: number;
  /** replicas of the model with other data */
  readonly dataParallel?: number;
  /** of these, copies of a sharded group (HSDP) and members of one */
  readonly dataParallelReplicate?: number;
  readonly dataParallelShard?: number;
  /** micro-batches of one replica for each optimizer step */
  readonly gradientAccumulation?: number;
  /** the same, of all replicas together (nanoGPT) */
  readonly gradientAccumulationInAll?: number;
  /** sequences that an optimizer step has at least, where micro-batches are accumulated up to it */
  readonly accumulatedTo?: number;
  /** sequences of one replica for each optimizer step */
  readonly batchPerReplica?: number;
  /** tokens for each optimizer step */
  readonly tokensPerStep?: number;
  /** sequences for each GPU and forward pass, where a replica is many GPUs (MaxText) */
  readonly batchPerGpu?: number;
  /** layers of one virtual pipeline stage */
  readonly layersPerVirtualStage?: number;
  /** layers of the first and of the last pipeline stage, where they differ from the rest */
  readonly firstStageLayers?: number;
  readonly lastStageLayers?: number;
  /** layers that the embedding and the loss count as where stages are made even */
  readonly embeddingAsLayers?: number;
  readonly lossAsLayers?: number;
  /** optimizer steps of the whole training, and sequences of it */
  readonly trainSteps?: number;
  readonly trainSequences?: number;
};

/** What one source states of a run. */
export type RunSource = {
  readonly origin: Origin;
  readonly fields: RunFields;
  /** The fields describe one machine and hold together or not at all. */
  readonly machine?: true;
  /** Counts from which fields follow. */
  readonly relations?: Relations;
  /** Why the framework takes what it takes, by field, where it is a default that no file states. */
  readonly reasons?: Readonly<Record<string, string>>;
  /** Where fields are stated, as far as that is known. */
  readonly places?: Readonly<Record<string, Place>>;
  /** Fields whose key stands in the file without a value, and what stands there. */
  readonly open?: Readonly<Record<string, string>>;
};
