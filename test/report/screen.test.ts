import { describe, expect, it } from 'vitest';
import { onScreen } from '../../src/report/screen.ts';

describe('onScreen', () => {
  it('folds what is too wide at spaces, under its own indent, and loses nothing', () => {
    const text = `${'─'.repeat(78)}\n  weights       12.55 GiB  of all that a GPU keeps\nshort`;
    const rows = onScreen(text, { columns: 30, colour: false }).split('\n');
    expect(rows).toEqual(['─'.repeat(30), '  weights       12.55 GiB  of', '      all that a GPU keeps', 'short']);
  });

  it('breaks a word that is wider than the terminal', () => {
    const rows = onScreen('x'.repeat(100), { columns: 40, colour: false }).split('\n');
    expect(rows.every((row) => row.length <= 40)).toBe(true);
    expect(rows.map((row) => row.trim()).join('')).toBe('x'.repeat(100));
  });

  it('leaves everything as it is where nothing is known of the terminal', () => {
    const text = `${'word '.repeat(50)}\nverdict: pass\n`;
    expect(onScreen(text, { columns: undefined, colour: false })).toBe(text);
  });

  it.each([
    ['verdict: fail (by x)', '\u001b[31mverdict: fail\u001b[0m (by x)'],
    ['FAIL   a.json: over', '\u001b[31mFAIL\u001b[0m   a.json: over'],
    ['verdict: warn', '\u001b[33mverdict: warn\u001b[0m'],
    ['verdict: pass', '\u001b[32mverdict: pass\u001b[0m'],
    ['a.json: changed', 'a.json: changed'],
  ])('colours %s', (line, expected) => {
    expect(onScreen(line, { columns: 80, colour: true })).toBe(expected);
  });
});
