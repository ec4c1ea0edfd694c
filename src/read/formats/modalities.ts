import { decoderType } from '../../families/decoder.ts';
import type { Statement } from '../../model/statement.ts';
import { type Dictionary, isDictionary, own, textOf } from '../../text/fields.ts';
import { interpolated } from '../../text/interpolate.ts';
import type { Format, ParsedFile } from '../format.ts';
import { roundedUp } from '../shapes.ts';
import { dtypeOf, optimizerOf } from '../spellings.ts';
import { type Stating, stating } from '../stating.ts';

const source = 'Modalities bf0e6d32';

/** Modalities' YAML: a graph of components, each with a key, a variant and its config. */
export const modalities: Format = {
  id: 'modalities',
  title: 'Modalities YAML',
  syntaxes: ['yaml'],
  signature: { has: ['settings', '*.component_key', '*.config.n_layer'] },
  states,
};

/** The nodes of the graph by what their config has; names of nodes are the writer's own. */
type Graph = {
  readonly say: Stating;
  readonly nodes: readonly (readonly [name: string, node: Dictionary])[];
};

function states(file: ParsedFile): Statement {
  const root = isDictionary(file.source.value) ? interpolated(file.source.value) : {};
  const say = stating({ path: file.path, source: { ...file.source, value: root } }, modalities.id);
  const nodes = Object.entries(root)
    .slice(0, 200)
    .flatMap(([name, node]) => (isDictionary(node) ? [[name, node] as const] : []));
  const graph = { say, nodes };
  const model = nodeWith(graph, 'n_layer');
  if (model === undefined) throw say.refuse('No component has a config with n_layer, so no model is known.');
  sizes(say, `${model}.config`);
  block(say, `${model}.config`);
  run(graph);
  memory(graph);
  return say.statement();
}

const nodeWith = ({ nodes }: Graph, key: string): string | undefined =>
  nodes.find(([, node]) => {
    const config = own(node, 'config');
    return isDictionary(config) && own(config, key) !== undefined;
  })?.[0];

const nodeOf = ({ nodes }: Graph, field: 'component_key' | 'variant_key', word: RegExp): string | undefined =>
  nodes.find(([, node]) => word.test(textOf(own(node, field) ?? '').slice(0, 100)))?.[0];

function sizes(say: Stating, at: string): void {
  say.modelIs('model_type', decoderType);
  say.model('hidden_size', `${at}.n_embd`);
  say.model('num_hidden_layers', `${at}.n_layer`);
  say.model('num_attention_heads', `${at}.n_head_q`);
  say.model('num_key_value_heads', `${at}.n_head_kv`);
  say.model('vocab_size', `${at}.vocab_size`);
  say.model('max_position_embeddings', `${at}.sequence_length`);
  say.modelIs('tie_word_embeddings', say.flag(`${at}.use_weight_tying`) ?? true, `${at}.use_weight_tying`);
}

function block(say: Stating, at: string): void {
  const bias = say.flag(`${at}.bias`) ?? true;
  const gated = /swiglu/.test(say.text(`${at}.activation_type`) ?? '');
  const stated = say.number(`${at}.ffn_hidden`) ?? 0;
  const multiple = say.number(`${at}.enforce_swiglu_hidden_dim_multiple_of`) ?? 256;
  // A gated block is as large as one of ffn_hidden without a gate: two thirds of it, rounded up.
  const width = gated ? roundedUp(Math.floor((2 * stated) / 3), multiple) : stated;
  say.modelIs('intermediate_size', width, `${at}.ffn_hidden`);
  say.modelIs('gated', gated, `${at}.activation_type`);
  say.modelIs('hidden_act', gated ? 'silu' : 'gelu', `${at}.activation_type`);
  say.modelIs('mlp_bias', bias, `${at}.bias`);
  say.modelIs('attention_bias', bias, `${at}.bias`);
  const norm = say.text(`${at}.attention_norm_config.norm_type`) ?? say.text(`${at}.attention_norm.variant_key`) ?? '';
  const normBias = say.flag(`${at}.attention_norm_config.config.bias`) ?? true;
  say.modelIs(
    'normalization',
    /rms/i.test(norm) ? 'rms' : normBias ? 'layer' : 'layer_without_bias',
    `${at}.attention_norm_config.norm_type`,
  );
  const learned = say.text(`${at}.poe_type`) === 'ABSOLUTE';
  const rotary = JSON.stringify(say.at(`${at}.attention_config`) ?? '').includes('RotaryTransform');
  say.modelIs('positions', learned ? 'learned' : rotary ? 'rope' : 'none', `${at}.poe_type`);
}

/** Counts may be components that find them out from the data. */
const onlyNumber = (value: unknown) => (typeof value === 'number' ? value : undefined);

function run(graph: Graph): void {
  const { say } = graph;
  const profile = 'settings.step_profile';
  say.run('sequence_length', [`${profile}.sequence_length`, 'settings.training.sequence_length']);
  say.run('micro_batch_size', [
    `${profile}.local_train_micro_batch_size`,
    'settings.training.local_train_micro_batch_size',
  ]);
  say.run('gradient_accumulation', [`${profile}.gradient_accumulation_steps`, 'settings.training.gradient_acc_steps']);
  say.run('train_steps', 'settings.training_target.num_target_steps', onlyNumber);
  say.run('tokens', 'settings.training_target.num_target_tokens', onlyNumber);
  const mesh = nodeOf(graph, 'component_key', /^device_mesh$/);
  if (mesh === undefined) return;
  say.run('parallelism.tensor', `${mesh}.config.tensor_parallel_degree`);
  say.run('parallelism.pipeline', `${mesh}.config.pipeline_parallel_degree`);
  say.run('parallelism.context', `${mesh}.config.context_parallel_degree`);
  say.run('data_parallel_replicate', `${mesh}.config.data_parallel_replicate_degree`);
  if (say.number(`${mesh}.config.data_parallel_shard_degree`) !== -1)
    say.run('data_parallel_shard', `${mesh}.config.data_parallel_shard_degree`);
  // The world's size is a variable of the launcher, or a number.
  const world = say.at(`${mesh}.config.world_size`);
  say.runIs('gpus', typeof world === 'number' ? world : 'auto', `${mesh}.config.world_size`);
  const schedule = nodeWith(graph, 'pp_schedule_name');
  if (schedule === undefined) return;
  const interleaved = /interleaved/i.test(say.text(`${schedule}.config.pp_schedule_name`) ?? '');
  say.runIs('pipeline_schedule', interleaved ? 'interleaved' : '1f1b', `${schedule}.config.pp_schedule_name`);
}

function memory(graph: Graph): void {
  const { say } = graph;
  const mixed = nodeWith(graph, 'mixed_precision_settings');
  if (mixed !== undefined)
    say.run(
      'precision',
      [`${mixed}.config.mixed_precision_settings.param_dtype`, `${mixed}.config.mixed_precision_settings`],
      (value) => (typeof value === 'string' ? dtypeOf(value) : undefined),
    );
  const sharded = nodeOf(graph, 'variant_key', /fsdp/);
  say.byDefault(
    'sharding',
    sharded === undefined ? 'none' : 'full',
    `the model is ${sharded === undefined ? 'not ' : ''}wrapped by FSDP (${source})`,
  );
  const checkpointed = nodeOf(graph, 'variant_key', /activation_checkpointed/);
  if (checkpointed !== undefined) {
    const whole = !/selective/.test(say.text(`${checkpointed}.config.ac_variant`) ?? '');
    say.runIs('recompute', whole ? 'full' : 'selective', `${checkpointed}.variant_key`);
  }
  say.byDefault('recompute', 'none', `no component recomputes activations (${source})`);
  const compiled = nodeOf(graph, 'variant_key', /^compiled$/);
  if (compiled !== undefined) say.runIs('compile', true, `${compiled}.variant_key`);
  say.byDefault('compile', false, `no component compiles the model (${source})`);
  const optimizer = nodeOf(graph, 'component_key', /^optimizer$/);
  if (optimizer !== undefined) say.run('optimizer', `${optimizer}.variant_key`, optimizerOf);
  say.byDefault('framework', 'fsdp', `Modalities shards with PyTorch's FSDP (${source})`);
}
