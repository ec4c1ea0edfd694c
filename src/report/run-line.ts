import { findAccelerator } from '../facts/accelerators.ts';
import type { TrainingRun } from '../model/run.ts';
import { exact } from './format.ts';

const frameworks: Readonly<Record<TrainingRun['framework'], string>> = {
  megatron: 'Megatron',
  fsdp: 'FSDP2',
  deepspeed: 'DeepSpeed',
  transformers: 'Trainer',
};

const shardings: Readonly<Record<TrainingRun['sharding'], string>> = {
  none: '',
  optimizer: ' with optimizer states sharded',
  gradients: ' with gradients and optimizer states sharded',
  full: ' fully sharded',
};

/** A training run in one line, as people say it: `64 x H100 80GB, FSDP2 fully sharded, TP 2, 8,192 tokens, micro-batch 1, bf16`. */
export function runLine(run: TrainingRun): string {
  const { tensor, pipeline, virtualPipeline, context, expert } = run.parallelism;
  const degrees = [
    ['TP', tensor],
    ['PP', pipeline],
    ['VP', virtualPipeline],
    ['CP', context],
    ['EP', expert],
  ] as const;
  const accelerator = findAccelerator(run.accelerator)?.name ?? run.accelerator;
  return [
    `${exact(run.gpus)} x ${accelerator}`,
    `${frameworks[run.framework]}${shardings[run.sharding]}`,
    ...degrees.flatMap(([name, degree]) => (degree > 1 ? [`${name} ${degree}`] : [])),
    `${exact(run.sequenceLength)} tokens`,
    `micro-batch ${exact(run.microBatchSize)}`,
    run.precision,
    ...(run.recompute === 'none' ? [] : [`${run.recompute} recompute`]),
    ...(run.lora === undefined ? [] : [`LoRA rank ${run.lora.rank}`]),
    ...(run.offload === undefined || run.offload === 'none' ? [] : [`${run.offload} in CPU memory`]),
  ].join(', ');
}
