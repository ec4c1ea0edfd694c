import type { Review } from '../gate/review.ts';
import { type Options, sections } from './comment.ts';
import { element, rendered } from './html.ts';
import { groups, type Section } from './section.ts';
import { drawn } from './svg.ts';

/** Nothing is loaded, nothing runs: the style is the one below, by its hash, which a test holds against it. */
export const style = `
:root{color-scheme:light dark;--text:#1f2328;--quiet:#59636e;--ground:#fff;--raised:#f6f8fa;--rule:#d1d9e0;--after:#3d85c6;--before:#8c959f;--limit:#d1242f}
@media (prefers-color-scheme:dark){:root{--text:#f0f6fc;--quiet:#9198a1;--ground:#0d1117;--raised:#151b23;--rule:#3d444d;--after:#4f9be0;--before:#767e88;--limit:#f85149}}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.5rem;line-height:1.25;border-bottom:1px solid var(--rule);padding-bottom:.4rem}
code{font:.88em ui-monospace,monospace;background:var(--raised);padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:0 0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border:1px solid var(--rule);padding:.3rem .7rem;text-align:left;vertical-align:top}
th{background:var(--raised)}
.number{text-align:right}
details{border:1px solid var(--rule);border-radius:6px;margin:0 0 1rem;padding:.5rem 1rem}
summary{cursor:pointer;font-weight:600}
blockquote{margin:0 0 1rem;padding:0 1rem;border-left:4px solid var(--rule);color:var(--quiet)}
small{color:var(--quiet)}
figure{margin:1rem 0}
figcaption{font-weight:600}
svg{width:100%;max-width:45rem;height:auto;font:13px system-ui,sans-serif}
text{fill:var(--text)}
text.limit{fill:var(--limit)}
rect.after{fill:var(--after)}
rect.before,text.before{fill:var(--before)}
line.limit{stroke:var(--limit);stroke-width:2;stroke-dasharray:5 4}
@media print{details::details-content{content-visibility:visible;block-size:auto}}
`;

export const styleHash = 'sha256-nh5iUvzpR4o7HWOpANhoX82RzCwiVfF9Cogq3c/Hirw=';

/** As many configs as are looked at. */
const mostRows = 2_000;

/** The full report as one page that needs nothing else, for a browser without a network. */
export function htmlReport(review: Review, options: Options): string {
  const all = sections(review, options, mostRows, 'the JSON report');
  const body = groups(all).map(({ within, members }) => {
    const inner = members.map(written).join('\n');
    // The summary is HTML already (`tag`).
    return within === undefined ? inner : element('details', `<summary>${within}</summary>\n${inner}`);
  });
  const policy = `default-src 'none'; style-src '${styleHash}'; base-uri 'none'; form-action 'none'`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<title>Model cost</title>',
    `<style>${style}</style>`,
    '</head>',
    `<body><main>${body.join('\n')}</main></body>`,
    '</html>',
    '',
  ].join('\n');
}

const written = ({ body, chart }: Section): string =>
  [...(body === '' ? [] : [rendered(body)]), ...(chart === undefined ? [] : [drawn(chart)])].join('\n');
