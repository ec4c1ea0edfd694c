import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { comment } from '../src/report/comment.ts';
import { reviewOf } from './stories.ts';

const folder = new URL('./golden/', import.meta.url);

/** `UPDATE_GOLDEN=1 npm test` writes the comments anew; read the difference before you commit it. */
describe.each(readdirSync(folder))('the story %s', (story) => {
  const file = (name: string) => new URL(`${story}/${name}`, folder);
  const text = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : undefined);

  it('gives the comment that a person has read', () => {
    const [base, head, run] = [text('base.json'), text('head.json'), text('run.yml')];
    const [newRun, policy, newPolicy] = [text('new-run.yml'), text('policy.yml'), text('new-policy.yml')];
    const { review, settings } = reviewOf(
      {
        path: `configs/${story}.json`,
        ...(base === undefined ? {} : { base }),
        ...(head === undefined ? {} : { head }),
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
