import { describe, expect, it } from 'vitest';
import { refusalOf, startOf } from '../../src/plan/question.ts';
import { rank } from '../../src/plan/rank.ts';
import { search } from '../../src/plan/search.ts';
import { fieldsAt, type Step, type Sweep, sweepJson, sweepMarkdown, sweepOf, sweepText } from '../../src/plan/sweep.ts';
import { gibibytes } from '../../src/units.ts';
import { modelOf, small } from '../cost/estimates.ts';
import { bounded, spaceFrom } from './plans.ts';

describe('what is swept', () => {
  it.each([
    ['gpus=8..64', 'gpus', ['8', '16', '32', '64']],
    ['gpus=6..20', 'gpus', ['6', '12']],
    ['sequence_length=4096', 'sequence_length', ['4096']],
    ['accelerator=h100-sxm-80gb, b200-sxm', 'accelerator', ['h100-sxm-80gb', 'b200-sxm']],
    ['global_batch_size=64,96', 'global_batch_size', ['64', '96']],
  ])('%s', (text, field, values) => {
    expect(sweepOf(text)).toEqual({ field, values });
  });

  it.each([
    ['gpus', 'must be a field and its values'],
    ['precision=fp8,bf16', 'fields are sequence_length, gpus'],
    ['gpus=8=9', 'must be a field and its values'],
    ['gpus=64..8', 'has 0 values'],
    ['gpus=1,,2', 'takes 1 to 24'],
    ['gpus=0..8', 'has 0 values'],
    [`gpus=${Array.from({ length: 25 }, (_, index) => index + 1).join(',')}`, 'has 25 values'],
    ['gpus=1..999999999', 'takes 1 to 24'],
    ['gpus=1.5', 'gpus'],
    ['accelerator=h100-sxm-80g', 'list accelerators'],
  ])('%s is refused in a sentence', (text, sentence) => {
    expect(sweepOf(text)).toContain(sentence);
  });
});

const sweep: Sweep = { field: 'gpus', values: ['4', '2', '3'] };

/** A search for each value, as the command line makes them. */
function stepsOf({ field, values }: Sweep, gib: number): readonly Step[] {
  const others = {
    accelerator: 'h100-sxm-80gb',
    framework: 'megatron',
    globalBatchSize: 8,
    sequenceLength: 2048,
  } as const;
  return values.map((value) => {
    const stated = fieldsAt(field, value);
    if (typeof stated === 'string') return { value, outcome: stated };
    const start = startOf([{ origin: 'input', fields: { ...others, ...stated } }], modelOf(small));
    if (start.kind === 'unsettled') return { value, outcome: start.message };
    const { operations, settled } = start;
    const budget = gibibytes(gib);
    const found = search(
      { operations, settled, space: spaceFrom(start), refusal: refusalOf(start), budget },
      bounded(),
    );
    const ranking = rank(found.plans, settled.run);
    return {
      value,
      outcome: { path: 'config.json', format: 'huggingface', start, budget, found, ranking, seconds: 0 },
    };
  });
}

describe('a sweep', () => {
  const steps = stepsOf(sweep, 80);

  it('has the fastest plan of each value, and says where there is none', () => {
    const { steps: rows } = JSON.parse(JSON.stringify(sweepJson('config.json', sweep, steps)));
    expect(rows.map(({ value }: { value: string }) => value)).toEqual(sweep.values);
    for (const [index, row] of rows.entries()) {
      const outcome = steps[index]?.outcome;
      if (typeof outcome !== 'object' || outcome.ranking === undefined) continue;
      const speeds = outcome.found.plans.map(({ tokensPerSecond }) => tokensPerSecond);
      expect(row.fastest.tokens_per_second).toBe(Math.max(...speeds));
      expect(row.fastest.run.gpus).toBe(Number(row.value));
    }
    // Eight sequences do not divide over three replicas, nor four layers over three stages.
    expect([rows[0].problem, rows[2].fastest, rows[2].problem]).toEqual([null, null, 'nothing divides']);
  });

  it('is a table with a bar for each value', () => {
    const text = sweepText('config.json', sweep, steps);
    expect(text).toMatch(/^2 .*█/m);
    expect(text).toMatch(/^3 +nothing divides$/m);
    const lengths = [...text.matchAll(/█+/g)].map(([bar]) => bar.length);
    expect(Math.max(...lengths)).toBe(20);
    expect(sweepMarkdown('config.json', sweep, steps)).toMatch(/^\| 3 \| nothing divides \|/m);
  });

  it('names the fewest GPUs and the longest sequence that fit', () => {
    expect(sweepText('config.json', sweep, steps)).toContain('at least 2 GPUs are needed');
    const long: Sweep = { field: 'sequence_length', values: ['2048', '4096', '1024', '536870912'] };
    expect(sweepMarkdown('config.json', long, stepsOf(long, 80))).toContain(
      'the longest sequence that fits has 4,096 tokens',
    );
    const batches: Sweep = { field: 'global_batch_size', values: ['8', '16'] };
    expect(sweepText('config.json', batches, stepsOf(batches, 80))).not.toContain('Of these');
  });

  it('says where nothing fits', () => {
    expect(sweepText('config.json', sweep, stepsOf(sweep, 0.1))).toContain('Nothing fits at any of these values.');
    expect(sweepText('config.json', sweep, stepsOf(sweep, 0.1))).toMatch(/^2 +nothing fits$/m);
  });
});
