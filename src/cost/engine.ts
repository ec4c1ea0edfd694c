import type { Architecture } from '../model/architecture.ts';
import type { Cost } from '../model/estimate.ts';
import type { Operations } from '../model/operation.ts';
import type { SettledRun } from '../model/run.ts';
import { countFlops } from './count/flops.ts';
import { trainableParameters } from './count/frozen.ts';
import { estimateInference } from './count/inference.ts';
import { countParameters } from './count/parameters.ts';
import { expand } from './expand/model.ts';
import { estimateMemory } from './memory/peak.ts';
import { calibrate, projectTime } from './time/step.ts';

/**
 * The cost of one architecture under one run: its operations, and the four quantities read off them.
 *
 * @param calibration measured over projected throughput of the run that this one is a change of, where that was measured
 */
export function estimate(architecture: Architecture, settled: SettledRun, calibration?: number): Cost {
  const { run } = settled;
  const operations = expand(architecture);
  const counted = countParameters(architecture, operations);
  const parameters = { ...counted, trainable: trainableParameters(operations, run) };
  const flops = countFlops(operations, run);
  const projected = projectTime(operations, flops, settled);
  const ratio = run.calibration ?? calibration ?? calibrate(run, projected);
  const calibrated = ratio === undefined ? run : { ...run, calibration: ratio };
  return {
    ...routingOf(operations),
    parameters,
    flops,
    memory: estimateMemory(operations, run),
    throughput: ratio === run.calibration ? projected : projectTime(operations, flops, { ...settled, run: calibrated }),
    inference: estimateInference(operations, settled, parameters.checkpoint),
    run: { ...settled, run: calibrated },
  };
}

function routingOf({ layers }: Operations): Pick<Cost, 'routing'> {
  const routed = layers.flatMap(({ operations }) => operations.find(({ kind }) => kind === 'route') ?? [])[0];
  return routed?.kind === 'route' ? { routing: { active: routed.active, experts: routed.experts } } : {};
}
