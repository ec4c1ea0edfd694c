import { metrics } from '../gate/metrics.ts';
import type { Comparison, Finding, Review } from '../gate/review.ts';
import { amountsOf } from './amounts.ts';
import { difference, quantity } from './format.ts';
import { plain } from './markdown.ts';

/** A review as JUnit's XML, for those who collect test results: a config is a test, and a failing finding is its failure. */
export function junit(review: Review): string {
  const { comparisons, verdict } = review;
  const known = new Set(comparisons.map(({ path }) => path));
  // Of the run as a whole: rules that cannot be followed, files that were not looked at.
  const others = new Set(verdict.findings.flatMap(({ path }) => (known.has(path) ? [] : [path])));
  const cases = [
    ...comparisons.map((one) => testCase(one.path, findingsOf(review, one.path), figures(one))),
    ...[...others].map((path) => testCase(path, findingsOf(review, path), [])),
  ];
  const counts = `tests="${cases.length}" failures="${cases.filter(({ failed }) => failed).length}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="model-cost" ${counts}>`,
    `  <testsuite name="model-cost" ${counts}>`,
    ...cases.flatMap(({ lines }) => lines.map((line) => `    ${line}`)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

const findingsOf = ({ verdict }: Review, path: string): readonly Finding[] =>
  verdict.findings.filter((finding) => finding.path === path);

function testCase(
  path: string,
  findings: readonly Finding[],
  told: readonly string[],
): { readonly failed: boolean; readonly lines: readonly string[] } {
  const failures = findings.filter(({ severity }) => severity === 'fail');
  const others = findings.filter(({ severity }) => severity !== 'fail').map((one) => `${one.severity}: ${one.message}`);
  const out = [...others, ...told].map((line) => xml(line)).join('\n');
  return {
    failed: failures.length > 0,
    lines: [
      `<testcase classname="model-cost" name="${xml(path)}" file="${xml(path)}">`,
      // JUnit has one failure for each test.
      ...(failures.length === 0 ? [] : [failureOf(failures)]),
      ...(out === '' ? [] : [`  <system-out>${out}</system-out>`]),
      '</testcase>',
    ],
  };
}

function failureOf(failures: readonly Finding[]): string {
  const lines = failures.map((finding) => `${finding.message}${numbers(finding)}`);
  const [first = ''] = lines;
  return `  <failure type="${xml(failures[0]?.code ?? '')}" message="${xml(first)}">${lines.map((line) => xml(line)).join('\n')}</failure>`;
}

function numbers(finding: Finding): string {
  const { before, after, limit } = amountsOf(finding);
  if (after === undefined) return '';
  return ` (${before === undefined ? '' : `${before} -> `}${after}${limit === undefined ? '' : `, limit ${limit}`})`;
}

const figures = ({ changes }: Comparison): readonly string[] =>
  changes.flatMap(({ metric, before, after }) => {
    const found = metrics.find(({ id }) => id === metric);
    if (found === undefined || (before === undefined && after === undefined)) return [];
    const { label, unit } = found;
    const values = [before, after].flatMap((value) => (value === undefined ? [] : [quantity(value, unit)]));
    const moved = before === undefined || after === undefined ? undefined : difference(before, after, unit);
    return [`${label}: ${moved === undefined ? values.at(-1) : `${values.join(' -> ')} (${moved})`}`];
  });

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
/** What no XML document may hold, however it is escaped. */
const forbidden = /[^\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

const xml = (foreign: string): string =>
  plain(foreign, 1_000)
    .replace(forbidden, '\ufffd')
    .replace(/[&<>"']/g, (letter) => entities[letter] ?? letter);
