import type { Quantization, Scheme } from '../../model/architecture.ts';
import { type Dictionary, type Fields, isDictionary, own } from '../../text/fields.ts';

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

/** What a list of modules says of a name, without running a pattern of a stranger's: names, and `*` between literal pieces. */
type Names = { readonly exact: ReadonlySet<string>; readonly patterns: readonly (readonly string[])[] };

/** At most so many ways of one pattern's alternatives. */
const mostWays = 16;

/** `(a|b)` written out; a pattern with more ways than that is left out. */
function ways(pattern: string): readonly string[] {
  let open = [pattern];
  for (let round = 0; round < 4; round += 1) {
    open = open.flatMap((text) => {
      const start = text.indexOf('(');
      const end = text.indexOf(')', start);
      if (start < 0 || end < 0) return [text];
      const choices = text
        .slice(start + 1, end)
        .replace(/^\?:/, '')
        .split('|');
      return choices.length > mostWays
        ? []
        : choices.map((choice) => text.slice(0, start) + choice + text.slice(end + 1));
    });
    if (open.length > mostWays) return [];
  }
  return open;
}

/** A regular expression of compressed-tensors as pieces between wildcards: anchored in front, open behind unless it says `$`. */
function pieces(regular: string): readonly string[] {
  const text = regular.replace(/^\^/, '').replaceAll('.*', '*').replaceAll('.+', '*').replaceAll('\\.', '.');
  const closed = text.endsWith('$') ? text.slice(0, -1) : `${text}*`;
  return closed.replaceAll(/\*+/g, '*').split('*');
}

function namesOf(listed: readonly unknown[]): Names {
  const exact = new Set<string>();
  const patterns: (readonly string[])[] = [];
  for (const entry of listed.slice(0, 100_000)) {
    if (typeof entry !== 'string' || entry.length > 300) continue;
    if (entry.startsWith('re:')) patterns.push(...ways(entry.slice(3)).map(pieces));
    else if (entry.includes('*')) patterns.push(entry.replaceAll(/\*+/g, '*').split('*'));
    else exact.add(entry);
  }
  return { exact, patterns: patterns.slice(0, 2_000) };
}

/** Literal pieces in order, the first at the start and the last at the end. */
function fits(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return name === first;
  if (!name.startsWith(first)) return false;
  const last = rest.at(-1) ?? '';
  let at = first.length;
  for (const piece of rest.slice(0, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** A name is listed as it is, by any of its parts in a row (`lm_head`, `self_attn`), or by a pattern. */
function lists({ exact, patterns }: Names, name: string): boolean {
  const parts = name.split('.');
  for (let start = 0; start < parts.length; start += 1)
    for (let end = start + 1; end <= parts.length; end += 1)
      if (exact.has(parts.slice(start, end).join('.'))) return true;
  return patterns.some((pattern) => fits(name, pattern));
}

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
function rootsOf(...names: readonly Names[]): readonly string[] {
  const said = roots.filter((root) =>
    names.some(({ exact, patterns }) => {
      const has = (text: string) => text.startsWith(root);
      return [...exact].some(has) || patterns.some(([first = '']) => has(first));
    }),
  );
  return said.length > 0 ? said : [roots[0]];
}

/** Layers that are asked about one by one; those after them are stored as the last of these. */
const mostLayers = 500;

/** At most so many comparisons of a name with a pattern. */
const mostComparisons = 2e6;

const experts = (path: string) => path.startsWith('experts.') && !path.startsWith('experts.latent');

// --- the config ---------------------------------------------------------------------------------------------------------------

const text = (from: Dictionary, key: string): string => {
  const value = own(from, key);
  return typeof value === 'string' ? value.slice(0, 100) : '';
};

const listOf = (from: Dictionary, ...keys: readonly string[]): readonly unknown[] =>
  keys.map((key) => own(from, key)).find((value): value is readonly unknown[] => Array.isArray(value)) ?? [];

type Rule = { readonly scheme: number; readonly targets: Names; readonly every: boolean };

/** The schemes of a config, and which modules each is for: named ones first, then all linear ones. */
function rulesOf(
  config: Dictionary,
): { readonly schemes: readonly Scheme[]; readonly rules: readonly Rule[] } | undefined {
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
function mixedRules(layers: Dictionary): { readonly schemes: readonly Scheme[]; readonly rules: readonly Rule[] } {
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
  const found = rulesOf(config);
  if (found === undefined) {
    fields.assume(
      'quantization_config',
      method,
      'this tool does not know how it stores weights: its bytes are those of 16 bits',
    );
    return undefined;
  }
  const ignored = namesOf(
    listOf(config, 'modules_to_not_convert', 'ignored_layers', 'ignore', 'exclude_modules', 'llm_int8_skip_modules'),
  );
  const only = method === 'mxfp4' ? experts : () => true;
  const kept = found.schemes.length;
  const schemeFor = (names: readonly string[]): number => {
    if (names.some((name) => lists(ignored, name))) return kept;
    return (
      found.rules.find(({ every, targets }) => every || names.some((name) => lists(targets, name)))?.scheme ?? kept
    );
  };
  const spoken = rootsOf(ignored, ...found.rules.map(({ targets }) => targets));
  const asked = Math.min(layers, mostLayers);
  const names = asked * spoken.length * Object.values(modules).flat().length;
  const patterns = [ignored, ...found.rules.map(({ targets }) => targets)].reduce(
    (sum, one) => sum + one.patterns.length,
    0,
  );
  if (names * patterns > mostComparisons) {
    fields.assume(
      'quantization_config',
      method,
      `${patterns} patterns are too many to hold against the modules: its bytes are those of 16 bits`,
    );
    return undefined;
  }
  const perLayer = Object.entries(modules)
    .filter(([path]) => only(path))
    .map(([path, suffixes]) => {
      const of = (index: number) => spoken.flatMap((root) => suffixes.map((suffix) => `${root}.${index}.${suffix}`));
      // The layers of multi-token prediction are numbered on, or stand in a list of their own.
      const ahead = [...of(layers), ...suffixes.flatMap((suffix) => [`mtp.layers.0.${suffix}`, `mtp.0.${suffix}`])];
      const all = Array.from({ length: asked }, (_, index) => schemeFor(of(index)));
      return [path, [...all, schemeFor(ahead)]] as const;
    });
  const quantizesOutput = found.rules.some(({ targets }) => lists(targets, 'lm_head'));
  return {
    method,
    schemes: found.schemes,
    stored: {
      ...Object.fromEntries(perLayer),
      ...(quantizesOutput ? { output: [schemeFor(['lm_head'])] } : {}),
    },
  };
}
