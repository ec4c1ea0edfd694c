import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../src/gate/review.ts';
import { gist, headline } from '../../src/report/gist.ts';
import { bytes } from '../../src/units.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

const run = (changes: string) => `gpus: 8\nmicro_batch_size: 1\n${changes}`;
const said = (texts: Parameters<typeof reviewOf>[0], rules: Parameters<typeof reviewOf>[2] = {}) => {
  const { review, settings } = reviewOf(texts, {}, rules);
  const [one] = review.comparisons as readonly [Comparison];
  return headline(one, settings.budgetsFor(one.path));
};
const before = run('tokens: 300B\n');

describe('what a change means, in one sentence', () => {
  it('names memory with its limit, GPU hours with the budget they are of, dollars and GPUs', () => {
    expect(said({ base: config(), head: config({ num_hidden_layers: 40 }) }, { run: before })).toMatch(
      /^\+[\d.]+ GiB per GPU \([\d.]+ GiB, limit 79\.10 GiB\), \+[\d.]+ % GPU hours: [\d,]+ to [\d,]+ for 300B tokens, about \+\$[\d,]+ on 8 x H100 SXM5 80GB\.$/,
    );
  });

  it('says so where nothing moves', () => {
    expect(said({ base: config(), head: config({ bos_token_id: 5 }) }, { run: before })).toMatch(
      /^Memory per GPU as before \(.*\), GPU hours as before: [\d,]+ for 300B tokens on 8 x H100/,
    );
  });

  it('names both budgets and both machines where they are what changed', () => {
    const newRun = before.replace('300B', '600B').replace('gpus: 8', 'gpus: 16');
    expect(said({ base: config(), head: config() }, { run: before, newRun })).toMatch(
      /GPU hours: [\d,]+ for 300B tokens to [\d,]+ for 600B tokens, about \+\$[\d,]+ on 16 x H100 SXM5 80GB \(before: 8 x H100 SXM5 80GB\)\.$/,
    );
  });

  it('says what a new config takes, and nothing of one that is gone', () => {
    expect(said({ head: config() }, { run: before })).toMatch(
      /^Memory per GPU [\d.]+ GiB \(limit 79\.10 GiB\), [\d,]+ GPU hours/,
    );
    expect(said({ base: config() }, { run: before })).toBe('');
  });
});

describe('a report in five answers', () => {
  const answers = (head: string, rules: Parameters<typeof reviewOf>[2] = {}) => {
    const estimate = reviewOf({ head }, {}, rules).review.comparisons[0]?.head?.estimate;
    return estimate === undefined ? [] : gist(estimate).map(({ answer }) => answer);
  };

  it('says whether it fits, how well it runs, how long, for how much and what holds it back', () => {
    const [fits, well, long, price, limit] = answers(config(), { run: before });
    expect(fits).toMatch(/^Yes: [\d.]+ GiB on the fullest GPU \(±\d+ %\), \d+ % of 79\.10 GiB$/);
    expect(well).toMatch(/^[\d.]+ % of the peak \(MFU\), \d+ % to \d+ %$/);
    expect(long).toMatch(/^[\d,]+ GPU hours for 300B tokens: [\d.]+ \w+ on 8 x H100 SXM5 80GB$/);
    expect(price).toMatch(/^About \$[\d,]+ at \$[\d.]+ per GPU hour \(an indicative price of \d{4}/);
    expect(limit).toMatch(/\.$/);
  });

  it('says where the figure is nearer to what there is than its error', () => {
    const estimate = reviewOf({ head: config() }, {}, { run: before }).review.comparisons[0]?.head?.estimate;
    if (estimate === undefined) throw new Error('the config is estimated');
    const { memory } = estimate;
    const fits = (share: number) =>
      gist({ ...estimate, memory: { ...memory, capacity: bytes(memory.device / share) } })[0]?.answer;
    for (const share of [1 - 0.9 * memory.band, 1 + 0.9 * memory.band])
      expect(fits(share)).toMatch(/, which is within the error$/);
    for (const share of [1 - 1.1 * memory.band, 1 + 1.1 * memory.band]) expect(fits(share)).not.toContain('error');
  });

  it('says no where it does not, and what is not known', () => {
    expect(answers(config({ num_hidden_layers: 900 }), { run: before })[0]).toMatch(/^No: .*, \d{3,} % of/);
    const unknown = answers(config(), { run: `${before}accelerator: v100-sxm-16gb\nprecision: bf16\n` });
    expect(unknown.slice(1, 4)).toEqual([
      'not known for this accelerator',
      'not known for this accelerator',
      'not known: no price for this accelerator',
    ]);
  });
});
