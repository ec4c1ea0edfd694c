import type { Chart } from './charts.ts';
import { details } from './markdown.ts';
import { inMermaid } from './mermaid.ts';

/** A piece of a report, for all its forms: markdown of ours, and a chart. */
export type Section = {
  /** Less important sections go first when room runs out. */
  readonly importance: number;
  readonly body: string;
  readonly name: string;
  readonly chart?: Chart;
  /** The summary of the fold that it stands in, with those beside it that name the same one. */
  readonly within?: string;
};

/**
 * The sections that fit, in their order, as markdown; what does not is dropped whole, the least important first, and said.
 *
 * @param elsewhere what has the rest
 */
export function fitted(first: string, all: readonly Section[], longest: number, elsewhere: string): string {
  const texts = new Map(all.map((section) => [section, markdownOf(section)]));
  const dropped = new Set<Section>();
  const note = () =>
    dropped.size === 0
      ? []
      : [
          `${dropped.size} ${dropped.size === 1 ? 'section was' : 'sections were'} left out to fit GitHub's limit; ${elsewhere} has the whole report.`,
        ];
  const write = () => {
    const kept = groups(all.filter((section) => !dropped.has(section))).map(({ within, members }) => {
      const body = members.map((section) => texts.get(section) ?? '').join('\n\n');
      return within === undefined ? body : details(within, body);
    });
    return [first, ...kept, ...note()].join('\n\n');
  };
  for (const section of [...all].sort((a, b) => a.importance - b.importance)) {
    if (write().length <= longest) break;
    dropped.add(section);
  }
  return write();
}

const markdownOf = ({ body, chart }: Section): string =>
  [...(body === '' ? [] : [body]), ...(chart === undefined ? [] : [inMermaid(chart)])].join('\n\n');

type Group = { readonly within: string | undefined; readonly members: readonly Section[] };

/** Sections in their order, those that stand beside each other within one fold together. */
export function groups(sections: readonly Section[]): readonly Group[] {
  const found: { readonly within: string | undefined; readonly members: Section[] }[] = [];
  for (const section of sections) {
    const last = found.at(-1);
    if (last !== undefined && section.within !== undefined && last.within === section.within)
      last.members.push(section);
    else found.push({ within: section.within, members: [section] });
  }
  return found;
}
