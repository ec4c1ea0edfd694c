// Draws comments as GitHub shows them: cmark-gfm (Debian), GitHub's stylesheet, headless Chromium.
//   npm pack github-markdown-css && tar xzf github-markdown-css-*.tgz
//   node scripts/pictures.mjs package docs/images
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [styles, out] = process.argv.slice(2);
if (styles === undefined || out === undefined) throw new Error('usage: node scripts/pictures.mjs STYLES OUT');
const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
mkdirSync(out, { recursive: true });

const stories = {
  // docs/comments.md shows the first on a phone too.
  'over-budget': 'fits-no-longer',
  'within-budget': 'widens-the-mlp',
  'run-only': 'raises-the-micro-batch',
  'two-configs': 'two-configs',
  'new-config': 'adds-a-config',
  broken: 'breaks-the-json',
  experts: 'dense-to-experts',
};
const looks = {
  light: { width: 920, height: 620 },
  dark: { width: 920, height: 620 },
  phone: { width: 400, height: 900 },
};

for (const [name, story] of Object.entries(stories)) {
  const extensions = ['table', 'strikethrough', 'autolink', 'tagfilter'].flatMap((extension) => ['-e', extension]);
  const body = execFileSync(
    'cmark-gfm',
    [...extensions, '--unsafe', '--github-pre-lang', `test/golden/${story}/comment.md`],
    { encoding: 'utf8' },
  );
  for (const [look, { width, height }] of Object.entries(looks)) {
    if (look === 'phone' && name !== 'over-budget') continue;
    const css = readFileSync(join(styles, `github-markdown-${look === 'dark' ? 'dark' : 'light'}.css`), 'utf8');
    const background = look === 'dark' ? '#0d1117' : '#ffffff';
    const page = join(folder, `${name}-${look}.html`);
    writeFileSync(
      page,
      `<!doctype html><meta charset="utf-8"><style>${css} body{margin:24px;background:${background}}</style><article class="markdown-body">${body}</article>`,
    );
    execFileSync(
      'chromium',
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
        `--user-data-dir=${folder}/profile`,
        '--hide-scrollbars',
        `--window-size=${width},${height}`,
        `--screenshot=${join(out, `${name}-${look}.png`)}`,
        `file://${page}`,
      ],
      { stdio: 'ignore' },
    );
  }
}
