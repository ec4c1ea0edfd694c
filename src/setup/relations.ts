import type { Parallelism, Relations } from '../model/run.ts';

/** GPUs that hold one replica: tensor x pipeline x context. */
export const replicaOf = ({ tensor, pipeline, context }: Parallelism): number => tensor * pipeline * context;

/**
 * How many GPUs the stated counts make: nodes times GPUs of a node, or one replica's times data parallelism; undefined where
 * neither is stated.
 */
export function gpusOf(relations: Relations, parallelism: Parallelism, gpusPerNode: number | undefined) {
  const { nodes, dataParallel, dataParallelReplicate, dataParallelShard } = relations;
  if (nodes !== undefined && gpusPerNode !== undefined) return nodes * gpusPerNode;
  const copies =
    dataParallel ?? (dataParallelShard === undefined ? undefined : dataParallelShard * (dataParallelReplicate ?? 1));
  return copies === undefined ? undefined : copies * replicaOf(parallelism);
}

/** What a batch is made of: any two of its parts give the third (DeepSpeed's triple). */
export type Batch = { readonly micro: number | undefined; readonly global: number | undefined };

/**
 * Micro-batch and global batch in sequences, as far as the stated counts say them.
 *
 * @param dataParallel replicas with other data
 * @param sequenceLength tokens
 */
export function batchOf(
  stated: Batch,
  relations: Relations,
  dataParallel: number,
  gpus: number,
  sequenceLength: number,
): Batch {
  const { gradientAccumulation, gradientAccumulationInAll, accumulatedTo } = relations;
  const { batchPerReplica, tokensPerStep, batchPerGpu } = relations;
  const accumulation =
    gradientAccumulation ??
    (gradientAccumulationInAll === undefined
      ? undefined
      : Math.max(1, Math.floor(gradientAccumulationInAll / dataParallel))) ??
    (accumulatedTo === undefined ? undefined : Math.ceil(accumulatedTo / ((stated.micro ?? 1) * dataParallel)));
  const perStep =
    stated.global ??
    (tokensPerStep === undefined ? undefined : Math.max(1, Math.round(tokensPerStep / sequenceLength))) ??
    (batchPerReplica === undefined ? undefined : batchPerReplica * dataParallel);
  const micro =
    stated.micro ??
    (batchPerGpu === undefined ? undefined : Math.max(1, Math.round((batchPerGpu * gpus) / dataParallel))) ??
    (perStep === undefined || accumulation === undefined
      ? undefined
      : Math.max(1, Math.round(perStep / accumulation / dataParallel)));
  const global = perStep ?? (micro === undefined ? undefined : micro * (accumulation ?? 1) * dataParallel);
  const known = accumulation !== undefined || batchPerGpu !== undefined || perStep !== undefined;
  return { micro, global: known ? global : stated.global };
}

/** Virtual stages of one pipeline rank, from the layers of one. */
export function virtualStagesOf(relations: Relations, pipeline: number, layers: number): number | undefined {
  const { layersPerVirtualStage: each } = relations;
  return each === undefined ? undefined : Math.max(1, Math.floor(layers / (pipeline * each)));
}

/** Layers of each pipeline stage where the first or the last has others than the rest; undefined where they have not, or it does not come out even. */
export function stagesOf(relations: Relations, pipeline: number, layers: number): readonly number[] | undefined {
  const { firstStageLayers: first, lastStageLayers: last, embeddingAsLayers = 0, lossAsLayers = 0 } = relations;
  const stated = [first, last].filter((one) => one !== undefined);
  if (pipeline < 2 || stated.length + embeddingAsLayers + lossAsLayers === 0) return undefined;
  const others = pipeline - stated.length;
  const each =
    stated.length > 0
      ? others === 0
        ? 0
        : (layers - stated.reduce((sum, one) => sum + one, 0)) / others
      : (layers + embeddingAsLayers + lossAsLayers) / pipeline;
  if (!Number.isInteger(each) || each < 0) return undefined;
  return Array.from({ length: pipeline }, (_, stage) => {
    if (stage === 0) return first ?? each - (stated.length > 0 ? 0 : embeddingAsLayers);
    if (stage === pipeline - 1) return last ?? each - (stated.length > 0 ? 0 : lossAsLayers);
    return each;
  });
}

/** Tokens of the whole training, from steps or samples of it. */
export function tokensOf(relations: Relations, globalBatch: number, tokensOfSample: number): number | undefined {
  const { trainSteps, trainSequences } = relations;
  if (trainSequences !== undefined) return trainSequences * tokensOfSample;
  return trainSteps === undefined ? undefined : trainSteps * globalBatch * tokensOfSample;
}
