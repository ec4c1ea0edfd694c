import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/calibrate.ts';
import { movesAtLeast } from '../../src/gate/review.ts';
import { WrongSettings } from '../../src/settings/settings.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';

const moves = (base: string | undefined, head: string | undefined, share: number, rules = {}) =>
  movesAtLeast(reviewOf({ ...(base && { base }), ...(head && { head }), named: true }, {}, rules).review, share);
const roomy = { run: 'gpus: 64\nsharding: full\n' };

describe('a change that is worth a comment', () => {
  it('moves a metric by its share of it, up or down', () => {
    const [small, large] = [config(), config({ intermediate_size: 11264 })];
    expect(moves(small, large, 0.01, roomy)).toBe(true);
    expect(moves(large, small, 0.01, roomy)).toBe(true);
    expect(moves(small, large, 0.05, roomy)).toBe(false);
    expect(moves(small, config({ bos_token_id: 3 }), 0.001, roomy)).toBe(false);
  });

  it('is every change where there is no threshold', () => {
    expect(moves(config(), config({ bos_token_id: 3 }), 0, roomy)).toBe(true);
  });

  it.each([
    ['is new', undefined, config()],
    ['is gone', config(), undefined],
    ['cannot be read', config(), config({ hidden_size: 'wide' })],
  ])('has a config that %s', (_, base, head) => {
    expect(moves(base, head, 0.5, roomy)).toBe(true);
  });

  it('breaks a limit, however little it moves', () => {
    const policy =
      'version: 1\ndefaults:\n  run: { gpus: 64, sharding: full }\n  budgets: { parameters: 6_738_500_000 }\n';
    expect(moves(config(), config({ intermediate_size: 11009 }), 0.5, { policy })).toBe(true);
  });

  it('comes with other rules', () => {
    const policy = 'version: 1\ndefaults:\n  run: { gpus: 64, sharding: full }\n';
    const newPolicy = `${policy}  comment: always\n`;
    expect(moves(config(), config({ bos_token_id: 3 }), 0.5, { policy, newPolicy })).toBe(true);
  });
});

describe('the threshold', () => {
  const of = (inputs: Record<string, string>, policy = '') =>
    settingsOf(
      inputs,
      policy === ''
        ? {}
        : { policy: { name: 'p.yml', bytes: Buffer.from(`version: 1\ndefaults: { comment_threshold: ${policy} }\n`) } },
    ).commentThreshold;

  it('is a share, of the input or else of the policy, and nothing where nobody states it', () => {
    expect([
      of({}),
      of({ 'comment-threshold': '2%' }),
      of({}, '0.5 %'),
      of({ 'comment-threshold': '3%' }, '1%'),
    ]).toEqual([0, 0.02, 0.005, 0.03]);
  });

  it.each(['2', 'two', '-1%', '1e3%'])('is not %s', (text) => {
    expect(() => of({ 'comment-threshold': text })).toThrow(WrongSettings);
    expect(() => of({}, JSON.stringify(text))).toThrow(/comment_threshold/);
  });
});
