import {
  degree,
  expertsOf,
  headsOf,
  keyValueHeadsOf,
  multiple,
  nearest,
  partsOf,
  uneven,
  widthsOf,
} from './division.ts';
import { accelerate, every, megatron, type Rule, tells, titan } from './rule.ts';

/** Rules of tensor and sequence parallelism. */

export const ofTensor: readonly Rule[] = [
  {
    id: 'heads-by-tensor',
    sources: [megatron('core/transformer/transformer_config.py#L1446'), 'arithmetic: each GPU has whole heads'],
    stops: every,
    fields: ['parallelism.tensor'],
    // A compiler may lay heads out otherwise.
    notBorrowed: true,
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
