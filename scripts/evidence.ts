import { readFileSync } from 'node:fs';
import { variantOf } from '../src/families/variants.ts';
import { isDictionary, own } from '../src/text/fields.ts';
import { published } from './published.ts';

/** Which types the oracle has a count of that is not ours, by what made it. */

const oracle = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../test/oracle/${name}.json`, import.meta.url), 'utf8'));

/** Every `model_type` in some configs, those of their parts too; a variant under its row's name. */
function typesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(typesIn);
  if (!isDictionary(value)) return [];
  const stated = own(value, 'model_type');
  const named = typeof stated === 'string' ? [variantOf(value, stated) ?? stated] : [];
  return [...named, ...Object.values(value).flatMap(typesIn)];
}

const configs = (name: string): unknown => {
  const rows = oracle(name);
  return Array.isArray(rows) ? rows.map((row: unknown) => (isDictionary(row) ? own(row, 'config') : row)) : rows;
};

/** By what a count was made: the types that have one. */
export const counted = {
  'official-code': new Set(
    ['transformers', 'encoders', 'multimodal', 'heads'].flatMap((name) => typesIn(configs(name))),
  ),
  'authors-code': new Set(['linear', 'remote'].flatMap((name) => typesIn(configs(name)))),
  published: new Set(typesIn(published.map(({ config }) => config))),
};
