import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { flopsPage } from '../scripts/flops-page.ts';
import { memoryPage } from '../scripts/memory-page.ts';

// Pages that scripts write from what the engine says today (`npm run generate`).
it.each([
  ['flops', flopsPage],
  ['memory', memoryPage],
])('docs/%s.md is as its script writes it', (name, page) => {
  expect(readFileSync(new URL(`../docs/${name}.md`, import.meta.url), 'utf8')).toBe(page);
});
