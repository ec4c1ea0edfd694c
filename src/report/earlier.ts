import { z } from 'zod';
import { findMetric } from '../gate/metrics.ts';
import type { Finding, FindingCode, Review } from '../gate/review.ts';
import { plain } from './markdown.ts';

/**
 * What our comment remembers of itself, in a line that nobody sees: the problems that are open and those that were resolved.
 * Whoever writes with our identity may write this line, so it holds codes and no words, and every word is made anew.
 */
export type Memory = { readonly open: readonly Said[]; readonly resolved: readonly Said[] };

/** A problem as it was told; `at` is the commit without it. */
export type Said = {
  readonly path: string;
  readonly code: FindingCode;
  readonly metric?: string;
  readonly at?: string;
};

const most = 5;
const longestPath = 100;

/** What was wrong, said of what is wrong no more; `metric` stands for the metric's own name. */
const words: Readonly<Record<FindingCode, string>> = {
  'memory-over-budget': 'metric was over the budget.',
  'memory-worse': 'metric was over the budget.',
  'memory-improved': 'metric was over the budget.',
  'memory-already-over': 'metric was over the budget.',
  'memory-unknown': 'metric was not known.',
  'over-limit': 'metric was beyond its limit.',
  'limit-worse': 'metric was beyond its limit.',
  'limit-improved': 'metric was beyond its limit.',
  'limit-already-over': 'metric was beyond its limit.',
  'limit-unknown': 'metric was not known.',
  'grows-too-much': 'metric grew by more than one change may.',
  'shrinks-too-much': 'metric shrank by more than one change may.',
  increase: 'metric grew.',
  'cannot-start': 'its run could not start.',
  'not-merged': 'what it costs merged with the base branch was not looked at.',
  unreadable: 'it could not be read.',
  'not-looked-at': 'it was among what was not looked at.',
  'budget-above-card': "its budget was above the accelerator's usable memory.",
  approximate: 'its counts were approximate.',
  'policy-broken': 'it left rules that cannot be followed.',
};

export function pastProblem({ code, metric }: Said): string {
  const limited = metric ?? (code.startsWith('memory-') ? 'memory' : '');
  const sentence = words[code].replace('metric', findMetric(limited)?.label ?? 'what is limited');
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

const said = z.object({
  path: z.string().refine((path) => bytes(path) <= longestPath),
  code: z.custom<FindingCode>((code) => typeof code === 'string' && Object.hasOwn(words, code)),
  metric: z
    .string()
    .refine((id) => findMetric(id) !== undefined)
    .exactOptional(),
  at: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/)
    .exactOptional(),
});
const memory = z.object({ open: z.array(said).max(most), resolved: z.array(said).max(most) });
const nothing: Memory = { open: [], resolved: [] };

/** The second line of our comment; empty where there is nothing to remember. */
export function memoryLine(remembered: Memory): string {
  if (remembered.open.length === 0 && remembered.resolved.length === 0) return '';
  return `\n<!-- model-cost-gate state=${encodeURIComponent(JSON.stringify(remembered)).replaceAll('-', '%2D')} -->`;
}

/** Our first lines, the heading under them, and our footer: what else of our identity begins with a marker has not all of them. */
const start =
  /^<!-- [^\n]*-->\r?\n(?:<!-- model-cost-gate state=([\w.!~*'()%]{1,8000}) -->\r?\n)?\r?\n## (?:\S+ )?Model cost: /;
const footer = /^<sub>(?:.* · )?model-cost-gate [\w.+-]+<\/sub>\r?$/m;

/** Whether a comment that begins with our marker is one that we wrote, from its heading to its footer. */
export const isWhole = (body: string): boolean => start.test(body) && footer.test(body);

function remembered(body = ''): Memory {
  const state = isWhole(body) ? start.exec(body)?.[1] : undefined;
  if (state === undefined) return nothing;
  try {
    return memory.parse(JSON.parse(decodeURIComponent(state)));
  } catch {
    return nothing;
  }
}

/** The problems of a review, and which of the earlier comment's are gone: a second run over the same commit says the same. */
export function remember(review: Review, earlier: string | undefined): Memory {
  const { findings } = review.verdict;
  const open = findings
    .filter(({ severity }) => severity !== 'notice')
    .slice(0, most)
    .map(
      ({ path, code, metric }): Said => ({
        path: nameOf(path),
        code,
        ...(metric === undefined ? {} : { metric }),
      }),
    );
  // What cannot be read, or may be among what was not looked at, is not resolved, and what is still told is not either.
  const standing = (one: Said) =>
    findings.some(
      (finding) =>
        finding.code === 'not-looked-at' ||
        (nameOf(finding.path) === one.path && (finding.code === 'unreadable' || aboutOf(finding) === aboutOf(one))),
    );
  const before = remembered(earlier);
  const at = review.head?.sha;
  const gone = before.open
    .filter((one) => !standing(one))
    .map((one) => ({ ...one, ...(at === undefined ? {} : { at }) }));
  return { open, resolved: [...before.resolved.filter((one) => !standing(one)), ...gone].slice(-most) };
}

const aboutOf = ({ metric, code }: Pick<Finding, 'metric' | 'code'>): string => metric ?? code;

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** As much of a path as is remembered: a cut one is told by its beginning. */
function nameOf(path: string): string {
  let name = '';
  for (const letter of plain(path, longestPath)) {
    if (bytes(name + letter) > longestPath) break;
    name += letter;
  }
  return name;
}
