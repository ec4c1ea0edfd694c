import type { Component } from '../../model/architecture.ts';
import type { FlopCount } from '../../model/estimate.ts';
import { ledger } from '../../model/ledger.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import type { TrainingRun } from '../../model/run.ts';
import { type Flops, flops } from '../../units.ts';
import { conventions } from './conventions.ts';
import { encoderFlops } from './encoders.ts';
import { forwardFlops } from './forward.ts';
import { recomputedFlops, type Trained } from './training.ts';
import { countKinds, mainNetwork } from './weights.ts';

/**
 * FLOPs for one token of a sequence of `run.sequenceLength` tokens, by component and by part, in the conventions of the
 * field. Encoders read a number of tokens of their own for each sequence, which counts with the sequence's. Training trains the multi-token-prediction layers too, unless the run says not to.
 */
export function countFlops(operations: Operations, run: TrainingRun): FlopCount {
  const { sequenceLength: S } = run;
  const main = [...mainNetwork(operations)];
  const encoders = encoderFlops(operations, run);
  const counted = conventions(operations, run, encoders.training);
  const counts = countKinds(operations);
  const training = counted.causal;
  const by = (name: (operation: Operation) => string, ofEncoder: (path: string) => string) =>
    ledger(flops, [
      ...main.map(({ operation, times }) => [name(operation), times * forwardFlops(operation, S)] as const),
      ...encoders.forward.map(([path, amount]) => [ofEncoder(path), amount] as const),
    ]);
  return {
    sequenceLength: S,
    forward: by(
      ({ component }) => component,
      () => 'towers',
    ),
    training,
    hardware: flops(training + recomputedFlops(operations, run, 'causal') + encoders.recomputed),
    conventions: counted,
    parts: by(
      ({ path }) => path,
      (path) => path,
    ),
    layers: operations.layers.map((layer, kind) => layerFlops(layer, counts[kind] ?? 0, S)),
    growth: growth(main, S),
    budget: flops(training * run.tokens),
  };
}

const attentionParts: readonly Component[] = ['attention', 'state_space'];
const feedForwardParts: readonly Component[] = ['feed_forward', 'experts', 'shared_experts'];

function layerFlops(layer: Operations['layers'][number], count: number, S: number): FlopCount['layers'][number] {
  const of = (wanted: (component: Component) => boolean): Flops =>
    flops(
      layer.operations.reduce(
        (sum, operation) => sum + (wanted(operation.component) ? forwardFlops(operation, S) : 0),
        0,
      ),
    );
  return {
    name: layer.name,
    count,
    attention: of((component) => attentionParts.includes(component)),
    feedForward: of((component) => feedForwardParts.includes(component)),
    router: of((component) => component === 'router'),
    other: of((component) => ![...attentionParts, ...feedForwardParts, 'router'].includes(component)),
  };
}

/** The forward pass at a quarter, half, one, two, four and sixteen times the sequence length. */
function growth(main: readonly Trained[], S: number): FlopCount['growth'] {
  return [0.25, 0.5, 1, 2, 4, 16].map((factor) => {
    const sequenceLength = Math.max(1, Math.round(S * factor));
    let attention = 0;
    let total = 0;
    for (const { operation, times } of main) {
      const amount = times * forwardFlops(operation, sequenceLength);
      total += amount;
      if (operation.kind === 'attention') attention += amount;
    }
    return { sequenceLength, attention: flops(attention), total: flops(total) };
  });
}
