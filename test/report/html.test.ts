import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escaped, rendered } from '../../src/report/html.ts';
import { code, sentence, table } from '../../src/report/markdown.ts';
import { htmlReport, style, styleHash } from '../../src/report/page.ts';
import { summary } from '../../src/report/summary.ts';
import { config } from '../states.ts';
import { reviewOf } from '../stories.ts';
import { hostile, numRuns, patience } from './hostile.ts';

/** Everything that the page may have. */
const tags = new Set(
  'html head meta title style body main h1 p ul li blockquote div table thead tbody tr th td code strong small br details summary figure figcaption svg rect line text'.split(
    ' ',
  ),
);
const single = new Set(['meta', 'br']);
const attributes =
  /^(?: (?:class|x|y|x1|x2|y1|y2|width|height|viewBox|role|text-anchor|lang|charset|name|content|http-equiv)="[^"<>]*")*$/;

/** What is wrong with a page as XML would have it: tags that do not pair, or are not among those that it may have. */
function faults(html: string): readonly string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const text = html.replace(/<style>[^<]*<\/style>/, '').replace(/^<!doctype html>/, '');
  for (const [whole, slash, name = '', rest = ''] of text.matchAll(/<(\/?)([a-z][a-z\d]*)?([^<>]*)>|[<>]/gi)) {
    if (!tags.has(name) || (slash === '' && !attributes.test(rest))) wrong.push(whole);
    else if (slash === '/') {
      if (open.pop() !== name) wrong.push(`${whole} out of order`);
    } else if (!single.has(name)) open.push(name);
  }
  const entity = /&(?!(?:amp|lt|gt|quot|#39);)/.exec(text);
  return [...wrong, ...open.map((name) => `<${name}> left open`), ...(entity === null ? [] : ['a bare &'])];
}

const pageOf = (
  texts: Parameters<typeof reviewOf>[0],
  rules: Parameters<typeof reviewOf>[2] = {},
  head = 'feature',
) => {
  const { review, settings } = reviewOf(texts, {}, rules);
  const told = { ...review, head: { sha: 'b'.repeat(40), label: head }, notes: [head] };
  const options = { key: 'default', budgetsFor: settings.budgetsFor };
  return { page: htmlReport(told, options), markdown: summary(told, options) };
};

/** Words of a page or of its markdown, whatever marks stand between them. */
const wordsOf = (text: string): ReadonlySet<string> => new Set(text.match(/[\d,.]*\d(?: ?[GTKM]?i?B\b| %)?/g) ?? []);

describe('a part of a report in HTML', () => {
  it('is what the markdown says', () => {
    expect(rendered('## One **two** `<b>`')).toBe('<h1>One <strong>two</strong> <code>&lt;b&gt;</code></h1>');
    expect(rendered('- a\n- b')).toBe('<ul><li>a</li><li>b</li></ul>');
    expect(rendered('> a\n>\n> b')).toBe('<blockquote><p>a</p><p>b</p></blockquote>');
    expect(rendered('a\n\n<sub>b</sub>')).toBe('<p>a</p>\n<p><small>b</small></p>');
    expect(
      rendered(
        table(
          [
            ['a', 'b'],
            ['1', code('x|y`z')],
          ],
          [1],
        ),
      ),
    ).toBe(
      '<div class="wide"><table><thead><tr><th>a</th><th class="number">b</th></tr></thead><tbody><tr><td>1</td><td class="number"><code>x|y`z</code></td></tr></tbody></table></div>',
    );
  });

  it('pairs its tags whatever marks stand alone', () => {
    for (const odd of ['**a', '</sub>a', '<sub>**a</sub>', '`a', '**<sub>a**</sub>'])
      expect(faults(rendered(odd))).toEqual([]);
  });

  it('shows foreign text as it is, as code and in sentences', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, hostile, (one, other) => {
        for (const written of [code(one), sentence(one), table([['a'], [code(one)], [sentence(other)]]), one])
          expect(faults(rendered(written))).toEqual([]);
        const [, inside] = /^<p><code>(.*)<\/code><\/p>$/.exec(rendered(code(one))) ?? [];
        const [, shown = ''] = /^`+ ?([\s\S]*?) ?`+$/.exec(code(one)) ?? [];
        if (inside !== undefined) expect(inside.trim()).toBe(escaped(shown).trim());
      }),
      { numRuns },
    );
  });
});

describe('the HTML report', () => {
  it('has every figure of the markdown report, and charts', () => {
    const { page, markdown } = pageOf({
      base: config(),
      head: config({ num_hidden_layers: 40 }),
      path: 'configs/a.json',
    });
    const words = wordsOf(page);
    const withoutCharts = markdown.replace(/```mermaid[\s\S]*?```/g, '');
    expect([...wordsOf(withoutCharts)].filter((word) => !words.has(word))).toEqual([]);
    expect(page.match(/<svg /g)).toHaveLength(2);
    expect(faults(page)).toEqual([]);
  });

  it('runs nothing and loads nothing', () => {
    const { page } = pageOf({ base: config(), head: config({ num_hidden_layers: 40 }) });
    expect(page).not.toMatch(/<script|<link|<img|<iframe|javascript:|\bon\w+=|style=|url\(|@import/i);
    expect(page.match(/https?:/g)).toBeNull();
    expect(page).toContain(`default-src 'none'; style-src '${styleHash}'`);
    expect(styleHash).toBe(`sha256-${createHash('sha256').update(style).digest('base64')}`);
  });

  it('is one page whatever a pull request says', { timeout: patience }, () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, hostile, (path, key, value, family) => {
        const base = config({ model_type: family });
        const head = config({ model_type: family, [key]: value, hidden_act: value, intermediate_size: 11264 });
        expect(faults(pageOf({ base, head, path, named: true }, {}, value).page)).toEqual([]);
      }),
      { numRuns: Math.ceil(numRuns / 20) },
    );
  });
});

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path));
if (browser === undefined) console.log('skipped: there is no browser here that could open the HTML report');

describe.skipIf(browser === undefined)('the HTML report in a browser', () => {
  /** The page as the browser has it after it ran all that it would run. */
  function opened(page: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'model-cost-page-'));
    try {
      const file = join(folder, 'report.html');
      writeFileSync(file, page);
      const quiet = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--no-first-run',
      ];
      return execFileSync(
        browser ?? '',
        [...quiet, `--user-data-dir=${folder}/profile`, '--dump-dom', `file://${file}`],
        {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
          timeout: 60_000,
        },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  it('is read as it was written, hostile names included', { timeout: 120_000 }, () => {
    const names = `a"><img src=x onerror=alert(1)><script>document.title='owned'</script></style></title>--></svg>`;
    const { page } = pageOf({
      base: config(),
      head: config({ [names]: names, num_hidden_layers: 40 }),
      path: `${names}.json`,
    });
    const dom = opened(page);
    expect(dom).toContain('<title>Model cost</title>');
    expect(dom).not.toMatch(/<script|<img/);
    expect(dom.match(/<svg /g)).toHaveLength(2);
    expect(dom).toContain('&lt;script&gt;document.title=');
    expect(faults(dom.replace(/^<!DOCTYPE html>/i, '').replaceAll('&nbsp;', ' '))).toEqual([]);
  });
});
