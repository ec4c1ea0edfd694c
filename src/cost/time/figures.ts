import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { remembering } from '../../remembering.ts';
import { type Stage, stages } from '../placement.ts';
import type { Context } from './context.ts';
import { headTime } from './head.ts';
import { type LayerTime, layerTime } from './layer.ts';
import { elementsOf, fullestRank, type LocalElements } from './local.ts';
import type { Parts } from './parts.ts';

/** The parts of a step's time of which many runs of one search have the same: found anew each time, or remembered. */
export type TimeFigures = {
  readonly layer: (list: readonly Operation[], run: TrainingRun, context: Context) => LayerTime;
  readonly head: (operations: Operations, run: TrainingRun, context: Context) => Parts;
  readonly stages: (operations: Operations, run: TrainingRun) => Stages;
  readonly fullest: (operations: Operations, run: TrainingRun) => LocalElements;
  readonly elements: (list: readonly Operation[], run: TrainingRun) => LocalElements;
};

/** Stages that differ in what they hold, and for each stage which of them it is like. */
export type Stages = { readonly distinct: readonly Stage[]; readonly places: readonly number[] };

export const anew: TimeFigures = {
  layer: layerTime,
  head: headTime,
  stages: stagesOf,
  fullest: fullestRank,
  elements: elementsOf,
};

/** Figures for one search, whose runs differ in their layout, their micro-batch and their recompute alone. */
export const remembered = (): TimeFigures => ({
  layer: remembering(workKey, layerTime),
  head: remembering(workKey, headTime),
  stages: remembering(pipelineKey, stagesOf),
  fullest: remembering((run: TrainingRun) => `${pipelineKey(run)} ${matrixKey(run)}`, fullestRank),
  elements: remembering(matrixKey, elementsOf),
});

/** What the products and collectives of a layer depend on. */
function workKey(run: TrainingRun, _: Context): string {
  const { context, sequenceParallel } = run.parallelism;
  return `${run.microBatchSize} ${context} ${sequenceParallel} ${matrixKey(run)}`;
}

/** What the elements of a matrix on one GPU depend on. */
const matrixKey = ({ parallelism: { tensor, expert, expertTensor } }: TrainingRun): string =>
  `${tensor} ${expert} ${expertTensor}`;

/** What decides which layers are on which stage. */
const pipelineKey = ({ parallelism, pipelineSchedule, layersPerStage = [] }: TrainingRun): string =>
  `${parallelism.pipeline} ${parallelism.virtualPipeline} ${pipelineSchedule} ${layersPerStage.join()}`;

function stagesOf(operations: Operations, run: TrainingRun): Stages {
  const all = stages(operations, run);
  const keys = all.map(
    ({ head, embedding, layers }) =>
      `${head} ${embedding && operations.towers.length > 0} ${layers.map(({ kind, count }) => `${kind}:${count}`).join()}`,
  );
  const firsts = [...new Set(keys)];
  const distinct = firsts.flatMap((key) => all[keys.indexOf(key)] ?? []);
  return { distinct, places: keys.map((key) => firsts.indexOf(key)) };
}
