import type { Problem, Reading } from '../model/reading.ts';
import type { Reference, Statement } from '../model/statement.ts';
import { problemAt } from '../setup/stated.ts';
import { Unreadable } from '../text/fields.ts';
import { parse, syntaxOf, trainersSyntaxOf } from '../text/syntax.ts';
import type { Files } from '../world.ts';
import type { Beside, Format, ListedFormat, ParsedFile } from './format.ts';

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
  const needs = new Set<string>();
  const opened = new Map<string, ParsedFile>([[root.path, root]]);
  const problems: Problem[] = [];
  let size = 0;
  const open = (path: string): ParsedFile | undefined => {
    const found = opened.get(path);
    if (found !== undefined) return found;
    if (!known.has(path)) {
      if (opened.size + needs.size < reach.files) needs.add(path);
      return undefined;
    }
    const side = known.get(path);
    if (side?.kind !== 'bytes' || size + side.bytes.length > reach.bytes) return undefined;
    size += side.bytes.length;
    const parsed = parse(side.bytes, trainersSyntaxOf(path) ?? 'yaml-1.1');
    if (parsed.kind === 'broken') {
      problems.push({ ...parsed.problem, message: `${path}: ${parsed.problem.message}` });
      return undefined;
    }
    const file = { path, source: parsed };
    opened.set(path, file);
    return file;
  };
  const beside: Beside = (path) => open(path);
  const statements: Statement[] = [];
  const queue: { readonly file: ParsedFile; readonly by: Format; readonly depth: number }[] = [
    { file: root, by: format, depth: 0 },
  ];
  const seen = new Set<string>([root.path]);
  const policyReferences: readonly Reference[] = put.map((path) => ({
    role: 'run',
    path,
    at: { file: 'the policy', key: 'with' },
    required: true,
  }));
  try {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const statement = next.by.states(next.file, beside);
      statements.push(statement);
      const further = next.file === root ? policyReferences : [];
      for (const reference of [...statement.refers, ...further]) {
        if (seen.has(reference.path) || reference.role === 'base') continue;
        seen.add(reference.path);
        const file = next.depth < reach.depth ? open(reference.path) : undefined;
        if (file === undefined) {
          if (known.has(reference.path) && reference.required) problems.push(absent(reference, root.path));
          else if (!known.has(reference.path) && !needs.has(reference.path))
            problems.push(tooFar(reference, root.path));
          continue;
        }
        const by = formatOf(formats, reference.path, file.source.value);
        if (by !== undefined) queue.push({ file, by, depth: next.depth + 1 });
        else problems.push(notUnderstood(reference, root.path));
      }
    }
  } catch (error) {
    if (needs.size === 0) {
      const { problem, way } = error instanceof Unreadable ? error : ofAnotherKind(error, format);
      return { kind: 'unread', way, format: format.id, problems: [problem] };
    }
  }
  if (needs.size > 0) return { kind: 'needs', paths: [...needs] };
  const [first, ...rest] = statements;
  const noted = first === undefined ? [] : [{ ...first, problems: [...first.problems, ...problems] }];
  return { kind: 'whole', statements: [...noted, ...rest], files: [...opened.values()] };
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
