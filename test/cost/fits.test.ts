import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Case, loadCases, prepare } from '../../scripts/measured.ts';
import { estimateMemory } from '../../src/cost/memory/peak.ts';

/** What the sources of some rows leave out, with what says it instead. */
type Unsaid = {
  readonly group: string;
  readonly model?: string;
  readonly sharding?: string;
  readonly precision?: string;
  readonly fact: string;
  readonly source: string;
  readonly config?: object;
  readonly run: object;
};

const { facts } = JSON.parse(readFileSync(new URL('../oracle/unsaid.json', import.meta.url), 'utf8')) as {
  readonly facts: readonly Unsaid[];
};

const concerns = (one: Case, { group, model, sharding, precision }: Unsaid): boolean =>
  one.group === group &&
  (model === undefined || one.model === model) &&
  (sharding === undefined || one.run['sharding'] === sharding) &&
  (precision === undefined || one.run['precision'] === precision);

function stating(one: Case, list: readonly Unsaid[]): Case {
  let row = one;
  for (const fact of list)
    if (concerns(one, fact))
      row = { ...row, config: { ...row.config, ...fact.config }, run: { ...row.run, ...fact.run } };
  return row;
}

/** Allocated bytes of a published run over what its card has. */
function share(one: Case): number {
  const ready = prepare(one);
  if (typeof ready === 'string') throw new Error(`${one.id}: ${ready}`);
  const { allocated, capacity } = estimateMemory(ready.operations, ready.settled.run);
  if (capacity === null) throw new Error(`${one.id}: its card is not in the table`);
  return allocated / capacity;
}

const all = loadCases();

describe('published runs fitted the cards that they ran on (test/oracle/runs.json)', () => {
  it('none of 827 is allocated more than its card has, once what its source leaves out is said', () => {
    expect(all).toHaveLength(827);
    expect(all.filter((one) => share(stating(one, facts)) > 1).map(({ id, model }) => `${id} ${model}`)).toEqual([]);
  });

  it.each(facts.map((fact) => [`${fact.group} ${fact.model ?? ''}`, fact.fact, fact] as const))(
    '%s would not fit unless it were said that %s',
    (_rows, _fact, fact) => {
      const others = facts.filter((one) => one !== fact);
      expect(fact.source).not.toBe('');
      expect(all.some((one) => concerns(one, fact) && share(stating(one, others)) > 1)).toBe(true);
    },
  );
});
