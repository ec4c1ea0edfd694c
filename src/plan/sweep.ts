import { projectTime } from '../cost/time/step.ts';
import type { RunFields } from '../model/run.ts';
import { aligned } from '../report/columns.ts';
import { exact, gib, percent } from '../report/format.ts';
import { code, plain, sentence, table } from '../report/markdown.ts';
import { runAsWritten, runOf } from '../setup/description.ts';
import { type Answer, choiceWords } from './table.ts';

const fields = ['sequence_length', 'gpus', 'global_batch_size', 'accelerator'] as const;
type Field = (typeof fields)[number];

export type Sweep = { readonly field: Field; readonly values: readonly string[] };

/** More values than a reader compares, and than a search has time for. */
const mostValues = 24;

/**
 * `gpus=8..1024` (by doubling) or `accelerator=a,b,c`: one field of the run, and the values that it takes.
 *
 * @returns a sentence where it is none
 */
export function sweepOf(text: string): Sweep | string {
  const [name, stated, ...rest] = text.split('=').map((part) => part.trim());
  const field = fields.find((one) => one === name);
  if (field === undefined || stated === undefined || rest.length > 0)
    return `--sweep is "${text.slice(0, 60)}", but must be a field and its values, like gpus=8..1024 or accelerator=a,b; fields are ${fields.join(', ')}.`;
  const [, first, last] = /^(\d{1,9})\.\.(\d{1,9})$/.exec(stated) ?? [];
  const range = first === undefined || last === undefined ? undefined : doubling(Number(first), Number(last));
  const values = range ?? stated.split(',').map((value) => value.trim());
  if (values.length === 0 || values.length > mostValues || values.includes(''))
    return `--sweep ${field} has ${values.length} values, and takes 1 to ${mostValues}: like 8..1024, which doubles, or a list with commas.`;
  const wrong = values.find((value) => typeof fieldsAt(field, value) === 'string');
  return wrong === undefined ? { field, values } : String(fieldsAt(field, wrong));
}

/** From the first to the last, each twice the one before. */
function doubling(first: number, last: number): readonly string[] {
  const values: string[] = [];
  for (let value = first; value > 0 && value <= last && values.length <= mostValues; value *= 2)
    values.push(String(value));
  return values;
}

/** The field of a run that one value of a sweep is; a sentence where it cannot be. */
export function fieldsAt(field: Field, value: string): RunFields | string {
  const reading = runOf({ [field]: field === 'accelerator' ? value : Number(value) }, '--sweep');
  return reading.kind === 'read' ? reading.fields : (reading.problems[0]?.message ?? '--sweep cannot be used.');
}

/** What a value of a sweep gave: a search, or one sentence why there is none. */
export type Step = { readonly value: string; readonly outcome: Answer | string };

type Row = {
  readonly value: string;
  readonly problem?: string;
  readonly plan?: {
    readonly choice: string;
    readonly memory: number;
    readonly band: number;
    readonly mfu: number | null;
    readonly perGpu: number;
    readonly all: number;
    readonly run: Record<string, unknown>;
  };
};

function rowOf({ value, outcome }: Step): Row {
  if (typeof outcome === 'string') return { value, problem: outcome };
  const { ranking, start, found } = outcome;
  const stopped = found.stopped === undefined ? {} : { problem: `the search ended at its limit of ${found.stopped}` };
  if (ranking === undefined) return { value, problem: found.candidates > 0 ? 'nothing fits' : 'nothing divides' };
  const { run, device: memory, band, tokensPerSecond: all } = ranking.fastest;
  const { mfu } = projectTime(start.operations, start.cost.flops, { run, machine: start.settled.machine });
  const plan = { choice: choiceWords(run), memory, band, mfu, perGpu: all / run.gpus, all, run: runAsWritten(run) };
  return { value, ...stopped, plan };
}

const headingOf = (field: Field) => [field, 'Fastest plan', 'Memory', 'MFU', 'Tokens/s per GPU', 'Tokens/s', ''];

/** Cells of a row, with a bar as long as its tokens per second of one GPU are of the most. */
function cellsOf({ value, problem = '', plan }: Row, most: number): readonly string[] {
  if (plan === undefined) return [value, problem, '', '', '', '', ''];
  const { choice, memory, band, mfu, perGpu, all } = plan;
  return [
    value,
    problem === '' ? choice : `${choice} (${problem})`,
    `${gib(memory)} ±${percent(band, 0)}`,
    mfu === null ? '' : percent(mfu),
    exact(Math.round(perGpu)),
    exact(Math.round(all)),
    '█'.repeat(Math.max(1, Math.round((20 * perGpu) / most))),
  ];
}

function cellsOfAll(steps: readonly Step[]): readonly (readonly string[])[] {
  const rows = steps.map(rowOf);
  const most = Math.max(...rows.map(({ plan }) => plan?.perGpu ?? 0));
  return rows.map((row) => cellsOf(row, most));
}

/** The end of a sweep that people ask for: the fewest GPUs, or the longest sequence, for which something fits. */
function edgeOf({ field }: Sweep, steps: readonly Step[]): string {
  if (field !== 'gpus' && field !== 'sequence_length') return '';
  const fitting = steps.map(rowOf).flatMap(({ value, plan }) => (plan === undefined ? [] : [Number(value)]));
  if (fitting.length === 0) return 'Nothing fits at any of these values.';
  return field === 'gpus'
    ? `Of these, at least ${exact(Math.min(...fitting))} GPUs are needed.`
    : `Of these, the longest sequence that fits has ${exact(Math.max(...fitting))} tokens.`;
}

export const sweepText = (path: string, sweep: Sweep, steps: readonly Step[]): string =>
  [
    `${plain(path, 120)}: the fastest plan for each ${sweep.field}; bars are tokens per second of one GPU`,
    '',
    ...aligned([headingOf(sweep.field), ...cellsOfAll(steps)]),
    '',
    ...[edgeOf(sweep, steps)].filter((words) => words !== '').flatMap((words) => [words, '']),
  ].join('\n');

export const sweepMarkdown = (path: string, sweep: Sweep, steps: readonly Step[]): string => {
  const rows = cellsOfAll(steps).map((row) => row.map((cell) => (cell === '' ? '' : sentence(cell, 200))));
  return [
    `## The fastest plan for each ${sweep.field} of ${code(path, 120)}`,
    table([headingOf(sweep.field), ...rows], [2, 3, 4, 5]),
    edgeOf(sweep, steps),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
};

/** The same for programs; bytes, shares and tokens per second as plain numbers. */
export const sweepJson = (path: string, { field }: Sweep, steps: readonly Step[]): object => ({
  version: 1,
  path,
  field,
  steps: steps.map(rowOf).map(({ value, problem, plan }) => ({
    value,
    problem: problem ?? null,
    fastest:
      plan === undefined
        ? null
        : {
            memory_bytes: plan.memory,
            memory_band: plan.band,
            mfu: plan.mfu,
            tokens_per_second_per_gpu: plan.perGpu,
            tokens_per_second: plan.all,
            run: plan.run,
          },
  })),
});
