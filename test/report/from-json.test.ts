import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evidences } from '../../src/facts/evidence.ts';
import type { Estimate } from '../../src/model/estimate.ts';
import { comment, longestComment } from '../../src/report/comment.ts';
import { readReport, reviewOfReports } from '../../src/report/from-json.ts';
import { jsonReport, jsonText } from '../../src/report/json.ts';
import type { JsonReport } from '../../src/report/json-schema.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';
import { blocks, hostile, markup, numRuns, patience } from './hostile.ts';

const reportOf = (changes: Readonly<Record<string, unknown>>, path = 'config.json'): JsonReport => {
  const { review } = reviewOf(
    { base: config(), head: config(changes), path, named: true },
    { 'memory-budget': '30GiB' },
  );
  return { ...jsonReport(review), notes: ['a note'] };
};
const deeper = reportOf({ num_hidden_layers: 80 });
const read = (report: unknown) => readReport(JSON.stringify(report));
const written = (...reports: JsonReport[]) => {
  const budgetsFor = () => ({ limits: [], failOn: 'over-budget', waivers: [] }) as const;
  return comment(reviewOfReports(reports, 'test'), { key: 'default', budgetsFor });
};

/** Words that the schema knows; any other text may be anything. */
const known = new Set([
  'version',
  'convention',
  'status',
  'severity',
  'bound',
  'code',
  'outcome',
  'origin',
  'method',
  'what',
]);

/** The same report with each text of it, and each key of what has keys of its own, made foreign. */
function spoiled(value: unknown, foreign: string, key = ''): unknown {
  if (typeof value === 'string') return known.has(key) || evidences.some((one) => one === value) ? value : foreign;
  if (Array.isArray(value)) return value.map((one) => spoiled(one, foreign, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, spoiled(one, foreign, name)]));
}

describe('a comment that is made of a JSON report', () => {
  it('has verdict, finding, figures, changes, run and memory', () => {
    const text = written(deeper).replaceAll('\u00a0', ' ');
    expect(text).toContain('## ❌ Model cost: over the memory budget');
    expect(text).toContain('limit 30.00 GiB');
    expect(text).toContain('| Parameters | 6.74 B | 16.45 B | **+144.2 %** |');
    expect(text).toContain('`num_hidden_layers`: `32` → `80`');
    expect(text).toContain('8 x H100 SXM5 80GB, FSDP2 fully sharded');
    expect(text).toMatch(/\| Optimizer states \| \d+\.\d+ GiB \| \d+\.\d+ GiB \| \+\d/);
    expect(text).toContain('Compared `aaaaaaaaaaaa`');
    expect(text).toContain('model-cost-gate test</sub>');
  });

  it('says the same of what the review itself would be commented with', () => {
    const { review } = reviewOf(
      { base: config(), head: config({ num_hidden_layers: 80 }) },
      { 'memory-budget': '30GiB' },
    );
    const again = reviewOfReports([jsonReport(review)], review.version);
    expect(again.verdict).toEqual(review.verdict);
    expect(again.comparisons[0]).toMatchObject({
      changes: review.comparisons[0]?.changes,
      fields: review.comparisons[0]?.fields,
      limits: [{ metric: 'memory', bound: 'max', severity: 'fail', amount: 30 * 2 ** 30 }],
    });
    const figures = ({ memory, throughput, inference }: Estimate) => ({
      ...{ ...memory, parts: {}, savings: [] },
      ...{ ...throughput, band: 0, basis: '', training: throughput.training },
      ...inference,
    });
    const [before, after] = [review, again].map((one) => one.comparisons[0]?.head?.estimate);
    if (before === undefined || after === undefined) throw new Error('a side has no figures');
    expect(figures({ ...after, memory: { ...after.memory, basis: before.memory.basis } })).toEqual(figures(before));
    expect(after.throughput.band).toBeCloseTo(before.throughput.band, 12);
    expect(after.run.run).toEqual(before.run.run);
    expect(again.comparisons[0]?.attribution).toEqual(review.comparisons[0]?.attribution);
  });

  it('joins several reports: the gravest verdict, and the commit that they agree on', () => {
    const small = reportOf({ num_hidden_layers: 31 }, 'other.json');
    const text = written(small, deeper);
    expect(text).toContain('❌');
    expect(text).toContain('`other.json`');
    expect(reviewOfReports([small, deeper], 'test').verdict.outcome).toBe('fail');
    const elsewhere = { ...small, head: { sha: 'c'.repeat(40), label: 'x' } };
    expect(reviewOfReports([elsewhere, deeper], 'test').head).toBeUndefined();
  });

  it('has no markup of whoever wrote the JSON', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const reading = read(spoiled(deeper, foreign));
        if (reading.kind === 'wrong') throw new Error(reading.reason);
        const text = written(reading.report, deeper);
        expect(markup(text, blocks)).toEqual([]);
        expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      }),
      { numRuns: Math.ceil(numRuns / 20) },
    );
  });

  it('fits where a comment must, however much it is made of', () => {
    const [one] = deeper.comparisons;
    if (one === undefined) throw new Error('there is no comparison');
    const many = Array.from({ length: 1_500 }, (_, index) => ({ ...one, path: `${'long/'.repeat(30)}${index}.json` }));
    expect(written({ ...deeper, comparisons: many }).length).toBeLessThanOrEqual(longestComment);
  });

  it.each([
    ['no JSON', '{', /not valid JSON/],
    ['something else', '{"version": 2}', /not a JSON report of diff or report \(version: /],
    ['a number that is none', jsonText(deeper).replace(/"ratio":[\d.]+/, '"ratio":1e999'), /comparisons\.0\.metrics/],
    ['a code that is none', jsonText(deeper).replace('memory-over-budget', 'all-good'), /verdict\.findings\.0\.code/],
    [
      'far too much',
      jsonText({ ...deeper, comparisons: Array(2_001).fill(deeper.comparisons[0]) }),
      /more than 2000 configs/,
    ],
    [
      'a list of findings without end',
      jsonText({ ...deeper, verdict: { ...deeper.verdict, findings: Array(5_001).fill(deeper.verdict.findings[0]) } }),
      /or 5000 findings/,
    ],
  ])('is refused where it is %s', (_, text, reason) => {
    expect(readReport(text)).toMatchObject({ kind: 'wrong', reason: expect.stringMatching(reason) });
  });
});
