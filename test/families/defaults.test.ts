import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classDefaults, wholeDefaults } from '../../src/families/defaults.ts';
import { findWhole } from '../../src/families/multimodal.ts';
import { defaultsFor, familyNames, findFamily } from '../../src/families/registry.ts';
import { encoders } from '../../src/families/towers.ts';

const src = new URL('../../src/', import.meta.url);
const code = ['families/', 'read/', 'read/formats/']
  .flatMap((folder) =>
    readdirSync(new URL(folder, src))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(new URL(folder + name, src), 'utf8')),
  )
  .join('\n');
const approximate = readFileSync(new URL('../oracle/multimodal.json', import.meta.url), 'utf8').replaceAll(
  '": "',
  '":"',
);
/** Keys that stand in the code, and endings of keys that it puts together. */
const literals = new Set([...code.matchAll(/'([^'\n]+)'/g)].map(([, key = '']) => key));
const endings = [...code.matchAll(/`\$\{\w+\}(_\w+)`/g)].map(([, ending = '']) => ending);
const isRead = (key: string) => literals.has(key) || endings.some((ending) => key.endsWith(ending));

describe('defaults of Transformers classes', () => {
  it('has no key that no line of code reads', () => {
    const rows = [
      ...Object.values(classDefaults),
      ...Object.values(wholeDefaults).flatMap(({ own, parts }) => [own, ...Object.values(parts)]),
    ];
    expect(rows.flatMap(Object.keys).filter((key) => !isRead(key))).toEqual([]);
  });

  it('has no row that no type reads', () => {
    const reached = new Set(familyNames.map((type) => defaultsFor(type, findFamily(type))));
    const inside = new Set(
      Object.values(wholeDefaults).flatMap(({ parts }) => Object.values(parts).map((part) => part['model_type'])),
    );
    // A text model without a row is read by its keys, and takes the rest from its class.
    const named = (type: string) => approximate.includes(`"model_type":"${type}"`);
    const unread = Object.entries(classDefaults).filter(
      ([type, row]) => !reached.has(row) && !inside.has(type) && !Object.hasOwn(encoders, type) && !named(type),
    );
    expect(unread.map(([type]) => type)).toEqual([]);
    expect(Object.keys(wholeDefaults).filter((type) => findWhole(type) === undefined)).toEqual([]);
  });
});
