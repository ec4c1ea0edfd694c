// Estimates the peak memory of published runs and prints the errors by source.
//
//   node scripts/node24.mjs scripts/evaluate-memory.ts [--cases FILE] [--group NAME,NAME] [--worst 20] [--rows]
//
// Cases are {group, model, config, run, measured: {memory_gib, memory_metric}}; the default is the committed table
// test/oracle/memory.json. An error is |estimated / measured - 1|, a group's figure its median.
import { parseArgs } from 'node:util';
import { compare, loadMemory, mean, median, percent, quantile } from './memory.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string' },
    group: { type: 'string' },
    worst: { type: 'string', default: '0' },
    rows: { type: 'boolean', default: false },
  },
});
const wanted = values.group?.split(',');
const rows = loadMemory(values.cases)
  .filter((one) => wanted === undefined || wanted.includes(one.group))
  .map(compare);

console.log(`${'source'.padEnd(34)} rows  refused   signed   median     mean     90th      max`);
for (const group of [...new Set(rows.map(({ one }) => one.group))].sort()) {
  const own = rows.filter(({ one }) => one.group === group);
  const errors = own.map(({ error }) => error);
  const signed = median(own.map(({ ratio }) => ratio - 1));
  const refused = own.filter(({ failed }) => failed !== undefined).length;
  const cells = [signed, median(errors), mean(errors), quantile(errors, 0.9), Math.max(...errors)];
  console.log(
    `${group.padEnd(34)} ${String(own.length).padStart(4)} ${String(refused).padStart(8)} ${cells.map((x) => percent(x).padStart(8)).join(' ')}`,
  );
}
const shown = values.rows ? rows : [...rows].sort((a, b) => b.error - a.error).slice(0, Number(values.worst));
for (const { one, ratio, failed, estimate, bytes } of shown) {
  const parts = Object.entries(estimate?.parts.lines ?? {}).map(([name, n]) => `${name} ${(n / 2 ** 30).toFixed(2)}`);
  console.log(
    `${one.id} ${one.model}: ${one.measured.memory_gib.toFixed(2)} GiB measured, ${failed ?? `${(bytes / 2 ** 30).toFixed(2)} (${percent(ratio - 1)}) stage ${estimate?.stage} ${estimate?.phase}: ${parts.join(', ')}`}`,
  );
}
