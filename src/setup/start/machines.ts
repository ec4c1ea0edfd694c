import { precisions } from '../../facts/precisions.ts';
import { multiple, nearest, uneven, widthsOf } from './division.ts';
import { every, type Rule, tells, titan, transformerEngine } from './rule.ts';

/** Rules of GPUs, their number formats and their groups. */

const beforeBlackwell: ReadonlySet<string> = new Set(['volta', 'turing', 'ampere', 'ada', 'hopper']);

/** No chip of the table can be capped below this share of its power: data-centre GPUs allow from about a quarter. */
const lowestCap = 0.15;

export const ofMachines: readonly Rule[] = [
  {
    id: 'precision-of-chip',
    sources: ['the datasheet of the accelerator (facts/accelerators.ts)'],
    stops: every,
    fields: ['precision', 'accelerator'],
    sentence: ({ run, machine }) => {
      const { precision } = run;
      if (machine === undefined || !['fp8', 'mxfp8', 'fp4'].includes(precision)) return undefined;
      const has = machine.densePeak[precisions[precision].peak] !== undefined;
      if (has && !(precision === 'mxfp8' && beforeBlackwell.has(machine.generation))) return undefined;
      const instead = precision === 'fp4' || !has ? (machine.densePeak.fp8 === undefined ? 'bf16' : 'fp8') : 'fp8';
      return `${machine.name} has no ${precision} matrix products. ${tells(`precision ${instead}`)}`;
    },
  },
  {
    id: 'bf16-of-chip',
    sources: ['the datasheet of the accelerator (facts/accelerators.ts)'],
    stops: ['transformers'],
    doubts: ['megatron', 'fsdp', 'deepspeed'],
    fields: ['precision', 'accelerator'],
    sentence: ({ run, machine }) =>
      run.precision === 'bf16' && machine !== undefined && machine.densePeak.bf16 === undefined
        ? `${machine.name} has no bf16 matrix products. ${tells('precision fp16')}`
        : undefined,
  },
  {
    id: 'widths-in-8-bits',
    sources: [transformerEngine('transformer_engine/pytorch/utils.py')],
    stops: ['megatron'],
    fields: ['precision', 'parallelism.tensor'],
    sentence: ({ run, architecture }) => {
      if (run.precision !== 'fp8' && run.precision !== 'mxfp8') return undefined;
      const unit = run.precision === 'fp8' ? 16 : 32;
      const own = widthsOf(architecture).map((width) => width / run.parallelism.tensor);
      const wrong = uneven([architecture.hiddenSize, ...own.filter(Number.isInteger)], unit);
      if (wrong === undefined) return undefined;
      return `Matrix products in ${run.precision} need widths that are multiples of ${unit}, and one on a GPU is ${wrong}. ${tells(`${multiple(wrong, unit)}`)}`;
    },
  },
  {
    id: 'shard-group',
    sources: [titan('torchtitan/distributed/parallel_dims.py#L179')],
    stops: every,
    fields: ['shard_group', 'gpus'],
    sentence: ({ run }) => {
      const { tensor, pipeline } = run.parallelism;
      const all = run.gpus / (tensor * pipeline);
      if (run.shardGroup === undefined || all % run.shardGroup === 0) return undefined;
      return `Groups of ${run.shardGroup} GPUs do not divide the ${all} that data parallelism has. ${tells(`shard_group ${nearest(run.shardGroup, all, (one) => all % one === 0)}`)}`;
    },
  },
  {
    id: 'uneven-nodes',
    sources: ['arithmetic: nodes have as many GPUs'],
    stops: [],
    doubts: every,
    fields: ['gpus', 'gpus_per_node'],
    sentence: ({ run: { gpus, gpusPerNode } }) =>
      gpusPerNode === undefined || gpus <= gpusPerNode || gpus % gpusPerNode === 0
        ? undefined
        : `${gpus} GPUs do not fill nodes of ${gpusPerNode}. ${tells(`gpus ${multiple(gpus, gpusPerNode)}`)}`,
  },
  {
    id: 'power-cap',
    sources: ['the datasheet of the accelerator (facts/accelerators.ts)'],
    stops: [],
    doubts: every,
    fields: ['power_cap_watts'],
    sentence: ({ run: { powerCapWatts: cap }, machine }) =>
      cap === undefined || machine === undefined || machine.power === null || cap >= lowestCap * machine.power
        ? undefined
        : `${machine.name} cannot be capped at ${cap} W of its ${machine.power} W.`,
  },
];
