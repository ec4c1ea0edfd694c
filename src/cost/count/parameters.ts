import type { Architecture, Component } from '../../model/architecture.ts';
import type { ParameterCount } from '../../model/estimate.ts';
import { isExact, restsOn } from '../../model/evidence.ts';
import { ledger } from '../../model/ledger.ts';
import type { Operation, Operations } from '../../model/operation.ts';
import { parameters } from '../../units.ts';
import { checkpointBytes } from './checkpoint.ts';
import { activeParametersOf, countKinds, mainNetwork, parametersOf } from './weights.ts';

/**
 * Parameters of a model, to the last one. Biases that correct a router's load are counted, as published checkpoints store
 * them; multi-token-prediction layers are counted apart.
 */
export function countParameters(architecture: Architecture, operations: Operations): ParameterCount {
  const main = [...mainNetwork(operations)];
  const counts = countKinds(operations);
  const sum = (take: (operation: Operation) => number) =>
    main.reduce((total, { operation, times }) => total + times * take(operation), 0);
  const towers = operations.towers.reduce((total, tower) => total + parametersOf(tower), 0);
  const ofComponent = (wanted: Component) =>
    sum((operation) => (operation.component === wanted ? parametersOf(operation) : 0));
  const active = sum(activeParametersOf);
  const embedding = ofComponent('embedding');
  const output = ofComponent('output');
  const tied = operations.head.some((operation) => operation.kind === 'linear' && operation.tied);
  const total = sum(parametersOf) + towers;
  return {
    total: parameters(total),
    active: parameters(active),
    activeWithoutEmbedding: parameters(tied ? active : active - embedding),
    activeWithoutEmbeddings: parameters(active - embedding - output),
    mtp: parameters(operations.prediction.reduce((count, operation) => count + parametersOf(operation), 0)),
    towers: parameters(towers),
    trainable: parameters(total),
    components: ledger(parameters, [
      ...main.map(({ operation, times }) => [operation.component, times * parametersOf(operation)] as const),
      ['towers', towers] as const,
    ]),
    parts: ledger(parameters, [
      ...main.map(({ operation, times }) => [operation.path, times * parametersOf(operation)] as const),
      ...operations.towers.map((tower) => [tower.path, parametersOf(tower)] as const),
    ]),
    layers: operations.layers.map((layer, kind) => ({
      name: layer.name,
      count: counts[kind] ?? 0,
      parameters: parameters(layer.operations.reduce((count, operation) => count + parametersOf(operation), 0)),
    })),
    checkpoint: checkpointBytes(architecture, operations),
    exact: isExact(architecture),
    restsOn: restsOn(architecture),
  };
}
