import type { Ledger } from '../model/ledger.ts';
import type { Origin, SettledRun } from '../model/run.ts';
import { runAsText } from '../setup/description.ts';
import { metrics } from './metrics.ts';
import type { Change, ChangedField, Comparison, HeldLimit, Side, Status } from './review.ts';

/** Two sides of one config; a side that is absent did not exist. */
export function compare(pair: {
  readonly path: string;
  readonly previousPath?: string;
  readonly otherLimits?: boolean;
  readonly named: boolean;
  readonly limits?: readonly HeldLimit[];
  readonly base?: Side;
  readonly head?: Side;
}): Comparison {
  const { base, head } = pair;
  const status = statusOf(base, head);
  return {
    ...pair,
    // Under a new path other limits may hold, so a moved file is compared even if its content did not change.
    status: status === 'unchanged' && pair.otherLimits === true ? 'changed' : status,
    changes: changesOf(base, head),
    parts: [...partsOf('parameters', base, head), ...partsOf('flops', base, head)],
    fields: fieldsOf(base, head),
  };
}

function statusOf(base: Side | undefined, head: Side | undefined): Status {
  if (head === undefined) return base === undefined || base.estimate !== undefined ? 'removed' : 'unreadable';
  if (head.estimate === undefined) return 'unreadable';
  if (base === undefined) return 'added';
  const same =
    changesOf(base, head).every(({ before, after }) => before === after) && fieldsOf(base, head).length === 0;
  return same ? 'unchanged' : 'changed';
}

function changesOf(base: Side | undefined, head: Side | undefined): readonly Change[] {
  return metrics.map((metric) => {
    const before = base?.estimate && metric.take(base.estimate);
    const after = head?.estimate && metric.take(head.estimate);
    return {
      metric: metric.id,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      ...(before === undefined || after === undefined || before === 0 ? {} : { ratio: after / before }),
    };
  });
}

/** The parts of a model that moved, largest move first; nothing where one side is absent. */
function partsOf(
  quantity: 'parameters' | 'flops',
  base: Side | undefined,
  head: Side | undefined,
): Comparison['parts'] {
  if (!base?.estimate || !head?.estimate) return [];
  const before = base.estimate[quantity].parts as Ledger<number>;
  const after = head.estimate[quantity].parts as Ledger<number>;
  return [...new Set([...Object.keys(before.lines), ...Object.keys(after.lines)])]
    .map((part) => ({ part, quantity, before: before.lines[part] ?? 0, after: after.lines[part] ?? 0 }))
    .filter((row) => row.before !== row.after)
    .sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before));
}

const fieldsOf = (base: Side | undefined, head: Side | undefined): readonly ChangedField[] => [
  ...configFields(base, head),
  ...runFields(base?.estimate?.run, head?.estimate?.run),
];

function configFields(base: Side | undefined, head: Side | undefined): readonly ChangedField[] {
  if (base?.reading.kind !== 'read' || head?.reading.kind !== 'read') return [];
  const before = new Map(base.reading.fields.map((field) => [field.path, field]));
  const after = new Map(head.reading.fields.map((field) => [field.path, field]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path): readonly ChangedField[] => {
    const [old, now] = [before.get(path)?.value, after.get(path)?.value];
    if (old === now) return [];
    const line = after.get(path)?.line;
    return [{ origin: 'architecture', path, ...moved(old, now), ...(line === undefined ? {} : { line }) }];
  });
}

/** Of the run only what somebody states beside the config: what follows from it moves with it, and the config has its own fields. */
function runFields(base: SettledRun | undefined, head: SettledRun | undefined): readonly ChangedField[] {
  if (base === undefined || head === undefined) return [];
  const [before, after] = [runAsText(base.run), runAsText(head.run)];
  const states = (origin: Origin | undefined) => origin === 'input' || origin === 'run' || origin === 'policy';
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path): readonly ChangedField[] => {
    const [old, now] = [before.get(path), after.get(path)];
    const stated = states(base.origins[path]) || states(head.origins[path]);
    return old === now || !stated ? [] : [{ origin: 'run', path, ...moved(old, now) }];
  });
}

const moved = (before: string | undefined, after: string | undefined) => ({
  ...(before === undefined ? {} : { before }),
  ...(after === undefined ? {} : { after }),
});
