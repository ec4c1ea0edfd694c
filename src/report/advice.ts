import type { Advice } from '../gate/review.ts';
import { gib, percent } from './format.ts';
import { code } from './markdown.ts';

/** The nearest run that fits in one sentence, or the faster one; `written` marks what stands in a file. */
export function adviceText({ kind, changes, memory, band, mfu, speed, unmeasured }: Advice, written = plainly): string {
  const what = changes.map(({ field, value }) => written(`${field}: ${value}`)).join(', ');
  const never = unmeasured.length === 0 ? '' : `; never measured: ${unmeasured.map(written).join(', ')}`;
  const needs = `${gib(memory)} ±${percent(band, 0)} a GPU${mfu === null ? '' : `, MFU ${percent(mfu)}`}${never}`;
  return kind === 'fits'
    ? `The nearest run that fits: ${what} (${needs}).`
    : `About ${percent(speed - 1, 0)} more tokens per second, within the budget, by the projection: ${what} (${needs}).`;
}

const plainly = (text: string): string => `"${text}"`;

/** The same for a comment. */
export const adviceMarkdown = (advice: Advice): string => adviceText(advice, (text) => code(text, 100));
