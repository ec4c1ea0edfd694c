import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { schemas } from '../scripts/schema.ts';
import { jsonReport } from '../src/report/json.ts';
import { jsonSchema } from '../src/report/json-schema.ts';
import { config } from './states.ts';
import { reviewOf } from './stories.ts';

it.each(Object.entries(schemas))('schema/%s is what the zod schema gives', (name, text) => {
  expect(readFileSync(new URL(`../schema/${name}`, import.meta.url), 'utf8')).toBe(text);
});

it('a report is what its schema says, an unreadable one too', () => {
  for (const head of [config({ num_hidden_layers: 16 }), config({ hidden_size: 'wide' })]) {
    const report = JSON.parse(JSON.stringify(jsonReport(reviewOf({ base: config(), head }).review)));
    expect(jsonSchema().strict().safeParse(report).error).toBeUndefined();
  }
});
