import type { Finding, Review } from '../gate/review.ts';
import { fileOf } from '../text/job-name.ts';
import { amountsOf } from './amounts.ts';
import { plain } from './markdown.ts';
import { waiverText } from './overview.ts';

export type Annotation = {
  readonly severity: Finding['severity'];
  readonly path: string;
  readonly line: number;
  readonly title: string;
  readonly message: string;
};

/** GitHub shows ten annotations of a kind for each step; one of each is left for what the action says of the run itself. */
const most = 9;

/** The findings at the config's line, worst first, as plain text. */
export function annotations(review: Review): readonly Annotation[] {
  const count = new Map<string, number>();
  const first = review.verdict.findings.filter(({ severity }) => {
    count.set(severity, (count.get(severity) ?? 0) + 1);
    return (count.get(severity) ?? 0) <= most;
  });
  return first.map((finding) => {
    const { after, limit } = amountsOf(finding);
    const numbers = after === undefined ? '' : ` ${after}${limit === undefined ? '' : ` of ${limit}`}.`;
    return {
      // What is let pass is no error of this run.
      severity: review.verdict.override !== undefined && finding.severity === 'fail' ? 'warn' : finding.severity,
      path: fileOf(finding.path),
      line: finding.line ?? 1,
      title: 'Model cost',
      message: plain(`${finding.message}${numbers} ${waiverText(finding)}`),
    };
  });
}
