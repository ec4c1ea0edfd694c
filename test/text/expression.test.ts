import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expression } from '../../src/text/expression.ts';

const begins = (pattern: string, text: string) => expression(pattern)?.begins(text);

/** Patterns of everything that is followed, over two letters and a dot. */
const { pattern: patterns } = fc.letrec<{ pattern: string; row: string; atom: string }>((tie) => ({
  pattern: fc.array(tie('row'), { minLength: 1, maxLength: 2 }).map((ways) => ways.join('|')),
  row: fc
    .array(
      fc
        .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '*?', '{2}', '{1,}', '{0,2}'))
        .map(([atom, times]) => atom + times),
      { maxLength: 3 },
    )
    .map((parts) => parts.join('')),
  atom: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'nesting' },
    fc.constantFrom('a', 'b', '\\.', '.', '[ab]', '[^a]', '[a-b.]', '\\w', '\\W', '\\d', '\\D'),
    tie('pattern').map((inner) => `(${inner})`),
    tie('pattern').map((inner) => `(?:${inner})`),
  ),
}));
const texts = fc.string({ unit: fc.constantFrom('a', 'b', '.', '1'), maxLength: 5 });

describe('expressions of strangers', () => {
  it('fit what the language says that they fit', () => {
    fc.assert(
      fc.property(patterns, texts, fc.constantFrom('', '$'), fc.constantFrom('', '^'), (inner, text, last, first) => {
        const pattern = `${first}(?:${inner})${last}`;
        const found = expression(pattern);
        // The other reader of the pattern tries ways one after another, in time that grows with their product.
        fc.pre(found !== undefined && pattern.length < 40);
        expect(found?.begins(text)).toBe(new RegExp(`^(?:${pattern})`).test(text));
        if (found?.begins(text) === true) expect(text.startsWith(found.prefix)).toBe(true);
      }),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 500) },
    );
  });

  it.each([
    ['model\\.layers\\.([2-9]\\d*|[1-9]\\d+)\\..*', 'model.layers.10.mlp', true],
    ['model\\.layers\\.([2-9]\\d*|[1-9]\\d+)\\..*', 'model.layers.1.mlp', false],
    ['.*\\.(?:q|k|v)_proj$', 'layers.0.attn.k_proj', true],
    ['.*\\.(?:q|k|v)_proj$', 'layers.0.attn.k_proj.lora', false],
    ['layers', 'model.layers', false],
    ['[]a]+x', ']ax', true],
    ['{a}', '{a}', true],
  ])('%s of %s: %s', (pattern, text, fits) => {
    expect(begins(pattern, text)).toBe(fits);
  });

  it.each([
    '(a)\\1',
    'a(?!b)c',
    '(?!a)b',
    '(?<=a)b',
    '(?i)a',
    '(?P<name>a)',
    '\\bmlp',
    '\\Z',
    'a**',
    'a*+',
    '*a',
    '(a',
    'a)',
    '[a',
    '[z-a',
    'a{3,2}',
    'a\\',
    '[\\d-z]',
  ])('%s is not followed', (pattern) => {
    expect(expression(pattern)).toBeUndefined();
  });

  it.each([
    ['too long', 'a'.repeat(501)],
    ['too deep', `${'('.repeat(60)}a${')'.repeat(60)}`],
    ['too many states', '(a{999}){999}'],
    ['too many states in many ways', `(${'a{100}|'.repeat(30)}b)`],
  ])('one that is %s is refused before it is built', (_name, pattern) => {
    const started = performance.now();
    expect(expression(pattern)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(100);
  });

  it.each(['(a+)+$', '(a|a)*$', '(.*)*.*.*.*x$', '((a?){30}){10}b', `${'(a?)'.repeat(60)}${'a'.repeat(60)}$`])(
    '%s takes no longer than its states and the text',
    (pattern) => {
      const started = performance.now();
      expect(typeof begins(pattern, `${'a'.repeat(300)}!`)).toBe('boolean');
      expect(performance.now() - started).toBeLessThan(1_000);
    },
  );
});
