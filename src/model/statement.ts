/** What files say of a training job, before anything is decided. Plain data: `read/` makes it, `read/compose.ts` joins it. */

/** Where something is said. */
export type Place = { readonly file: string; readonly key: string; readonly line?: number };

/** Who says a value: the file itself, one that it includes, the framework by its default, or a published model. */
export type Teller = 'file' | 'include' | 'framework' | 'catalogue';

/** A value with who says it; or open: the key stands there and gives no number (`auto`, -1, an environment variable). */
export type Stated =
  | {
      readonly kind: 'value';
      readonly value: unknown;
      readonly by: Teller;
      readonly at?: Place;
      readonly reason?: string;
    }
  | { readonly kind: 'open'; readonly reason: string; readonly at: Place };

/** Fields of a run description, dotted where they are nested. */
export type RunFieldName =
  | 'accelerator'
  | 'gpus'
  | 'sequence_length'
  | 'micro_batch_size'
  | 'global_batch_size'
  | 'precision'
  | 'optimizer'
  | 'framework'
  | 'sharding'
  | 'recompute'
  | 'flash_attention'
  | 'fused_cross_entropy'
  | 'compile'
  | 'parallelism.tensor'
  | 'parallelism.pipeline'
  | 'parallelism.virtual_pipeline'
  | 'parallelism.context'
  | 'parallelism.expert'
  | 'parallelism.expert_tensor'
  | 'parallelism.sequence_parallel'
  | 'weights_dtype'
  | 'gradients_dtype'
  | 'optimizer_dtype'
  | 'master_weights'
  | 'gpus_per_node'
  | 'capacity_factor'
  | 'lora.rank'
  | 'lora.targets'
  | 'lora.base_bits'
  | 'freeze'
  | 'tokens'
  | 'recompute_modules'
  | 'recompute_method'
  | 'recompute_layers'
  | 'pipeline_schedule'
  | 'layers_per_stage'
  | 'context_parallel_style'
  | 'offload'
  | 'loss_chunks'
  | 'cuda_graphs'
  | 'reshard_after_forward'
  | 'shard_group'
  | 'expandable_segments'
  | 'attention_kernel'
  | 'overlap_tensor_parallel'
  | 'dropout'
  | 'mtp'
  | 'sequences_per_sample'
  | 'colocated'
  | 'rollout';

/**
 * Counts that files state in place of a field, which `setup/settle.ts` solves for it: GPUs = tensor x pipeline x context x
 * data parallel; global batch = micro batch x accumulation x data parallel.
 */
export type RelationName =
  | 'nodes'
  /** replicas of the model with other data */
  | 'data_parallel'
  /** of these, copies of a sharded group (HSDP) and members of one */
  | 'data_parallel_replicate'
  | 'data_parallel_shard'
  /** micro-batches of one replica for each optimizer step */
  | 'gradient_accumulation'
  /** the same, of all replicas together (nanoGPT) */
  | 'gradient_accumulation_in_all'
  /** sequences of one replica for each optimizer step */
  | 'batch_per_replica'
  /** tokens for each optimizer step */
  | 'tokens_per_step'
  /** sequences for each GPU and forward pass, where a replica is many GPUs (MaxText) */
  | 'batch_per_gpu'
  /** layers of one virtual pipeline stage */
  | 'layers_per_virtual_stage'
  /** optimizer steps of the whole training, and sequences of it */
  | 'train_steps'
  | 'train_sequences';

export type StatedRun = { readonly [Name in RunFieldName | RelationName]?: Stated };

/** An object of keys and values as a parser gives it. */
export type Keys = Readonly<Record<string, unknown>>;

/** How a file calls what families ask for by its canonical key: dotted canonical path to the file's own word and line. */
export type Names = ReadonlyMap<string, { readonly key: string; readonly line?: number }>;

/**
 * An architecture: described by its sizes under the keys of Hugging Face's `config.json` (or of our own `decoder`, see
 * `families/decoder.ts`), or named, with the keys that the file changes.
 */
export type ModelStatement =
  | { readonly kind: 'described'; readonly config: Keys; readonly names: Names }
  | {
      readonly kind: 'named';
      /** an id of the hub, a preset (`torchtitan:llama3/8B`), or a path in the repository */
      readonly name: string;
      readonly at: Place;
      readonly changes?: { readonly config: Keys; readonly names: Names };
    };

/** A file that another names. `base`: keys that this file's own win over; `run`: more of the run; `model`: the architecture. */
export type Reference = {
  readonly role: 'base' | 'run' | 'model';
  /** from the root of the repository */
  readonly path: string;
  readonly at: Place;
  /** A job without it cannot be read; else it is passed over where it does not exist. */
  readonly required: boolean;
};

/** What one file states. */
export type Statement = {
  readonly format: string;
  readonly model?: ModelStatement;
  readonly run: StatedRun;
  readonly refers: readonly Reference[];
  readonly assumptions: readonly { readonly field: string; readonly value: string; readonly reason: string }[];
  readonly problems: readonly {
    readonly severity: 'error' | 'warning' | 'notice';
    readonly message: string;
    readonly line?: number;
    readonly key?: string;
  }[];
};
