import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { comment } from '../src/report/comment.ts';
import { config } from './states.ts';
import { type Pair, reviewOf } from './stories.ts';

const folder = new URL('./golden/', import.meta.url);

/** Stories of several configs say what each side changes of the small Llama of the tests. */
type Several = readonly {
  readonly path: string;
  readonly previousPath?: string;
  readonly base?: Readonly<Record<string, unknown>>;
  readonly head?: Readonly<Record<string, unknown>>;
}[];

const pairsOf = (several: Several): readonly Pair[] =>
  several.map(({ base, head, ...paths }) => ({
    ...paths,
    ...(base === undefined ? {} : { base: config(base) }),
    ...(head === undefined ? {} : { head: config(head) }),
  }));

/** `UPDATE_GOLDEN=1 npm test` writes the comments anew; read the difference before you commit it. */
describe.each(readdirSync(folder))('the story %s', (story) => {
  const file = (name: string) => new URL(`${story}/${name}`, folder);
  const text = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : undefined);

  it('gives the comment that a person has read', () => {
    const [base, head, run] = [text('base.json'), text('head.json'), text('run.yml')];
    const [newRun, policy, newPolicy] = [text('new-run.yml'), text('policy.yml'), text('new-policy.yml')];
    const several = text('configs.json');
    const { review, settings } = reviewOf(
      {
        path: `configs/${story}.json`,
        ...(base === undefined ? {} : { base }),
        ...(head === undefined ? {} : { head }),
        ...(several === undefined ? {} : { pairs: pairsOf(JSON.parse(several)) }),
      },
      {},
      {
        ...(run === undefined ? {} : { run }),
        ...(newRun === undefined ? {} : { newRun }),
        ...(policy === undefined ? {} : { policy }),
        ...(newPolicy === undefined ? {} : { newPolicy }),
      },
    );
    const words = `${comment(review, { key: 'default', budgetsFor: settings.budgetsFor })}\n`;
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file('comment.md'), words);
    expect(words).toBe(text('comment.md'));
  });
});
