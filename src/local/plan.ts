import type { Limit } from '../gate/rules.ts';
import type { RunFields, RunSource } from '../model/run.ts';
import { memoryBudget, refusalOf, type Starting, startOf } from '../plan/question.ts';
import { rank } from '../plan/rank.ts';
import { type Bounds, search } from '../plan/search.ts';
import { type Fixed, spaceOf } from '../plan/space.ts';
import { fieldsAt, type Step, sweepJson, sweepMarkdown, sweepOf, sweepText } from '../plan/sweep.ts';
import { type Answer, planJson, planMarkdown, planText } from '../plan/table.ts';
import { readConfig } from '../read/config.ts';
import type { Settings } from '../settings/settings.ts';
import { runOf } from '../setup/description.ts';
import { parse } from '../text/syntax.ts';
import { inFormat, Usage, type Words } from './arguments.ts';
import { jobNamed } from './beside.ts';
import { complain, complainOf, json, print } from './print.ts';

const bounds: Bounds = { now: () => performance.now(), milliseconds: 60_000, candidates: 500_000 };

/** `plan CONFIG`: what fits, and what is fastest. Exit code 2 where nothing can be planned, 0 also where nothing fits. */
export function plan(words: Words, settings: Settings): number {
  const { fields, fixed } = wanted(words);
  const [word, ...rest] = words.files;
  if (word === undefined || rest.length > 0)
    throw new Usage('plan needs one config: model-cost plan CONFIG --gpus N --accelerator ID');
  const { path, head, beside } = jobNamed(word, settings);
  if (head === undefined || head.kind === 'refused') return complain(head?.reason ?? `${path} cannot be read.`);
  const reading = readConfig(head.bytes, path, { known: beside?.head ?? new Map(), ...settings.jobOf(path) });
  if (reading.kind === 'unread') return complainOf(path, reading.problems[0]);
  const sources = [{ origin: 'input', fields } as const, ...settings.sourcesFor(path, reading.run)];
  const { limits } = settings.budgetsFor(path);
  const answer = (own: readonly RunSource[], shares: number) =>
    answerOf(
      { path, format: reading.format },
      startOf([...own, ...sources], reading.architecture),
      fixed,
      limits,
      shares,
    );
  const swept = words.option('sweep');
  if (swept !== undefined) return sweep(words, path, swept, answer);
  const outcome = answer([], 1);
  return typeof outcome === 'string' ? complainOf(path, { message: outcome }) : shown(words, outcome);
}

type Answering = (own: readonly RunSource[], shares: number) => Answer | string;

/** The fastest plan for each value of one field, within the time that one search has. */
function sweep(words: Words, path: string, text: string, answer: Answering): number {
  const swept = sweepOf(text);
  if (typeof swept === 'string') throw new Usage(swept);
  const steps = swept.values.map((value): Step => {
    const stated = fieldsAt(swept.field, value);
    return {
      value,
      outcome: typeof stated === 'string' ? stated : answer([{ origin: 'input', fields: stated }], swept.values.length),
    };
  });
  const shownAs = inFormat(words, {
    text: () => sweepText(path, swept, steps),
    markdown: () => sweepMarkdown(path, swept, steps),
    json: () => json(sweepJson(path, swept, steps)),
  });
  return print(shownAs, words.option('output'));
}

/** @param shares how many searches share the time of one */
function answerOf(
  job: Pick<Answer, 'path' | 'format'>,
  start: Starting,
  fixed: Fixed,
  limits: readonly Limit[],
  shares: number,
): Answer | string {
  const began = bounds.now();
  if (start.kind === 'unsettled') return start.message;
  const { machine } = start.settled;
  if (machine === undefined || start.cost.throughput.stepTime === null) return start.cost.throughput.limit;
  const budget = memoryBudget(limits, start.cost);
  if (budget === undefined)
    return 'How much memory the accelerator has is not known: state --memory-budget, like 80GB.';
  const { domain } = machine.fast;
  const { operations, settled } = start;
  const found = search(
    { operations, settled, space: spaceOf(operations, settled.run, fixed, domain), refusal: refusalOf(start), budget },
    { ...bounds, milliseconds: bounds.milliseconds / shares },
  );
  const ranking = rank(found.plans, settled.run);
  return { ...job, start, budget, found, ranking, seconds: (bounds.now() - began) / 1000 };
}

function shown(words: Words, answer: Answer): number {
  const text = inFormat(words, {
    text: () => planText(answer),
    markdown: () => planMarkdown(answer),
    json: () => json(planJson(answer)),
  });
  return print(text, words.option('output'));
}

/** Fields of the run that the command line states, and those that plans leave alone. */
function wanted(words: Words): { readonly fields: RunFields; readonly fixed: Fixed } {
  const stated = new Map<string, unknown>();
  const framework = words.option('framework');
  if (framework !== undefined) stated.set('framework', framework);
  const batch = words.option('global-batch-size');
  if (batch !== undefined) stated.set('global_batch_size', asWritten(batch));
  const micro = words.option('micro-batch-size') === undefined ? [] : ['micro_batch_size'];
  const fixes = words.fixes.map(fixOf);
  for (const [key, value] of fixes) stated.set(key, value);
  const reading = runOf(nested(stated), '--fix');
  if (reading.kind === 'wrong') throw new Usage(reading.problems[0]?.message ?? '--fix cannot be used.');
  return { fields: reading.fields, fixed: new Set([...micro, ...fixes.map(([key]) => key)]) };
}

function fixOf(text: string): readonly [key: string, value: unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new Usage(`--fix is "${text.slice(0, 60)}", but must be KEY=VALUE, like parallelism.tensor=8.`);
  const key = text.slice(0, at).trim();
  return [degrees.has(key) ? `parallelism.${key}` : key, asWritten(text.slice(at + 1))];
}

/** Degrees may be named without the mapping that they stand in. */
const degrees: ReadonlySet<string> = new Set([
  'tensor',
  'pipeline',
  'virtual_pipeline',
  'context',
  'expert',
  'expert_tensor',
]);

/** A value as a run description has it. */
function asWritten(text: string): unknown {
  const parsed = parse(Buffer.from(text), 'yaml');
  return parsed.kind === 'parsed' ? parsed.value : text;
}

function nested(stated: ReadonlyMap<string, unknown>): object {
  const flat = [...stated].filter(([key]) => !key.startsWith('parallelism.'));
  const inner = [...stated].flatMap(([key, value]) => (key.startsWith('parallelism.') ? [[key.slice(12), value]] : []));
  return { ...Object.fromEntries(flat), ...(inner.length === 0 ? {} : { parallelism: Object.fromEntries(inner) }) };
}
