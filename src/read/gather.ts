import type { Problem, Reading } from '../model/reading.ts';
import type { Reference, Statement } from '../model/statement.ts';
import { placeText, problemAt } from '../setup/stated.ts';
import { Unreadable } from '../text/fields.ts';
import { parse, syntaxOf, trainersSyntaxOf } from '../text/syntax.ts';
import type { Files } from '../world.ts';
import type { Format, ListedFormat, ParsedFile } from './format.ts';

/** How far a job may reach: files deep, files and bytes in all. */
export const reach = { depth: 4, files: 32, bytes: 4 * 2 ** 20 } as const;

/** The statements of one job, that of its root first; or the files that must be read before it can be said what they state. */
export type Gathering =
  | { readonly kind: 'needs'; readonly paths: readonly string[] }
  | { readonly kind: 'whole'; readonly statements: readonly Statement[]; readonly files: readonly ParsedFile[] }
  | Extract<Reading, { readonly kind: 'unread' }>;

/** The format whose signature a file has, among those that its syntax allows. */
export function formatOf(formats: readonly ListedFormat[], path: string, value: unknown): Format | undefined {
  const syntax = syntaxOf(path);
  return formats.find(
    (format) => syntax !== undefined && format.syntaxes.some((one) => one === syntax) && format.recognises(value),
  );
}

/** Files of one job: those that are open, those that must be fetched first, and what is wrong with any. */
type Job = {
  readonly root: ParsedFile;
  readonly format: Format;
  readonly formats: readonly ListedFormat[];
  readonly known: Files;
  readonly opened: Map<string, ParsedFile>;
  /** paths of files that cannot be read */
  readonly closed: Set<string>;
  readonly needs: Set<string>;
  readonly problems: Problem[];
  bytes: number;
};

/** A file of a job with its format, how many references lead to it, and the command that starts a program with it. */
type Step = {
  readonly file: ParsedFile;
  readonly by: Format;
  readonly depth: number;
  readonly program: string | undefined;
};

/**
 * A job from its root file: what the root states, and what the files that it refers to state. Pure: what it lacks it asks for,
 * and the door calls again with more files. Bounded by `reach`; no path leaves the repository.
 *
 * @param put files that the policy puts beside the root
 */
export function gather(
  root: ParsedFile,
  format: Format,
  formats: readonly ListedFormat[],
  known: Files,
  put: readonly string[] = [],
): Gathering {
  const opened = new Map([[root.path, root]]);
  const job: Job = {
    root,
    format,
    formats,
    known,
    opened,
    closed: new Set(),
    needs: new Set(),
    problems: [],
    bytes: 0,
  };
  const statements: Statement[] = [];
  const seen = new Set([root.path]);
  const queue: Step[] = [{ file: root, by: format, depth: 0, program: undefined }];
  for (let next = queue.shift(); next; next = queue.shift()) {
    const statement = stated(next, job);
    if (statement.kind === 'unread') return statement;
    if (statement.kind === 'needs') break;
    statements.push(statement.of);
    const beside = next.file === root ? put.map(byPolicy) : [];
    for (const reference of [...statement.of.refers, ...beside]) {
      if (seen.has(reference.path) || reference.role === 'base') continue;
      seen.add(reference.path);
      const step = follow(reference, next.depth, job);
      if (step !== undefined) queue.push(step);
    }
  }
  if (job.needs.size > 0) return { kind: 'needs', paths: [...job.needs] };
  const [first, ...rest] = statements;
  const noted = first === undefined ? [] : [{ ...first, problems: [...first.problems, ...job.problems] }];
  return { kind: 'whole', statements: [...noted, ...rest], files: [...opened.values()] };
}

const byPolicy = (path: string): Reference => ({
  role: 'run',
  path,
  at: { file: 'the policy', key: 'with' },
});

/** What a file states; `needs` where it cannot say it before others are fetched. */
function stated(
  { file, by, program }: Step,
  job: Job,
):
  | { readonly kind: 'stated'; readonly of: Statement }
  | { readonly kind: 'needs' }
  | Extract<Gathering, { kind: 'unread' }> {
  const { root, needs } = job;
  try {
    const of = by.states(file, (path) => open(path, job), program);
    return {
      kind: 'stated',
      of: { ...of, problems: of.problems.map((problem) => toldIn(file.path, problem, root.path)) },
    };
  } catch (error) {
    if (needs.size > 0) return { kind: 'needs' };
    const { problem, way } = error instanceof Unreadable ? error : ofAnotherKind(error, by);
    return { kind: 'unread', way, format: job.format.id, problems: [toldIn(file.path, problem, root.path)] };
  }
}

/** A problem of a file as the job's reading tells it: lines are those of the root, and other files are named. */
function toldIn(path: string, problem: Problem, root: string): Problem {
  if (path === root) return problem;
  const { line, ...rest } = problem;
  const place = { file: path, key: '', ...(line === undefined ? {} : { line }) };
  return { ...rest, message: `${placeText(place)}: ${problem.message}` };
}

/** A file by its path, where it is known and within reach; a file that is not known is asked for. */
function open(path: string, job: Job): ParsedFile | undefined {
  const found = job.opened.get(path);
  if (found !== undefined || job.closed.has(path)) return found;
  if (!job.known.has(path)) {
    if (job.opened.size + job.needs.size < reach.files) job.needs.add(path);
    return undefined;
  }
  const side = job.known.get(path);
  if (side?.kind !== 'bytes' || job.bytes + side.bytes.length > reach.bytes) return undefined;
  job.bytes += side.bytes.length;
  const source = parse(side.bytes, trainersSyntaxOf(path) ?? 'yaml-1.1');
  if (source.kind === 'broken') {
    job.closed.add(path);
    job.problems.push(toldIn(path, source.problem, job.root.path));
    return undefined;
  }
  const file = { path, source };
  job.opened.set(path, file);
  return file;
}

/** The file that a reference names, with its format; a problem where it cannot be read. */
function follow(reference: Reference, depth: number, job: Job): Step | undefined {
  const { known, needs, problems, root, formats } = job;
  const file = depth < reach.depth ? open(reference.path, job) : undefined;
  if (file === undefined) {
    if (known.has(reference.path)) problems.push(absent(reference, root.path));
    else if (!needs.has(reference.path)) problems.push(tooFar(reference, root.path));
    return undefined;
  }
  const by = formatOf(formats, reference.path, file.source.value);
  if (by === undefined) problems.push(notUnderstood(reference, root.path));
  return by === undefined ? undefined : { file, by, depth: depth + 1, program: reference.program };
}

/** A TypeError of a format means a value of another kind than it expects, say an object for a word; other errors are ours. */
function ofAnotherKind(error: unknown, { title }: Format): Unreadable {
  if (!(error instanceof TypeError)) throw error;
  return new Unreadable(
    `The file is ${title} by its keys, but a value in it is of a kind that the format does not have there.`,
  );
}

const absent = ({ path, at }: Reference, root: string): Problem =>
  problemAt(at, root, {
    severity: 'warning',
    message: `${at.key} names ${path}, which is not a file of this repository that can be read; what it says of ${root} is not known.`,
  });

const tooFar = ({ path, at }: Reference, root: string): Problem =>
  problemAt(at, root, {
    severity: 'warning',
    message: `${at.key} names ${path}, which is not read: a job is followed through ${reach.files} files and ${reach.depth} deep.`,
  });

const notUnderstood = ({ path, at }: Reference, root: string): Problem =>
  problemAt(at, root, {
    severity: 'warning',
    message: `${at.key} names ${path}, which is not in a format that is read.`,
  });

/**
 * A path that a file names, from the root of the repository; undefined where it is not one inside it. Relative to the root, as
 * trainers are started there, unless it begins with a dot: then to the file's own folder.
 */
export function pathInside(path: string, from: string): string | undefined {
  if (path === '' || path.length > 400 || /^[a-z][a-z0-9+.-]*:/i.test(path) || /^[~/\\]|[\0\n$]/.test(path))
    return undefined;
  const start = /^\.\.?\//.test(path) ? from.split('/').slice(0, -1) : [];
  const steps = [...start];
  for (const step of path.split('/')) {
    if (step === '' || step === '.') continue;
    if (step === '..') {
      if (steps.pop() === undefined) return undefined;
    } else steps.push(step);
  }
  return steps.length === 0 ? undefined : steps.join('/');
}
