import type { Architecture } from '../model/architecture.ts';
import type { Problem } from '../model/reading.ts';
import type { Settled } from './settle.ts';
import { ofExperts } from './start/experts.ts';
import { ofMachines } from './start/machines.ts';
import { ofMemory } from './start/memory.ts';
import { ofPipeline } from './start/pipeline.ts';
import { type Adapters, every, type Rule, type Trial } from './start/rule.ts';
import { ofTensor } from './start/tensor.ts';
import { ofTokens } from './start/tokens.ts';
import { problemAt } from './stated.ts';

/** Formats whose framework only stands for a nearer one that has no row: rules of one framework say nothing of them. */
const borrowing: ReadonlySet<string> = new Set(['nanotron', 'maxtext', 'nanogpt', 'levanter']);

/** Every reason for which a run that settles does not start as it reads. */
export const rulesOfStart: readonly Rule[] = [
  ...ofTensor,
  ...ofPipeline,
  ...ofExperts,
  ...ofTokens,
  ...ofMachines,
  ...ofMemory,
];

/** Why its framework refuses a run whose file says every field; undefined where it starts. */
export function refusal(trial: Omit<Trial, 'inFile'>): string | undefined {
  const told = { ...trial, inFile: () => true };
  for (const { stops, sentence } of rulesOfStart) {
    const message = stops.includes(trial.run.framework) ? sentence(told) : undefined;
    if (message !== undefined) return message;
  }
  return undefined;
}

/**
 * The rules that a run breaks, as problems: an error where the framework does not start and every field that the rule rests on was
 * stated, else a warning.
 *
 * @param format of the training file, whose framework may only stand for a nearer one
 * @param path of the training file, whose lines are told
 */
export function hindrances(
  { settled, said, places }: Settled,
  architecture: Architecture,
  adapters: Adapters | undefined,
  format: string,
  path: string,
): readonly Problem[] {
  const { framework } = settled.run;
  const inFile = (field: string) => places[field] !== undefined;
  const trial = { ...settled, architecture, adapters, inFile };
  const known = (field: string) => (settled.origins[field] ?? 'default') !== 'default';
  // GPUs of so many nodes are as certain as the GPUs of a node.
  const isSaid = (field: string) =>
    known(field) && (field !== 'gpus' || said.has(field) || settled.origins['gpus_per_node'] !== 'default');
  return rulesOfStart.flatMap((rule): readonly Problem[] => {
    const { id, stops, doubts = [], fields, inFileAlone, saidAlone, notBorrowed } = rule;
    const ofAll = stops.length + doubts.length === every.length && notBorrowed !== true;
    if (![...stops, ...doubts].includes(framework) || (!ofAll && borrowing.has(format))) return [];
    // What is our own assumption is nobody's mistake.
    if (!isSaid(fields[0])) return [];
    if (saidAlone === true && !said.has(fields[0])) return [];
    const message = rule.sentence(trial);
    if (message === undefined) return [];
    const rests = [...fields, ...(stops.length === every.length ? [] : ['framework'])];
    const certain = rests.every(isSaid) && (inFileAlone !== true || fields.some(inFile));
    const place = fields.map((field) => places[field]).find((one) => one !== undefined);
    const severity = stops.includes(framework) && certain ? 'error' : 'warning';
    return [{ ...problemAt(place ?? { file: path, key: fields[0] }, path, { severity, message }), rule: id }];
  });
}
