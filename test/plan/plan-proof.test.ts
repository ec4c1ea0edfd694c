import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { held, proofPage, ratioOf } from '../../scripts/plan-proof-page.ts';
import { changedFields } from '../../src/plan/changes.ts';

const inside = held.filter(({ outside }) => outside.length === 0);

describe('plans held against published ones', () => {
  it('have a page that is as the planner finds them today', () => {
    expect(readFileSync(new URL('../../docs/plan-proof.md', import.meta.url), 'utf8')).toBe(proofPage);
  });

  it('see the whole space of each run, of all four sources', () => {
    expect(held.map(({ found }) => found.stopped).filter((stopped) => stopped !== undefined)).toEqual([]);
    expect(new Set(held.map(({ one }) => one.group)).size).toBe(4);
    expect(inside.length).toBeGreaterThanOrEqual(12);
  });

  it.each(inside)('find the published plan of $one.id, with the speed that a report projects for it', (one) => {
    const same = one.found.plans.filter(({ run }) => changedFields(one.published, run).length === 0);
    expect(same).toHaveLength(1);
    expect((same[0]?.tokensPerSecond ?? 0) / one.publishedSpeed).toBeCloseTo(1, 9);
  });

  it.each(inside)('reach the published tokens per second of $one.id with the first plan', (one) => {
    expect(ratioOf(one)).toBeGreaterThanOrEqual(1 - 1e-9);
  });

  it('name each run that the search does not have, or that is more than 10 % behind', () => {
    const exceptions = proofPage.split('## Exceptions')[1] ?? '';
    const named = [...exceptions.matchAll(/^- .*?\(([mc]\d{4})\):/gm)].map(([, id]) => id);
    const due = held.filter((one) => one.outside.length > 0 || one.publishedSpeed < 0.9 * one.first.tokensPerSecond);
    expect(named).toEqual(due.map(({ one }) => one.id));
  });
});
