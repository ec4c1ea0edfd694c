import { isCode, readFile } from './read/config.ts';
import { alone, isIncluded, type JobReading } from './read/job.ts';
import { recipePairs } from './read/recipes.ts';
import { isReadIn } from './read/scripts.ts';
import type { Described } from './settings/describe.ts';
import type { Settings } from './settings/settings.ts';
import { isHostfile, syntaxOf } from './text/syntax.ts';
import type { Changes, ConfigPair, ConfigSide, Files, InTime, Missed } from './world.ts';

/** What a door is asked for: files of a side, or the list of all files of the head; `everywhere`, whatever that takes. */
export type Ask =
  | { readonly kind: 'files'; readonly wanted: readonly Wanted[] }
  | { readonly kind: 'list'; readonly everywhere: boolean };

export type Wanted = { readonly side: 'base' | 'head'; readonly path: string };

/** What a door answers: one side for each file that was wanted, or the paths. */
export type Answer =
  | { readonly kind: 'files'; readonly sides: readonly (ConfigSide | undefined)[] }
  | { readonly kind: 'list'; readonly paths: readonly string[]; readonly missed: readonly Missed[] };

type Asking<Result> = Generator<Ask, Result, Answer>;

type Late = Extract<ReturnType<InTime>, { readonly kind: 'late' }>;

/** Rounds of questions: files that were fetched may name further ones. */
const rounds = 4;
/** How many changed files are examined as possible parts of jobs, before any is taken to be one, and how many jobs are searched for uses. */
const mostParts = 100;
const mostJobs = 1_000;

/**
 * The changes with the files that their jobs refer to, and with every other job that uses a file that changed: a change of
 * `zero3.json` alone is a change of the trainings that name it. A generator, so that a door may answer at once or after a request.
 */
export function* jobsOf(changes: Changes, settings: Settings, inTime: InTime): Asking<Changes> {
  const own = { ...changes, pairs: (yield* filled(changes.pairs, settings, inTime)).pairs };
  if (changes.head === undefined || changes.base === undefined) return own;
  if (!mayConcernJobs(own, settings)) return own;
  const { pairs, missed } = yield* jobsUsing(own, settings, inTime, false);
  if (missed.length === 0) return { ...own, pairs: [...own.pairs, ...pairs] };
  // Any JSON or YAML may be named by a job, so that a repository too large to be searched does not fail each change of one.
  if (!(yield* changesParts(own, settings, inTime)))
    return { ...own, pairs: [...own.pairs, ...pairs], notes: [...own.notes, unsearched] };
  const everywhere = yield* jobsUsing(own, settings, inTime, true);
  return { ...own, pairs: [...own.pairs, ...everywhere.pairs], missed: [...own.missed, ...everywhere.missed] };
}

const unsearched =
  'The repository is too large to search all of it for trainings that use a changed file; those that were not searched are judged when they change themselves.';

/** Pairs with what the job of each side refers to, and the paths of those that took too long to be read for that. */
type Filled = { readonly pairs: readonly ConfigPair[]; readonly late: ReadonlySet<string> };

function* filled(pairs: readonly ConfigPair[], settings: Settings, inTime: InTime): Asking<Filled> {
  const late = new Set<string>();
  let all = pairs;
  for (let round = 0; round < rounds; round++) {
    const wanted = all.flatMap((pair, index) => {
      if (late.has(pair.path)) return [];
      const missing = missingOf(pair, settings, inTime);
      if (missing === undefined) late.add(pair.path);
      return (missing ?? []).map((one) => ({ ...one, index }));
    });
    if (wanted.length === 0) return { pairs: all, late };
    const sides = yield* files(wanted);
    const found = new Map<
      number,
      { readonly base: Map<string, ConfigSide | undefined>; readonly head: Map<string, ConfigSide | undefined> }
    >();
    for (const [at, { index, side, path }] of wanted.entries()) {
      const known = found.get(index) ?? { base: new Map(), head: new Map() };
      known[side].set(path, sides[at]);
      found.set(index, known);
    }
    all = all.map((pair, index) => withFiles(pair, found.get(index)));
  }
  return { pairs: all, late };
}

function* files(wanted: readonly Wanted[]): Asking<readonly (ConfigSide | undefined)[]> {
  const answer = yield { kind: 'files', wanted };
  return answer.kind === 'files' ? answer.sides : [];
}

function withFiles(pair: ConfigPair, found: { readonly base: Files; readonly head: Files } | undefined): ConfigPair {
  if (found === undefined) return pair;
  const { base, head } = pair.beside ?? { base: new Map(), head: new Map() };
  return { ...pair, beside: { base: new Map([...base, ...found.base]), head: new Map([...head, ...found.head]) } };
}

/** Files that the jobs of a pair refer to and that nobody has fetched yet; undefined where finding them takes too long. */
function missingOf(pair: ConfigPair, settings: Settings, inTime: InTime): readonly Wanted[] | undefined {
  const timed = inTime(() => recipePairs(pair).flatMap((one) => missingOfJob(one, settings)));
  return timed.kind === 'done' ? timed.result : undefined;
}

function missingOfJob({ path, previousPath, base, head, beside }: ConfigPair, settings: Settings): readonly Wanted[] {
  const of = (side: 'base' | 'head', file: ConfigSide | undefined, name: string, described: Described | undefined) => {
    if (file?.kind !== 'bytes') return [];
    const job = settings.jobOf(name, described?.kind === 'read' ? described : undefined);
    const reading = readFile(file.bytes, name, { known: beside?.[side] ?? new Map(), ...job });
    return reading.kind === 'needs' ? reading.paths.map((wanted) => ({ side, path: wanted })) : [];
  };
  return [
    ...of('base', base, previousPath ?? path, settings.runs?.base),
    ...of('head', head, path, settings.runs?.head),
  ];
}

/** Some file that changed is by its looks a part of a job whose own file did not change. */
function* changesParts({ touched = [], pairs }: Changes, settings: Settings, inTime: InTime): Asking<boolean> {
  if (isKnownPart(touched, settings)) return true;
  if (pairs.some(({ path, base: old, head: now }) => isPart(old, path, inTime) || isPart(now, path, inTime)))
    return true;
  const known = new Set(pairs.flatMap(({ path, previousPath }) => [path, previousPath]));
  // Files that the patterns name were read already, or are reported as missing.
  const unseen = (path: string) => !known.has(path) && !settings.matches(path);
  const others = touched.filter((path) => unseen(path) && isFollowed(path));
  if (others.length === 0) return false;
  // Where a change has more of them than are read, one may be a part: the jobs are searched, so that none can be hidden among many.
  if (others.length > mostParts) return true;
  const sides = yield* files(
    others.flatMap((path) => [
      { side: 'base', path },
      { side: 'head', path },
    ]),
  );
  return sides.some((side, index) => isPart(side, others[Math.floor(index / 2)] ?? '', inTime));
}

/** What the policy says of jobs names a file that changed, or gives a model's name another one. */
function isKnownPart(touched: readonly string[], settings: Settings): boolean {
  const { base, head } = settings.runs ?? {};
  const parts = new Set([base, head].flatMap((described) => (described?.kind === 'read' ? described.parts : [])));
  return renamedModels(settings).length > 0 || touched.some((path) => parts.has(path) || isTrainer(path));
}

/**
 * Some file changed that a job may name: a model's config, a training file that a script starts, a fragment that says by itself
 * neither what it is nor whose. Files that the base describes runs by are judged by what changes in them; what the head
 * calls such a file may be another one.
 */
function mayConcernJobs({ touched = [] }: Changes, settings: Settings): boolean {
  if (isKnownPart(touched, settings)) return true;
  const base = settings.runs?.base;
  const described = new Set(base?.kind === 'read' ? base.files : []);
  return touched.some((path) => isFollowed(path) && !described.has(path));
}

/** Whether a script reads such a file in, or hands it to its launcher, by its name. */
const isBeside = (path: string): boolean => isReadIn(path) || isHostfile(path);

/** Whether a file is one that readers follow, by its name. */
const isFollowed = (path: string): boolean => isBeside(path) || (syntaxOf(path) !== undefined && !isCode(path));

/** undefined where there is no text. */
function readAlone(side: ConfigSide | undefined, path: string, inTime: InTime): JobReading | Late | undefined {
  if (side?.kind !== 'bytes') return undefined;
  const timed = inTime(() => readFile(side.bytes, path, alone));
  return timed.kind === 'done' ? timed.result : timed;
}

/**
 * Whether a file may be part of another file's job: it describes a run without a model (accelerate, DeepSpeed), its format is one
 * of files that include each other, or it is a script that other scripts source. So may one that takes too long to be read.
 */
function isPart(side: ConfigSide | undefined, path: string, inTime: InTime): boolean {
  if (side?.kind === 'bytes' && isBeside(path)) return true;
  const reading = readAlone(side, path, inTime);
  if (reading?.kind === 'late') return true;
  if (reading === undefined || reading.kind === 'needs') return false;
  return isIncluded(reading.format) || (reading.kind === 'unread' && reading.way === 'no-model');
}

/** Configs that a name stands for on one side only (`base_models`): trainings that use the name have another model now. */
function renamedModels({ runs }: Settings): readonly string[] {
  if (runs?.base.kind !== 'read' || runs.head.kind !== 'read') return [];
  const [old, now] = [runs.base, runs.head].map(({ baseModels }) => new Map(Object.entries(baseModels)));
  const only = (here = new Map<string, string>(), there = new Map<string, string>()) =>
    [...here].flatMap(([name, path]) => (there.get(name) === path ? [] : [path]));
  return [...only(old, now), ...only(now, old)];
}

/** The script that holds the defaults of nanoGPT's configs. */
const isTrainer = (path: string): boolean => /(^|\/)train\.py$/.test(path);

/**
 * Jobs that use a file that changed, though their own file did not.
 *
 * @param everywhere also in folders that a door does not list at once
 */
function* jobsUsing(
  { touched = [], pairs }: Changes,
  settings: Settings,
  inTime: InTime,
  everywhere: boolean,
): Asking<{ readonly pairs: readonly ConfigPair[]; readonly missed: readonly Missed[] }> {
  const answer = yield { kind: 'list', everywhere };
  if (answer.kind !== 'list') return { pairs: [], missed: [] };
  const listed = new Set([...touched, ...pairs.map(({ path }) => path)]);
  const trainers = touched.filter(isTrainer).map((path) => path.replace(/train\.py$/, 'config/'));
  // Python files are opened only where a pattern names them, or where they use a trainer that changed.
  const isNamed = (path: string) => settings.named(path) || trainers.some((folder) => path.startsWith(folder));
  const paths = answer.paths
    .filter((path) => !listed.has(path) && settings.matches(path) && (!isCode(path) || isNamed(path)))
    .sort((a, b) => Number(settings.named(b)) - Number(settings.named(a)));
  const read = paths.slice(0, mostJobs);
  const sides = yield* files(read.map((path) => ({ side: 'head', path })));
  const alike = read.flatMap((path, index): readonly ConfigPair[] => {
    const side = sides[index];
    return side === undefined ? [] : [{ path, base: side, head: side }];
  });
  const changed = new Set([...touched, ...renamedModels(settings)]);
  const { pairs: searched, late } = yield* filled(alike, settings, inTime);
  // What took too long to be searched is reported as such, since it may use what changed.
  const using = searched.filter(
    ({ path, beside }) =>
      late.has(path) ||
      [...(beside?.base.keys() ?? []), ...(beside?.head.keys() ?? [])].some((one) => changed.has(one)),
  );
  const rest: readonly Missed[] =
    paths.length > mostJobs ? [{ kind: 'count', most: mostJobs, paths: paths.slice(mostJobs) }] : [];
  return { pairs: using, missed: [...answer.missed, ...rest] };
}
