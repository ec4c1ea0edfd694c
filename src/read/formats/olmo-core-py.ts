import type { Statement } from '../../model/statement.ts';
import { isDictionary, own, textOf } from '../../text/fields.ts';
import type { Format, ParsedFile } from '../format.ts';
import { recipeOf } from '../recipe.ts';
import { type Stating, stating } from '../stating.ts';

const source = 'OLMo-core 18b8fb6 (2026-08)';

const preset = /(^|\.)TransformerConfig\.(\w{1,60})$/;

/** OLMo-core's training scripts: `build_config` returns an `ExperimentConfig` over which the command line is laid. */
export const olmoCorePy: Format = {
  id: 'olmo-core-py',
  title: 'OLMo-core training script',
  syntaxes: ['python'],
  signature: { has: ['def', '*.self.train_module'], like: [['*.self.model.()', preset]] },
  states,
};

function states(file: ParsedFile): Statement {
  const recipe = recipeOf(file, (value) => isDictionary(own(value, 'self')));
  const say = stating(recipe, olmoCorePy.id);
  const name = preset.exec(say.text('self.model.()') ?? '')?.[2] ?? '';
  say.named(`olmo-core:${name}`, 'self.model');
  if (say.number('self.model.vocab_size') !== undefined) say.model('vocab_size', 'self.model.vocab_size');
  stateBatch(say, file);
  stateParallelism(say);
  stateMemory(say);
  say.byDefault('framework', 'fsdp', `OLMo-core shards with PyTorch's FSDP2 (${source})`);
  return say.statement();
}

/** Batches are stated in tokens. */
function stateBatch(say: Stating, file: ParsedFile): void {
  const value = isDictionary(file.source.value) ? file.source.value : {};
  const usual = own(value, 'DEFAULT_SEQUENCE_LENGTH') ?? own(value, 'SEQUENCE_LENGTH');
  const stated = say.number('self.train_module.max_sequence_length');
  const length = stated ?? (typeof usual === 'number' ? usual : undefined);
  if (stated === undefined && length !== undefined)
    say.byDefault('sequence_length', length, 'DEFAULT_SEQUENCE_LENGTH, unless the command line says otherwise');
  else say.run('sequence_length', 'self.train_module.max_sequence_length');
  const tokens = say.number('self.train_module.rank_microbatch_size');
  if (tokens !== undefined && length !== undefined)
    say.runIs('micro_batch_size', tokens / length, 'self.train_module.rank_microbatch_size');
  else say.run('micro_batch_size', 'self.train_module.rank_microbatch_size');
  say.run('tokens_per_step', 'self.data_loader.global_batch_size');
}

function stateParallelism(say: Stating): void {
  const module = 'self.train_module';
  say.run('parallelism.tensor', `${module}.tp_config.degree`);
  say.run('parallelism.context', `${module}.cp_config.degree`);
  say.run('parallelism.pipeline', `${module}.pp_config.degree`);
  say.run('parallelism.expert', `${module}.ep_config.degree`);
  say.run('data_parallel_replicate', `${module}.dp_config.num_replicas`);
  say.run('shard_group', `${module}.dp_config.shard_degree`);
  const kind = say.text(`${module}.dp_config.name`);
  if (kind !== undefined) say.runIs('sharding', /ddp\}?$/.test(kind) ? 'none' : 'full', `${module}.dp_config.name`);
  say.byDefault('sharding', 'none', `without dp_config nothing is sharded (${source})`);
}

function stateMemory(say: Stating): void {
  const module = 'self.train_module';
  if (say.flag(`${module}.float8_config.enabled`) === true)
    say.runIs('precision', 'fp8', `${module}.float8_config.enabled`);
  const dtype = say.text(`${module}.dp_config.param_dtype`);
  if (dtype !== undefined)
    say.runIs('precision', /bfloat16/.test(dtype) ? 'bf16' : 'fp32', `${module}.dp_config.param_dtype`);
  say.byDefault('precision', 'fp32', `without param_dtype nothing is cast (${source})`);
  const mode = ['0', 'mode'].find((key) => say.text(`${module}.ac_config.${key}`) !== undefined);
  if (mode !== undefined)
    say.runIs('recompute', recomputeOf(say.text(`${module}.ac_config.${mode}`) ?? ''), `${module}.ac_config.${mode}`);
  else say.run('recompute', `${module}.ac_config`, (value) => (isDictionary(value) ? undefined : value));
  say.byDefault('recompute', 'none', `without ac_config nothing is recomputed (${source})`);
  say.run('compile', `${module}.compile_model`);
  say.byDefault('compile', false, `nothing is compiled unless compile_model says so (${source})`);
  const optimizer = textOf(say.at(`${module}.optim.()`) ?? '');
  if (/AdamW/.test(optimizer)) say.runIs('optimizer', 'adamw', `${module}.optim`);
  else if (/Lion/.test(optimizer)) say.runIs('optimizer', 'lion', `${module}.optim`);
  else if (/Muon/.test(optimizer)) say.runIs('optimizer', 'muon', `${module}.optim`);
}

const recomputeOf = (mode: string): string => (/\.full\}?$/.test(mode) ? 'full' : 'selective');
