import { appendFileSync, closeSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setOutput } from '@actions/core';
import type { Review } from '../gate/review.ts';
import { annotations } from '../report/annotations.ts';
import type { Options } from '../report/comment.ts';
import { jsonPieces } from '../report/json.ts';
import { outputs } from '../report/outputs.ts';
import { summary } from '../report/summary.ts';
import type { Environment } from './event.ts';
import { annotate, log } from './log.ts';

/** GitHub takes at most 1 MB of outputs for a job and 1 MiB of summary for a step; larger ones are left to the files. */
const longestOutput = 400_000;
const longestSummary = 1_000_000;

/** Outputs, job summary, annotations and the report's files: all that needs no permission. */
export function publish(review: Review, options: Options, environment: Environment, comment: string): void {
  const folder = mkdtempSync(join(environment['RUNNER_TEMP'] ?? tmpdir(), 'model-cost-'));
  const whole = summary(review, options);
  const path = join(folder, 'report.json');
  const report = writeReport(review, path);
  writeFileSync(join(folder, 'report.md'), whole);
  for (const [name, value] of Object.entries({ ...outputs(review), report, 'comment-body': comment })) {
    const fits = value.length <= longestOutput;
    if (!fits)
      log(`The output ${name} is left empty, since it is too long for GitHub; the file of report-path has it.`);
    setOutput(name, fits ? value : '');
  }
  setOutput('report-path', path);
  setOutput('report-folder', folder);
  const file = environment['GITHUB_STEP_SUMMARY'];
  if (file !== undefined && file !== '' && Buffer.byteLength(whole) <= longestSummary)
    appendFileSync(file, `${whole}\n`);
  const shown = annotations(review);
  for (const annotation of shown) annotate(annotation);
  const rest = review.verdict.findings.length - shown.length;
  if (rest > 0) log(`${rest} more findings have no annotation, since GitHub shows ten; the job summary has them.`);
}

/** The report to its file, and as one text where that is short enough to be an output; one character too long where it is not. */
function writeReport(review: Review, path: string): string {
  let text = '';
  const file = openSync(path, 'w');
  for (const piece of jsonPieces(review)) {
    writeSync(file, piece);
    if (text.length <= longestOutput) text += piece;
  }
  closeSync(file);
  return text.slice(0, longestOutput + 1);
}
