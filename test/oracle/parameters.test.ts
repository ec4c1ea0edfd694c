import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { published } from '../../scripts/published.ts';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { readConfig } from '../../src/read/config.ts';

const count = (bytes: Uint8Array) => {
  const reading = readConfig(bytes, 'config.json');
  if (reading.kind === 'unread') throw new Error(reading.problems[0]?.message);
  return {
    ...countParameters(reading.architecture, expand(reading.architecture)),
    family: reading.architecture.family,
  };
};

describe('published models, to the last parameter', () => {
  it.each(published)('$model', ({ config, total, active, mtp }) => {
    const counted = count(Buffer.from(JSON.stringify(config)));
    expect(counted.exact).toBe(true);
    expect(counted.total).toBe(total);
    if (active !== undefined) expect(counted.active).toBe(active);
    if (mtp !== undefined) expect(counted.mtp).toBe(mtp);
    expect(Object.values(counted.components.lines).reduce((sum, amount) => sum + amount, 0)).toBe(total);
    expect(Object.values(counted.parts.lines).reduce((sum, amount) => sum + amount, 0)).toBe(total);
  });
});

describe('as their own code builds them', () => {
  const built = (
    name: string,
  ): readonly { model_type: string; variant: string; config: object; total: number; mtp?: number }[] =>
    JSON.parse(readFileSync(new URL(`./${name}.json`, import.meta.url), 'utf8'));

  it.each(built('encoders'))('$model_type: $variant (transformers 5.18.0)', ({ config, total }) => {
    expect(count(Buffer.from(JSON.stringify(config)))).toMatchObject({ exact: true, total });
  });

  it.each(built('remote'))("$model_type: $variant (its authors' code)", ({ config, total, mtp = 0 }) => {
    expect(count(Buffer.from(JSON.stringify(config)))).toMatchObject({ exact: true, total, mtp });
  });

  it.each(built('linear'))('$model_type: $variant (flash-linear-attention 0.5.2)', ({ config, total }) => {
    expect(count(Buffer.from(JSON.stringify(config)))).toMatchObject({ exact: true, total });
  });
});

const shared = new URL('../../../shared/data/configs/', import.meta.url);
const present = existsSync(new URL('truth.json', shared));
if (!present) console.log('skipped: the real config files stand beside the project only where it is developed');

describe.skipIf(!present)('real config files as they are', () => {
  const truth: {
    file: string;
    model_type: string;
    total_params: number | null;
    active_params_per_token: number | null;
  }[] = present ? JSON.parse(readFileSync(new URL('truth.json', shared), 'utf8')) : [];
  const exact = truth.filter(({ total_params }) => total_params !== null);

  it('counts are exact, or said to be approximate', () => {
    const wrong: string[] = [];
    let right = 0;
    for (const { file, total_params } of exact) {
      const reading = readConfig(readFileSync(new URL(file, shared)), file);
      if (reading.kind === 'unread') continue;
      const counted = countParameters(reading.architecture, expand(reading.architecture));
      right += Number(counted.exact && counted.total === total_params);
      if (counted.exact && counted.total !== total_params) wrong.push(`${file}: ${counted.total} for ${total_params}`);
    }
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThanOrEqual(167);
  });
});
