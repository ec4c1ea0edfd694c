import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { mainNetwork } from '../count/weights.ts';

type Band = { readonly band: number; readonly basis: string };

/** The error that the comparisons support for this kind of model and run (docs/memory.md). */
export function memoryBand(operations: Operations, run: TrainingRun): Band {
  const unlike = unmeasured(operations);
  if (unlike === undefined) return frameworkBand(run);
  return {
    band: Math.max(0.15, frameworkBand(run).band),
    basis: `${unlike}: arithmetic, compared with no measured run`,
  };
}

/** Models like which none was measured. */
function unmeasured(operations: Operations): string | undefined {
  for (const { operation } of mainNetwork(operations)) {
    if (operation.kind === 'scan') return 'layers with a recurrent state';
    if (seesBothWays(operation)) return 'attention that sees both ways';
  }
  return undefined;
}

export const seesBothWays = (operation: Operation): boolean => operation.kind === 'attention' && !operation.causal;

function frameworkBand(run: TrainingRun): Band {
  switch (run.framework) {
    case 'megatron':
      return megatron(run);
    case 'fsdp':
      return {
        band: 0.06,
        basis: "FSDP2: compared with PyTorch's own allocations and a model of its allocator, not with a measured run",
      };
    case 'deepspeed':
      return { band: 0.15, basis: 'DeepSpeed: arithmetic from what it keeps, compared with no measured run' };
    case 'transformers':
      return transformers(run);
  }
}

function megatron(run: TrainingRun): Band {
  const { virtualPipeline } = run.parallelism;
  if (run.precision !== 'bf16') {
    return { band: 0.1, basis: 'Megatron-Core below 16 bits: arithmetic, compared with no measured run' };
  }
  return virtualPipeline > 1 || run.recompute === 'selective'
    ? { band: 0.06, basis: 'Megatron-Core: compared with few measured runs of this kind' }
    : { band: 0.03, basis: 'Megatron-Core in bf16: compared with measured peaks on B200 and H100' };
}

function transformers(run: TrainingRun): Band {
  if (run.gpus > 1)
    return { band: 0.15, basis: 'Hugging Face Trainer on several GPUs: compared with fine-tuning on A100' };
  return run.lora === undefined
    ? {
        band: 0.05,
        basis: "Hugging Face Trainer: compared with PyTorch's own allocations and with fine-tuning on A100",
      }
    : { band: 0.08, basis: 'adapters: compared with fine-tuning on A100' };
}
