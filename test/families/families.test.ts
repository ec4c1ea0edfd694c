import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { published } from '../../scripts/published.ts';
import { familyNames, familyTables } from '../../src/families/registry.ts';
import { sameAs } from '../../src/families/text-models.ts';

it('a family stands in one table only, so that no row hides another', () => {
  const names = [...familyTables, sameAs].flatMap((table) => Object.keys(table));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

/** Every `model_type` in some configs, those of their parts too. */
function typesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'model_type' in value && typeof value.model_type === 'string' ? [value.model_type] : [];
  return [...own, ...Object.values(value).flatMap(typesIn)];
}

/** Types of remote code without a count in test/oracle; one that gets a count leaves this list, and none is added. */
const withoutCount = [
  ...['aquila2', 'bailing_hybrid', 'btlm', 'deci', 'exaone', 'inkling_model', 'mimo_v2', 'orion', 'skywork', 'solar'],
  'step3p5_flash',
];

it('every other family is held against a count that is not ours', () => {
  const built = ['transformers', 'encoders', 'linear', 'remote', 'multimodal'].map((name): unknown =>
    JSON.parse(readFileSync(new URL(`../oracle/${name}.json`, import.meta.url), 'utf8')),
  );
  const counted = new Set(typesIn([built, published.map(({ config }) => config)]));
  expect(familyNames.filter((name) => !counted.has(name))).toEqual(withoutCount);
});
