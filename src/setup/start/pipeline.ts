import { degree, nearest, replicasOf } from './division.ts';
import { accelerate, deepspeed, dualPipe, every, megatron, type Rule, tells } from './rule.ts';

/** Rules of the pipeline and its stages. */

export const ofPipeline: readonly Rule[] = [
  {
    id: 'layers-by-pipeline',
    sources: [megatron('training/arguments.py#L968'), megatron('training/arguments.py#L997')],
    stops: ['megatron'],
    fields: ['parallelism.pipeline'],
    inFileAlone: true,
    sentence: (trial) => {
      const { pipeline } = trial.run.parallelism;
      const layers = trial.architecture.order.length;
      if (trial.run.layersPerStage !== undefined || layers % pipeline === 0) return undefined;
      const works = degree(trial, 'pipeline', [layers]);
      // Of 61 layers every pipeline is laid out by hand: no other was at hand.
      if (!trial.inFile('parallelism.pipeline') && works * 2 <= pipeline) return undefined;
      return `A pipeline of ${pipeline} stages does not divide ${layers} layers. ${tells(`pipeline ${works}`)} Where the stages are laid out by hand, state layers_per_stage.`;
    },
  },
  {
    id: 'layers-by-virtual-stages',
    sources: [megatron('training/arguments.py#L972')],
    stops: ['megatron'],
    fields: ['parallelism.virtual_pipeline'],
    inFileAlone: true,
    sentence: ({ run, architecture }) => {
      const { pipeline, virtualPipeline } = run.parallelism;
      const each = architecture.order.length / pipeline;
      if (pipeline === 1 || run.layersPerStage !== undefined || !Number.isInteger(each)) return undefined;
      if (each % virtualPipeline === 0) return undefined;
      return `${virtualPipeline} virtual stages do not divide the ${each} layers of a pipeline stage. ${tells(`virtual_pipeline ${nearest(virtualPipeline, each, (one) => each % one === 0)}`)}`;
    },
  },
  {
    id: 'virtual-stages-without-pipeline',
    sources: ['arithmetic: virtual stages are divided over the ranks of a pipeline'],
    stops: every,
    fields: ['parallelism.virtual_pipeline'],
    sentence: ({ run: { parallelism } }) =>
      parallelism.virtualPipeline > 1 && parallelism.pipeline === 1
        ? `${parallelism.virtualPipeline} virtual stages are of a pipeline, and there is none. ${tells('virtual_pipeline 1')}`
        : undefined,
  },
  {
    id: 'layers-per-stage',
    sources: ['arithmetic: every layer is on one stage'],
    stops: every,
    fields: ['layers_per_stage'],
    sentence: ({ run, architecture }) => {
      const { layersPerStage: stages, parallelism } = run;
      if (stages === undefined) return undefined;
      const sum = stages.reduce((total, one) => total + one, 0);
      const layers = architecture.order.length;
      if (stages.length !== parallelism.pipeline)
        return `layers_per_stage has ${stages.length} numbers for a pipeline of ${parallelism.pipeline}. ${tells(`${parallelism.pipeline} numbers that add up to ${layers}`)}`;
      if (sum === layers) return undefined;
      return `layers_per_stage adds up to ${sum}, and the model has ${layers} layers. ${tells(`numbers that add up to ${layers}`)}`;
    },
  },
  {
    id: 'zero-with-pipeline',
    sources: [deepspeed('runtime/pipe/engine.py')],
    stops: ['deepspeed'],
    fields: ['sharding', 'parallelism.pipeline'],
    sentence: ({ run }) =>
      run.parallelism.pipeline > 1 && (run.sharding === 'gradients' || run.sharding === 'full')
        ? `DeepSpeed's pipeline runs with ZeRO 0 or 1, and this is ZeRO ${run.sharding === 'full' ? 3 : 2}. ${tells('sharding optimizer (ZeRO 1)')}`
        : undefined,
  },
  {
    id: 'virtual-stages-in-deepspeed',
    sources: [deepspeed('runtime/pipe/schedule.py')],
    stops: [],
    doubts: ['deepspeed'],
    fields: ['parallelism.virtual_pipeline'],
    sentence: ({ run: { parallelism } }) =>
      parallelism.virtualPipeline > 1 && parallelism.pipeline > 1
        ? "DeepSpeed's own pipeline has no virtual stages. Set virtual_pipeline: 1."
        : undefined,
  },
  {
    id: 'pipeline-in-trainer',
    sources: [accelerate('src/accelerate/parallelism_config.py#L34')],
    stops: ['transformers'],
    fields: ['parallelism.pipeline'],
    sentence: ({ run: { parallelism } }) =>
      parallelism.pipeline > 1
        ? `Hugging Face's Trainer has no pipeline parallelism. ${tells('pipeline 1')}`
        : undefined,
  },
  {
    id: 'dualpipe-stages',
    sources: [dualPipe('dualpipe/dualpipe.py#L332')],
    stops: every,
    fields: ['pipeline_schedule', 'parallelism.pipeline'],
    sentence: ({ run }) => {
      const { pipeline } = run.parallelism;
      if (run.pipelineSchedule !== 'dualpipe' || pipeline % 2 === 0) return undefined;
      return `DualPipe runs two directions over pairs of stages, and ${pipeline} is odd. ${tells(`pipeline ${pipeline + 1}`)}`;
    },
  },
  {
    id: 'dualpipe-micro-batches',
    sources: [dualPipe('dualpipe/dualpipe.py#L333')],
    stops: every,
    fields: ['pipeline_schedule', 'parallelism.pipeline', 'global_batch_size', 'gpus'],
    sentence: ({ run }) => {
      const { pipeline } = run.parallelism;
      const count = run.globalBatchSize / (replicasOf(run) * run.microBatchSize);
      if (run.pipelineSchedule !== 'dualpipe' || count >= 2 * pipeline) return undefined;
      return `DualPipe needs two micro-batches for each of ${pipeline} stages, and a step has ${count}. ${tells(`global_batch_size ${2 * pipeline * replicasOf(run) * run.microBatchSize}`)}`;
    },
  },
];
