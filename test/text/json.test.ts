import fc from 'fast-check';
import JSON5 from 'json5';
import { describe, expect, it } from 'vitest';
import { readJson } from '../../src/text/json.ts';

const numRuns = Number(process.env['FUZZ_RUNS'] ?? 2_000);

/** What a reader makes of a text: its value, or that it refuses it. */
const outcome = (read: (text: string) => unknown, text: string): unknown => {
  try {
    return { value: read(text) };
  } catch {
    return 'refused';
  }
};

/** Pieces of JSON5 and of what is nearly JSON5, in any order. */
const pieces = fc
  .array(
    fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ':',
        ',',
        ' ',
        '\n',
        '"',
        "'",
        '\\',
        '/',
        '//',
        '/*',
        '*/',
        '"a"',
        "'b'",
        'c',
        '$_é',
        '1',
        '0',
      ],
      ...[
        '-',
        '+',
        '.',
        '.5',
        '5.',
        '1e3',
        'E',
        '0x1F',
        '-0xa',
        '01',
        'NaN',
        'Infinity',
        'true',
        'null',
        'nul',
        '\t',
        '\v',
      ],
      ...['\u00a0', '\ufeff', '\r\n', '\\n', '\\u0041', '\\x41', '\\0', '\\1', '\\\n', '"\\\r\n"', '"__proto__"', '😀'],
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

describe('JSON', () => {
  it('is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
        const written = JSON.stringify(JSON.parse(text), undefined, indent);
        const json = readJson(written);
        expect(json.value).toEqual(JSON.parse(written));
        expect(json.strict).toBe(true);
      }),
      { numRuns },
    );
  });

  it('is strict exactly where JSON.parse reads it, and else read as JSON5 reads it or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          pieces,
          pieces.map((text) => `{"a": ${text}}`),
          pieces.map((text) => `[${text}]`),
        ),
        (text) => {
          const json5 = outcome(JSON5.parse, text);
          expect(outcome((one) => readJson(one).value, text)).toEqual(json5);
          const strict = outcome(JSON.parse, text) !== 'refused';
          expect(outcome((one) => readJson(one).strict, text)).toEqual(
            json5 === 'refused' ? 'refused' : { value: strict },
          );
        },
      ),
      { numRuns: 10 * numRuns },
    );
  });

  it('has the line of each key by its dotted path, whatever stands between', () => {
    const text = `// one
{ /* two
*/ "a": {"b\\u0031": [1, {"c": 2},
    {"c": "x \\
y"}]},
  d: 'z', "e.f": 1 }`;
    expect(Object.fromEntries(readJson(text).lines)).toEqual({
      a: 3,
      'a.b1': 3,
      'a.b1.1.c': 3,
      'a.b1.2.c': 4,
      d: 6,
      'e.f': 6,
    });
  });

  it('tells of keys that stand twice in one object, and not of the same key in two', () => {
    const text = '{"a": 1,\n"b": {"a": 2},\n"b.a": 5,\n"a": 3}';
    expect(readJson(text)).toMatchObject({ value: { a: 3 }, duplicates: [{ key: 'a', line: 4 }] });
  });

  it.each([
    ['{"a": 1,\n"b" 2}', "Expected ':' after property name", 2],
    ['{"a": 1\n"b": 2}', "Expected ',' or '}' after property value", 2],
    ['[1\n2]', "Expected ',' or ']' after array element", 2],
    ['{"a": "x\n"}', 'A string does not end on its line', 1],
    ['{"a":\n"\\u00g0"}', 'Bad escaped character', 2],
    ['{}\n\n{}', "Unexpected token '{'", 3],
    ['{"a":\n', 'Unexpected end of JSON input', 2],
    ['/*\n\n', 'Unexpected end of JSON input', 3],
    ['{"a": 😀}', "Unexpected token '😀'", 1],
  ])('%j is refused with its reason and line', (text, message, line) => {
    expect(() => readJson(text)).toThrow(expect.objectContaining({ message, line }));
  });
});
