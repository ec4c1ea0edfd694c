import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classDefaults, compositeDefaults } from '../../src/families/defaults.ts';
import { findComposite } from '../../src/families/multimodal.ts';
import { defaultsFor, familyNames, findFamily } from '../../src/families/registry.ts';
import { encoders } from '../../src/families/towers.ts';
import { readConfig } from '../../src/read/config.ts';

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
const endings = [...code.matchAll(/`\$\{[\w.]+\}(_\w+)`/g)].map(([, ending = '']) => ending);
const isRead = (key: string) => literals.has(key) || endings.some((ending) => key.endsWith(ending));

describe('defaults of Transformers classes', () => {
  it('has no key that no line of code reads', () => {
    const rows = [
      ...Object.values(classDefaults),
      ...Object.values(compositeDefaults).flatMap(({ own, parts }) => [own, ...Object.values(parts)]),
    ];
    expect(rows.flatMap(Object.keys).filter((key) => !isRead(key))).toEqual([]);
  });

  it('has no row that no type reads', () => {
    const reached = new Set(familyNames.map((type) => defaultsFor(type, findFamily(type))));
    const inside = new Set(
      Object.values(compositeDefaults).flatMap(({ parts }) => Object.values(parts).map((part) => part['model_type'])),
    );
    // A text model without a row is read by its keys, and takes the rest from its class.
    const named = (type: string) => approximate.includes(`"model_type":"${type}"`);
    const unread = Object.entries(classDefaults).filter(
      ([type, row]) => !reached.has(row) && !inside.has(type) && !Object.hasOwn(encoders, type) && !named(type),
    );
    expect(unread.map(([type]) => type)).toEqual([]);
    expect(Object.keys(compositeDefaults).filter((type) => findComposite(type) === undefined)).toEqual([]);
  });
});

describe('what a config leaves out', () => {
  const assumed = (config: object) => {
    const reading = readConfig(Buffer.from(JSON.stringify(config)), 'config.json');
    return reading.kind === 'read' ? reading.assumptions.map(({ field, value }) => `${field} ${value}`) : [];
  };
  const sizes = { hidden_size: 64, num_hidden_layers: 4, num_attention_heads: 4, vocab_size: 256 };

  it('is listed where code that comes with the checkpoint decides it', () => {
    const arctic = {
      model_type: 'arctic',
      ...sizes,
      intermediate_size: 128,
      num_local_experts: 4,
      num_experts_per_tok: 2,
    };
    expect(assumed(arctic)).toContain('moe_layer_frequency 2');
    expect(assumed({ ...arctic, moe_layer_frequency: 1 }).join()).not.toContain('moe_layer_frequency');
  });

  it('is listed where the class says it in passing', () => {
    expect(assumed({ model_type: 'rwkv7', ...sizes })).toEqual(
      expect.arrayContaining(['decay_low_rank_dim 64', 'gate_low_rank_dim 128', 'head_dim 64', 'hidden_ratio 4']),
    );
    expect(assumed({ model_type: 'cohere2', ...sizes })).toContain('sliding_window_pattern 4');
  });

  it('is listed for the parts of a model by their path', () => {
    const mamba = { d_model: 64, n_layer: 2, vocab_size: 256, ssm_cfg: { layer: 'Mamba2' } };
    expect(assumed(mamba)).toEqual(expect.arrayContaining(['ssm_cfg.headdim 64', 'ssm_cfg.d_state 128']));
  });
});

describe('defaults inside rows', () => {
  const rows = readdirSync(new URL('families/', src)).map((name) => ({
    name,
    text: readFileSync(new URL(`families/${name}`, src), 'utf8'),
  }));
  /** A number, a switch or a list that stands where a config states nothing: nobody would hear of it. None of something is no guess. */
  const key = String.raw`(?:\[[^\]]*\]|'[^']*'|\w+)`;
  const literal = String.raw`(?:-?\d[\d._]*|true|false)`;
  const silent = [
    new RegExp(String.raw`\.\w+Or\(${key}, ${literal}\b(?! [-+*/])`, 'g'),
    new RegExp(
      String.raw`(?:fields|part|outer|own|config|nested|changes)\.\w+\([^()]*\)(?:\?\.(?:value|length))? \?\? (?:(?!0\b)${literal}\b(?! [-+*/])|\[\d)`,
      'g',
    ),
  ];

  it('finds a literal that stands for an absent key', () => {
    const found = (text: string) => silent.some((one) => text.match(one) !== null);
    expect(found("fields.integerOr('mamba_n_heads', 128, 1)")).toBe(true);
    expect(found("part.booleanOr(['a', 'b'], true)")).toBe(true);
    expect(found("fields.list('layers_block_type')?.length ?? 54")).toBe(true);
    expect(found("fields.optionalInteger('top_k') ?? 6")).toBe(true);
    expect(found("fields.list('block_types') ?? [1, 2]")).toBe(true);
    expect(found("fields.integerOr('n_inner', 4 * D)")).toBe(false);
    expect(found("fields.list('mlp_only_layers') ?? []")).toBe(false);
    expect(found("fields.optionalInteger('intermediate_size') ?? 4 * D")).toBe(false);
  });

  it('has none: they are the class defaults, or a row says them as data, and both are listed', () => {
    expect(
      rows.flatMap(({ name, text }) =>
        silent.flatMap((one) => (text.match(one) ?? []).map((hit) => `${name}: ${hit}`)),
      ),
    ).toEqual([]);
  });
});
