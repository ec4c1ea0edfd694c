import type { Architecture } from '../model/architecture.ts';
import type { SettledRun } from '../model/training.ts';
import type { Estimate } from './estimate.ts';
import { countFlops } from './flops.ts';
import { estimateInference } from './inference.ts';
import { adapterParameters } from './lora.ts';
import { estimateMemory } from './memory.ts';
import { expand } from './operations.ts';
import { countParameters } from './parameters.ts';
import { projectTime } from './time.ts';

/** The cost of one architecture under one run: its operations, and the four quantities read off them. */
export function estimate(architecture: Architecture, settled: SettledRun): Estimate {
  const { run } = settled;
  const operations = expand(architecture);
  const counted = countParameters(architecture, operations);
  const parameters = run.lora ? { ...counted, trainable: adapterParameters(operations, run.lora) } : counted;
  const flops = countFlops(operations, run);
  return {
    operations,
    parameters,
    flops,
    memory: estimateMemory(operations, run),
    throughput: projectTime(operations, flops, run),
    inference: estimateInference(operations, run, parameters.checkpoint),
    run: settled,
    assumptions: [],
    problems: [],
  };
}
