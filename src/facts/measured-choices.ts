import type { frameworks } from './frameworks.ts';

/** What of a run was chosen where its speed was measured: degrees above 1, and values of other fields. */
export type MeasuredChoices = {
  readonly degrees: readonly string[];
  readonly sharding: readonly string[];
  readonly recompute: readonly string[];
  readonly offload: readonly string[];
};

/**
 * Choices that at least one published run has whose speed is known, by framework. A test reads them off test/oracle/runs.json once more,
 * so that none stands here that no row has, and none of a row is missing.
 */
export const measuredChoices: { readonly [Name in keyof typeof frameworks]: MeasuredChoices } = {
  megatron: {
    degrees: ['tensor', 'pipeline', 'virtualPipeline', 'context', 'expert'],
    sharding: ['none', 'optimizer', 'full'],
    recompute: ['none', 'selective', 'full'],
    offload: ['none'],
  },
  fsdp: {
    degrees: ['tensor', 'pipeline', 'virtualPipeline', 'context', 'expert'],
    sharding: ['gradients', 'full'],
    recompute: ['none', 'selective', 'full'],
    offload: ['none'],
  },
  deepspeed: {
    degrees: ['tensor', 'pipeline', 'context'],
    sharding: ['optimizer', 'full'],
    recompute: ['none', 'full'],
    offload: ['none', 'optimizer'],
  },
  transformers: {
    degrees: [],
    sharding: ['none', 'full'],
    recompute: ['none', 'full'],
    offload: ['none'],
  },
};
