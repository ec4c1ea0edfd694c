import { metrics } from '../gate/metrics.ts';
import type { Bound, Budgets, Limit, Waiver } from '../gate/rules.ts';
import type { Problem } from '../model/reading.ts';
import type { RunFields } from '../model/run.ts';
import { readRun, runOf } from '../setup/description.ts';
import { explain, type Place } from '../text/explain.ts';
import { didYouMean } from '../text/nearest.ts';
import type { Inputs } from '../text/shell-machine.ts';
import { parse, syntaxOf } from '../text/syntax.ts';
import { parseCount } from '../units.ts';
import { parseAmount } from './amounts.ts';
import { type BudgetsDescription, type PolicyDescription, policySchema } from './policy-schema.ts';

/** A file by name, with its bytes. */
export type NamedFile = { readonly name: string; readonly bytes: Uint8Array };

/** A kind of machine, as a policy names it. */
export type Hardware = {
  readonly name: string;
  readonly fields: RunFields;
  /** A real run on it, by which projections are scaled. */
  readonly measured?: {
    readonly config: NamedFile;
    readonly run: RunFields;
    /** of all GPUs together */
    readonly tokensPerSecond: number;
  };
};

/** What a policy states for some configs. */
export type Scope = {
  readonly hardware?: Hardware;
  readonly run: RunFields;
  readonly limits: readonly Limit[];
  readonly failOn?: Budgets['failOn'];
};

/** A policy file with the files that it names, read. */
export type Policy = {
  readonly name: string;
  /** The names of its machines; where there are several, `defaults.hardware` names the usual one. */
  readonly machines: readonly string[];
  readonly defaults: Scope & {
    readonly comment?: 'changes' | 'always' | 'failures' | 'never';
    readonly commentThreshold?: string;
    readonly overrideLabel?: string;
    readonly baseline?: 'merge-base' | 'base-tip';
    readonly hints?: boolean;
  };
  /** In the order of the file; later ones win. */
  readonly entries: readonly (Scope & {
    readonly match: readonly string[];
    readonly with: readonly string[];
    readonly inputs: Inputs;
  })[];
  /** Paths of configs by the names that training files give models. */
  readonly baseModels: Readonly<Record<string, string>>;
  readonly waivers: readonly (Waiver & { readonly match: readonly string[] })[];
  readonly ignore: readonly string[];
  /** Paths of the run descriptions that it names, which are no model configs. */
  readonly runFiles: readonly string[];
};

export type PolicyReading =
  | { readonly kind: 'read'; readonly policy: Policy }
  | { readonly kind: 'wrong'; readonly problems: readonly Problem[] };

/** A policy whose other files are still to be read. */
export type PolicyDraft =
  | {
      readonly kind: 'draft';
      /** paths of the files that it names */
      readonly files: readonly string[];
      readonly finish: (files: ReadonlyMap<string, Uint8Array>) => PolicyReading;
    }
  | { readonly kind: 'wrong'; readonly problems: readonly Problem[] };

/**
 * Reads a policy file. What is wrong is a sentence for each mistake, with file, line and key: a policy that is not understood
 * to the last word is not followed at all.
 */
export function draftPolicy({ name, bytes }: NamedFile): PolicyDraft {
  const parsed = parse(bytes, syntaxOf(name) ?? 'yaml');
  if (parsed.kind === 'broken') return { kind: 'wrong', problems: [placed(parsed.problem, name)] };
  const twice = parsed.problems.filter(({ severity }) => severity === 'warning');
  if (twice.length > 0) return { kind: 'wrong', problems: twice.map((problem) => placed(problem, name)) };
  const place: Place = { name, line: (key) => parsed.lines.get(key) };
  const checked = policySchema().safeParse(parsed.value);
  if (!checked.success) return { kind: 'wrong', problems: explain(policySchema(), parsed.value, checked.error, place) };
  const wrong = unknownHardware(checked.data, place);
  if (wrong.length > 0) return { kind: 'wrong', problems: wrong };
  return {
    kind: 'draft',
    files: filesOf(checked.data),
    finish: (files) => finish(checked.data, place, files),
  };
}

const placed = (problem: Problem, name: string): Problem => ({
  ...problem,
  severity: 'error',
  message: `${name}${problem.line === undefined ? '' : `:${problem.line}`}: ${problem.message}`,
});

function unknownHardware({ hardware = {}, defaults, configs = [] }: PolicyDescription, place: Place): Problem[] {
  const known = Object.keys(hardware);
  const named = [
    ['defaults.hardware', defaults?.hardware] as const,
    ...configs.map((entry, index) => [`configs.${index}.hardware`, entry.hardware] as const),
  ];
  return named.flatMap(([key, wanted]) => {
    if (wanted === undefined || known.includes(wanted)) return [];
    const line = place.line(key);
    return [
      placed(
        {
          severity: 'error',
          message: `${key} is "${wanted.slice(0, 60)}", which is not a name under hardware.${didYouMean(wanted, known)}`,
          key,
          ...(line === undefined ? {} : { line }),
        },
        place.name,
      ),
    ];
  });
}

function runFilesOf({ defaults, hardware = {}, configs = [] }: PolicyDescription): readonly string[] {
  const measured = Object.values(hardware).map(({ calibration }) =>
    typeof calibration === 'object' ? calibration.run : undefined,
  );
  return [defaults?.run, ...configs.map(({ run }) => run), ...measured].filter((run) => typeof run === 'string');
}

function filesOf(description: PolicyDescription): readonly string[] {
  const measured = Object.values(description.hardware ?? {}).flatMap(({ calibration }) =>
    typeof calibration === 'object' ? [calibration.config] : [],
  );
  return [...new Set([...runFilesOf(description), ...measured])];
}

/** Collects what is wrong while a policy is put together; the first mistake decides. */
type Workshop = {
  readonly place: Place;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly problems: Problem[];
};

function finish(description: PolicyDescription, place: Place, files: ReadonlyMap<string, Uint8Array>): PolicyReading {
  const shop: Workshop = { place, files, problems: [] };
  const { defaults = {}, configs = [], waivers = [], ignore = [] } = description;
  const machines = new Map(
    Object.entries(description.hardware ?? {}).map(([name, machine]) => [name, hardwareOf(name, machine, shop)]),
  );
  const [only] = machines.size === 1 ? machines.keys() : [];
  const scope = (stated: ScopeDescription, key: string, name: string | undefined): Scope => {
    const hardware = name === undefined ? undefined : machines.get(name);
    return {
      ...(hardware === undefined ? {} : { hardware }),
      run: runAt(stated.run, `${key}.run`, shop),
      limits: limitsOf(stated.budgets),
      ...(stated.fail_on === undefined ? {} : { failOn: stated.fail_on }),
    };
  };
  const policy: Policy = {
    name: place.name,
    machines: [...machines.keys()],
    defaults: {
      ...scope(defaults, 'defaults', defaults.hardware ?? only),
      ...(defaults.comment === undefined ? {} : { comment: defaults.comment }),
      ...(defaults.comment_threshold === undefined ? {} : { commentThreshold: defaults.comment_threshold }),
      ...(defaults.override_label === undefined ? {} : { overrideLabel: defaults.override_label }),
      ...(defaults.baseline === undefined ? {} : { baseline: defaults.baseline }),
      ...(defaults.hints === undefined ? {} : { hints: defaults.hints }),
    },
    entries: configs.map((entry, index) => ({
      ...scope(entry, `configs.${index}`, entry.hardware),
      match: listed(entry.match),
      with: listed(entry.with ?? []),
      inputs: Object.fromEntries(Object.entries(entry.inputs ?? {}).map(([name, value]) => [name, String(value)])),
    })),
    baseModels: description.base_models ?? {},
    waivers: waivers.map(({ match, covers, until, reason }) => ({
      match: listed(match),
      covers: listed(covers),
      until,
      reason,
    })),
    ignore: listed(ignore),
    runFiles: runFilesOf(description),
  };
  return shop.problems.length > 0 ? { kind: 'wrong', problems: shop.problems } : { kind: 'read', policy };
}

type ScopeDescription = Pick<NonNullable<PolicyDescription['configs']>[number], 'run' | 'budgets' | 'fail_on'>;
type HardwareDescription = NonNullable<PolicyDescription['hardware']>[string];
type RunOrPath = ScopeDescription['run'];

const listed = <Item>(one: Item | readonly Item[]): readonly Item[] =>
  Array.isArray(one) ? (one as readonly Item[]) : [one as Item];

/** A run description in the policy, or in the file that it names. */
function runAt(stated: RunOrPath, key: string, shop: Workshop): RunFields {
  if (stated === undefined) return {};
  const bytes = typeof stated === 'string' ? fileAt(stated, key, shop) : undefined;
  if (typeof stated === 'string' && bytes === undefined) return {};
  const reading =
    typeof stated === 'string'
      ? readRun(bytes ?? new Uint8Array(), stated)
      : runOf(stated, `${shop.place.name}: ${key}`);
  if (reading.kind === 'read') return reading.fields;
  shop.problems.push(...reading.problems);
  return {};
}

function fileAt(path: string, key: string, { place, files, problems }: Workshop): Uint8Array | undefined {
  const bytes = files.get(path);
  if (bytes !== undefined) return bytes;
  const line = place.line(key);
  const message = `${key} names ${path}, which could not be read.`;
  problems.push(placed({ severity: 'error', message, key, ...(line === undefined ? {} : { line }) }, place.name));
  return undefined;
}

function hardwareOf(name: string, description: HardwareDescription, shop: Workshop): Hardware {
  const { calibration, ...fields } = description;
  const key = `hardware.${name}`;
  const stated = runOf(
    { ...fields, ...(typeof calibration === 'number' ? { calibration } : {}) },
    `${shop.place.name}: ${key}`,
  );
  if (stated.kind === 'wrong') shop.problems.push(...stated.problems);
  const machine: Hardware = { name, fields: stated.kind === 'read' ? stated.fields : {} };
  if (typeof calibration !== 'object') return machine;
  const config = fileAt(calibration.config, `${key}.calibration.config`, shop);
  const run = runAt(calibration.run, `${key}.calibration.run`, shop);
  const tokensPerSecond =
    typeof calibration.tokens_per_second === 'number'
      ? calibration.tokens_per_second
      : (parseCount(calibration.tokens_per_second) ?? 0);
  if (config === undefined) return machine;
  return { ...machine, measured: { config: { name: calibration.config, bytes: config }, run, tokensPerSecond } };
}

function limitsOf(budgets: BudgetsDescription | undefined): readonly Limit[] {
  return metrics.flatMap((metric) => {
    const stated = budgets?.[metric.id];
    if (stated === undefined) return [];
    const { warn = {}, ...fail } =
      typeof stated === 'object' ? stated : { [metric.worse === 'up' ? 'max' : 'min']: stated };
    const limits = (bounds: Bounds, severity: Limit['severity']) =>
      boundNames.flatMap((bound): readonly Limit[] => {
        const written = bounds[bound];
        const use = bound === 'max' || bound === 'min' ? 'value' : 'move';
        const amount = written === undefined ? undefined : parseAmount(written, metric.unit, use);
        return amount === undefined ? [] : [{ metric: metric.id, bound, amount, severity, origin: 'policy' }];
      });
    return [...limits(fail, 'fail'), ...limits(warn, 'warn')];
  });
}

const boundNames: readonly Bound[] = ['max', 'min', 'max_increase', 'max_decrease'];
type Bounds = { readonly [bound in Bound]?: string | number | undefined };
