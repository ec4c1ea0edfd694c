import { describe, expect, it } from 'vitest';
import { judge } from '../../src/gate/judge.ts';
import { metrics } from '../../src/gate/metrics.ts';
import type { Comparison, Side } from '../../src/gate/review.ts';
import type { Amount, Bound, Limit } from '../../src/gate/rules.ts';
import { config } from '../states.ts';
import { reviewOf, today } from '../stories.ts';

const base = config();
const [comparison] = reviewOf({ base, head: config({ num_hidden_layers: 40 }) }).review.comparisons;
if (comparison === undefined) throw new Error('The story has no comparison.');
const swapped = reviewOf({ base: config({ num_hidden_layers: 40 }), head: base }).review.comparisons[0] ?? comparison;
const still = reviewOf({ base, head: base }).review.comparisons[0] ?? comparison;
const { base: _, ...added } = comparison;

const absolute = (value: number): Amount => ({ kind: 'absolute', value });
const share = (value: number): Amount => ({ kind: 'share', share: value });

/** Codes and severities that one comparison gets under some limits. */
function judged(one: Comparison, ...limits: Partial<Limit>[]): readonly string[] {
  const whole = limits.map(
    (limit): Limit => ({
      metric: 'parameters',
      bound: 'max',
      amount: absolute(0),
      severity: 'fail',
      origin: 'policy',
      ...limit,
    }),
  );
  return judge([one], () => ({ limits: whole, failOn: 'over-budget', waivers: [] }), today).findings.map(
    ({ code, severity }) =>
      `${severity} ${code.replace(/^memory-/, 'limit-').replace('limit-over-budget', 'over-limit')}`,
  );
}

const valuesOf = (one: Comparison, id: string) => {
  const { before = 0, after = 0 } = one.changes.find(({ metric }) => metric === id) ?? {};
  return { before, after };
};

describe.each(metrics.map(({ id }) => id))('a limit of %s', (metric) => {
  // Whichever way it moves, one of the two comparisons takes it up and the other down.
  const rises = valuesOf(comparison, metric).after > valuesOf(comparison, metric).before;
  const [up, down] = rises ? [comparison, swapped] : [swapped, comparison];

  it.each<[Bound, Comparison, Comparison]>([
    ['max', up, down],
    ['min', down, up],
  ])('%s tells apart how a value came to be beyond it', (bound, further, nearer) => {
    const { before, after } = valuesOf(further, metric);
    const within = bound === 'max' ? 1.01 : 0.99;
    const between = (before + after) / 2;
    const beyondBoth = bound === 'max' ? Math.min(before, after) / 2 : Math.max(before, after) * 2;
    const limit = (value: number, changes: Partial<Limit> = {}) => ({
      metric,
      bound,
      amount: absolute(value),
      ...changes,
    });
    expect(judged(further, limit(after * within))).toEqual([]);
    expect(judged(further, limit(after))).toEqual([]);
    expect(judged(further, limit(between))).toEqual(['fail over-limit']);
    expect(judged(further, limit(between, { severity: 'warn' }))).toEqual(['warn over-limit']);
    expect(judged(further, limit(beyondBoth))).toEqual(['fail limit-worse']);
    expect(judged(nearer, limit(beyondBoth))).toEqual(['warn limit-improved']);
    expect(judged(nearer, limit(between))).toEqual([]);
  });

  it('that is broken and not moved, or broken by a new config', () => {
    const { after } = valuesOf(still, metric);
    expect(judged(still, { metric, amount: absolute(after / 2) })).toEqual(['warn limit-already-over']);
    expect(judged(still, { metric, bound: 'min', amount: absolute(after * 2) })).toEqual(['warn limit-already-over']);
    expect(judged(added, { metric, amount: absolute(valuesOf(comparison, metric).after / 2) })).toEqual([
      'fail over-limit',
    ]);
  });

  it('of how far one change may move it, by share and by amount, up and down', () => {
    const rise = valuesOf(up, metric);
    const step = rise.after - rise.before;
    const moves: [Comparison, Bound, string, number][] = [
      [up, 'max_increase', 'grows-too-much', rise.before],
      [down, 'max_decrease', 'shrinks-too-much', rise.after],
    ];
    for (const [one, bound, code, from] of moves) {
      expect(judged(one, { metric, bound, amount: absolute(step * 0.9) })).toEqual([`fail ${code}`]);
      expect(judged(one, { metric, bound, amount: absolute(step * 1.1) })).toEqual([]);
      expect(judged(one, { metric, bound, amount: share((step * 0.9) / from) })).toEqual([`fail ${code}`]);
      expect(judged(one, { metric, bound, amount: share((step * 1.1) / from), severity: 'warn' })).toEqual([]);
    }
    expect(judged(up, { metric, bound: 'max_decrease', amount: absolute(0) })).toEqual([]);
    expect(judged(still, { metric, bound: 'max_increase', amount: absolute(0) })).toEqual([]);
    expect(judged(added, { metric, bound: 'max_increase', amount: absolute(0) })).toEqual([]);
  });
});

describe('a limit that cannot be checked', () => {
  const blind = (side: Side | undefined): Side => {
    if (side?.estimate === undefined) throw new Error('The side has no estimate.');
    const throughput = {
      ...side.estimate.throughput,
      mfu: null,
      tokensPerSecondPerGpu: null,
      stepTime: null,
      training: null,
    };
    return { ...side, estimate: { ...side.estimate, throughput } };
  };
  const blindHead = { ...still, head: blind(still.head) };
  const blindBoth = { ...blindHead, base: blind(still.base) };
  const blindNew = { ...added, head: blind(added.head) };

  it.each(metrics.flatMap(({ id, take }) => (take(blindHead.head.estimate ?? never()) === undefined ? [id] : [])))(
    '%s: fails where this change hides the value, warns where nobody knew it',
    (metric) => {
      for (const bound of ['max', 'min', 'max_increase', 'max_decrease'] as const) {
        const limit = { metric, bound, amount: absolute(1) };
        expect(judged(blindHead, limit)).toEqual(['fail limit-unknown']);
        expect(judged(blindHead, { ...limit, severity: 'warn' })).toEqual(['warn limit-unknown']);
        expect(judged(blindBoth, limit)).toEqual(['warn limit-unknown']);
      }
      expect(judged(blindNew, { metric, amount: absolute(1) })).toEqual(['fail limit-unknown']);
      expect(
        judged({ ...still, base: blind(still.base) }, { metric, bound: 'max_increase', amount: absolute(1) }),
      ).toEqual(['warn limit-unknown']);
    },
  );

  it('is told once for a metric', () => {
    const limits = (['max', 'min', 'max_increase'] as const).map((bound) => ({
      metric: 'mfu' as const,
      bound,
      amount: absolute(1),
    }));
    expect(judged(blindHead, ...limits)).toEqual(['fail limit-unknown']);
  });

  it('is no reason to fail where only the built-in budget is', () => {
    const estimate = still.head?.estimate ?? never();
    const head = { ...still.head, estimate: { ...estimate, memory: { ...estimate.memory, capacity: null } } } as Side;
    const limit = { metric: 'memory', amount: share(1) } as const;
    expect(judged({ ...added, head }, { ...limit, origin: 'default' })).toEqual(['warn limit-unknown']);
    expect(judged({ ...added, head }, limit)).toEqual(['fail limit-unknown']);
    expect(judged({ ...added, head }, { ...limit, amount: absolute(1e15) })).toEqual([]);
  });
});

it('the sterner of two limits speaks, and the milder only where it has nothing to say', () => {
  const { after } = valuesOf(comparison, 'parameters');
  const warn = { severity: 'warn', amount: absolute(after * 0.8) } as const;
  expect(judged(comparison, { amount: absolute(after * 0.9) }, warn)).toEqual(['fail over-limit']);
  expect(judged(comparison, { amount: absolute(after * 1.1) }, warn)).toEqual(['warn limit-worse']);
});

it('a config that moves is held against the limits of its old name as it was, of its new name as it is', () => {
  const moved = { ...still, previousPath: 'loose/config.json', path: 'strict/config.json', otherLimits: true };
  const { after } = valuesOf(still, 'parameters');
  const of = (value: number, severity: 'fail' | 'warn' = 'fail'): Limit => ({
    metric: 'parameters',
    bound: 'max',
    amount: absolute(value),
    severity,
    origin: 'policy',
  });
  const codes = (strict: readonly Limit[], loose: readonly Limit[]) =>
    judge(
      [moved],
      (path) => ({ limits: path.startsWith('strict') ? strict : loose, failOn: 'over-budget', waivers: [] }),
      today,
    ).findings.map(({ code, severity }) => `${severity} ${code}`);
  expect(codes([of(after / 2)], [of(after * 2)])).toEqual(['fail over-limit']);
  expect(codes([of(after / 2)], [])).toEqual(['fail over-limit']);
  expect(codes([of(after / 2)], [of(after / 2, 'warn')])).toEqual(['fail over-limit']);
  expect(codes([of(after / 2)], [of(after / 3)])).toEqual(['warn limit-already-over']);
  expect(codes([of(after * 2)], [of(after / 2)])).toEqual([]);
});

it('fail_on: increase fails what gets worse, and what becomes unknown', () => {
  const budgets = () => ({ limits: [], failOn: 'increase' as const, waivers: [] });
  const codes = (one: Comparison) => judge([one], budgets, today).findings.map(({ metric }) => metric);
  expect(codes(still)).toEqual([]);
  expect(codes(comparison)).toContain('parameters');
  const hidden = still.changes.map(({ metric, before }) => ({ metric, ...(before === undefined ? {} : { before }) }));
  expect(codes({ ...still, changes: hidden })).toContain('mfu');
});

function never(): never {
  throw new Error('The story has no estimate.');
}
