import type { Source } from './basis.ts';

/** Conventions that follow a codebase, which changes what it counts: the version that is reproduced here. */
export const conventionSources = {
  megatron: {
    title: 'Megatron-LM d98e8a6, num_floating_point_operations',
    url: 'https://github.com/NVIDIA/Megatron-LM/blob/d98e8a64ddf34856e74b24714e3bedb2f5a39553/megatron/training/training.py#L802',
    date: '2026-08-22',
  },
  torchtitan: {
    title: 'torchtitan since pull request 4300 (windows, delta rules, multi-token prediction), get_nparams_and_flops',
    url: 'https://github.com/pytorch/torchtitan/pull/4300',
    date: '2026-08-25',
  },
} as const satisfies Readonly<Record<string, Source>>;
