import type { Written } from '../model/names.ts';
import type { Place } from '../model/place.ts';
import type { Problem } from '../model/reading.ts';
import type { Relations, RunSource } from '../model/run.ts';
import type { Stated, StatedRun, Teller } from '../model/statement.ts';
import { runOf } from './description.ts';

/** What files state of a run, as sources to settle: their own words before their framework's defaults. */
export type StatedSources = { readonly sources: readonly RunSource[]; readonly problems: readonly Problem[] };

/** Each relation by the name that files state it by; one that is missing does not compile. */
const relationNames: { readonly [Name in keyof Relations as Written<Name>]-?: Name } = {
  nodes: 'nodes',
  data_parallel: 'dataParallel',
  data_parallel_replicate: 'dataParallelReplicate',
  data_parallel_shard: 'dataParallelShard',
  gradient_accumulation: 'gradientAccumulation',
  gradient_accumulation_in_all: 'gradientAccumulationInAll',
  accumulated_to: 'accumulatedTo',
  batch_per_replica: 'batchPerReplica',
  tokens_per_step: 'tokensPerStep',
  batch_per_gpu: 'batchPerGpu',
  layers_per_virtual_stage: 'layersPerVirtualStage',
  first_stage_layers: 'firstStageLayers',
  last_stage_layers: 'lastStageLayers',
  embedding_as_layers: 'embeddingAsLayers',
  loss_as_layers: 'lossAsLayers',
  train_steps: 'trainSteps',
  train_sequences: 'trainSequences',
};

const relationOf = (field: string): keyof Relations | undefined =>
  Object.hasOwn(relationNames, field) ? relationNames[field as keyof typeof relationNames] : undefined;

/**
 * Values of files and of frameworks apart, each checked as a run description is. A value that is not one (text where a number
 * must be) is left out with a sentence that names its place.
 *
 * @param path of the root file, whose lines are told
 */
export function sourcesOfStated(run: StatedRun, path: string): StatedSources {
  const problems: Problem[] = [];
  const told = (tellers: readonly Teller[]) =>
    fieldsTold(run, tellers, (field, stated) => problems.push(unusable(field, stated, path)));
  const file = told(['file', 'include', 'catalogue']);
  const framework = told(['framework']);
  const open = Object.fromEntries(
    Object.entries(run).flatMap(([field, stated]) =>
      stated.kind === 'open' ? [[field, `${stated.reason} (${placeText(stated.at)})`]] : [],
    ),
  );
  return {
    sources: [
      { origin: 'config', ...file, open, places: placesOf(run) },
      { origin: 'framework', ...framework, reasons: reasonsOf(run) },
    ],
    problems,
  };
}

/** A place as people write it: `file:line`. */
export const placeText = ({ file, line }: Place): string => (line === undefined ? file : `${file}:${line}`);

/**
 * A problem at a place: by its line where that is of the file whose reading it is told with, else with the place in its words.
 *
 * @param path of that file
 */
export function problemAt(place: Place, path: string, { severity, message }: Problem): Problem {
  const { file, key, line } = place;
  if (file !== path) return { severity, message: `${placeText(place)}: ${message}`, key };
  return { severity, message, key, ...(line === undefined ? {} : { line }) };
}

/** Says that a field's value is none. */
type LeaveOut = (field: string, stated: Stated | undefined) => void;

function fieldsTold(
  run: StatedRun,
  tellers: readonly Teller[],
  leaveOut: LeaveOut,
): Pick<RunSource, 'fields' | 'relations'> {
  const description: Record<string, unknown> = {};
  const relations: Record<string, number> = {};
  for (const [field, stated] of Object.entries(run)) {
    if (stated.kind !== 'value' || !tellers.includes(stated.by)) continue;
    const relation = relationOf(field);
    if (relation === undefined) nest(description, field, stated.value);
    else if (typeof stated.value === 'number' && stated.value > 0 && stated.value < 1e15)
      relations[relation] = stated.value;
    else leaveOut(field, stated);
  }
  return { fields: checked(description, run, leaveOut), relations };
}

function checked(description: Record<string, unknown>, run: StatedRun, leaveOut: LeaveOut): RunSource['fields'] {
  for (let tries = 0; tries < 20; tries++) {
    const reading = runOf(description, '');
    if (reading.kind === 'read') return reading.fields;
    const key = reading.problems[0]?.key ?? '';
    const [top = '', inner] = key.split('.');
    const stated = run[key as keyof StatedRun] ?? run[top as keyof StatedRun];
    leaveOut(key, stated);
    const parent = description[top];
    if (inner !== undefined && typeof parent === 'object' && parent !== null && inner in parent)
      Reflect.deleteProperty(parent, inner);
    else if (Object.hasOwn(description, top)) delete description[top];
    else break;
  }
  return {};
}

function unusable(field: string, stated: Stated | undefined, path: string): Problem {
  const at = stated?.at ?? { file: path, key: field };
  const value = stated?.kind === 'value' ? ` gives ${written(stated.value)} for ${field}, which` : '';
  return problemAt(at, path, {
    severity: 'warning',
    message: `${at.key}${value} cannot be used, so it is left out.`,
  });
}

/** JSON has no word for what is not finite. */
const written = (value: unknown): string =>
  typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing').slice(0, 60);

const placesOf = (run: StatedRun): Readonly<Record<string, Place>> =>
  Object.fromEntries(
    Object.entries(run).flatMap(([field, stated]) =>
      stated.at === undefined || stated.kind === 'open' ? [] : [[field, stated.at]],
    ),
  );

const reasonsOf = (run: StatedRun): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(run).flatMap(([field, stated]) =>
      stated.kind === 'value' && stated.reason !== undefined ? [[field, stated.reason]] : [],
    ),
  );

function nest(into: Record<string, unknown>, field: string, value: unknown): void {
  const [top = '', inner] = field.split('.');
  if (inner === undefined) into[top] = value;
  else into[top] = { ...(into[top] as object | undefined), [inner]: value };
}
