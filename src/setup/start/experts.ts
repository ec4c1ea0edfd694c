import { expertsOf, nearest, uneven } from './division.ts';
import { every, megatron, type Rule, tells, titan } from './rule.ts';

/** Rules of expert parallelism. */

export const ofExperts: readonly Rule[] = [
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
