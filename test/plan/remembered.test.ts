import { describe, expect, it } from 'vitest';
import { estimateMemory } from '../../src/cost/memory/peak.ts';
import { projectTime } from '../../src/cost/time/step.ts';
import type { RunFields, TrainingRun } from '../../src/model/run.ts';
import { type Start, startOf } from '../../src/plan/question.ts';
import type { Space } from '../../src/plan/space.ts';
import { gibibytes } from '../../src/units.ts';
import { mixture, modelOf } from '../cost/estimates.ts';
import { bounded, searched, spaceFrom } from './plans.ts';

/** Experts behind an encoder, so that each part of the figures is there. */
const seeing = modelOf({
  model_type: 'llava',
  text_config: { ...mixture, hidden_size: 256, intermediate_size: 512, num_key_value_heads: 4 },
  vision_config: {
    model_type: 'clip_vision_model',
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 56,
    patch_size: 14,
  },
});

const usual: RunFields = {
  accelerator: 'h100-sxm-80gb',
  gpus: 4,
  sequenceLength: 4096,
  globalBatchSize: 16,
  microBatchSize: 2,
};

/** Each field of a run with a value that is not the usual one, and what has to go with it. */
const fields: { readonly [Field in keyof TrainingRun]-?: RunFields & Required<Pick<RunFields, Field>> } = {
  accelerator: { accelerator: 'a100-sxm-80gb' },
  gpus: { gpus: 16 },
  sequenceLength: { sequenceLength: 8192 },
  microBatchSize: { microBatchSize: 4 },
  globalBatchSize: { globalBatchSize: 32 },
  precision: { precision: 'fp8' },
  fp8Recipe: { precision: 'fp8', fp8Recipe: 'blockwise' },
  optimizer: { optimizer: 'muon' },
  framework: { framework: 'deepspeed' },
  frameworkVersion: { framework: 'transformers', frameworkVersion: '4.46' },
  sharding: { sharding: 'none' },
  recompute: { recompute: 'full' },
  flashAttention: { flashAttention: false },
  fusedCrossEntropy: { fusedCrossEntropy: false },
  compile: { compile: true },
  compileLoss: { compile: true, compileLoss: false },
  optimizerImplementation: { optimizerImplementation: 'foreach' },
  parallelism: { parallelism: { tensor: 2, sequenceParallel: false } },
  weightsDtype: { weightsDtype: 'bf16' },
  gradientsDtype: { gradientsDtype: 'bf16' },
  optimizerDtype: { optimizerDtype: 'bf16' },
  masterWeights: { masterWeights: false },
  gpusPerNode: { gpusPerNode: 2 },
  interNodeGbpsPerGpu: { interNodeGbpsPerGpu: 100 },
  powerCapWatts: { powerCapWatts: 400 },
  pricePerGpuHour: { pricePerGpuHour: 2 },
  expertImbalance: { expertImbalance: 1.5 },
  capacityFactor: { capacityFactor: 1.25 },
  lora: { lora: { rank: 8, targets: ['all-linear'], baseBits: 16 } },
  freeze: { freeze: ['vision'] },
  imagesPerSequence: { imagesPerSequence: 3 },
  imageSize: { imageSize: 112 },
  audioSecondsPerSequence: { audioSecondsPerSequence: 60 },
  tokens: { tokens: 1e12 },
  recomputeModules: { recompute: 'selective', recomputeModules: ['layernorm', 'mlp'] },
  recomputeMethod: { recompute: 'full', recomputeMethod: 'block', recomputeLayers: 1 },
  recomputeLayers: { recompute: 'full', recomputeMethod: 'uniform', recomputeLayers: 2 },
  pipelineSchedule: { parallelism: { pipeline: 2 }, pipelineSchedule: 'gpipe' },
  layersPerStage: { parallelism: { pipeline: 2 }, layersPerStage: [1, 3] },
  contextParallelStyle: { parallelism: { context: 2 }, contextParallelStyle: 'all_to_all' },
  offload: { offload: 'activations' },
  lossChunks: { lossChunks: 4 },
  cudaGraphs: { cudaGraphs: true },
  reshardAfterForward: { framework: 'fsdp', reshardAfterForward: false },
  shardGroup: { framework: 'fsdp', shardGroup: 2 },
  expandableSegments: { expandableSegments: false },
  attentionKernel: { attentionKernel: 'flash2' },
  overlapTensorParallel: { overlapTensorParallel: true },
  tf32: { precision: 'fp32', tf32: false },
  dropout: { dropout: true },
  mtp: { mtp: false },
  sequencesPerSample: { sequencesPerSample: 2 },
  colocated: { colocated: { reference: { holds: 'weights' }, critic: { holds: 'states' } } },
  rollout: { rollout: { share: 0.3, beside: 'weights', sleeps: false } },
  calibration: { calibration: 0.9 },
  measuredTokensPerSecond: { measuredTokensPerSecond: 100_000 },
  memoryCalibration: { memoryCalibration: 1.2 },
  measuredDeviceBytes: { measuredDeviceBytes: gibibytes(9) },
};

function startWith(stated: RunFields) {
  const start = startOf([{ origin: 'run', fields: { ...usual, ...stated } }], seeing);
  if (start.kind === 'unsettled') throw new Error(start.message);
  return start;
}

/** Two values of each field that a search chooses, which is all that sharing takes. */
function spaceAround(start: Start): Space {
  const two = [1, 2] as const;
  const degrees = { tensor: two, pipeline: two, virtualPipeline: two, context: two, expert: two };
  return { ...spaceFrom(start), ...degrees, microBatchSize: [1, 4] };
}

/** What a change that a report proposes does to a run. */
const changes: Readonly<Record<string, (run: TrainingRun) => TrainingRun>> = {
  'recompute: full': (run) => ({ ...run, recompute: 'full' }),
  'fused_cross_entropy: true': (run) => ({ ...run, fusedCrossEntropy: true }),
  'micro_batch_size: 1': (run) => ({ ...run, microBatchSize: 1 }),
  'sharding: optimizer': (run) => ({ ...run, sharding: 'optimizer' }),
  'sharding: full': (run) => ({ ...run, sharding: 'full' }),
  'parallelism.sequence_parallel: true': (run) => ({
    ...run,
    parallelism: { ...run.parallelism, sequenceParallel: run.parallelism.tensor > 1 },
  }),
  'flash_attention: true': (run) => ({ ...run, flashAttention: true }),
};

// Figures of layers, stages and matrices are remembered under the fields of a run that they depend on: a field that such a key lacks
// gives one run the figures of another.
describe.each(['megatron', 'fsdp'] as const)('figures that %s runs of one search share', (framework) => {
  it.each(Object.entries(fields))('are those of a report of each, with %s stated', (_, stated) => {
    const start = startWith({ framework, ...stated });
    const { plans } = searched(start, gibibytes(80), bounded(), spaceAround(start));
    const some = plans.filter((_plan, index) => index % Math.ceil(plans.length / 15) === 0);
    expect(some.length).toBeGreaterThan(5);
    for (const { run, device, tokensPerSecond } of some) {
      expect([estimateMemory(start.operations, run, false).device, run]).toEqual([device, run]);
      const time = projectTime(start.operations, start.cost.flops, { run, machine: start.settled.machine });
      expect([tokensPerSecond / ((time.tokensPerSecondPerGpu ?? 0) * run.gpus), run]).toEqual([
        expect.closeTo(1, 12),
        run,
      ]);
    }
  });

  it.each(Object.entries(fields))('save what a report of the changed run has less, with %s stated', (_, stated) => {
    const { operations, cost } = startWith({ framework, ...stated });
    const { run } = cost.run;
    const { device, savings } = estimateMemory(operations, run);
    const expected = Object.entries(changes)
      .map(([change, of]) => [change, device - estimateMemory(operations, of(run), false).device] as const)
      .filter(([, saves]) => saves > 0.01 * device);
    expect(new Map(savings.map(({ change, saves }) => [change, Math.round(saves)]))).toEqual(
      new Map(expected.map(([change, saves]) => [change, Math.round(saves)])),
    );
  });
});
