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
export const runLine = (run: TrainingRun): string => parts(run).join(', ');

/** What was otherwise before, of the same line: `micro-batch 1`; nothing where the line is the same. */
export function runLineBefore(before: TrainingRun, after: TrainingRun): string {
  const [old, now] = [parts(before), parts(after)];
  const was = old.filter((part) => !now.includes(part));
  const came = now.filter((part) => !old.includes(part));
  if (was.length > 0) return was.join(', ');
  return came.length === 0 ? '' : `without ${came.join(', ')}`;
}

function parts(run: TrainingRun): readonly string[] {
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
    `micro-batch ${exact(run.microBatchSize)}${run.sequencesPerSample === undefined ? '' : ` of ${exact(run.sequencesPerSample)} sequences each`}`,
    run.precision,
    ...(run.recompute === 'none' ? [] : [`${run.recompute} recompute`]),
    ...(run.lora === undefined ? [] : [`LoRA rank ${run.lora.rank}`]),
    ...(run.offload === undefined || run.offload === 'none' ? [] : [`${run.offload} in CPU memory`]),
  ];
}
