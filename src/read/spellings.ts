import type { Dtype, OptimizerName, Precision, ShardingStage } from '../model/run.ts';
import { textOf } from '../text/fields.ts';

/** A dtype in any of its spellings: `bfloat16`, `BF_16`, `torch.float32`, `16-mixed`. */
export function dtypeOf(value: unknown): Extract<Dtype & Precision, 'fp32' | 'fp16' | 'bf16' | 'fp8'> | undefined {
  const word = textOf(value).slice(0, 60).toLowerCase().replaceAll('_', '');
  if (/bf16|bfloat16/.test(word)) return 'bf16';
  if (/fp8|float8|f8/.test(word)) return 'fp8';
  if (/fp16|float16|f16|half/.test(word)) return 'fp16';
  if (/fp32|float32|f32|^float$|^32/.test(word)) return 'fp32';
  return /^16/.test(word) ? 'fp16' : undefined;
}

/** An optimizer by the name of its class or component, in any spelling; undefined where it is another than those counted. */
export function optimizerOf(value: unknown): OptimizerName | undefined {
  const word = textOf(value).slice(0, 200).toLowerCase().replaceAll('_', '');
  if (/adam.*8bit|8bit.*adam/.test(word)) return 'adamw_8bit';
  if (/adamw/.test(word)) return 'adamw';
  if (/adafactor/.test(word)) return 'adafactor';
  if (/muon/.test(word)) return 'muon';
  if (/lion/.test(word)) return 'lion';
  if (/adam/.test(word)) return 'adam';
  return /sgd/.test(word) ? 'sgd' : undefined;
}

/** Stages of ZeRO by their number, and what PyTorch's FSDP calls them. */
export function shardingOf(value: unknown): ShardingStage | undefined {
  const word = textOf(value).slice(0, 60).toUpperCase();
  if (/NO_SHARD|^0$|^DDP$/.test(word)) return 'none';
  if (/SHARD_GRAD_OP|ZERO2|^2$/.test(word)) return 'gradients';
  if (/FULL_SHARD|HYBRID_SHARD|^3$/.test(word)) return 'full';
  return word === '1' ? 'optimizer' : undefined;
}
