// How many projections a second: every committed run, read once, projected over and over.
//
//   node scripts/node24.mjs scripts/bench.ts [--seconds 3]
import { parseArgs } from 'node:util';
import { countFlops } from '../src/cost/count/flops.ts';
import { estimateMemory } from '../src/cost/memory/peak.ts';
import { projectTime } from '../src/cost/time/step.ts';
import { loadCases, prepare } from './measured.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' } } });
const limit = Number(values.seconds) * 1000;
const ready = loadCases()
  .map(prepare)
  .filter((one) => typeof one !== 'string');

function measure(name: string, once: (one: (typeof ready)[number]) => unknown) {
  for (const one of ready) once(one);
  let count = 0;
  const start = performance.now();
  while (performance.now() - start < limit) {
    for (const one of ready) once(one);
    count += ready.length;
  }
  const took = performance.now() - start;
  console.log(
    `${name.padEnd(10)} ${Math.round((1000 * count) / took)} a second, ${((1000 * took) / count).toFixed(0)} microseconds each`,
  );
}

measure('FLOPs', ({ operations, settled }) => countFlops(operations, settled.run));
const counted = new Map(ready.map((one) => [one, countFlops(one.operations, one.settled.run)]));
measure('step time', (one) => {
  const flops = counted.get(one);
  return flops && projectTime(one.operations, flops, one.settled);
});
measure('memory', ({ operations, settled }) => estimateMemory(operations, settled.run));
