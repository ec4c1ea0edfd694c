import { flagOf, type Stating } from '../stating.ts';

/** The pipeline of Megatron's arguments. */

export function statePipeline(say: Stating): void {
  say.run('parallelism.virtual_pipeline', [
    'num_virtual_stages_per_pipeline_rank',
    'virtual_pipeline_model_parallel_size',
  ]);
  say.run('layers_per_virtual_stage', 'num_layers_per_virtual_pipeline_stage');
  stateUnevenStages(say);
  const stages = say.number('pipeline_model_parallel_size') ?? 1;
  const key = ['pipeline_model_parallel_layout', 'num_layer_list', 'decoder_pipeline_manual_split_list'].find(
    (name) => ![undefined, null, ''].some((none) => say.at(name) === none),
  );
  if (key === undefined || stages < 2 || stages > 1_000) return;
  const laid = key === 'pipeline_model_parallel_layout' ? layoutOf(String(say.at(key))) : countsOf(say.at(key));
  if (laid === undefined || laid.length % stages !== 0) {
    say.warn(`${key} is not understood; layers are divided evenly.`, key);
    return;
  }
  const each = Array.from({ length: stages }, (_, rank) =>
    laid.reduce((sum, count, stage) => sum + (stage % stages === rank ? count : 0), 0),
  );
  say.runIs('parallelism.virtual_pipeline', laid.length / stages, key);
  say.runIs('layers_per_stage', each, key);
}

/** `7,8,8,7` of MindSpeed, or a list of Primus': the layers of each stage, those of virtual ones after each other. */
function countsOf(listed: unknown): readonly number[] | undefined {
  const words = (Array.isArray(listed) ? listed : String(listed).split(',')).slice(0, 10_000);
  const counts = words.map(Number);
  return counts.every((count) => Number.isInteger(count) && count >= 0) ? counts : undefined;
}

/**
 * Stages that differ from each other, as far as the arguments say it: the model may be named, and its layers with it.
 *
 * @param key what a format calls an argument of Megatron's configuration
 */
export function stateUnevenStages(say: Stating, key = (name: string): string => name): void {
  const named = (...names: readonly string[]) => names.map(key);
  say.run('first_stage_layers', named('decoder_first_pipeline_num_layers', 'num_layers_in_first_pipeline_stage'));
  say.run('last_stage_layers', named('decoder_last_pipeline_num_layers', 'num_layers_in_last_pipeline_stage'));
  say.run('embedding_as_layers', key('account_for_embedding_in_pipeline_split'), oneWhere);
  say.run('loss_as_layers', key('account_for_loss_in_pipeline_split'), oneWhere);
}

const oneWhere = (on: unknown): number | undefined => (flagOf(on) === true ? 1 : undefined);

/**
 * Decoder layers of each stage of a layout such as `Et*3|(tt|)*29m|L`: letters are layers, `|` ends a stage, `*n` repeats a
 * letter or a group.
 */
export function layoutOf(layout: string): readonly number[] | undefined {
  const text = layout.slice(0, 1_000).replace(/[\s,]/g, '');
  const groups = text.replace(/\(([^()]{0,200})\)\*(\d{1,3})/g, (_, group: string, times: string) =>
    group.repeat(Number(times)),
  );
  const flat =
    groups.length > 20_000
      ? '?'
      : groups.replace(/([A-Za-z|])\*(\d{1,3})/g, (_, letter: string, times: string) => letter.repeat(Number(times)));
  if (flat.length > 20_000 || !/^[A-Za-z|]*$/.test(flat)) return undefined;
  return flat.split('|').map((stage) => stage.split('t').length - 1);
}
