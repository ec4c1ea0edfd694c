import { frameworkExecution, frameworks } from '../../facts/frameworks.ts';
import { recomputedShare } from '../../facts/steps.ts';
import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import type { Context } from './context.ts';
import type { LayerTime } from './layer.ts';
import { sum } from './parts.ts';
import { productSeconds } from './products.ts';

/** A layer's time with what recompute runs again before its backward pass. */
export function withRecompute(
  time: LayerTime,
  list: readonly Operation[],
  run: TrainingRun,
  context: Context,
): LayerTime {
  const again = recomputeSeconds(time, list, run, context);
  return { ...time, backward: { ...time.backward, recompute: time.backward.recompute + again } };
}

function recomputeSeconds(time: LayerTime, list: readonly Operation[], run: TrainingRun, context: Context): number {
  switch (run.recompute) {
    case 'none':
      return 0;
    case 'full':
      return fullSeconds(time, list, run, context);
    case 'selective':
      return frameworks[run.framework].selective === 'operations'
        ? recomputedShare.everySecond * time.forward.matrix_products + time.forward.memory_bound
        : moduleSeconds(time, list, run.recomputeModules ?? ['core_attn']);
  }
}

/** The whole forward pass; less its last product where the framework stops before it, but never faster than the host launches it. */
function fullSeconds(
  { forward, launches }: LayerTime,
  list: readonly Operation[],
  run: TrainingRun,
  context: Context,
): number {
  const every = run.recomputeMethod === 'every' ? 1 / Math.max(1, run.recomputeLayers ?? 1) : 1;
  const saved = lastProduct(list, run, context);
  return (saved === 0 ? sum(forward) : Math.max(sum(forward) - forward.host - saved, launches)) * every;
}

/** Seconds of a layer's last product, which nothing after it needs again; 0 where the framework runs it all the same. */
function lastProduct(list: readonly Operation[], run: TrainingRun, context: Context): number {
  if (!frameworkExecution[run.framework].recomputeStopsEarly) return 0;
  const last = list.findLast((operation) => operation.kind === 'linear');
  if (last?.kind !== 'linear' || last.sharding !== 'row') return 0;
  return productSeconds(last, last.columns, run, context)[0];
}

/** Megatron-Core's `--recompute-modules`. */
function moduleSeconds({ forward }: LayerTime, list: readonly Operation[], modules: readonly string[]): number {
  let seconds = 0;
  if (modules.includes('core_attn')) seconds += forward.attention;
  if (modules.includes('mlp') || modules.includes('moe')) {
    const experts = list.some((operation) => operation.kind === 'dispatch');
    seconds += (experts ? recomputedShare.experts : recomputedShare.dense) * forward.matrix_products;
  }
  if (modules.some((module) => module === 'layernorm' || module === 'moe_act' || module === 'mla_up_proj'))
    seconds += recomputedShare.memoryBound * forward.memory_bound;
  return seconds;
}
