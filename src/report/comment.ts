import { missedText } from '../gate/missed.ts';
import type { Comparison, Finding, Review, Side } from '../gate/review.ts';
import type { Budgets } from '../gate/rules.ts';
import { adviceMarkdown } from './advice.ts';
import { assumptions, changes, memoryBreakdown, origins, throughputLine } from './breakdown.ts';
import { type Chart, memoryBars, stepShares } from './charts.ts';
import { type Memory, memoryLine, pastProblem, remember } from './earlier.ts';
import { figures } from './figures.ts';
import { gib } from './format.ts';
import { gist, headline, memoryLimit } from './gist.ts';
import { limitsTable, statedRun } from './limits.ts';
import { code, sentence, table, tag } from './markdown.ts';
import { findingLine, overview, ranked, waiverText } from './overview.ts';
import { runLine, runLineBefore } from './run-line.ts';
import { fitted, type Section } from './section.ts';

/** GitHub refuses a comment over 65,536 characters; the rest is room for what it adds. */
export const longestComment = 60_000;

/** The first line of our comment: with the author, what tells it from everybody else's. */
export const marker = (key: string): string =>
  `<!-- model-cost-gate key=${key.replace(/[^\w.-]/g, '_').slice(0, 60)} -->`;

export type Options = { readonly key: string; readonly budgetsFor: (path: string) => Budgets };

/**
 * The comment on a pull request: verdict, table, and, folded, where the difference comes from.
 *
 * @param earlier our comment as it stands there: what it complained of and is gone is shown as resolved
 */
export function comment(review: Review, options: Options, earlier?: string): string {
  const memory = remember(review, earlier);
  const all = sections(review, options);
  const gone: Section = { importance: 8.5, name: 'resolved', body: resolved(memory) };
  const table = all.findIndex(({ name }) => name === 'table');
  const whole = gone.body === '' ? all : [...all.slice(0, table), gone, ...all.slice(table)];
  const first = marker(options.key);
  const remembering = fitted(first + memoryLine(memory), whole, Number.POSITIVE_INFINITY, inSummary);
  // What is remembered goes first when room runs out, and what is not remembered is not told.
  return remembering.length <= longestComment ? remembering : fitted(first, all, longestComment, inSummary);
}

/** What takes the place of an earlier comment when no model config is changed any more. */
export function resolvedComment(review: Review, key: string, earlier?: string): string {
  const memory = remember(review, earlier);
  const sentences = [
    '## Model cost: no model config changed',
    `This pull request changed model configs before; ${head(review)} does not.`,
    resolved(memory),
    footer(review),
  ];
  return [marker(key) + memoryLine(memory), ...sentences].filter((body) => body !== '').join('\n\n');
}

const resolved = ({ resolved: gone }: Memory): string =>
  gone
    .map(
      (one) =>
        `- ✅ Resolved${one.at === undefined ? '' : ` in ${short(one.at)}`}: ${code(one.path, 120)}: ${pastProblem(one)}`,
    )
    .join('\n');

/** The most configs in the table of a comment, so that it fits beside the findings even with the longest names. */
const mostRows = 60;

/** Where the comment says that the rest stands; the job summary itself points to the report's file. */
const inSummary = 'the job summary';

export function sections(review: Review, options: Options, rows = mostRows, elsewhere = inSummary): readonly Section[] {
  const comparisons = ranked(review);
  const report = { several: comparisons.length > 1, whole: review.base === undefined };
  const cut =
    comparisons.length > rows ? `\n\n… and ${comparisons.length - rows} more configs; ${elsewhere} has them.` : '';
  return [
    { importance: 10, name: 'heading', body: `## ${heading(review, options.budgetsFor)}` },
    { importance: 8.9, name: 'headline', body: said(comparisons, options) },
    { importance: 9, name: 'findings', body: findings(review) },
    { importance: 7.2, name: 'hints', body: hints(review) },
    { importance: 8.2, name: 'run', body: runs(comparisons) },
    { importance: 8, name: 'table', body: overview(review, comparisons.slice(0, rows), options.budgetsFor) + cut },
    {
      importance: 7,
      name: 'notes',
      body: review.notes.map((note) => `> ${sentence(note, 500, pathsOf(review))}`).join('\n>\n'),
    },
    ...comparisons.slice(0, mostUnfolded).map((comparison, index) => ({
      importance: 7.6 - index / 100,
      name: 'gist',
      body:
        review.base === undefined && comparison.base === undefined ? inShort(comparison, comparisons.length > 1) : '',
    })),
    ...comparisons.slice(0, mostUnfolded).map((comparison, index) => ({
      importance: 7.5 - index / 100,
      name: 'changes',
      body: whatChanged(comparison, comparisons.length > 1),
    })),
    ...comparisons
      .slice(0, 30)
      .flatMap((comparison, index) => configSections(comparison, options.budgetsFor(comparison.path), report, index)),
    { importance: 3, name: 'settings', within: 'Settings', body: settings(review, options.budgetsFor) },
    { importance: 9, name: 'footer', body: footer(review) },
  ].filter(({ body, chart }) => body !== '' || chart !== undefined);
}

/** The change that moves most, in one sentence. */
function said(comparisons: readonly Comparison[], { budgetsFor }: Options): string {
  const told = comparisons.filter(({ status, head }) => status !== 'unchanged' && head?.estimate !== undefined);
  const both = told.filter(({ base }) => base?.estimate !== undefined);
  const moves = both.length > 0 ? both : told;
  const growth = ({ base, head }: Comparison) =>
    Math.abs((head?.estimate?.memory.device ?? 0) - (base?.estimate?.memory.device ?? 0));
  const [first] = moves.toSorted((a, b) => growth(b) - growth(a));
  if (first === undefined) return '';
  const words = sentence(headline(first, budgetsFor(first.path))).replace(/^[^(,]*(?=[ ,])/, '**$&**');
  return told.length === 1 ? words : `The largest change is ${code(first.path, 120)}: ${words}`;
}

/** A report in five answers. */
function inShort({ path, head }: Comparison, several: boolean): string {
  if (head?.estimate === undefined) return '';
  const answers = gist(head.estimate).map(({ question, answer }) => `- **${question}** ${sentence(answer)}`);
  return `${several ? `**${code(path, 120)}**\n\n` : ''}${answers.join('\n')}`;
}

/** Configs whose changes are shown without a click. */
const mostUnfolded = 3;

function whatChanged(comparison: Comparison, several: boolean): string {
  const body = changes(comparison);
  return body === '' || !several ? body : `**${code(comparison.path, 120)}**\n\n${body}`;
}

const ownRun = ({ estimate }: Side): string =>
  estimate === undefined ? '' : `${sentence(runLine(estimate.run.run), 300)}.`;

/** The run that the figures are of, in one line; where configs have several, each has its own among its details. */
function runs(comparisons: readonly Comparison[]): string {
  const lines = new Set(
    comparisons
      .filter(({ status }) => status !== 'unreadable')
      .flatMap(({ base, head }) => {
        const [before, after] = [base, head].map((side) => side?.estimate?.run.run);
        const run = after ?? before;
        if (run === undefined) return [];
        const was = before === undefined || after === undefined ? '' : runLineBefore(before, after);
        return [`${runLine(run)}${was === '' ? '' : ` (before: ${was})`}`];
      }),
  );
  const [line, ...others] = lines;
  if (line === undefined) return '';
  return others.length === 0
    ? `Trained on ${sentence(line, 500)}.`
    : `Trained in ${lines.size} different ways; see each config.`;
}

const pathsOf = ({ comparisons }: Review): readonly string[] =>
  comparisons.flatMap(({ path, previousPath }) => [path, previousPath ?? '']).filter((name) => name.includes(' '));

function heading(review: Review, budgetsFor: Options['budgetsFor']): string {
  const { outcome, findings, override } = review.verdict;
  const fails = findings.filter(({ severity }) => severity === 'fail').length;
  const configs = subject(review);
  const changed = review.comparisons.filter(({ status }) => status !== 'unchanged').length;
  const over = new Set(
    findings.filter(({ severity, code }) => severity === 'fail' && code.startsWith('memory-')).map(({ path }) => path),
  ).size;
  if (outcome === 'fail' && over > 0 && changed > 1)
    return `❌ Model cost: ${over} of ${changed} changed configs over the memory budget`;
  const missed = missedText(review.missed);
  if (review.comparisons.length === 0 && missed !== '' && override === undefined)
    return `${outcome === 'fail' ? '❌' : '⚠️'} Model cost: ${missed}`;
  if (outcome === 'fail')
    return `❌ Model cost: ${over > 0 ? 'over the memory budget' : `${fails} ${fails === 1 ? 'check' : 'checks'} failed`} (${configs})`;
  if (override !== undefined)
    return `⚠️ Model cost: failed, let pass by the label ${code(override.label, 60)}${override.by === undefined ? '' : `, set by ${code(override.by, 60)}`}`;
  const unread = review.comparisons.filter(({ status }) => status === 'unreadable').length;
  if (
    outcome === 'warn' &&
    unread > 0 &&
    findings.every(({ severity, code }) => severity === 'notice' || code === 'unreadable')
  )
    return `⚠️ Model cost: ${unread} ${unread === 1 ? 'config' : 'configs'} could not be read`;
  if (outcome === 'warn') return `⚠️ Model cost: passed with warnings (${configs})`;
  // A report for which nobody set a limit is held against none.
  const judged = review.comparisons.some(({ path, base }) => base !== undefined || budgetsFor(path).limits.length > 0);
  if (review.comparisons.length > 0)
    return judged ? `✅ Model cost: within budget (${configs})` : `Model cost: ${configs}`;
  return `✅ Model cost: no model config changed${review.proposal === undefined ? '' : ', its rules do'}`;
}

/** How much was looked at: what changed, or, without a base, everything. */
function subject({ comparisons, base, missed }: Review): string {
  const whole = base === undefined && comparisons.every((comparison) => comparison.base === undefined);
  const count = comparisons.filter(({ status }) => whole || status !== 'unchanged').length;
  const rest = missedText(missed);
  return `${count} ${count === 1 ? 'config' : 'configs'}${whole ? '' : ' changed'}${rest === '' ? '' : `, ${rest}`}`;
}

function findings(review: Review): string {
  const list = review.verdict.findings.slice(0, 20).map((finding) => {
    const [mark = '', ...numbers] = findingLine(finding).split(' ');
    return `- ${mark} ${code(finding.path, 120)}${finding.line === undefined ? '' : ` line ${finding.line}`}: ${[sentence(finding.message, 500, [finding.path]), ...numbers, sentence(waiverText(finding))].filter((word) => word !== '').join(' ')}${remedy(finding, review)}`;
  });
  const rest = review.verdict.findings.length - list.length;
  return [...list, ...(rest > 0 ? [`- … and ${rest} more`] : [])].join('\n');
}

/** Runs within the budget that are faster. */
const hints = ({ comparisons }: Review): string =>
  comparisons
    .flatMap(({ path, advice }) =>
      advice?.kind === 'faster' ? [`- 💡 ${code(path, 120)}: ${adviceMarkdown(advice)}`] : [],
    )
    .join('\n');

/** What would bring memory within its limit, or nearest to it: the nearest run that fits, else one change by itself. */
function remedy({ path, metric, severity, after, limit, from }: Finding, review: Review): string {
  if (
    metric !== 'memory' ||
    severity === 'notice' ||
    from?.what === 'merge' ||
    after === undefined ||
    limit === undefined
  )
    return '';
  const comparison = review.comparisons.find((one) => one.path === path);
  if (comparison?.advice?.kind === 'fits') return ` ${adviceMarkdown(comparison.advice)}`;
  const savings = comparison?.head?.estimate?.memory.savings ?? [];
  const best = savings.find(({ saves }) => after - saves <= limit) ?? savings[0];
  if (best === undefined) return '';
  const left = after - best.saves;
  return ` \`${best.change}\` would bring it to about ${gib(left).replace(' ', '\u00a0')}${left <= limit ? ', within the budget' : ''}.`;
}

/** Whether a report is of several configs, and whether it is of all that they cost and not of a change. */
type Report = { readonly several: boolean; readonly whole: boolean };

/** What is in the fold of one config. What cannot be read has no numbers of its own; its finding says why. */
function configSections(
  comparison: Comparison,
  budgets: Budgets,
  { several, whole }: Report,
  index: number,
): readonly Section[] {
  const side = comparison.head ?? comparison.base;
  if (side === undefined || comparison.status === 'unreadable') return [];
  const within = several ? tag(comparison.path, 80) : 'Details';
  const titled = (importance: number, title: string, body: string): Section => ({
    importance: importance - index / 100,
    name: title,
    within,
    body: body === '' ? '' : `**${title}**\n\n${body}`,
  });
  const shown = index < mostUnfolded;
  return [
    titled(6.8, 'What changed', shown ? '' : changes(comparison)),
    titled(6.5, 'Limits', limitsTable(comparison, budgets)),
    titled(6, 'Where the difference comes from', origins(comparison)),
    ...(whole && comparison.base === undefined && side.estimate !== undefined ? figures(side.estimate) : []).map(
      ({ title, body }) => titled(4.5, title, body),
    ),
    titled(5, 'Memory of the fullest GPU', memoryBreakdown(comparison)),
    ...drawnAs(3.6 - index / 100, 'memory chart', within, memoryChart(comparison, budgets)),
    titled(4, 'Step time', throughputLine(side)),
    ...drawnAs(3.5 - index / 100, 'step chart', within, side.estimate && stepShares(side.estimate)),
    titled(
      4,
      'Training run',
      [several ? ownRun(side) : '', statedRun(side)].filter((body) => body !== '').join('\n\n'),
    ),
    titled(4, 'Assumptions', assumptions(side)),
  ];
}

const drawnAs = (importance: number, name: string, within: string, chart: Chart | undefined): readonly Section[] =>
  chart === undefined ? [] : [{ importance, name, within, body: '', chart }];

function memoryChart({ base, head }: Comparison, budgets: Budgets): Chart | undefined {
  const after = head?.estimate;
  return after && memoryBars(base?.estimate, after, memoryLimit(after, budgets));
}

function settings(review: Review, budgetsFor: Options['budgetsFor']): string {
  const held = review.settings.filter((setting) => !isOverridden(setting, review, budgetsFor));
  if (held.length === 0) return '';
  return table([
    ['Setting', 'Value', 'From'],
    ...held.map(({ name, value, origin }) => [code(name, 60), code(value, 100), code(origin, 60)]),
  ]);
}

/** A default that holds for no config, as each states something else. */
function isOverridden(
  { name, value, origin }: Review['settings'][number],
  { comparisons }: Review,
  budgetsFor: Options['budgetsFor'],
): boolean {
  const runs = comparisons.flatMap(({ head, base }) => (head ?? base)?.estimate?.run.run ?? []);
  if (origin !== 'default' || runs.length === 0) return false;
  if (name === 'accelerator') return runs.every(({ accelerator }) => accelerator !== value);
  if (name === 'gpus') return runs.every(({ gpus }) => String(gpus) !== value);
  return (
    name === 'memory-budget' &&
    comparisons.every(({ path }) =>
      budgetsFor(path).limits.every((limit) => limit.metric !== 'memory' || limit.origin !== 'default'),
    )
  );
}

const short = (sha: string) => code(sha.slice(0, 12), 12);
const head = (review: Review) => (review.head === undefined ? 'the head' : short(review.head.sha));

function footer(review: Review): string {
  const commits =
    review.base === undefined || review.head === undefined
      ? ''
      : `Compared ${short(review.base.sha)} (${sentence(review.base.label, 80)}) with ${short(review.head.sha)} (${sentence(review.head.label, 80)}) · `;
  return `<sub>${commits}model-cost-gate ${review.version}</sub>`;
}
