import { describe, expect, it } from 'vitest';
import { limits } from '../../src/text/limits.ts';
import { parse, type Syntax } from '../../src/text/syntax.ts';

const times = <Item>(count: number, item: (index: number) => Item): readonly Item[] =>
  Array.from({ length: count }, (_, index) => item(index));
const long = 'k'.repeat(300_000);

/** Texts that cost a parser far more than their size, and what is said of them. */
const bombs: readonly (readonly [name: string, syntax: Syntax, text: string, sentence: RegExp | undefined])[] = [
  ['brackets without end', 'json', '['.repeat(1_000_000), /nests deeper than 64 levels/],
  ['braces without end', 'json', '{"a":'.repeat(200_000), /nests deeper than 64 levels/],
  ['braces of JSON5 without end', 'json', '{a:'.repeat(300_000), /nests deeper than 64 levels/],
  ['a million values', 'json', `[${'[],'.repeat(300_000)}1]`, /more than 200000 values/],
  [
    'a key of a third of the file over thousands of others',
    'json',
    `{"${long}": {${times(5_000, (index) => `"a${index}":1`).join()}}}`,
    undefined,
  ],
  [
    'long keys within each other',
    'json',
    `${times(60, () => `{"${'k'.repeat(5_000)}":`).join('')}{${times(40_000, (index) => `"a${index}":1`).join()}}${'}'.repeat(60)}`,
    undefined,
  ],
  ['one key a hundred thousand times', 'json', `{${'"a":1,'.repeat(150_000)}"a":1}`, undefined],
  ['a megabyte of spaces', 'json', `{"a"${' '.repeat(1_000_000)}:1}`, undefined],
  ['a long key in YAML', 'yaml', `${long}:\n${times(5_000, (index) => `  a${index}: 1`).join('\n')}`, /not valid YAML/],
  ['brackets without end in YAML', 'yaml', '['.repeat(40_000), /nests too deeply/],
  ['lists without end in YAML', 'yaml', '- '.repeat(40_000), /nests too deeply/],
  ['half a million values in YAML', 'yaml', `a: [${'1,'.repeat(500_000)}]`, /more than 50000 lines and values/],
  [
    'an alias bomb',
    'yaml',
    [
      'a: &a [x, x]',
      ...times(40, (index) => `b${index}: &b${index} [${index === 0 ? '*a, *a' : `*b${index - 1}, *b${index - 1}`}]`),
    ].join('\n'),
    /alias count/,
  ],
  [
    'twenty thousand aliases',
    'yaml',
    times(6_000, (index) => `k${index}: &a${index} 1\nj${index}: *a${index}`).join('\n'),
    /more than 1000 anchors and aliases/,
  ],
  [
    'a mapping merged a thousand times',
    'yaml',
    `a: &a {${times(10_000, (index) => `k${index}: 1`).join()}}\n${times(900, (index) => `m${index}: {<<: *a}`).join('\n')}`,
    /merges more than 50000 keys/,
  ],
  [
    'merges of merges',
    'yaml',
    [
      'a: &a {x: 1, y: 2}',
      ...times(
        9,
        (index) =>
          `b${index}: &b${index}\n  <<: [${times(9, () => (index === 0 ? '*a' : `*b${index - 1}`)).join(', ')}]`,
      ),
    ].join('\n'),
    /merges more than 50000 keys/,
  ],
  ['keys that are mappings', 'yaml', `${'? '.repeat(60)}a`, /is not text/],
  ['a dotted key without end', 'toml', `${'a.'.repeat(40_000)}b = 1`, /nests deeper|too deeply|nested/],
  ['tables without end', 'toml', '[[a]]\n'.repeat(100_000), /more than 50000 lines and values/],
  ['inline tables without end', 'toml', `a = ${'{a = '.repeat(30_000)}`, /nest/],
];

describe('a text made to hurt', () => {
  it.each(bombs)('%s: bounded, and one sentence', (_, syntax, text, sentence) => {
    const before = process.cpuUsage();
    const parsed = parse(Buffer.from(text), syntax);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(sentence === undefined ? 1 : 1.5);
    if (sentence === undefined) expect(parsed.kind).toBe('parsed');
    else {
      expect(parsed).toMatchObject({ kind: 'broken', problem: { message: expect.stringMatching(sentence) } });
      if (parsed.kind === 'broken') expect(parsed.problem.message.length).toBeLessThan(300);
    }
  });

  it('is not read at all beyond a megabyte', () => {
    expect(parse(Buffer.alloc(limits.bytes + 1, ' '), 'yaml')).toMatchObject({
      problem: { message: 'The file has 1048577 bytes; configs are read up to 1048576.' },
    });
  });
});

describe('a text as editors and people write it', () => {
  const value = (text: string | Uint8Array, syntax: Syntax) => {
    const parsed = parse(typeof text === 'string' ? Buffer.from(text) : text, syntax);
    return parsed.kind === 'parsed' ? parsed.value : parsed.problem.message;
  };

  it('with a byte order mark, in UTF-16 of both orders, with other ends of lines', () => {
    const text = '{"hidden_size": 64,\r\n "name": "Ü"}';
    const little = Buffer.from(`\ufeff${text}`, 'utf16le');
    for (const bytes of [Buffer.from(text), Buffer.from(`\ufeff${text}`), little, Buffer.from(little).swap16()])
      expect(value(bytes, 'json')).toEqual({ hidden_size: 64, name: 'Ü' });
  });

  it('but no other bytes', () => {
    expect(value(Buffer.from([0x7b, 0xff, 0x7d]), 'json')).toBe('The file is neither UTF-8 nor UTF-16 text.');
    expect(value(Buffer.from([0xff, 0xfe, 0x00, 0xd8]), 'json')).toBe('The file is neither UTF-8 nor UTF-16 text.');
    expect(value('', 'yaml')).toBe('The file is empty.');
  });

  it('is told of without a piece of it where it is not JSON', () => {
    expect(value('{"a": 1,\n "b": STAGE}', 'json')).toBe("The file is not valid JSON: Unexpected token 'S'.");
    expect(value('{"a": 1 "b": 2}', 'json')).toBe(
      "The file is not valid JSON: Expected ',' or '}' after property value.",
    );
    expect(value('{"a": 1', 'json')).toBe('The file is not valid JSON: Unexpected end of JSON input.');
  });

  it('with keys that would be more than keys', () => {
    for (const [text, syntax] of [
      ['{"__proto__": {"hidden_size": 1}, "constructor": 2}', 'json'],
      ['{__proto__: {hidden_size: 1}, constructor: 2,}', 'json'],
      ['__proto__: {hidden_size: 1}\nconstructor: 2\n', 'yaml'],
      ['base: &a {__proto__: {hidden_size: 1}}\n<<: *a\nconstructor: 2\n', 'yaml'],
      ['constructor = 2\n[__proto__]\nhidden_size = 1\n', 'toml'],
    ] as const) {
      const parsed = value(text, syntax) as Record<string, unknown>;
      expect(Object.hasOwn(parsed, 'constructor')).toBe(true);
      expect(Object.hasOwn(parsed, '__proto__')).toBe(true);
      expect(({} as Record<string, unknown>)['hidden_size']).toBeUndefined();
    }
  });

  it('with keys twice, of which the last one holds, as the models’ own loaders take it', () => {
    for (const [text, syntax] of [
      ['{"a": 1,\n"a": 2}', 'json'],
      ['a: 1\na: 2\n', 'yaml'],
    ] as const) {
      const parsed = parse(Buffer.from(text), syntax);
      expect(parsed).toMatchObject({
        kind: 'parsed',
        value: { a: 2 },
        problems: [{ severity: 'warning', message: 'The key a appears twice; the last one is used.', line: 2 }],
      });
    }
    expect(value('a = 1\na = 2\n', 'toml')).toMatch(/not valid TOML/);
  });

  it('with merges and aliases as people use them, without a warning', () => {
    const text = 'base: &base {hidden_size: 64, layers: 2}\nwide:\n  <<: *base\n  hidden_size: 128\nsame: *base\n';
    expect(parse(Buffer.from(text), 'yaml')).toMatchObject({
      value: { wide: { hidden_size: 128, layers: 2 }, same: { hidden_size: 64 } },
      problems: [],
    });
  });

  it('but not with several documents, of which one would be taken', () => {
    expect(value('hidden_size: 64\n---\nhidden_size: 128\n', 'yaml')).toBe(
      'The file holds several YAML documents; a config is one of its own.',
    );
  });
});

it('takes the letters y and n for text where trainers do', () => {
  const parsed = parse(Buffer.from('n: 8\ny: n\noff: no\n'), 'yaml-1.1');
  expect(parsed.kind === 'parsed' && parsed.value).toEqual({ n: 8, y: 'n', false: false });
});
