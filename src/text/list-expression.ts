/** More entries than any model has layers. */
const longest = 10_000;

/**
 * A list of whole numbers as Python writes it (`([0]*3+[1]*58)`, `[0]+[1]*26`), computed without executing it; undefined where
 * the text is anything else. Grammar: sum of terms; a term is a list or a sum in parentheses, times a whole number.
 */
export function listOf(text: string): readonly number[] | undefined {
  const tokens = text.slice(0, 2_000).match(/\d{1,6}|[[\]()+*,]|\S/g) ?? [];
  let at = 0;
  const takes = (sign: string): boolean => tokens[at] === sign && ++at > 0;

  const atom = (depth: number): number[] | undefined => {
    if (takes('(')) {
      const inner = depth < 20 ? sum(depth + 1) : undefined;
      return takes(')') ? inner : undefined;
    }
    if (!takes('[')) return undefined;
    const entries: number[] = [];
    while (!takes(']')) {
      const entry = tokens[at++];
      if (entry === undefined || !/^\d+$/.test(entry)) return undefined;
      entries.push(Number(entry));
      if (!takes(',') && tokens[at] !== ']') return undefined;
    }
    return entries;
  };
  const term = (depth: number): number[] | undefined => {
    let list = atom(depth);
    while (list !== undefined && takes('*')) {
      const times = tokens[at++];
      if (times === undefined || !/^\d+$/.test(times) || list.length * Number(times) > longest) return undefined;
      const once: readonly number[] = list;
      list = Array.from({ length: Number(times) }, () => once).flat();
    }
    return list;
  };
  function sum(depth: number): number[] | undefined {
    let list = term(depth);
    while (list !== undefined && takes('+')) {
      const further = term(depth);
      if (further === undefined || list.length + further.length > longest) return undefined;
      list = [...list, ...further];
    }
    return list;
  }

  const list = sum(0);
  return at === tokens.length ? list : undefined;
}
