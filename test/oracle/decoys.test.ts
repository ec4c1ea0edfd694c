import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countParameters } from '../../src/cost/count/parameters.ts';
import { expand } from '../../src/cost/expand/model.ts';
import { findComposite } from '../../src/families/multimodal.ts';
import { familyNames, findFamily, readerFor } from '../../src/families/registry.ts';
import { encoders } from '../../src/families/towers.ts';
import { readConfig } from '../../src/read/config.ts';

/** Keys that the class of a part of the config (`at`; the whole where empty) does not read. */
type Row = {
  readonly type: string;
  readonly at: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly ignored: string;
};

const rows: readonly Row[] = JSON.parse(readFileSync(new URL('./decoys.json', import.meta.url), 'utf8'));

const count = (config: unknown): number | string | undefined => {
  const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  if (reading.kind === 'unread') return reading.problems[0]?.message;
  return countParameters(reading.architecture, expand(reading.architecture)).total;
};

const known = (type: string) =>
  findFamily(type) !== undefined || findComposite(type) !== undefined || Object.hasOwn(encoders, type);

describe('keys that the official class does not read', () => {
  // A type without a row is read by whatever names it has, and its count is said to be approximate.
  const ours = rows.filter(({ type }) => known(type));

  it.each(ours.map((row) => [row.type, row.at, row] as const))('%s %s', (_type, at, { config, ignored }) => {
    const total = count(config);
    expect(total).toBeTypeOf('number');
    const moved = ignored.split(' ').filter((key) => {
      const decoy = at === '' ? { ...config, [key]: 3 } : { ...config, [at]: { ...Object(config[at]), [key]: 3 } };
      return count(decoy) !== total;
    });
    expect(moved).toEqual([]);
  });

  it('are enough', () => {
    expect(ours.flatMap(({ ignored }) => ignored.split(' ')).length).toBeGreaterThan(29_000);
  });

  it.each(familyNames.filter((type) => findFamily(type) !== undefined))(
    '%s has a say in which keys it reads',
    (type) => {
      expect(readerFor(type, findFamily(type))).toBeDefined();
    },
  );
});

describe('an alias of another family', () => {
  const problems = (config: object) =>
    readConfig(Buffer.from(JSON.stringify(config, undefined, 1)), 'config.json').problems.map(
      ({ severity, message, line }) => ({
        severity,
        message,
        line,
      }),
    );

  it('is named, with its line and what the class reads', () => {
    expect(count({ model_type: 'llama', n_layer: 1 })).toBe(6_738_415_616);
    expect(problems({ model_type: 'llama', n_layer: 1 })).toEqual([
      {
        severity: 'warning',
        message:
          'n_layer is not a key of llama; its class reads num_hidden_layers, which is not stated here, so 32 is assumed.',
        line: 3,
      },
    ]);
  });

  it('is ignored in a part too', () => {
    const [plain, decoy] = [{}, { n_layer: 1 }].map((more) => ({
      model_type: 'llava',
      text_config: { model_type: 'llama', ...more },
    }));
    expect(count(decoy)).toBe(count(plain));
    expect(problems({ ...decoy }).map(({ message }) => message)).toEqual([
      'text_config.n_layer is not a key of llama; its class reads num_hidden_layers, which is not stated here, so 32 is assumed.',
    ]);
  });

  it('is not mentioned where the key of the class stands beside it, or says the same', () => {
    expect(problems({ model_type: 'llama', n_layer: 1, num_hidden_layers: 4 })).toEqual([]);
    expect(problems({ model_type: 'llama', n_layer: 32 })).toEqual([]);
  });

  it('counts in a file of no known family, which is approximate', () => {
    const of = (layers: number) =>
      count({ model_type: 'my_model', d_model: 64, n_head: 4, n_layer: layers, vocab_size: 100 });
    expect(of(2)).not.toBe(of(4));
  });

  it.each([
    ['chatglm', { hidden_size: 64, num_layers: 2, num_attention_heads: 4, padded_vocab_size: 100 }, 'n_layer'],
    ['solar', { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100 }, 'd_ff'],
  ])('is ignored by %s, whose own code is in no release of Transformers', (model_type, sizes, key) => {
    expect(count({ model_type, ...sizes })).toBeTypeOf('number');
    expect(count({ model_type, ...sizes, [key]: 3 })).toBe(count({ model_type, ...sizes }));
  });
});
