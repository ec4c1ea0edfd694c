import type { Place } from '../model/place.ts';
import type {
  Keys,
  ModelStatement,
  Reference,
  RelationName,
  RunFieldName,
  Stated,
  StatedRun,
  Statement,
  Teller,
} from '../model/statement.ts';
import { Unreadable } from '../text/fields.ts';
import { type ParsedFile, placeOf, valuesAt } from './format.ts';

type RunKey = RunFieldName | RelationName;

/** How a value of a file becomes one of ours: undefined says nothing of it. */
type Convert = (value: unknown) => unknown;

/**
 * Collects what one file states, in the order in which a reader of its format would look: keys of the run, sizes of the model,
 * defaults of the framework, files that it names. Everything keeps its place.
 */
export type Stating = {
  /** The value at a dotted path of the file; undefined where it is absent or null. */
  readonly at: (path: string) => unknown;
  readonly number: (path: string) => number | undefined;
  readonly text: (path: string) => string | undefined;
  readonly flag: (path: string) => boolean | undefined;
  readonly place: (path: string) => Place;
  /** A field of the run as a key of the file states it; the first of several keys. `auto`, -1 and variables leave it open. */
  readonly run: (field: RunKey, keys: string | readonly string[], convert?: Convert) => void;
  /** A field of the run that follows from what stands at a key. */
  readonly runIs: (field: RunKey, value: unknown, key: string) => void;
  /** A field that nobody states: what the framework itself takes. Weaker than every statement. */
  readonly byDefault: (field: RunKey, value: unknown, reason: string) => void;
  /** A canonical key of the model as a key of the file states it; the first of several keys. */
  readonly model: (canonical: string, keys: string | readonly string[], convert?: Convert) => void;
  /** A canonical key of the model that follows from what stands at a key. */
  readonly modelIs: (canonical: string, value: unknown, key?: string) => void;
  /** The model by its name: a hub id, a preset, or a path. Keys given to `model` change it. */
  readonly named: (name: string, key: string) => void;
  readonly refer: (role: Reference['role'], path: string, key: string, program?: string) => void;
  readonly assume: (field: string, value: string, reason: string) => void;
  readonly warn: (message: string, key?: string) => void;
  /** A sentence why the file cannot be read further. */
  readonly refuse: (message: string, key?: string, Kind?: typeof Unreadable) => Unreadable;
  readonly statement: (changes?: { readonly by?: Teller }) => Statement;
};

/** Words in the place of a value that do not say it. */
const open = /^(auto|none|null|\$\{?[\w:.,-]*\}?.*|\{\{.*\}\}|<.*>|CONFIG_\w+|TODO.*|\?\?\?)$/i;

/**
 * Starts a statement about one file.
 *
 * @param places where values were written that stand in the file's source under other words, or come from a file that it includes
 */
export function stating(file: ParsedFile, format: string, places: ReadonlyMap<string, Place> = new Map()): Stating {
  const { value: root, problems: found } = file.source;
  const run: Record<string, Stated> = {};
  const config: Record<string, unknown> = {};
  const names = new Map<string, { key: string; line?: number }>();
  const refers: Reference[] = [];
  const assumptions: Statement['assumptions'][number][] = [];
  const problems: Statement['problems'][number][] = [...found];
  let name: Named | undefined;

  const at = (path: string): unknown => valuesAt(root, path)[0] ?? undefined;
  const place = (key: string): Place => places.get(key) ?? placeOf(file, key);
  /** Lines are shown beside the file itself: those of another would point elsewhere. */
  const lineOf = (key: string) => (place(key).file === file.path ? place(key).line : undefined);
  const shownKey = (key: string) => place(key).key;
  const firstOf = (keys: string | readonly string[]) =>
    (typeof keys === 'string' ? [keys] : keys).find((key) => at(key) !== undefined);
  const put = (field: string, value: unknown, key: string) => {
    const known = run[field];
    if (value === undefined || (known?.kind === 'value' && known.by !== 'framework')) return;
    run[field] = isOpen(value)
      ? { kind: 'open', reason: `${shownKey(key)} is ${JSON.stringify(value)}`, at: place(key) }
      : {
          kind: 'value',
          value: numeric(value),
          by: place(key).file === file.path ? 'file' : 'include',
          at: place(key),
        };
  };
  const canonical = (path: string, value: unknown, key: string | undefined) => {
    if (value === undefined) return;
    setAt(config, path, numeric(value));
    if (key === undefined) return;
    const line = lineOf(key);
    names.set(path, { key: shownKey(key), ...(line === undefined ? {} : { line }) });
  };

  return {
    at,
    place,
    number: (path) => {
      const value = numeric(at(path));
      return typeof value === 'number' ? value : undefined;
    },
    text: (path) => {
      const value = at(path);
      return typeof value === 'string' ? value : undefined;
    },
    flag: (path) => flagOf(at(path)),
    run: (field, keys, convert = (value) => value) => {
      const key = firstOf(keys);
      if (key !== undefined) put(field, isOpen(at(key)) ? at(key) : convert(numeric(at(key))), key);
    },
    runIs: put,
    byDefault: (field, value, reason) => {
      run[field] ??= { kind: 'value', value, by: 'framework', reason };
    },
    model: (path, keys, convert = (value) => value) => {
      const key = firstOf(keys);
      if (key !== undefined) canonical(path, convert(numeric(at(key))), key);
    },
    modelIs: canonical,
    named: (model, key) => {
      const needs = file.source.open?.get(key);
      name = { name: model, at: place(key), ...(needs === undefined ? {} : { needs }) };
    },
    refer: (role, path, key, program) => {
      refers.push({ role, path, at: place(key), ...(program === undefined ? {} : { program }) });
    },
    assume: (field, value, reason) => {
      assumptions.push({ field, value, reason });
    },
    warn: (message, key) => {
      const line = key === undefined ? undefined : lineOf(key);
      problems.push({
        severity: 'warning',
        message,
        ...(key === undefined ? {} : { key: shownKey(key) }),
        ...(line === undefined ? {} : { line }),
      });
    },
    refuse: (message, key, Kind = Unreadable) =>
      key === undefined ? new Kind(message) : new Kind(message, lineOf(key), shownKey(key)),
    statement: ({ by } = {}) => {
      const model = modelOf(name, config, names);
      return {
        format,
        ...(model === undefined ? {} : { model }),
        run: by === undefined ? run : toldBy(run, by),
        refers,
        assumptions,
        problems,
      };
    },
  };
}

type Named = Pick<Extract<ModelStatement, { kind: 'named' }>, 'name' | 'at' | 'needs'>;

function modelOf(
  name: Named | undefined,
  config: Keys,
  names: ReadonlyMap<string, { readonly key: string; readonly line?: number }>,
): ModelStatement | undefined {
  const empty = Object.keys(config).length === 0;
  if (name !== undefined) return { kind: 'named', ...name, ...(empty ? {} : { changes: { config, names } }) };
  return empty ? undefined : { kind: 'described', config, names };
}

const toldBy = (run: StatedRun, by: Teller): StatedRun =>
  Object.fromEntries(
    Object.entries(run).map(([field, stated]) => [
      field,
      stated.kind === 'value' && stated.by === 'file' ? { ...stated, by } : stated,
    ]),
  );

/** A plain `none` is an answer of its own (no sharding, no recomputation); only Python's `None` leaves a field open. */
const isOpen = (value: unknown): boolean =>
  value === -1 || (typeof value === 'string' && value !== 'none' && open.test(value.trim()));

/** A number where a text is one: `32_000`, `1e-4`; else the value as it is. */
export function numeric(value: unknown): unknown {
  if (typeof value !== 'string' || !/^[+-]?\d[\d_]*(\.\d*)?([eE][+-]?\d{1,3})?$/.test(value)) return value;
  const number = Number(value.replaceAll('_', ''));
  return Number.isFinite(number) ? number : value;
}

/** What training files take for yes and no, YAML 1.1's words included. */
export function flagOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 0) return value === 1;
  if (typeof value !== 'string') return undefined;
  return /^(true|yes|on|1)$/i.test(value) ? true : /^(false|no|off|0)$/i.test(value) ? false : undefined;
}

/** Sets a dotted path in nested objects that this makes. */
function setAt(into: Record<string, unknown>, path: string, value: unknown): void {
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  let here = into;
  for (const step of steps) {
    here[step] ??= {};
    here = here[step] as Record<string, unknown>;
  }
  here[last] = value;
}
