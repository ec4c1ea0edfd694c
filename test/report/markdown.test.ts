import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../src/gate/review.ts';
import { harmless } from '../../src/github/log.ts';
import { comment, longestComment } from '../../src/report/comment.ts';
import { jsonPieces } from '../../src/report/json.ts';
import { code, details, plain, sentence, table, tag } from '../../src/report/markdown.ts';
import { outputs } from '../../src/report/outputs.ts';
import { fitted, type Section } from '../../src/report/section.ts';
import { summary } from '../../src/report/summary.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';
import { blocks, hostile, markup, numRuns, patience, tree } from './hostile.ts';

describe('what a reader of markdown makes of foreign text', () => {
  it('nothing but one span of code', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const root = tree(code(foreign));
        expect(root.children).toHaveLength(1);
        expect(root.children?.[0]?.children).toEqual([
          expect.objectContaining({ type: 'inlineCode', value: plain(foreign) === '' ? ' ' : plain(foreign) }),
        ]);
      }),
      { numRuns },
    );
  });

  it('nothing but words and code in a sentence, wherever it stands', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const written = sentence(foreign);
        expect(markup(written)).toEqual([]);
        expect(markup(`- ${written}`, ['list', 'listItem'])).toEqual([]);
        expect(markup(`> ${written}`, ['blockquote'])).toEqual([]);
        expect(markup(`- ❌ ${code(foreign)} line 1: ${written}`, ['list', 'listItem'])).toEqual([]);
      }),
      { numRuns },
    );
  });

  it('nothing but words and code in a sentence with names and quotes', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (name, value, rest) => {
        for (const text of [`${name} is ${JSON.stringify(value)}, but ${rest}`, `"${name} ${value}" ${name} ${rest}`])
          expect(markup(`- ${sentence(text, 500, [name])}`, ['list', 'listItem'])).toEqual([]);
      }),
      { numRuns },
    );
  });

  it('a name or a text of several words as one piece, which does not read as ours', () => {
    const path = 'a All checks passed.json';
    expect(sentence(`${path} is a symbolic link.`, 500, [path])).toBe('`a All checks passed.json` is a symbolic link.');
    expect(sentence('hidden_size is "Approved by the team", but must be a number.')).toBe(
      '`hidden_size` is "`Approved by the team`", but must be a number.',
    );
    expect(sentence('is "a \\"b\\" c".')).toBe('is "`a \\"b\\" c`".');
  });

  it('nothing but code in a summary', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const written = details(`Assumptions · ${tag(foreign)}`, 'none');
        expect(markup(written, ['html'])).toEqual([]);
        expect(tree(written).children?.map(({ type }) => type)).toEqual(['html', 'paragraph', 'html']);
      }),
      { numRuns },
    );
  });

  it('one cell of a table', { timeout: patience }, () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostile, hostile), { minLength: 1, maxLength: 5 }), (rows) => {
        const written = table([['a', 'b'], ...rows.map(([a, b]) => [code(a), sentence(b)])]);
        const [root, ...others] = tree(written).children ?? [];
        expect(others).toEqual([]);
        expect(root?.type).toBe('table');
        expect(root?.children).toHaveLength(rows.length + 1);
        for (const row of root?.children ?? []) expect(row.children).toHaveLength(2);
        expect(markup(written, blocks)).toEqual([]);
      }),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });

  it('the words themselves where they are harmless', () => {
    expect(code('configs/model.json')).toBe('`configs/model.json`');
    expect(plain('ÜberModell 模型')).toBe('ÜberModell 模型');
    expect(sentence('num_hidden_layers must be a whole number from 1 to 64, but is "wide".')).toBe(
      '`num_hidden_layers` must be a whole number from 1 to 64, but is "wide".',
    );
    expect(sentence('Ask @root, or see #12 (www.e.example).')).toBe('Ask `@root`, or see `#12` (`www.e.example`).');
  });

  it('what shows nothing is shown, and length is bounded', { timeout: patience }, () => {
    expect(plain('model\u202egpj.json')).toBe('model\ufffdgpj.json');
    expect(plain('a\u200b\u2066b')).not.toBe(plain('ab'));
    expect(plain('x'.repeat(5_000_000), 50)).toHaveLength(50);
    fc.assert(
      fc.property(
        hostile,
        (foreign) => plain(foreign, 50).length <= 50 && !/[\p{Cc}\p{Cf}\p{Cs}]/u.test(plain(foreign)),
      ),
      { numRuns },
    );
  });
});

describe('what the runner makes of foreign text in a line of log', () => {
  it('no order, no second line, nothing for a terminal', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const line = harmless(foreign);
        expect(line).not.toMatch(/::|##\[|[\p{Cc}\p{Cf}\u2028\u2029]/u);
        expect(harmless(line)).toBe(line);
      }),
      { numRuns },
    );
  });
});

/** The same comparison on an accelerator that is in no table. */
function onMachine(one: Comparison, accelerator: string): Comparison {
  const estimate = one.head?.estimate;
  if (one.head === undefined || estimate === undefined) return one;
  const run = { ...estimate.run, run: { ...estimate.run.run, accelerator } };
  return { ...one, head: { ...one.head, estimate: { ...estimate, run } } };
}

describe('a whole report of a hostile pull request', () => {
  const texts = fc.record({
    path: hostile,
    key: hostile,
    value: hostile,
    family: fc.oneof(fc.constant('llama'), hostile),
    tail: fc.oneof(fc.constant(''), hostile),
  });

  it('has no markup, order or byte of its author', { timeout: patience }, () => {
    fc.assert(
      fc.property(texts, ({ path, key, value, family, tail }) => {
        const base = config({ model_type: family });
        const head = config({ model_type: family, [key]: value, hidden_act: value, intermediate_size: 11264 }) + tail;
        const { review, settings } = reviewOf({ base, head, path, named: true });
        const ofRef = { ...review, head: { sha: 'b'.repeat(40), label: value }, notes: [value] };
        const options = { key: 'default', budgetsFor: settings.budgetsFor };
        const twice = { ...ofRef, comparisons: [...ofRef.comparisons, ...ofRef.comparisons] };
        // What the first comment complained of is gone in the second.
        const better = { ...ofRef, verdict: { ...ofRef.verdict, findings: [] } };
        const complaint = { severity: 'fail', code: 'over-limit', path, message: value } as const;
        const worse = comment({ ...ofRef, verdict: { ...ofRef.verdict, findings: [complaint] } }, options);
        const resolved = comment(better, options, worse);
        expect(resolved).toContain('✅ Resolved in `bbbbbbbbbbbb`');
        expect(comment(better, options, resolved)).toBe(resolved);
        const { base: _, ...whole } = ofRef;
        const alone = { ...whole, comparisons: whole.comparisons.map(({ base: __, ...one }) => one) };
        const full = summary(alone, options);
        // As a report of another job may have it, which `comment` renders.
        const onForeign = comment(
          { ...ofRef, comparisons: ofRef.comparisons.map((one) => onMachine(one, value)) },
          options,
        );
        for (const written of [comment(ofRef, options), worse, resolved, summary(twice, options), full, onForeign]) {
          expect(markup(written, blocks)).toEqual([]);
          expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        }
        for (const written of [...Object.values(outputs(ofRef)), [...jsonPieces(ofRef)].join('')])
          expect(written).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
      }),
      { numRuns: Math.ceil(numRuns / 20) },
    );
  });
});

describe('the length of a comment', () => {
  it('is never above its limit, and whole sections go, the least important first', { timeout: patience }, () => {
    const section = fc.record({
      importance: fc.integer({ min: 0, max: 8 }),
      name: fc.constant('x'),
      body: fc.string({ minLength: 1, maxLength: 3_000 }),
    });
    fc.assert(
      fc.property(
        fc.array(section, { maxLength: 40 }),
        fc.integer({ min: 500, max: 20_000 }),
        (all: Section[], longest) => {
          const written = fitted('<!-- first -->', all, longest, 'the job summary');
          expect(written.startsWith('<!-- first -->')).toBe(true);
          expect(written.length).toBeLessThanOrEqual(longest);
        },
      ),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });

  it('leaves room for verdict and table with hundreds of configs that all have the longest names', () => {
    const texts = {
      base: config(),
      head: config({ num_hidden_layers: 80, ['|`'.repeat(300)]: '|`'.repeat(300) }),
      path: `${'|`'.repeat(300)}.json`,
    };
    const { review, settings } = reviewOf(texts, {}, { run: 'framework: megatron\n' });
    const [comparison] = review.comparisons;
    const [finding] = review.verdict.findings;
    const many = <Item extends object>(item: Item | undefined) =>
      Array.from({ length: 400 }, (_, index) => ({ ...item, path: `${index}${'|`'.repeat(300)}` }) as unknown as Item);
    const large = {
      ...review,
      comparisons: many(comparison),
      verdict: { ...review.verdict, findings: many(finding) },
      notes: Array.from({ length: 20 }, () => '|`'.repeat(300)),
    };
    const options = { key: 'default', budgetsFor: settings.budgetsFor };
    const written = comment(large, options);
    expect(written.length).toBeLessThanOrEqual(longestComment);
    expect(written).toContain('over the memory budget');
    expect(written).toContain('| Config |');
    expect(written).toContain('left out to fit');
    const whole = summary(large, options);
    expect(Buffer.byteLength(whole)).toBeLessThan(1_048_576);
    expect(whole.match(/^\| ❌ /gm)?.length).toBe(400);
  });
});
