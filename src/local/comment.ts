import { metrics } from '../gate/metrics.ts';
import { type HeldLimit, isEmpty, type Review, tellsOfChange } from '../gate/review.ts';
import type { Budgets, Limit } from '../gate/rules.ts';
import { comment, marker, resolvedComment } from '../report/comment.ts';
import { readReport, reviewOfReports } from '../report/from-json.ts';
import type { JsonReport } from '../report/json-schema.ts';
import { version } from '../run.ts';
import { standardInput, Usage, type Words } from './arguments.ts';
import { readSide, readStandardInput } from './files.ts';
import { type Place, post } from './post.ts';
import { gitHub } from './post-github.ts';
import { gitLab } from './post-gitlab.ts';
import { note, passed, print } from './print.ts';

/** Reports that one comment is made of. */
const mostReports = 20;

/** The limits of each config as its report has them. What was held against them is among the findings. */
function budgetsIn({ comparisons }: Review): (path: string) => Budgets {
  const limits = new Map(comparisons.map((one) => [one.path, (one.limits ?? []).flatMap(limitOf)]));
  return (path) => ({ limits: limits.get(path) ?? [], failOn: 'over-budget', waivers: [] });
}

/** Who stated it is not in a report. */
function limitOf({ metric: id, bound, severity, amount }: HeldLimit): readonly Limit[] {
  const metric = metrics.find((one) => one.id === id)?.id;
  if (metric === undefined) return [];
  return [{ metric, bound, severity, amount: { kind: 'absolute', value: amount }, origin: 'default' }];
}

/** Makes the comment of what `diff --format json` computed, and posts it where it is asked to. The verdict was told by who computed it. */
export async function commentCommand(words: Words): Promise<number> {
  if (words.files.length === 0) throw new Usage('comment needs a report: model-cost comment REPORT.json...');
  if (words.files.length > mostReports) throw new Usage(`comment takes at most ${mostReports} reports.`);
  const key = keyOf(words);
  const place = placeOf(words);
  const reports = words.files.map(reportIn);
  const review = reviewOfReports(reports, version);
  const nothing = isEmpty(review);
  const budgetsFor = budgetsIn(review);
  const write = (earlier?: string) =>
    nothing ? resolvedComment(review, key, earlier) : comment(review, { key, budgetsFor }, earlier);
  const code = print(nothing ? 'No model config changed.\n' : `${write()}\n`, words.option('output'));
  if (code !== passed || place === undefined) return code;
  const posted = await post(place, marker(key), commitIn(review.head?.sha), write, !nothing && tellsOfChange(review));
  note(`${posted.sentence}${posted.url === '' ? '' : ` ${posted.url}`}`);
  return passed;
}

/** The head as a commit: a working tree has none, and then nobody knows whether the report is of the newest. */
const commitIn = (sha: string | undefined): string | undefined =>
  sha !== undefined && /^[0-9a-f]{40,64}$/.test(sha) ? sha : undefined;

function keyOf(words: Words): string {
  const key = words.option('comment-key') ?? 'default';
  if (!/^[\w.-]{1,60}$/.test(key))
    throw new Usage('--comment-key may have letters, digits, ".", "_" and "-" only, at most 60.');
  return key;
}

function placeOf(words: Words): Place | undefined {
  const [where, text] = [words.option('post'), words.option('pull-request')];
  const number = text === undefined ? undefined : Number(text);
  if (number !== undefined && !(Number.isInteger(number) && number > 0))
    throw new Usage(`--pull-request is "${text?.slice(0, 60)}", but must be the number of a pull or merge request.`);
  if (where === undefined) return undefined;
  if (where === 'github') return gitHub(number);
  if (where === 'gitlab') return gitLab(number);
  throw new Usage(
    `--post is "${where.slice(0, 60)}", but must be github or gitlab; docs/ci.md has recipes for others.`,
  );
}

function reportIn(word: string): JsonReport {
  const side = word === standardInput ? readStandardInput() : readSide(word);
  if (side.kind === 'refused') throw new Usage(side.reason);
  const reading = readReport(Buffer.from(side.bytes).toString('utf8'));
  if (reading.kind === 'wrong') throw new Usage(`${word} cannot be used: ${reading.reason}`);
  return reading.report;
}
