import fc from 'fast-check';
import picomatch from 'picomatch';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/settings/glob.ts';
import { globs, longestPath } from '../../src/settings/globs.ts';

const matches = (pattern: string, path: string) => compile(pattern).matches(path);

describe('patterns', () => {
  it.each([
    ['configs/*.json', 'configs/a.json', 'configs/b/a.json'],
    ['configs/**/*.json', 'configs/a.json', 'other/a.json'],
    ['configs/**/*.json', 'configs/x/y/a.json', 'configs/a.yaml'],
    ['**/config.json', 'config.json', 'config.json/a'],
    ['**/config.json', 'a/b/config.json', 'a/b/my-config.json'],
    ['configs/**', 'configs/a/b', 'configurations/a'],
    ['**.json', 'a/b.json', 'a/b.jsonl'],
    ['a**.json', 'ab.json', 'a/b.json'],
    ['a/**b', 'a/xb', 'a/x/b'],
    ['x{**,b}', 'xab', 'a'],
    ['a?c', 'abc', 'a/c'],
    ['v[0-9].json', 'v7.json', 'vx.json'],
    ['v[!0-9].json', 'vx.json', 'v7.json'],
    ['{a,b/c}/*.json', 'b/c/x.json', 'b/x.json'],
    ['m{,-large}.json', 'm.json', 'm-small.json'],
    ['{a,b{c,d}}', 'bd', 'b'],
    ['{a}', '{a}', 'a'],
    ['./configs/*', 'configs/a', 'a'],
    ['*.json', '.hidden.json', 'a/.hidden.json'],
    ['*.json', 'a\nb.json', 'a\nb'],
    ['a[b].json', 'a[b].json', 'a[c].json'],
    ['a\\*b', 'a*b', 'axb'],
    ['(a|b)', '(a|b)', 'a'],
    ['+(a)', '+(a)', 'aa'],
  ])('%j names %j and not %j', (pattern, path, other) => {
    expect(matches(pattern, path)).toBe(true);
    expect(matches(pattern, other)).toBe(false);
  });

  it('a backslash in a name is a character like any other, on every platform', () => {
    expect(matches('configs/*.json', 'configs/a\\b.json')).toBe(true);
    expect(matches('configs/*.json', 'configs\\a.json')).toBe(false);
  });

  it('says what picomatch says', { timeout: 600_000 }, () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', '.', '-', '\n', '\\', 'é'), { minLength: 1, maxLength: 4 })
      .map((letters) => letters.join(''))
      // Segments that git does not take, and dots at an end, which picomatch asks for something behind.
      .filter((segment) => !segment.endsWith('.') && !segment.includes('..'));
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
    const sign = fc.constantFrom('a', 'b', 'a', '.a', '-', '*', '?', 'é', '[ab-]', '[^a]', '{a,b}', '{a,b*,{ab,.b}}');
    const segment = fc.oneof(
      { weight: 1, arbitrary: fc.constant('**') },
      { weight: 3, arbitrary: fc.array(sign, { minLength: 1, maxLength: 4 }).map((signs) => signs.join('')) },
    );
    const pattern = fc.oneof(
      fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/')),
      fc.tuple(segment, segment, segment).map(([a, b, c]) => `{${a}/${b},${b}}/${c}`),
      fc.constantFrom('a/**a', 'a/**.a', '**a', '**.a', 'b**'),
    );
    fc.assert(
      fc.property(pattern, path, (glob, candidate) => {
        // Whether `x/**` names the file `x`, too, depends there on how `x` is written, and what `**` means on the sign behind it,
        // the end of a choice in braces among them.
        fc.pre(
          !/\*\*[*{,}]/.test(glob) && !(glob.endsWith('/**') && matches(glob.replace(/(\/\*\*)+$/, ''), candidate)),
        );
        const theirs = picomatch(glob, { dot: true, noextglob: true, flags: 's', windows: false });
        expect(matches(glob, candidate)).toBe(theirs(candidate));
      }),
      { numRuns: Number(process.env['FUZZ_RUNS'] ?? 20_000) },
    );
  });
});

describe('names of thousands of characters', () => {
  const steps = (pattern: string, length: number) => {
    const started = process.threadCpuUsage();
    for (const letter of ['a', 'l', 'llama', 'a/b/']) {
      const path = `${letter.repeat(length).slice(0, length)}.jso`;
      expect(matches(pattern, path)).toBe(false);
    }
    const { user, system } = process.threadCpuUsage(started);
    return (user + system) / 4_000;
  };

  it.each(['**/*llama*8b*.json', '**/*a*b*.json', '**/*a*b*c*.json', '**/a/**/b/**/*.json', '*a*a*a*a*a*a*a*a*b'])(
    '%s takes milliseconds, where backtracking takes seconds to hours',
    (pattern) => {
      expect(steps(pattern, 4_000)).toBeLessThan(200);
    },
  );

  it('are named by any pattern that may mean them, and excluded by one that must', () => {
    const long = `configs/${'a'.repeat(longestPath)}`;
    expect(globs(['configs/*.json']).names(long)).toBe(true);
    expect(globs(['other/*.json']).names(long)).toBe(false);
    expect(globs(['**', '!configs/*a']).names(long)).toBe(true);
    expect(globs(['**', '!configs/**']).names(long)).toBe(false);
    expect(globs(['configs/*a']).covers(long)).toBe(false);
    expect(globs(['configs/**']).covers(long)).toBe(true);
    expect(globs(['configs/**', '!configs/*a']).covers(long)).toBe(false);
  });
});
