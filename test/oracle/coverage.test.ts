import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { coveragePage } from '../../scripts/coverage.ts';

it('docs/coverage.md says how our counts stand against the official modelling code', () => {
  const page = coveragePage();
  expect(readFileSync(new URL('../../docs/coverage.md', import.meta.url), 'utf8')).toBe(page);
  // Families that were exact stay so.
  expect(page.match(/\| exact \|/g)?.length ?? 0).toBeGreaterThanOrEqual(65);
});
