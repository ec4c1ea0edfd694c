// Published plans, and what the planner finds for the same model, machine, batch and sequence.
import { memoryBand } from '../src/cost/memory/band.ts';
import type { TrainingRun } from '../src/model/run.ts';
import { changedFields } from '../src/plan/changes.ts';
import { refusalOf, type Start, startOf } from '../src/plan/question.ts';
import { rank } from '../src/plan/rank.ts';
import { type Found, type Plan, search } from '../src/plan/search.ts';
import { divides, type Space, spaceOf } from '../src/plan/space.ts';
import { readConfig } from '../src/read/config.ts';
import { runOf } from '../src/setup/description.ts';
import { type Case, loadCases } from './measured.ts';

/** What a plan chooses. The planner is told none of it, so that the published values are no part of its space for being published. */
const chosen: ReadonlySet<string> = new Set([
  'parallelism',
  'sharding',
  'offload',
  'micro_batch_size',
  'recompute',
  'recompute_modules',
  'recompute_method',
  'recompute_layers',
  'layers_per_stage',
]);

/** Bounded by what is looked at and by no clock, so that the page is the same wherever it is written. */
const bounds = { now: () => 0, milliseconds: 1, candidates: 500_000 };

export type Held = {
  readonly one: Case;
  readonly published: TrainingRun;
  /** of all GPUs, as projected */
  readonly publishedSpeed: number;
  readonly found: Found;
  readonly first: Plan;
  readonly budget: number;
  /** Why the search does not have the published run among its plans; none where it has. */
  readonly outside: readonly string[];
  /** plans that are faster than the published run */
  readonly faster: number;
};

/** @returns a sentence where it cannot be held */
export function hold(one: Case): Held | string {
  const bare = startWith(one, ([field]) => !chosen.has(field));
  const stated = startWith(one, () => true);
  if (typeof bare === 'string') return bare;
  if (typeof stated === 'string') return stated;
  const { operations, settled, cost } = bare;
  const budget = cost.memory.capacity;
  if (budget === null || settled.machine === undefined) return 'The machine is not known.';
  const space = spaceOf(operations, settled.run, new Set(), settled.machine.fast.domain);
  const found = search({ operations, settled, space, refusal: refusalOf(bare), budget }, bounds);
  const first = rank(found.plans, settled.run)?.fastest;
  const perGpu = stated.cost.throughput.tokensPerSecondPerGpu;
  if (first === undefined || perGpu === null) return 'Nothing fits.';
  const published = stated.settled.run;
  const publishedSpeed = perGpu * published.gpus;
  const faster = found.plans.filter(({ tokensPerSecond }) => tokensPerSecond > publishedSpeed * (1 + 1e-9)).length;
  return { one, published, publishedSpeed, found, first, budget, outside: outsideOf(stated, space, budget), faster };
}

function startWith(one: Case, keep: (entry: readonly [string, unknown]) => boolean): Start | string {
  const reading = readConfig(new TextEncoder().encode(JSON.stringify(one.config)), 'config.json');
  if (reading.kind === 'unread') return reading.problems.map(({ message }) => message).join(' ');
  const stated = runOf(Object.fromEntries(Object.entries(one.run).filter(keep)), 'run.yml');
  if (stated.kind === 'wrong') return stated.problems.map(({ message }) => message).join(' ');
  const sources = [{ origin: 'run', fields: stated.fields } as const, ...reading.run];
  const start = startOf(sources, reading.architecture);
  return start.kind === 'unsettled' ? start.message : start;
}

function outsideOf(stated: Start, space: Space, budget: number): readonly string[] {
  const { operations, settled, cost } = stated;
  const { run } = settled;
  const refused = refusalOf(stated)(run);
  const { device } = cost.memory;
  const { band } = memoryBand(operations, run);
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  const needs = `${gib(device)} GiB ± ${(100 * band).toFixed(0)} % of ${gib(budget)} usable`;
  return [
    ...valuesOutside(space, run),
    ...(divides(operations, run) ? [] : ['does not divide as the space asks']),
    ...(refused === undefined ? [] : [`refused: ${refused}`]),
    ...(device > budget ? [`does not fit as described: ${needs}`] : []),
    ...(device <= budget && device * (1 + band) > budget ? [`fits only without its band: ${needs}`] : []),
  ];
}

function valuesOutside(space: Space, run: TrainingRun): readonly string[] {
  const { parallelism, recompute, recomputeModules, recomputeMethod, recomputeLayers } = run;
  const { tensor, pipeline, virtualPipeline, context, expert, expertTensor } = parallelism;
  const experts: readonly unknown[] = space.expertTensor;
  const way = [recompute, recomputeModules, recomputeMethod, recomputeLayers];
  const known = space.recompute.map((one) => [
    one.recompute,
    one.recomputeModules,
    one.recomputeMethod,
    one.recomputeLayers,
  ]);
  const among: Readonly<Record<string, boolean>> = {
    [`tensor ${tensor}`]: space.tensor.includes(tensor),
    [`pipeline ${pipeline}`]: space.pipeline.includes(pipeline),
    [`${virtualPipeline} virtual stages`]: virtualPipeline === 1 || space.virtualPipeline.includes(virtualPipeline),
    [`context ${context}`]: space.context.includes(context),
    [`expert ${expert}`]: space.expert.includes(expert),
    [`expert tensor ${expertTensor}`]:
      experts.includes(expertTensor) || (experts.includes('as tensor') && expertTensor === tensor),
    [`sharding ${run.sharding}`]: space.sharding.includes(run.sharding),
    [`micro-batch ${run.microBatchSize}`]: space.microBatchSize.includes(run.microBatchSize),
    [`recompute ${way.filter((part) => part !== undefined).join(' ')}`]: known.some(
      (one) => JSON.stringify(one) === JSON.stringify(way),
    ),
    'tensor parallelism without sequence parallelism': tensor === 1 || parallelism.sequenceParallel,
    [`schedule ${run.pipelineSchedule}`]: run.pipelineSchedule === undefined,
    'layers of each stage are stated': run.layersPerStage === undefined,
  };
  return Object.entries(among).flatMap(([name, is]) => (is ? [] : [`outside of the space: ${name}`]));
}

/** Fields in which our first plan differs from the published one, each with the most tokens per second that plans reach which keep the published value; none where no plan that fits keeps it. */
export function differing({ published, first, found }: Held): readonly (readonly [field: string, best: number])[] {
  return changedFields(published, first.run).map((field) => {
    const keeping = found.plans.filter(({ run }) => !changedFields(published, run).includes(field));
    return [field, keeping.reduce((best, { tokensPerSecond }) => Math.max(best, tokensPerSecond), 0)];
  });
}

/** Sources that say what they tuned, and which of their rows are looked at: bounded by table and machine, not by result. */
const sources: readonly { readonly group: string; readonly is: (one: Case) => boolean }[] = [
  {
    group: 'nvidia-megatron-bridge',
    is: ({ source, run }) =>
      source.includes('26.04.01 NeMo Container') &&
      ['gb300-nvl72', 'h100-sxm-80gb'].includes(String(run['accelerator'])),
  },
  { group: 'nvidia-megatron-papers', is: () => true },
  { group: 'narayanan-2021', is: ({ source }) => source.endsWith('table 2') },
  { group: 'torchtitan', is: () => true },
];

/** Of each model and accelerator of a source, the row with the most tokens per second on a GPU. */
export function selected(): readonly Case[] {
  const cases = loadCases();
  return sources.flatMap(({ group, is }) => {
    const best = new Map<string, Case>();
    for (const one of cases) {
      if (one.group !== group || !is(one)) continue;
      const key = `${one.model} ${String(one.run['accelerator'])}`;
      if (one.tokensPerSecondPerGpu > (best.get(key)?.tokensPerSecondPerGpu ?? 0)) best.set(key, one);
    }
    return [...best.values()];
  });
}
