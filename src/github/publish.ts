import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setOutput } from '@actions/core';
import type { Review } from '../gate/review.ts';
import { annotations } from '../report/annotations.ts';
import type { Options } from '../report/comment.ts';
import { outputs } from '../report/outputs.ts';
import { summary } from '../report/summary.ts';
import type { Environment } from './event.ts';
import { annotate } from './log.ts';

/** GitHub takes at most 1 MB of outputs for a job and 1 MiB of summary for a step; larger ones are left to the files. */
const longestOutput = 400_000;
const longestSummary = 1_000_000;

/** Outputs, job summary, annotations and the report's files: all that needs no permission. */
export function publish(review: Review, options: Options, environment: Environment, comment: string): void {
  const folder = mkdtempSync(join(environment['RUNNER_TEMP'] ?? tmpdir(), 'model-cost-'));
  const found = outputs(review);
  const whole = summary(review, options);
  const path = join(folder, 'report.json');
  writeFileSync(path, found['report'] ?? '');
  writeFileSync(join(folder, 'report.md'), whole);
  for (const [name, value] of Object.entries({ ...found, 'comment-body': comment }))
    setOutput(name, value.length > longestOutput ? '' : value);
  setOutput('report-path', path);
  const file = environment['GITHUB_STEP_SUMMARY'];
  if (file !== undefined && file !== '' && Buffer.byteLength(whole) <= longestSummary)
    appendFileSync(file, `${whole}\n`);
  for (const annotation of annotations(review)) annotate(annotation);
}
