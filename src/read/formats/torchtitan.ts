import type { Statement } from '../../model/statement.ts';
import { textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { optimizerOf } from '../spellings.ts';
import { flagOf, type Stating, stating } from '../stating.ts';

const source = 'torchtitan before 9810191b (2026-02)';

/** torchtitan's TOML in its three generations: until 2025-02, until 2025-06, and until Python took its place in 2026-02. */
export const torchtitan: Format = {
  id: 'torchtitan',
  title: 'torchtitan TOML',
  syntaxes: ['toml'],
  signature: {
    has: ['model.name', 'training'],
    some: [[1, ['model.flavor', 'parallelism', 'job', 'training.seq_len']]],
    not: ['data', 'deployment'],
  },
  states,
};

const noLanguageModel = /^(flux|bert|vit|diffusion)/i;

function states(file: ParsedFile): Statement {
  const say = stating(file, torchtitan.id);
  const name = say.text('model.name') ?? '';
  if (noLanguageModel.test(name))
    throw say.refuse(`model.name is "${name.slice(0, 40)}", which is not a language model.`, 'model.name');
  const flavor = say.text('model.flavor');
  if (flavor === undefined)
    throw say.refuse('torchtitan takes the sizes from model.flavor, which is missing.', 'model.name');
  // Llama 2 was plain `llama` until Llama 3 came; its flavors are the published sizes.
  const second = /^llama2?$/.test(name);
  say.named(second ? `meta-llama/Llama-2-${flavor}-hf` : `torchtitan:${name}/${flavor}`, 'model.flavor');
  stateRun(say);
  return say.statement();
}

/** The run under the keys of torchtitan's job config, which its Python took over. */
export function stateRun(say: Stating): void {
  batch(say);
  parallelism(say);
  memory(say);
  say.run('optimizer', 'optimizer.name', optimizerOf);
  say.byDefault('framework', 'fsdp', `torchtitan shards with PyTorch's FSDP2 (${source})`);
  say.byDefault('optimizer', 'adamw', `torchtitan's optimizer (${source})`);
}

/** Where a degree stood in each generation of the schema. */
const degree = (name: string): readonly string[] => [
  `parallelism.${name}_degree`,
  `training.${name}_degree`,
  `experimental.${name}_degree`,
];

const numberAt = (say: Stating, keys: readonly string[]): number | undefined => {
  const key = keys.find((one) => say.at(one) !== undefined);
  return key === undefined ? undefined : say.number(key);
};

function batch(say: Stating): void {
  const local = ['training.local_batch_size', 'training.batch_size'];
  const pipeline = numberAt(say, degree('pipeline_parallel')) ?? 1;
  say.run('sequence_length', 'training.seq_len');
  say.run('train_steps', 'training.steps');
  if (say.number('training.global_batch_size') !== -1) say.run('global_batch_size', 'training.global_batch_size');
  say.run('batch_per_replica', local);
  // A pipeline cuts the local batch into micro-batches of its own.
  if (pipeline > 1) {
    say.run('micro_batch_size', 'parallelism.pipeline_parallel_microbatch_size');
    say.byDefault('micro_batch_size', 1, `torchtitan's pipeline micro-batch (${source})`);
  } else say.run('micro_batch_size', local);
  say.byDefault('sequence_length', 2048, `training.seq_len of torchtitan (${source})`);
  say.byDefault('batch_per_replica', 8, `training.local_batch_size of torchtitan (${source})`);
  say.byDefault('micro_batch_size', 8, `training.local_batch_size of torchtitan (${source})`);
}

function parallelism(say: Stating): void {
  say.run('parallelism.tensor', degree('tensor_parallel'));
  say.run('parallelism.pipeline', degree('pipeline_parallel'));
  say.run('parallelism.context', degree('context_parallel'));
  say.run('parallelism.expert', degree('expert_parallel'));
  say.run('parallelism.expert_tensor', degree('expert_tensor_parallel'));
  say.run('data_parallel_replicate', degree('data_parallel_replicate'));
  const shard = [...degree('data_parallel_shard'), 'training.data_parallel_degree'];
  const key = shard.find((one) => say.at(one) !== undefined);
  // -1 is all GPUs that are left, and how many there are the launcher says.
  if (key !== undefined && say.number(key) === -1) say.runIs('gpus', -1, key);
  else say.run('data_parallel_shard', shard);
  const pipeline = numberAt(say, degree('pipeline_parallel')) ?? 1;
  if (pipeline > 1) stages(say);
  const sharded = key === undefined || say.number(key) !== 1;
  say.byDefault(
    'sharding',
    sharded ? 'full' : 'none',
    `torchtitan divides all states over data_parallel_shard (${source})`,
  );
  say.run('reshard_after_forward', 'parallelism.fsdp_reshard_after_forward', (policy) =>
    policy === 'always' ? true : policy === 'never' ? false : undefined,
  );
  say.byDefault(
    'reshard_after_forward',
    pipeline === 1,
    `torchtitan keeps gathered weights only in a pipeline (${source})`,
  );
}

function stages(say: Stating): void {
  const schedules = ['parallelism.pipeline_parallel_schedule', 'experimental.pipeline_parallel_schedule'];
  say.run('pipeline_schedule', schedules, (value) => {
    const word = textOf(value).toLowerCase();
    if (/zerobubble|zbv/.test(word)) return 'zero_bubble';
    if (/dualpipe/.test(word)) return 'dualpipe';
    if (/interleaved|looped/.test(word)) return 'interleaved';
    return word === 'gpipe' ? 'gpipe' : '1f1b';
  });
  say.run('parallelism.virtual_pipeline', schedules, (value) =>
    /interleaved|looped|zbv|dualpipe/i.test(textOf(value)) ? 2 : 1,
  );
  say.byDefault('pipeline_schedule', '1f1b', `torchtitan's schedule (${source})`);
}

function memory(say: Stating): void {
  const mode = say.text('activation_checkpoint.mode');
  const every = Number(say.at('activation_checkpoint.selective_ac_option') ?? 2);
  // Selective with a number recomputes every n-th layer whole; with `op` it drops what is cheap to compute again.
  if ((mode ?? 'selective') === 'selective' && Number.isInteger(every) && every > 0) {
    const key = mode === undefined ? undefined : 'activation_checkpoint.mode';
    const reason = `torchtitan recomputes every ${every === 2 ? 'second' : `${every}-th`} layer (${source})`;
    if (key === undefined) {
      say.byDefault('recompute', 'full', reason);
      say.byDefault('recompute_method', 'every', reason);
      say.byDefault('recompute_layers', every, reason);
    } else {
      say.runIs('recompute', 'full', key);
      say.runIs('recompute_method', 'every', key);
      say.runIs('recompute_layers', every, key);
    }
  } else
    say.run('recompute', 'activation_checkpoint.mode', (value) =>
      value === 'full' || value === 'selective' ? value : 'none',
    );
  compiled(say);
  say.run('offload', 'training.enable_cpu_offload', (on) => (flagOf(on) === true ? 'parameters' : 'none'));
  precision(say);
}

function compiled(say: Stating): void {
  const components = say.at('compile.components');
  const ofModel = !Array.isArray(components) || components.includes('model');
  say.run('compile', ['compile.enable', 'training.compile'], (on) => flagOf(on) === true && ofModel);
  say.byDefault('compile', false, `torchtitan compiles only where asked to (${source})`);
}

function precision(say: Stating): void {
  const converters = say.at('model.converters');
  const listed = Array.isArray(converters) ? converters.map(textOf) : textOf(converters ?? '').split(',');
  const key = ['model.converters', 'float8.enable_float8_linear', 'training.fp8_linear'].find((one) =>
    one === 'model.converters'
      ? listed.some((name) => /float8|mx/.test(name))
      : flagOf(say.at(one)) === true || /dynamic|delayed/.test(say.text(one) ?? ''),
  );
  if (key !== undefined) say.runIs('precision', listed.some((name) => /mx/.test(name)) ? 'mxfp8' : 'fp8', key);
  else say.run('precision', 'training.mixed_precision_param', (value) => (value === 'float32' ? 'fp32' : 'bf16'));
  if (key !== undefined)
    say.run('fp8_recipe', ['float8.recipe_name', 'quantize.linear.float8.recipe_name'], (recipe) =>
      recipe === 'tensorwise' ? recipe : /^rowwise/.test(textOf(recipe)) ? 'rowwise' : undefined,
    );
  say.byDefault('precision', 'bf16', `training.mixed_precision_param of torchtitan (${source})`);
}
