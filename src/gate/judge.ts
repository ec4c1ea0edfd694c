import type { Comparison, Finding, Severity, Verdict } from './review.ts';
import type { Budgets } from './rules.ts';
import { rules } from './rules.ts';

const rank: Readonly<Record<Severity, number>> = { fail: 0, warn: 1, notice: 2 };

/**
 * Comparisons against their budgets. `fail-on: never` and a waiver that holds leave no failure; both stay visible as warnings.
 *
 * @param today ISO date, for waivers
 */
export function judge(
  comparisons: readonly Comparison[],
  budgetsFor: (path: string) => Budgets,
  today: string,
): Verdict {
  const findings = comparisons
    .flatMap((comparison) => {
      const budgets = budgetsFor(comparison.path);
      return rules.flatMap((rule) => rule(comparison, budgets)).map((finding) => soften(finding, budgets, today));
    })
    .sort((a, b) => rank[a.severity] - rank[b.severity]);
  return { outcome: outcomeOf(findings), findings };
}

function soften(finding: Finding, budgets: Budgets, today: string): Finding {
  if (finding.severity !== 'fail') return finding;
  const { waiver } = budgets;
  if (waiver !== undefined && finding.code !== 'unreadable') {
    if (today <= waiver.until)
      return {
        ...finding,
        severity: 'warn',
        message: `${finding.message} Waived until ${waiver.until}: ${waiver.reason}`,
      };
    return { ...finding, message: `${finding.message} Its waiver ended on ${waiver.until}.` };
  }
  if (budgets.failOn === 'never') return { ...finding, severity: 'warn' };
  return finding;
}

const outcomeOf = (findings: readonly Finding[]): Verdict['outcome'] =>
  findings.some(({ severity }) => severity === 'fail')
    ? 'fail'
    : findings.some(({ severity }) => severity === 'warn')
      ? 'warn'
      : 'pass';

/** A failure that somebody lets pass: it warns, and says who. */
export function override(verdict: Verdict, label: string, by: string | undefined): Verdict {
  if (verdict.outcome !== 'fail') return verdict;
  return { ...verdict, outcome: 'warn', override: { label, ...(by === undefined ? {} : { by }) } };
}
