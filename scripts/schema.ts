// Writes the JSON Schemas of what we define ourselves: all JSON that is printed, the run description and the policy file.
//   node scripts/node24.mjs scripts/schema.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { historySchema } from '../src/report/history-schema.ts';
import { jsonSchema } from '../src/report/json-schema.ts';
import { listSchema, mfuSchema, planSchema } from '../src/report/printed-schema.ts';
import { policySchema } from '../src/settings/policy-schema.ts';
import { runSchema } from '../src/setup/description.ts';

/** File name and text of each schema. */
export const schemas: Readonly<Record<string, string>> = {
  'report.schema.json': write(z.toJSONSchema(jsonSchema()), 'The JSON report of Model Cost Gate, version 1'),
  'history.schema.json': write(z.toJSONSchema(historySchema), 'What model-cost history --format json prints'),
  'mfu.schema.json': write(z.toJSONSchema(mfuSchema), 'What model-cost mfu --format json prints'),
  'plan.schema.json': write(z.toJSONSchema(planSchema), 'What model-cost plan --format json prints'),
  'list.schema.json': write(z.toJSONSchema(listSchema), 'What model-cost list --format json prints'),
  'policy.schema.json': write(z.toJSONSchema(policySchema(), { io: 'input' }), 'A policy file of Model Cost Gate'),
  'run.schema.json': write(z.toJSONSchema(runSchema(), { io: 'input' }), 'A run description of Model Cost Gate'),
};

function write(schema: object, title: string): string {
  return `${JSON.stringify({ ...schema, title }, null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  const folder = new URL('../schema/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(schemas)) writeFileSync(new URL(name, folder), text);
}
