import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comment } from '../src/report/comment.ts';
import { jsonPieces, jsonReport, jsonText } from '../src/report/json.ts';
import { jsonSchema } from '../src/report/json-schema.ts';
import { numRuns, patience } from './report/hostile.ts';
import { config } from './states.ts';
import { reviewOf } from './stories.ts';

/** Configs that people may write: some in bounds, some not, some of another family. */
const written = fc
  .record(
    {
      model_type: fc.constantFrom('llama', 'mixtral', 'qwen3_moe', 'gpt2', 'deepseek_v3', 'mamba', 'unheard_of'),
      hidden_size: fc.constantFrom(0, 64, 96, 4096, 8192, 2 ** 40, -1, 0.5, 'wide', null),
      intermediate_size: fc.integer({ min: 0, max: 65_536 }),
      num_hidden_layers: fc.integer({ min: 0, max: 200 }),
      num_attention_heads: fc.constantFrom(1, 7, 32, 64, 512, 0),
      num_key_value_heads: fc.constantFrom(1, 8, 32, null),
      num_local_experts: fc.constantFrom(1, 8, 256),
      vocab_size: fc.integer({ min: 1, max: 300_000 }),
      tie_word_embeddings: fc.boolean(),
      max_position_embeddings: fc.constantFrom(1, 4096, 1_048_576),
      __proto__: fc.constantFrom({}, { hidden_size: 1 }),
    },
    { requiredKeys: [] },
  )
  .map((changes) => config(changes));

const options = (settings: ReturnType<typeof reviewOf>['settings']) => ({
  key: 'default',
  budgetsFor: settings.budgetsFor,
});
const runs = { numRuns: Math.ceil(numRuns / 2) };

describe('whatever two configs say', () => {
  it('the other way round, every difference is its inverse', { timeout: 2 * patience }, () => {
    fc.assert(
      fc.property(written, written, (base, head) => {
        const [one] = reviewOf({ base, head, named: true }).review.comparisons;
        const [other] = reviewOf({ base: head, head: base, named: true }).review.comparisons;
        expect(other?.changes.map(({ metric, before, after }) => [metric, after, before])).toEqual(
          one?.changes.map(({ metric, before, after }) => [metric, before, after]),
        );
        for (const { metric, ratio } of one?.changes ?? []) {
          const back = other?.changes.find((change) => change.metric === metric)?.ratio;
          if (ratio !== undefined && back !== undefined && ratio > 0) expect(ratio * back).toBeCloseTo(1, 9);
        }
        const ofParts = (comparison: typeof one, swap: boolean) =>
          comparison?.parts
            .map(({ part, quantity, before, after }) =>
              JSON.stringify([part, quantity, swap ? after : before, swap ? before : after]),
            )
            .sort();
        expect(ofParts(other, true)).toEqual(ofParts(one, false));
        const ofFields = (comparison: typeof one, swap: boolean) =>
          comparison?.fields
            .map(({ path, before, after }) =>
              JSON.stringify([path, (swap ? after : before) ?? '', (swap ? before : after) ?? '']),
            )
            .sort();
        expect(ofFields(other, true)).toEqual(ofFields(one, false));
      }),
      runs,
    );
  });

  it('a config differs from itself in nothing', { timeout: patience }, () => {
    fc.assert(
      fc.property(written, (text) => {
        const [comparison] = reviewOf({ base: text, head: text, named: true }).review.comparisons;
        expect(['unchanged', 'unreadable']).toContain(comparison?.status);
        expect([...(comparison?.parts ?? []), ...(comparison?.fields ?? [])]).toEqual([]);
      }),
      runs,
    );
  });

  it('a second run writes the same comment, after one and after two changes', { timeout: 2 * patience }, () => {
    fc.assert(
      fc.property(written, written, written, (base, first, second) => {
        const inputs = { 'memory-budget': '40GB' };
        let earlier: string | undefined;
        for (const head of [first, second, first]) {
          const { review, settings } = reviewOf({ base, head, named: true }, inputs);
          const now = comment(review, options(settings), earlier);
          expect(comment(review, options(settings), now)).toBe(now);
          earlier = now;
        }
      }),
      runs,
    );
  });

  it('the report is one of numbers that are some', { timeout: patience }, () => {
    const wrong = (value: unknown): boolean =>
      typeof value === 'number'
        ? !(value >= 0 && value < Number.POSITIVE_INFINITY)
        : typeof value === 'object' && value !== null && Object.values(value).some(wrong);
    fc.assert(
      fc.property(written, written, (base, head) => {
        const { review } = reviewOf({ base, head, named: true });
        const report = jsonReport(review);
        expect(jsonSchema().safeParse(report).error?.issues).toBeUndefined();
        expect(wrong(report.reports)).toBe(false);
        expect(JSON.stringify(report)).not.toMatch(/NaN|Infinity|undefined/);
        expect([...jsonPieces(review)].join('')).toBe(jsonText(report));
      }),
      runs,
    );
  });
});
