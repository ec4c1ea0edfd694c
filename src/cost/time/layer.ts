import { launches as launchFacts } from '../../facts/steps.ts';
import type { TimePart } from '../../model/estimate.ts';
import type { Operation } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { isTarget } from '../count/lora.ts';
import { attentionSeconds } from './attention.ts';
import type { Context } from './context.ts';
import { elementarySeconds, isElementary } from './elementary.ts';
import { hostSeconds, launchSeconds, waitsForRouter } from './host.ts';
import { contextCollectives, expertCollectives, tensorCollectives } from './layer-collectives.ts';
import { memoryBound, trafficOf } from './memory-bound.ts';
import { none, type Parts, type Passes, sum } from './parts.ts';
import { adapterProductSeconds, fusedProducts, productSeconds } from './products.ts';

/** Seconds of one layer and one micro-batch on one GPU. */
export type LayerTime = {
  readonly forward: Parts;
  readonly backward: Parts;
  /** seconds that the host launches the forward pass for */
  readonly launches: number;
};

/** The time of a layer's operations, of their collectives, and of waiting for the host. */
export function layerTime(list: readonly Operation[], run: TrainingRun, context: Context): LayerTime {
  const forward = none();
  const backward = none();
  const spend = (part: TimePart, [f, b]: Passes) => {
    forward[part] += f;
    backward[part] += b;
  };
  for (const { first, columns } of fusedProducts(list, context))
    spend('matrix_products', productSeconds(first, columns, run, context));
  const traffic = trafficOf(list, context);
  for (const operation of list) {
    if (!context.profile.writesOut || !isElementary(operation))
      for (const passes of memoryBound(operation, run, context, traffic)) spend('memory_bound', passes);
    if (operation.kind === 'linear' && run.lora !== undefined && isTarget(operation, run.lora))
      spend('matrix_products', adapterProductSeconds(operation, run.lora, run, context));
    if (operation.kind === 'attention') {
      const work = attentionSeconds(operation, run, context);
      spend('attention', work);
      spend('exposed_context', contextCollectives(operation, work, run, context));
    }
    if (operation.kind === 'dispatch') spend('exposed_expert', expertCollectives(operation, run, context));
  }
  spend('exposed_tensor', tensorCollectives(list, run, context));
  spend('memory_bound', context.profile.writesOut ? elementarySeconds(list, run, context) : gapSeconds(context));
  const launches = launchSeconds(list, run, context);
  const waits = waitsForRouter(list);
  spend('host', [
    hostSeconds(sum(forward), launches, waits),
    hostSeconds(sum(backward), launchFacts.backward * launches, waits),
  ]);
  return { forward, backward, launches };
}

/** Between a layer's kernels, twice as many backward. */
function gapSeconds({ profile, kernels }: Context): Passes {
  const gaps = profile.kernels * kernels.gap * launchFacts.gaps;
  return [gaps, 2 * gaps];
}
