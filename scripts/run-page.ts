// Writes docs/run.md: every field of a run description, from its schema.
//   node scripts/node24.mjs scripts/run-page.ts
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { colocatedRoles } from '../src/model/run.ts';
import { runSchema } from '../src/setup/description.ts';

type Field = { readonly unit?: string; readonly default: string };

const framework = 'the framework’s own';

/** What the schema does not hold: the unit, and what holds where nobody states the field. */
export const facts: Readonly<Record<string, Field>> = {
  accelerator: { default: '`h100-sxm-80gb`' },
  gpus: { default: 'what nodes or parallelism in a training file make, else 8, or more where one replica needs more' },
  sequence_length: { unit: 'tokens', default: '4,096, or the longest that the config allows if that is shorter' },
  micro_batch_size: { unit: 'sequences', default: '1' },
  global_batch_size: { unit: 'sequences', default: 'one micro-batch for each replica; four for each pipeline stage' },
  precision: { default: '`bf16`' },
  fp8_recipe: { default: '`tensorwise`' },
  optimizer: { default: '`adamw`' },
  framework: { default: '`megatron`; `fsdp` where nobody states framework, sharding, recompute or parallelism' },
  framework_version: { default: 'the version that facts were checked with, Transformers 5.18 for `transformers`' },
  sharding: { default: '`full` with `fsdp`, `none` with `transformers`, else `optimizer`' },
  recompute: { default: '`none`; `selective` where nobody states framework, sharding, recompute or parallelism' },
  flash_attention: { default: '`true`' },
  fused_cross_entropy: { default: '`false`' },
  compile: { default: '`false`' },
  compile_loss: { default: 'what `compile` says; `false` under the Trainer' },
  optimizer_implementation: { default: framework },
  'parallelism.tensor': { unit: 'GPUs', default: '1' },
  'parallelism.pipeline': { unit: 'stages', default: '1' },
  'parallelism.virtual_pipeline': { unit: 'stages', default: '1' },
  'parallelism.context': { unit: 'GPUs', default: '1' },
  'parallelism.expert': { unit: 'GPUs', default: '1' },
  'parallelism.expert_tensor': { unit: 'GPUs', default: '1' },
  'parallelism.sequence_parallel': { default: '`true` where `tensor` is above 1' },
  weights_dtype: { default: framework },
  gradients_dtype: { default: framework },
  optimizer_dtype: { default: '`fp32`, or the dtype of the weights where there is no master copy' },
  master_weights: { default: framework },
  gpus_per_node: { unit: 'GPUs', default: '8' },
  inter_node_gbps_per_gpu: { unit: 'gigabits per second', default: 'the accelerator’s, as `list accelerators` has it' },
  price_per_gpu_hour: { unit: 'US dollars', default: 'the table’s indicative price' },
  power_cap_watts: { unit: 'watts', default: 'the accelerator’s own power' },
  expert_tensor: { unit: 'GPUs', default: '1' },
  expert_imbalance: { unit: 'ratio', default: '1' },
  capacity_factor: { unit: 'ratio', default: 'no token is dropped or padded' },
  'lora.rank': { default: 'must be stated with `lora`' },
  'lora.targets': { default: '`[q_proj, v_proj]`' },
  'lora.base_bits': { unit: 'bits', default: '16' },
  freeze: { default: 'everything is trained' },
  images_per_sequence: { unit: 'images', default: '1 where the model has an encoder for them' },
  image_size: { unit: 'pixels', default: '768 where the encoder takes images of any size' },
  audio_seconds_per_sequence: { unit: 'seconds', default: '30 where the model has an encoder for sound' },
  tokens: { unit: 'tokens', default: 'what the training file’s steps make, else 1T to compare by' },
  recompute_modules: { default: '`[core_attn]`, with `recompute: selective`' },
  recompute_method: { default: '`uniform`' },
  recompute_layers: { unit: 'layers', default: '1 with `uniform` and `every`, all with `block`' },
  pipeline_schedule: { default: '`interleaved` with virtual stages, else `1f1b`' },
  layers_per_stage: { unit: 'layers', default: 'divided evenly' },
  context_parallel_style: { default: '`ring`' },
  offload: { default: '`none`' },
  loss_chunks: { unit: 'chunks', default: '1' },
  cuda_graphs: { default: framework },
  reshard_after_forward: { default: '`true` with `sharding: full`' },
  shard_group: { unit: 'GPUs', default: 'all of data parallelism' },
  expandable_segments: { default: 'not known' },
  attention_kernel: { default: 'the newest that the accelerator and the framework have' },
  overlap_tensor_parallel: { default: framework },
  tf32: { default: '`true` with `megatron` and on TPUs, else `false`, as PyTorch has it' },
  dropout: { default: 'what the config says with `transformers`, else `false`' },
  mtp: { default: '`true` where the config has such layers' },
  sequences_per_sample: { unit: 'sequences', default: '1' },
  ...Object.fromEntries(
    colocatedRoles.flatMap((role) => [
      [`colocated.${role}.holds`, { default: '`weights`' }],
      [`colocated.${role}.dtype`, { default: 'that of the trained model' }],
      [`colocated.${role}.parameters`, { unit: 'parameters', default: 'those of the trained model' }],
    ]),
  ),
  'rollout.share': { unit: 'ratio', default: 'must be stated with `rollout`' },
  'rollout.beside': { default: '`states`' },
  'rollout.sleeps': { default: '`true`' },
  calibration: { default: 'not scaled' },
};

type Row = { readonly name: string; readonly description: string; readonly schema: z.core.JSONSchema.JSONSchema };

/** Every field of the schema, those of an object under their dotted names. */
export function fields(): readonly Row[] {
  const { properties = {} } = z.toJSONSchema(runSchema(), { io: 'input' });
  return Object.entries(properties).flatMap(([name, schema]) => rows(name, schema));
}

function rows(name: string, schema: z.core.JSONSchema._JSONSchema): readonly Row[] {
  if (typeof schema === 'boolean') return [];
  if (schema.properties === undefined) return [{ name, description: schema.description ?? '', schema }];
  return Object.entries(schema.properties).flatMap(([key, inner]) => rows(`${name}.${key}`, inner));
}

/** What may be written, in words. */
function written(schema: z.core.JSONSchema._JSONSchema): string {
  if (typeof schema === 'boolean') return '';
  const { enum: words, anyOf, type, items, const: only } = schema;
  if (words !== undefined) return words.length > 20 ? 'an id' : words.map((word) => `\`${word}\``).join(', ');
  if (only !== undefined) return `\`${only}\``;
  if (anyOf !== undefined) return choice(anyOf.map(written));
  if (type === 'array')
    return typeof items === 'object' && !Array.isArray(items) ? `a list of ${plural(written(items))}` : 'a list';
  return kinds.get(String(type)) ?? 'a mapping';
}

const kinds = new Map([
  ['integer', 'a whole number'],
  ['number', 'a number'],
  ['boolean', '`true`, `false`'],
  ['string', 'a text'],
]);

/** Forms without those that another includes, or that some YAML writers alone use. */
function choice(forms: readonly string[]): string {
  const list = forms.find((form) => form.startsWith('a list'));
  const number = forms.includes('a number') ? 'a whole number' : '';
  return list ?? [...new Set(forms)].filter((form) => form !== number).join(' or ');
}

const plural = (words: string): string => ({ 'a text': 'names', 'a whole number': 'whole numbers' })[words] ?? words;

const table = fields().map(({ name, description, schema }) => {
  const { unit = '', default: value = '' } = facts[name] ?? {};
  return `| \`${name}\` | ${description} | ${written(schema)} | ${unit} | ${value} |`;
});

export const runPage = `# The run description

How a model is trained: what memory and time need besides the architecture. It is a YAML, JSON or TOML file (\`--run\`, the input \`run\`, a \`run:\` that names one), or the \`run:\` block itself in the [policy](policy.md). Every field is optional. A training file states most of them by itself ([formats.md](formats.md)); who wins where several sources state a field is under [Precedence](policy.md#precedence).

A default is listed in the report as an assumption. A default that is the framework's own was read from its code. An unknown field is an error that names the nearest known one.

For completion in an editor, begin the file with

\`\`\`yaml
# yaml-language-server: $schema=https://raw.githubusercontent.com/OWNER/model-cost-gate/main/schema/run.schema.json
\`\`\`

| field | meaning | written as | unit | default |
|---|---|---|---|---|
${table.join('\n')}

This page is written by \`scripts/run-page.ts\` from the schema.
`;

if (process.argv[1] === import.meta.filename) writeFileSync(new URL('../docs/run.md', import.meta.url), runPage);
