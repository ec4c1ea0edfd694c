import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countByBasis, numbersIn, tablesOfFacts } from '../scripts/facts.ts';
import { acceleratorIds, accelerators } from '../src/facts/accelerators.ts';
import { bases, factsOf, type Source } from '../src/facts/basis.ts';
import { kernelsByChip, kernelsByGeneration, kernelsOf } from '../src/facts/kernels.ts';
import { models } from '../src/facts/models.ts';
import { primusVersion } from '../src/facts/primus.ts';

const tables = await tablesOfFacts();

/** Keys of other people's configs, as they publish them: each row, or the whole table, names where it was read. */
const quoted = ['models.ts models', 'primus.ts primusPresets', 'primus.ts primusMaxtext', 'primus.ts primusTorchtitan'];

describe('every constant says what it rests on', () => {
  it('no number stands in src/facts without a unit, a basis and a source', () => {
    const bare = tables
      .filter(({ facts, value }) => facts === undefined && [...numbersIn(value)].length > 0)
      .map(({ file, name }) => `${file} ${name}`);
    expect(bare.filter((name) => !quoted.includes(name))).toEqual([]);
    for (const { source } of models) expect(source.length).toBeGreaterThan(10);
    expect(primusVersion).toMatch(/[0-9a-f]{8}/);
  });

  it.each(
    tables.filter(({ facts }) => facts !== undefined).map((table) => [`${table.file} ${table.name}`, table] as const),
  )('%s: its numbers are its facts', (_, { value, facts = [] }) => {
    expect(new Map(numbersIn(value))).toEqual(new Map(facts.map(([path, fact]) => [path, fact.value])));
  });

  const all = tables.flatMap(({ name, facts = [] }) =>
    facts.map(([path, fact]) => ({ path: `${name}.${path}`, fact })),
  );

  it('each has a basis, a source with a date, and an address wherever the basis is a document', () => {
    expect(all.length).toBeGreaterThan(1000);
    const wrong = all.filter(({ fact: { basis, source, unit } }) => {
      const { title, url, date }: Source = source;
      const documented = ['datasheet', 'benchmark'].includes(basis);
      return (
        unit.length === 0 ||
        !bases.includes(basis) ||
        title.length < 10 ||
        !/^\d{4}-\d\d-\d\d$/.test(date) ||
        (url === undefined ? documented : basis === 'judged' || !/^https:\/\/[\w.-]+\/\S*$/.test(url))
      );
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('rates that nothing here can check are called judged', () => {
    const basisOf = (table: object, path: string) => factsOf(table)?.find(([own]) => own === path)?.[1].basis;
    for (const path of ['tpu-v5e', 'tpu-v5p', 'tpu-v6e', 'tpu-v7'].map((chip) => `${chip}.sustained`))
      expect(basisOf(kernelsByChip, path)).toBe('judged');
    expect(basisOf(kernelsByChip, 'a800-sxm-80gb.collectives.gather.bandwidth')).toBe('judged');
    expect(basisOf(kernelsByChip, 'h800-sxm-80gb.collectives.gather.bandwidth')).toBe('judged');
    expect(basisOf(kernelsByGeneration, 'hopper.sustained')).toBe('fitted');
    expect(basisOf(kernelsByGeneration, 'hopper.gemm.peakShare')).toBe('benchmark');
    expect(basisOf(accelerators, 'h100-sxm-80gb.usable')).toBe('measured');
    expect(basisOf(accelerators, 'h100-sxm-80gb.bandwidth')).toBe('datasheet');
    expect(basisOf(accelerators, 'h100-sxm-80gb.price')).toBe('judged');
  });

  it('what was chosen on rows that it is compared with is called fitted, or judged where those rows are not here', () => {
    const chosen = all.filter(({ path }) =>
      /^(memoryBands|unmeasuredBand|bands)\.|\.reserved\.|ragmentation|takenBlocks/.test(path),
    );
    expect(chosen.length).toBeGreaterThan(25);
    expect(chosen.filter(({ fact }) => !['fitted', 'judged'].includes(fact.basis)).map(({ path }) => path)).toEqual([]);
    const rowsOf = (path: string) => all.find((one) => one.path === path)?.fact.source.title;
    expect(rowsOf('frameworks.transformers.reserved.usual')).toContain('43 training steps');
    expect(rowsOf('frameworks.transformers.reserved.experts')).toContain('43 training steps');
    expect(rowsOf('memoryBands.transformers.usual.width')).toContain('43 training steps');
  });

  it('rates of 8 and 4 bits exist for the chips that have them, and only where some chip asks for them', () => {
    const asks = acceleratorIds.filter((id) => {
      const { fp8, fp4 } = accelerators[id].densePeak;
      return fp8 !== undefined || fp4 !== undefined;
    });
    const tableOf = (id: (typeof acceleratorIds)[number]) =>
      kernelsByChip[id] ?? kernelsByGeneration[accelerators[id].generation];
    for (const id of asks) expect(kernelsOf(accelerators[id]).low, id).not.toBeNull();
    const asked = new Set(asks.map((id) => tableOf(id)));
    const idle = acceleratorIds.filter((id) => tableOf(id).low !== null && !asked.has(tableOf(id)));
    expect(idle).toEqual([]);
  });

  it('docs/mfu.md says how many rest on what (scripts/mfu-page.ts writes it)', async () => {
    const page = readFileSync(new URL('../docs/mfu.md', import.meta.url), 'utf8');
    for (const { file, counts } of await countByBasis())
      expect(page).toContain(`\`facts/${file}\` | ${counts.join(' | ')} |`);
  });
});
