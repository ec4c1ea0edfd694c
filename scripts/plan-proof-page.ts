// Writes docs/plan-proof.md: published plans beside the planner's first.
//   node scripts/node24.mjs scripts/plan-proof-page.ts
import { writeFileSync } from 'node:fs';
import { choiceLine } from '../src/plan/table.ts';
import { loadCases } from './measured.ts';
import { differing, type Held, hold, selected } from './plan-proof.ts';

const outcomes = selected().map((one) => ({ one, outcome: hold(one) }));
export const held: readonly Held[] = outcomes.flatMap(({ outcome }) => (typeof outcome === 'string' ? [] : [outcome]));
const failed = outcomes.flatMap(({ one, outcome }) =>
  typeof outcome === 'string' ? [`- ${one.model} (${one.id}): ${outcome}`] : [],
);

const within = 0.9;
export const ratioOf = ({ first, publishedSpeed }: Held): number => first.tokensPerSecond / publishedSpeed;
const isNear = (one: Held) => ratioOf(one) <= 1 / within;
const number = (value: number) => Math.round(value).toLocaleString('en-US');
const perGpu = (one: Held, all: number) => number(all / one.published.gpus);

const machineOf = ({ one: { run } }: Held) =>
  `${String(run['gpus'])} × ${String(run['accelerator'])}, ${String(run['precision'])}`;
const row = (one: Held): string => {
  const cells = [
    `${one.one.model} (${one.one.id})`,
    machineOf(one),
    `${number(one.published.globalBatchSize)} × ${number(one.published.sequenceLength)}`,
    choiceLine(one.published),
    number(one.one.tokensPerSecondPerGpu),
    perGpu(one, one.publishedSpeed),
    choiceLine(one.first.run),
    perGpu(one, one.first.tokensPerSecond),
    ratioOf(one).toFixed(2),
    isNear(one) ? 'yes' : '**no**',
    `${number(one.faster)} of ${number(one.found.plans.length)}`,
    one.outside.length === 0 ? 'yes' : '**no**',
  ];
  return `| ${cells.join(' | ')} |`;
};

const groups: Readonly<Record<string, string>> = {
  'nvidia-megatron-bridge': "NVIDIA's recipes (Megatron-Bridge, 26.04.01)",
  'nvidia-megatron-papers': 'Korthikanti and others, arXiv:2205.05198, table 5',
  'narayanan-2021': 'Narayanan and others, arXiv:2104.04473, table 2',
  torchtitan: "torchtitan's tables",
};
const tables = Object.entries(groups).map(([group, title]) => {
  const rows = held.filter(({ one }) => one.group === group);
  return `### ${title}

| run | machine | batch × sequence | published plan | measured | published, projected | our first plan | projected | ratio | within 10 % | faster plans | in the search |
|---|---|---|---|--:|--:|---|--:|--:|---|--:|---|
${rows.map(row).join('\n')}`;
});

/** What a published plan is an exception for, by what was found and not by hand. */
function exception(one: Held): string {
  const fields = differing(one)
    .toSorted(([, a], [, b]) => a - b)
    .slice(0, 2)
    .map(([field, best]) =>
      best === 0
        ? `no plan that fits keeps its \`${field}\``
        : `with its \`${field}\` our best is ${perGpu(one, best)} (${(best / one.publishedSpeed).toFixed(2)})`,
    );
  const gap = isNear(one) ? [] : [`ours is ${ratioOf(one).toFixed(2)} times as fast: ${fields.join('; ')}`];
  return `- **${one.one.model} on ${machineOf(one)}** (${one.one.id}): ${[...one.outside, ...gap].join('; ')}.`;
}
const inside = held.filter(({ outside }) => outside.length === 0);
const exceptions = held.filter((one) => one.outside.length > 0 || !isNear(one));
const count = (of: readonly Held[], is: (one: Held) => boolean) => `${of.filter(is).length} of ${of.length}`;

/** Rows of the oracle, and plans of ours, that use what a row rarely does. */
const cases = loadCases();
const offloads = cases.filter(({ run }) => run['offload'] === 'optimizer');
const dividesExperts = cases.filter(({ run }) => Number(Object(run['parallelism']).expert_tensor ?? 1) > 1);
const ours = (is: (one: Held) => boolean) => held.filter(is).length;

/** The text of the page; a test compares it with the file. */
export const proofPage = `# Plans held against published ones

Teams that publish a speed tuned the run first. Here the planner ([plan.md](plan.md)) gets the same model, GPUs, accelerator, framework, precision, global batch and sequence length, and none of what was tuned (parallelism, sharding, micro-batch, recompute, offload). Its first plan stands beside the published one, both timed by this tool's own projection. The page is written by \`scripts/plan-proof-page.ts\` out of \`test/oracle/runs.json\`.

Of each source, it is the fastest published row of each model and accelerator: of NVIDIA's recipes those on GB300 and H100, of Narayanan's the rows of table 2, all others whole. The budget is all of the usable memory, and a plan fits with its band. Every search saw ${held.every(({ found }) => found.stopped === undefined) ? 'its whole space' : 'at most 500,000 runs'}.

- **Published plans that the search has among its own** (${inside.length} of ${held.length}): our first plan is at least as fast for ${count(inside, (one) => ratioOf(one) >= 1 - 1e-9)}, as it must be, and the published one is within 10 % of it for ${count(inside, isNear)}.
- **All**: our first plan is at least as fast for ${count(held, (one) => ratioOf(one) >= 1 - 1e-9)}, and the published one is within 10 % of it, or faster, for ${count(held, isNear)}.

This says what the planner would have told those teams, not that it would have been faster: no plan of ours was run. Where ours is far ahead, either the published plan was not the best one, or the projection is too kind to what nobody measured.

What is known of the causes:

- **Nobody measured it.** ${ours(({ first }) => first.run.parallelism.expertTensor > 1)} of our first plans divide single experts (ETP), of which ${dividesExperts.length} of ${cases.length} measured rows have any; ${ours(({ first }) => first.run.offload !== undefined)} keep the optimizer in CPU memory, as ${offloads.length} measured rows do, all of them ${[...new Set(offloads.map(({ group }) => group))].join(' and ')}. Take such a plan as one to try.
- **Stages that are not even.** Llama-3.1-405B has 126 layers, Qwen3-235B-A22B 94, DeepSeek-V3 and Kimi-K2 61: published plans give them virtual stages that are uneven, and the space takes virtual stages only where layers divide. This is a limit of the planner, and why a published plan can be faster than our first.
- **Memory.** Some published plans are over the card as they are described here, though they ran: their descriptions leave out what saves memory ([memory.md](memory.md)). Others fit, and not with their band.
- **Software of its time.** Narayanan's runs of 2021 are older than sequence parallelism, which every plan with tensor parallelism has here, and than selective recompute: both are Korthikanti's of 2022.
- **Other wishes.** Many of torchtitan's rows differ in one feature (precision, compile, asynchronous tensor parallelism) and keep the rest, recompute among it.

## Tables

Speeds are tokens per second on one GPU. *Ratio* is our first plan over the published one, both projected. *In the search* is whether the published plan is one that the search looks at and keeps.

${tables.join('\n\n')}

## Exceptions

Each run whose published plan is not in the search, or is more than 10 % behind ours. For the latter: what the best plan reaches that keeps one published value, for the two fields that matter most.

${[...exceptions.map(exception), ...failed].join('\n')}
`;

if (process.argv[1] === import.meta.filename)
  writeFileSync(new URL('../docs/plan-proof.md', import.meta.url), proofPage);
