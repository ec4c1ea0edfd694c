import type { Architecture } from '../model/architecture.ts';
import type { Cost } from '../model/estimate.ts';
import type { Operations } from '../model/operation.ts';
import type { SettledRun } from '../model/run.ts';
import { type Calibrations, calibrationsOf } from './calibrations.ts';
import { countFlops } from './count/flops.ts';
import { trainableParameters } from './count/frozen.ts';
import { estimateInference } from './count/inference.ts';
import { countParameters } from './count/parameters.ts';
import { expand } from './expand/model.ts';
import { estimateMemory } from './memory/peak.ts';
import { projectTime } from './time/step.ts';

/**
 * The cost of one architecture under one run: its operations, and the four quantities read off them.
 *
 * @param before what scales the run that this one is a change of; undefined where it is no change, so that what it reached is its own
 * @param saving whether changes of the run that would save memory are tried, which takes as long as all else
 */
export function estimate(architecture: Architecture, settled: SettledRun, before?: Calibrations, saving = true): Cost {
  const { run } = settled;
  const operations = expand(architecture);
  const counted = countParameters(architecture, operations);
  const parameters = { ...counted, trainable: trainableParameters(operations, run) };
  const flops = countFlops(operations, run);
  const projected = projectTime(operations, flops, settled);
  const peak = estimateMemory(operations, run, saving);
  const calibrated = { ...run, ...calibrationsOf(run, before, projected, peak) };
  return {
    ...routingOf(operations),
    parameters,
    flops,
    memory:
      calibrated.memoryCalibration === run.memoryCalibration ? peak : estimateMemory(operations, calibrated, saving),
    throughput:
      calibrated.calibration === run.calibration
        ? projected
        : projectTime(operations, flops, { ...settled, run: calibrated }),
    inference: estimateInference(operations, settled, parameters.checkpoint),
    run: { ...settled, run: calibrated },
  };
}

function routingOf({ layers }: Operations): Pick<Cost, 'routing'> {
  const routed = layers.flatMap(({ operations }) => operations.find(({ kind }) => kind === 'route') ?? [])[0];
  return routed?.kind === 'route' ? { routing: { active: routed.active, experts: routed.experts } } : {};
}
