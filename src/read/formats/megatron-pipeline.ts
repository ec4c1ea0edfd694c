import type { Stating } from '../stating.ts';

/** The pipeline of Megatron's arguments. */

export function statePipeline(say: Stating): void {
  say.run('parallelism.virtual_pipeline', [
    'num_virtual_stages_per_pipeline_rank',
    'virtual_pipeline_model_parallel_size',
  ]);
  say.run('layers_per_virtual_stage', 'num_layers_per_virtual_pipeline_stage');
  const stages = say.number('pipeline_model_parallel_size') ?? 1;
  const layers = say.number('num_layers');
  if (layers === undefined || stages < 2 || stages > 1_000) return;
  const layout = say.text('pipeline_model_parallel_layout');
  const sizes = layout === undefined ? unevenStages(say, layers, stages) : undefined;
  if (sizes !== undefined) say.runIs('layers_per_stage', sizes.list, sizes.key);
  if (layout === undefined) return;
  const laid = layoutOf(layout);
  if (laid === undefined || laid.length % stages !== 0) {
    say.warn(
      'pipeline_model_parallel_layout is not understood; layers are divided evenly.',
      'pipeline_model_parallel_layout',
    );
    return;
  }
  const each = Array.from({ length: stages }, (_, rank) =>
    laid.reduce((sum, count, stage) => sum + (stage % stages === rank ? count : 0), 0),
  );
  say.runIs('parallelism.virtual_pipeline', laid.length / stages, 'pipeline_model_parallel_layout');
  say.runIs('layers_per_stage', each, 'pipeline_model_parallel_layout');
}

/** Layers of each stage where the first or the last has other ones than the rest. */
function unevenStages(say: Stating, layers: number, stages: number) {
  const first = say.number('decoder_first_pipeline_num_layers');
  const last = say.number('decoder_last_pipeline_num_layers');
  const embedding = say.flag('account_for_embedding_in_pipeline_split') === true ? 1 : 0;
  const loss = say.flag('account_for_loss_in_pipeline_split') === true ? 1 : 0;
  if (first !== undefined || last !== undefined) {
    const others = stages - Number(first !== undefined) - Number(last !== undefined);
    const each = others === 0 ? 0 : (layers - (first ?? 0) - (last ?? 0)) / others;
    if (!Number.isInteger(each) || each < 0) return undefined;
    const list = [
      ...(first === undefined ? [] : [first]),
      ...Array<number>(others).fill(each),
      ...(last === undefined ? [] : [last]),
    ];
    return {
      list,
      key: first === undefined ? 'decoder_last_pipeline_num_layers' : 'decoder_first_pipeline_num_layers',
    };
  }
  const each = (layers + embedding + loss) / stages;
  if (embedding + loss === 0 || !Number.isInteger(each)) return undefined;
  const list = Array.from(
    { length: stages },
    (_, stage) => each - (stage === 0 ? embedding : 0) - (stage === stages - 1 ? loss : 0),
  );
  return {
    list,
    key: embedding === 1 ? 'account_for_embedding_in_pipeline_split' : 'account_for_loss_in_pipeline_split',
  };
}

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
