import { type ChangedField, type SetField, states } from '../gate/review.ts';
import { written } from '../model/names.ts';
import type { Place } from '../model/place.ts';
import type { ModelKeys } from '../model/reading.ts';
import type { Relations, RunSource, SettledRun } from '../model/run.ts';
import type { Keys } from '../model/statement.ts';
import { runAsText, runAsWritten } from '../setup/description.ts';
import { isDictionary, own } from '../text/fields.ts';

/** One side of a comparison before its cost is known: the model's keys, what is stated of its run, and how that was settled. */
export type Job = {
  readonly keys: ModelKeys;
  /** strongest first */
  readonly sources: readonly RunSource[];
  readonly settled: SettledRun;
};

/** Something that a change sets otherwise, and that can be set back by itself: one or more fields of model and run. */
export type Setting = {
  readonly fields: readonly SetField[];
  /** the word of its file that states it */
  readonly key: string;
  /** Where it is among what the jobs state: paths of the model's keys, fields of the run. */
  readonly model: readonly string[];
  readonly run: readonly string[];
};

/** One job with some settings of another. */
export type Mixed = Pick<Job, 'keys' | 'sources'>;

/**
 * What two jobs state otherwise, in an order that does not depend on their files'. Fields that one word of a file states change
 * together; and where one word changed in all, all that follows from it changes with it.
 *
 * @param written what changed in the files, as they are written
 */
export function settingsBetween(base: Job, head: Job, written: readonly ChangedField[]): readonly Setting[] {
  const single = [...modelSettings(base.keys, head.keys), ...runSettings(base, head)];
  const byKey = [...new Set(single.map(({ key }) => key))].map((key) =>
    united(single.filter((one) => one.key === key)),
  );
  const stated = byKey.filter(({ fields }) => fields.some((field) => written.some((other) => states(other, field))));
  const one = byKey.length > 0 && (written.length === 1 || stated.length === 1);
  const settings = one ? [united([...stated, ...byKey.filter((other) => !stated.includes(other))])] : byKey;
  return settings.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Tells a setting from all others. */
export const nameOf = ({ fields }: Setting): string => fields.map(({ origin, path }) => `${origin} ${path}`).join('\n');

const united = (settings: readonly Setting[]): Setting => ({
  key: settings[0]?.key ?? '',
  fields: settings.flatMap(({ fields }) => fields),
  model: settings.flatMap(({ model }) => model),
  run: settings.flatMap(({ run }) => run),
});

/** The base with the settings of the head that `taken` names. */
export function mixed(base: Job, head: Job, taken: readonly Setting[]): Mixed {
  const model = new Set(taken.flatMap((setting) => setting.model));
  const run = new Set(taken.flatMap((setting) => setting.run));
  const [old, now] = [statedOf(base), statedOf(head)];
  const fields = [...new Set([...old.keys(), ...now.keys()])];
  return {
    keys: mixedKeys(base.keys, head.keys, (path) => model.has(path)),
    sources: fields.flatMap((field) => (run.has(field) ? now : old).get(field)?.source ?? []),
  };
}

// --- The model ------------------------------------------------------------------------------------------------------------

/** The path of everything. */
const whole = '';

function modelSettings(base: ModelKeys, head: ModelKeys): readonly Setting[] {
  if (base.reader === head.reader && base.named?.name === head.named?.name)
    return leaves(base.config, head.config).map(({ path, before, after }) => {
      const name = head.names.get(path) ?? base.names.get(path);
      const field: SetField = {
        origin: 'architecture',
        path,
        ...(before === undefined ? {} : { before: JSON.stringify(before) }),
        ...(after === undefined ? {} : { after: JSON.stringify(after) }),
        ...(name?.line === undefined ? {} : { line: name.line }),
        ...(name === undefined || name.key === path ? {} : { writtenAs: name.key }),
      };
      return { fields: [field], key: name?.key ?? path, model: [path], run: [] };
    });
  const [before, after] = [base, head].map(({ named, config }) => named?.name ?? String(config['model_type']));
  const key = head.named?.key ?? base.named?.key ?? 'model';
  const field = { origin: 'architecture', path: key, ...(before && { before }), ...(after && { after }) } as const;
  return [{ fields: [field], key, model: [whole], run: [] }];
}

type Leaf = { readonly path: string; readonly before: unknown; readonly after: unknown };

/** Where two objects differ: values, lists, and objects that only one of them has. */
function leaves(base: Keys, head: Keys, prefix = ''): readonly Leaf[] {
  return [...new Set([...Object.keys(base), ...Object.keys(head)])].flatMap((key): readonly Leaf[] => {
    const [before, after] = [own(base, key), own(head, key)];
    const path = prefix + key;
    if (isDictionary(before) && isDictionary(after)) return leaves(before, after, `${path}.`);
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
  });
}

function mixedKeys(base: ModelKeys, head: ModelKeys, taken: (path: string) => boolean): ModelKeys {
  if (taken(whole)) return head;
  if (base.reader !== head.reader || base.named?.name !== head.named?.name) return base;
  return { ...head, config: mixedObjects(base.config, head.config, taken) };
}

function mixedObjects(base: Keys, head: Keys, taken: (path: string) => boolean, prefix = ''): Keys {
  const keys = [...new Set([...Object.keys(base), ...Object.keys(head)])];
  return Object.fromEntries(
    keys.flatMap((key) => {
      const [before, after] = [own(base, key), own(head, key)];
      const path = prefix + key;
      if (isDictionary(before) && isDictionary(after)) return [[key, mixedObjects(before, after, taken, `${path}.`)]];
      const value = taken(path) ? after : before;
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

// --- The run --------------------------------------------------------------------------------------------------------------

/** One field of a run or one count, as the strongest source states it. */
type StatedField = {
  readonly text: string;
  /** states this field and no other */
  readonly source: RunSource;
  readonly place: Place | undefined;
};

/** What a job states of its run, by field as users write it. */
function statedOf({ sources }: Pick<Job, 'sources'>): ReadonlyMap<string, StatedField> {
  const found = new Map<string, StatedField>();
  for (const source of sources) {
    const { parallelism, ...flat } = source.fields;
    const put = (field: string, value: unknown, one: Pick<RunSource, 'fields' | 'relations'>) => {
      if (value === undefined || found.has(field)) return;
      const machine = source.machine === undefined ? {} : { machine: source.machine };
      found.set(field, {
        text: textOf(value),
        source: { origin: source.origin, ...machine, ...one },
        place: source.places?.[field] ?? source.places?.[`${field}.targets`],
      });
    };
    for (const [name, value] of Object.entries(flat)) put(written(name), value, { fields: { [name]: value } });
    for (const [name, value] of Object.entries(parallelism ?? {}))
      put(`parallelism.${written(name)}`, value, { fields: { parallelism: { [name]: value } } });
    for (const [name, count] of Object.entries<number | undefined>(source.relations ?? {}))
      put(written(name), count, { fields: {}, relations: { [name]: count } as Relations });
  }
  return found;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(isDictionary(value) ? runAsWritten(value) : value);

function runSettings(base: Job, head: Job): readonly Setting[] {
  const [old, now] = [statedOf(base), statedOf(head)];
  const [before, after] = [base, head].map(({ settled }) => runAsText(settled.run));
  const changed = [...new Set([...old.keys(), ...now.keys()])].filter(
    (field) => old.get(field)?.text !== now.get(field)?.text,
  );
  const followers = (leader: string) =>
    changed.filter(
      (field) => field !== leader && changed.includes(leader) && leaderOf(old.get(field), now.get(field)) === leader,
    );
  const led = new Set(['framework', 'accelerator'].flatMap(followers));
  return changed
    .filter((field) => !led.has(field))
    .map((field) => {
      const place = now.get(field)?.place ?? old.get(field)?.place;
      const shownField: SetField = {
        origin: 'run',
        path: field,
        ...shown('before', old.get(field)?.text ?? before?.get(field)),
        ...shown('after', now.get(field)?.text ?? after?.get(field)),
        ...(place?.line === undefined ? {} : { line: place.line }),
        ...(place === undefined || place.key === field ? {} : { writtenAs: place.key }),
      };
      // What stands in no file of the job is a field of the run description.
      return { fields: [shownField], key: place?.key ?? `run ${field}`, model: [], run: [field, ...followers(field)] };
    });
}

const shown = <Name extends string>(name: Name, text: string | undefined) =>
  (text === undefined ? {} : { [name]: text }) as { readonly [Key in Name]?: string };

/** What a field moves with where nobody changed it: the framework whose default it is, the accelerator of its machine. */
function leaderOf(before: StatedField | undefined, after: StatedField | undefined): string | undefined {
  const sides = [before, after].flatMap((side) => side?.source ?? []);
  if (sides.every(({ origin }) => origin === 'framework')) return 'framework';
  return sides.every(({ machine }) => machine === true) ? 'accelerator' : undefined;
}
