import type { Problem, Reading } from '../model/reading.ts';
import type { Statement } from '../model/statement.ts';
import { Unreadable } from '../text/fields.ts';
import type { Inputs } from '../text/shell-machine.ts';
import { parse, syntaxOf, trainersSyntaxOf } from '../text/syntax.ts';
import type { Files } from '../world.ts';
import { compose } from './compose.ts';
import type { Format, ParsedFile } from './format.ts';
import { huggingface, statesSizes } from './formats/huggingface.ts';
import { trainingFormats } from './formats.ts';
import { formatOf, gather, pathInside, reach } from './gather.ts';

/** What a training file turned out to be; or the files that must be read before that can be said. */
export type JobReading = Reading | { readonly kind: 'needs'; readonly paths: readonly string[] };

export type JobContext = {
  /** Files of the same revision, as far as they are known. */
  readonly known: Files;
  /** Paths of configs by the names that training files give models (`base_models` of the policy). */
  readonly baseModels: Readonly<Record<string, string>>;
  /** Files that the policy puts beside this one (`with:`). */
  readonly beside: readonly string[];
  /** What a launch script is started with (`inputs:`). */
  readonly inputs?: Inputs;
};

export const alone: JobContext = { known: new Map(), baseModels: {}, beside: [] };

/** The training format that a parsed file is of, if any. */
export const trainingFormatOf = (file: ParsedFile): Format | undefined =>
  formatOf(trainingFormats, file.path, file.source.value);

/** Whether files of this format include each other. */
export const isIncluded = (format: string | undefined): boolean =>
  trainingFormats.some(({ id, included }) => id === format && included === true);

/**
 * A job from its root file. Call again with the files that it needs; a file that does not exist is known as undefined.
 *
 * @param format the one that `trainingFormatOf` found
 */
export function readJob(root: ParsedFile, format: Format, context: JobContext = alone): JobReading {
  const gathering = gather(root, format, trainingFormats, context.known, context.beside);
  if (gathering.kind === 'needs') return gathering;
  if (gathering.kind === 'unread') return gathering;
  const { statements, files } = gathering;
  if (statements[0]?.model?.kind !== 'described' && statesSizes(root.source.value)) return both(format);
  const models = modelFiles(statements, context, root.path);
  if (models.needs.length > 0) return { kind: 'needs', paths: models.needs };
  try {
    return compose(statements, [...files, ...models.files.values()], models.files);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { kind: 'unread', way: error.way, format: format.id, problems: [error.problem, ...notesOf(statements)] };
  }
}

/** Trainers ignore the keys of models and models those of trainers, so it is not known which of the two the file is for. */
const both = ({ id, title }: Format): Reading => ({
  kind: 'unread',
  way: 'impossible',
  format: id,
  problems: [
    {
      severity: 'error',
      message: `The file has the sizes of a model (${huggingface.title}) and the keys of a training file (${title}), and only one of the two can be meant; put them in a file each.`,
    },
  ],
});

const notesOf = (statements: readonly Statement[]): readonly Problem[] =>
  statements.flatMap(({ problems }) => problems);

/** Files that the names of models stand for: as the policy says, else a folder or a config of the repository. */
function modelFiles(statements: readonly Statement[], { known, baseModels }: JobContext, from: string) {
  const files = new Map<string, ParsedFile>();
  const needs: string[] = [];
  for (const { model } of statements) {
    if (model?.kind !== 'named') continue;
    for (const path of candidates(model.name, baseModels, from)) {
      if (!known.has(path)) {
        if (known.size < reach.files) needs.push(path);
        continue;
      }
      const side = known.get(path);
      if (side?.kind !== 'bytes' || files.has(model.name)) continue;
      const parsed = parse(side.bytes, trainersSyntaxOf(path) ?? 'json');
      if (parsed.kind === 'parsed') files.set(model.name, { path, source: parsed });
    }
  }
  return { files, needs };
}

function candidates(name: string, baseModels: Readonly<Record<string, string>>, from: string): readonly string[] {
  const named = Object.hasOwn(baseModels, name) ? baseModels[name] : undefined;
  if (named !== undefined) return [named];
  if (name.includes(':')) return [];
  // `./models/8b` is meant from the file, or from the root, where training is started.
  const paths = [pathInside(name, from), ...(name.startsWith('./') ? [pathInside(name.slice(2), from)] : [])];
  return [...new Set(paths)].flatMap((path) => {
    if (path === undefined) return [];
    return syntaxOf(path) === undefined ? [`${path}/config.json`] : [path];
  });
}
