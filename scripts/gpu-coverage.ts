// Prints every measured step of test/oracle/gpu.jsonl against this tool's figures, and by framework, kind and accelerator how many lie
// within the bands that are printed, and the width that nine of ten would need.
//   node scripts/node24.mjs scripts/gpu-coverage.ts
import { type Step, steps } from './gpu.ts';
import { median, percent, quantile } from './memory.ts';

const all = steps();
const columns = ['allocated', 'reserved', 'device', 'seconds'] as const;
for (const step of all)
  console.log(
    `${step.name.padEnd(52)} ${columns.map((name) => `${name} ${percent(step[name]).padStart(8)}`).join('  ')}  ${step.inBand ? '' : 'outside'}`,
  );

const summary = (name: string, of: readonly Step[]) => {
  const errors = of.map(({ device }) => Math.abs(device));
  const inside = of.filter(({ inBand }) => inBand).length;
  console.log(
    `${name.padEnd(52)} ${of.length} rows, device: median ${percent(median(errors))}, 90th ${percent(quantile(errors, 0.9))}, within the band ${inside}; time within ${of.filter(({ inMfuBand }) => inMfuBand).length}`,
  );
};
const groupOf = ({ framework, kind, accelerator }: Step) => `${framework}, ${kind}, ${accelerator}`;
for (const group of [...new Set(all.map(groupOf))].sort())
  summary(
    group,
    all.filter((step) => groupOf(step) === group),
  );
summary('all', all);
console.log(
  'Of H200 this is a fit and no check: what the Trainer reserves beyond what it allocates, and its bands, were fitted on these rows.',
);
