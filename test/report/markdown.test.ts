import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitted, type Section } from '../../src/report/comment.ts';
import { code, plain, sentence, table, text } from '../../src/report/markdown.ts';

/** More with FUZZ_RUNS=100000. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 2_000);

/** Strings that people attack with, mixed with any other. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '|',
        '`',
        '``',
        '@root',
        '<script>',
        '<!--',
        '-->',
        '[x](http://e.example)',
        '![i](x)',
        '##[add-mask]1',
        '::error::',
        '\n',
        '\r',
        '\u202e',
        '\u200b',
        '\u001b[31m',
        '&lt;',
        '\\',
        '</details>',
        'http://e.example',
        'www.e.example',
        '#1',
        '*b*',
        '~~',
        '$x$',
        '\ud800',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

describe('escaping', () => {
  it('keeps a code span closed, on one line and in its cell', () => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const span = code(foreign);
        expect(span).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        const fence = /^`+/.exec(span)?.[0] ?? '';
        expect(fence).not.toBe('');
        expect(span.endsWith(fence)).toBe(true);
        const inner = span.slice(fence.length, -fence.length);
        expect([...inner.matchAll(/`+/g)].every(([run]) => run.length !== fence.length)).toBe(true);
        expect(inner.replaceAll('\\|', '')).not.toContain('|');
      }),
      { numRuns },
    );
  });

  it.each([
    ['text', text],
    ['sentence', sentence],
  ] as const)('%s lets no markup, tag, mention or table break through', (_, escaped) => {
    fc.assert(
      fc.property(hostile, (foreign) => {
        const written = escaped(foreign);
        expect(written).not.toMatch(/[<>@\n\r]/);
        expect(written.replace(/\\[^\s]/g, '')).not.toMatch(/[`*[\]|~]/);
        expect(written).not.toMatch(/:\/\//);
      }),
      { numRuns },
    );
  });

  it('is bounded, and gives what is harmless back as it is', () => {
    fc.assert(
      fc.property(hostile, (foreign) => [...plain(foreign, 50)].length <= 50),
      { numRuns },
    );
    expect(code('configs/model.json')).toBe('`configs/model.json`');
    expect(plain('ÜberModell 模型')).toBe('ÜberModell 模型');
  });

  it('keeps every row of a table at its number of cells', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostile, hostile), { minLength: 1, maxLength: 5 }), (rows) => {
        const lines = table([['a', 'b'], ...rows.map(([a, b]) => [code(a), code(b)])]).split('\n');
        expect(lines).toHaveLength(rows.length + 2);
        for (const line of lines) expect(line.replace(/\\\|/g, '').split('|')).toHaveLength(4);
      }),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });
});

describe('the length of a comment', () => {
  it('is never above its limit, and whole sections go, the least important first', () => {
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
          const written = fitted('<!-- first -->', all, longest);
          expect(written.startsWith('<!-- first -->')).toBe(true);
          expect(written.length).toBeLessThanOrEqual(longest);
        },
      ),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });
});
