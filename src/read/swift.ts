import type { Stating } from './stating.ts';

/** What ms-swift says alike in files, in launch scripts and over Megatron. */

export const swiftRead = 'ms-swift 3602360 (2026-08)';

/** Arguments that say whether adapters are trained, newest first; adapters have rank 8 unless another is stated. */
export const swiftTuners: readonly string[] = ['tuner_type', 'train_type'];
export const swiftRank = 8;

/** Which of them a file states. */
export const swiftTunerOf = (say: Stating): string | undefined => swiftTuners.find((key) => say.at(key) !== undefined);

/** What it takes where Trainer, TRL or Megatron take something else. */
export function sayDefaultsOfSwift(say: Stating, recompute: 'full' | 'selective'): void {
  say.byDefault('micro_batch_size', 1, `what ${swiftRead} takes`);
  say.byDefault('recompute', recompute, `what ${swiftRead} takes`);
  say.byDefault('precision', 'bf16', 'ms-swift takes the dtype of the model, mostly bf16');
}
