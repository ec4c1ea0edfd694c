import { findModel, modelNames } from '../facts/models.ts';
import { build } from '../families/build.ts';
import { decoder, decoderType } from '../families/decoder.ts';
import type { Assumption, ModelKeys, Problem, Reading, StatedField } from '../model/reading.ts';
import type { Keys, ModelStatement, Names, Stated, StatedRun, Statement } from '../model/statement.ts';
import { placeText, problemAt, sourcesOfStated } from '../setup/stated.ts';
import { Fields, isDictionary, own, statedFields } from '../text/fields.ts';
import { overlaid } from '../text/merge.ts';
import { didYouMean } from '../text/nearest.ts';
import type { Source } from '../text/syntax.ts';
import type { ParsedFile } from './format.ts';
import { huggingface } from './formats/huggingface.ts';
import { mamba } from './formats/mamba.ts';
import { leftOpen } from './open.ts';

/** An architecture and where it was said, or one sentence why there is none. */
type Found =
  | { readonly kind: 'read'; readonly reading: Extract<Reading, { kind: 'read' }> }
  | { readonly kind: 'unread'; readonly problem: Problem };

/**
 * Statements of one job to one reading: the architecture that the first of them states, and the run that they state together. A
 * field that two files state differently is a sentence that names both places; the root's holds.
 *
 * @param models files that names stand for (paths of the repository, `base_models` of the policy), by name
 */
export function compose(
  statements: readonly Statement[],
  files: readonly ParsedFile[],
  models: ReadonlyMap<string, ParsedFile>,
): Reading {
  const [root] = statements;
  const format = root?.format ?? '';
  const notes = statements.flatMap(({ problems }) => problems);
  const model = statements.find((one) => one.model !== undefined)?.model;
  if (model === undefined) return { kind: 'unread', way: 'no-model', format, problems: [...notes, withoutModel(root)] };
  const path = files[0]?.path ?? '';
  const found = architectureOf(model, models, path);
  if (found.kind === 'unread')
    return { kind: 'unread', way: 'unknown-name', format, problems: [found.problem, ...notes] };
  const { run, problems } = merged(statements, path);
  const stated = sourcesOfStated(run, path);
  return {
    ...found.reading,
    format,
    run: stated.sources,
    fields: fieldsOf(files),
    assumptions: [...found.reading.assumptions, ...statements.flatMap(({ assumptions }) => assumptions)],
    problems: [...found.reading.problems, ...notes, ...problems, ...stated.problems],
  };
}

const withoutModel = (root: Statement | undefined): Problem => ({
  severity: 'error',
  message: `The file says how a run is spread and names no model: it is judged with the jobs that name it, or beside which the policy puts it (\`with:\`).${root?.format === undefined ? '' : ` It was read as ${root.format}.`}`,
});

/** The root's scalars under their own paths, those of the other files with the file's name in front. */
function fieldsOf(files: readonly ParsedFile[]): readonly StatedField[] {
  return files.flatMap(({ path, source }, index) =>
    statedFields(source).map((field) => (index === 0 ? field : { path: `${path}: ${field.path}`, value: field.value })),
  );
}

function merged(
  statements: readonly Statement[],
  path: string,
): { readonly run: StatedRun; readonly problems: readonly Problem[] } {
  const run: Record<string, Stated> = {};
  const problems: Problem[] = [];
  for (const statement of statements) {
    for (const [field, stated] of Object.entries(statement.run)) {
      const known = run[field];
      if (known === undefined || weaker(known, stated)) run[field] = stated;
      else if (contradicts(known, stated)) problems.push(conflict(field, known, stated, path));
    }
  }
  return { run, problems };
}

/** Whether the other one goes before: a statement before a default, a value before an open field. */
const weaker = (known: Stated, other: Stated): boolean =>
  other.kind === 'value' && (known.kind === 'open' || (known.by === 'framework' && other.by !== 'framework'));

const contradicts = (one: Stated, other: Stated): boolean =>
  one.kind === 'value' &&
  other.kind === 'value' &&
  one.by !== 'framework' &&
  other.by !== 'framework' &&
  JSON.stringify(one.value) !== JSON.stringify(other.value);

function conflict(field: string, one: Stated, other: Stated, path: string): Problem {
  const words = (stated: Stated) => {
    const value = stated.kind === 'value' ? JSON.stringify(stated.value)?.slice(0, 60) : 'open';
    return `${value}${stated.at === undefined ? '' : ` at ${placeText(stated.at)}`}`;
  };
  const line = one.at?.file === path ? one.at.line : undefined;
  return {
    severity: 'warning',
    message: `${field} is ${words(one)} and ${words(other)}; the first is taken.`,
    ...(line === undefined ? {} : { line }),
  };
}

function architectureOf(model: ModelStatement, models: ReadonlyMap<string, ParsedFile>, path: string): Found {
  if (model.kind === 'described') return { kind: 'read', reading: describedAs(model.config, model.names, []) };
  const file = models.get(model.name);
  const published = file === undefined ? findModel(model.name) : undefined;
  const config =
    file === undefined ? published?.config : isDictionary(file.source.value) ? file.source.value : undefined;
  if (config === undefined) return { kind: 'unread', problem: unknownModel(model, path) };
  const changes = model.changes ?? { config: {}, names: new Map() };
  const origin = file === undefined ? (published?.source ?? '') : file.path;
  const assumption: Assumption = { field: model.at.key, value: model.name, reason: `its sizes are those of ${origin}` };
  const reading = describedAs(overlaid(config, changes.config), changes.names, [assumption]);
  const named = { key: model.at.key, name: model.name };
  return { kind: 'read', reading: { ...reading, keys: { ...reading.keys, named } } };
}

function unknownModel({ name, at, needs }: Extract<ModelStatement, { kind: 'named' }>, path: string): Problem {
  const shown = name.slice(0, 100);
  const message =
    needs === undefined
      ? `${at.key} is "${shown}", which is not in the catalogue of models.${didYouMean(shown, modelNames)} Add "base_models: { ${shown}: path/of/config.json }" to the policy.`
      : leftOpen(at.key, needs);
  return problemAt(at, path, { severity: 'error', message });
}

/** An architecture under canonical keys; messages and lines use the file's own words. */
function describedAs(
  config: Keys,
  names: Names,
  assumptions: readonly Assumption[],
): Extract<Reading, { kind: 'read' }> {
  const reading = readKeys({ reader: huggingface.id, config, names });
  if (reading.kind === 'unread') throw new Error('an architecture is read or refused in a sentence');
  return { ...reading, assumptions: [...reading.assumptions, ...assumptions] };
}

/**
 * An architecture from its keys alone.
 *
 * @throws Unreadable with one sentence
 */
export function readKeys({ reader, config, names }: Omit<ModelKeys, 'named'>): Reading {
  const source: Source = { value: config, lines: new Map(), problems: [], names };
  if (reader === mamba.id) return mamba.read(source);
  return own(config, 'model_type') === decoderType ? readDecoder(source) : huggingface.read(source);
}

function readDecoder(source: Source): Reading {
  const fields = new Fields(source.value as Keys, source);
  const architecture = build(decoder(fields), fields, fields, fields.string('name') ?? decoderType);
  return {
    kind: 'read',
    format: '',
    architecture,
    keys: { reader: huggingface.id, config: source.value as Keys, names: source.names ?? new Map() },
    run: [],
    fields: [],
    assumptions: fields.assumptions,
    problems: fields.problems,
  };
}
