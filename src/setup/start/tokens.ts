import { tokensOfStep } from '../../model/run.ts';
import { replicaOf } from '../relations.ts';
import { degree, headsOf, multiple, nearest, replicasOf, uneven } from './division.ts';
import { deepspeed, every, megatron, type Rule, tells, titan } from './rule.ts';

/** Rules of sequences, batches and context parallelism. */

export const ofTokens: readonly Rule[] = [
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
    saidAlone: true,
    sentence: ({ run }) => {
      const replicas = replicasOf(run);
      const smallest = replicas * run.microBatchSize;
      if (run.globalBatchSize % smallest === 0) return undefined;
      return `A global batch of ${run.globalBatchSize} sequences is not a multiple of micro-batch ${run.microBatchSize} x ${replicas} replicas = ${smallest}. ${tells(`global_batch_size ${multiple(run.globalBatchSize, smallest)}`)}`;
    },
  },
];
