import type { RunFields, RunSource } from '../model/run.ts';
import { readRun } from '../setup/description.ts';
import type { Inputs } from '../text/shell-machine.ts';
import { globs, remembered } from './globs.ts';
import type { NamedFile, Policy } from './policy.ts';

/** How one commit says that its configs are trained: the run description, and the `run:` blocks of its policy. */
export type Description = {
  readonly kind: 'read';
  readonly run: RunFields;
  readonly entries: readonly {
    readonly match: readonly string[];
    readonly run: RunFields;
    readonly with: readonly string[];
    readonly inputs: Inputs;
  }[];
  /** Files that are part of a job, though it does not name them. */
  readonly beside: (path: string) => readonly string[];
  /** What a launch script is started with. */
  readonly inputs: (path: string) => Inputs;
  /** Paths of configs by the names that training files give models. */
  readonly baseModels: Readonly<Record<string, string>>;
  /** What the entries that match a path state, the strongest first. */
  readonly of: (path: string) => readonly RunFields[];
  readonly defaults: RunFields;
  /** Files that the policy makes part of jobs. */
  readonly parts: readonly string[];
  /** Paths of the run descriptions, which are no model configs. */
  readonly files: readonly string[];
  /** It comes with the change that is judged, so what scales its figures is taken from those who judge. */
  readonly judged: boolean;
};

export type Described = Description | { readonly kind: 'wrong'; readonly sentences: readonly string[] };

/** The description that a run file and a policy give together. */
export function describe(run: NamedFile | undefined, policy: Policy | undefined, judged = false): Described {
  const read = run === undefined ? undefined : readRun(run.bytes, run.name);
  if (read?.kind === 'wrong') return { kind: 'wrong', sentences: read.problems.map(({ message }) => message) };
  const entries = (policy?.entries ?? []).map((entry) => ({ ...entry, globs: globs(entry.match) }));
  return {
    kind: 'read',
    run: read?.fields ?? {},
    entries,
    of: remembered((path) =>
      entries
        .filter(({ globs }) => globs.names(path))
        .map((entry) => entry.run)
        .reverse(),
    ),
    beside: remembered((path) => [
      ...new Set(entries.filter(({ globs }) => globs.names(path)).flatMap((entry) => entry.with)),
    ]),
    inputs: remembered((path) =>
      Object.assign({}, ...entries.filter(({ globs }) => globs.names(path)).map((entry) => entry.inputs)),
    ),
    baseModels: policy?.baseModels ?? {},
    parts: [...entries.flatMap((entry) => entry.with), ...Object.values(policy?.baseModels ?? {})],
    defaults: policy?.defaults.run ?? {},
    files: [...(policy?.runFiles ?? []), ...(run === undefined ? [] : [run.name])],
    judged,
  };
}

/** What is stated for one path before its config speaks, strongest first. */
export const statedBy = ({ run, of }: Description, path: string): readonly RunSource[] => [
  { origin: 'run', fields: run },
  ...of(path).map((fields): RunSource => ({ origin: 'policy', fields })),
];

/** Whether two descriptions could say something else of some config; text that changes no field does not. */
export const differs = (one: Description, other: Description): boolean => fieldsOf(one) !== fieldsOf(other);

const fieldsOf = ({ run, entries, defaults, baseModels }: Description): string =>
  JSON.stringify([
    run,
    entries.map(({ match, run: stated, with: put, inputs }) => [match, stated, put, inputs]),
    defaults,
    baseModels,
  ]);

/** What was measured or agreed, and scales the figures that are judged: a change must not state it for itself. */
const claims = [
  'calibration',
  'measuredTokensPerSecond',
  'memoryCalibration',
  'measuredDeviceBytes',
  'pricePerGpuHour',
] as const;

/** The claims that a description makes, as text to compare. */
export const claimsOf = ({ run, entries, defaults }: Description): string =>
  JSON.stringify([
    claimed(run),
    entries.map(({ match, run: stated }) => [match, claimed(stated)]).filter(([, stated]) => stated !== '{}'),
    claimed(defaults),
  ]);

const claimed = (fields: RunFields): string =>
  JSON.stringify(Object.fromEntries(claims.map((name) => [name, fields[name]])));

/** A change's own sources with the claims of those who judge it, as far as it keeps their accelerator. */
export function withClaims(sources: readonly RunSource[], judges: readonly RunSource[]): readonly RunSource[] {
  const kept = acceleratorOf(sources) === acceleratorOf(judges) ? judges : [];
  const agreed = claims.flatMap((name): readonly RunSource[] => {
    const source = kept.find(({ fields }) => fields[name] !== undefined);
    return source === undefined ? [] : [{ origin: source.origin, fields: { [name]: source.fields[name] } }];
  });
  return [...agreed, ...sources.map((source) => (source.machine ? source : { ...source, fields: without(source) }))];
}

const acceleratorOf = (sources: readonly RunSource[]): string | undefined =>
  sources.find(({ fields }) => fields.accelerator !== undefined)?.fields.accelerator;

function without({ fields }: RunSource): RunFields {
  const claimed: readonly string[] = claims;
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !claimed.includes(name)));
}
