import table from './primus.json' with { type: 'json' };

/** One file of Primus' presets: what it extends and the arguments that bear on cost. */
export type PrimusPreset = {
  readonly extends: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
};

/**
 * The presets that Primus installs (AMD-AGI/Primus fd1eeabb of 2026-08-22, `primus/configs/{models,modules}/megatron`), since teams
 * keep only the experiment's own file. `language_model` without its sizes, which every model states.
 */
export const primusPresets: {
  readonly models: Readonly<Record<string, PrimusPreset>>;
  readonly modules: Readonly<Record<string, PrimusPreset>>;
  /** Models of torchtitan by the files that name them (`primus/configs/models/torchtitan`). */
  readonly torchtitan: Readonly<Record<string, { readonly name: string; readonly flavor: string }>>;
  /** Models of MaxText likewise (`primus/configs/models/maxtext`): the name that MaxText has for one, or its sizes. */
  readonly maxtext: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
} = table;

/** Where Primus' own module for torchtitan differs from torchtitan (`primus/configs/modules/torchtitan/pre_trainer.yaml`). */
export const primusTorchtitan = {
  training: {
    local_batch_size: 8,
    global_batch_size: -1,
    seq_len: 2048,
    mixed_precision_param: 'bfloat16',
    steps: 10_000,
  },
  parallelism: { data_parallel_shard_degree: -1 },
  activation_checkpoint: { mode: 'none' },
  compile: { enable: true },
} as const;

/** Where Primus' own module for MaxText differs from MaxText (`primus/configs/modules/maxtext/pre_trainer.yaml`). */
export const primusMaxtext = {
  remat_policy: 'full',
  dtype: 'bfloat16',
  weight_dtype: 'bfloat16',
  quantization: '',
  steps: 1_000,
} as const;

export const primusVersion = 'Primus fd1eeabb';
