import type { Advice, Comparison, Review, Side, Verdict } from '../gate/review.ts';
import { estimateOf } from './estimate-from-json.ts';
import { type JsonReport, jsonSchema } from './json-schema.ts';

/** A report of several thousand configs is no comment, and its text decides how long the rendering takes. */
const mostConfigs = 2_000;
const mostFindings = 5_000;

export type ReportReading =
  | { readonly kind: 'read'; readonly report: JsonReport }
  | { readonly kind: 'wrong'; readonly reason: string };

/** A JSON report as another job left it. Its text is a stranger's: it is held against the schema, and nothing of it is taken for markup. */
export function readReport(text: string): ReportReading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'wrong', reason: 'it is not valid JSON.' };
  }
  const { success, data, error } = jsonSchema().safeParse(value);
  if (!success) {
    const [issue] = error.issues;
    const place = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `;
    return { kind: 'wrong', reason: `it is not a JSON report of diff or report (${place}${issue?.message ?? ''}).` };
  }
  if (data.comparisons.length > mostConfigs || data.verdict.findings.length > mostFindings)
    return { kind: 'wrong', reason: `it has more than ${mostConfigs} configs or ${mostFindings} findings.` };
  return { kind: 'read', report: data };
}

/** What several reports found together, as far as a comment tells of it. */
export function reviewOfReports(reports: readonly JsonReport[], version: string): Review {
  const [base, head] = (['base', 'head'] as const).map((side) => commitOf(reports.map((report) => report[side])));
  return {
    comparisons: reports.flatMap(({ comparisons }) => comparisons.map(comparisonOf)),
    missed: [],
    verdict: joined(reports.map(({ verdict }) => verdict)),
    ...(base === undefined ? {} : { base }),
    ...(head === undefined ? {} : { head }),
    settings: [],
    notes: reports.flatMap(({ notes = [] }) => notes),
    version,
  };
}

/** The commit that all reports agree on. */
function commitOf(commits: readonly JsonReport['head'][]): JsonReport['head'] {
  const [first] = commits;
  return commits.every((one) => one?.sha === first?.sha) ? first : undefined;
}

const severities = ['fail', 'warn', 'notice'] as const;
const outcomes = ['fail', 'warn', 'pass'] as const;

function joined(verdicts: readonly JsonReport['verdict'][]): Verdict {
  const findings = verdicts.flatMap((verdict) => verdict.findings);
  const override = verdicts.find((verdict) => verdict.override !== undefined)?.override;
  return {
    outcome: outcomes.find((one) => verdicts.some(({ outcome }) => outcome === one)) ?? 'pass',
    findings: severities.flatMap((severity) => findings.filter((finding) => finding.severity === severity)),
    ...(override === undefined ? {} : { override }),
  };
}

type JsonComparison = JsonReport['comparisons'][number];

function comparisonOf(one: JsonComparison): Comparison {
  const { path, previous_path: previousPath, status, base, head, changes, metrics, limits, attribution, advice } = one;
  return {
    path,
    ...(previousPath === undefined ? {} : { previousPath }),
    status,
    named: true,
    ...(base === null ? {} : { base: sideOf(base) }),
    ...(head === null ? {} : { head: sideOf(head) }),
    changes: metrics,
    parts: [],
    fields: changes.map(({ moved: _, ...field }) => field),
    ...(limits === undefined ? {} : { limits }),
    ...(attribution === undefined ? {} : { attribution: attributionOf(attribution) }),
    ...(advice === undefined ? {} : { advice: adviceOf(advice) }),
  };
}

function sideOf(side: NonNullable<JsonComparison['head']>): Side {
  const estimate = estimateOf(side);
  // How it was read is of no account; what was wrong with it stands with the estimate.
  const reading = { kind: 'unread', way: 'no-config', problems: [] } as const;
  return estimate === undefined ? { reading } : { reading, estimate };
}

const adviceOf = ({
  memory_bytes: memory,
  memory_band: band,
  never_measured: unmeasured,
  ...rest
}: NonNullable<JsonComparison['advice']>): Advice => ({
  ...rest,
  memory,
  band,
  unmeasured,
});

function attributionOf({
  method,
  reason = '',
  shares,
}: NonNullable<JsonComparison['attribution']>): NonNullable<Comparison['attribution']> {
  if (method === 'none') return { kind: 'none', reason };
  return {
    kind: 'shares',
    grouped: method === 'grouped',
    shares: shares.map(({ fields, moved }) => ({
      fields: fields.map(({ written_as: writtenAs, ...field }) => ({
        ...field,
        ...(writtenAs === undefined ? {} : { writtenAs }),
      })),
      moved,
    })),
  };
}
