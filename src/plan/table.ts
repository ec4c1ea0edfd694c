import { projectTime } from '../cost/time/step.ts';
import type { ThroughputEstimate, TimePart } from '../model/estimate.ts';
import type { TrainingRun } from '../model/run.ts';
import { aligned } from '../report/columns.ts';
import { exact, gib, percent } from '../report/format.ts';
import { code, plain, sentence, table } from '../report/markdown.ts';
import type { PlanReport } from '../report/printed-schema.ts';
import { runAsWritten } from '../setup/description.ts';
import { changedFields, unmeasuredFields } from './changes.ts';
import { describeRun } from './describe.ts';
import type { Start } from './question.ts';
import type { Ranking } from './rank.ts';
import type { Found, Plan } from './search.ts';
import { expertsOf } from './space.ts';
import { type Spelled, spelledIn } from './spelled.ts';

/** All that is told of a search. */
export type Answer = {
  readonly path: string;
  /** id of the format that the job is in */
  readonly format: string;
  readonly start: Start;
  readonly budget: number;
  readonly found: Found;
  /** undefined where nothing fits */
  readonly ranking: Ranking | undefined;
  readonly seconds: number;
};

/** Rows of the table besides the plans that have a name. */
const mostRows = 10;
const named = ['fastest', 'simplest', 'nearest'] as const;

type Row = {
  readonly names: readonly (typeof named)[number][];
  readonly plan: Plan;
  readonly time: ThroughputEstimate;
};

function rowsOf({ start, ranking }: Answer): readonly Row[] {
  if (ranking === undefined) return [];
  const plans = new Set([...ranking.ranked.slice(0, mostRows), ...named.map((name) => ranking[name])]);
  return [...plans].map((plan) => ({
    names: named.filter((name) => ranking[name] === plan),
    plan,
    time: projectTime(start.operations, start.cost.flops, { run: plan.run, machine: start.settled.machine }),
  }));
}

const shardings: Readonly<Record<TrainingRun['sharding'], string>> = {
  none: 'nothing sharded',
  optimizer: 'optimizer sharded',
  gradients: 'gradients sharded',
  full: 'fully sharded',
};

/** What a plan chooses, in one line: `TP 4, PP 2, EP 32, optimizer sharded, micro-batch 2, full recompute`. */
export function choiceLine({
  parallelism,
  sharding,
  microBatchSize,
  recompute,
  recomputeModules,
  offload,
}: TrainingRun): string {
  const { tensor, pipeline, virtualPipeline, context, expert, expertTensor } = parallelism;
  const degrees = Object.entries({
    TP: tensor,
    PP: pipeline,
    VP: virtualPipeline,
    CP: context,
    EP: expert,
    ETP: expertTensor,
  });
  const modules = recompute === 'selective' && recomputeModules !== undefined ? ` (${recomputeModules.join(' ')})` : '';
  return [
    ...degrees.flatMap(([name, degree]) => (degree > 1 ? [`${name} ${degree}`] : [])),
    shardings[sharding],
    `micro-batch ${microBatchSize}`,
    ...(recompute === 'none' ? [] : [`${recompute} recompute${modules}`]),
    ...(offload === undefined || offload === 'none' ? [] : [`${offload} in CPU memory`]),
  ].join(', ');
}

/** The same, with a word on what of it was never measured. */
export function choiceWords(run: TrainingRun): string {
  const unmeasured = unmeasuredFields(run);
  return `${choiceLine(run)}${unmeasured.length === 0 ? '' : ` (never measured: ${unmeasured.join(', ')})`}`;
}

/** The largest part of a step besides matrix products, and its share. */
function limitOf({ parts, stepTime }: ThroughputEstimate): string {
  const [largest] = (Object.entries(parts) as [TimePart, number][])
    .filter(([part]) => part !== 'matrix_products')
    .sort(([, a], [, b]) => b - a);
  return largest === undefined || stepTime === null
    ? ''
    : `${largest[0].replaceAll('_', ' ')} ${percent(largest[1] / stepTime, 0)}`;
}

const heading = ['', 'Plan', 'Memory', 'MFU', 'Tokens/s per GPU', 'Limited by'];

const cells = ({ names, plan, time }: Row): readonly string[] => [
  names.join(', '),
  choiceWords(plan.run),
  `${gib(plan.device)} ±${percent(plan.band, 0)}`,
  time.mfu === null ? '' : percent(time.mfu),
  exact(Math.round(plan.tokensPerSecond / plan.run.gpus)),
  limitOf(time),
];

/** The fastest of the plans whose micro-batch is the largest, in a sentence. */
function largestMicroBatch(ranking: Ranking | undefined): readonly string[] {
  if (ranking === undefined) return [];
  const { run, tokensPerSecond } = ranking.ranked.reduce((largest, plan) =>
    plan.run.microBatchSize > largest.run.microBatchSize ? plan : largest,
  );
  const speed = exact(Math.round(tokensPerSecond / run.gpus));
  return [
    `The largest micro-batch tried that fits is ${run.microBatchSize}, at ${speed} tokens/s per GPU: ${choiceWords(run)}.`,
  ];
}

/** What was searched, in sentences. */
function wordsOf({ start, found, ranking, budget, seconds }: Answer): readonly string[] {
  const { run } = start.settled;
  const { candidates, plans, tooLarge, refused, refusal, stopped, smallest } = found;
  return [
    `${exact(run.gpus)} x ${run.accelerator}, ${run.framework}, ${exact(run.sequenceLength)} tokens, ${exact(run.globalBatchSize)} sequences a step, ${run.precision}; memory within ${gib(budget)}, its margin of error included.`,
    `${exact(candidates)} runs divide and were looked at in ${seconds.toFixed(1)} s: ${exact(plans.length)} fit, ${exact(tooLarge)} do not by their states alone.${stopped === undefined ? ' That is the whole space.' : ` The search ended at its limit of ${stopped} before the whole space was looked at.`}`,
    ...(refused === 0
      ? []
      : [
          `${exact(refused)}${candidates > 0 ? ' more' : ''} divide, but ${run.framework} does not start them: ${refusal}`,
        ]),
    ...(start.impossible === undefined ? [] : [`The run as it is cannot be started: ${start.impossible}`]),
    ...(plans.length > 0 || smallest === undefined
      ? []
      : [
          `Nothing fits. The smallest needs ${gib(smallest.device)} ±${percent(smallest.band, 0)}: ${choiceLine(smallest.run)}.`,
        ]),
    ...largestMicroBatch(ranking),
    ...(candidates + refused > 0
      ? []
      : ['No run of the space divides: GPUs, layers, heads, experts, sequence and batch must.']),
    ...start.assumptions.map(({ field, value, reason }) => `Assumed: ${field} = ${value} (${reason}).`),
  ];
}

type Described = { readonly title: string; readonly yaml: string; readonly own: Spelled | undefined };

/** Each named plan once, with its names, what it changes, and its description. */
function described(answer: Answer): readonly Described[] {
  const { start, ranking } = answer;
  if (ranking === undefined) return [];
  return [...new Set(named.map((name) => ranking[name]))].map((plan) => {
    const changes = changedFields(start.settled.run, plan.run);
    const names = named.filter((name) => ranking[name] === plan).join(', ');
    return {
      title: `${names}: ${changes.length === 0 ? 'as it is' : `changes ${changes.join(', ')}`}`,
      yaml: describeRun(plan.run, start.operations.order.length),
      own: ownOf(answer, plan.run),
    };
  });
}

/** The run under the keys of the job's own format, where it has such. */
function ownOf({ format, start: { operations } }: Answer, run: TrainingRun): Spelled | undefined {
  return spelledIn(format, run, {
    layers: operations.order.length,
    experts: expertsOf(operations),
    predicts: operations.prediction.length > 0 && run.mtp !== false,
  });
}

const leftOut = ({ leaveOut }: Spelled): string => `Leave out, where the job has them: ${leaveOut.join(', ')}.`;
const withoutKey = ({ format, noKeyFor }: Spelled): string =>
  `${format} has no one key for ${noKeyFor.join(', ')}; a run description says the rest:`;

/** A plan under the job's own keys, and as a run description where that has to say the rest. */
function ownText({ yaml, own }: Described): readonly string[] {
  if (own === undefined) return [yaml];
  return [
    own.text,
    ...(own.leaveOut.length === 0 ? [] : [`# ${leftOut(own)}`, '']),
    ...(own.rest === '' ? [] : [`# ${withoutKey(own)}`, own.rest]),
  ];
}

const fenced = (language: string, text: string): string => `\`\`\`${language}\n${text}\`\`\``;

function ownMarkdown({ yaml, own }: Described): readonly string[] {
  if (own === undefined) return [fenced('yaml', yaml)];
  return [
    fenced(own.language, own.text),
    ...(own.leaveOut.length === 0 ? [] : [sentence(leftOut(own))]),
    ...(own.rest === '' ? [] : [sentence(withoutKey(own)), fenced('yaml', own.rest)]),
  ];
}

function ownJson(own: Spelled | undefined): PlanReport['plans'][number]['own_format'] {
  if (own === undefined) return null;
  const { format, text, leaveOut, noKeyFor } = own;
  return { format, text, leave_out: [...leaveOut], no_key_for: [...noKeyFor] };
}

/** A plan as the terminal shows it. */
export function planText(answer: Answer): string {
  return [
    plain(answer.path, 120),
    ...wordsOf(answer).map((words) => `  ${plain(words, 500)}`),
    '',
    ...(answer.ranking === undefined ? [] : [...aligned([heading, ...rowsOf(answer).map(cells)]), '']),
    ...described(answer).flatMap((one) => [`# ${one.title}`, ...ownText(one)]),
  ].join('\n');
}

/** The same as markdown. */
export function planMarkdown(answer: Answer): string {
  const rows = rowsOf(answer).map((row) => cells(row).map((cell) => (cell === '' ? '' : sentence(cell))));
  return [
    `## Plans for ${code(answer.path, 120)}`,
    wordsOf(answer)
      .map((words) => `- ${sentence(words)}`)
      .join('\n'),
    ...(rows.length === 0 ? [] : [table([heading, ...rows], [2, 3, 4])]),
    ...described(answer).flatMap((one) => [`### ${sentence(one.title)}`, ...ownMarkdown(one)]),
    '',
  ].join('\n\n');
}

/** The same for programs; bytes, shares and tokens per second as plain numbers. */
export function planJson(answer: Answer): PlanReport {
  const { start, found, budget, seconds, path } = answer;
  const { candidates, tooLarge, refused, plans, stopped, smallest } = found;
  return {
    version: 1,
    path,
    budget_bytes: budget,
    search: {
      candidates,
      fitting: plans.length,
      too_large_by_states: tooLarge,
      refused_by_framework: refused,
      complete: stopped === undefined,
      stopped_by: stopped ?? null,
      seconds,
    },
    run_as_it_is: runAsWritten(start.settled.run),
    impossible_as_it_is: start.impossible ?? null,
    assumptions: start.assumptions.map((one) => ({ ...one })),
    smallest: smallest === undefined ? null : { memory_bytes: smallest.device, run: runAsWritten(smallest.run) },
    plans: rowsOf(answer).map(({ names, plan, time }) => ({
      names: [...names],
      memory_bytes: plan.device,
      memory_band: plan.band,
      mfu: time.mfu,
      tokens_per_second_per_gpu: plan.tokensPerSecond / plan.run.gpus,
      limit: time.limit,
      changes: [...changedFields(start.settled.run, plan.run)],
      never_measured: [...unmeasuredFields(plan.run)],
      run: runAsWritten(plan.run),
      description: describeRun(plan.run, start.operations.order.length),
      own_format: ownJson(ownOf(answer, plan.run)),
    })),
  };
}
