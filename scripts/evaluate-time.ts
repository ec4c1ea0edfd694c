// Projects the throughput of published runs and prints the errors by source.
//
//   node scripts/node24.mjs scripts/evaluate-time.ts [--cases FILE] [--group NAME,NAME] [--worst 20]
//
// Cases are {group, model, config, run, measured}; the default is the committed table test/oracle/runs.json.
// An error is |projected / measured - 1|. A group's figure is its median; the figure of all is the mean of the groups'
// medians, so that a source with many rows does not drown the others.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Case, error, kinds, loadCases, percent, project, quantile } from './measured.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string' },
    group: { type: 'string' },
    worst: { type: 'string', default: '0' },
    kind: { type: 'string' },
    output: { type: 'string' },
  },
});
const wanted = values.group?.split(',');
const cases = loadCases(values.cases).filter((one) => wanted === undefined || wanted.includes(one.group));
const rows = cases.map((one: Case) => ({ one, ...project(one) }));

function table(title: string, of: typeof rows) {
  if (of.length === 0) return;
  console.log(`\n${title}: ${of.length} rows\n${'source'.padEnd(34)} rows  refused   signed  median|error|   90th`);
  const groups = [...new Set(of.map(({ one }) => one.group))].sort();
  const medians = groups.map((group) => {
    const own = of.filter(({ one }) => one.group === group);
    const median = quantile(own.map(error), 0.5);
    const signed = quantile(
      own.map(({ ratio }) => ratio - 1),
      0.5,
    );
    const refused = own.filter(({ ratio }) => !Number.isFinite(ratio)).length;
    console.log(
      `${group.padEnd(34)} ${String(own.length).padStart(4)}  ${String(refused).padStart(7)}  ${percent(signed).padStart(7)}  ${percent(median).padStart(13)}  ${percent(quantile(own.map(error), 0.9)).padStart(6)}`,
    );
    return median;
  });
  const mean = medians.reduce((sum, one) => sum + one, 0) / medians.length;
  console.log(
    `mean of the sources' medians ${percent(mean)}, median of all ${percent(quantile(of.map(error), 0.5))}, mean of all ${percent(of.map(error).reduce((a, b) => a + b, 0) / of.length)}`,
  );
}

for (const kind of kinds) {
  if (values.kind !== undefined && values.kind !== kind) continue;
  const own = rows.filter((row) => row.kind === kind);
  table(
    kind,
    own.filter(({ one }) => one.check !== true),
  );
  table(
    `${kind}, held apart`,
    own.filter(({ one }) => one.check === true),
  );
}
table('all', rows);
const worst = [...rows].sort((a, b) => error(b) - error(a)).slice(0, Number(values.worst));
for (const { one, ratio, failed } of worst)
  console.log(`  ${one.id} ${one.group} ${one.model}: ${failed ?? percent(ratio - 1)}`);
if (values.output !== undefined)
  writeFileSync(
    values.output,
    JSON.stringify(
      rows.map(({ one, ratio, kind, parts, step }) => ({
        id: one.id,
        group: one.group,
        model: one.model,
        kind,
        ratio,
        step,
        parts,
        run: one.run,
      })),
    ),
  );
