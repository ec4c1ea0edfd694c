import type { Quantization, Scheme } from '../../model/architecture.ts';
import { type Dictionary, type Fields, isDictionary, own } from '../../text/fields.ts';
import { indexOf, type Names, namesOf, speaksOf } from './module-names.ts';

/** How a Hugging Face checkpoint stores its weights: `dtype`, and `quantization_config` with the modules it leaves alone. */

/** Bytes of one element by `dtype` (`torch_dtype` before transformers 5). */
export function bytesOfElement(text: Dictionary, outer: Dictionary): number | undefined {
  for (const from of [outer, text])
    for (const key of ['dtype', 'torch_dtype']) {
      const stated = own(from, key);
      if (typeof stated === 'string') return /float32|fp32/.test(stated) ? 4 : 2;
    }
  return undefined;
}

// --- schemes ------------------------------------------------------------------------------------------------------------------

/** One fp32 scale for each 128 x 128 block: DeepSeek-V3's checkpoint layout. */
const blockFp8 = (block: readonly [number, number]): Scheme => ({ bits: 8, shares: 'block', block, scaleBytes: 4 });

/** One scale for the whole matrix, and one for what it reads where that is not found at run time. */
const matrixFp8 = (fixed: boolean, scaleBytes: number): Scheme => ({
  bits: 8,
  shares: 'matrix',
  scaleBytes,
  matrixBytes: fixed ? scaleBytes : 0,
});

/** One 8-bit scale for 32 weights of 4 bits: OCP Microscaling (MX) v1.0. */
const mxfp4: Scheme = { bits: 4, shares: 'group', group: 32, scaleBytes: 1 };

/** One fp8 scale for 16 weights of 4 bits, one fp32 scale of them and one of the input: NVIDIA ModelOpt. */
const nvfp4: Scheme = { bits: 4, shares: 'group', group: 16, scaleBytes: 1, matrixBytes: 8 };

/** Weights and zero points packed into 32-bit words, fp16 scales, an index of the inputs: AutoGPTQ. AWQ has no index. */
const gptq = (bits: number, group: number | undefined, index: boolean): Scheme => ({
  bits,
  ...(group === undefined ? { shares: 'output' } : { shares: 'group', group }),
  scaleBytes: 2,
  zeroBits: bits,
  ...(index ? { inputBytes: 4 } : {}),
});

/**
 * bitsandbytes (Dettmers et al. 2023, arXiv:2305.14314, 3): blocks of 64 in NF4 with an 8-bit scale each, 256 of those with an
 * fp32 one, and the two tables; or fp32 scales where not quantised twice. In 8 bits: one fp32 scale for each output.
 */
const nf4 = (twice: boolean): Scheme =>
  twice
    ? { bits: 4 + 8 / 64 + 32 / (64 * 256), shares: 'matrix', scaleBytes: 0, matrixBytes: 16 * 4 + 256 * 4 }
    : { bits: 4 + 32 / 64, shares: 'matrix', scaleBytes: 0, matrixBytes: 16 * 4 };
const int8: Scheme = { bits: 8, shares: 'output', scaleBytes: 4, matrixBytes: 1 };

const whole = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 2 ** 20 ? value : undefined;

function blockOf(value: unknown): readonly [number, number] | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [high, wide] = [whole(value[0]), whole(value[1])];
  return high === undefined || wide === undefined ? undefined : [high, wide];
}

/** A group of compressed-tensors or ModelOpt: bits, kind and what shares a scale. */
function groupScheme(group: Dictionary, format: string): Scheme | undefined {
  const weights = own(group, 'weights');
  if (!isDictionary(weights)) return undefined;
  const bits = whole(own(weights, 'num_bits')) ?? 8;
  const size = whole(own(weights, 'group_size'));
  const block = blockOf(own(weights, 'block_structure'));
  const inputs = own(group, 'input_activations');
  const fixed = isDictionary(inputs) && own(inputs, 'dynamic') === false;
  const itsFormat = typeof own(group, 'format') === 'string' ? String(own(group, 'format')) : format;
  if (itsFormat.includes('mxfp4')) return mxfp4;
  const floats = own(weights, 'type') === 'float';
  if (bits === 4 && floats) return size === 32 ? mxfp4 : { ...nvfp4, matrixBytes: fixed ? 8 : 4 };
  if (bits === 8 && block) return blockFp8(block);
  const strategy = own(weights, 'strategy') ?? (size === undefined ? 'tensor' : 'group');
  // Packed integers store the shape of the matrix beside it, as two 64-bit numbers.
  const shape = itsFormat.includes('pack') ? { matrixBytes: 16 } : {};
  const zero = own(weights, 'symmetric') === false ? { zeroBits: bits } : {};
  if (strategy === 'group' && size !== undefined)
    return { bits, shares: 'group', group: size, scaleBytes: 2, ...shape, ...zero };
  if (strategy === 'channel') return { bits, shares: 'output', scaleBytes: 2, ...shape, ...zero };
  return floats ? matrixFp8(fixed, 4) : { bits, shares: 'matrix', scaleBytes: 2, ...shape, ...zero };
}

// --- names of modules ---------------------------------------------------------------------------------------------------------

/** The modules that hold an operation's matrix, under the names that the families' code gives them. */
export const modules: Readonly<Record<string, readonly string[]>> = {
  'attention.query': ['self_attn.q_proj', 'attn.q_proj', 'self_attn.qkv_proj', 'attention.wq', 'mixer.q_proj'],
  'attention.key': ['self_attn.k_proj', 'attn.k_proj', 'self_attn.qkv_proj', 'attention.wk', 'mixer.k_proj'],
  'attention.value': ['self_attn.v_proj', 'attn.v_proj', 'self_attn.qkv_proj', 'attention.wv', 'mixer.v_proj'],
  'attention.gate': ['self_attn.q_proj', 'self_attn.g_proj', 'self_attn.gate_proj'],
  'attention.output': ['self_attn.o_proj', 'attn.o_proj', 'attention.wo', 'mixer.o_proj'],
  'attention.query_down': ['self_attn.q_a_proj', 'attn.wq_a'],
  'attention.query_up': ['self_attn.q_b_proj', 'attn.wq_b'],
  'attention.key_value_down': ['self_attn.kv_a_proj_with_mqa', 'attn.wkv'],
  'attention.key_value_up': ['self_attn.kv_b_proj'],
  'attention.indexer_query': ['self_attn.indexer.wq_b', 'self_attn.indexer'],
  'attention.indexer_key': ['self_attn.indexer.wk', 'self_attn.indexer'],
  'attention.indexer_weights': ['self_attn.indexer.weights_proj', 'self_attn.indexers_proj'],
  'feed_forward.gate': ['mlp.gate_proj', 'mlp.gate_up_proj', 'feed_forward.gate_proj'],
  'feed_forward.up': ['mlp.up_proj', 'mlp.gate_up_proj', 'feed_forward.up_proj', 'mixer.up_proj'],
  'feed_forward.down': ['mlp.down_proj', 'feed_forward.down_proj', 'mixer.down_proj'],
  'experts.gate': [
    'mlp.experts.0.gate_proj',
    'block_sparse_moe.experts.0.w1',
    'feed_forward.experts.gate_up_proj',
    'ffn.experts.0.w1',
  ],
  'experts.up': [
    'mlp.experts.0.up_proj',
    'block_sparse_moe.experts.0.w3',
    'feed_forward.experts.gate_up_proj',
    'mixer.experts.0.up_proj',
    'ffn.experts.0.w3',
  ],
  'experts.down': [
    'mlp.experts.0.down_proj',
    'block_sparse_moe.experts.0.w2',
    'feed_forward.experts.down_proj',
    'mixer.experts.0.down_proj',
    'ffn.experts.0.w2',
  ],
  'shared_experts.gate': [
    'mlp.shared_experts.gate_proj',
    'mlp.shared_expert.gate_proj',
    'feed_forward.shared_expert.gate_proj',
    'ffn.shared_experts.w1',
  ],
  'shared_experts.up': [
    'mlp.shared_experts.up_proj',
    'mlp.shared_expert.up_proj',
    'feed_forward.shared_expert.up_proj',
    'mixer.shared_experts.up_proj',
    'ffn.shared_experts.w3',
  ],
  'shared_experts.down': [
    'mlp.shared_experts.down_proj',
    'mlp.shared_expert.down_proj',
    'feed_forward.shared_expert.down_proj',
    'mixer.shared_experts.down_proj',
    'ffn.shared_experts.w2',
  ],
  'experts.latent_down': ['mixer.fc1_latent_proj'],
  'experts.latent_up': ['mixer.fc2_latent_proj'],
  'state_space.in': ['mixer.in_proj', 'linear_attn.in_proj_qkvz', 'mamba.in_proj'],
  'state_space.query_key_value': ['linear_attn.in_proj_qkv'],
  'state_space.gate': ['linear_attn.in_proj_z'],
  'state_space.out': ['mixer.out_proj', 'linear_attn.out_proj', 'mamba.out_proj'],
};

/** Where layers stand in a checkpoint: before the number. */
const roots = [
  'model.layers',
  'model.language_model.layers',
  'language_model.model.layers',
  'backbone.layers',
  'layers',
  'transformer.h',
] as const;

/** The roots that the lists speak of; where they speak of none, any will do. */
function rootsOf(names: readonly Names[]): readonly string[] {
  const said = roots.filter((root) => names.some((listed) => speaksOf(listed, root)));
  return said.length > 0 ? said : [roots[0]];
}

/** Layers that are asked about one by one; those after them are stored as the last of these. */
const mostLayers = 500;

/** At most so many comparisons of a name with a piece of a pattern. */
const mostComparisons = 4e6;

/** More groups than any published checkpoint has. */
const mostGroups = 32;

const experts = (path: string) => path.startsWith('experts.') && !path.startsWith('experts.latent');

// --- the config ---------------------------------------------------------------------------------------------------------------

const text = (from: Dictionary, key: string): string => {
  const value = own(from, key);
  return typeof value === 'string' ? value.slice(0, 100) : '';
};

const listOf = (from: Dictionary, ...keys: readonly string[]): readonly unknown[] =>
  keys.map((key) => own(from, key)).find((value): value is readonly unknown[] => Array.isArray(value)) ?? [];

type Rule = { readonly scheme: number; readonly targets: Names; readonly every: boolean };
type Rules = { readonly schemes: readonly Scheme[]; readonly rules: readonly Rule[] };

/** The schemes of a config, and which modules each is for: named ones first, then all linear ones. */
function rulesOf(config: Dictionary): Rules | undefined {
  const all: Rule = { scheme: 0, targets: namesOf([]), every: true };
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
      return one(gptq(bits, size, true));
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
 * How the checkpoint stores its matrices, layer by layer. A quantiser that this tool does not know is said to be unknown, and the
 * weights are taken as not quantised.
 */
export function readQuantization(
  outer: Dictionary,
  inner: Dictionary,
  layers: number,
  fields: Fields,
): Quantization | undefined {
  const config = [own(outer, 'quantization_config'), own(inner, 'quantization_config')].find(isDictionary);
  if (config === undefined) return undefined;
  const method = text(config, 'quant_method') || text(config, 'quant_algo') || 'unknown';
  const refused = (why: string) => {
    fields.assume('quantization_config', method, `${why}: its bytes are those of 16 bits`);
    return undefined;
  };
  const groups = own(config, 'config_groups');
  const count = isDictionary(groups) ? Object.keys(groups).length : 0;
  if (count > mostGroups) return refused(`${count} groups are more than the ${mostGroups} that are read`);
  const found = rulesOf(config);
  if (found === undefined) return refused('this tool does not know how it stores weights');
  const ignored = namesOf(
    listOf(config, 'modules_to_not_convert', 'ignored_layers', 'ignore', 'exclude_modules', 'llm_int8_skip_modules'),
  );
  const lists = [ignored, ...found.rules.map(({ targets }) => targets)];
  const sum = (of: (names: Names) => number) => lists.reduce((total, one) => total + of(one), 0);
  const asked: Asked = { layers, first: Math.min(layers, mostLayers), roots: rootsOf(lists) };
  // What one layer costs is known before the first name is written out.
  const names = asked.first * asked.roots.length * Object.values(modules).flat().length;
  if (names * sum(({ effort }) => effort) > mostComparisons)
    return refused(`${sum(({ patterns }) => patterns.length)} patterns are too many to hold against the modules`);
  const left = sum(({ unread }) => unread);
  if (left > 0)
    fields.assume(
      'quantization_config',
      method,
      `${left} of its expressions have too many alternatives to be followed`,
    );
  return { method, schemes: found.schemes, stored: storedBy(found, ignored, method, asked) };
}

/** Which names are asked about: of all `layers`, the `first`, under each of the roots. */
type Asked = { readonly layers: number; readonly first: number; readonly roots: readonly string[] };

/** By path of an operation: the scheme in each layer that is asked about, then in those of multi-token prediction. */
function storedBy(
  { schemes, rules }: Rules,
  ignored: Names,
  method: string,
  { layers, first, roots: spoken }: Asked,
): Quantization['stored'] {
  const kept = schemes.length;
  const keeps = indexOf([ignored]);
  const targets = indexOf(rules.map((rule) => rule.targets));
  const every = rules.findIndex((rule) => rule.every);
  const schemeFor = (names: readonly (readonly string[])[]): number => {
    if (names.some((name) => keeps(name) !== undefined)) return kept;
    const hits = names.flatMap((name) => targets(name) ?? []).concat(every < 0 ? [] : [every]);
    return rules[Math.min(...hits)]?.scheme ?? kept;
  };
  const heads = spoken.map((root) => root.split('.'));
  const only = method === 'mxfp4' ? experts : () => true;
  const perLayer = Object.entries(modules)
    .filter(([path]) => only(path))
    .map(([path, suffixes]) => {
      const tails = suffixes.map((suffix) => suffix.split('.'));
      const under = (head: readonly string[]) => tails.map((tail) => [...head, ...tail]);
      const of = (layer: number) => heads.flatMap((head) => under([...head, String(layer)]));
      // The layers of multi-token prediction are numbered on, or stand in a list of their own.
      const ahead = [...of(layers), ...under(['mtp', 'layers', '0']), ...under(['mtp', '0'])];
      return [path, [...Array.from({ length: first }, (_, layer) => schemeFor(of(layer))), schemeFor(ahead)]] as const;
    });
  const output = targets(['lm_head']) === undefined ? {} : { output: [schemeFor([['lm_head']])] };
  return { ...Object.fromEntries(perLayer), ...output };
}
