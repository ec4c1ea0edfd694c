import type { RunFields } from '../model/run.ts';
import { memoryBudget, refusalOf, type Start, startOf } from '../plan/question.ts';
import { rank } from '../plan/rank.ts';
import { type Bounds, search } from '../plan/search.ts';
import { type Fixed, spaceOf } from '../plan/space.ts';
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
  const sources = settings.sourcesFor(path, reading.run);
  const start = startOf([{ origin: 'input', fields }, ...sources], reading.architecture);
  if (start.kind === 'unsettled') return complainOf(path, { message: start.message });
  const { machine } = start.settled;
  if (machine === undefined || start.cost.throughput.stepTime === null) return complain(start.cost.throughput.limit);
  const budget = memoryBudget(settings.budgetsFor(path).limits, start.cost);
  if (budget === undefined)
    return complain('How much memory the accelerator has is not known: state --memory-budget, like 80GB.');
  return shown(words, answerOf(path, start, fixed, budget, machine.fast.domain));
}

function answerOf(path: string, start: Start, fixed: Fixed, budget: number, domain: number): Answer {
  const began = bounds.now();
  const { operations, settled } = start;
  const found = search(
    { operations, settled, space: spaceOf(operations, settled.run, fixed, domain), refusal: refusalOf(start), budget },
    bounds,
  );
  const ranking = rank(found.plans, settled.run);
  return { path, start, budget, found, ranking, seconds: (bounds.now() - began) / 1000 };
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
