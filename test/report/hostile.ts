import fc from 'fast-check';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';

/** Pieces that people attack with. */
const pieces = [
  '|',
  '\\|',
  '\\',
  '`',
  '``',
  '```\n',
  '~~~\n',
  '@root',
  '@octo/team',
  'root@e.example',
  '<script>alert(1)</script>',
  '<img src=x>',
  '<!--',
  '-->',
  '</details>',
  '</sub>',
  '</code>',
  '<br>',
  '[x](http://e.example)',
  '![i](x)',
  '[x]: http://e.example',
  '[^1]',
  '[!CAUTION]',
  '[ ]',
  'http://e.example',
  'HTTPS://e.example/',
  'www.e.example',
  '#1',
  'GH-12',
  'octo/models#3',
  'a5c3785ed8d6a35868bc169f07e40e889087fd2e',
  '*b*',
  '__b__',
  '~~s~~',
  ':tada:',
  '$x$',
  '$`x`$',
  '&lt;',
  '&#64;root',
  '# h',
  '- ',
  '1. ',
  '+ ',
  '> ',
  '---',
  '===',
  '    ',
  '\n',
  '\r',
  '\n\n',
  '\t',
  '\u0085',
  '\u2028',
  '\u202e',
  '\u2066',
  '\u200b',
  '\u3164',
  '\ufeff',
  '\u001b[31m',
  '\u009b31m',
  '\u0000',
  '\ud800',
  '##[add-mask]1',
  '###[error]',
  '::error::',
  ':::stop-commands::x',
  '__proto__',
  'constructor',
  '%0A::error::x',
  'ghadelimiter',
  '\u0301'.repeat(40),
];

/** Any text, with pieces of an attack in it. */
export const hostile = fc
  .array(fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom(...pieces), fc.constantFrom(' ', 'a')), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''));

type Node = {
  readonly type: string;
  readonly value?: string;
  readonly lang?: string | null;
  readonly children?: readonly Node[];
};

/** Every line that our charts have: words of ours in quotes, and numbers. */
const label = `"[\\p{L}\\p{N} .,%-]*"`;
const numbers = '\\[[\\d., ]*\\]';
const chart = new RegExp(
  `^(?:(?:---|config:|  themeVariables:|    xyChart:|      plotColorPalette: "[#\\da-f, ]+"|xychart-beta|pie showData|  title (?:${label}|[\\p{L}\\p{N} ,%]+)|  x-axis \\[(?:${label}(?:, )?)+\\]|  y-axis 0 --> [\\d.]+|  (?:bar|line) ${numbers}|  ${label} : [\\d.]+)(?:\\n|$))+$`,
  'u',
);

/** All that we ever write in HTML ourselves; within a summary, foreign text stands in `<code>` without a tag of its own. */
const ours =
  /^(?:<\/?(?:details|sub)>|<br>|<!-- model-cost-gate key=[\w.-]+ -->|<!-- model-cost-gate state=[\w.!~*'()%]+ -->|<details>\n<summary>(?:[^<>]|<code>[^<>]*<\/code>)*<\/summary>)$/;

/** What GitHub's filters look for in text once markdown has become HTML: mentions, issues, commits, emoji, formulas. */
const references =
  /(?:^|[^\p{L}\p{N}])@[\p{L}\p{N}]|#\d|\bgh-\d|:[\w+-]+:|\$|\b(?=\d*[a-f])(?=[a-f]*\d)[\da-f]{7,40}\b|https?:|(?<![\p{L}\p{N}])www\.|[\p{Cc}\p{Cf}\p{Cs}]/iu;

/** Everything in a piece of markdown that GitHub would make more of than plain words and code. */
export function markup(markdown: string, allowed: readonly string[] = []): readonly string[] {
  const plainNodes = ['root', 'paragraph', 'inlineCode', 'text', ...allowed];
  const found: string[] = [];
  const visit = (node: Node): void => {
    if (node.type === 'html' && allowed.includes('html')) {
      if (!ours.test(node.value ?? '')) found.push(`html: ${node.value}`);
    } else if (node.type === 'code') {
      if (node.lang !== 'mermaid' || !chart.test(node.value ?? '')) found.push(`code: ${node.value}`);
    } else if (!plainNodes.includes(node.type)) found.push(node.type);
    if (node.type === 'text' && references.test(node.value ?? '')) found.push(`text: ${node.value}`);
    for (const child of node.children ?? []) visit(child);
  };
  visit(tree(markdown));
  return found;
}

/** What our comments have besides words and code. */
export const blocks = ['html', 'heading', 'list', 'listItem', 'table', 'tableRow', 'tableCell', 'strong', 'blockquote'];

export const tree = (markdown: string): Node =>
  fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }) as Node;

/** How many inputs a property is tried on: more with FUZZ_RUNS=100000. */
export const numRuns = Number(process.env['FUZZ_RUNS'] ?? 2_000);
/** Room for the longer run. */
export const patience = Math.max(60_000, numRuns * 20);
