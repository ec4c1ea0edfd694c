import { describe, expect, it } from 'vitest';
import { compare } from '../../src/gate/compare.ts';
import { judge, override } from '../../src/gate/judge.ts';
import type { Budgets } from '../../src/gate/rules.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

const over = config({ num_hidden_layers: 80 });
const farOver = config({ num_hidden_layers: 96 });
const within = config();

/** A budget that somebody states: the one that holds by itself only warns of a run that nobody stated. */
const stated = { 'memory-budget': '100%' };

/** Trained in a way of which the limits of these tests are near. */
const trained = { run: 'framework: megatron\n' };

const finding = (base: string | undefined, head: string | undefined, inputs = {}) => {
  const { verdict } = reviewOf(
    { ...(base === undefined ? {} : { base }), ...(head === undefined ? {} : { head }) },
    { ...stated, ...inputs },
    trained,
  ).review;
  return { outcome: verdict.outcome, code: verdict.findings[0]?.code };
};

describe('memory against its budget', () => {
  it.each([
    ['over because of this change', within, over, 'fail', 'memory-over-budget'],
    ['already over and unchanged', over, over, 'warn', 'memory-already-over'],
    ['already over and worse', over, farOver, 'fail', 'memory-worse'],
    ['improved but still over', farOver, over, 'warn', 'memory-improved'],
    ['new and over', undefined, over, 'fail', 'memory-over-budget'],
    ['back within', over, within, 'pass', undefined],
    ['removed', over, undefined, 'pass', undefined],
  ])('%s', (_, base, head, outcome, code) => {
    expect(finding(base, head)).toEqual({ outcome, code });
  });

  it.each([
    ['over because of this change', within, 'memory-over-budget'],
    ['already over and worse', config({ num_hidden_layers: 300 }), 'memory-worse'],
    ['new and over', undefined, 'memory-over-budget'],
  ])('only warns by itself of a run that nobody stated: %s', (_, base, code) => {
    const texts = { ...(base === undefined ? {} : { base }), head: config({ num_hidden_layers: 320 }) };
    const { verdict } = reviewOf(texts, { accelerator: 'h100-sxm-80gb' }).review;
    expect(verdict).toMatchObject({ outcome: 'warn', findings: [{ code, severity: 'warn' }] });
    expect(verdict.findings[0]?.message).toMatch(/^Nobody said how this model is trained/);
    expect(reviewOf(texts, {}, { run: 'compile: false\n' }).review.verdict.outcome).toBe('fail');
  });

  it('takes an amount or a share', () => {
    expect(finding(within, within.replace('11008', '11264'), { 'memory-budget': '60GiB' }).outcome).toBe('fail');
    expect(finding(within, within.replace('11008', '11264'), { 'memory-budget': '50%' }).outcome).toBe('fail');
    expect(finding(within, within.replace('11008', '11264'), { 'memory-budget': '90%' }).outcome).toBe('pass');
  });

  it('fail-on: increase fails any metric that gets worse, never only warns', () => {
    expect(finding(within, within.replace('11008', '11264'), { 'fail-on': 'increase' })).toEqual({
      outcome: 'fail',
      code: 'increase',
    });
    expect(finding(within, over, { 'fail-on': 'never' })).toEqual({ outcome: 'warn', code: 'memory-over-budget' });
  });

  const broken = config({ hidden_size: -1 });
  const cut = within.slice(0, 100);
  const pooling = '{ "word_embedding_dimension": 384 }';
  const renamed = within.replaceAll('hidden', 'concealed').replace('llama', 'mine').replace('vocab_size', 'words');
  it.each([
    ['was read before', within, broken, 'a.json', 'fail', 'unreadable'],
    ['was read before and is nothing now', within, pooling, 'a.json', 'fail', 'unreadable'],
    ['was read before and has other keys now', within, renamed, 'a.json', 'fail', 'unreadable'],
    ['could not be read before', broken, broken, 'a.json', 'warn', 'unreadable'],
    ['was broken before, and said to be a config', cut, broken, 'a.json', 'warn', 'unreadable'],
    ['was no config before', pooling, cut, 'a.json', 'fail', 'unreadable'],
    ['is new, by its format', undefined, broken, 'a.json', 'fail', 'unreadable'],
    ['is new, by its first bytes', undefined, cut, 'a.json', 'fail', 'unreadable'],
    ['is new, by its name', undefined, '{ "a": ', 'b/config.json', 'fail', 'unreadable'],
    ['is new, and could be one', undefined, '{ "a": ', 'a.json', 'warn', 'unreadable'],
    ['is new, and names an unknown model', undefined, '{ "model_type": "mine" }', 'a.json', 'fail', 'unreadable'],
    ['is new, and has nothing of a model', undefined, pooling, '1_Pooling/config.json', 'pass', undefined],
    [
      'is a new image encoder',
      undefined,
      '{ "model_type": "vit", "hidden_size": 9 }',
      'config.json',
      'warn',
      'unreadable',
    ],
    ['is gone', broken, undefined, 'a.json', 'warn', 'unreadable'],
  ])('a config that cannot be read and %s', (_, base, head, path, outcome, code) => {
    const texts = { path, ...(base === undefined ? {} : { base }), ...(head === undefined ? {} : { head }) };
    const { verdict } = reviewOf(texts).review;
    expect({ outcome: verdict.outcome, code: verdict.findings[0]?.code }).toEqual({ outcome, code });
    expect(reviewOf(texts, { 'fail-on': 'never' }).review.verdict.outcome).not.toBe('fail');
  });

  it.each([
    ['a pooling of sentence-transformers', '{ "word_embedding_dimension": 384, "pooling_mode_mean_tokens": true }'],
    ['its dense layer', '{ "in_features": 384, "out_features": 768, "bias": true }'],
    ['a part of diffusers', '{ "_class_name": "AutoencoderKL", "in_channels": 3 }'],
  ])('%s passes where a pattern names it too, unless a config stood there', (_, part) => {
    const outcomeOf = (base: string | undefined) =>
      reviewOf({ ...(base === undefined ? {} : { base }), head: part, named: true }).review.verdict.outcome;
    expect([outcomeOf(undefined), outcomeOf(part.replace('{', '{ "version": 1,'))]).toEqual(['pass', 'pass']);
    expect(outcomeOf(within)).toBe('fail');
    expect(outcomeOf(broken)).not.toBe('pass');
  });

  it('a config that cannot be read fails where it is named, whatever it was before', () => {
    expect(reviewOf({ base: broken, head: broken, named: true }).review.verdict.outcome).toBe('fail');
  });
});

describe('waivers, limits and overrides', () => {
  const { review, settings } = reviewOf({ base: within, head: over }, stated, trained);
  const budgets = (changes: Partial<Budgets>): Budgets => ({ ...settings.budgetsFor('config.json'), ...changes });

  it('a waiver holds until its end, and says so after it', () => {
    const waivers = [{ covers: ['memory'], until: '2026-12-31', reason: 'the new nodes come in January' }];
    const during = judge(review.comparisons, () => budgets({ waivers }), '2026-12-31');
    expect(during.outcome).toBe('warn');
    expect(during.findings[0]).toMatchObject({ severity: 'warn', waiver: { until: '2026-12-31', holds: true } });
    const after = judge(review.comparisons, () => budgets({ waivers }), '2027-01-01');
    expect(after.outcome).toBe('fail');
    expect(after.findings[0]).toMatchObject({ severity: 'fail', waiver: { until: '2026-12-31', holds: false } });
  });

  it.each([
    [['memory'], 'warn'],
    [['memory-over-budget'], 'warn'],
    [['parameters', 'limit-unknown'], 'fail'],
    [[], 'fail'],
  ])('a waiver of %j on a memory failure leaves %s', (covers, outcome) => {
    const waivers = [{ covers, until: '2026-12-31', reason: 'why' }];
    expect(judge(review.comparisons, () => budgets({ waivers }), '2026-12-01').outcome).toBe(outcome);
  });

  it('an override turns a failure, and only a failure, into a warning', () => {
    const overridden = override(review.verdict, 'approved', 'grace');
    expect(overridden).toMatchObject({ outcome: 'warn', override: { label: 'approved', by: 'grace' } });
    expect(override(overridden, 'x', undefined)).toBe(overridden);
  });
});

describe('comparisons', () => {
  it('a config compared with itself changes nothing', () => {
    const { review } = reviewOf({ base: within, head: within });
    expect(review.comparisons[0]).toMatchObject({ status: 'unchanged', parts: [], fields: [] });
    expect(review.verdict).toEqual({ outcome: 'pass', findings: [] });
  });

  it('base and head swapped give the inverse', () => {
    const [there] = reviewOf({ base: within, head: over }).review.comparisons;
    const [back] = reviewOf({ base: over, head: within }).review.comparisons;
    expect(there?.changes.map(({ before, after }) => [before, after])).toEqual(
      back?.changes.map(({ before, after }) => [after, before]),
    );
    expect(there?.parts.map(({ part, before, after }) => [part, before, after])).toEqual(
      back?.parts.map(({ part, before, after }) => [part, after, before]),
    );
  });

  it('says what a side that is absent was', () => {
    expect(compare({ path: 'a', named: true }).status).toBe('removed');
    expect(reviewOf({ head: within }).review.comparisons[0]?.status).toBe('added');
    expect(reviewOf({ base: within }).review.comparisons[0]?.status).toBe('removed');
  });
});

describe('a run that cannot start', () => {
  const run = (tensor: number) => ({ run: `framework: fsdp\ngpus: 24\nparallelism: { tensor: ${tensor} }\n` });
  const told = (base: string | undefined, inputs = {}, rules: Parameters<typeof reviewOf>[2] = run(3)) => {
    const { verdict } = reviewOf({ ...(base === undefined ? {} : { base }), head: config() }, inputs, rules).review;
    return {
      outcome: verdict.outcome,
      found: verdict.findings.filter(({ code }) => code === 'cannot-start').map(({ message }) => message),
    };
  };
  const sentence = 'Tensor parallelism of 3 does not divide 32 attention heads. The nearest that works: tensor 2.';

  it('fails a new config, and a change that brings it about', () => {
    expect(told(undefined)).toEqual({ outcome: 'fail', found: [sentence] });
    expect(told(config(), {}, { ...run(4), newRun: run(3).run })).toEqual({ outcome: 'fail', found: [sentence] });
    expect(told(config(), {}, { ...run(3), newRun: run(4).run })).toEqual({ outcome: 'pass', found: [] });
  });

  it('warns of what was so before', () => {
    expect(told(config({ num_hidden_layers: 31 }))).toEqual({
      outcome: 'warn',
      found: [`${sentence} It was so before this change.`],
    });
  });

  it('warns where nobody fails, and where a waiver names it', () => {
    expect(told(undefined, { 'fail-on': 'never' }).outcome).toBe('warn');
    const policy =
      "version: 1\nwaivers: [{ match: '**', covers: cannot-start, until: 2027-01-01, reason: uneven heads are ours }]\n";
    expect(told(undefined, {}, { ...run(3), policy }).outcome).toBe('warn');
  });
});
