/**
 * The known word that is nearest to a mistyped one: by Levenshtein distance, at most a third of its length, else the one that it
 * abbreviates, else one that it is a part of or that is a part of it; or undefined.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase().slice(0, 100);
  let best: string | undefined;
  let least = mostChanges(wanted) + 1;
  for (const candidate of known) {
    const apart = distance(wanted, candidate.toLowerCase());
    if (apart < least) [best, least] = [candidate, apart];
  }
  return best ?? known.find((candidate) => isShort(wanted, candidate.toLowerCase())) ?? related(wanted, known);
}

/** The known words that are as near as `nearest` allows, nearest first, as many as asked for. */
export function nearestOf(word: string, known: readonly string[], count: number): readonly string[] {
  const wanted = word.toLowerCase().slice(0, 100);
  return known
    .map((candidate) => ({ candidate, apart: distance(wanted, candidate.toLowerCase()) }))
    .filter(({ apart }) => apart <= mostChanges(wanted))
    .sort((a, b) => a.apart - b.apart)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

const mostChanges = (wanted: string) => Math.max(2, Math.floor(wanted.length / 3));

/** Shorter words are parts of too many. */
const shortest = 3;

/** `seq_len` for `sequence_length`: each word begins one of the other's, in their order. */
function isShort(wanted: string, candidate: string): boolean {
  const [words, others] = [wanted.split(/[_-]/), candidate.split(/[_-]/)];
  return (
    words.length === others.length &&
    words.every((word, index) => word.length >= shortest && others[index]?.startsWith(word) === true)
  );
}

function related(wanted: string, known: readonly string[]): string | undefined {
  const parts = known.filter((candidate) => {
    const other = candidate.toLowerCase();
    const [short, long] = wanted.length < other.length ? [wanted, other] : [other, wanted];
    return short.length >= shortest && long.includes(short);
  });
  return parts.sort((a, b) => Math.abs(a.length - wanted.length) - Math.abs(b.length - wanted.length))[0];
}

/** How many letters differ (Levenshtein). */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known names that go on where a word ends: `h100` for `h100-sxm-80gb`. */
export function beginningWith(word: string, known: readonly string[]): readonly string[] {
  const wanted = word.toLowerCase();
  return wanted === '' ? [] : known.filter((candidate) => candidate.toLowerCase().startsWith(`${wanted}-`));
}

/** ` Did you mean "x"?`, or nothing; a word that several names begin with has them all. */
export const didYouMean = (word: string, known: readonly string[]): string => {
  const family = beginningWith(word, known).map((name) => `"${name}"`);
  if (family.length > 0)
    return ` Did you mean ${[family.slice(0, -1).join(', '), family.at(-1)].filter(Boolean).join(' or ')}?`;
  const found = nearest(word, known);
  return found === undefined ? '' : ` Did you mean "${found}"?`;
};
