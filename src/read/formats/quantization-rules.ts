import type { Scheme } from '../../model/architecture.ts';
import { type Dictionary, isDictionary, own } from '../../text/fields.ts';
import { type Names, namesOf } from './module-names.ts';
import {
  autoRound,
  blockFp8,
  blockOf,
  gptq,
  groupScheme,
  int8,
  matrixFp8,
  mlx,
  mxfp4,
  nf4,
  nvfp4,
  whole,
} from './quantization-schemes.ts';

/** What a quantiser's config says of modules: which are stored by which scheme. */

export const text = (from: Dictionary, key: string): string => {
  const value = own(from, key);
  return typeof value === 'string' ? value.slice(0, 100) : '';
};

export const listOf = (from: Dictionary, ...keys: readonly string[]): readonly unknown[] =>
  keys.map((key) => own(from, key)).find((value): value is readonly unknown[] => Array.isArray(value)) ?? [];

/** `scheme` of the modules that are named, or of every one; without one they are kept as they are. */
export type Rule = { readonly scheme?: number; readonly targets: Names; readonly every: boolean };
export type Rules = {
  readonly schemes: readonly Scheme[];
  /** The first that names a module is its own. */
  readonly rules: readonly Rule[];
  /** Modules that are kept though no list of the config says so. */
  readonly kept?: readonly string[];
  /** Prefixes of the blocks that alone are quantised. */
  readonly blocks?: readonly string[];
  /** MLX's: every matrix and table is quantised, wherever it stands, and layers of multi-token prediction are left out. */
  readonly whole?: boolean;
};

const all: Rule = { scheme: 0, targets: namesOf([]), every: true };

/** The schemes of a config, and which modules each is for: named ones first, then all linear ones. */
export function rulesOf(config: Dictionary): Rules | undefined {
  const one = (scheme: Scheme) => ({ schemes: [scheme], rules: [all] });
  const method = text(config, 'quant_method');
  const layers = own(config, 'quantized_layers');
  if (isDictionary(layers) && Object.keys(layers).length > 0) return mixedRules(layers);
  const groups = own(config, 'config_groups');
  if (isDictionary(groups)) {
    const found = Object.values(groups).flatMap((group) => {
      const scheme = isDictionary(group) ? groupScheme(group, text(config, 'format')) : undefined;
      return isDictionary(group) && scheme ? [{ scheme, targets: listOf(group, 'targets') }] : [];
    });
    const rules = found.map(({ targets }, index) => {
      const named = targets.filter((target) => target !== 'Linear');
      return { scheme: index, targets: namesOf(named), every: named.length === 0 };
    });
    return {
      schemes: found.map(({ scheme }) => scheme),
      rules: rules.sort((a, b) => Number(a.every) - Number(b.every)),
    };
  }
  const algorithm = text(config, 'quant_algo').toUpperCase();
  const bits = whole(own(config, 'bits')) ?? 4;
  const size = whole(own(config, 'group_size'));
  switch (method) {
    case 'fp8': {
      const block = blockOf(own(config, 'weight_block_size'));
      const fixed = text(config, 'activation_scheme') === 'static';
      if (own(config, 'weight_block_size') === null) return one(matrixFp8(fixed, 2));
      return one(block || !fixed ? blockFp8(block ?? [128, 128]) : matrixFp8(fixed, 2));
    }
    case 'fbgemm_fp8':
      return one({ bits: 8, shares: 'output', scaleBytes: 4, matrixBytes: 4 });
    case 'mxfp4':
      return one(mxfp4);
    case 'gptq':
      return gptqRules(config, bits, size);
    case 'auto-round':
    case 'auto_round':
    case 'intel/auto-round':
      return autoRoundRules(config);
    case 'awq':
      return one(gptq(bits, size ?? whole(own(config, 'q_group_size')) ?? 128, false));
    case 'bitsandbytes':
      return one(own(config, 'load_in_8bit') === true ? int8 : nf4(own(config, 'bnb_4bit_use_double_quant') === true));
    default:
      if (algorithm.includes('NVFP4')) return one(nvfp4);
      if (algorithm.includes('FP8')) return one(matrixFp8(true, 4));
      return undefined;
  }
}

/** ModelOpt's list of layers, each with its own algorithm. */
function mixedRules(layers: Dictionary): Rules {
  const named = (algorithm: string) =>
    Object.entries(layers)
      .filter(([, value]) => isDictionary(value) && text(value, 'quant_algo').toUpperCase().includes(algorithm))
      .map(([name]) => name);
  return {
    schemes: [nvfp4, matrixFp8(true, 4)],
    rules: [
      { scheme: 0, targets: namesOf(named('NVFP4')), every: false },
      { scheme: 1, targets: namesOf(named('FP8')), every: false },
    ],
  };
}

/**
 * GPTQModel's `dynamic` (`gptqmodel/quantization/config.py`, dynamic_get): the first expression that the module's name begins with
 * decides; `-:` keeps the module, else the entry's bits and group take the place of the config's.
 */
function gptqRules(config: Dictionary, bits: number, size: number | undefined): Rules {
  const schemes = [gptq(bits, size, true)];
  const rules: Rule[] = [];
  const dynamic = own(config, 'dynamic');
  for (const [entry, change] of isDictionary(dynamic) ? Object.entries(dynamic) : []) {
    const targets = namesOf([`re:${entry.replace(/^[-+]:/, '')}`]);
    if (entry.startsWith('-:') || !isDictionary(change)) {
      rules.push({ targets, every: false });
      continue;
    }
    const group = own(change, 'group_size') === undefined ? size : whole(own(change, 'group_size'));
    schemes.push(gptq(whole(own(change, 'bits')) ?? bits, group, true));
    rules.push({ scheme: schemes.length - 1, targets, every: false });
  }
  const output: Rule = { scheme: 0, targets: namesOf(['lm_head']), every: false };
  return own(config, 'lm_head') === true
    ? { schemes, rules: [...rules, output, all] }
    : { schemes, rules: [...rules, all], kept: ['lm_head'] };
}

/** Names with one of these are expressions (vLLM's and AutoRound's reading of `extra_config`), found anywhere in a module's name. */
const special = /[*+?^$()[\]{}|\\]/;

/** AutoRound: `extra_config` by name, then by expression; the rest of the blocks as the config says. */
function autoRoundRules(config: Dictionary): Rules | undefined {
  const scheme = autoRound(config);
  if (scheme === undefined || scheme === 'kept') return undefined;
  const schemes = [scheme];
  const rules: Rule[] = [];
  const extra = own(config, 'extra_config');
  const entries = isDictionary(extra) ? Object.entries(extra) : [];
  const [named, expressions] = [
    entries.filter(([name]) => !special.test(name)),
    entries.filter(([name]) => special.test(name)),
  ];
  for (const [name, change] of [...named, ...expressions]) {
    const itsOwn = isDictionary(change) ? autoRound({ ...config, ...change }) : undefined;
    if (itsOwn === undefined) return undefined;
    const targets = namesOf([special.test(name) ? `re:.*(?:${name})` : name]);
    if (itsOwn === 'kept') rules.push({ targets, every: false });
    else rules.push({ scheme: schemes.push(itsOwn) - 1, targets, every: false });
  }
  const blocks = blocksOf(own(config, 'block_name_to_quantize') ?? own(config, 'to_quant_block_names'));
  const inBlocks: Rule = {
    scheme: 0,
    targets: namesOf(blocks.map((block) => `${block}.*`)),
    every: blocks.length === 0,
  };
  return { schemes, rules: [...rules, inBlocks], blocks };
}

/** `model.layers`, several with commas between them, or a list of such. */
function blocksOf(value: unknown): readonly string[] {
  if (typeof value === 'string')
    return value
      .slice(0, 1000)
      .split(',')
      .map((block) => block.trim());
  return Array.isArray(value)
    ? value
        .slice(0, 100)
        .flat(2)
        .filter((one) => typeof one === 'string')
    : [];
}

/** MLX's `quantization`: bits and groups for all, and under the names of modules what differs; false keeps one. */
export function mlxRules(config: Dictionary): Rules | undefined {
  const scheme = mlx(config);
  if (scheme === undefined) return undefined;
  const schemes = [scheme];
  const rules: Rule[] = [];
  for (const [name, change] of Object.entries(config)) {
    if (typeof change !== 'boolean' && !isDictionary(change)) continue;
    const targets = namesOf([name]);
    if (change === false) rules.push({ targets, every: false });
    if (!isDictionary(change)) continue;
    const different = mlx({ bits: own(config, 'bits'), group_size: own(config, 'group_size'), ...change });
    if (different === undefined) return undefined;
    rules.push({ scheme: schemes.push(different) - 1, targets, every: false });
  }
  return { schemes, rules: [...rules, all], whole: true };
}
