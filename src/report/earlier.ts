import { z } from 'zod';
import type { Finding, Review } from '../gate/review.ts';
import { plain } from './markdown.ts';

/**
 * What our comment remembers of itself, in a line that nobody sees: the problems that are open and those that were resolved.
 * Whoever may edit the comment may edit this line, so it is read like any foreign text.
 */
export type Memory = { readonly open: readonly Said[]; readonly resolved: readonly Said[] };

/** A problem as it was told; `at` is the commit without it. */
export type Said = { readonly path: string; readonly about: string; readonly message: string; readonly at?: string };

const most = 10;
const said = z.object({
  path: z.string().max(400),
  about: z.string().max(60),
  message: z.string().max(300),
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

function remembered(body: string | undefined): Memory {
  const state = /^<!-- [^\n]*-->\r?\n<!-- model-cost-gate state=([\w.!~*'()%]{1,60000}) -->/.exec(body ?? '')?.[1];
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
    .map((finding) => ({ ...keyOf(finding), message: plain(finding.message, 200) }));
  // What cannot be read is not resolved, and what is still told is not either.
  const standing = ({ path, about }: Said) =>
    findings.some((finding) => {
      const key = keyOf(finding);
      return key.path === path && (finding.code === 'unreadable' || key.about === about);
    });
  const before = remembered(earlier);
  const at = review.head?.sha;
  const gone = before.open
    .filter((one) => !standing(one))
    .map((one) => ({ ...one, ...(at === undefined ? {} : { at }) }));
  return { open, resolved: [...before.resolved.filter((one) => !standing(one)), ...gone].slice(-most) };
}

const keyOf = ({ path, metric, code }: Finding) => ({ path: plain(path, 200), about: plain(metric ?? code, 60) });
