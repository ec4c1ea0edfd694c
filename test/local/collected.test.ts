import { describe, expect, it } from 'vitest';
import { csv } from '../../src/report/csv.ts';
import { folder, run, write } from '../command.ts';
import { config } from '../states.ts';

/** The tags and texts of an XML document; fails where a tag is not closed or something is not escaped. */
function tagsOf(text: string): readonly string[] {
  const open: string[] = [];
  const tags: string[] = [];
  const rest = text.replace(
    /<(\/?)([\w?-]+)((?: [\w]+="[^"<&]*(?:&(?:amp|lt|gt|quot|apos);[^"<&]*)*")*)\s*(\/|\?)?>/g,
    (_, end, name, words, own) => {
      if (end !== '') expect(open.pop()).toBe(name);
      else if (own === undefined) open.push(name);
      if (end === '') tags.push(`${name}${words}`);
      return '';
    },
  );
  expect(open).toEqual([]);
  expect(rest.replaceAll(/&(amp|lt|gt|quot|apos);/g, '')).not.toMatch(/[<>&]/);
  return tags;
}

const hostile = `a"b'<c>&]]>.json`;

describe('junit', () => {
  it('has a test for each config, and a failure for one over its budget', () => {
    const where = folder();
    write(where, { 'base.json': config(), [hostile]: config({ num_hidden_layers: 80 }) });
    const words = ['diff', 'base.json', hostile, '--memory-budget', '30GiB', '-f', 'junit'];
    const { code, out } = run(words, where);
    expect(code).toBe(1);
    const tags = tagsOf(out);
    expect(tags).toContain('testsuite name="model-cost" tests="1" failures="1"');
    const name = 'a&quot;b&apos;&lt;c&gt;&amp;]]&gt;.json';
    expect(tags).toContain(`testcase classname="model-cost" name="${name}" file="${name}"`);
    expect(out).toMatch(
      /<failure type="memory-over-budget" message="[^"]+ \(24\.\d+ GiB -&gt; 54\.\d+ GiB, limit 30\.00 GiB\)">/,
    );
    expect(out).toMatch(/Parameters: 6\.74 B -&gt; \d+\.\d+ B/);
  });

  it('counts what cannot be read as failed, and what passes as passed', () => {
    const where = folder();
    write(where, { 'a.json': config(), 'b.json': '{' });
    const { code, out } = run(['report', 'a.json', 'b.json', '-f', 'junit'], where);
    expect(code).toBe(1);
    expect(tagsOf(out)).toContain('testsuites name="model-cost" tests="2" failures="1"');
    expect(out).toContain('<failure type="unreadable" message="The file is not valid JSON');
    expect(run(['report', 'a.json', '-f', 'junit'], where).out).toContain('tests="1" failures="0"');
  });
});

describe('csv', () => {
  it('has a line for each config with every metric', () => {
    const where = folder();
    write(where, { 'a.json': config(), 'b.json': '{' });
    const { code, out } = run(['report', 'a.json', 'b.json', '-f', 'csv'], where);
    expect(code).toBe(1);
    const [heading = '', ...lines] = out
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(','));
    expect(heading.slice(0, 6)).toEqual(['path', 'format', 'family', 'exact', 'problem', 'memory']);
    expect(lines[0]?.[heading.indexOf('parameters')]).toBe('6738415616');
    expect(lines[1]?.slice(0, 5).join()).toMatch(/^b\.json,,,,The file is not valid JSON/);
  });

  it('has both sides of a comparison, and its gravest finding', () => {
    const where = folder();
    write(where, { 'a.json': config(), 'b.json': config({ num_hidden_layers: 80 }) });
    const { out } = run(['diff', 'a.json', 'b.json', '--memory-budget', '30GiB', '-f', 'csv'], where);
    const [heading = [], line = []] = out.split('\r\n').map((row) => row.split(','));
    expect(line.slice(0, 5)).toEqual([
      'b.json',
      'a.json',
      'changed',
      'fail',
      expect.stringContaining('over the budget'),
    ]);
    expect(line[heading.indexOf('parameters_before')]).toBe('6738415616');
    expect(Number(line[heading.indexOf('parameters_after')])).toBeGreaterThan(6738415616);
  });

  it('quotes what would break a line, and disarms what a spreadsheet would compute', () => {
    expect(csv([['a', 'b,"c"', '=1+1', '-2', -2, null, undefined, 'd\r\ne']])).toBe(
      `a,"b,""c""",'=1+1,'-2,-2,,,d e\r\n`,
    );
  });
});
