import { expect, it } from 'vitest';
import { familyTables } from '../../src/families/registry.ts';

it('a family stands in one table only, so that no row hides another', () => {
  const names = familyTables.flatMap((table) => Object.keys(table));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
