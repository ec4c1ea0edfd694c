import type { Review } from '../gate/review.ts';
import { type Options, sections } from './comment.ts';
import { fitted } from './section.ts';

/** GitHub takes 1 MiB of job summary for each step, in bytes; foreign text may need up to four for each character. */
const longestSummary = 260_000;

/** As many configs as are looked at. */
const mostRows = 2_000;

/** What holds the rest where even the summary is too short. */
const elsewhere = 'the file of the output `report-path`';

/** The job summary: the same report as the comment, with room for all of it. */
export const summary = (review: Review, options: Options): string =>
  fitted('', sections(review, options, mostRows, elsewhere), longestSummary, elsewhere).trimStart();
