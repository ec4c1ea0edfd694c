import { z } from 'zod';
import { acceleratorIds } from '../facts/accelerators.ts';
import { written } from '../model/names.ts';
import type { Problem } from '../model/reading.ts';
import {
  attentionKernels,
  besides,
  contextParallelStyles,
  dtypeNames,
  fp8Recipes,
  frameworkNames,
  holdings,
  offloads,
  optimizerImplementations,
  optimizerNames,
  pipelineSchedules,
  precisionNames,
  type RunFields,
  recomputeMethods,
  recomputeModes,
  shardingStages,
} from '../model/run.ts';
import { lazily } from '../remembering.ts';
import { explain } from '../text/explain.ts';
import { parse, syntaxOf } from '../text/syntax.ts';
import { gibibytes, parseCount } from '../units.ts';

const count = lazily(() => z.int().min(1).max(1e9));
const dtype = lazily(() => z.enum(dtypeNames));
/** Measured over projected. */
const ratio = lazily(() => z.number().positive().max(100));

/** A list of names, also as some YAML writers put it: a mapping from 0, 1, 2 to names. */
const word = lazily(() => z.string().max(100));
const list = lazily(() =>
  z
    .union([z.array(word()).max(100), z.record(z.string().regex(/^\d{1,3}$/), word())])
    .transform((names): string[] => (Array.isArray(names) ? names : Object.values(names))),
);

/** A model of another role on the same GPUs. */
const colocated = lazily(() =>
  z
    .strictObject({
      holds: z
        .enum(holdings)
        .default('weights')
        .describe('weights alone, or with optimizer states, as of a model that has its own updates'),
      dtype: dtype().optional().describe('dtype of its weights'),
      parameters: z
        .number()
        .positive()
        .max(1e15)
        .optional()
        .describe('its size, where it is not that of the trained model'),
    })
    .optional(),
);

/** A run description (`run.yml`, the `run:` block of the policy file). Field by field as users write it. */
export const runSchema = lazily(() =>
  z.strictObject({
    accelerator: z
      .enum(acceleratorIds as [string, ...string[]])
      .optional()
      .describe('an id of `model-cost list accelerators`'),
    gpus: count().optional().describe('GPUs of the whole run'),
    sequence_length: count().optional().describe('length of the sequences that are trained on'),
    micro_batch_size: count().optional().describe('sequences for each model replica and forward pass'),
    global_batch_size: count().optional().describe('sequences for each optimizer step'),
    precision: z.enum(precisionNames).optional().describe('dtype of the matrix products'),
    fp8_recipe: z
      .enum(fp8Recipes)
      .optional()
      .describe('with `precision: fp8`: one scale for a tensor (delayed or current), a row, or a block'),
    optimizer: z.enum(optimizerNames).optional().describe('which states each weight has'),
    framework: z
      .enum(frameworkNames)
      .optional()
      .describe('whose buffers and defaults hold; `transformers` is the Trainer'),
    framework_version: z
      .string('must be text like "4.46": put it in quotes')
      .regex(/^\d{1,4}(\.\d{1,5}){1,3}$/, 'must be a version like "4.46"')
      .optional()
      .describe('version of the framework’s package, in quotes, where its defaults changed'),
    sharding: z.enum(shardingStages).optional().describe('ZeRO 0, 1, 2, 3'),
    recompute: z.enum(recomputeModes).optional().describe('activations that are computed again in the backward pass'),
    flash_attention: z.boolean().optional().describe('fused attention: scores are never written to memory'),
    fused_cross_entropy: z
      .boolean()
      .optional()
      .describe('the loss is one kernel that needs no second copy of the logits'),
    compile: z.boolean().optional().describe('torch.compile'),
    compile_loss: z.boolean().optional().describe('the loss is compiled too'),
    optimizer_implementation: z
      .enum(optimizerImplementations)
      .optional()
      .describe("PyTorch's: one kernel, or list by list with temporaries as large as the weights"),
    parallelism: z
      .strictObject({
        tensor: count().optional().describe('tensor parallelism: GPUs that divide each matrix'),
        pipeline: count().optional().describe('pipeline parallelism: stages of layers'),
        virtual_pipeline: count().optional().describe('stages that each pipeline rank holds, interleaved'),
        context: count().optional().describe('context parallelism: GPUs that divide each sequence'),
        expert: count().optional().describe('expert parallelism: GPUs that divide the experts'),
        expert_tensor: count().optional().describe('tensor parallelism within experts'),
        sequence_parallel: z
          .boolean()
          .optional()
          .describe('norms and residuals are divided over the tensor-parallel GPUs'),
      })
      .optional(),
    weights_dtype: dtype().optional().describe('dtype that weights are kept in'),
    gradients_dtype: dtype().optional().describe('dtype that gradients are accumulated in'),
    optimizer_dtype: dtype().optional().describe('dtype of the optimizer states'),
    master_weights: z.boolean().optional().describe('the optimizer keeps an fp32 copy of the weights'),
    gpus_per_node: count().optional().describe('GPUs that share a node'),
    inter_node_gbps_per_gpu: z
      .number()
      .positive()
      .max(1e6)
      .optional()
      .describe('network of one GPU beyond its node, in one direction'),
    price_per_gpu_hour: z.number().nonnegative().max(1e4).optional().describe('price of one GPU for an hour'),
    power_cap_watts: z.number().positive().max(1e5).optional().describe('what each GPU is capped at'),
    expert_tensor: count().optional().describe('another place for `parallelism.expert_tensor`'),
    expert_imbalance: z.number().min(1).max(1000).optional().describe('load of the fullest expert rank over the mean'),
    capacity_factor: z
      .number()
      .positive()
      .max(1000)
      .optional()
      .describe('rows of each expert over the mean, to which they are padded or dropped'),
    lora: z
      .strictObject({
        rank: count().describe('rank of the adapters; the base model is frozen'),
        targets: list()
          .default(['q_proj', 'v_proj'])
          .describe('modules that have an adapter, by the names that PEFT knows; `all-linear` for all'),
        base_bits: z
          .union([z.literal(16), z.literal(8), z.literal(4)])
          .default(16)
          .describe(
            '4 or 8 where the frozen base is quantised (4 for QLoRA); 16: it has `weights_dtype`, or fp32 in a run in fp32, else 16 bits',
          ),
      })
      .optional(),
    freeze: z
      .array(z.enum(['vision', 'audio', 'projector', 'towers']))
      .max(4)
      .optional()
      .describe('encoders, projectors, or both (`towers`) of a multimodal model that are not trained'),
    images_per_sequence: z
      .number()
      .nonnegative()
      .max(10_000)
      .optional()
      .describe('images that an encoder reads of each sequence; of a processor that cuts them into tiles, tiles'),
    image_size: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('pixels on a side of an image, for encoders that take images of any size'),
    audio_seconds_per_sequence: z
      .number()
      .nonnegative()
      .max(1e6)
      .optional()
      .describe('seconds of sound that an encoder reads of each sequence'),
    tokens: z
      .union([count().or(z.number().positive().max(1e18)), z.string().max(30)])
      .optional()
      .describe('tokens of the whole training, `1T` understood'),
    recompute_modules: list().optional().describe('modules that `recompute: selective` drops, by Megatron’s names'),
    recompute_method: z
      .enum(recomputeMethods)
      .optional()
      .describe(
        'with `recompute: full`: units of so many layers, the first so many of each stage, or every n-th layer',
      ),
    recompute_layers: count().optional().describe('how many layers `recompute_method` means'),
    pipeline_schedule: z.enum(pipelineSchedules).optional().describe('order of micro-batches in the pipeline'),
    layers_per_stage: z
      .array(z.int().min(0).max(10_000))
      .max(10_000)
      .optional()
      .describe('layers of each pipeline stage, first to last'),
    context_parallel_style: z
      .enum(contextParallelStyles)
      .optional()
      .describe('how context-parallel GPUs exchange keys and values'),
    offload: z
      .enum(offloads)
      .optional()
      .describe('what is kept in CPU memory; `parameters` includes the optimizer states'),
    loss_chunks: count().optional().describe('pieces of the sequence for which the loss is computed one after another'),
    cuda_graphs: z.boolean().optional().describe('kernels are started by CUDA graphs'),
    reshard_after_forward: z.boolean().optional().describe('FSDP: weights are gathered again in the backward pass'),
    shard_group: count().optional().describe('GPUs that hold one full set of shards (HSDP)'),
    expandable_segments: z.boolean().optional().describe('PyTorch’s allocator with `expandable_segments:True`'),
    attention_kernel: z
      .enum(attentionKernels)
      .optional()
      .describe('which attention kernel runs (`sdpa`: PyTorch chooses it for each call); it decides time, not memory'),
    overlap_tensor_parallel: z
      .boolean()
      .optional()
      .describe('tensor-parallel collectives overlap with matrix products'),
    tf32: z.boolean().optional().describe('products of fp32 run in tf32, on the matrix units'),
    dropout: z.boolean().optional().describe('dropout is on, so that its masks are kept'),
    mtp: z.boolean().optional().describe("false leaves out the config's multi-token-prediction layers"),
    sequences_per_sample: count()
      .optional()
      .describe('sequences that one sample of the batch holds: 2 for pairs of answers (DPO, ORPO, reward models)'),
    colocated: z
      .strictObject({
        reference: colocated().describe('a frozen copy of the trained model (DPO, PPO, GRPO)'),
        critic: colocated().describe('a value model'),
        reward_model: colocated().describe('a model that scores answers'),
        teacher: colocated().describe('a model that is distilled from'),
      })
      .optional()
      .describe('models on the same GPUs, laid out as the trained one is'),
    rollout: z
      .strictObject({
        share: z.number().min(0).max(1).describe('of each GPU’s memory while it generates'),
        beside: z.enum(besides).default('states').describe('what of the trained model stays on the GPU meanwhile'),
        sleeps: z.boolean().optional().describe('false: it keeps its memory during the update too'),
      })
      .optional()
      .describe('an inference engine on the same GPUs'),
    calibration: z
      .union([
        ratio(),
        z
          .strictObject({
            tokens_per_second: z
              .number()
              .positive()
              .max(1e12)
              .optional()
              .describe('of all GPUs together, in this very run'),
            device_gib: z
              .number()
              .positive()
              .max(1e6)
              .optional()
              .describe('GiB that nvidia-smi showed of the fullest GPU, in this very run'),
            throughput: ratio().optional().describe('measured over projected tokens per second'),
            device: ratio().optional().describe('measured over projected memory of a GPU'),
          })
          .refine((stated) => Object.keys(stated).length > 0, 'must state tokens_per_second or device_gib'),
      ])
      .optional()
      .describe(
        'what this run reached, as `{ tokens_per_second: N, device_gib: N }`, or a ratio of measured over projected tokens per second',
      ),
  }),
);

export type RunDescription = z.infer<ReturnType<typeof runSchema>>;

export type RunReading =
  | { readonly kind: 'read'; readonly fields: RunFields }
  | { readonly kind: 'wrong'; readonly problems: readonly Problem[] };

/** A run description file to the fields it states. Unknown keys are errors that name the nearest known key. */
export function readRun(bytes: Uint8Array, name: string): RunReading {
  const parsed = parse(bytes, syntaxOf(name) ?? 'yaml');
  if (parsed.kind === 'broken')
    return { kind: 'wrong', problems: [{ ...parsed.problem, message: `${name}: ${parsed.problem.message}` }] };
  return runOf(parsed.value, name, (key) => parsed.lines.get(key));
}

/** The same for a value that was parsed elsewhere (the policy's `run:`). */
export function runOf(
  value: unknown,
  name: string,
  line: (key: string) => number | undefined = () => undefined,
): RunReading {
  const checked = runSchema().safeParse(value);
  if (checked.success) return fieldsOf(checked.data, name);
  return { kind: 'wrong', problems: explain(runSchema(), value, checked.error, { name, line }) };
}

function calibrationOf(stated: NonNullable<RunDescription['calibration']>): RunFields {
  if (typeof stated === 'number') return { calibration: stated };
  const { tokens_per_second, device_gib, throughput, device } = stated;
  return {
    ...(throughput === undefined ? {} : { calibration: throughput }),
    ...(tokens_per_second === undefined ? {} : { measuredTokensPerSecond: tokens_per_second }),
    ...(device === undefined ? {} : { memoryCalibration: device }),
    ...(device_gib === undefined ? {} : { measuredDeviceBytes: gibibytes(device_gib) }),
  };
}

const shorten = (text: string) => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

function fieldsOf(run: RunDescription, name: string): RunReading {
  const { tokens, parallelism, expert_tensor, lora, calibration, ...rest } = run;
  const budget = typeof tokens === 'string' ? parseCount(tokens) : tokens;
  if (tokens !== undefined && (budget === undefined || budget <= 0)) {
    return {
      kind: 'wrong',
      problems: [
        {
          severity: 'error',
          message: `${name}: tokens is "${shorten(String(tokens))}", but must be a count like 300B or 1T.`,
          key: 'tokens',
        },
      ],
    };
  }
  const flat: RunFields = camel(rest);
  const degrees: NonNullable<RunFields['parallelism']> = {
    ...camel(parallelism ?? {}),
    ...(expert_tensor === undefined ? {} : { expertTensor: expert_tensor }),
  };
  return {
    kind: 'read',
    fields: {
      ...flat,
      ...(budget === undefined ? {} : { tokens: budget }),
      ...(calibration === undefined ? {} : calibrationOf(calibration)),
      ...(Object.keys(degrees).length === 0 ? {} : { parallelism: degrees }),
      ...(lora === undefined ? {} : { lora: { rank: lora.rank, targets: lora.targets, baseBits: lora.base_bits } }),
    },
  };
}

/** `micro_batch_size` as code has it: `microBatchSize`. */
export type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;
export type Camelled<Fields> = { [Name in keyof Fields as Name extends string ? Camel<Name> : never]: Fields[Name] };

const camel = <Fields extends object>(fields: Fields): Camelled<Fields> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  ) as Camelled<Fields>;

/** The run as users write it, for the JSON report. */
export function runAsWritten(run: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(run).map(([key, value]) => [
      written(key),
      typeof value === 'object' && value !== null && !Array.isArray(value) ? runAsWritten(value) : value,
    ]),
  );
}

/** Each field of a run by its name, nested ones as `parallelism.tensor`, with its value as text. */
export function runAsText(run: object): ReadonlyMap<string, string> {
  return new Map(leaves('', runAsWritten(run)).map(([key, value]) => [key, valueAsText(value)]));
}

const leaves = (prefix: string, fields: object): readonly (readonly [string, unknown])[] =>
  Object.entries(fields).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leaves(`${prefix}${key}.`, value)
      : [[`${prefix}${key}`, value] as const],
  );

const valueAsText = (value: unknown): string =>
  typeof value === 'number'
    ? String(Number(value.toPrecision(6)))
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value);
