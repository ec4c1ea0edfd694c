import type { Comparison, Finding, Severity, Verdict } from './review.ts';
import type { Budgets, Waiver } from './rules.ts';
import { rules } from './rules.ts';

const rank: Readonly<Record<Severity, number>> = { fail: 0, warn: 1, notice: 2 };

/**
 * Comparisons against their budgets. `fail-on: never` and a waiver that holds leave no failure; both stay visible as warnings.
 *
 * @param today ISO date, for waivers
 * @param others findings of the run as a whole, which no budget softens
 */
export function judge(
  comparisons: readonly Comparison[],
  budgetsFor: (path: string) => Budgets,
  today: string,
  others: readonly Finding[] = [],
): Verdict {
  const findings = comparisons
    .flatMap((comparison) => {
      const budgets = budgetsFor(comparison.path);
      const before = budgetsFor(comparison.previousPath ?? comparison.path);
      return rules
        .flatMap((rule) => rule(comparison, budgets, before))
        .map((finding) => soften(finding, budgets, today));
    })
    .concat(others)
    .sort((a, b) => rank[a.severity] - rank[b.severity]);
  return { outcome: outcomeOf(findings), findings };
}

function soften(finding: Finding, budgets: Budgets, today: string): Finding {
  const waived = waive(finding, budgets.waivers, today);
  return waived.severity === 'fail' && budgets.failOn === 'never' ? { ...waived, severity: 'warn' } : waived;
}

/** The waiver that lasts longest of those that cover a finding; one that ended is named, and waives nothing. */
function waive(finding: Finding, waivers: readonly Waiver[], today: string): Finding {
  const [waiver] = waivers
    .filter(({ covers }) => covers.includes(finding.code) || covers.includes(finding.metric ?? ''))
    .sort((a, b) => b.until.localeCompare(a.until));
  if (waiver === undefined) return finding;
  const { until, reason } = waiver;
  const holds = today <= until;
  return {
    ...finding,
    waiver: { until, reason, holds },
    severity: holds && finding.severity === 'fail' ? 'warn' : finding.severity,
  };
}

const outcomeOf = (findings: readonly Finding[]): Verdict['outcome'] =>
  findings.some(({ severity }) => severity === 'fail')
    ? 'fail'
    : findings.some(({ severity }) => severity === 'warn')
      ? 'warn'
      : 'pass';

/** A failure that a label overrides becomes a warning that names who set the label. */
export function override(verdict: Verdict, label: string, by: string | undefined): Verdict {
  if (verdict.outcome !== 'fail') return verdict;
  return { ...verdict, outcome: 'warn', override: { label, ...(by === undefined ? {} : { by }) } };
}
