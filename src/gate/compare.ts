import type { Ledger } from '../cost/ledger.ts';
import type { Reading } from '../model/reading.ts';
import { metrics } from './metrics.ts';
import type { Change, Comparison, Side, Status } from './review.ts';

/** One config on both sides; a side that is absent did not exist. */
export type Compared = {
  readonly path: string;
  readonly previousPath?: string;
  /** The user names this config, so being unreadable fails the gate. */
  readonly named: boolean;
  readonly base?: Side;
  readonly head?: Side;
};

/** What a change does to a config's cost. `unchanged` means: every metric and every part stayed as it was. */
export function compare(compared: Compared): Comparison {
  const { base, head } = compared;
  const changes = metrics.flatMap(({ id, take }) => {
    const side = ({ estimate }: Side) => (estimate === undefined ? null : take(estimate));
    const change = changeOf(id, base && side(base), head && side(head));
    return change === undefined ? [] : [change];
  });
  const parts = [
    ...moved('parameters', base?.estimate?.parameters.parts, head?.estimate?.parameters.parts),
    ...moved('flops', base?.estimate?.flops.parts, head?.estimate?.flops.parts),
  ];
  const differs = parts.length > 0 || changes.some(({ before, after }) => before !== after);
  return { ...compared, status: statusOf(base, head, differs), changes, parts, fields: changedFields(base, head) };
}

function statusOf(base: Side | undefined, head: Side | undefined, differs: boolean): Status {
  if (head === undefined) return base === undefined ? 'unchanged' : 'removed';
  if (head.estimate === undefined) return 'unreadable';
  if (base === undefined) return 'added';
  return differs ? 'changed' : 'unchanged';
}

function changeOf(
  metric: string,
  before: number | null | undefined,
  after: number | null | undefined,
): Change | undefined {
  if (before == null && after == null) return undefined;
  return {
    metric,
    ...(before == null ? {} : { before }),
    ...(after == null ? {} : { after }),
    ...(before == null || after == null || before === 0 ? {} : { ratio: after / before }),
  };
}

/** Lines of a ledger that moved, largest difference first. Nothing moves where a side is absent: the whole did. */
function moved(
  quantity: 'parameters' | 'flops',
  base: Ledger<number> | undefined,
  head: Ledger<number> | undefined,
): Comparison['parts'] {
  if (base === undefined || head === undefined) return [];
  const names = [...new Set([...Object.keys(head.lines), ...Object.keys(base.lines)])];
  return names
    .map((part) => ({
      part,
      quantity,
      before: own(base.lines, part) ?? 0,
      after: own(head.lines, part) ?? 0,
    }))
    .filter(({ before, after }) => before !== after)
    .sort((one, other) => Math.abs(other.after - other.before) - Math.abs(one.after - one.before));
}

const own = <Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

const fieldsOf = (reading: Reading | undefined) =>
  new Map((reading?.kind === 'read' ? reading.fields : []).map((field) => [field.path, field]));

/** Fields of the config that differ, in the head's order, those that are gone last. */
function changedFields(base: Side | undefined, head: Side | undefined): Comparison['fields'] {
  if (base?.reading.kind !== 'read' || head?.reading.kind !== 'read') return [];
  const before = fieldsOf(base.reading);
  const after = fieldsOf(head.reading);
  return [...new Set([...after.keys(), ...before.keys()])].flatMap((path) => {
    const was = before.get(path);
    const is = after.get(path);
    if (was?.value === is?.value) return [];
    return [
      {
        path,
        ...(was === undefined ? {} : { before: was.value }),
        ...(is === undefined ? {} : { after: is.value }),
        ...(is?.line === undefined ? {} : { line: is.line }),
      },
    ];
  });
}
