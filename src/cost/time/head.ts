import { elementBytes, estimated, profiles } from '../../facts/steps.ts';
import type { Linear, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { compilesLoss } from '../memory/loss.ts';
import type { Context } from './context.ts';
import { layerTime } from './layer.ts';
import { add, none, type Parts } from './parts.ts';
import { residualWidth } from './pipeline.ts';
import { productSeconds } from './products.ts';

/** Seconds of the output, the loss, the last norm, and layers that predict further tokens, for one micro-batch. */
export function headTime(operations: Operations, run: TrainingRun, context: Context): Parts {
  const parts = none();
  const head = operations.head.find(
    (operation): operation is Linear => operation.kind === 'linear' && operation.component === 'output',
  );
  const depth = 1 + operations.predictionDepth;
  if (head !== undefined) {
    const [f, b] = productSeconds(head, head.columns, run, context);
    parts.matrix_products += depth * (f + b);
    const whole = run.compile && !compilesLoss(run) ? profiles.transformers.loss : context.profile.loss;
    const bytes = run.fusedCrossEntropy ? Math.min(whole, estimated.fusedLoss) : whole;
    parts.loss += (depth * ((context.T * head.columns) / run.parallelism.tensor) * bytes) / context.bandwidth;
  }
  parts.memory_bound += (elementBytes.ends * residualWidth(operations) * context.T) / context.bandwidth;
  if (operations.prediction.length > 0) {
    const { forward, backward } = layerTime(operations.prediction, run, context);
    add(parts, forward);
    add(parts, backward);
  }
  return parts;
}
