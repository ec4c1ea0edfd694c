// Predicts each source of measured runs with constants that were fitted without its rows.
//
//   node scripts/node24.mjs scripts/cross-validate.ts [--kind "dense, 16 bits"] [--rounds 3]
//
// Every constant that was fitted on whole training steps is fitted again, by coordinate descent from its committed value within
// bounds that keep it physical, on all sources but one; the source left out is then predicted. Rows are weighted so that no
// source drowns the others (1 / sqrt(max(1, n / 15))), the loss is a soft absolute log error, and a weak prior pulls to the
// committed value. A constant that ends at a bound is named: it is a fault of the model. Rows marked as checks are left out of every
// fit.
import { parseArgs } from 'node:util';
import { type AcceleratorId, accelerators, type Generation } from '../src/facts/accelerators.ts';
import { type KernelFacts, kernelsOf } from '../src/facts/kernels.ts';
import { type StepFacts, stepFacts } from '../src/facts/steps.ts';
import { type Case, error, kinds, loadCases, percent, project, quantile } from './measured.ts';

const { values } = parseArgs({
  options: { kind: { type: 'string', default: 'dense, 16 bits' }, rounds: { type: 'string', default: '3' } },
});
if (!kinds.some((kind) => kind === values.kind)) throw new Error(`--kind is one of ${kinds.join('; ')}.`);

type Constant = { readonly name: string; readonly start: number; readonly low: number; readonly high: number };

const ofStep = (name: keyof StepFacts, low: number, high: number): Constant => ({
  name,
  start: stepFacts[name],
  low,
  high,
});
const sustainedBy = ({ sustained, low }: KernelFacts, name: string): number =>
  name.startsWith('low') && low !== null ? low.sustained : sustained;
const sustained = (id: AcceleratorId, name: string): Constant => ({
  name,
  start: sustainedBy(kernelsOf(accelerators[id]), name),
  low: 0.9,
  high: 2,
});

const constants: Readonly<Record<string, readonly Constant[]>> = {
  'dense, 16 bits': [
    sustained('a100-sxm-80gb', 'sustained ampere'),
    sustained('h100-sxm-80gb', 'sustained hopper'),
    sustained('b200-sxm', 'sustained b200'),
    sustained('gb200-nvl72', 'sustained gb200'),
    ofStep('traffic', 0.8, 2),
    ofStep('attention', 0.6, 1.3),
    ofStep('contention', 0, 0.6),
    ofStep('fsdpCollective', 0.9, 1.5),
    ofStep('fsdpEdge', 0, 1.5),
    ofStep('tensorExposed', 0.5, 1.1),
    ofStep('tensorOverlapped', 0, 0.6),
    ofStep('jitter', 0, 0.04),
    ofStep('dataExposed', 0, 1),
  ],
  'dense, 8 or 4 bits': [
    sustained('h100-sxm-80gb', 'low hopper'),
    sustained('b200-sxm', 'low b200'),
    sustained('gb200-nvl72', 'low gb200'),
    sustained('gb300-nvl72', 'low gb300'),
    ofStep('tensorOverlapped', 0, 0.6),
    ofStep('dataExposed', 0, 1),
    ofStep('contextExposed', 0, 1),
    ofStep('pipelineExposed', 0, 1),
  ],
  'mixture of experts': [
    ofStep('permute', 1, 3),
    ofStep('expertHost', 0, 0.01),
    ofStep('expertHostEach', 0, 0.0006),
    ofStep('expertHostGraphs', 0, 1),
    ofStep('expertExposed', 0.2, 1.1),
  ],
};

const chosen = constants[values.kind] ?? [];
const ofKind = loadCases().filter((one) => project(one).kind === values.kind);
const cases = ofKind.filter((one) => one.check !== true);
const checks = ofKind.filter((one) => one.check === true);
const groups = [...new Set(cases.map(({ group }) => group))].sort();
const weights = new Map(
  groups.map((group) => [group, 1 / Math.sqrt(Math.max(1, cases.filter((one) => one.group === group).length / 15))]),
);

type Values = ReadonlyMap<string, number>;

/** The model's constants with the values that are tried. */
function factsWith(tried: Values) {
  const step: Record<keyof StepFacts, number> = { ...stepFacts };
  for (const [name, value] of tried) if (name in step) step[name as keyof StepFacts] = value;
  const chip = (id: AcceleratorId, generation: Generation): string => {
    if (id === 'gb200-nvl72' || id === 'gb300-nvl72') return id.slice(0, 5);
    return generation === 'blackwell' ? 'b200' : generation;
  };
  const kernels: typeof kernelsOf = (machine) => {
    const known = kernelsOf(machine);
    const name = chip(machine.id, machine.generation);
    return {
      ...known,
      sustained: tried.get(`sustained ${name}`) ?? known.sustained,
      low: known.low && { ...known.low, sustained: tried.get(`low ${name}`) ?? known.low.sustained },
    };
  };
  return { step, kernelsOf: kernels };
}

function loss(of: readonly Case[], tried: Values): number {
  const facts = factsWith(tried);
  let total = 0;
  for (const one of of) {
    const { ratio } = project(one, facts);
    if (!Number.isFinite(ratio)) continue;
    const x = Math.log(ratio) / 0.08;
    total += (weights.get(one.group) ?? 1) * (Math.sqrt(1 + x * x) - 1);
  }
  for (const { name, start, low, high } of chosen)
    total += 0.2 * (((tried.get(name) ?? start) - start) / (high - low)) ** 2;
  return total;
}

/** Coordinate descent: each constant is moved by shrinking steps while that helps. */
function refit(of: readonly Case[]): Values {
  const tried = new Map(chosen.map(({ name, start }) => [name, start]));
  let best = loss(of, tried);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const { name, low, high } of chosen) {
      for (const share of [0.1, 0.03, 0.01]) {
        for (const sign of [1, -1]) {
          for (;;) {
            const before = tried.get(name) ?? 0;
            const next = Math.min(high, Math.max(low, before + sign * share * (high - low)));
            if (next === before) break;
            tried.set(name, next);
            const now = loss(of, tried);
            if (now < best) best = now;
            else {
              tried.set(name, before);
              break;
            }
          }
        }
      }
    }
  }
  return tried;
}

const all = refit(cases);
console.log(`${values.kind}: ${cases.length} rows of ${groups.length} sources\n`);
console.log('constant'.padEnd(22), 'committed', '  refitted', '  bounds');
for (const { name, start, low, high } of chosen) {
  const value = all.get(name) ?? start;
  const bound = value <= low || value >= high ? '  AT ITS BOUND' : '';
  const show = (x: number) => x.toPrecision(3);
  console.log(name.padEnd(22), show(start).padStart(9), show(value).padStart(10), ` ${low} to ${high}${bound}`);
}
console.log('\nsource'.padEnd(35), 'rows', ' committed', ' all refitted', ' left out');
const medianOf = (own: readonly Case[], facts?: Parameters<typeof project>[1]) =>
  quantile(
    own.map((one) => error(project(one, facts))),
    0.5,
  );
const figures = groups.map((group) => {
  const own = cases.filter((one) => one.group === group);
  const without = refit(cases.filter((one) => one.group !== group));
  const median = (facts?: Parameters<typeof project>[1]) => medianOf(own, facts);
  const figure = [median(), median(factsWith(all)), median(factsWith(without))] as const;
  console.log(
    group.padEnd(34),
    String(own.length).padStart(4),
    ...figure.map((x, column) => percent(x).padStart([10, 13, 9][column] ?? 9)),
  );
  return figure;
});
const mean = (column: 0 | 1 | 2) => figures.reduce((sum, one) => sum + one[column], 0) / figures.length;
console.log(
  `mean of the sources' medians: committed ${percent(mean(0))}, refitted ${percent(mean(1))}, left out ${percent(mean(2))}`,
);
for (const group of [...new Set(checks.map((one) => one.group))].sort()) {
  const own = checks.filter((one) => one.group === group);
  console.log(
    `${group} (held apart)`.padEnd(34),
    String(own.length).padStart(4),
    percent(medianOf(own)).padStart(10),
    percent(medianOf(own, factsWith(all))).padStart(13),
  );
}
