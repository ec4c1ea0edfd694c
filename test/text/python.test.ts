import { describe, expect, it } from 'vitest';
import { readPython } from '../../src/text/python.ts';
import { pythonLimits } from '../../src/text/python-result.ts';
import { parse } from '../../src/text/syntax.ts';

/** What a file says, as plain objects. */
function said(text: string): Record<string, unknown> {
  const reading = readPython(text);
  if (reading.kind === 'broken') throw new Error(reading.message);
  return JSON.parse(JSON.stringify(reading.value));
}

const of = (expression: string) => said(`x = ${expression}`)['x'];

describe('expressions', () => {
  it.each([
    ['1_000', 1000],
    ['0x10 + 0b11 + 0o7', 26],
    ['-2 ** 2', -4],
    ['6e-4', 6e-4],
    ['7 // 2 * 2 + 7 % 4', 9],
    ['-7 // 2', -4],
    ['-7 % 4', 1],
    ['1 << 20', 1_048_576],
    ['(3 + 4) * 2', 14],
    ['not []', true],
    ['None', null],
    ["'a' \"b\" + 'c'", 'abc'],
    ["r'\\n' '\\n'", '\\n\n'],
    ['[0] * 2 + [1, *[2, 3]]', [0, 0, 1, 2, 3]],
    ['(1, 2)[-1]', 2],
    ['3,', [3]],
    ["{'a': 1, **{'b': 2}}['b']", 2],
    ["dict(a=1, b=dict(c='d'))", { a: 1, b: { c: 'd' } }],
    ['8 if 1 < 2 else 9', 8],
    ['None or 5', 5],
    ['0 and boom()', 0],
    ["'q' in ['p', 'q']", true],
    ['3 is not None', true],
    ['int(5e12) + max(1, 2, len([3]))', 5_000_000_000_002],
  ])('%s is %j', (expression, value) => expect(of(expression)).toEqual(value));

  it.each([
    ['depth', '${depth}'],
    ['2 * depth', '${depth}'],
    ["f'{depth}b'", "${f' depth b'}"],
    ['os.environ["N"] + 1', '${os.environ["N"]}'],
    ['torch.bfloat16', '${torch.bfloat16}'],
    ['get_world_size() // 64', '${get_world_size()}'],
    ['1 if on else 2', '${if on}'],
    ['[i for i in y]', '${[i for i in y]}'],
    ['lambda: 3', '${lambda: 3}'],
    ['1 / 0', '${1 / 0}'],
    ['{}["a"]', '${["a"]}'],
    ['[1][9]', '${[1][9]}'],
    ['2 < n < 5', '${n}'],
    ['1 < 2 < 3', '${1 < 2 < 3}'],
    ["b'bytes'", "${b'bytes'}"],
    ['3j', '${3j}'],
  ])('%s is open, and says for what', (expression, value) => expect(of(expression)).toBe(value));

  it('keeps calls of what is elsewhere as objects of their keywords', () => {
    expect(of("AutoBridge.from_pretrained('org/model', 3).provider(load=False)")).toEqual({
      '()': '.provider',
      self: { '()': 'AutoBridge.from_pretrained', '0': 'org/model', '1': 3 },
      load: false,
    });
  });
});

describe('statements', () => {
  it('assigns names, attributes, elements and several at once', () => {
    expect(said('a, b = 1, 2\nc = d = {}\nc["k"] = a\nd.m = b\nb += 5\nn: int = 3\nonly: int')).toEqual({
      a: 1,
      b: 7,
      c: { k: 1, m: 2 },
      d: { k: 1, m: 2 },
      n: 3,
    });
  });

  it.each(['if on:', 'for n in range(3):', 'while on:', 'with on:', 'try:'])(
    'never guesses what happens under %s',
    (head) => {
      const tail = head === 'try:' ? '\nexcept E:\n  pass' : '';
      expect(said(`n = 1\nm = 2\nk = {'a': 1}\n${head}\n  n = 3\n  k['a'] = 2${tail}`)).toMatchObject({
        n: expect.stringContaining('${'),
        m: 2,
        k: { a: expect.stringContaining('${') },
      });
    },
  );

  it('takes a branch that constants decide', () => {
    expect(said('big = True\nif not big:\n  n = 1\nelif big and 2 > 1:\n  n = 2\nelse:\n  n = 3')).toEqual({
      big: true,
      n: 2,
    });
  });

  it('does not know what an import or a walrus sets', () => {
    expect(said('n = 1\nfrom sizes import n\nm = 2\nx = [m := 3 for _ in y]')).toMatchObject({
      n: '${n}',
      m: '${m := 3}',
    });
    expect(said('n = 1\nfrom sizes import *')).toMatchObject({ n: '${n}' });
  });

  it('notes calls that may change what is read', () => {
    const reading = readPython("cfg = {}\nprint(cfg_name)\ntune(cfg)\nexec(open('x').read())\n");
    expect(reading).toMatchObject({
      notes: [
        { line: 3, message: expect.stringContaining('tune') },
        { line: 4, message: expect.stringContaining('exec') },
      ],
    });
  });
});

describe('functions', () => {
  const recipes = `
WIDTH = 8

def _common(layers, *, width=WIDTH, **rest):
    cfg = Container(layers=layers)
    cfg.model.width = width
    return cfg

def small() -> Recipe:
    """A docstring."""
    cfg = _common(2)
    cfg.train.batch = 4
    return cfg

def large(scale=2) -> Recipe:
    cfg = small()
    if scale is None:
        raise ValueError(scale)
    cfg.train.batch *= scale
    cfg.model.update(width=WIDTH * scale)
    return cfg
`;

  it('are what they return without arguments, in straight lines, with what they inherit by calls', () => {
    expect(said(recipes)).toEqual({
      WIDTH: 8,
      small: { '->': 'Recipe', '()': 'Container', layers: 2, model: { width: 8 }, train: { batch: 4 } },
      large: { '->': 'Recipe', '()': 'Container', layers: 2, model: { width: 16 }, train: { batch: 8 } },
      def: ['_common', 'small', 'large'],
    });
  });

  it('keep the line on which each value was written last', () => {
    const reading = readPython(recipes);
    if (reading.kind === 'broken') throw new Error(reading.message);
    const { lines } = reading;
    expect([lines.get('small.train.batch'), lines.get('large.train.batch'), lines.get('large.model.width')]).toEqual([
      12, 19, 20,
    ]);
    expect(lines.get('small.layers')).toBe(5);
  });

  it('do not change constants for each other', () => {
    expect(said('BASE = dict(n=1)\ndef f():\n  BASE["n"] = 2\n  return BASE\ndef g():\n  return BASE')).toMatchObject({
      g: { n: 1 },
    });
  });

  it('are unknown where a decorator, a condition or a generator decides what they return', () => {
    const text = `
@patched
def a():
    return dict(n=1)

def b(on):
    if on:
        return dict(n=1)
    return dict(n=2)

def c():
    yield dict(n=1)

async def d():
    return dict(n=1)

@run.cli.factory(name="e")
def e():
    return dict(n=1)
`;
    expect(said(text)).toEqual({ e: { '->': '', n: 1 }, def: ['a', 'b', 'c', 'd', 'e'] });
  });
});

describe('hostile files', () => {
  it.each([
    ['a huge power', 'x = 9**9**9', { x: '${9**9**9, which is too large}' }],
    ['a huge shift', 'x = 1 << 10**9', { x: '${1 << 10**9}' }],
    ['a text bomb', "x = 'a' * 10**10", { x: "${'a' * 10**10}" }],
    ['a list bomb', 'x = [0] * 10**10', { x: '${[0] * 10**10}' }],
    ['an import', "x = __import__('os').system('id')", { x: { '()': '.system' } }],
    ['eval', "x = eval('1+1')", { x: { '()': 'eval' } }],
    ['a prototype', "x = {'__proto__': 1, 'constructor': 2}", { x: { constructor: 2 } }],
    ['recursion', 'def f():\n  return {"a": f(), "b": f()}', { f: { a: '${f()}', b: '${f()}' } }],
  ])('%s is not done', (_, text, value) => expect(said(text)).toMatchObject(value));

  it('does not reach a prototype', () => {
    const reading = readPython('x = {}\nx.__proto__.polluted = 1\nx["constructor"]["prototype"]["polluted"] = 1');
    expect(reading.kind).toBe('read');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each([
    ['brackets', '['.repeat(pythonLimits.marks + 1)],
    ['open brackets', '('.repeat(pythonLimits.marks - 10)],
    ['a long sum', `x = 1${' + 1'.repeat(10_000)}`],
    ['deep lists', `x = ${'['.repeat(100)}${']'.repeat(100)}`],
    ['negations', `x = ${'not '.repeat(20_000)}1`],
    ['deep blocks', Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}if x:`).join('\n')],
    [
      'calls that multiply',
      Array.from({ length: 8 }, (_, n) => `def f${n}():\n  return [${`f${n + 1}(), `.repeat(40)}]`).join('\n'),
    ],
    ['shared lists', Array.from({ length: 8 }, (_, n) => `a${n} = [${n === 0 ? '1' : `a${n - 1}`}] * 100`).join('\n')],
    ['a circle', 'class A: pass\nx = {}\nx.a = x\nx.b = x'],
    ['quotes', '"'.repeat(50_001)],
    ['noise', '\u0000\uffff@@@ := ** -> \\ \n'.repeat(2_000)],
  ])('%s of any size end in time, in a sentence or in values', (_, text) => {
    const start = performance.now();
    const reading = readPython(text);
    expect(performance.now() - start).toBeLessThan(8_000);
    if (reading.kind === 'broken') expect(reading.message).toMatch(/^The file .*\.$/);
  });

  it('is read as text of at most a megabyte like every config', () => {
    expect(parse(Buffer.alloc(2 ** 20 + 1, 'x'), 'python')).toMatchObject({ kind: 'broken' });
  });
});
