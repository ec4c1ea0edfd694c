import type { TrainingRun } from '../model/training.ts';

/** The error that the comparison with measured runs supports for this kind of run (docs/memory.md). */
export function memoryBand(run: TrainingRun): { readonly band: number; readonly basis: string } {
  if (run.framework === 'megatron') {
    const exotic = run.precision !== 'bf16' || run.parallelism.virtualPipeline > 1;
    return exotic
      ? { band: 0.08, basis: 'Megatron-Core: arithmetic, compared with few measured runs of this kind' }
      : { band: 0.03, basis: 'Megatron-Core in bf16: compared with measured peaks on B200 and H100' };
  }
  if (run.framework === 'transformers')
    return { band: 0.15, basis: 'Hugging Face Trainer: compared with measured fine-tuning on A100' };
  return { band: 0.1, basis: 'compared with few measured runs of this framework' };
}
