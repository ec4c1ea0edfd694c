import { precisions } from '../facts/precisions.ts';
import type { Architecture, Part } from '../model/architecture.ts';
import type { Problem } from '../model/reading.ts';
import { type Framework, type SettledRun, type TrainingRun, tokensOfStep } from '../model/run.ts';
import { replicaOf } from './relations.ts';
import type { Settled } from './settle.ts';
import { problemAt } from './stated.ts';

/** Adapters of a run: their elements, and whether a target is a name that no table of ours has. */
export type Adapters = { readonly elements: number; readonly strange: boolean };

/** What a rule looks at. */
type Trial = SettledRun & {
  readonly architecture: Architecture;
  readonly adapters: Adapters | undefined;
  /** Whether the training file itself says a field. */
  readonly inFile: (field: string) => boolean;
};

/** One reason for which a framework refuses a run, or runs otherwise than it reads. */
export type Rule = {
  readonly id: string;
  /** Where the framework checks it itself, at a commit; or why no file is needed. */
  readonly sources: readonly [string, ...string[]];
  /** Frameworks that do not start, and those in which it is only worth a word. */
  readonly stops: readonly Framework[];
  readonly doubts?: readonly Framework[];
  /** What must be stated for it to be certain; the first is the field that is told. */
  readonly fields: readonly [string, ...string[]];
  /** Certain only where the training file itself says it: a run description does not say how stages are laid out. */
  readonly inFileAlone?: true;
  /** What is wrong, with the nearest value that works; undefined where nothing is. */
  readonly sentence: (trial: Trial) => string | undefined;
};

const at = (repository: string, commit: string) => (path: string) =>
  `https://github.com/${repository}/blob/${commit}/${path}`;
const megatron = (path: string) => at('NVIDIA/Megatron-LM', 'd98e8a6')(`megatron/${path}`);
const deepspeed = (path: string) => at('deepspeedai/DeepSpeed', '1b88ac3')(`deepspeed/${path}`);
const titan = at('pytorch/torchtitan', 'b5bcd76');
const accelerate = at('huggingface/accelerate', '16cb6eb');
const peft = at('huggingface/peft', '5d602fd');
const transformerEngine = at('NVIDIA/TransformerEngine', 'd0067d0');
const dualPipe = at('deepseek-ai/DualPipe', '030ce43');

const every: readonly Framework[] = ['megatron', 'fsdp', 'deepspeed', 'transformers'];

/** Formats whose framework only stands for a nearer one that has no row: rules of one framework say nothing of them. */
const borrowing: ReadonlySet<string> = new Set(['nanotron', 'maxtext', 'nanogpt', 'levanter']);

const partsOf = ({ layers }: Architecture): readonly Part[] => {
  const inside = (part: Part): readonly Part[] => (part.kind === 'shared' ? part.parts.flatMap(inside) : [part]);
  return layers.flatMap(({ parts }) => parts.flatMap(inside));
};

/** Query heads of every kind of attention; those that experts have are theirs. */
const headsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) => {
    if (part.kind === 'attention') return part.experts === undefined ? [part.heads] : [];
    return part.kind === 'latent' || part.kind === 'compressed' ? [part.heads] : [];
  });

const keyValueHeadsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) =>
    part.kind === 'attention' && part.sharedKeyValue !== true && part.experts === undefined ? [part.keyValueHeads] : [],
  );

const expertsOf = (architecture: Architecture) =>
  partsOf(architecture).flatMap((part) => (part.kind === 'experts' ? [part] : []));

const widthsOf = (architecture: Architecture): readonly number[] =>
  partsOf(architecture).flatMap((part) => {
    if (part.kind === 'dense') return [part.width];
    return part.kind === 'experts' && part.shared !== undefined ? [part.shared.width] : [];
  });

/** The first that is not a multiple. */
const uneven = (counts: readonly number[], by: number): number | undefined => counts.find((count) => count % by !== 0);

/** How many replicas of the model the GPUs make. */
const replicasOf = ({ gpus, parallelism }: TrainingRun): number => gpus / replicaOf(parallelism);

/** No degree of a run is beyond it, and a search that a stranger's number begins must end. */
const mostTried = 2 ** 17;

/** The nearest number to `stated`, at most `most`, that `works`; the smaller of two as near. */
function nearest(stated: number, most: number, works: (one: number) => boolean): number {
  const value = Math.min(stated, mostTried);
  for (let distance = 0; distance < mostTried; distance++) {
    for (const one of [value - distance, value + distance]) if (one >= 1 && one <= most && works(one)) return one;
  }
  return 1;
}

/** The nearest degree that divides all counts, and for which the GPUs still divide into replicas. */
function degree({ run }: Trial, name: 'tensor' | 'pipeline' | 'context', counts: readonly number[]): number {
  const value = run.parallelism[name];
  const others = replicaOf(run.parallelism) / value;
  const most = Math.min(...counts, run.gpus);
  return nearest(value, most, (one) => uneven(counts, one) === undefined && run.gpus % (one * others) === 0);
}

/** The nearest multiple that is not nothing. */
const multiple = (value: number, of: number): number => Math.max(1, Math.round(value / of)) * of;

const tells = (works: string): string => `The nearest that works: ${works}.`;

/** A few names of a list that may be long. */
const namesOf = (list: readonly string[]): string =>
  `${list.slice(0, 8).join(', ')}${list.length > 8 ? ` and ${list.length - 8} more` : ''}`;

const beforeBlackwell: ReadonlySet<string> = new Set(['volta', 'turing', 'ampere', 'ada', 'hopper']);

/** Modules that Megatron Core's selective recompute knows (megatron/core/transformer/transformer_config.py). */
const recomputable: readonly string[] = [
  'core_attn',
  'moe_act',
  'layernorm',
  'mla_up_proj',
  'mlp',
  'moe',
  'shared_experts',
];

/** No chip of the table can be capped below this share of its power: data-centre GPUs allow from about a quarter. */
const lowestCap = 0.15;

const ofTensor: readonly Rule[] = [
  {
    id: 'heads-by-tensor',
    sources: [megatron('core/transformer/transformer_config.py#L1446'), 'arithmetic: each GPU has whole heads'],
    stops: every,
    fields: ['parallelism.tensor'],
    sentence: (trial) => {
      const { tensor } = trial.run.parallelism;
      const heads = headsOf(trial.architecture);
      // DeepSpeed's AutoTP gives some GPUs a head more than others.
      const wrong = trial.run.framework === 'deepspeed' ? heads.find((count) => count < tensor) : uneven(heads, tensor);
      if (wrong === undefined) return undefined;
      return `Tensor parallelism of ${tensor} does not divide ${wrong} attention heads. ${tells(`tensor ${degree(trial, 'tensor', heads)}`)}`;
    },
  },
  {
    id: 'key-value-heads-by-tensor',
    sources: [megatron('core/transformer/transformer_config.py#L1462')],
    stops: ['megatron', 'fsdp', 'transformers'],
    fields: ['parallelism.tensor'],
    sentence: (trial) => {
      const { framework, parallelism } = trial.run;
      const { tensor } = parallelism;
      const all = [...headsOf(trial.architecture), ...keyValueHeadsOf(trial.architecture)];
      // Megatron holds copies where there are fewer than GPUs.
      const copied = (count: number) => framework === 'megatron' && tensor % count === 0;
      const wrong = keyValueHeadsOf(trial.architecture).find((count) => count % tensor !== 0 && !copied(count));
      if (wrong === undefined || uneven(headsOf(trial.architecture), tensor) !== undefined) return undefined;
      return `Tensor parallelism of ${tensor} does not divide ${wrong} key and value heads. ${tells(`tensor ${degree(trial, 'tensor', all)}`)}`;
    },
  },
  {
    id: 'width-by-tensor',
    sources: [megatron('core/tensor_parallel/layers.py#L1038'), megatron('core/tensor_parallel/layers.py#L1408')],
    stops: ['megatron'],
    fields: ['parallelism.tensor'],
    sentence: (trial) => {
      const { tensor } = trial.run.parallelism;
      const wrong = uneven(widthsOf(trial.architecture), tensor);
      if (wrong === undefined) return undefined;
      const all = [...headsOf(trial.architecture), ...widthsOf(trial.architecture)];
      return `Tensor parallelism of ${tensor} does not divide a feed-forward width of ${wrong}. ${tells(`tensor ${degree(trial, 'tensor', all)}`)}`;
    },
  },
  {
    id: 'expert-width-by-expert-tensor',
    sources: [megatron('core/tensor_parallel/layers.py#L1038'), megatron('core/parallel_state.py#L883')],
    stops: ['megatron'],
    fields: ['parallelism.expert_tensor'],
    sentence: ({ run, architecture }) => {
      const { expertTensor } = run.parallelism;
      const widths = expertsOf(architecture).map(({ width }) => width);
      const wrong = uneven(widths, expertTensor);
      if (wrong === undefined) return undefined;
      const group = run.parallelism.expert * run.parallelism.pipeline;
      const works = nearest(
        expertTensor,
        run.gpus,
        (one) => uneven(widths, one) === undefined && run.gpus % (one * group) === 0,
      );
      return `Expert tensor parallelism of ${expertTensor} does not divide an expert's width of ${wrong}. ${tells(`expert_tensor ${works}`)}`;
    },
  },
  {
    id: 'mamba-heads-by-tensor',
    sources: [megatron('core/ssm/mamba_mixer.py#L262'), megatron('core/ssm/mamba_mixer.py#L270')],
    stops: ['megatron'],
    fields: ['parallelism.tensor'],
    sentence: (trial) => {
      const { tensor } = trial.run.parallelism;
      const counts = partsOf(trial.architecture).flatMap((part) =>
        part.kind === 'state_space' && part.style === 'mamba2' ? [part.heads, part.groups ?? part.heads] : [],
      );
      const wrong = uneven(counts, tensor);
      if (wrong === undefined) return undefined;
      return `Tensor parallelism of ${tensor} does not divide ${wrong} heads or groups of Mamba. ${tells(`tensor ${degree(trial, 'tensor', counts)}`)}`;
    },
  },
  {
    id: 'sequence-by-tensor',
    sources: [titan('torchtitan/distributed/parallel_dims.py#L664'), 'arithmetic: each GPU holds as many tokens'],
    stops: ['megatron', 'fsdp'],
    fields: ['sequence_length', 'parallelism.tensor'],
    sentence: ({ run, architecture }) => {
      const { tensor, context, sequenceParallel } = run.parallelism;
      const shares = tensor * context;
      if (!sequenceParallel || run.sequenceLength % shares === 0) return undefined;
      // Another degree is what is told there.
      if (uneven(headsOf(architecture), tensor) !== undefined) return undefined;
      return `Sequence parallelism divides ${run.sequenceLength} tokens by tensor ${tensor} x context ${context}, which leaves a rest. ${tells(`sequence_length ${multiple(run.sequenceLength, shares)}`)}`;
    },
  },
  {
    id: 'sequence-parallel-alone',
    sources: [megatron('training/arguments.py#L1439')],
    stops: [],
    doubts: ['megatron'],
    fields: ['parallelism.sequence_parallel'],
    sentence: ({ run: { parallelism } }) =>
      parallelism.sequenceParallel && parallelism.tensor === 1
        ? 'Sequence parallelism is of tensor parallelism, which is 1: Megatron Core refuses it, Megatron-LM turns it off. Set sequence_parallel: false.'
        : undefined,
  },
  {
    id: 'tensor-in-trainer',
    sources: [accelerate('src/accelerate/parallelism_config.py#L34')],
    stops: [],
    doubts: ['transformers'],
    fields: ['parallelism.tensor'],
    sentence: ({ run: { parallelism } }) =>
      parallelism.tensor > 1
        ? "Hugging Face's Trainer has tensor parallelism only with a ParallelismConfig of accelerate and a model that has a plan for it; without them each GPU holds whole matrices."
        : undefined,
  },
];

const ofPipeline: readonly Rule[] = [
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

const ofExperts: readonly Rule[] = [
  {
    id: 'experts-by-expert',
    sources: [megatron('training/arguments.py#L1657'), titan('torchtitan/models/common/decoder.py#L207')],
    stops: every,
    fields: ['parallelism.expert'],
    sentence: ({ run, architecture }) => {
      const { expert, pipeline, expertTensor } = run.parallelism;
      const counts = expertsOf(architecture).map(({ experts }) => experts);
      const wrong = uneven(counts, expert);
      if (wrong === undefined) return undefined;
      const works = (one: number) =>
        uneven(counts, one) === undefined && run.gpus % (one * pipeline * expertTensor) === 0;
      return `Expert parallelism of ${expert} does not divide ${wrong} experts. ${tells(`expert ${nearest(expert, Math.min(...counts), works)}`)}`;
    },
  },
  {
    id: 'expert-without-experts',
    sources: [megatron('core/transformer/transformer_config.py#L1596'), megatron('training/arguments.py#L1656')],
    stops: ['megatron'],
    doubts: ['fsdp', 'deepspeed', 'transformers'],
    fields: ['parallelism.expert'],
    sentence: ({ run, architecture }) =>
      run.parallelism.expert > 1 && expertsOf(architecture).length === 0
        ? `Expert parallelism of ${run.parallelism.expert} has nothing to divide: the model has no experts. ${tells('expert 1')}`
        : undefined,
  },
];

const ofTokens: readonly Rule[] = [
  {
    id: 'sequence-by-context',
    sources: [megatron('training/arguments.py#L1335'), titan('torchtitan/distributed/parallel_dims.py#L668')],
    stops: ['megatron', 'fsdp', 'deepspeed'],
    fields: ['sequence_length', 'parallelism.context'],
    sentence: ({ run }) => {
      const { context } = run.parallelism;
      // A ring gives each GPU one piece of the beginning and one of the end.
      const ring =
        run.framework === 'megatron' || (run.framework === 'fsdp' && run.contextParallelStyle !== 'all_to_all');
      const pieces = ring ? 2 * context : context;
      if (context === 1 || run.sequenceLength % pieces === 0) return undefined;
      return `Context parallelism of ${context} divides a sequence into ${pieces} pieces, and ${run.sequenceLength} tokens leave a rest. ${tells(`sequence_length ${multiple(run.sequenceLength, pieces)}, or context ${nearest(context, run.sequenceLength, (one) => run.sequenceLength % ((pieces / context) * one) === 0 && run.gpus % ((replicaOf(run.parallelism) / context) * one) === 0)}`)}`;
    },
  },
  {
    id: 'heads-by-all-to-all',
    sources: ['arithmetic: after the exchange each GPU has whole heads', deepspeed('sequence/layer.py')],
    stops: every,
    fields: ['context_parallel_style', 'parallelism.context'],
    sentence: (trial) => {
      const { context, tensor } = trial.run.parallelism;
      if (trial.run.contextParallelStyle !== 'all_to_all' || context === 1) return undefined;
      const heads = headsOf(trial.architecture).filter((count) => count % tensor === 0);
      const own = heads.map((count) => count / tensor);
      // DeepSpeed gives some GPUs a head more than others.
      const wrong = trial.run.framework === 'deepspeed' ? own.find((count) => count < context) : uneven(own, context);
      if (wrong === undefined) return undefined;
      return `Context parallelism by all-to-all gives each GPU whole heads, and ${context} does not divide ${wrong}. ${tells(`context ${degree(trial, 'context', own)}`)}`;
    },
  },
  {
    id: 'length-beyond-config',
    sources: ['arithmetic: the config states how many positions there are'],
    stops: [],
    doubts: every,
    fields: ['sequence_length'],
    sentence: ({ run, architecture: { maxPositions, positionsAssumed } }) =>
      maxPositions !== undefined && positionsAssumed !== true && run.sequenceLength > maxPositions
        ? `Sequences of ${run.sequenceLength} tokens are longer than the ${maxPositions} positions that the config states. Raise them there, or set sequence_length: ${maxPositions}.`
        : undefined,
  },
  {
    id: 'tokens-of-a-step',
    sources: ['arithmetic: a training has a step'],
    stops: [],
    doubts: every,
    fields: ['tokens'],
    sentence: ({ run }) => {
      const step = tokensOfStep(run);
      return run.tokens >= step
        ? undefined
        : `The whole training has ${run.tokens} tokens, fewer than the ${step} of one step. If a unit is missing, write it: tokens: 15T is 15 trillion.`;
    },
  },
  {
    id: 'global-batch',
    sources: [megatron('core/num_microbatches_calculator.py#L382'), deepspeed('runtime/config.py')],
    stops: ['megatron', 'fsdp', 'deepspeed'],
    doubts: ['transformers'],
    fields: ['global_batch_size', 'gpus'],
    sentence: ({ run }) => {
      const replicas = replicasOf(run);
      const smallest = replicas * run.microBatchSize;
      if (run.globalBatchSize % smallest === 0) return undefined;
      return `A global batch of ${run.globalBatchSize} sequences is not a multiple of micro-batch ${run.microBatchSize} x ${replicas} replicas = ${smallest}. ${tells(`global_batch_size ${multiple(run.globalBatchSize, smallest)}`)}`;
    },
  },
];

const ofMachines: readonly Rule[] = [
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

const ofMemory: readonly Rule[] = [
  {
    id: 'adapter-targets',
    sources: [peft('src/peft/tuners/tuners_utils.py#L1039')],
    stops: ['fsdp', 'deepspeed', 'transformers'],
    doubts: ['megatron'],
    fields: ['lora'],
    sentence: ({ run, adapters }) =>
      run.lora === undefined || adapters === undefined || adapters.elements > 0 || adapters.strange
        ? undefined
        : `None of the adapter's targets (${namesOf(run.lora.targets)}) is a matrix of this model, so nothing would be trained. The names of another family? all-linear fits every one.`,
  },
  {
    id: 'adapter-targets-unknown',
    sources: [peft('src/peft/tuners/tuners_utils.py#L1039')],
    stops: [],
    doubts: every,
    fields: ['lora'],
    sentence: ({ run, adapters }) =>
      run.lora === undefined || adapters === undefined || adapters.elements > 0 || !adapters.strange
        ? undefined
        : `None of the adapter's targets (${namesOf(run.lora.targets)}) is a name of a matrix that is known, so the adapter is counted as nothing.`,
  },
  {
    id: 'recompute-modules',
    sources: [megatron('core/transformer/transformer_config.py#L1958')],
    stops: [],
    doubts: ['megatron'],
    fields: ['recompute_modules'],
    sentence: ({ run: { recomputeModules = [] } }) => {
      const wrong = recomputeModules.find((name) => !recomputable.includes(name));
      return wrong === undefined
        ? undefined
        : `Megatron recomputes no module called ${wrong}. It knows ${recomputable.join(', ')}.`;
    },
  },
  {
    id: 'recompute-layers',
    sources: [megatron('core/transformer/transformer_config.py#L1919')],
    stops: [],
    doubts: every,
    fields: ['recompute_layers'],
    sentence: ({ run: { recomputeLayers: count }, architecture: { order } }) =>
      count === undefined || count <= order.length
        ? undefined
        : `recompute_layers is ${count}, and the model has ${order.length} layers. ${tells(`${order.length}`)}`,
  },
  {
    id: 'offload-without-sharding',
    sources: [deepspeed('runtime/zero/config.py')],
    stops: [],
    doubts: ['deepspeed'],
    fields: ['offload', 'sharding'],
    sentence: ({ run: { offload, sharding } }) => {
      if (offload === 'parameters' && sharding !== 'full')
        return 'DeepSpeed keeps parameters in CPU memory with ZeRO 3 alone. Set sharding: full.';
      return offload === 'optimizer' && sharding === 'none'
        ? 'DeepSpeed keeps the optimizer in CPU memory with ZeRO 1 to 3. Set sharding: optimizer.'
        : undefined;
    },
  },
];

/** Every reason for which a run that settles does not start as it reads. */
export const rulesOfStart: readonly Rule[] = [
  ...ofTensor,
  ...ofPipeline,
  ...ofExperts,
  ...ofTokens,
  ...ofMachines,
  ...ofMemory,
];

/** Why its framework refuses a run whose file says every field; undefined where it starts. */
export function refusal(trial: Omit<Trial, 'inFile'>): string | undefined {
  const told = { ...trial, inFile: () => true };
  for (const { stops, sentence } of rulesOfStart) {
    const message = stops.includes(trial.run.framework) ? sentence(told) : undefined;
    if (message !== undefined) return message;
  }
  return undefined;
}

/**
 * The rules that a run breaks, as problems: an error where the framework does not start and every field that the rule rests on was
 * stated, else a warning.
 *
 * @param format of the training file, whose framework may only stand for a nearer one
 * @param path of the training file, whose lines are told
 */
export function hindrances(
  { settled, said, places }: Settled,
  architecture: Architecture,
  adapters: Adapters | undefined,
  format: string,
  path: string,
): readonly Problem[] {
  const { framework } = settled.run;
  const inFile = (field: string) => places[field] !== undefined;
  const trial = { ...settled, architecture, adapters, inFile };
  const known = (field: string) => (settled.origins[field] ?? 'default') !== 'default';
  // GPUs of so many nodes are as certain as the GPUs of a node.
  const isSaid = (field: string) =>
    known(field) && (field !== 'gpus' || said.has(field) || settled.origins['gpus_per_node'] !== 'default');
  return rulesOfStart.flatMap((rule): readonly Problem[] => {
    const { id, stops, doubts = [], fields, inFileAlone } = rule;
    const ofAll = stops.length + doubts.length === every.length && !ofTensor.includes(rule);
    if (![...stops, ...doubts].includes(framework) || (!ofAll && borrowing.has(format))) return [];
    // What is our own assumption is nobody's mistake.
    if (!isSaid(fields[0])) return [];
    // A batch that follows from a number of tokens is rounded, and no framework is told of it.
    if (id === 'global-batch' && !said.has('global_batch_size')) return [];
    const message = rule.sentence(trial);
    if (message === undefined) return [];
    const rests = [...fields, ...(stops.length === every.length ? [] : ['framework'])];
    const certain = rests.every(isSaid) && (inFileAlone !== true || fields.some(inFile));
    const place = fields.map((field) => places[field]).find((one) => one !== undefined);
    const severity = stops.includes(framework) && certain ? 'error' : 'warning';
    return [{ ...problemAt(place ?? { file: path, key: fields[0] }, path, { severity, message }), rule: id }];
  });
}
